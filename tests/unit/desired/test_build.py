"""What the declaration means: defaults, profiles, origins, positions, digest."""

from __future__ import annotations

import pytest

from reconciler.desired.groups import GROUPS_10_3
from reconciler.desired.load import load
from reconciler.diagnostics import Severity
from reconciler.errors import DesiredStateError
from reconciler.model.cluster import IsolatedStart, OnCrash, PeerState, Rollback
from reconciler.model.ids import Address
from reconciler.model.volume import DeletionPolicy, RestartPolicy, Shape, VolumeState, VolumeType
from tests.unit.desired.declarations import HEAD, REP3, cluster, desired, errors, findings


def options(text: str, index: int = 0) -> dict[str, tuple[str, str]]:
    return {o.name: (o.value, o.origin) for o in desired(text).spec.volumes[index].options}


def test_defaults_of_everything() -> None:
    spec = desired(cluster(REP3)).spec
    assert (spec.failure_domain, spec.brick_ports, spec.unprotect_delay_s) == ("host", (61000, 65535), 600.0)
    assert spec.isolated_start is IsolatedStart.WAIT
    assert (spec.rollback, spec.on_crash) == (Rollback.CHANGE, OnCrash.CONTINUE)
    volume = spec.volumes[0]
    assert (volume.state, volume.deletion_policy) == (VolumeState.STARTED, DeletionPolicy.PROTECT)
    assert (volume.restart.policy, volume.restart.delay_s) == (RestartPolicy.ON_CRASH, 3.0)
    assert volume.shape == Shape(type=VolumeType.REPLICATE, replica=3)
    assert (volume.volume_id, volume.data, volume.confirm, volume.auth) == (None, None, None, None)


def test_options_come_from_defaults_then_profiles_then_the_volume() -> None:
    spec = (
        "profiles:\n"
        "  - {name: base, options: {a.a: p1, a.b: p1, a.c: p1, a.d: p1}}\n"
        "  - {name: fast, extends: base, options: {a.c: p2}}\n"
        "  - {name: last, options: {a.b: p3}}\n"
        "defaults: {volume: {profiles: [base], options: {a.a: d, a.z: d}}}\n"
    )
    plain = options(cluster(REP3, spec=spec))
    assert plain["a.a"] == ("p1", "profile base")
    assert plain["a.z"] == ("d", "defaults")
    own = options(cluster(REP3 + "profiles: [fast, last]\noptions: {a.d: v}\n", spec=spec))
    assert own == {
        "a.a": ("p1", "profile base"), "a.b": ("p3", "profile last"), "a.c": ("p2", "profile fast"),
        "a.d": ("v", "volume"), "a.z": ("d", "defaults"),
    }  # fmt: skip
    assert options(cluster(REP3 + "profiles: []\n", spec=spec)) == {
        "a.a": ("d", "defaults"),
        "a.z": ("d", "defaults"),
    }


def test_built_in_groups_are_profiles() -> None:
    found = options(cluster(REP3 + "profiles: [builtin/virt]\n"))
    assert found["features.shard"] == ("on", "profile builtin/virt")
    assert len(found) == len(GROUPS_10_3["virt"]) == 25


@pytest.mark.parametrize(
    ("spec", "more", "expected"),
    [
        ("", "profiles: [builtin/vrit]\n", "profile builtin/vrit does not exist"),
        ("", "profiles: [none]\n", "profile none does not exist"),
        ("profiles: [{name: a, extends: b}]\n", "", "profile b does not exist"),
        (
            "profiles: [{name: a, extends: b}, {name: b, extends: a}]\n",
            "",
            "profile a extends itself: a -> b -> a",
        ),
        ("profiles: [{name: a, extends: a}]\n", "", "profile a extends itself: a -> a"),
        ("defaults: {volume: {profiles: [none]}}\n", "", "profile none does not exist"),
    ],
)
def test_profiles_that_cannot_be_resolved_are_one_finding(spec: str, more: str, expected: str) -> None:
    assert [text.partition(" ")[2] for text in errors(cluster(REP3 + more, spec=spec))] == [expected]


def test_chains_of_profiles_are_bounded() -> None:
    chain = "".join(f"  - {{name: p{i}, extends: p{i + 1}}}\n" for i in range(5000))
    found = errors(HEAD + "  profiles:\n" + chain + "  - {name: p5000}\n")
    assert found
    assert all("more than 16 profiles extend one another" in text for text in found)


def test_a_short_file_cannot_unfold_into_a_huge_one() -> None:
    big = ", ".join(f"o{i}: 1" for i in range(500))
    volumes = "".join(
        f"    - {{name: v{i}, type: distribute, bricks: ['gs1:/b/{i}']}}\n" for i in range(1100)
    )
    defaults = "  defaults: {volume: {profiles: [big]}}\n"
    profile = f"  profiles: [{{name: big, options: {{{big}}}}}]\n{defaults}"
    text = f"{HEAD}{profile}  volumes:\n{volumes}"
    summaries = {found.summary for found in findings(text) if found.severity is Severity.ERROR}
    assert summaries == {"profiles unfold into more than 500000 options"}


def test_restart_is_merged_key_by_key_from_cluster_defaults_and_volume() -> None:
    text = cluster(
        REP3 + "restart: {policy: never}\n",
        REP3.replace("home", "two"),
        spec="bricks: {restart: {delay: 7s}}\ndefaults: {volume: {restart: {delay: 9s}}}\n",
    )
    home, two = (volume.restart for volume in desired(text).spec.volumes)
    assert (home.policy, home.delay_s) == (RestartPolicy.NEVER, 9.0)
    assert (two.policy, two.delay_s) == (RestartPolicy.ON_CRASH, 9.0)


