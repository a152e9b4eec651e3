"""A node's memory: what survives, what is refused, and what happens to damaged files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.adapters.local_files import DiskFiles
from reconciler.agent.kept import Binding, KnownCluster
from reconciler.agent.memory import MAX_ENDED, NodeMemory
from reconciler.errors import JournalError
from reconciler.model.configured import PeerRecord, Settings
from reconciler.model.ids import NodeId, PeerName, TxnId
from reconciler.model.volume import VolumeState
from reconciler.ports.staging import Serving, StagedVolume
from reconciler.txn.record import Barrier, Phase
from tests.volume_samples import CLUSTER, NODE, NODES, SECRET, MemoryFiles, volume

BINDING = Binding(cluster_id=CLUSTER, cluster_name="prod", peer=PeerName("gs1"))
PEERS = (PeerRecord(name=PeerName("gs1"), address="10.0.0.11", zone="a", node_id=NODE),)
TXN = TxnId("t1")


@pytest.fixture
def files() -> MemoryFiles:
    return MemoryFiles()


@pytest.fixture
def memory(files: MemoryFiles) -> NodeMemory:
    return NodeMemory(files)


def _barrier(epoch: int, direction: int = 0) -> Barrier:
    return Barrier(txn=TXN, phase=Phase(epoch, direction))


def test_everything_comes_back_after_a_restart(tmp_path: Path) -> None:
    memory = NodeMemory(DiskFiles(tmp_path / "s"))
    memory.node_id(lambda: NODE)
    memory.bind(BINDING)
    known = KnownCluster(revision=7, settings=Settings(generation=2), peers=PEERS)
    home, staged = volume(), StagedVolume(txn=TXN, record=volume(generation=2), previous=volume())
    memory.keep_cluster(known)
    memory.keep_volume(home)
    memory.keep_staged(staged)
    memory.keep_secret(home.volume_id, SECRET)
    memory.enter_phase(_barrier(5, 1))
    memory.note_ended(TXN)

    again = NodeMemory(DiskFiles(tmp_path / "s"))
    assert again.node_id(lambda: NODES[1]) == NODE
    assert again.binding() == BINDING
    assert again.phase() == _barrier(5, 1)
    assert again.has_ended(TXN)
    recalled = again.recall()
    assert recalled.cluster == known
    assert recalled.volumes == {home.volume_id: home}
    assert recalled.staged == {home.volume_id: staged}
    assert recalled.secrets == {home.volume_id: SECRET}
    assert (recalled.doubtful, recalled.problems) == (frozenset(), ())
    assert (tmp_path / "s" / "secrets" / home.volume_id).stat().st_mode & 0o777 == 0o600


def test_a_node_bound_to_one_cluster_refuses_every_other(memory: NodeMemory) -> None:
    memory.bind(BINDING)
    memory.bind(BINDING)
    with pytest.raises(JournalError, match="is peer gs1 of cluster prod"):
        memory.bind(replace(BINDING, peer=PeerName("gs2")))
    assert memory.binding() == BINDING


def test_a_lost_or_damaged_id_is_never_replaced_by_a_new_one(files: MemoryFiles, memory: NodeMemory) -> None:
    memory.node_id(lambda: NODE)
    memory.bind(BINDING)
    whole = files.files["node"]
    files.files["node"] = whole.replace("0001", "0002")
    with pytest.raises(JournalError, match="digest"):
        memory.node_id(lambda: NODES[1])
    del files.files["node"]
    with pytest.raises(JournalError, match="lost its id"):
        memory.node_id(lambda: NODES[1])
    files.files["node"] = whole
    assert memory.node_id(lambda: NODES[1]) == NODE


def test_an_id_that_is_no_uuid_is_refused(memory: NodeMemory) -> None:
    with pytest.raises(JournalError, match="no UUID"):
        memory.node_id(lambda: NodeId("gs1"))


def test_the_phase_never_goes_back(files: MemoryFiles, memory: NodeMemory) -> None:
    assert memory.phase() is None
    assert memory.enter_phase(_barrier(5))
    assert memory.enter_phase(_barrier(5))
    assert not memory.enter_phase(_barrier(4, 1))
    assert memory.enter_phase(_barrier(5, 1))
    assert not memory.enter_phase(_barrier(5, 0))
    assert NodeMemory(files).phase() == _barrier(5, 1)


def test_a_damaged_phase_stops_everything(files: MemoryFiles, memory: NodeMemory) -> None:
    memory.enter_phase(_barrier(5))
    files.files["barrier"] = files.files["barrier"].replace('"epoch":5', '"epoch":4')
    with pytest.raises(JournalError, match="digest"):
        memory.enter_phase(_barrier(9))
    assert "barrier" in files.files, "it is not set aside: a missing phase would be taken for none"


def test_only_the_last_ended_transactions_are_remembered(memory: NodeMemory) -> None:
    for number in range(MAX_ENDED + 1):
        memory.note_ended(TxnId(f"t{number}"))
        memory.note_ended(TxnId(f"t{number}"))
    assert not memory.has_ended(TxnId("t0"))
    assert memory.has_ended(TxnId("t1"))
    assert memory.has_ended(TxnId(f"t{MAX_ENDED}"))


def test_nothing_is_written_twice(files: MemoryFiles, memory: NodeMemory) -> None:
    known = KnownCluster(revision=7, peers=PEERS)
    for _ in range(2):
        memory.keep_cluster(known)
        memory.keep_volume(volume())
        memory.keep_secret(volume().volume_id, SECRET)
        memory.enter_phase(_barrier(5))
        memory.note_ended(TXN)
    assert files.writes == 5


def test_one_volume_is_one_file(files: MemoryFiles, memory: NodeMemory) -> None:
    memory.keep_volume(volume("home"))
    before = dict(files.files)
    memory.keep_volume(volume("work"))
    assert {name: files.files[name] for name in before} == before


@pytest.mark.parametrize("later", [volume(generation=2), replace(volume(generation=3), next_client=9)])
def test_a_committed_generation_never_goes_back_or_changes(memory: NodeMemory, later: object) -> None:
    memory.keep_volume(volume(generation=3))
    with pytest.raises(JournalError, match=r"cannot follow generation 3"):
        memory.keep_volume(later)  # type: ignore[arg-type]  # a volume record
    assert memory.recall().volumes[volume().volume_id] == volume(generation=3)


def test_a_store_that_went_back_is_noticed(memory: NodeMemory) -> None:
    memory.keep_cluster(KnownCluster(revision=7))
    with pytest.raises(JournalError, match="at revision 6, and was at 7"):
        memory.keep_cluster(KnownCluster(revision=6))


@pytest.mark.parametrize("folder", ["volumes", "staged", "secrets"])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"v":[1', '"v":[2'),  # of a later program
        ('"form":"', '"form":"Other'),
        ("home", "hame"),  # a flipped bit in the content
        ("}", ""),  # cut short
        ("{", "\udcff{"),  # not even text
    ],
)
def test_a_damaged_file_is_set_aside_and_its_volume_is_in_doubt(
    files: MemoryFiles, memory: NodeMemory, folder: str, old: str, new: str
) -> None:
    home, work = volume("home"), volume("work")
    for record in (home, work):
        memory.keep_volume(record)
        memory.keep_staged(StagedVolume(txn=TXN, record=record))
        memory.keep_secret(record.volume_id, SECRET)
    name = f"{folder}/{home.volume_id}"
    files.files[name] = files.files[name].replace(old, new, 1)
    recalled = memory.recall()
    assert recalled.doubtful == {home.volume_id}
    assert recalled.staged_lost == ({home.volume_id} if folder == "staged" else frozenset())
    assert len(recalled.problems) == 1
    assert f"{name}.bad" in recalled.problems[0]
    assert work.volume_id in recalled.volumes
    assert name not in files.files
    assert NodeMemory(files).recall().doubtful == {home.volume_id}, "the doubt survives a restart"


def test_a_doubt_ends_when_the_very_file_is_written_or_dropped_anew(
    files: MemoryFiles, memory: NodeMemory
) -> None:
    home = volume()
    for folder in ("volumes", "staged", "secrets"):
        files.files[f"{folder}/{home.volume_id}"] = "damaged"
    assert len(memory.recall().problems) == 3
    memory.keep_volume(home)
    memory.keep_secret(home.volume_id, SECRET)
    assert memory.recall().doubtful == {home.volume_id}, "what was staged is still unknown"
    damaged = dict(files.files)
    memory.drop_staged(home.volume_id)
    assert memory.recall().doubtful == frozenset()
    files.files = damaged
    memory.keep_staged(StagedVolume(txn=TXN, record=home))
    assert memory.recall().doubtful == frozenset()


def test_a_file_under_another_volumes_name_is_not_believed(files: MemoryFiles, memory: NodeMemory) -> None:
    memory.keep_volume(volume("home"))
    memory.keep_staged(StagedVolume(txn=TXN, record=volume("home")))
    other = volume("work").volume_id
    for folder in ("volumes", "staged"):
        files.files[f"{folder}/{other}"] = files.files[f"{folder}/{volume('home').volume_id}"]
    recalled = memory.recall()
    assert set(recalled.volumes) == set(recalled.staged) == {volume("home").volume_id}
    assert recalled.doubtful == {other}


def test_a_dropped_volume_leaves_nothing(files: MemoryFiles, memory: NodeMemory) -> None:
    home = volume(state=VolumeState.STOPPED)
    memory.keep_volume(home)
    memory.keep_staged(StagedVolume(txn=TXN, record=home, serving=Serving.NOTHING))
    memory.keep_secret(home.volume_id, SECRET)
    files.files[f"staged/{home.volume_id}.bad"] = "old"
    memory.drop_volume(home.volume_id)
    memory.drop_volume(home.volume_id)
    assert files.files == {}
