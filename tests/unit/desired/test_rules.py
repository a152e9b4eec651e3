"""Rules across objects: each one refuses what it is for, at the right place, and nothing else."""

from __future__ import annotations

import pytest

from reconciler.desired.brick_rules import path_problem
from reconciler.desired.peer_rules import address_problem
from tests.unit.desired.declarations import HEAD, REP3, cluster, errors, findings, warnings

UUID = "5b0f2c1e-8a54-4f0e-9a3c-1d5f0a6e7c11"
ACK = 'acknowledge: [{code: GS204, reason: "test"}]\n'


def volume(shape: str, *bricks: str, more: str = "", name: str = "v") -> str:
    listed = ", ".join(f'"{brick}"' for brick in bricks)
    return f"name: {name}\n{shape}\nbricks: [{listed}]\n{more}"


def dist(*bricks: str, name: str = "v", more: str = "") -> str:
    return volume("type: distribute", *bricks, more=ACK + more, name=name)


def test_a_good_cluster_has_no_findings() -> None:
    assert findings(cluster(REP3)) == []


def test_the_arbiter_message_is_the_documented_one() -> None:
    text = cluster(volume("type: replicate\nreplica: 2\narbiter: 1", "gs1:/b/0", "gs2:/b/0"))
    found = findings(text)[0]
    assert found.summary == "replica must be 3 when arbiter is 1 (found 2)"
    assert found.hint.startswith("did you mean 3?")
    assert (str(found.span), found.path) == ("c.yaml:12:16", "spec.volumes[0].replica")


@pytest.mark.parametrize(
    ("shape", "count", "expected"),
    [
        ("type: replicate\nreplica: 3", 4, "4 bricks cannot be divided into subvolumes of 3"),
        ("type: replicate\nreplica: 3\narbiter: 1", 2, "2 bricks cannot be divided into subvolumes of 3"),
        ("type: disperse\ndata: 2\nredundancy: 1", 1, "1 brick cannot be divided into subvolumes of 3"),
        ("type: disperse\ndata: 2\nredundancy: 2", 4, "redundancy must be less than data (found 2+2)"),
        ("type: disperse\ndata: 4", 4, "a disperse volume needs redundancy"),
        ("type: disperse", 4, "a disperse volume needs data and redundancy"),
        ("type: replicate", 3, "a replicate volume needs replica"),
        ("type: distribute\nreplica: 3", 3, "replica has no meaning for a distribute volume"),
        ("type: replicate\nreplica: 3\ndata: 2", 3, "data has no meaning for a replicate volume"),
        (
            "type: disperse\ndata: 2\nredundancy: 1\narbiter: 1",
            3,
            "arbiter has no meaning for a disperse volume",
        ),
    ],
)
def test_shape_arithmetic(shape: str, count: int, expected: str) -> None:
    bricks = [f"gs{i % 3 + 1}:/b/{i}" for i in range(count)]
    found = errors(cluster(volume(shape, *bricks, more=ACK + "maxBricksPerDomain: 9\n")))
    assert [text.partition(" ")[2] for text in found] == [expected]


@pytest.mark.parametrize(
    "path",
    ["b", "/", "//b", "/b//c", "/b/", "/b/./c", "/b/../c", "/b/..", "/b c", "/b\x07", '/b"', "/b`x`", "/b\\c",
     "/b'", "/b\u00e9",
     "/" + "x" * 1024, "/" + "x" * 256, "/proc/x", "/etc", "/var/lib/glusterd/x", "/b/.glusterfs/x"],
)  # fmt: skip
def test_bad_brick_paths(path: str) -> None:
    assert path_problem(path)


@pytest.mark.parametrize(
    "path", ["/b", "/run/gluster-state-lab/gs1/bricks/rep3/b0", "/b/..x/.y", "/procs/x", "/b-1_2.3+4@5=6,7:8"]
)
def test_good_brick_paths(path: str) -> None:
    assert path_problem(path) == ""


def test_bricks_may_not_share_or_nest_directories_on_one_peer() -> None:
    text = cluster(dist("gs1:/b/x", "gs1:/b/x", "gs1:/b/x/y/z"), dist("gs2:/b/x/y", "gs1:/b/xy", name="w"))
    found = [line for line in findings(text) if not line.code]
    assert [line.summary for line in found] == [
        "gs1:/b/x is used twice",
        "brick '/b/x/y/z' lies inside brick '/b/x' of volume v",
    ]
    assert found[0].hint == "the other one is at c.yaml:12:16, volume v"


def test_an_undeclared_peer_is_named_with_the_one_that_was_meant() -> None:
    (found,) = findings(cluster(dist("gs11:/b/x")))
    assert (found.summary, found.hint) == ("peer gs11 is not declared", "did you mean gs1?")


def test_peers_are_not_called_undeclared_when_a_file_could_not_be_read() -> None:
    assert errors(cluster(dist("gs9:/b/x")), "kind: [\n") == [
        "2:1 not valid YAML: did not find expected node content"
    ]


