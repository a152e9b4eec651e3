"""Every reason not to make a change, each by itself, and its way out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from reconciler.diff.change import LayoutChanged, PeerAdded, PeerChanged, VolumeRemoved
from reconciler.model.cluster import Acknowledgement, VolumeSpec
from reconciler.model.configured import ConfiguredCluster, PeerRecord, Retained, Settings, VolumeRecord
from reconciler.model.ids import PeerName, VolumeId, VolumeName
from reconciler.model.observed import DISK_TYPES, NodeFact, ObservedCluster, ObservedNode, PathProbe
from reconciler.model.volume import DeletionPolicy, VolumeState
from reconciler.plan import refusals
from reconciler.plan.codes import CODES
from reconciler.plan.planner import Stamp, make_plan
from reconciler.plan.step import Blocker
from tests.plan_world import CLUSTER, World, node_id, simulate
from tests.unit.desired.declarations import REP3, cluster, desired
from tests.volume_samples import SLOTS, volume

OTHER = VolumeId("7d4f5a52-6d1b-4a0e-9d5f-0a6e5c1b2f10")
NOBODY: frozenset[str] = frozenset()
RECORD = volume()  # bricks at gs1:/bricks/home/b0 .. gs3:/bricks/home/b2
PATHS = ", ".join(f'"gs{i + 1}:/bricks/home/b{i}"' for i in range(3))
DECLARED = REP3.replace('"gs1:/b/home/0", "gs2:/b/home/0", "gs3:/b/home/0"', PATHS)


def spec_of(text: str) -> VolumeSpec:
    return desired(cluster(text)).spec.volumes[0]


def said(blockers: Iterable[Blocker]) -> list[tuple[str, str]]:
    """Return codes and summaries; every code must be one that can be explained, with a way out."""
    found = list(blockers)
    assert all(b.code in CODES and b.hint for b in found)
    return [(b.code, b.summary) for b in found]


# ---------------------------------------------------------------- what stands at a new brick's path

FINE = PathProbe(peer=PeerName("gs1"), path="/bricks/home/b0", mount="/bricks", fs_uuid="FS-0", fs_type="xfs")


def looked(probe: PathProbe | None) -> ObservedCluster:
    """Return an observation in which only what stands at the first brick's path is in question."""
    nodes = {}
    for i, brick in enumerate(RECORD.bricks):
        other = replace(FINE, peer=brick.peer, path=brick.path)
        probes = {brick.path: probe if i == 0 else other}
        nodes[brick.peer] = ObservedNode(
            node_id=brick.node_id,
            peer=brick.peer,
            live=True,
            answered=True,
            probes={path: found for path, found in probes.items() if found is not None},
        )
    return ObservedCluster(revision=1, observed_at=1, nodes=nodes)


def bricks(probe: PathProbe | None, first: str = '"gs1:/bricks/home/b0"') -> list[tuple[str, str]]:
    spec = spec_of(DECLARED.replace('"gs1:/bricks/home/b0"', first))
    return said(refusals.new_brick_blockers(spec, RECORD, looked(probe)))


def test_an_absent_path_and_an_empty_directory_on_a_disk_are_fine() -> None:
    assert bricks(FINE) == []
    assert bricks(replace(FINE, kind="directory")) == []


def test_a_brick_that_an_earlier_try_prepared_is_fine() -> None:
    ours = replace(
        FINE, kind="directory", volume_id=RECORD.volume_id, identity=RECORD.bricks[0].uuid, entries=("x",)
    )
    assert bricks(ours) == []


