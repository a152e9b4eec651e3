"""Options by the names that xlators have for them: what is accepted, what is refused, and where they land."""

from __future__ import annotations

import pytest

from reconciler.catalogue.index import Native, OptionIndex
from reconciler.catalogue.known import known_catalogue, known_options
from reconciler.catalogue.option import OptionType
from reconciler.catalogue.versions import VERSIONS
from reconciler.diagnostics import Severity
from reconciler.volgen.brick import brick_graph
from reconciler.volgen.client import client_graph
from reconciler.volgen.landing import landings
from reconciler.volgen.native_names import FILES, canonical, split
from reconciler.volgen.option_table import names, rows, rows_by_name
from reconciler.volgen.options import check_options, may_be_set
from reconciler.volgen.services import shd_graph
from tests.volume_samples import SECRET, SLOTS, volume

VALUES = {
    OptionType.BOOL: "on",
    OptionType.PATH: "/var/tmp",
    OptionType.TIME: "30",
    OptionType.PERCENT: "7",
    OptionType.SIZE: "1MB",
    OptionType.PRIORITY_LIST: "*.jpg:1",
}
BY_ANOTHER_NAME = {
    "server.auth.addr.*.allow": "auth.allow",
    "server.auth.addr.*.reject": "auth.reject",
    "server.ssl-allow": "auth.ssl-allow",
}
SPECIAL = {"throttle": "lazy", "snapshot-directory": ".snaps", "name": "bin"}  #: kinds of the table alone
REFUSED = {"replicate.thin-arbiter"}


def good_value(native: Native) -> str:
    option = native.option
    own = rows_by_name().get(canonical(native.name), ())
    if own and own[0].choices:
        return own[0].choices[0]
    if own and own[0].kind in SPECIAL:
        return SPECIAL[own[0].kind]
    if option.values:
        return option.values[0]
    if option.type in (OptionType.INT, OptionType.SIZE, OptionType.NUMBER) and option.lowest is not None:
        return f"{option.lowest:.0f}"
    return VALUES.get(option.type, "1")


@pytest.mark.parametrize("version", VERSIONS)
def test_only_what_the_graph_fills_in_is_settable_in_a_library_and_not_by_its_name(version: str) -> None:
    """Each of these has a name of the table, which knows the brick's path that belongs into the key."""
    index = OptionIndex(known_catalogue(version))
    left_out = {
        native.name for native in index.natives() if native.option.settable and not may_be_set(native)
    }
    assert left_out == set(BY_ANOTHER_NAME)
    assert set(BY_ANOTHER_NAME.values()) <= rows_by_name().keys()


@pytest.mark.parametrize("version", VERSIONS)
def test_every_settable_option_of_every_xlator_may_be_declared(version: str) -> None:
    index = OptionIndex(known_catalogue(version))
    settable = [native for native in index.natives() if may_be_set(native)]
    assert len(settable) > 270
    for native in settable:
        known = names().get(canonical(native.name))
        switch = {known.needs: "on"} if known and known.needs else {}
        options = {native.name: good_value(native), **switch}
        errors = [f for f in check_options(options, natives=lambda: index) if f.severity is Severity.ERROR]
        assert bool(errors) is (native.name in REFUSED), errors


@pytest.mark.parametrize("version", VERSIONS)
def test_every_settable_option_of_the_transport_has_a_name_of_glusterds(version: str) -> None:
    (socket,) = (one for one in known_catalogue(version).libraries if one.path.endswith("/socket"))
    keys = {key for option in socket.options if option.settable for key in option.keys}
    placed = {row.key.removeprefix("transport.socket.") for row in rows()}
    assert len(keys) >= 10
    assert keys <= placed


NATIVE = [native for native in known_options().natives() if may_be_set(native)]


@pytest.mark.parametrize("native", NATIVE[::6], ids=lambda native: native.name)
def test_a_settable_option_lands_on_its_xlator(native: Native) -> None:
    places = landings(native.name, SLOTS)
    warned = any("no effect" in found.summary for found in check_options({native.name: good_value(native)}))
    types = {place.xlator for place in places}
    if canonical(native.name) == native.name:
        assert bool(types) is not warned
    assert types <= {*native.library.types, "features/access-control"}


