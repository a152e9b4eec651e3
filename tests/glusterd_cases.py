"""What a pool made of a volume, as a case in the form of the oracle, and what differs from our graphs."""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING, Any

from reconciler.diagnostics import Severity
from reconciler.errors import VolfileError
from reconciler.volgen.options import check_options
from reconciler.volgen.render import all_graphs
from reconciler.volgen.text import parse
from tests.glusterd_pool import STATE
from tests.golden.volgen.oracle_case import OracleCase, case_of
from tests.volume_samples import SLOTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reconciler.volgen.graph import Graph
    from tests.glusterd_pool import Pool

_TYPES = {"0": "distribute", "2": "replicate", "4": "disperse", "5": "distribute", "7": "distribute"}
_BRICK = re.compile(r"brick-(\d+)=(.*)")


def record(pool: Pool, name: str, **said: Any) -> dict[str, Any]:
    """Return the volume as the first node has it; `said` is what was done to it (`set`, `rejected`)."""
    files = pool.files(f"{STATE}/vols/{name}")
    lines = files["info"].splitlines()
    info = dict(line.split("=", 1) for line in lines if "=" in line)
    numbered = sorted((int(m[1]), m[2]) for line in lines if (m := _BRICK.match(line)))
    bricks = [_pairs(files[f"bricks/{file}"]) for _, file in numbered]
    replica, disperse = int(info["replica_count"]), int(info["disperse_count"])
    kind = "disperse" if disperse else "replicate" if replica > 1 else "distribute"
    group = disperse or (replica if replica > 1 else 1)
    return {
        "source": "glusterfs 10.3 glusterd",
        "name": name,
        "node": pool.hosts[0],
        "type": kind,
        "distribute": len(bricks) // group,
        "replica": replica if kind == "replicate" else 0,
        "arbiter": int(info.get("arbiter_count", 0)),
        "disperse": disperse,
        "redundancy": int(info["redundancy_count"]),
        "bricks": [f"{brick['hostname']}:{brick['path']}" for brick in bricks],
        "brick_ids": [brick["brick-id"] for brick in bricks],
        "decommissioned": [brick["brick-id"] for brick in bricks if brick["decommissioned"] != "0"],
        "started": info["status"] == "1",
        "volume_id": info["volume-id"],
        "username": info["username"],
        "password": info["password"],
        "op_version": info["op-version"],
        "client_op_version": info["client-op-version"],
        "stored_options": {key: value for key, value in sorted(info.items()) if "." in key},
        "volfiles": {file: text for file, text in sorted(files.items()) if file.endswith(".vol")},
        **said,
    }


def rendered(case: OracleCase) -> dict[str, Graph]:
    """Return our graphs of a case, as seen from the node that wrote glusterd's."""
    return dict(all_graphs(case.volume, secret=case.secret, host=case.host, slots=SLOTS))


class Verdict(Enum):
    """What came of a comparison."""

    EQUAL = "equal"
    DIFFERENT = "different"
    UNREADABLE = "unreadable"  #: glusterd wrote what GlusterFS itself refuses to load
    REFUSED = "refused"  #: glusterd took options that we refuse


def verdict(raw: dict[str, Any]) -> tuple[Verdict, list[str]]:
    """Return what comes of comparing a case, and why.

    glusterd is known to write unreadable volfiles for two kinds of options: values with a quotation mark, and
    two debugging options that name one place, for each of which it adds all debugging xlators again.
    """
    unreadable = []
    for name, text in raw["volfiles"].items():
        try:
            parse(text)
        except VolfileError as error:
            unreadable.append(f"{name}: {error}")
    if unreadable:
        return Verdict.UNREADABLE, unreadable
    case = case_of(raw)
    problems = check_options(case.volume.effective_options(), case.volume.shape)
    refused = [problem.summary for problem in problems if problem.severity is Severity.ERROR]
    try:
        found = differences(raw)
    except VolfileError as error:
        # Whatever makes no graph must have been refused before.
        return (Verdict.REFUSED if refused else Verdict.DIFFERENT), [str(error), *refused]
    if found:
        return Verdict.DIFFERENT, found
    return (Verdict.REFUSED, refused) if refused else (Verdict.EQUAL, [])


def differences(raw: dict[str, Any], ours: Mapping[str, Graph] | None = None) -> list[str]:
    """Return where `ours` (if not given: the graphs of the case) are not glusterd's, one line each."""
    case = case_of(raw)
    ours = rendered(case) if ours is None else ours
    found = [
        f"{name}: only {'we have' if name in ours else 'glusterd has'} this file"
        for name in sorted(case.volfiles.keys() ^ ours.keys())
        if not _not_kept_up(name, raw)
    ]
    for name in sorted(ours.keys() & case.volfiles.keys()):
        found += [f"{name}: {line}" for line in _graph_differences(ours[name], parse(case.volfiles[name]))]
    return found


def _not_kept_up(name: str, raw: dict[str, Any]) -> bool:
    """Return whether glusterd neither removes nor adds a file when the volume changes.

    A rebalance volfile stays when only one subvolume is left. Those of quota's crawlers are written by
    ``quota enable`` for the bricks of that time. That of snapd is written when snapd starts, and stays.
    """
    volume = raw["name"]
    left = name == f"{volume}-rebalance.vol" and raw["distribute"] == 1
    return (
        left or name.startswith(f"{volume}.client.") or (name == f"{volume}-snapd.vol" and not raw["started"])
    )


def _graph_differences(ours: Graph, theirs: Graph) -> Iterator[str]:
    if ours.topology != theirs.topology:
        yield f"xlators {sorted(set(ours.topology) ^ set(theirs.topology)) or 'in another order'}"
    for wanted in theirs:
        got = ours.find(wanted.name)
        for key in sorted(wanted.options.keys() | got.options.keys()) if got else ():
            one, other = got.options.get(key) if got else None, wanted.options.get(key)
            if one != other:
                yield f"{wanted.name} {key}: ours {one!r}, glusterd's {other!r}"


def _pairs(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
