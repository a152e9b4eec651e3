"""What a failure undoes and what a steward does: the flags ``--rollback`` and ``--on-crash``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import click

from reconciler.cli.flags import flag
from reconciler.errors import UsageError
from reconciler.model.cluster import Desired, OnCrash, Rollback
from reconciler.plan.step import Plan

F = TypeVar("F", bound=Callable[..., Any])


def modes(function: F) -> F:
    """Declare ``--rollback`` and ``--on-crash``, which win over the declaration; see `modes_of`."""
    decorators = (
        flag(
            "--rollback", type=click.Choice([mode.value for mode in Rollback]),
            help="What is undone when a step fails for good: the failing volume's part (change), the whole "
            "plan (all), or nothing (none); the declaration's apply.rollback, else change.",
        ),
        flag(
            "--on-crash", type=click.Choice([way.value for way in OnCrash]),
            help="What a steward does when the applying process has gone; the declaration's "
            "apply.onCrash, else continue.",
        ),
    )  # fmt: skip
    for decorator in reversed(decorators):
        function = decorator(function)
    return function


@dataclass(frozen=True, slots=True)
class Modes:
    """What `modes`' flags say; None where they say nothing."""

    rollback: Rollback | None
    on_crash: OnCrash | None

    def over(self, desired: Desired) -> Desired:
        """Return the declaration with what the flags say in the place of what it says itself."""
        spec = desired.spec
        chosen = replace(
            spec, rollback=self.rollback or spec.rollback, on_crash=self.on_crash or spec.on_crash
        )
        return replace(desired, spec=chosen)

    def refuse_others(self, plan: Plan) -> None:
        """Raise UsageError if the flags say something else than a saved plan, which was reviewed as it is."""
        said = {"--rollback": (self.rollback, plan.rollback), "--on-crash": (self.on_crash, plan.on_crash)}
        for name, (asked, planned) in said.items():
            if asked is not None and asked is not planned:
                raise UsageError(
                    f"{name} is {asked.value}, but the saved plan says {planned.value}",
                    hint=f"plan again with {name}={asked.value}, and review that plan",
                )


def modes_of(given: dict[str, Any]) -> Modes:
    """Return what the flags say, from their values by parameter name, which are taken out of `given`."""
    rollback, on_crash = given.pop("rollback"), given.pop("on_crash")
    return Modes(Rollback(rollback) if rollback else None, OnCrash(on_crash) if on_crash else None)