def test_a_path_at_which_nobody_looked_is_not_taken_for_an_empty_one() -> None:
    assert bricks(None) == [("GS601", "what stands at gs1:/bricks/home/b0 is not known")]


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ({"problem": "permission denied"}, "permission denied"),
        ({"problem": "permission denied", "mount": "/"}, "permission denied"),
        ({"kind": "file"}, "it is a file"),
        ({"kind": "symlink"}, "it is a symlink"),
        ({"volume_id": OTHER}, f"it is a brick of another volume, {OTHER}"),
        ({"volume_id": RECORD.volume_id, "identity": RECORD.bricks[1].uuid}, "it is another brick, "),
        ({"identity": OTHER}, f"it is another brick, {OTHER}"),
        ({"parent_volume": "/bricks/arch"}, "it lies inside the brick /bricks/arch"),
        ({"kind": "directory", "entries": ("a", "b")}, "the directory is not empty (it has a, b)"),
    ],
)
def test_nothing_that_is_there_is_ever_overwritten(what: dict[str, object], words: str) -> None:
    ((code, summary),) = bricks(replace(FINE, **what))  # type: ignore[arg-type]
    assert code == "GS111"
    assert words in summary
    assert "gs1:/bricks/home/b0 cannot become a brick" in summary


@pytest.mark.parametrize("kind", ["absent", "directory"])
def test_the_root_filesystem_is_refused_unless_it_is_declared(kind: str) -> None:
    root = replace(FINE, kind=kind, mount="/")
    ((code, summary),) = bricks(root)
    assert (code, "root filesystem" in summary) == ("GS112", True)
    assert bricks(root, "{peer: gs1, path: /bricks/home/b0, mount: /}") == []


def test_what_is_no_local_disk_is_refused_unless_its_mount_is_declared() -> None:
    for fs_type in ("tmpfs", "nfs4", "overlay", ""):
        ((code, summary),) = bricks(replace(FINE, fs_type=fs_type))
        assert (code, "no local disk" in summary) == ("GS112", True)
    declared = "{peer: gs1, path: /bricks/home/b0, mount: /bricks}"
    assert bricks(replace(FINE, fs_type="tmpfs"), declared) == []
    assert [bricks(replace(FINE, fs_type=fs_type)) for fs_type in sorted(DISK_TYPES)] == [[]] * len(
        DISK_TYPES
    )


def test_a_declared_mount_or_filesystem_must_be_the_one_that_is_there() -> None:
    mount = "{peer: gs1, path: /bricks/home/b0, mount: /bricks}"
    assert bricks(FINE, mount) == []
    ((code, summary),) = bricks(replace(FINE, mount="/"), mount)
    assert (code, "mounted at /, declared is /bricks" in summary) == ("GS112", True)
    uuid = f"{{peer: gs1, path: /bricks/home/b0, fsUUID: {OTHER}}}"
    assert bricks(replace(FINE, fs_uuid=OTHER.upper()), uuid) == []
    ((code, summary),) = bricks(FINE, uuid)
    assert (code, f"its filesystem is FS-0, declared is {OTHER}" in summary) == ("GS112", True)
    ((code, summary),) = bricks(replace(FINE, fs_uuid=""), uuid)
    assert (code, "without UUID" in summary) == ("GS112", True)


def test_a_brick_without_a_port_is_refused() -> None:
    first, *others = RECORD.bricks
    record = replace(RECORD, bricks=(replace(first, port=0), *others))
    found = said(refusals.new_brick_blockers(spec_of(DECLARED), record, looked(FINE)))
    assert found == [("GS313", "no free brick port for gs1:/bricks/home/b0")]


# ---------------------------------------------------------------- ids, domains, addresses, secrets


def configured(*records: VolumeRecord, retained: tuple[VolumeRecord, ...] = ()) -> ConfiguredCluster:
    return ConfiguredCluster(
        cluster_id=CLUSTER,
        name="prod",
        revision=1,
        volumes={r.name: r for r in records},
        retained=tuple(Retained(volume=r, deleted_at=1) for r in retained),
    )


def test_a_new_volume_does_not_take_the_id_of_another_one() -> None:
    fresh = replace(volume("fresh"), volume_id=RECORD.volume_id)
    assert said(refusals.id_blockers(volume("fresh"), configured(RECORD))) == []
    ((code, summary),) = said(refusals.id_blockers(fresh, configured(RECORD)))
    assert (code, "that of volume home, a configured one" in summary) == ("GS504", True)
    ((code, summary),) = said(refusals.id_blockers(fresh, configured(retained=(RECORD,))))
    assert (code, "whose data is kept" in summary) == ("GS504", True)


