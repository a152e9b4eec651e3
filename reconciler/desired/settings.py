"""Which options a volume has in the end: defaults < profiles in order < its own. Each knows its origin.

A volume's own are those under ``options`` and those that its features' keys say; where both say one, they
agree. What a feature's key only implies gives way to all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from reconciler.desired.characters import holds_control
from reconciler.desired.collect import Collection, Entry, Fields
from reconciler.desired.feature_key import FeatureKey
from reconciler.desired.groups import GROUPS_10_3, PREFIX
from reconciler.desired.places import Place, Places
from reconciler.desired.plain import show
from reconciler.desired.suggest import did_you_mean, quoted
from reconciler.desired.tree import ScalarNode
from reconciler.model.cluster import OptionSetting

_LONGEST_VALUE = 4096  # characters
_LISTED = 20  # names in a hint
_LONGEST_CHAIN = 16  # profiles that extend one another
_MOST_SETTINGS = 500_000  # copied from profiles in one run: a short file must not unfold into a huge one


@dataclass(frozen=True, slots=True)
class Written:
    """An option with its place; None for one that comes from a built-in group."""

    setting: OptionSetting
    place: Place | None


Effective = dict[str, Written]


def read_options(fields: Fields, origin: str, places: Places) -> Effective:
    """Return the options written in the mapping `fields` (its key ``options``), reporting bad values once."""
    section = fields.section("options")
    if section is None:
        return {}
    found: Effective = {}
    for name, _, node in section.pairs():
        if isinstance(node, ScalarNode):
            place = Place(section.document.span(node), show((*section.path, name)))
            _check_value(name, node.text, place, places)
            found[name] = Written(OptionSetting(name=name, value=node.text, origin=origin), place)
    return found


def read_features(
    fields: Fields, features: Sequence[FeatureKey], own: Effective, places: Places
) -> Effective:
    """Return the options that the features' keys in the mapping `fields` say.

    A volume's `own` options may repeat them: what reads a volume's stored options back finds both. Two
    different values are an error, for nobody could tell which one is meant.
    """
    found: Effective = {}
    for feature, section in _sections(fields, features):
        place, said = section.place(), feature.read(section)
        for name, written in own.items():
            value, at = said.get(feature.own_name(name)), written.place
            if value is None or feature.agree(value, written.setting.value):
                continue
            assert at is not None
            hint = f"say it in one place; the key is at {place.span}"
            places.error_at(
                at, f"option {name} is {written.setting.value} here and {value} by {feature.name}", hint=hint
            )
        for name, value in said.items():
            _check_value(name, value, place, places)
        found |= _written(feature, said, place)
    return found


def read_implied(fields: Fields, features: Sequence[FeatureKey], effective: Effective) -> Effective:
    """Return the options that the features' keys imply and that nothing in `effective` sets."""
    found: Effective = {}
    for feature, section in _sections(fields, features):
        said = {feature.own_name(name) for name in effective}
        implied = {name: value for name, value in feature.implies(section).items() if name not in said}
        found |= _written(feature, implied, section.place())
    return found


def _sections(fields: Fields, features: Sequence[FeatureKey]) -> Iterator[tuple[FeatureKey, Fields]]:
    for feature in features:
        section = fields.section(feature.name)
        if section is not None:
            yield feature, section


def _written(feature: FeatureKey, options: Mapping[str, str], place: Place) -> Effective:
    origin = f"feature {feature.name}"
    found: Effective = {}
    for name, value in options.items():
        assert name in feature.options, f"feature {feature.name} sets {name} without owning it"
        setting = OptionSetting(name=name, value=value, origin=origin, feature=feature.name)
        found[name] = Written(setting, place)
    return found