def test_two_bricks_of_a_subvolume_on_one_peer_are_warned_of_unless_allowed() -> None:
    bricks = ["gs1:/b/0", "gs1:/b/1", "gs2:/b/0"]
    shape = "type: replicate\nreplica: 3"
    assert warnings(cluster(volume(shape, *bricks))) == [("GS203", "spec.volumes[0].bricks[1]")]
    assert warnings(cluster(volume(shape, *bricks, more="maxBricksPerDomain: 2\n"))) == []
    assert warnings(cluster(volume(shape, *bricks, more="acknowledge: [{code: GS203, reason: r}]\n"))) == []
    # Different subvolumes may share a peer.
    assert (
        warnings(
            cluster(volume(shape, "gs1:/b/0", "gs2:/b/0", "gs3:/b/0", "gs1:/b/1", "gs2:/b/1", "gs3:/b/1"))
        )
        == []
    )


def test_zones_count_instead_of_peers_when_they_are_the_failure_domain() -> None:
    text = cluster(REP3, spec="failureDomain: zone\n")
    assert findings(text) == []
    assert warnings(text.replace("zone: c", "zone: a")) == [("GS203", "spec.volumes[0].bricks[2]")]
    assert errors(text.replace(", zone: c", "")) == [
        "8:14 peer gs3 needs a zone, because failureDomain is zone"
    ]


def test_no_redundancy_and_two_copies_are_warned_of_until_acknowledged() -> None:
    assert warnings(cluster(volume("type: distribute", "gs1:/b"))) == [("GS204", "spec.volumes[0].type")]
    assert warnings(cluster(dist("gs1:/b"))) == []
    rep2 = volume("type: replicate\nreplica: 2", "gs1:/b", "gs2:/b")
    assert warnings(cluster(rep2)) == [("GS205", "spec.volumes[0].replica")]
    assert warnings(cluster(rep2 + "acknowledge: [{code: GS205, reason: r}]\n")) == []


TWO = "type: replicate\nreplica: 2"
THREE = "type: replicate\nreplica: 3"


@pytest.mark.parametrize(
    ("shape", "place", "expected"),
    [
        (TWO, "arb.example.net:/ta", []),
        (THREE, "arb:/ta", ["a thin arbiter decides between two copies"]),
        (TWO, "a_b:/ta", ["thin arbiter's host 'a_b' is no host name"]),
        (TWO, "arb:/ta/", ["thin arbiter's path '/ta/' ends with /"]),
        (TWO, "arb:/t a", ["thin arbiter's path"]),
        (TWO, "arb", ["thinArbiter must be HOST:/ABSOLUTE/PATH"]),
    ],
)
def test_a_thin_arbiter_is_the_third_vote_of_two_copies(shape: str, place: str, expected: list[str]) -> None:
    bricks = ["gs1:/b", "gs2:/b", "gs3:/b"][: 3 if shape == THREE else 2]
    text = cluster(volume(shape, *bricks, more=f'thinArbiter: "{place}"\n'))
    found = errors(text)
    assert len(found) == len(expected)
    assert all(words in line for words, line in zip(expected, found, strict=True)), found
    assert expected or warnings(text) == []  # no GS205 either


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("state: absent\n", ["a tombstone needs confirm: the id of the volume to delete (home)"]),
        (f"confirm: {UUID}\n", ["confirm is for tombstones only"]),
        ("data: wipe\n", ["data: retain or wipe is for tombstones only"]),
        (
            f"state: absent\nconfirm: {UUID}\ndata: wipe\n",
            ["data: wipe needs deletionPolicy: Delete (found Protect)"],
        ),
        (f"state: absent\nconfirm: {UUID}\nid: {UUID[:-1]}2\n", ["confirm and id name different volumes"]),
        (f"state: absent\nconfirm: {UUID}\ndata: retain\n", []),
        (f"state: absent\nconfirm: {UUID}\n", []),
    ],
)
def test_tombstones(more: str, expected: list[str]) -> None:
    assert [text.partition(" ")[2] for text in errors(cluster(REP3 + more))] == expected


def test_a_tombstone_may_be_bare() -> None:
    assert (
        findings(cluster(f"name: gone\nstate: absent\nconfirm: {UUID}\ndeletionPolicy: Delete\ndata: wipe\n"))
        == []
    )


def test_the_same_object_twice_is_reported_with_both_places() -> None:
    head = "apiVersion: gluster-state.io/v1\nkind: Volume\nmetadata: {name: home}\n"
    document = head + f"spec: {{state: absent, confirm: {UUID}}}\n"
    (found,) = findings(cluster(REP3), document)
    assert (found.summary, str(found.span)) == ("Volume home is declared twice", "c1.yaml:3:18")
    assert found.hint == "the first one is at c.yaml:10:13"
    found, *peers = findings(HEAD, HEAD)
    assert (found.summary, found.hint) == ("a second Cluster, prod", "the first one is at c.yaml:3:18")
    assert [peer.summary for peer in peers] == [f"Peer gs{i} is declared twice" for i in (1, 2, 3)]