SHARED = DECLARED.replace("gs2:", "gs1:")


def domains(text: str, allowed: frozenset[str] = NOBODY) -> list[tuple[str, str]]:
    wanted = desired(cluster(text))
    return said(refusals.domain_blockers(wanted, RECORD, allowed))


def test_two_copies_on_one_host_are_refused_until_somebody_accepts_that() -> None:
    assert domains(DECLARED) == []
    assert domains(SHARED) == [("GS203", "2 bricks of one subvolume are on peer gs1 (at most 1)")]
    assert domains(SHARED + 'acknowledge: [{code: GS203, reason: "a test"}]\n') == []
    assert domains(SHARED + "maxBricksPerDomain: 2\n") == []
    assert domains(SHARED, frozenset({"GS203=volume/home"})) == []
    assert domains(SHARED, frozenset({"GS203=volume/arch", "GS204=volume/home"})) != []


def test_the_domain_of_another_volume_is_not_blamed_on_this_one() -> None:
    wanted = desired(cluster(DECLARED, SHARED.replace("home", "arch")))
    assert said(refusals.domain_blockers(wanted, RECORD, NOBODY)) == []


def test_a_peer_with_bricks_does_not_change_its_address() -> None:
    peer = desired(cluster()).spec.peers[0]
    at = replace(peer, address=RECORD.bricks[0].host)
    record = PeerRecord(name=peer.name, address=at.address, zone="", node_id=node_id(peer.name))
    moved = PeerChanged(replace(at, address="10.9.9.9"), record)
    ((code, summary),) = said(refusals.address_blockers(moved, configured(RECORD)))
    assert (code, "declared as 10.9.9.9, but bricks of home are elsewhere" in summary) == ("GS102", True)
    assert said(refusals.address_blockers(moved, configured())) == []
    assert (
        said(refusals.address_blockers(PeerChanged(replace(at, zone="z"), record), configured(RECORD))) == []
    )
    assert said(refusals.address_blockers(PeerAdded(at), configured(RECORD))) == []


def test_credentials_in_a_declaration_are_refused_for_old_volumes_too() -> None:
    auth = "auth: {username: u, password: secret-word}\n"
    wanted = desired(cluster(REP3 + auth, DECLARED.replace("home", "arch")))
    (found,) = refusals.secret_blockers(wanted.spec)
    assert (found.code, found.address) == ("GS502", "volume/home")
    assert "secret-word" not in repr(found)


def test_a_thin_arbiter_is_refused_by_name_and_not_half_done() -> None:
    two = "{name: v, type: replicate, replica: 2, thinArbiter: 'arb:/ta', bricks: ['gs1:/b/v', 'gs2:/b/v']}"
    wanted = desired(cluster(DECLARED, two))
    (found,) = refusals.thin_arbiter_blockers(wanted.spec)
    assert (found.code, found.address) == ("GS208", "volume/v")
    assert "arb:/ta" in found.summary
    assert said(refusals.risk_blockers(spec_of(two), NOBODY, 0)) == []
    gone = replace(wanted.spec.volumes[1], state=VolumeState.ABSENT)
    assert said(refusals.thin_arbiter_blockers(replace(wanted.spec, volumes=(gone,)))) == []


# ---------------------------------------------------------------- risks and options


@pytest.mark.parametrize(
    ("shape", "code"),
    [
        ("{name: v, type: distribute, bricks: ['gs1:/bricks/v']}", "GS204"),
        ("{name: v, type: replicate, replica: 2, bricks: ['gs1:/bricks/v', 'gs2:/bricks/v']}", "GS205"),
    ],
)
def test_a_risky_shape_needs_somebody_who_accepted_it(shape: str, code: str) -> None:
    spec, now = spec_of(shape), 1_790_000_000  # 2026-09-21, in UTC
    assert [c for c, _ in said(refusals.risk_blockers(spec, NOBODY, now))] == [code]
    assert said(refusals.risk_blockers(spec, frozenset({f"{code}=volume/v"}), now)) == []
    assert said(refusals.risk_blockers(spec, frozenset({f"{code}=volume/w", "GS299=volume/v"}), now)) != []
    for until, accepted in (("", True), ("2026-09-21", True), ("2026-09-20", False)):
        known = replace(spec, acknowledge=(Acknowledgement(code=code, reason="r", until=until),))
        assert (said(refusals.risk_blockers(known, NOBODY, now)) == []) is accepted
    foreign = replace(spec, acknowledge=(Acknowledgement(code="GS203", reason="r"),))
    assert said(refusals.risk_blockers(foreign, NOBODY, now)) != []