def _check_value(name: str, value: str, place: Place, places: Places) -> None:
    """Refuse what could add a line to a volfile, or a command: glusterfs runs what stands in backticks.

    Source: glusterfs 10.3 libglusterfs/src/graph.y, preprocess().
    """
    if holds_control(value):
        return  # the reader has refused it already
    if not value.isprintable() or not value.isascii():
        places.error_at(
            place, f"option {name}: the value may hold printable ASCII only, found {quoted(value)}"
        )
    elif "`" in value:
        places.error_at(
            place, f"option {name}: backticks are not allowed", hint="glusterfs would run them as a command"
        )
    elif len(value) > _LONGEST_VALUE:
        places.error_at(place, f"option {name}: the value is longer than {_LONGEST_VALUE} characters")


class Profiles:
    """The declared and built-in profiles, resolved on demand and once."""

    def __init__(self, collection: Collection, places: Places) -> None:
        self._entries: Mapping[str, Entry] = collection.of("Profile")
        self._complete = collection.complete
        self._places = places
        self._resolved: dict[str, Effective] = {}
        self._left = _MOST_SETTINGS

    def check_all(self) -> None:
        """Resolve every declared profile, so that problems of unused ones are reported too."""
        for name in self._entries:
            self._resolve(name, ())

    def merge(self, names: Sequence[tuple[str, Place]]) -> Effective:
        """Return the options of several profiles, later ones winning; unknown names are reported."""
        merged: Effective = {}
        for name, place in names:
            if self._known(name, place):
                merged |= self._afford(self._resolve(name, ()), place)
        return merged

    def copy(self, effective: Effective, place: Place) -> Effective:
        """Return a copy of options for one more volume."""
        return dict(self._afford(effective, place))

    def _afford(self, effective: Effective, place: Place) -> Effective:
        """Return `effective`, or nothing (and an error, once) when the run has copied too much."""
        if self._left < 0:
            return {}
        self._left -= len(effective)
        if self._left < 0:
            self._places.error_at(place, f"profiles unfold into more than {_MOST_SETTINGS} options")
            return {}
        return effective

    def _known(self, name: str, place: Place) -> bool:
        builtin = name.startswith(PREFIX)
        if name.removeprefix(PREFIX) in GROUPS_10_3 if builtin else name in self._entries:
            return True
        known = [PREFIX + group for group in GROUPS_10_3] if builtin else list(self._entries)
        if builtin or self._complete:
            hint = did_you_mean(name, known) or _list_of(known)
            self._places.error_at(place, f"profile {name} does not exist", hint=hint)
        return False

    def _resolve(self, name: str, above: tuple[str, ...]) -> Effective:
        if name in self._resolved:
            return self._resolved[name]
        origin = f"profile {name}"
        if name.startswith(PREFIX):
            group = GROUPS_10_3[name.removeprefix(PREFIX)]
            result = {
                k: Written(OptionSetting(name=k, value=v, origin=origin), None) for k, v in group.items()
            }
        elif self._entries[name].sound:
            result = self._extended(name, above)
            result |= read_options(self._entries[name].fields, origin, self._places)
        else:
            result = {}
        self._resolved[name] = result
        return result

    def _extended(self, name: str, above: tuple[str, ...]) -> Effective:
        """Return the options of the profile that `name` extends."""
        fields = self._entries[name].fields
        base = fields.text("extends")
        if not base:
            return {}
        place, chain = fields.place("extends"), (*above, name)
        if base in chain:
            circle = " -> ".join((*chain[chain.index(base) :], base))
            self._places.error_at(place, f"profile {base} extends itself: {circle}")
            return {}
        if len(chain) >= _LONGEST_CHAIN:
            self._places.error_at(place, f"more than {_LONGEST_CHAIN} profiles extend one another")
            return {}
        if not self._known(base, place):
            return {}
        return dict(self._afford(self._resolve(base, chain), place))


def _list_of(names: Sequence[str]) -> str:
    if not names:
        return "no profile is declared"
    more = " ..." if len(names) > _LISTED else ""
    return f"known: {', '.join(sorted(names)[:_LISTED])}{more}"
