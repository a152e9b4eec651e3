"""Graphs of the two daemons that watch over the bricks of one node: the signer and the scrubber.

Source: glusterfs 10.3 xlators/mgmt/glusterd/src/glusterd-volgen.c: build_bitd_graph, build_scrub_graph and
the functions they name, bitrot_option_handler, scrubber_option_handler; names of files:
glusterd-svc-helper.c: glusterd_svc_build_volfile_path.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.errors import VolfileError
from reconciler.model.volume import VolumeState
from reconciler.plugins.bitrot.spec import FREQUENCY, STATE, SWITCH, THREADS, THROTTLE, WAIT
from reconciler.volgen.cluster import VolumeSite, add_client, encrypt
from reconciler.volgen.graph import Draft, Graph
from reconciler.volgen.layer import Layer, Part, stack
from reconciler.volgen.option_table import Rule
from reconciler.volgen.registry import GraphEntry
from reconciler.volgen.settings import IO_STATS, VolumeSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from reconciler.model.configured import BrickRecord, Secret, VolumeRecord


def watches(volume: VolumeRecord, host: str) -> bool:
    """Return whether the daemons of node `host` have bricks of the volume in their graphs."""
    on = VolumeSettings(volume.effective_options()).is_on(SWITCH)
    return on and volume.state is VolumeState.STARTED and bool(_own_bricks(volume, host))


def bitd_graph(volumes: Iterable[tuple[VolumeRecord, Secret]], *, host: str) -> Graph:
    """Return the graph of the signer, which puts checksums on the files of one node's bricks.

    Args:
        volumes: those of the cluster, with their credentials; the ones without bitrot detection, stopped ones
            and those without a brick on the node do not count.
        host: the node: the host its bricks are declared under, or its node id.

    Raises:
        VolfileError: none of them is left, or their options make no graph.
    """
    return _graph(_node("bitd", _signer, volumes, host))


def scrub_graph(volumes: Iterable[tuple[VolumeRecord, Secret]], *, host: str) -> Graph:
    """Return the graph of the scrubber, which compares the files of one node's bricks with their checksums.

    Arguments and errors are those of `bitd_graph`.
    """
    return _graph(_node("scrub", _scrubber, volumes, host))


@dataclass(frozen=True, slots=True)
class _Node:
    daemon: str
    volumes: tuple[VolumeSite, ...]
    host: str
    options: Callable[[_Watched], Mapping[str, str]]

    @property
    def bricks(self) -> int:
        """Return how many bricks there are in the whole graph."""
        return sum(len(_own_bricks(site.volume, self.host)) for site in self.volumes)


@dataclass(frozen=True, slots=True)
class _Watched(VolumeSite):
    node: _Node


def _node(
    daemon: str,
    options: Callable[[_Watched], Mapping[str, str]],
    volumes: Iterable[tuple[VolumeRecord, Secret]],
    host: str,
) -> _Node:
    served = tuple(
        VolumeSite(volume, VolumeSettings(volume.effective_options()), secret)
        for volume, secret in sorted(volumes, key=lambda pair: pair[0].name)
        if watches(volume, host)
    )
    if not served:
        raise VolfileError(f"no started volume with bitrot detection has a brick on {host}")
    return _Node(daemon, served, host, options)


def _graph(node: _Node) -> Graph:
    draft = Draft(node.daemon)
    stack(_DAEMON, draft, node)
    for site in node.volumes:  # they share one io-stats: the last volume that says something wins
        site.settings.apply_stats(draft, Rule.CLIENT_STATS)
    return draft.graph()


def _own_bricks(volume: VolumeRecord, host: str) -> tuple[BrickRecord, ...]:
    return tuple(brick for brick in volume.bricks if host in (brick.host, brick.node_id))


def _volumes(draft: Draft, node: _Node) -> None:
    for site in node.volumes:
        one = Draft(site.volume.name)
        stack(_VOLUME, one, _Watched(site.volume, site.settings, site.secret, node))
        encrypt(one, site.settings)
        site.settings.apply_natives(one)
        draft.take(one)


def _clients(draft: Draft, site: _Watched) -> None:
    for brick in _own_bricks(site.volume, site.node.host):
        add_client(draft, brick.brick_id, (brick.host, brick.path), site)


def _signer(site: _Watched) -> Mapping[str, str]:
    return {
        # Of all volumes together: the signer throttles each by its share of them.
        "brick-count": str(site.node.bricks),
        "expiry-time": site.settings.value(WAIT) or "",
        "signer-threads": site.settings.value(THREADS) or "",
    }


def _scrubber(site: _Watched) -> Mapping[str, str]:
    options = {
        "scrubber": "true",
        "scrub-freq": site.settings.value(FREQUENCY) or "",
        "scrub-throttle": site.settings.value(THROTTLE) or "",
    }
    if site.settings.value(STATE) == "pause":
        options["scrub-state"] = "pause"
    return options


def _watcher(site: _Watched) -> str:
    return f"{site.volume.name}-bit-rot-0"  # status and scrubbing on demand ask for this name


_VOLUME: tuple[Layer[_Watched] | Part[_Watched], ...] = (
    Layer("features/bit-rot", lambda site: site.node.options(site), name=_watcher),
    Part(_clients),
)
_DAEMON: tuple[Layer[_Node] | Part[_Node], ...] = (
    Layer(IO_STATS, name=lambda node: node.daemon),
    Part(_volumes),
)
GRAPHS = (
    GraphEntry(
        name="bitd",
        file="bitd-server.vol",
        build=lambda view: bitd_graph(view.cluster, host=view.host),
        exists=lambda view: watches(view.volume, view.host),
        node_wide=True,
    ),
    GraphEntry(
        name="scrub",
        file="scrub-server.vol",
        build=lambda view: scrub_graph(view.cluster, host=view.host),
        exists=lambda view: watches(view.volume, view.host),
        node_wide=True,
    ),
)