def test_shapes_with_redundancy_and_a_vote_are_no_risk() -> None:
    disperse = "{name: v, type: disperse, data: 2, redundancy: 1, bricks: [gs1:/b/v, gs2:/b/v, gs3:/b/v]}"
    for text in (DECLARED, DECLARED.replace("replica: 3", "replica: 3\narbiter: 1"), disperse):
        assert said(refusals.risk_blockers(spec_of(text), NOBODY, 0)) == []
    assert said(refusals.risk_blockers(replace(spec_of(DECLARED), shape=None), NOBODY, 0)) == []


def options(**values: str) -> list[str]:
    named = {name.replace("__", "."): value for name, value in values.items()}
    text = ", ".join(f'{name}: "{value}"' for name, value in named.items())
    spec = spec_of(DECLARED + f"options: {{{text}}}\n")
    record = replace(RECORD, options=tuple(sorted(named.items())))
    return [
        code
        for code, _ in said(
            replace(b, hint=b.hint or "-") for b in refusals.option_blockers(spec, record, SLOTS)
        )
    ]


def test_options_must_exist_fit_and_make_a_volfile() -> None:
    assert options() == options(storage__reserve="3") == options(user__note="anything") == []
    assert options(storage__reserve="many") == ["GS401"]
    assert options(no__such="1", storage__reserve="many") == ["GS401", "GS401"]
    both = {"features__read-only": "on", "features__worm": "on"}
    assert options(**both) == ["GS401"]
    assert options(user__xlator__mine="nowhere") == ["GS401"]
    assert options(user__xlator__trace="posix", debug__trace="posix") == ["GS405"]  # two of one name


def ran_by(**versions: str) -> ObservedCluster:
    """Return an observation of peers with these versions of GlusterFS; one without a version has no facts."""
    seen = looked(FINE)
    nodes = {
        peer: replace(
            node,
            fact=NodeFact(
                node_id=node.node_id, peer=peer, address="a", boot_id="b", agent_version="1",
                gluster_version=versions[peer], started_at=1,
            ),
        )
        if versions.get(peer)
        else node
        for peer, node in seen.nodes.items()
    }  # fmt: skip
    return replace(seen, nodes=nodes)


def test_an_option_is_no_newer_than_the_glusterfs_of_any_peer_with_bricks() -> None:
    spec = spec_of(DECLARED + 'options: {ctime.noatime: "on", cluster.use-anonymous-inode: "no"}\n')
    old = ran_by(gs1="10.3", gs2="8.6", gs3="3.12.15")
    assert said(refusals.version_blockers(spec, RECORD, old)) == [
        ("GS408", "option cluster.use-anonymous-inode is newer than GlusterFS 8.6 of peer gs2"),
        ("GS408", "option cluster.use-anonymous-inode is newer than GlusterFS 3.12.15 of peer gs3"),
        ("GS408", "option ctime.noatime is newer than GlusterFS 3.12.15 of peer gs3"),
    ]
    assert said(refusals.version_blockers(spec, RECORD, ran_by(gs1="10.3", gs2="9.0"))) == []


def test_a_plan_asks_every_peer_for_its_version() -> None:
    text = cluster(REP3 + 'options: {ctime.noatime: "on"}\n')
    given = World().given(desired(text))
    facts = ran_by(gs1="10.3", gs2="10.3", gs3="3.12.15").nodes
    nodes = {p: replace(n, fact=facts[p].fact) for p, n in given.observed.nodes.items() if p in facts}
    old = replace(given, observed=replace(given.observed, nodes=nodes))
    stamp = Stamp(plan_id="p", now=0, tool_version="0")
    assert [b.code for b in make_plan(given, stamp).blockers] == []
    assert [b.code for b in make_plan(old, stamp).blockers] == ["GS408"]


