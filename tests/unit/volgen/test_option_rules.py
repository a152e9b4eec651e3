"""Options seen together with the volume's shape and with each other."""

from __future__ import annotations

import pytest

from reconciler.catalogue.known import known_options
from reconciler.catalogue.option import OptionType
from reconciler.diagnostics import Severity
from reconciler.model.volume import Shape, VolumeType
from reconciler.volgen.option_facts import facts_of
from reconciler.volgen.option_rules import too_new
from reconciler.volgen.option_table import names
from reconciler.volgen.options import Named, check_options

DISTRIBUTE = Shape(type=VolumeType.DISTRIBUTE)
REPLICATE = Shape(type=VolumeType.REPLICATE, replica=3)
ARBITER = Shape(type=VolumeType.REPLICATE, replica=3, arbiter=1)
DISPERSE = Shape(type=VolumeType.DISPERSE, data=4, redundancy=2)
SHAPES = {"distribute": DISTRIBUTE, "replicate": REPLICATE, "disperse": DISPERSE}


def found(severity: Severity, options: dict[str, str], shape: Shape | None, subvolumes: int = 0) -> list[str]:
    problems = check_options(options, shape, volume=Named(name="home", subvolumes=subvolumes))
    assert {problem.path for problem in problems} <= options.keys()
    return [problem.summary for problem in problems if problem.severity is severity]


def errors(options: dict[str, str], shape: Shape | None = None, subvolumes: int = 0) -> list[str]:
    return found(Severity.ERROR, options, shape, subvolumes)


def warnings(options: dict[str, str], shape: Shape | None = None) -> list[str]:
    return found(Severity.WARNING, options, shape)


@pytest.mark.parametrize(
    ("name", "place", "expected"),
    [
        ("frob", "posix", []),
        ("frob", "io-stats", []),
        ("frob", "nowhere", ["option user.xlator.frob: a brick has no xlator 'nowhere' to put it on"]),
        ("frob", "server", ["option user.xlator.frob: a brick has no xlator 'server' to put it on"]),
        ("locks", "posix", ["option user.xlator.locks: 'locks' cannot be an xlator of one's own"]),
        ("server", "posix", ["option user.xlator.server: 'server' cannot be an xlator of one's own"]),
    ],
)
def test_an_own_xlator_has_a_name_and_a_place_of_its_own(name: str, place: str, expected: list[str]) -> None:
    assert errors({f"user.xlator.{name}": place}) == expected
    assert errors({"user.xlator.frob.key": place}) == []


ONLY = [(name, facts.only) for name, facts in names().items() if facts.only]


@pytest.mark.parametrize(("name", "only"), ONLY)
def test_an_option_of_one_type_of_volume_is_refused_on_the_others(name: str, only: str) -> None:
    value = {"disperse.quorum-count": "5", "cluster.shd-max-threads": "4", "disperse.shd-max-threads": "4"}
    options = {name: value.get(name, "on")}
    for kind, shape in SHAPES.items():
        expected = [] if kind == only else [f"option {name} cannot be set on a {kind} volume"]
        assert errors(options, shape) == expected
        if kind != only:
            assert errors({name: "no such value"}, shape) == expected
    assert errors(options) == []


def test_which_options_are_of_one_type() -> None:
    assert len(ONLY) == 9
    assert errors({"cluster.heal-timeout": "60", "cluster.quorum-type": "auto"}, DISPERSE) == []


@pytest.mark.parametrize(
    ("name", "value", "shape", "fine"),
    [
        ("cluster.quorum-count", "3", REPLICATE, True),
        ("cluster.quorum-count", "4", REPLICATE, False),
        ("cluster.quorum-count", "0", REPLICATE, False),
        ("cluster.quorum-count", "3", ARBITER, True),
        ("cluster.quorum-count", "1", DISPERSE, True),
        ("cluster.quorum-count", "2", DISTRIBUTE, False),
        ("cluster.quorum-count", "two", DISTRIBUTE, False),
        ("disperse.quorum-count", "3", DISPERSE, False),
        ("disperse.quorum-count", "4", DISPERSE, True),
        ("disperse.quorum-count", "6", DISPERSE, True),
        ("disperse.quorum-count", "7", DISPERSE, False),
        ("cluster.subvols-per-directory", "2", DISTRIBUTE, True),
        ("cluster.subvols-per-directory", "3", DISTRIBUTE, False),
        ("cluster.subvols-per-directory", "0", DISTRIBUTE, False),
    ],
)
def test_counts_fit_the_volume(name: str, value: str, shape: Shape, *, fine: bool) -> None:
    assert (errors({name: value}, shape, subvolumes=2) == []) is fine


def test_the_number_of_subvolumes_may_be_unknown() -> None:
    assert errors({"cluster.subvols-per-directory": "3"}, DISTRIBUTE) == []


def test_the_smallest_file_to_cache_is_not_larger_than_the_largest() -> None:
    low, high = "performance.cache-min-file-size", "performance.cache-max-file-size"
    assert errors({low: "2MB", high: "2048KB"}) == []
    assert errors({low: "3MB"}) == []
    assert errors({low: "3MB", high: "2MB"}) == [f"option {low}: '3MB' is more than {high}"]
    native = {"io-cache.min-file-size": "3MB", high: "2MB"}
    assert errors(native) == [f"option io-cache.min-file-size: '3MB' is more than {high}"]


