"""What a feature hands over: one frozen record of parts; and the registry made of many.

A feature is a folder (below ``reconciler/plugins/``, or anybody's own) whose ``__init__`` has ``FEATURE``.
The parts are asked for by the floors that use them, which define their forms (`desired.feature_key`,
`volgen.slots`, `volgen.registry`); the core names no feature. The registry is a value: the program's root
makes it and passes it down to loading, planning and rendering. Nothing registers itself by being imported.

A declaration's key becomes volume options and nothing else: they are what is planned, stored with the volume
(with the feature's name beside them, `VolumeRecord.feature_options`) and rendered, so that a feature has no
stored form of its own (docs/decisions/0030-features-are-values.md).

How the record grows: a feature that runs a daemon brings its graphs (`volgen.registry`), and will bring the
steps that start and stop it and the actions and probes behind them, each as one more field whose form is
defined by the floor that uses it, added together with its first user. A field that nothing reads is not
added before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from reconciler.desired import published
from reconciler.desired.collect import Fields
from reconciler.desired.feature_key import Reader, Rule
from reconciler.errors import EnvironmentProblem
from reconciler.model.cluster import VolumeSpec
from reconciler.volgen import brick, client
from reconciler.volgen.native_names import canonical
from reconciler.volgen.option_table import rows_by_name
from reconciler.volgen.registry import CORE, GraphEntry
from reconciler.volgen.settings import VolumeSettings, boolean, byte_count
from reconciler.volgen.slots import BrickSlot, ClientSlot, MissingDaemon, Slots

_NAME = re.compile(r"[a-z][A-Za-z0-9]{0,30}")


def _nothing(_: Fields) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Feature:
    """A feature. Two records are never equal: a feature is itself.

    Attributes:
        name: also the key under a volume.
        schema: JSON Schema of what stands under the key: description, properties, required. May refer to
            definitions of the core's schema (``#/$defs/size``). It is closed when it is published: unknown
            keys are refused, keys of the writer's own (``x-``) are allowed.
        options: every volume option that the key may set. They are the feature's own: while the key is there,
            a volume's ``options`` may name them only with the key's values; while it is not, they stay as
            they were applied.
        read: from the mapping under the key to the option values it says. Called only for what the schema
            accepts.
        implies: the options that go with these where neither ``options`` nor a profile says anything.
        switch: the one of `options` without which the others have no effect; empty if there is none.
        rules: what the schema cannot express; the mapping's places give positions.
        client_slots: what it puts into the graphs of clients.
        brick_slots: what it sets in the graphs of bricks.
        graphs: the graphs of its own processes.
        missing_daemons: what it needs and agents of this version do not run. A plan that would switch the
            feature on is refused.
    """

    name: str
    schema: Mapping[str, object]
    options: tuple[str, ...]
    read: Reader
    implies: Reader = _nothing
    switch: str = ""
    rules: tuple[Rule, ...] = ()
    client_slots: tuple[ClientSlot, ...] = ()
    brick_slots: tuple[BrickSlot, ...] = ()
    graphs: tuple[GraphEntry, ...] = ()
    missing_daemons: tuple[MissingDaemon, ...] = ()

    def own_name(self, option: str) -> str:
        """Return the feature's name for an option as somebody wrote it; empty if it is none of its own."""
        name = canonical(option)
        return name if name in self.options else ""

    def agree(self, one: str, other: str) -> bool:
        """Return whether two values of an option mean the same to GlusterFS."""
        return one == other or any(
            meaning(one) is not None and meaning(one) == meaning(other) for meaning in (boolean, byte_count)
        )

    def idle_options(self, volume: VolumeSpec, settings: VolumeSettings) -> Iterator[str]:
        """Yield which of a volume's own options have no effect, because with its settings `switch` is off."""
        if not self.switch or settings.switch(self.switch) is not False:
            return
        for option in volume.options:
            if option.origin == "volume" and self.own_name(option.name) not in {"", self.switch}:
                yield option.name


@dataclass(frozen=True, slots=True)
class Registry:
    """The features of this program, sorted by name.

    Raises:
        EnvironmentProblem: they do not go together, or one of them does not fit this version.
    """

    features: tuple[Feature, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "features", tuple(sorted(self.features, key=lambda f: f.name)))
        for feature in self.features:
            _refuse_unfit(feature)
        _refuse_shared(self.features)

    def __iter__(self) -> Iterator[Feature]:
        return iter(self.features)

    def slots(self) -> Slots:
        """Return what the features add to graphs."""
        return Slots(self.features)


def _refuse_unfit(feature: Feature) -> None:
    """Refuse a feature that the core has no place for."""
    name = feature.name
    if not _NAME.fullmatch(name):
        raise EnvironmentProblem(f"{name!r} cannot be a feature's name: it must be a word such as shardSize")
    if name in published.own_keys():
        raise EnvironmentProblem(f"a feature cannot be called {name}: a volume has that key anyway")
    if not feature.schema.get("description"):
        raise EnvironmentProblem(f"feature {name}: its schema has no description")
    unknown = sorted(set(feature.options) - rows_by_name().keys())
    if unknown:
        raise EnvironmentProblem(f"feature {name} sets {unknown[0]}, which is no option of GlusterFS")
    strangers = {feature.switch, *(d.switch for d in feature.missing_daemons)} - {"", *feature.options}
    if strangers:
        raise EnvironmentProblem(f"feature {name}: {min(strangers)} is a switch and none of its options")
    taken = {word for entry in CORE for word in (entry.name, entry.file)}
    twice = [word for graph in feature.graphs for word in (graph.name, graph.file) if word in taken]
    if twice:
        raise EnvironmentProblem(f"feature {name}: there is a graph {twice[0]} already")
    closed = sorted({slot.xlator for slot in feature.client_slots} - client.OPEN_PLACES)
    if closed:
        raise EnvironmentProblem(f"feature {name}: a client's graph has no open place for {closed[0]}")
    absent = sorted({slot.xlator for slot in feature.brick_slots} - brick.FIXED_PLACES)
    if absent:
        raise EnvironmentProblem(f"feature {name}: not every brick has an xlator {absent[0]}")


def _refuse_shared(features: tuple[Feature, ...]) -> None:
    """Refuse two features of one name, or two that claim the same thing."""
    claims: dict[str, Feature] = {}
    for feature in features:
        for claim in _claims(feature):
            first = claims.setdefault(claim, feature)
            if first is not feature:
                raise EnvironmentProblem(
                    f"features {first.name} and {feature.name} both have {claim}",
                    hint="Only one of them can be installed.",
                )


def _claims(feature: Feature) -> Iterable[str]:
    """Yield what only one feature may have."""
    yield f"the name {feature.name}"
    for option in feature.options:
        yield f"option {option}"
    for slot in feature.client_slots:
        yield f"the place {slot.place}"
    for graph in feature.graphs:
        yield f"the graph {graph.name}"
        yield f"the volfile {graph.file}"
