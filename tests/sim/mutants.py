"""Named mutations of the product: each takes one safeguard of the protocol away, in the running program.

`make mutants` shows how many random schedules each lives through; `by` names a test that kills it, and
test_mutants.py sees that it does.

A mutation replaces a text inside one function's source, which must be there exactly once: so the list cannot
outlive what it is about.
"""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from reconciler.agent.executor import Executor
from reconciler.engine import journal, lock
from reconciler.engine.applier import Applier
from reconciler.engine.mirror import Mirror
from reconciler.txn import machine


@dataclass(frozen=True, slots=True)
class Mutant:
    """One mutation: in `owner`'s function `name`, `old` becomes `new`."""

    title: str
    owner: Any
    name: str
    old: str
    new: str
    by: str  #: the named test that kills it: of this folder, ``module:name`` of another, or ``seed N``

    def __str__(self) -> str:
        return self.title.replace(" ", "-")

    def apply(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put the mutated function in the place of the real one, until the test ends."""
        real: Callable[..., Any] = inspect.unwrap(getattr(self.owner, self.name))
        source = textwrap.dedent(inspect.getsource(real))
        assert source.count(self.old) == 1, f"{self.title}: {source.count(self.old)} times in {self.name}"
        scope: dict[str, Any] = {}
        module = sys.modules[real.__module__]
        exec(compile(source.replace(self.old, self.new), f"<{self.title}>", "exec"), vars(module), scope)
        monkeypatch.setattr(self.owner, self.name, scope[self.name])
        for other in list(sys.modules.values()):  # those that have imported it by name
            if getattr(other, self.name, None) is real:
                monkeypatch.setattr(other, self.name, scope[self.name])


MUTANTS = (
    # ---- journal before effect
    Mutant(
        "the effect comes before the claim",
        Executor,
        "_stored",
        "if job.stage is _Stage.CLAIMING:",
        "if False:",
        by="test_of_several_who_apply_one_plan_one_does",
    ),
    Mutant(
        "the claim is not written",
        Executor,
        "_claim",
        "return self._write(mark, before=before, guarded=True)",
        "self._write(mark, before=before); return self._run()",
        by="test_of_several_who_apply_one_plan_one_does",
    ),
    Mutant(
        "the before-image is taken again on resume",
        Executor,
        "_look",
        "job.known.mark is not Mark.REFUSED",
        "job.command.phase.undoing",
        by="test_engine_and_agent_are_killed_in_one_run",
    ),
    Mutant(
        "the before-image is not kept",
        Executor,
        "_write",
        "(base.before if base else {})",
        "{}",
        by="test_of_several_who_apply_one_plan_one_does",
    ),
    # ---- guards
    Mutant(
        "a claim does not compare the lock",
        Executor,
        "_commit",
        "CreatedAt(keys.lock(self.cluster), job.command.phase.epoch),",
        "",
        by="test_a_lost_lease_at_any_time_hands_over",
    ),
    Mutant(
        "a claim does not compare the head",
        Executor,
        "_commit",
        "ModifiedAt(keys.head(self.cluster, txn), job.context.head_revision),",
        "",
        by="test_a_claim_from_before_the_turn_comes_to_nothing",
    ),
    Mutant(
        "a claim compares neither lock nor head",
        Executor,
        "_write",
        "guarded=guarded)]",
        "guarded=False)]",
        by="test_a_claim_from_before_the_turn_comes_to_nothing",
    ),
    Mutant(
        "an agent looks at neither lock nor head",
        Executor,
        "_read",
        "if not current or not self._wanted(command):",
        "if not self._wanted(command):",
        by="seed 6",
    ),
    Mutant(
        "a report does not compare its claim",
        Executor,
        "_commit",
        "= [ModifiedAt(key, job.revision)]",
        "= []",
        by="test_of_several_who_apply_one_plan_one_does",
    ),
    Mutant(
        "an engine does not compare the lock",
        Applier,
        "_write",
        "CreatedAt(keys.lock(self._cluster), self._epoch),",
        "",
        by="test_a_lost_lease_at_any_time_hands_over",
    ),
    Mutant(
        "an engine does not compare the head",
        Applier,
        "_write",
        "ModifiedAt(head_key, self._mirror.modified(head_key)),",
        "",
        by="test_a_command_from_before_the_turn_is_never_given",
    ),
    Mutant(
        "an engine does not compare what it overwrites",
        Applier,
        "_write",
        "if op.key != head_key",
        "if False",
        by="test_an_engine_does_not_compare_what_it_overwrites",
    ),
    # ---- phases and barriers
    Mutant(
        "no barrier at all",
        machine,
        "_needs_barrier",
        "mine = [",
        "return False\n    mine = [",
        by="test_a_claim_from_before_the_turn_comes_to_nothing",
    ),
    Mutant(
        "no barrier for what is in doubt",
        machine,
        "_needs_barrier",
        "return True\n    # A",
        "return False\n    # A",
        by="test_a_node_that_dies_in_a_step_leaves_it_in_doubt",
    ),
    Mutant(
        "no barrier at the turn",
        machine,
        "_needs_barrier",
        "return state.head.phase.undoing and any(s.step_id in state.dispatched for s in mine)",
        "return False",
        by="test_a_claim_from_before_the_turn_comes_to_nothing",
    ),
    Mutant(
        "a takeover keeps the phase's epoch",
        Applier,
        "_take_over",
        "phase = Phase(self._epoch, head.phase.direction)",
        "phase = head.phase",
        by="test_a_transaction_that_kills_its_stewards_is_paused_for_a_human",
    ),
    Mutant(
        "a takeover goes forward again",
        Applier,
        "_take_over",
        "phase = Phase(self._epoch, head.phase.direction)",
        "phase = Phase(self._epoch, 0)",
        by="test_a_takeover_goes_forward_again",
    ),
    Mutant(
        "a phase is acknowledged with a step under way",
        Executor,
        "_next",
        "if self._job or self._acknowledging or self._waiting:",
        "if self._job and not self._entries.get(keys.barrier_request(self.cluster, self.node)):",
        by="test_a_claim_from_before_the_turn_comes_to_nothing",
    ),
    Mutant(
        "a transaction is taken up without end",
        Applier,
        "_take_over",
        "if taken.attempts > MAX_TAKEOVERS:",
        "if False:",
        by="test_a_transaction_that_kills_its_stewards_is_paused_for_a_human",
    ),
    # ---- what is decided
    Mutant(
        "needs are not waited for",
        machine,
        "_do_moves",
        "and done.issuperset(s.needs)",
        "",
        by="test_a_claim_from_before_the_turn_comes_to_nothing",
    ),
    Mutant(
        "a failed step is not undone",
        machine,
        "settled_backward",
        "(None, Mark.REFUSED, Mark.UNDONE)",
        "(None, Mark.REFUSED, Mark.UNDONE, Mark.FAILED)",
        by="test_an_undo_that_fails_once_is_tried_again",
    ),
    Mutant(
        "a claimed step is not undone",
        machine,
        "settled_backward",
        "(None, Mark.REFUSED, Mark.UNDONE)",
        "(None, Mark.REFUSED, Mark.UNDONE, Mark.CLAIMED)",
        by="test_a_node_that_dies_in_a_step_leaves_it_in_doubt",
    ),
    Mutant(
        "a failed undo is forgotten",
        machine,
        "settled_backward",
        "(None, Mark.REFUSED, Mark.UNDONE)",
        "(None, Mark.REFUSED, Mark.UNDONE, Mark.UNDO_FAILED)",
        by="test_an_undo_that_fails_once_is_tried_again",
    ),
    Mutant(
        "undone in forward order",
        machine,
        "_undo_moves",
        "if s.step_id not in blocked]",
        "if not {o.step_id for o in open_steps}.intersection(s.needs)]",
        by="test_an_undo_that_fails_once_is_tried_again",
    ),
    Mutant(
        "undone in any order",
        machine,
        "_undo_moves",
        "if s.step_id not in blocked]",
        "]",
        by="test_an_undo_that_fails_once_is_tried_again",
    ),
    Mutant(
        "retried without end",
        machine,
        "_may_retry",
        "return record.retryable and record.attempt < MAX_ATTEMPTS",
        "return record.retryable",
        by="test_an_undo_that_fails_for_ever_is_stuck_until_it_is_repaired",
    ),
    Mutant(
        "what is in doubt on a dead node counts as undone",
        machine,
        "_undo_moves",
        "Finish(HeadState.STUCK, f'the agent",
        "Finish(HeadState.ROLLED_BACK, f'the agent",
        by="test_a_node_that_dies_in_a_step_leaves_it_in_doubt",
    ),
    Mutant(
        "paused with a step under way",
        machine,
        "_do_moves",
        'return () if _in_flight(state) else (Finish(HeadState.PAUSED, "stopped by the user"),)',
        'return (Finish(HeadState.PAUSED, "stopped by the user"),)',
        by="test_a_stop_at_any_time_is_paused_and_can_go_either_way",
    ),
    Mutant(
        "at rest with a command on its way",
        Applier,
        "_make",
        "if self._pending:",
        "if False:",
        by="test_a_stop_at_any_time_is_paused_and_can_go_either_way",
    ),
    Mutant(
        "several commits without a claim",
        Applier,
        "_perform",
        "if effect.early and known is None:",
        "if False:",
        by="test_what_takes_several_commits_cannot_be_rolled_back_once_the_first_was_made",
    ),
    # ---- the journal
    Mutant(
        "the plan's digest is not compared",
        journal,
        "frozen_plan",
        "if digest(plan) != head.plan_digest or canonical_text(plan) != text:",
        "if False:",
        by="test_agents_refuse_an_altered_plan_that_the_engine_has_in_memory",
    ),
    Mutant(
        "a lost answer to the beginning is a no",
        journal,
        "_certain",
        "if entry is not None and entry.value == value:",
        "if True:\n                return False\n            if False:",
        by="test_a_lost_answer_to_the_beginning_is_a_no",
    ),
    # ---- what was undone, by what
    Mutant(
        "receipts are trusted",
        Executor,
        "_run",
        "job.record.before, undo",
        "job.record.result, undo",
        by="test_of_several_who_apply_one_plan_one_does",
    ),
    Mutant(
        "the turn is no phase of its own",
        Applier,
        "_make",
        "phase=Phase(self._epoch, 1)",
        "phase=state.head.phase",
        by="test_a_claim_from_before_the_turn_comes_to_nothing",
    ),
    Mutant(
        "turned past the pivot",
        machine,
        "_do_moves",
        "if state.past_pivot:",
        "if False:",
        by="tests.unit.txn.test_machine:test_past_the_pivot_a_failure_is_stuck_once_nothing_is_under_way",
    ),
    Mutant(
        "the turn does not compare the pivot's claim",
        Applier,
        "_make",
        "self._unclaimed(state)",
        "()",
        by="tests.unit.engine.test_applier:test_a_turn_compares_that_nothing_behind_the_point_of_no_return_was_claimed",
    ),
    Mutant(
        "a phase is acknowledged before it is on the disk",
        Executor,
        "_next",
        "return [KeepPhase(self._acknowledging)]",
        "return self._acknowledge(self._acknowledging)",
        by="test_a_claim_from_before_the_turn_comes_to_nothing",
    ),
    # ---- what is heard late
    Mutant(
        "a watch brings back what a listing has shown to be gone",
        Mirror,
        "take",
        "or change.mod_revision <= self.revision",
        "",
        by="tests.unit.engine.test_mirror:test_a_watch_that_lags_behind_a_listing_brings_nothing_back",
    ),
    Mutant(
        "a listing takes back what was heard since",
        Executor,
        "handle",
        "if e.mod_revision > snapshot.revision}",
        "if False}",
        by="tests.unit.agent.test_executor_news:test_a_listing_does_not_take_back_what_was_heard_after_it",
    ),
    Mutant(
        "whoever holds the lock is taken for us",
        lock,
        "acquire",
        "if entry and decode(LockRecord, entry.value).op_id == record.op_id:",
        "if entry:",
        by="test_of_several_who_apply_one_plan_one_does",
    ),
    Mutant(
        "a stale plan begins",
        journal,
        "begin",
        "*read_guards(cluster, plan)",
        "",
        by="test_a_plan_whose_cluster_has_moved_on_does_not_begin",
    ),
    Mutant(
        "the head is put over another",
        journal,
        "begin",
        "Absent(head_key), ",
        "",
        by="test_the_head_is_put_over_another",
    ),
)
