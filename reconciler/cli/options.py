"""``gluster-state options``: what options there are, what they mean, and where that is known from."""

from __future__ import annotations

from pathlib import Path

import click

from reconciler.catalogue.index import OptionIndex
from reconciler.catalogue.versions import INSTALLED, VERSIONS
from reconciler.cli.app import current_app
from reconciler.cli.catalogue import index_of
from reconciler.cli.flags import catalogue, examples, flag, output
from reconciler.cli.style import Style, counted, paint, table
from reconciler.errors import UsageError
from reconciler.model.codec import Json, to_json
from reconciler.volgen.option_facts import (
    OptionFacts,
    OptionPlaces,
    close_names,
    facts_of,
    listed,
    places_of,
)
from reconciler.volgen.option_table import names
from reconciler.volgen.options import OWN_XLATOR

_FOLDER = "GlusterFS's xlator folder, such as /usr/lib/x86_64-linux-gnu/glusterfs/10.3/xlator."


@click.group(
    epilog=examples(
        "gluster-state options list heal",
        "gluster-state options explain performance.io-cache",
        "gluster-state options dump > 10.3.json",
    )
)
def options() -> None:
    """List and explain volume options; read them out of GlusterFS's libraries."""


@options.command(
    epilog=examples(
        "gluster-state options dump > 10.3.json",
        "gluster-state options dump --xlator-dir /usr/lib/x86_64-linux-gnu/glusterfs/10.3/xlator",
    )
)
@flag("--xlator-dir", "folder", metavar="DIR", help=f"{_FOLDER} Default: that of the installed glusterfs.")
@output("json")
def dump(folder: str | None, form: str) -> int:  # noqa: ARG001 - -o is there for scripts; JSON is the one form
    """Write the catalogue of an installed version: every option of every library.

    Each library is loaded in a process of its own and read from its file as well; both must tell the same.
    One that cannot be read is reported on stderr, the others are written, and the exit code is 1.
    """
    from reconciler.adapters.xlator_directory import (  # noqa: PLC0415 - list and explain need no library
        installed_directory,
        read_directory,
    )
    from reconciler.catalogue.document import write_catalogue  # noqa: PLC0415 - as above

    app = current_app()
    found = read_directory(Path(folder) if folder else installed_directory())
    app.note(f"Note: {path}: {text}" for path, text in sorted(found.notes.items()))
    app.note(f"Error: {path}: {text}" for path, text in sorted(found.errors.items()))
    click.echo(write_catalogue(found.catalogue), nl=False)
    return 1 if found.errors else 0


@options.command(
    "list",
    epilog=examples(
        "gluster-state options list",
        "gluster-state options list 'performance.*-threads'",
        "gluster-state options list heal -o json",
    ),
)
@click.argument("pattern", required=False, default="")
@catalogue
@output("text", "json")
def list_all(pattern: str, form: str) -> int:
    """List options by PATTERN: * and ? as in a shell, or a part of a name."""
    app = current_app()
    found = listed(index_of(app.catalogue), pattern)
    if form == "json":
        app.answer(to_json(found))
        return 0
    rows = [[one.name, one.type.value, _default(one), ", ".join(one.xlators)] for one in found]
    head = [[paint(word, "bold") for word in ("name", "type", "default", "xlators")]] if rows else []
    app.say(table(head + rows, indent=""))
    app.note([counted(len(found), "option")])
    return 0


@options.command(
    epilog=examples(
        "gluster-state options explain network.ping-timeout",
        "gluster-state options explain performance.io-cache -o json",
    )
)
@click.argument("name")
@catalogue
@output("text", "json")
def explain(name: str, form: str) -> int:
    """Explain one option: its values, where it lands, and what a change of it takes."""
    app = current_app()
    index = index_of(app.catalogue)
    facts = facts_of(name, index)
    if facts is None:
        raise UsageError(f"there is no option {name!r}", hint=_no_option(name, index, app.catalogue))
    nowhere = OptionPlaces(where=(), effects=())
    places = places_of(facts, app.features().slots()) if facts.settable else nowhere
    if form == "json":
        app.answer({**_plain(facts), **_plain(places)})
    else:
        app.say(_lines(facts, places, app.out))
    return 0


def _no_option(name: str, index: OptionIndex, catalogue: str) -> str:
    """Return what else may be meant, or where else the option may be."""
    close = close_names(name, index)
    if close:
        return f"did you mean {' or '.join(close)}?"
    if "." in name and catalogue in VERSIONS:
        return f"an xlator of this machine is known with --catalogue {INSTALLED}; asked: {catalogue}"
    return "all options: gluster-state options list"


def _plain(value: OptionFacts | OptionPlaces) -> dict[str, Json]:
    plain = to_json(value)
    assert isinstance(plain, dict)
    return plain


def _default(facts: OptionFacts) -> str:
    return "-" if facts.default is None else facts.default or '""'


def _lines(facts: OptionFacts, places: OptionPlaces, style: Style) -> list[str]:
    lines = [paint(facts.name, "bold") + f"   ({facts.type.value})"]
    lines += style.wrap(facts.description or "The library has no description of it.", "  ")
    facts_rows = [
        ["values", ", ".join(facts.values)],
        ["range", _range(facts)],
        ["default", _default(facts)],
        ["also called", ", ".join(facts.aliases)],
        ["op-version", ", ".join(map(str, facts.op_versions))],
        ["deprecated", ", ".join(map(str, facts.deprecated))],
        ["level", facts.level.value],
        ["for", f"{facts.volumes} volumes" if facts.volumes else ""],
        ["needs", _needs(facts)],
        ["set by", _setter(facts)],
        ["known from", facts.source],
        ["a change", "; ".join(effect.value for effect in places.effects)],
    ]
    lines += ["", *table([row for row in facts_rows if row[1]])]
    if places.where:
        where = [[place.side, place.xlator, place.key or "(whether it is there)"] for place in places.where]
        lines += ["", paint("Lands on", "bold"), *table(where)]
    return lines


def _needs(facts: OptionFacts) -> str:
    if facts.needs.startswith(OWN_XLATOR):
        return f"{facts.needs}: PLACE, which puts the xlator into bricks"
    return facts.needs and f"{facts.needs} on"


def _setter(facts: OptionFacts) -> str:
    if facts.settable:
        return ""
    ours = facts.name in names()
    return "glusterd, for its whole pool" if ours else "the graph, not by administrators"


def _range(facts: OptionFacts) -> str:
    low, high = (None if end is None else f"{end:.15g}" for end in (facts.low, facts.high))
    if low is None:
        return f"up to {high}" if high else ""
    return f"{low} to {high}" if high else f"from {low}"
