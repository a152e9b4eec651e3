"""``gluster-state volfile``: the volfiles that a declaration would produce, offline (design.md 5.5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from reconciler.cli import render_volfile_diff
from reconciler.cli.app import App, current_app
from reconciler.cli.declaration import accept, read
from reconciler.cli.flags import catalogue, examples, flag, output
from reconciler.cli.lineage import read_earlier, record_of
from reconciler.cli.saved import write_private
from reconciler.cli.session import installed_features
from reconciler.cli.volfile_diff import Comparison, Ours, compare
from reconciler.errors import UsageError
from reconciler.model.cluster import Desired
from reconciler.model.configured import Secret
from reconciler.plan.succession import offline_creations
from reconciler.volgen.graph import Graph
from reconciler.volgen.registry import GraphEntry, View, entries
from reconciler.volgen.render import all_graphs
from reconciler.volgen.text import write


def _names(graphs: tuple[GraphEntry, ...]) -> str:
    """Return what ``--graph`` takes, in words."""
    return ", ".join([f"{entry.name}:N" if entry.per_brick else entry.name for entry in graphs] + ["all"])


@click.command(
    epilog=examples(
        "gluster-state volfile -f cluster.yaml home",
        "gluster-state volfile -f cluster.yaml home --graph brick:0",
        "gluster-state volfile -f cluster.yaml home --graph all --out volfiles --node gs1",
        "gluster-state volfile -f cluster.yaml home --was before.yaml",
        "gluster-state volfile -f cluster.yaml home --diff /var/lib/glusterd/vols/home --node gs1",
        "gluster-state volfile -f cluster.yaml home --graph client --diff theirs.vol",
    )
)
@click.argument("volume")
@flag(
    "-f", "--file", "file", multiple=True, required=True, metavar="PATH",
    help="YAML file, directory (its *.yaml and *.yml) or - for stdin; may be repeated.",
)  # fmt: skip
@catalogue
@flag(
    "--graph", default="client", show_default=True, metavar="GRAPH",
    help=f"One of {_names(entries(installed_features().slots()))}; bricks count from 0 in the declared "
    "order.",
)  # fmt: skip
@flag(
    "--out",
    metavar="DIR",
    help="With --graph all: write every graph of the volume under glusterd's file names. Those of daemons "
    "that a node has for all of its volumes are asked for by name.",
)
@flag(
    "--node",
    metavar="PEER",
    help="The node that is looking (default: that of the brick, or of the first one).",
)
@flag(
    "--was", multiple=True, metavar="PATH",
    help="An earlier declaration: VOLUME is changed from it, and bricks keep their ids. Repeat it for the "
    "ones in between, oldest first.",
)  # fmt: skip
@flag(
    "--diff", multiple=True, metavar="PATH",
    help="Instead: compare with a volfile, or with a directory of them by glusterd's file names; may be "
    "repeated. Exits 2 if there is a difference.",
)  # fmt: skip
@output("text", "json")
def volfile(volume: str, file: tuple[str, ...], graph: str, node: str | None, **answer: Any) -> int:
    """Print the volfile that the declaration of VOLUME would produce. Offline.

    Ids and ports that the declaration does not give are made up, the same ones each time; for a volume that
    was changed since it was created, they follow from the declarations before (--was).
    """
    app, out = current_app(), answer["out"]
    _check_words(answer)
    earlier, latest = read_earlier(answer["was"], file, app), read(file, app)
    desired, slots = accept(latest, app), app.features().slots()
    record, secrets = record_of(volume, [*earlier, latest]), _secrets(desired)
    host = None if node is None else _host(desired, node)
    view = View(
        volume=record,
        secret=secrets[volume],
        slots=slots,
        host=host or record.bricks[0].host,
        others=tuple((o, secrets[o.name]) for o in offline_creations(desired) if o.name != volume),
    )
    if answer["diff"]:
        return _show(compare(answer["diff"], _ours(view, graph, host)), answer["form"], app)
    if graph == "all":
        if out is None:
            raise UsageError("--graph all needs a place to write to", hint="add --out DIR")
        graphs = all_graphs(record, slots=slots, secret=view.secret, host=view.host)
        written = _write_all(Path(out), graphs)
        app.say(f"{Path(out) / name}" for name in written)
        return 0
    if out is not None:
        raise UsageError("--out goes with --graph all; one graph goes to stdout")
    click.echo(write(_one(view, graph, host)), nl=False)
    return 0


def _secrets(desired: Desired) -> Mapping[str, Secret]:
    """Return the declared credentials by volume, or words that say where real ones come from."""
    made = Secret(username="generated-by-apply", password="generated-by-apply")  # noqa: S106 - says what it is
    return {
        spec.name: Secret(username=spec.auth.username, password=spec.auth.password) if spec.auth else made
        for spec in desired.spec.volumes
    }


def _host(desired: Desired, peer: str) -> str:
    """Return the address of a declared peer; its address itself is taken, too."""
    for spec in desired.spec.peers:
        if peer in (spec.name, spec.address):
            return spec.address
    known = ", ".join(spec.name for spec in desired.spec.peers)
    raise UsageError(f"no peer {peer!r} is declared", hint=f"declared: {known}")


def _one(view: View, name: str, host: str | None) -> Graph:
    """Return one graph by its name; `host` is the node that is looking, if one was named."""
    known = entries(view.slots)
    word, colon, number = name.partition(":")
    entry = next((e for e in known if e.name == word and e.per_brick == bool(colon)), None)
    if entry is None or (colon and not (number.isascii() and number.isdigit())):
        raise UsageError(f"there is no graph {name!r}", hint=f"one of: {_names(known)}")
    if not entry.per_brick:
        return entry.build(view)
    bricks = view.volume.bricks
    if len(number) > 6 or int(number) >= len(bricks):
        raise UsageError(f"volume {view.volume.name} has bricks 0 to {len(bricks) - 1}, not {number}")
    brick = bricks[int(number)]
    return entry.build(replace(view, brick=brick, host=host or brick.host))


def _write_all(folder: Path, graphs: Mapping[str, Graph]) -> list[str]:
    """Write each graph to its file (they may hold credentials: for the owner only); return the names."""
    texts = {name: write(graph) for name, graph in sorted(graphs.items())}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            write_private(folder / name, text)
    except OSError as exc:
        raise UsageError(f"{exc.filename or folder}: {exc.strerror}") from exc
    return list(texts)


def _check_words(answer: Mapping[str, Any]) -> None:
    """Raise UsageError for flags that do not go together."""
    if answer["diff"] and answer["out"] is not None:
        raise UsageError("--out writes graphs, --diff compares them: one at a time")
    if answer["form"] != "text" and not answer["diff"]:
        raise UsageError(f"-o {answer['form']} goes with --diff; a volfile has one form")


def _ours(view: View, graph: str, host: str | None) -> Ours:
    """Return what to compare with: the graph that was asked for, or without a word of it every one."""
    name = view.volume.name
    asked = click.get_current_context().get_parameter_source("graph") is not ParameterSource.DEFAULT
    if asked and graph != "all":
        return Ours(volume=name, graphs={graph: _one(view, graph, host)}, chosen=True)
    graphs = all_graphs(view.volume, slots=view.slots, secret=view.secret, host=view.host, others=view.others)
    return Ours(volume=name, graphs=graphs, chosen=False)


def _show(found: Comparison, form: str, app: App) -> int:
    if form == "json":
        app.answer(render_volfile_diff.as_json(found))
    else:
        app.say(render_volfile_diff.render(found, app.out))
    return render_volfile_diff.exit_code(found)