def test_ids_and_ports_are_unique() -> None:
    start = f"id: {UUID}\ntype: distribute\n{ACK}bricks: "
    one = (
        f"name: a\n{start}[{{peer: gs1, path: /b/0, port: 61001, id: a-client-0}}, "
        "{peer: gs2, path: /b/0, id: a-client-0}]\n"
    )
    two = (
        f"name: b\n{start}[{{peer: gs1, path: /b/1, port: 61001, id: a-client-0}}, "
        "{peer: gs3, path: /b/1, port: 61001}]\n"
    )
    summaries = [found.summary for found in findings(cluster(one, two))]
    assert sorted(summaries) == [
        "brick id a-client-0 is used twice in volume a",
        "port 61001 is used twice on peer gs1",
        "volume a has the same id",
    ]


def test_a_port_outside_the_range_is_a_warning_because_volumes_are_taken_over() -> None:
    text = cluster(f"name: a\ntype: distribute\n{ACK}bricks: [{{peer: gs1, path: /b/0, port: 49152}}]\n")
    assert warnings(text) == [("", "spec.volumes[0].bricks[0].port")]


def test_mounts_hold_their_bricks() -> None:
    def found(mount: str) -> list[str]:
        return errors(
            cluster(f"name: a\ntype: distribute\n{ACK}bricks: [{{peer: gs1, path: /b/v, mount: {mount}}}]\n")
        )

    assert found("/b") == []
    assert found("/") == []
    assert "not the mount point itself" in found("/b/v")[0]
    assert "is not below its mount" in found("/bb")[0]
    assert "is not absolute" in found("b")[0]


@pytest.mark.parametrize(
    "text", ["10.0.0.11", "127.0.1.1", "gs1", "gs1.example.net", "2001:db8::1", "::1", "fe80::1", "a-b.c"]
)
def test_good_addresses(text: str) -> None:
    assert address_problem(text) == ""


@pytest.mark.parametrize(
    "text",
    ["10.0.0", "10.0.0.256", "0.0.0.0", "224.0.0.1", "010.0.0.1", "a b", "a_b", "-a", "a..b", "a.",
     "10.0.0.1:24007", "::", "ff02::1",
     "1:2:3:4:5:6:7:8:9", "fe80::1%eth0", "::ffff:1.2.3.4", "1::2::3", "x" * 64, "\u0430.example"],
)  # fmt: skip
def test_bad_addresses(text: str) -> None:
    assert address_problem(text)


def test_peers_need_different_addresses() -> None:
    assert errors(HEAD.replace("10.0.0.3", "10.0.0.1")) == ["8:28 peer gs1 has the same address"]


def test_a_cluster_without_peers_is_refused() -> None:
    assert errors("apiVersion: gluster-state.io/v1\nkind: Cluster\nmetadata: {name: c}\nspec: {}\n") == [
        "3:18 cluster c has no peers"
    ]


@pytest.mark.parametrize("name", ["volume", "end-volume", "all", "glustershd", "Gluster"])
def test_reserved_words_name_no_volume(name: str) -> None:
    assert errors(cluster(REP3.replace("home", name, 1))) == [
        f"10:13 {name} is a reserved word and cannot be a volume's name"
    ]


@pytest.mark.parametrize(
    "value",
    [
        '"a\\nend-volume"',
        '"a\\roption x y"',
        '"\\x7f"',
        '"\\e[31m"',
        "a `reboot`",
        '"caf\u00e9"',
        '"x\\ty"',
        "x" * 5000,
    ],
)
def test_option_values_cannot_add_a_line_or_a_command_to_a_volfile(value: str) -> None:
    assert len(errors(cluster(REP3 + f"options: {{a.b: {value}}}\n"))) == 1


@pytest.mark.parametrize(
    "spec", ["ports: {bricks: 65000-64000}\n", "ports: {bricks: 80-90}\n", "ports: {bricks: 61000-70000}\n"]
)
def test_port_ranges_make_sense(spec: str) -> None:
    assert "is no range between" in errors(cluster(spec=spec))[0]


@pytest.mark.parametrize(
    ("delay", "good"), [("0s", False), ("99ms", False), ("100ms", True), ("1m", True), ("61s", False)]
)
def test_restart_delays_are_bounded(delay: str, good: bool) -> None:
    assert (errors(cluster(REP3 + f"restart: {{delay: {delay}}}\n")) == []) is good


@pytest.mark.parametrize(
    ("more", "spec", "refused"),
    [
        ("", "geoReplication: [{name: g, primary: home, secondary: {host: h, volume: v}}]\n", True),
        (
            "",
            "geoReplication: [{name: g, primary: home, secondary: {host: h, volume: v}, state: absent}]\n",
            False,
        ),
    ],
)
def test_what_this_version_cannot_do_is_refused_and_never_ignored(
    more: str, spec: str, refused: bool
) -> None:
    found = errors(cluster(REP3 + more, spec=spec))
    assert bool(found) is refused
    assert all("is not supported by this version" in text for text in found)


def test_credentials_are_flagged() -> None:
    assert warnings(cluster(REP3 + "auth: {username: u, password: p}\n")) == [
        ("GS502", "spec.volumes[0].auth")
    ]