def test_files_with_another_name_than_their_xlator_are_those_of_the_libraries() -> None:
    """A volfile uses one of a library's types; the ends of the others are other words for it."""
    words: dict[str, str] = {}
    for library in known_catalogue("10.3").libraries:
        ends = {name.rpartition("/")[2] for name in library.types}
        used = {library.identifier} & ends
        words |= {end: library.identifier for end in ends - used if used}
    assert words == FILES


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("replicate.eager-lock", "cluster.eager-lock"),
        ("afr.eager-lock", "cluster.eager-lock"),
        ("quick-read.cache-size", "performance.quick-read-cache-size"),
        ("write-behind.flush-behind", "performance.flush-behind"),
        ("write-behind.write-behind", "performance.write-behind"),
        ("md-cache.md-cache", "performance.stat-prefetch"),
        ("shard.shard", "features.shard"),
        ("replicate.heal-timeout", "replicate.heal-timeout"),  # the table's name is for two xlators
        ("io-stats.log-level", "io-stats.log-level"),  # the table's names are for one side each
        ("changelog.rollover-time", "changelog.rollover-time"),
        ("performance.no-such", "performance.no-such"),
        ("user.afr.eager-lock", "user.afr.eager-lock"),
    ],
)
def test_a_setting_with_a_name_in_the_table_is_known_by_that(name: str, known: str) -> None:
    assert canonical(name) == known


def test_names_of_the_table_are_no_native_names() -> None:
    assert not [name for name in rows_by_name() if split(name) or canonical(name) != name]


@pytest.mark.parametrize(
    ("name", "value", "summary"),
    [
        ("md-cache.cache-selinux", "perhaps", "option md-cache.cache-selinux: 'perhaps' is not on or off"),
        ("afr.eager-lock", "perhaps", "option afr.eager-lock: 'perhaps' is not on or off"),
        ("read-ahead.page-size", "5", "is not a size such as 64KB or 1GB from 4096 to"),
        ("posix.directory", "/x", "is set by the graph"),
        ("server.auth.addr.*.allow", "*", "is set by the graph"),
        ("replicate.thin-arbiter", "h:/x", "is not supported"),
        ("md-cache.cache-selnux", "on", "there is no option md-cache.cache-selnux"),
        ("frob.speed", "5", "there is no option frob.speed"),
        ("md-cache.cache-selinux", "on\nend-volume", "the value of option md-cache.cache-selinux"),
    ],
)
def test_what_is_wrong_is_said(name: str, value: str, summary: str) -> None:
    (found,) = check_options({name: value})
    assert found.severity is Severity.ERROR
    assert summary in found.summary
    assert found.path == name


def test_a_typo_gets_a_suggestion() -> None:
    (found,) = check_options({"md-cache.cache-selnux": "on"})
    assert "md-cache.cache-selinux" in found.hint


def test_an_option_of_an_xlator_that_is_not_known_gets_the_way_to_those_of_the_machine() -> None:
    (found,) = check_options({"frob.speed": "5"})
    assert found.hint == "If an xlator has it that is installed here: --catalogue installed"
    (found,) = check_options({"qqqqqqqqqqqqqqqq": "5"})
    assert found.hint == ""


def test_an_xlator_that_no_graph_has_is_a_warning() -> None:
    (found,) = check_options({"bit-rot.scrub-freq": "daily"})
    assert found.severity is Severity.WARNING
    assert "no graph of the volume has an xlator bit-rot" in found.summary


def test_one_setting_by_two_names_must_have_one_value() -> None:
    both = {"cluster.eager-lock": "on", "replicate.eager-lock": "on"}
    assert check_options(both) == ()
    (found,) = check_options({**both, "replicate.eager-lock": "off"})
    assert "replicate.eager-lock is cluster.eager-lock by another name" in found.summary
    contradiction = check_options({"read-only.read-only": "on", "features.worm": "on"})
    assert [problem.severity for problem in contradiction] == [Severity.ERROR]


def test_a_catalogue_is_not_read_for_names_of_the_table() -> None:
    def never() -> OptionIndex:
        raise AssertionError

    assert check_options({"cluster.eager-lock": "on", "afr.eager-lock": "on"}, natives=never) == ()
    assert check_options({"frob.speed": "9"}, natives=never, vouched={"frob.speed"}) == ()
    (found,) = check_options({"performance.no-such": "on"}, natives=never, vouched={"performance.no-such"})
    assert found.severity is Severity.ERROR


def test_a_native_name_wins_over_one_that_is_for_several_xlators() -> None:
    options = (
        ("cluster.heal-timeout", "500"),
        ("io-stats.log-level", "DEBUG"),
        ("read-ahead.page-size", "8192"),
        ("performance.read-ahead", "on"),
        ("replicate.heal-timeout", "700"),
        ("replicate.data-self-heal", "off"),
    )
    record = volume(options=options)
    client, healer = client_graph(record, slots=SLOTS), shd_graph(record, secret=SECRET)
    brick = brick_graph(record, record.bricks[0], slots=SLOTS, secret=SECRET)
    (daemon,) = healer.of_type("cluster/replicate")
    assert daemon.options["heal-timeout"] == "700"
    assert daemon.options["data-self-heal"] == "on"  # by any name: the daemon heals everything
    assert client.of_type("cluster/replicate")[0].options["data-self-heal"] == "off"
    assert client.of_type("performance/read-ahead")[0].options["page-size"] == "8192"
    for graph in (client, healer, brick):
        assert graph.of_type("debug/io-stats")[0].options["log-level"] == "DEBUG"
