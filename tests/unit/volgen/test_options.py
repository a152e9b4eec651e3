"""What users hear about their options."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.diagnostics import Severity
from reconciler.model.volume import Shape, VolumeType
from reconciler.volgen.option_table import names, rows
from reconciler.volgen.options import check_options, converted_defaults, creation_defaults
from reconciler.volgen.settings import boolean, byte_count, size_text

TYPOS = {
    "Performance.IO-Cache": "performance.io-cache",
    "auth-allow": "auth.allow",
    "auth.alow": "auth.allow",
    "client.event-thread": "client.event-threads",
    "cluster.data-selfheal": "cluster.data-self-heal",
    "cluster.heal-time-out": "cluster.heal-timeout",
    "cluster.lookup-optimise": "cluster.lookup-optimize",
    "cluster.min-free-space": "cluster.min-free-disk",
    "cluster.quorum_type": "cluster.quorum-type",
    "cluster.rebalance-throttle": "cluster.rebal-throttle",
    "cluster.self-heal-deamon": "cluster.self-heal-daemon",
    "cluster.shd-threads": "cluster.shd-max-threads",
    "diagnostics.client-loglevel": "diagnostics.client-log-level",
    "disperse.quorum": "disperse.quorum-count",
    "features.cache-invalidate": "features.cache-invalidation",
    "features.sharding": "features.shard",
    "features.shard-size": "features.shard-block-size",
    "features.utime": "features.ctime",
    "features.worm-filelevel": "features.worm-file-level",
    "io-cache": "performance.io-cache",
    "network.pingtimeout": "network.ping-timeout",
    "network.remote_dio": "network.remote-dio",
    "nfs.disabled": "nfs.disable",
    "performance.cachesize": "performance.cache-size",
    "performance.client-iothreads": "performance.client-io-threads",
    "performance.io-cach": "performance.io-cache",
    "performance.io-threads": "performance.client-io-threads",
    "performance.iothread-count": "performance.io-thread-count",
    "performance.md-cache": "performance.stat-prefetch",
    "performance.parallel-readir": "performance.parallel-readdir",
    "performance.readahead": "performance.read-ahead",
    "ping-timeout": "network.ping-timeout",
    "root-squash": "server.root-squash",
    "server.ownthread": "server.own-thread",
    "server.rootsquash": "server.root-squash",
    "ssl.cert-depth": "ssl.certificate-depth",
    "storage.owner-id": "storage.owner-uid",
    "transport.adress-family": "transport.address-family",
}  #: what was written -> what was meant


def only_problem(name: str, value: str) -> tuple[Severity, str, str]:
    (problem,) = check_options({name: value})
    assert problem.path == name
    return problem.severity, problem.summary, problem.hint


@pytest.mark.parametrize(("name", "meant"), TYPOS.items())
def test_an_unknown_name_is_an_error_that_says_first_what_was_meant(name: str, meant: str) -> None:
    severity, summary, hint = only_problem(name, "on")
    assert severity is Severity.ERROR
    assert summary == f"there is no option {name}"
    assert hint.removeprefix("Did you mean ").removesuffix("?").split(" or ")[0] == meant


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("performance.io-cache", "maybe", "on or off"),
        ("performance.io-thread-count", "65", "an integer from 1 to 64"),
        ("performance.io-thread-count", "many", "an integer"),
        ("performance.write-behind-window-size", "1 potato", "a size"),
        ("storage.create-mask", "0888", "an integer"),
        ("cluster.quorum-type", "most", "one of none, auto, fixed"),
        ("network.ping-timeout", "soon", "a time"),
    ],
)
def test_a_value_of_the_wrong_kind_is_an_error_that_says_what_is_wanted(
    name: str, value: str, words: str
) -> None:
    severity, summary, _ = only_problem(name, value)
    assert severity is Severity.ERROR
    assert words in summary


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("performance.io-cache", "Enable"),
        ("storage.create-mask", "0755"),
        ("cluster.min-free-disk", "10%"),
        ("cluster.min-free-disk", "5GB"),
        ("network.ping-timeout", "42"),
        ("user.anything", "whatever it says"),
        ("debug.trace", "client"),
        ("nfs.disable", "on"),
        ("config.transport", "tcp"),
        ("cluster.server-quorum-type", "none"),
    ],
)
def test_good_values_pass_in_silence(name: str, value: str) -> None:
    assert not [p for p in check_options({name: value}) if p.severity is Severity.ERROR]


@pytest.mark.parametrize("value", ["a\nend-volume", "`reboot`", "", "a\x00b", "a\u2028b"])
def test_a_value_that_no_volfile_can_hold_is_an_error_under_any_name(value: str) -> None:
    assert only_problem("user.note", value)[0] is Severity.ERROR
    assert only_problem("auth.allow", value)[0] is Severity.ERROR


@pytest.mark.parametrize("name", ["user.a\nb", "user.xlator.a`id`", "user.a\x85", "\u2028", "\x00.x", ""])
def test_a_name_that_no_volfile_can_hold_is_an_error(name: str) -> None:
    severity, summary, _ = only_problem(name, "on")
    assert severity is Severity.ERROR
    assert summary.startswith("an option's name")


@pytest.mark.parametrize(
    "name", ["user.xlator.", "user.xlator.a.", "user.xlator..b", "user.xlator.a b", "user.xlator.a.b c"]
)
def test_an_xlator_of_the_users_without_a_name_is_an_error(name: str) -> None:
    """glusterd makes volfiles of these, which GlusterFS cannot read."""
    severity, summary, _ = only_problem(name, "posix")
    assert severity is Severity.ERROR
    assert summary == f"option {name} names no xlator"


@pytest.mark.parametrize(
    "name", ["user.", "user..", "user.a b", "user.xlator", "user.xlators.", "user.xlator.a"]
)
def test_other_names_of_users_are_free(name: str) -> None:
    assert check_options({name: "posix"}) == ()


def test_server_quorum_is_warned_about_with_the_code_that_a_plan_refuses() -> None:
    (found,) = check_options({"cluster.server-quorum-type": "server"})
    assert (found.severity, found.code) == (Severity.WARNING, "GS407")
    assert "cluster.quorum-type" in found.hint


def test_an_option_of_a_service_that_does_not_run_is_a_warning() -> None:
    assert only_problem("ganesha.enable", "off")[0] is Severity.WARNING
    assert only_problem("ganesha.enable", "on")[0] is Severity.ERROR
    assert only_problem("nfs.disable", "off")[0] is Severity.WARNING


def test_a_bad_value_that_no_xlator_of_the_volume_reads_is_only_a_warning() -> None:
    bad = {"cluster.quorum-type": "most"}
    disperse = Shape(type=VolumeType.DISPERSE, data=4, redundancy=2)
    replicate = Shape(type=VolumeType.REPLICATE, replica=3)
    assert [p.severity for p in check_options(bad, disperse)] == [Severity.WARNING]
    assert [p.severity for p in check_options(bad, replicate)] == [Severity.ERROR]
    limit = {"performance.nl-cache-limit": "lots"}
    assert [p.severity for p in check_options(limit)] == [Severity.WARNING]
    assert [p.severity for p in check_options(limit | {"performance.nl-cache": "on"})] == [Severity.ERROR]


def test_contradictions_are_found_across_options() -> None:
    problems = check_options({"features.read-only": "on", "features.worm": "enable"})
    assert [p.summary for p in problems] == ["options features.read-only and features.worm cannot both be on"]


def test_all_problems_come_at_once_in_order() -> None:
    problems = check_options({"b.b": "1", "a.a": "1", "performance.io-cache": "x"})
    assert [p.path for p in problems] == ["a.a", "b.b", "performance.io-cache"]


def test_every_default_of_the_table_passes_its_own_check() -> None:
    defaults = {
        row.name: row.default for row in rows() if row.default is not None and not names()[row.name].pool
    }
    assert [p.summary for p in check_options(defaults) if p.severity is Severity.ERROR] == []


def test_replicated_volumes_start_with_more_defaults_than_others() -> None:
    plain = dict(creation_defaults(Shape(type=VolumeType.DISPERSE, data=4, redundancy=2)))
    replicated = dict(creation_defaults(Shape(type=VolumeType.REPLICATE, replica=3)))
    assert plain == {"transport.address-family": "inet"}
    assert replicated == plain | {
        "cluster.granular-entry-heal": "on",
        "performance.client-io-threads": "off",
    }


def test_what_glusterd_stored_with_a_volume_is_complete() -> None:
    shape = Shape(type=VolumeType.REPLICATE, replica=3)
    stored = ["nfs.disable", "storage.fips-mode-rchecksum", "transport.address-family"]
    assert creation_defaults(shape, [*stored, "features.shard"]) == ()
    for missing in stored:
        assert creation_defaults(shape, set(stored) - {missing}) == creation_defaults(shape)


def test_a_conversion_changes_what_glusterd_changes_and_nothing_that_was_never_pinned() -> None:
    one, two, three = (
        Shape(type=VolumeType.DISTRIBUTE),
        Shape(type=VolumeType.REPLICATE, replica=2),
        Shape(type=VolumeType.REPLICATE, replica=3),
    )
    threads = ("performance.client-io-threads", "off")
    assert converted_defaults((), two, three) == ()
    assert converted_defaults((), one, two) == (threads,)
    assert converted_defaults((), two, one) == ()
    assert converted_defaults(creation_defaults(two), two, three) == creation_defaults(three)
    alone = dict(converted_defaults(creation_defaults(two), two, one))
    assert alone == {"transport.address-family": "inet", "cluster.granular-entry-heal": "on"}
    assert converted_defaults(tuple(sorted(alone.items())), one, two) == creation_defaults(two)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4096", 4096),
        ("10MB", 10 << 20),
        ("1.5kb", 1536),
        ("7B", 7),
        ("1XB", None),
        ("-1", None),
        ("9e9", None),
    ],
)
def test_sizes_are_read_as_glusterfs_reads_them(text: str, size: int | None) -> None:
    assert byte_count(text) == size


def test_booleans_are_read_as_glusterfs_reads_them() -> None:
    assert [boolean(t) for t in ("1", "ON", "Enable", "no", "disable", "2", "")] == [
        True, True, True, False, False, None, None,
    ]  # fmt: skip


@given(st.integers(0, (1 << 63) - 1))
def test_a_size_reads_back_as_written(count: int) -> None:
    assert byte_count(size_text(count)) == count


def test_a_size_is_written_in_the_largest_unit_without_a_fraction() -> None:
    assert [size_text(n) for n in (1, 1024, 64 << 20, 1 << 30, (1 << 30) + 1)] == [
        "1B", "1KB", "64MB", "1GB", "1073741825B",
    ]  # fmt: skip