#: what glusterd takes and no process starts with (tried on both), and what both take
UNSTARTABLE = [
    ({"network.tcp-window-size": "64KB"}, {"network.tcp-window-size": "65536"}),
    ({"network.tcp-window-size": "1.5KB"}, {"network.tcp-window-size": "010"}),
    ({"transport.listen-backlog": "0x10"}, {"transport.listen-backlog": "010"}),
    ({"transport.address-family": "INET"}, {"transport.address-family": "inet6"}),
    ({"transport.address-family": "unix"}, {"transport.address-family": "inet-sdp"}),
    ({"server.tcp-user-timeout": "10s"}, {"server.tcp-user-timeout": "0x10"}),
    ({"client.tcp-user-timeout": "10s"}, {"client.tcp-user-timeout": "10"}),
    ({"client.keepalive-count": "many"}, {"client.keepalive-count": "-1"}),
    ({"transport.keepalive": "maybe"}, {"transport.keepalive": "Enable"}),
    *(
        ({name: "-1", "performance.quick-read": "on"}, {name: "4294967296"})
        for name in (
            "features.cache-invalidation-timeout",
            "features.lease-lock-recall-timeout",
            "performance.qr-cache-timeout",
            "performance.quick-read-cache-timeout",
            "server.gid-timeout",
        )
    ),
    (
        {"performance.cache-min-file-size": "1", "performance.io-cache": "on"},
        {"performance.cache-min-file-size": "0", "performance.io-cache": "on"},
    ),
    ({"performance.aggregate-size": "1048577"}, {"performance.aggregate-size": "1MB"}),
    (
        {"performance.aggregate-size": "1MB", "performance.write-behind-window-size": "512KB"},
        {"performance.aggregate-size": "2MB", "performance.write-behind-window-size": "2MB"},
    ),
]


@pytest.mark.parametrize(("bad", "good"), UNSTARTABLE, ids=lambda options: " ".join(options.values()))
def test_what_glusterd_takes_and_no_process_starts_with_is_a_warning_that_plans_refuse(
    bad: dict[str, str], good: dict[str, str]
) -> None:
    (problem,) = check_options(bad)
    assert (problem.severity, problem.code) == (Severity.WARNING, "GS405")
    assert problem.path == next(iter(bad))
    assert "processes that read it do not start" in problem.summary
    assert check_options(good) == ()


@pytest.mark.parametrize(
    ("value", "starts"), [("-5", True), ("0x2", True), ("3", False), ("99999999999", False)]
)
def test_the_copy_to_read_is_one_of_the_subvolume(value: str, *, starts: bool) -> None:
    name = "cluster.read-subvolume-index"
    found = check_options({name: value}, REPLICATE)
    assert [(p.severity, p.code) for p in found] == ([] if starts else [(Severity.WARNING, "GS405")])
    assert all("is not up to 2, the number of a subvolume's last brick" in p.summary for p in found)
    assert check_options({name: value}, DISPERSE) == ()


@pytest.mark.parametrize(
    "options",
    [
        {"performance.qr-cache-timeout": "-1", "performance.quick-read": "off"},
        {"performance.cache-min-file-size": "4KB", "performance.io-cache": "off"},
        {"performance.cache-min-file-size": "4KB", "performance.cache-max-file-size": "8KB"},
        {"performance.aggregate-size": "2MB", "performance.write-behind": "off"},
    ],
)
def test_what_no_process_of_the_volume_reads_stops_none(options: dict[str, str]) -> None:
    assert check_options(options) == ()


@pytest.mark.parametrize("name", ["client.tcp-window-size", "server.tcp-window-size"])
def test_glusterd_has_no_such_name_so_a_value_that_no_process_takes_is_an_error(name: str) -> None:
    assert errors({name: "64KB"}) == [f"option {name}: '64KB' is not a decimal number without a unit"]
    assert check_options({name: "65536"}) == ()


@pytest.mark.parametrize("name", ["performance.read-after-open", "open-behind.read-after-open"])
def test_root_squash_decides_about_reads_after_open(name: str) -> None:
    squashed = {"server.root-squash": "on"}
    assert warnings({name: "off", **squashed}) == [
        f"option {name} has no effect: server.root-squash keeps it on"
    ]
    assert errors({name: "off", **squashed}) == []
    assert check_options({name: "on", **squashed}) == ()
    assert check_options({name: "off", "server.root-squash": "off"}) == ()


@pytest.mark.parametrize(
    ("name", "value", "switch"),
    [
        ("features.trash-dir", ".recycle", "features.trash"),
        ("features.quota-deem-statfs", "on", "features.quota"),
    ],
)
def test_an_option_without_its_feature_is_refused(name: str, value: str, switch: str) -> None:
    assert errors({name: value}) == [f"option {name} needs {switch} on"]
    assert errors({name: value, switch: "on"}) == []
    off = {name: value, switch: "off"}
    assert errors(off) == []
    assert warnings(off) == [f"option {name} has no effect: {switch} is not on"]


