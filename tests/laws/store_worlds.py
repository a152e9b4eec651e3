"""For every kind of store step: random configurations, and among them the step's plan."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from reconciler.engine.store_steps import peer_args
from reconciler.model import keys
from reconciler.model.cluster import IsolatedStart
from reconciler.model.codec import encode
from reconciler.model.configured import PeerRecord, Retained, Secret, Settings, VolumeRecord
from reconciler.model.ids import Address, BrickUuid, ClusterId, NodeId, PeerName, StepId, VolumeId
from reconciler.model.volume import DeletionPolicy
from reconciler.plan.step import Args, Plan, Step, StepClass
from reconciler.ports.store import MAX_OPS, Commit, Operation, Put, Store
from tests.plan_samples import EMPTY, HOME, node


@dataclass
class StoreGround:
    """A cluster of its own in a store that others use as well."""

    store: Store
    draw: random.Random

    def __post_init__(self) -> None:
        self.cluster = ClusterId(str(uuid.uuid4()))  # not drawn: the same seed may come again in one store

    def chance(self, percent: int = 50) -> bool:
        """Return true in `percent` of all worlds."""
        return self.draw.randrange(100) < percent

    def put(self, *operations: Operation) -> None:
        """Write what is there before the step."""
        for at in range(0, len(operations), MAX_OPS):
            assert self.store.commit(Commit(when=(), then=operations[at : at + MAX_OPS])).succeeded

    def volume(self, name: str, *, bricks: int = 0) -> VolumeRecord:
        """Return a volume's record; its bricks are more than one commit can carry once in a while."""
        count = bricks or self.draw.choice((1, 3, 3, 60, 190))
        volume_id = VolumeId(str(uuid.UUID(int=self.draw.getrandbits(128), version=4)))
        return replace(
            HOME,
            name=name,
            volume_id=volume_id,
            generation=self.draw.randint(1, 9),
            deletion_policy=self.draw.choice(tuple(DeletionPolicy)),
            bricks=tuple(
                replace(
                    HOME.bricks[i % 3],
                    slot=f"{i}.0",
                    uuid=BrickUuid(str(uuid.UUID(int=self.draw.getrandbits(128), version=4))),
                    port=61000 + i,
                )
                for i in range(count)
            ),
        )

    def configured(self, record: VolumeRecord) -> None:
        """Have a volume in the configuration."""
        of_bricks = [
            Put(keys.brick(self.cluster, record.volume_id, b.uuid), encode(b)) for b in record.bricks
        ]
        self.put(
            Put(keys.volume(self.cluster, record.volume_id), encode(replace(record, bricks=()))),
            Put(keys.incarnation(self.cluster, record.name), str(record.incarnation)),
            *of_bricks,
        )

    def peer(self, name: str) -> PeerRecord:
        """Return a peer's record."""
        address = f"10.0.0.{self.draw.randint(1, 9)}"
        return PeerRecord(name=PeerName(name), address=address, zone="a", node_id=NodeId(node(1)))

    def settings(self) -> Settings:
        """Return settings."""
        return Settings(
            generation=self.draw.randint(1, 5),
            isolated_start=self.draw.choice(tuple(IsolatedStart)),
            applied_at=self.draw.randint(1, 5),
        )

    def bystanders(self) -> None:
        """Have what no step but its own may touch: of this cluster, and of another."""
        self.configured(self.volume("bystander", bricks=2))
        self.put(
            Put(keys.peer(self.cluster, PeerName("bystander")), encode(self.peer("bystander"))),
            Put(keys.live(self.cluster, NodeId(node(1))), "here"),
            Put(keys.lock(ClusterId(f"{self.cluster[:-1]}x")), "another cluster's"),
        )


@dataclass(frozen=True)
class StoreCase:
    """A step with its plan."""

    step: Step
    plan: Plan


StoreMaker = Callable[[StoreGround], StoreCase]


def _case(
    at: StoreGround, kind: str, *, args: Args | None = None, irrevocable: bool = False, **plan: object
) -> StoreCase:
    volumes = plan.get("volumes") or plan.get("previous") or {}
    assert isinstance(volumes, dict)
    step = Step(
        step_id=StepId(1),
        kind=kind,
        address=Address("settings"),
        title="",
        args=args or {},
        volume=next(iter(volumes), None),
        step_class=StepClass.RETRIABLE if irrevocable else StepClass.COMPENSATABLE,
    )
    return StoreCase(step, replace(EMPTY, cluster_id=at.cluster, steps=(step,), **plan))  # type: ignore[arg-type]


def _peer(at: StoreGround) -> StoreCase:
    wanted = at.peer("gs7")
    if at.chance():
        at.put(Put(keys.peer(at.cluster, wanted.name), encode(at.peer("gs7"))))
    return _case(at, "config.peer", args=peer_args(wanted))


def _settings(at: StoreGround) -> StoreCase:
    if at.chance():
        at.put(Put(keys.settings(at.cluster), encode(at.settings())))
    return _case(at, "config.settings", settings=at.settings())


def _credentials(at: StoreGround) -> StoreCase:
    record = at.volume("home", bricks=3)
    if at.chance():
        at.put(Put(keys.secret(at.cluster, record.volume_id), encode(Secret(username="old", password="old"))))
    return _case(at, "volume.credentials", volumes={record.volume_id: record})


def _repaired(at: StoreGround) -> StoreCase:
    record = at.volume("home", bricks=3)
    at.configured(record)
    return _case(at, "volume.repaired", irrevocable=True, volumes={record.volume_id: record})


def _volume(at: StoreGround) -> StoreCase:
    record = at.volume("home")
    if at.chance(60):
        kept = tuple(b for b in record.bricks if at.chance())
        gone = at.volume("gone", bricks=at.draw.randint(1, 3)).bricks
        old = replace(record, generation=0, bricks=(*kept, *gone), deletion_policy=DeletionPolicy.PROTECT)
        at.configured(old)
    return _case(at, "config.volume", irrevocable=True, volumes={record.volume_id: record})


def _retain(at: StoreGround) -> StoreCase:
    record = at.volume("home")
    at.configured(record)
    if at.chance(25):
        at.put(
            Put(keys.retained(at.cluster, record.volume_id), encode(Retained(volume=record, deleted_at=3)))
        )
    return _case(at, "config.retain", irrevocable=True, previous={record.volume_id: record})


STORE_WORLDS: Mapping[str, StoreMaker] = {
    "config.peer": _peer,
    "config.retain": _retain,
    "config.settings": _settings,
    "config.volume": _volume,
    "volume.credentials": _credentials,
    "volume.repaired": _repaired,
}