def test_settings_of_the_cluster_are_read() -> None:
    spec = desired(
        cluster(
            spec="failureDomain: zone\nports: {bricks: 50000-50100}\nunprotectDelay: 1h30m\n"
            "isolatedStart: start\napply: {rollback: none, onCrash: rollback}\n"
        ).replace("zone: c", "zone: c, state: lost")
    ).spec
    assert (spec.failure_domain, spec.brick_ports, spec.unprotect_delay_s) == ("zone", (50000, 50100), 5400.0)
    assert spec.isolated_start is IsolatedStart.START
    assert (spec.rollback, spec.on_crash) == (Rollback.NONE, OnCrash.ROLLBACK)
    assert spec.peers[2].state is PeerState.LOST


def test_brick_forms_mean_the_same() -> None:
    short = desired(cluster(REP3)).spec
    long = desired(cluster(REP3.replace('"gs1:/b/home/0"', "{peer: gs1, path: /b/home/0}"))).spec
    assert short == long


def test_objects_in_documents_of_their_own_mean_the_same_as_inline_ones() -> None:
    inline = desired(cluster(REP3 + "profiles: [p]\n", spec="profiles: [{name: p, options: {a.b: 1}}]\n"))
    documents = [
        "apiVersion: gluster-state.io/v1\nkind: Cluster\nmetadata: {name: prod}\nspec: {}\n",
        "".join(
            f"---\napiVersion: gluster-state.io/v1\nkind: Peer\nmetadata: {{name: gs{i}}}\n"
            f"spec: {{address: 10.0.0.{i}, zone: {zone}}}\n"
            for i, zone in enumerate("abc", start=1)
        ),
        "apiVersion: gluster-state.io/v1\nkind: Profile\nmetadata: {name: p}\nspec: {options: {a.b: 1}}\n",
        "apiVersion: gluster-state.io/v1\nkind: Volume\nmetadata: {name: home}\nspec:\n"
        "  type: replicate\n  replica: 3\n  profiles: [p]\n"
        "  bricks: ['gs1:/b/home/0', 'gs2:/b/home/0', 'gs3:/b/home/0']\n",
    ]
    split = load([(f"{i}.yaml", text.encode()) for i, text in enumerate(documents)])
    assert split.spec == inline.spec
    assert split.digest == inline.digest
    assert split.files == ("0.yaml", "1.yaml", "2.yaml", "3.yaml")


def test_every_object_and_setting_has_its_place() -> None:
    text = cluster(REP3 + "options: {a.b: 1}\nrestart: {policy: never}\n", spec="unprotectDelay: 5s\n")
    spans = desired(text).spans
    places = {address: (span.line, span.column) for address, span in spans.items()}
    expected = {
        "cluster": (3, 18), "cluster/unprotectDelay": (9, 19), "peer/gs2": (7, 14),
        "peer/gs2/address": (7, 28),
        "volume/home": (11, 13), "volume/home/replica": (13, 16), "brick/home/0.1": (14, 33),
        "option/home/a.b": (15, 22),
    }  # fmt: skip
    assert {address: places.get(Address(address)) for address in expected} == expected


def test_the_digest_ignores_what_has_no_meaning_and_sees_what_has() -> None:
    base = desired(cluster(REP3)).digest
    assert desired("# a comment\n" + cluster(REP3)).digest == base
    assert desired(cluster(REP3 + "x-note: 1\n")).digest == base
    assert desired(cluster("replica: 3\n" + REP3.replace("replica: 3\n", ""))).digest == base
    assert (
        desired(
            cluster(REP3.replace('"gs1:/b/home/0", "gs2:/b/home/0"', '"gs2:/b/home/0", "gs1:/b/home/0"'))
        ).digest
        != base
    )
    assert desired(cluster(REP3 + "options: {a.b: 1}\n")).digest != base
    assert desired(cluster(REP3 + "state: stopped\n")).digest != base
    two = REP3.replace("replica: 3", "replica: 2").replace(', "gs3:/b/home/0"', "")
    arbiters = {desired(cluster(two + f"thinArbiter: arb:/{path}\n")).digest for path in ("a", "b")}
    assert len({desired(cluster(two)).digest, *arbiters}) == 3
    assert desired(cluster(REP3, spec="unprotectDelay: 5s\n")).digest != base


def test_a_file_without_a_document_and_a_run_without_a_cluster_are_errors() -> None:
    assert errors(HEAD, "# nothing\n") == ["1:1 file holds no document"]
    volume = "apiVersion: gluster-state.io/v1\nkind: Peer\nmetadata: {name: a}\nspec: {address: h}\n"
    assert errors(volume) == ["1:1 no document of kind Cluster"]
    with pytest.raises(DesiredStateError):
        load([])


def test_findings_are_sorted_by_file_and_position() -> None:
    found = findings(cluster(REP3 + "zz: 1\n", spec="aa: 1\n"), "a: [\n", "b: {\n")
    keys = [(d.span.file, d.span.line, d.span.column) for d in found if d.span]
    assert keys == sorted(keys)
    assert {key[0] for key in keys} == {"c.yaml", "c1.yaml", "c2.yaml"}


def test_endless_findings_are_cut_off_and_said_to_be() -> None:
    found = findings(HEAD + "".join(f"  k{i}: 1\n" for i in range(1500)) + "  x-end: 1\n")
    assert len(found) == 1000
    found = findings(
        HEAD + "".join(f"  k{i}: 1\n" for i in range(1500)), "".join(f"- &a{i} 1\n" for i in range(50))
    )
    assert len(found) == 1001
    assert found[-1].severity is Severity.NOTE


def test_a_password_does_not_show_in_the_value() -> None:
    assert "s3cret" not in repr(desired(cluster(REP3 + "auth: {username: u, password: s3cret}\n")))