def test_a_layout_is_not_changed() -> None:
    blocker = refusals.layout_blocker(LayoutChanged(spec_of(DECLARED), RECORD, "gs9:/x is new"))
    assert said([blocker]) == [("GS102", "its layout cannot be changed by this version: gs9:/x is new")]


# ---------------------------------------------------------------- tombstones

OLD = 1_790_000_000
DELETABLE = replace(RECORD, deletion_policy=DeletionPolicy.DELETE, policy_since=OLD)
CONSENT = frozenset({"GS101=volume/home"})
WAIT = Settings(unprotect_delay_s=600.0)


def removal(
    record: VolumeRecord = DELETABLE,
    *,
    more: str = "",
    confirm: str = RECORD.volume_id,
    allowed: frozenset[str] = CONSENT,
    age: int = 600,
) -> list[str]:
    text = f"{{name: home, state: absent, confirm: {confirm}{more}}}"
    change = VolumeRemoved(spec_of(text), record)
    found = said(refusals.removal_blockers(change, WAIT, allowed, OLD + age))
    assert all(code == "GS101" for code, _ in found)
    return [summary for _, summary in found]


def test_a_tombstone_with_everything_it_needs_is_obeyed() -> None:
    assert removal() == []
    assert removal(replace(DELETABLE, deletion_policy=DeletionPolicy.RETAIN), more=", data: retain") == []


def test_a_tombstone_must_name_the_live_volume() -> None:
    assert removal(confirm=OTHER) == [f"confirm: {OTHER} is not the id of the live volume"]


def test_a_protected_volume_stays_whatever_the_file_says() -> None:
    protected = replace(DELETABLE, deletion_policy=DeletionPolicy.PROTECT)
    expected = ["the volume is protected and cannot be deleted"]
    assert removal(protected) == removal(protected, more=", deletionPolicy: Delete") == expected


def test_a_weaker_policy_must_have_been_live_for_the_stored_delay() -> None:
    assert removal(age=599) == ["deletionPolicy Delete is live for 599 s only"]
    assert removal(age=600) == []
    assert removal(age=-5) == ["deletionPolicy Delete is live for -5 s only"]  # a clock that went back


def test_wipe_and_missing_consent_are_refused() -> None:
    assert removal(more=", data: wipe, deletionPolicy: Delete") == [
        "data: wipe is not supported: no part of this program deletes users' data"
    ]
    assert removal(allowed=frozenset({"GS101=volume/other"})) == ["deleting a volume needs consent"]


def test_the_delay_that_counts_is_the_stored_one_not_the_one_declared_with_the_tombstone() -> None:
    world = World()
    text = cluster(DECLARED + "deletionPolicy: Delete\n", spec="unprotectDelay: 10h\n")
    world = simulate(world.plan(desired(text)), world)
    live = world.configured.volumes[VolumeName("home")]
    gone = f"{{name: home, state: absent, confirm: {live.volume_id}}}"
    plan = world.plan(desired(cluster(gone, spec="unprotectDelay: 0s\n")), allow=("GS101=volume/home",))
    assert [b.code for b in plan.blockers] == ["GS101"]
    assert plan.steps == ()


def test_what_a_builtin_group_sets_without_effect_blocks_nothing_and_the_same_by_hand_does() -> None:
    spec = spec_of(DECLARED + "profiles: [builtin/virt]\n")
    assert "cluster.server-quorum-type" in {option.name for option in spec.options}
    assert said(refusals.option_blockers(spec, RECORD, SLOTS)) == []
    by_hand = replace(spec, options=tuple(replace(o, origin="volume") for o in spec.options))
    assert [code for code, _ in said(refusals.option_blockers(by_hand, RECORD, SLOTS))] == ["GS407"]
