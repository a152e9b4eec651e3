"""The places in graphs that features fill, and what fills them.

The order of xlators is GlusterFS' and stands in the tables of `brick` and `client`; a feature chooses no
position. In a client's graph it may put the xlator of an open place there. A brick's xlators are fixed, since
a running brick cannot change them: there a feature sets options on xlators that are there anyway. What such
an xlator needs to be loaded at all is in the core's table; what only the feature makes it need is in a slot.

Some options are only half of the truth without their slot: the option table names it (`OptionRow.slot`), and
a graph that would have to do without is refused, for it would not be the one the volume needs.

The graph alone is not everything either: some options need a daemon (`MissingDaemon`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from reconciler.errors import VolfileError
from reconciler.volgen.option_table import rows
from reconciler.volgen.settings import VolumeSettings

if TYPE_CHECKING:
    from reconciler.model.configured import BrickRecord, VolumeRecord
    from reconciler.volgen.registry import GraphEntry


@dataclass(frozen=True, slots=True)
class BrickSite:
    """What a brick's graph is made for: a brick of a volume with these options."""

    volume: VolumeRecord
    brick: BrickRecord
    settings: VolumeSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSlot:
    """An open place of the client's stack.

    Attributes:
        xlator: its type, one of `client.OPEN_PLACES`.
        wanted: whether the graph of a volume with these options has it.
    """

    xlator: str
    wanted: Callable[[VolumeSettings], bool]

    @property
    def place(self) -> str:
        """Return the name by which the option table knows it."""
        return f"client {self.xlator}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrickSlot:
    """An option on an xlator that every brick has.

    Attributes:
        xlator: its type, one of `brick.FIXED_PLACES`.
        key: the xlator's own name of the option.
        value: what it is on a brick; None leaves it unset.
    """

    xlator: str
    key: str
    value: Callable[[BrickSite], str | None]

    @property
    def place(self) -> str:
        """Return the name by which the option table knows it."""
        return f"brick {self.xlator} {self.key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingDaemon:
    """A daemon that an option needs and that agents of this version do not run.

    Once they run it, whoever has the line removes it.

    Attributes:
        daemon: its name, such as ``quotad``.
        switch: the option that needs it while it is on.
        without: what then happens without it.
        vital: whether the option must not be switched on without it; otherwise it only gives less.
    """

    daemon: str
    switch: str
    without: str
    vital: bool = True

    @property
    def summary(self) -> str:
        """Return what is wrong, in words."""
        return f"option {self.switch} needs {self.daemon}, which this version does not run: {self.without}"


# Options that no feature's key stands for yet. Source for the first: glusterfs 10.3
# xlators/features/snapview-client/src/snapview-client.c, notify: only the volume's own child decides whether
# a mount is up.
_MISSING = (
    MissingDaemon(
        daemon="snapd", switch="features.uss", without="the directory .snaps cannot be opened", vital=False
    ),
)


class GraphFeature(Protocol):
    """What volgen asks of a feature; `reconciler.feature.Feature` has it."""

    @property
    def name(self) -> str:
        """Return the feature's name."""
        ...

    @property
    def switch(self) -> str:
        """Return the option without which its others have no effect; empty if there is none."""
        ...

    @property
    def client_slots(self) -> tuple[ClientSlot, ...]:
        """Return what it puts into clients' graphs."""
        ...

    @property
    def brick_slots(self) -> tuple[BrickSlot, ...]:
        """Return what it sets in bricks' graphs."""
        ...

    @property
    def missing_daemons(self) -> tuple[MissingDaemon, ...]:
        """Return the daemons that it needs and that agents do not run."""
        ...

    @property
    def graphs(self) -> tuple[GraphEntry, ...]:
        """Return the graphs of its processes."""
        ...


class Slots:
    """The filled slots of a set of features. A value: made once, passed to every rendering."""

    def __init__(self, features: Iterable[GraphFeature] = ()) -> None:
        features = tuple(features)
        self._features = frozenset(feature.name for feature in features)
        self._client = {slot.xlator: slot for feature in features for slot in feature.client_slots}
        self._brick = tuple(slot for feature in features for slot in feature.brick_slots)
        self._missing = (*_MISSING, *(daemon for feature in features for daemon in feature.missing_daemons))
        #: the graphs of the features' processes, see `registry.entries`
        self.graphs = tuple(graph for feature in features for graph in feature.graphs)
        #: the options that must be on for those processes
        self.graph_switches = tuple(f.switch for f in features if f.graphs and f.switch)
        self._places = {slot.place for slot in self._client.values()} | {slot.place for slot in self._brick}

    def refuse_missing(self, volume: VolumeRecord, settings: VolumeSettings) -> None:
        """Refuse a volume that needs a feature which is not here: its graph would be another one.

        Raises:
            VolfileError: an option was set by such a feature's key, or needs a slot that nothing fills.
        """
        absent = sorted({feature for _, feature in volume.feature_options} - self._features)
        if absent:
            raise VolfileError(f"volume {volume.name} needs the feature {absent[0]}, which is not installed")
        for row in rows():
            if row.slot and row.slot not in self._places and settings.is_on(row.name):
                raise VolfileError(
                    f"option {row.name} needs a feature that fills {row.slot}; none is installed"
                )

    def missing_daemons(self, settings: VolumeSettings) -> tuple[MissingDaemon, ...]:
        """Return the daemons that a volume with these options needs and that agents do not run."""
        return tuple(one for one in self._missing if settings.switch(one.switch))

    def client_has(self, xlator: str, settings: VolumeSettings) -> bool:
        """Return whether an open place of the client's stack is taken."""
        slot = self._client.get(xlator)
        return slot is not None and slot.wanted(settings)

    def brick_options(self, xlator: str, site: BrickSite, own: Mapping[str, str]) -> Mapping[str, str]:
        """Return the options of a brick's xlator: its own and those of the features.

        Several features may set the same option if they agree: quota and trash both want links counted.

        Raises:
            VolfileError: two of them want different values.
        """
        options = dict(own)
        for slot in self._brick:
            value = slot.value(site) if slot.xlator == xlator else None
            if value is not None and options.setdefault(slot.key, value) != value:
                raise VolfileError(
                    f"{xlator} cannot have {slot.key} both {options[slot.key]} and {value}: "
                    "two features contradict each other"
                )
        return options
