"""What a node serves of its volumes: keys, trust, stages of a transaction, news for clients."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest

from reconciler.agent.isolation import parse_generations
from reconciler.agent.kept import KnownCluster, Remembered
from reconciler.agent.memory import NodeMemory
from reconciler.agent.portmap import Portmap
from reconciler.agent.serving import GENERATIONS_KEY, DesiredBrick, RenderSite, brick_key
from reconciler.agent.volumes import VolumeTable
from reconciler.errors import JournalError, VolfileError
from reconciler.model.configured import PeerRecord, VolumeRecord
from reconciler.model.ids import PeerName, TxnId
from reconciler.model.volume import VolumeState
from reconciler.ports.staging import Serving
from reconciler.ports.volfiles import SpecReply, SpecRequest
from reconciler.volgen.text import parse
from tests.volume_samples import CLUSTER, NODE, SECRET, SLOTS, MemoryFiles, volume, volume_id

TXN = TxnId("t1")
HOME = volume()
NEXT = volume(generation=2, options=(("performance.io-cache", "off"), ("network.ping-timeout", "20")))
STOPPED = volume(generation=2, state=VolumeState.STOPPED)


class Node:
    """A table with its memory, and how often clients were told to fetch."""

    def __init__(self, files: MemoryFiles | None = None) -> None:
        self.files = files or MemoryFiles()
        self.memory = NodeMemory(self.files)
        self.told = 0
        self.table = VolumeTable(
            CLUSTER, RenderSite(NODE, SLOTS), self.memory, Portmap(lambda _: 0), changed=self.tell
        )
        self.table.load(self.memory.recall())

    def tell(self) -> None:
        self.told += 1

    def connected(self, *records: VolumeRecord) -> Node:
        for record in records:
            self.table.commit(record, SECRET)
        self.table.learn(1, [])
        self.table.set_connected(True)
        return self

    def restarted(self) -> Node:
        return Node(self.files)

    def ask(self, key: str, trusted: bool = False, **more: Any) -> SpecReply:
        return self.table.getspec(SpecRequest(connection=1, key=key, trusted=trusted, **more))

    def trusted(self, key: str) -> SpecReply:
        return self.ask(key, trusted=True)


# ---------------------------------------------------------------- keys and trust


@pytest.mark.parametrize("key", ["home", "/home", "home.tcp"])
def test_a_started_volume_is_served_to_anybody_without_credentials(key: str) -> None:
    node = Node().connected(HOME)
    for trusted in (False, True):
        reply = node.ask(key, trusted=trusted)
        assert reply.error == 0
        assert parse(reply.text).top.name == "home"
        assert SECRET.password not in reply.text
        assert SECRET.username not in reply.text


def test_keys_with_credentials_are_for_local_root_only() -> None:
    node = Node().connected(volume(bricks=6))
    mine = [brick.uuid for brick in volume(bricks=6).on_node(NODE)]
    for key in ("trusted/home", "shd/home", "rebalance/home", *(brick_key(uuid) for uuid in mine)):
        reply = node.trusted(key)
        assert (reply.error, SECRET.password in reply.text) == (0, True), key
        assert node.ask(key) == SpecReply(error=2), key


@pytest.mark.parametrize(
    "key",
    [
        "", "/", "//home", "home/", "/home.tcp", "home.rdma", "HOME", "home\0", "../home", "/etc/passwd",
        "gluster/bitd", "brick/", "shd/", "trusted//home", "volumes/home", "shd/work", "a" * 100_000,
    ],
)  # fmt: skip
def test_everything_else_is_not_there(key: str) -> None:
    node = Node().connected(HOME)
    assert node.ask(key) == node.trusted(key) == SpecReply(error=2)


def test_bricks_of_other_nodes_are_not_served_here() -> None:
    node = Node().connected(HOME)
    other = next(brick for brick in HOME.bricks if brick.node_id != NODE)
    assert node.trusted(brick_key(other.uuid)).error == 2


def test_shd_and_rebalance_exist_where_there_is_something_to_do() -> None:
    node = Node().connected(HOME, volume("scratch", bricks=3, replica=1))
    assert node.trusted("rebalance/home").error == 2
    assert node.trusted("shd/scratch").error == 2
    assert node.trusted("rebalance/scratch").error == 0


def test_nobody_untrusted_may_mount_the_shared_storage() -> None:
    node = Node().connected(volume("gluster_shared_storage"))
    assert node.ask("gluster_shared_storage").error == 2
    assert node.trusted("trusted/gluster_shared_storage").error == 0


def test_a_stopped_volume_is_not_served_but_its_bricks_volfile_is() -> None:
    node = Node().connected(volume(state=VolumeState.STOPPED))
    assert node.ask("home").error == 2
    assert node.table.volume_uuid("home") == ""
    assert node.trusted(brick_key(HOME.bricks[0].uuid)).error == 0


def test_without_the_credentials_only_clients_are_served() -> None:
    node = Node()
    node.table.commit(HOME)
    node.table.set_connected(True)
    assert node.ask("home").error == 0
    assert node.trusted("shd/home").error == 2
    node.table.set_secret(HOME.volume_id, SECRET)
    assert node.trusted("shd/home").error == 0
    assert node.memory.recall().secrets == {HOME.volume_id: SECRET}


def test_credentials_stay_off_the_disk_of_a_node_without_a_brick() -> None:
    elsewhere = replace(HOME, bricks=tuple(replace(b, node_id="other") for b in HOME.bricks))
    node = Node().connected(elsewhere)
    assert node.memory.recall().secrets == {}
    assert SECRET.password not in "".join(node.files.files.values())


def test_a_brick_knows_how_many_share_its_filesystem() -> None:
    shared = volume(bricks=9)
    assert len(shared.on_node(NODE)) == 3
    node = Node().connected(shared)
    text = node.trusted(brick_key(shared.on_node(NODE)[0].uuid)).text
    assert "shared-brick-count 3" in text


def test_only_a_client_that_says_it_is_too_old_is_turned_away() -> None:
    node = Node().connected(HOME)
    assert node.ask("home", max_op_version=99999) == SpecReply(error=95)
    for version in (0, 100000, 110000):
        assert node.ask("home", max_op_version=version).error == 0
    assert node.ask("nothing", max_op_version=1).error == 2


def test_only_who_asks_gets_the_list_of_servers() -> None:
    node = Node().connected(HOME)
    node.table.learn(5, ["10.0.0.12", "10.0.0.11", "10.0.0.12"])
    assert node.ask("home", wants_servers=True).servers == ("10.0.0.11", "10.0.0.12")
    assert node.ask("home").servers == ()


def test_sign_ins_reach_the_portmap() -> None:
    node = Node()
    node.table.signed_in(1, "/bricks/home/b0", 61000, 1)
    node.table.signed_in(2, "/bricks/home/b1", 61001, 1)
    assert node.table.port_of("/bricks/home/b0") == 61000
    node.table.signed_out(1, "/bricks/home/b0")
    node.table.disconnected(2)
    assert node.table.port_of("/bricks/home/b0") == node.table.port_of("/bricks/home/b1") == 0


def test_peers_are_told_the_committed_generations_only() -> None:
    node = Node().connected(volume(generation=4), volume("work", state=VolumeState.STOPPED))
    node.table.learn(9, [])
    node.table.stage(volume(generation=5), volume(generation=4), TXN, SECRET)
    node.table.stage(volume("new"), None, TXN, SECRET)
    known = parse_generations(node.ask(GENERATIONS_KEY).text)
    assert (known.cluster, known.revision) == (CLUSTER, 9)
    assert {(v.name, v.generation, v.state.value) for v in known.volumes.values()} == {
        ("home", 4, "started"),
        ("work", 1, "stopped"),
    }


# ---------------------------------------------------------------- the stages of a transaction


def test_a_new_volume_is_served_once_published() -> None:
    node = Node().connected()
    node.table.stage(HOME, None, TXN, SECRET)
    assert node.ask("home").error == 2
    assert node.trusted(brick_key(HOME.bricks[0].uuid)).error == 0, "its bricks start before"
    assert node.trusted("shd/home").error == 0, "and so does its daemon"
    node.table.publish(HOME.volume_id)
    assert node.ask("home").error == 0
    assert node.table.volume_uuid("home") == HOME.volume_id
    node.table.unstage(HOME.volume_id)
    assert node.ask("home").error == 2
    assert node.table.volumes() == {}


def test_a_change_reaches_bricks_when_staged_and_clients_when_published() -> None:
    node = Node().connected(HOME)
    key = brick_key(HOME.bricks[0].uuid)
    client, brick = node.ask("home").text, node.trusted(key).text
    changed = volume(generation=2, options=(("network.ping-timeout", "20"), ("storage.reserve", "7")))
    node.table.stage(changed, HOME, TXN, SECRET)
    assert node.ask("home").text == client
    assert node.trusted(key).text != brick
    node.table.publish(HOME.volume_id)
    assert node.ask("home").text != client
    node.table.commit(changed)
    assert node.table.staged(HOME.volume_id) is None
    assert node.trusted("trusted/home").error == 0, "the credentials are kept"


def test_a_volume_that_goes_is_served_no_more() -> None:
    node = Node().connected(HOME)
    node.table.stage(STOPPED, HOME, TXN, SECRET)
    assert node.ask("home").error == 0
    node.table.serve(HOME.volume_id, Serving.NOTHING)
    assert node.ask("home").error == 2
    assert node.trusted(brick_key(HOME.bricks[0].uuid)).error == 0, "its bricks still run"
    node.table.remove(HOME.volume_id)
    node.table.remove(HOME.volume_id)
    assert node.trusted(brick_key(HOME.bricks[0].uuid)).error == 2
    assert node.files.files == {}


def test_a_brick_that_leaves_keeps_its_volfile_until_it_is_stopped() -> None:
    six = volume(bricks=6)
    fewer = replace(volume(generation=2), next_client=6)
    leaving = next(b for b in six.on_node(NODE) if b not in fewer.bricks)
    node = Node().connected(six)
    node.table.stage(fewer, six, TXN, SECRET)
    assert node.trusted(brick_key(leaving.uuid)).error == 0
    node.table.commit(fewer)
    assert node.trusted(brick_key(leaving.uuid)).error == 2


def test_without_the_store_nothing_is_said_of_a_volume_in_transaction() -> None:
    node = Node().connected(HOME, volume("work"))
    node.table.stage(NEXT, HOME, TXN, SECRET)
    node.table.publish(HOME.volume_id)
    node.table.set_connected(False)
    for key in ("home", "/home", "home.tcp", "trusted/home", "shd/home", brick_key(HOME.bricks[0].uuid)):
        assert node.trusted(key) == SpecReply(error=2), key
    assert node.ask("work").error == 0
    node.table.set_connected(True)
    assert node.ask("home").error == 0


def test_two_transactions_cannot_stage_the_same_volume() -> None:
    node = Node().connected(HOME)
    node.table.stage(NEXT, HOME, TXN, SECRET)
    with pytest.raises(JournalError, match="transaction t1 is staged"):
        node.table.stage(NEXT, HOME, TxnId("t2"), SECRET)
    with pytest.raises(JournalError, match="nothing is staged"):
        node.table.publish(volume("work").volume_id)


def test_a_record_that_makes_no_graph_is_refused_before_anything_is_kept() -> None:
    node = Node().connected(HOME)
    before = dict(node.files.files)
    bad = volume(generation=2, options=(("features.worm", "on"), ("features.read-only", "on")))
    with pytest.raises(VolfileError):
        node.table.stage(bad, HOME, TXN, SECRET)
    assert node.table.staged(HOME.volume_id) is None
    assert node.files.files == before
    with pytest.raises(VolfileError, match="credentials"):
        node.table.stage(volume("new"), None, TXN)


def test_what_one_rolled_back_change_rendered_is_not_given_for_the_next_of_that_generation() -> None:
    node = Node().connected(HOME)
    for timeout in ("20", "30"):
        record = volume(generation=2, options=(("network.ping-timeout", timeout),))
        node.table.stage(record, HOME, TXN, SECRET)
        node.table.publish(HOME.volume_id)
        assert f"ping-timeout {timeout}" in node.ask("home").text
        node.table.unstage(HOME.volume_id)


def test_staging_again_keeps_what_clients_are_given_and_takes_the_new_content() -> None:
    node = Node().connected(HOME)
    for timeout in ("20", "30", "30"):
        record = volume(generation=2, options=(("network.ping-timeout", timeout),))
        node.table.stage(record, HOME, TXN, SECRET)
        node.table.publish(HOME.volume_id)
        node.table.stage(record, HOME, TXN, SECRET)
        assert f"ping-timeout {timeout}" in node.ask("home").text
    node.table.stage(NEXT, HOME, TXN, SECRET)
    assert "ping-timeout 20" in node.ask("home").text


def test_committed_generations_never_go_back() -> None:
    node = Node().connected(volume(generation=3))
    with pytest.raises(JournalError, match="cannot follow"):
        node.table.commit(volume(generation=2))
    assert node.table.committed(HOME.volume_id) == volume(generation=3)


# ---------------------------------------------------------------- restarts


def test_what_was_on_the_disk_waits_until_it_is_confirmed() -> None:
    node = Node().connected(HOME, volume("work")).restarted()
    assert node.ask("home").error == 2
    assert node.table.desired_bricks() == ()
    assert HOME.volume_id in parse_generations(node.ask(GENERATIONS_KEY).text).volumes
    node.table.release([HOME.volume_id])
    assert node.ask("home").error == 0
    assert node.ask("work").error == 2
    assert [d.volume.name for d in node.table.desired_bricks()] == ["home"]
    node.connected(volume("work"))
    assert node.ask("work").error == 0


def test_a_volume_that_the_store_does_not_list_any_more_is_neither_served_nor_started() -> None:
    node = Node().connected(HOME, volume("work")).restarted().connected(volume("work"))
    assert node.ask("home").error == node.trusted(brick_key(HOME.bricks[0].uuid)).error == 2
    assert [d.volume.name for d in node.table.desired_bricks()] == ["work"]
    assert node.table.committed(HOME.volume_id) == HOME, "and nothing of it is forgotten"
    assert HOME.volume_id not in node.table.generations().volumes, "so that no peer starts it either"
    node.table.set_connected(False)
    node.table.release([HOME.volume_id])
    assert node.ask("home").error == 2, "nor when the store is lost again"
    node.connected(HOME)
    assert node.ask("home").error == 0


def test_a_new_volume_in_transaction_goes_on_after_a_restart() -> None:
    node = Node().connected()
    node.table.stage(HOME, None, TXN, SECRET)
    node.table.publish(HOME.volume_id)
    assert node.restarted().ask("home").error == 2
    assert node.restarted().connected().ask("home").error == 0


def test_a_published_configuration_is_still_published_after_a_restart() -> None:
    node = Node().connected(HOME)
    node.table.stage(NEXT, HOME, TXN, SECRET)
    node.table.publish(HOME.volume_id)
    text = node.ask("home").text
    again = node.restarted().connected(HOME)
    assert again.ask("home").text == text


def test_a_crash_between_the_two_writes_of_a_commit_is_a_commit() -> None:
    node = Node().connected(HOME)
    node.table.stage(NEXT, HOME, TXN, SECRET)
    node.memory.keep_volume(NEXT)
    again = node.restarted()
    assert again.table.staged(HOME.volume_id) is None
    assert again.table.committed(HOME.volume_id) == NEXT
    assert again.memory.recall().staged == {}


def test_a_volume_whose_staged_record_was_lost_waits_for_somebody_who_knows() -> None:
    node = Node().connected(HOME)
    node.table.stage(NEXT, HOME, TXN, SECRET)
    node.table.publish(HOME.volume_id)
    node.files.files[f"staged/{HOME.volume_id}"] = "damaged"

    def lost() -> Node:
        again = Node(node.files).connected(HOME)
        again.table.release([HOME.volume_id])
        assert again.ask("home").error == 2
        assert again.table.staged_lost() == {HOME.volume_id}
        return again

    saved = dict(node.files.files)
    again = lost()
    again.table.unstage(HOME.volume_id)
    assert again.ask("home").error == 0
    node.files.files = dict(saved)
    again = lost()
    again.table.stage(NEXT, HOME, TXN, SECRET)
    assert again.ask("home").error == 0
    node.files.files = dict(saved)
    again = lost()
    again.table.commit(NEXT)
    assert again.ask("home").error == 0


# ---------------------------------------------------------------- what should run, what is reported


def test_bricks_that_a_transaction_touches_are_left_to_its_steps() -> None:
    six = volume(bricks=6)
    stays, leaves = six.on_node(NODE)
    node = Node().connected(six)
    assert node.table.desired_bricks() == tuple(DesiredBrick(volume=six, brick=b) for b in (stays, leaves))
    moved = replace(stays, port=62000)
    for after, wanted in (
        (replace(volume(generation=2), next_client=6), (stays,)),
        (replace(six, generation=2, state=VolumeState.STOPPED), ()),
        (replace(six, generation=2, bricks=(moved, *six.bricks[1:])), (leaves,)),
        (volume(generation=2, bricks=9), (stays, leaves)),
    ):
        node.table.stage(after, six, TXN, SECRET)
        assert [d.brick for d in node.table.desired_bricks()] == list(wanted)
        node.table.unstage(six.volume_id)


def test_a_fact_says_which_generation_clients_get() -> None:
    node = Node().connected(HOME)
    node.table.stage(NEXT, HOME, TXN, SECRET)
    (fact,) = node.table.facts({HOME.volume_id: 77})
    assert (fact.generation, fact.served, fact.shd_pid, fact.shd_expected) == (1, True, 77, True)
    assert fact.client_digest == node.table.client_digest(HOME.volume_id) != ""
    node.table.publish(HOME.volume_id)
    (after,) = node.table.facts({})
    assert (after.generation, after.shd_pid) == (2, 0)
    assert after.client_digest != fact.client_digest
    node.table.serve(HOME.volume_id, Serving.NOTHING)
    (gone,) = node.table.facts({})
    assert (gone.generation, gone.served, gone.client_digest) == (1, False, "")


def test_the_digest_of_a_brick_is_that_of_what_its_process_fetched() -> None:
    node = Node().connected(HOME)
    uuid = HOME.bricks[0].uuid
    assert node.table.brick_digest(uuid) == ""
    node.trusted(brick_key(uuid))
    fetched = node.table.brick_digest(uuid)
    node.table.stage(volume(generation=2, options=(("storage.reserve", "7"),)), HOME, TXN, SECRET)
    assert node.table.brick_digest(uuid) == fetched != ""
    node.trusted(brick_key(uuid))
    assert node.table.brick_digest(uuid) != fetched


# ---------------------------------------------------------------- news


def test_clients_are_told_only_when_what_they_fetched_has_changed() -> None:
    node = Node().connected(HOME)
    node.table.stage(NEXT, HOME, TXN, SECRET)
    node.table.publish(HOME.volume_id)
    assert node.told == 0, "nobody has fetched anything"
    node.table.unstage(HOME.volume_id)
    node.ask("home")
    node.table.stage(NEXT, HOME, TXN, SECRET)
    assert node.told == 0, "staging alone changes nothing for clients"
    node.table.publish(HOME.volume_id)
    assert node.told == 1
    node.ask("home")
    node.table.commit(NEXT)
    assert node.told == 1, "what is committed is what was published"
    node.table.commit(volume("work"), SECRET)
    assert node.told == 1
    node.table.commit(replace(NEXT, generation=3, policy_since=5))
    assert node.told == 1, "nothing in the graph has changed"


def test_a_rollback_tells_clients_too() -> None:
    node = Node().connected(HOME)
    node.ask("home")
    node.table.stage(NEXT, HOME, TXN, SECRET)
    node.table.publish(HOME.volume_id)
    node.ask("home")
    node.table.unstage(HOME.volume_id)
    assert node.told == 2


def test_a_mount_from_before_the_rollback_of_a_creation_is_told_when_the_volume_is_made_after_all() -> None:
    node = Node().connected()
    node.table.stage(HOME, None, TXN, SECRET)
    node.table.publish(HOME.volume_id)
    node.ask("home")
    node.table.unstage(HOME.volume_id)
    assert node.told == 0, "there is nothing to fetch"
    node.table.commit(replace(NEXT, generation=1), SECRET)
    assert node.told == 1


def test_a_running_brick_is_told_about_its_own_options() -> None:
    node = Node().connected(HOME)
    node.trusted(brick_key(HOME.bricks[0].uuid))
    node.table.stage(volume(generation=2, options=(("storage.reserve", "7"),)), HOME, TXN, SECRET)
    assert node.told == 1


def test_clients_are_not_told_to_fetch_what_they_would_be_refused() -> None:
    node = Node().connected(HOME)
    node.ask("home")
    node.table.stage(STOPPED, HOME, TXN, SECRET)
    node.table.serve(HOME.volume_id, Serving.NOTHING)
    node.table.commit(STOPPED)
    assert node.told == 0
    node.table.commit(volume(generation=3))
    assert node.told == 0, "and it is the same volfile again"


def test_a_new_volume_of_an_old_name_is_no_news_to_the_mounts_of_the_old_one() -> None:
    node = Node().connected(HOME)
    node.ask("home")
    node.table.remove(HOME.volume_id)
    node.table.commit(replace(NEXT, volume_id=volume_id("home", 2)), SECRET)
    assert node.ask("home").error == 0
    assert node.told == 0


def test_a_mount_that_was_refused_is_told_when_the_volume_is_served_again() -> None:
    """A client reconnects to an agent that has just started, and does not ask a second time by itself."""
    node = Node().connected(HOME).restarted()
    assert node.ask("home").error
    assert node.told == 0
    node.connected(HOME)
    assert node.told == 1
    assert node.ask("home").error == 0
    node.table.commit(NEXT)
    assert node.told == 2


def test_who_may_not_ask_is_no_reason_to_tell_anybody() -> None:
    node = Node().connected(HOME).restarted()
    for key in ("trusted/home", "shd/home", "elsewhere"):
        assert node.ask(key).error
    node.connected(HOME)
    assert node.told == 0


def test_what_changed_while_the_store_was_away_is_told_on_return() -> None:
    node = Node().connected(HOME)
    node.ask("home")
    node.table.set_connected(False)
    node.table.stage(NEXT, HOME, TXN, SECRET)
    node.table.publish(HOME.volume_id)
    assert node.told == 0
    node.table.set_connected(True)
    assert node.told == 1


def test_telling_happens_outside_the_locks() -> None:
    node = Node().connected(HOME)
    node.ask("home")
    seen: list[int] = []

    def tell() -> None:  # a broadcast ends in the server's thread, which asks for volfiles
        thread = threading.Thread(target=lambda: seen.append(node.ask("home").error))
        thread.start()
        thread.join(5)
        other = threading.Thread(target=lambda: node.table.set_connected(True))
        other.start()
        other.join(5)
        seen.append(other.is_alive())

    node.table._changed = tell
    node.table.stage(NEXT, HOME, TXN, SECRET)
    node.table.publish(HOME.volume_id)
    assert seen == [0, False]


def test_a_volfile_is_given_while_the_disk_hangs() -> None:
    node = Node().connected(HOME)
    entered, leave = threading.Event(), threading.Event()
    write = node.files.write

    def hanging(name: str, text: str) -> None:
        entered.set()
        leave.wait(10)
        write(name, text)

    node.files.write = hanging  # type: ignore[method-assign]  # a disk that hangs
    stager = threading.Thread(target=lambda: node.table.stage(NEXT, HOME, TXN, SECRET))
    stager.start()
    try:
        assert entered.wait(5)
        answers: list[int] = []
        asker = threading.Thread(target=lambda: answers.append(node.ask("home").error))
        asker.start()
        asker.join(5)
        assert answers == [0]
    finally:
        leave.set()
        stager.join(5)


def test_the_servers_and_the_revision_come_back_from_the_disk() -> None:
    node = Node()
    peer = PeerRecord(name=PeerName("gs1"), address="10.0.0.11", zone="", node_id=NODE)
    node.table.load(
        Remembered(cluster=KnownCluster(revision=8, peers=(peer,)), volumes={HOME.volume_id: HOME})
    )
    assert node.table.generations().revision == 8
    node.table.release([HOME.volume_id])
    assert node.ask("home", wants_servers=True).servers == ("10.0.0.11",)