def test_tls_needs_both_sides() -> None:
    assert warnings({"client.ssl": "on", "server.ssl": "on", "ssl.cipher-list": "HIGH"}) == []
    assert warnings({"client.ssl": "on"}) == [
        "option client.ssl is on and server.ssl is not: no client can connect to a brick"
    ]
    assert warnings({"ssl.cipher-list": "HIGH"}) == [
        "option ssl.cipher-list has no effect: server.ssl is not on"
    ]


def test_caches_that_are_trusted_longer_than_changes_are_told() -> None:
    told = {"performance.cache-invalidation": "on", "features.cache-invalidation": "on"}
    assert warnings({"performance.cache-invalidation": "on"}) != []
    assert warnings(told) == warnings({**told, "performance.md-cache-timeout": "60"}) == []
    assert warnings({"performance.md-cache-timeout": "600"}) == []
    assert len(warnings({**told, "performance.md-cache-timeout": "600"})) == 1
    longer = {"features.cache-invalidation-timeout": "600", "performance.md-cache-timeout": "600"}
    assert warnings({**told, **longer}) == []


def test_a_fixed_quorum_without_a_count_is_none() -> None:
    assert len(warnings({"cluster.quorum-type": "fixed"}, REPLICATE)) == 1
    assert warnings({"cluster.quorum-type": "fixed", "cluster.quorum-count": "2"}, REPLICATE) == []


@pytest.mark.parametrize("name", [name for name, facts in names().items() if facts.pool])
def test_options_of_a_whole_pool_are_no_options_of_a_volume(name: str) -> None:
    (summary,) = errors({name: "51"})
    assert f"option {name} is no option of a volume" in summary


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cluster.rebal-throttle", "fast"),
        ("features.uss", "perhaps"),
        ("features.snapshot-directory", "snaps"),
        ("features.retention-mode", "strict"),
        ("features.default-retention-period", "2hr"),
        ("locks.mandatory-locking", "on"),
        ("performance.rda-cache-limit", "lots"),
        ("transport.listen-backlog", "-1"),
        ("features.shard", "perhaps"),
        ("auth.allow", "a_b"),
        ("cluster.min-free-inodes", "101%"),
        ("network.ping-timeout", "20min"),
        ("cluster.server-quorum-type", "off"),
        ("storage.max-hardlinks", "-5"),
        ("geo-replication.indexing", "5"),
        ("features.scrub-throttle", "frantic"),
        ("config.memory-accounting", "5"),
        ("ssl.own-cert", "   "),
    ],
)
def test_values_that_glusterd_judges_whatever_the_volume_reads(name: str, value: str) -> None:
    assert len(errors({name: value}, DISTRIBUTE)) == 1


def test_values_for_a_debugging_xlator_count_once_one_is_placed() -> None:
    bad = {"debug.log-file": "perhaps"}
    assert errors(bad) == []
    assert len(warnings(bad)) == 1
    assert errors({**bad, "debug.error-gen": "posix", "debug.trace": "off"}) == []
    assert len(errors({**bad, "debug.trace": "posix"})) == 1


def test_a_subvolume_to_read_from_is_one_of_the_volume() -> None:
    assert errors({"cluster.read-subvolume": "home-client-1"}, REPLICATE) == []
    assert len(errors({"cluster.read-subvolume": "other-client-1"}, REPLICATE)) == 1
    assert errors({"cluster.read-subvolume": "other-client-1"}, DISTRIBUTE) == []


@pytest.mark.parametrize(
    ("version", "names_too_new"),
    [
        ("10.3", []),
        ("11.1", []),
        ("9.6", ["rebalance.ensure-durability"]),
        ("7.1", ["cluster.optimistic-change-log", "rebalance.ensure-durability"]),
        ("7.2", ["rebalance.ensure-durability"]),
        ("3.12.15", ["cluster.optimistic-change-log", "rebalance.ensure-durability", "utime.noatime"]),
        ("2019.05.07", []),
        ("devel", []),
        ("", []),
    ],
)
def test_options_are_as_old_as_glusterd_says(version: str, names_too_new: list[str]) -> None:
    options = ["utime.noatime", "rebalance.ensure-durability", "cluster.optimistic-change-log", "user.x"]
    assert list(too_new([*options, "performance.io-cache", "frob.speed"], version)) == names_too_new


def test_rules_say_the_name_that_was_declared() -> None:
    """The problem's place is looked up by it: a name that nobody wrote has none."""
    both = {"read-only.read-only": "on", "worm.worm": "on"}
    assert errors(both) == ["options read-only.read-only and features.worm cannot both be on"]


def test_people_are_told_what_processes_take() -> None:
    index = known_options()
    family, window = (facts_of(n, index) for n in ("transport.address-family", "network.tcp-window-size"))
    assert family is not None
    assert family.values == ("inet", "inet6", "inet-sdp")
    assert window is not None
    assert (window.type, window.low, window.high) == (OptionType.INT, 0, 1048576)
