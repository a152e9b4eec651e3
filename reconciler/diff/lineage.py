"""Configured volume x declared bricks -> which of them stay, which take another's place, which are new.

A brick's id is the name under which the other bricks of its subvolume keep their accounts of what it has
missed (AFR's pending xattrs), and the name of its client xlator. So it stays with a brick wherever the brick
is declared, goes over to the one that replaces it, and is never given to any other.

Source: glusterfs 10.3 xlators/mgmt/glusterd/src/glusterd-brick-ops.c: glusterd_op_perform_add_bricks,
add_brick_at_right_order, subvol_matcher_verify, glusterd_remove_brick_validate_arbiters;
glusterd-replace-brick.c: glusterd_op_perform_replace_brick; glusterd-utils.c:
glusterd_get_next_available_brickid. Where this rule departs from them: docs/decisions/0025.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, pairwise

from reconciler.diagnostics import Diagnostic, Severity
from reconciler.model.brick_ids import next_client, number_of
from reconciler.model.cluster import BrickSpec, VolumeSpec
from reconciler.model.configured import BrickRecord, VolumeRecord
from reconciler.model.ids import BrickId, BrickUuid, VolumeName, derive_brick_uuid
from reconciler.model.volume import Shape, VolumeType


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a declared brick is in the changed volume.

    Attributes:
        stays: the record of the brick if it is one of the volume's already, None for a new directory.
    """

    spec: BrickSpec
    slot: str
    brick_id: BrickId
    uuid: BrickUuid
    stays: BrickRecord | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """The bricks of a changed volume, in subvolume order.

    Attributes:
        places: one per declared brick; empty if there are problems.
        next_client: the number from which on ids have never been used.
        problems: errors, each with the address of what it is about in `Diagnostic.path`.
    """

    places: tuple[Place, ...] = ()
    next_client: int
    problems: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True)
class _Was:
    """Where a brick that stays stood before."""

    subvolume: int
    position: int
    brick: BrickRecord


@dataclass(frozen=True, slots=True)
class _Group:
    """A declared subvolume: its bricks, and where those that stay were, by their position in it."""

    volume: VolumeName
    number: int
    bricks: tuple[BrickSpec, ...]
    stays: dict[int, _Was]

    @property
    def address(self) -> str:
        """Return the address of its first brick."""
        return f"brick/{self.volume}/{self.number}.0"

    @property
    def ancestor(self) -> int | None:
        """Return the number that this subvolume had; None if it is a new one."""
        return next((was.subvolume for was in self.stays.values()), None)


def lineage(record: VolumeRecord, spec: VolumeSpec) -> Lineage:
    """Return what the declared bricks are in the changed volume, or everything that is wrong with the change.

    Bricks are matched by peer and path. A subvolume is the same one as long as it keeps a brick; a brick that
    is new in it, in the place of another, replaces that one.
    """
    mark = first_unused(record)
    wrong = _conversion(record.shape, spec.shape)
    if spec.shape is None or wrong:
        return Lineage(next_client=mark, problems=(_problem(f"volume/{spec.name}/type", wrong),))
    groups = _groups(record, spec)
    change = _Change(record, spec.shape)
    found = [_problem(group.address, words) for group in groups if (words := change.refusal(group))]
    found += _out_of_order(groups)
    if found:
        return Lineage(next_client=mark, problems=tuple(found))
    return _Numbering(change, mark).places(groups)


def first_unused(record: VolumeRecord) -> int:
    """Return the number from which on no brick of the volume has ever had an id.

    Records written before the number was kept have 0 there: their bricks are all that is known.
    """
    return max(record.next_client, next_client(brick.brick_id for brick in record.bricks))


def _problem(address: str, summary: str, hint: str = "") -> Diagnostic:
    return Diagnostic(severity=Severity.ERROR, summary=summary, hint=hint, path=address)


def _conversion(before: Shape, after: Shape | None) -> str:
    """Say why a volume of one shape cannot become one of the other; empty if it can."""
    if after is None:
        return "the type is not declared"
    if before == after:
        return ""
    if VolumeType.DISPERSE in (before.type, after.type):
        have, want = (shape.describe(shape.bricks_per_subvolume) for shape in (before, after))
        return f"{have} cannot become {want}: what the bricks hold would have to be coded anew"
    if before.arbiter and after.replica > before.replica:
        return "no replica is added to a volume with an arbiter; remove the arbiter first"
    return ""


def _groups(record: VolumeRecord, spec: VolumeSpec) -> tuple[_Group, ...]:
    size = record.shape.bricks_per_subvolume
    had = {
        (brick.peer, brick.path): _Was(*divmod(number, size), brick)
        for number, brick in enumerate(record.bricks)
    }
    return tuple(
        _Group(
            spec.name,
            number,
            bricks,
            {i: had[b.peer, b.path] for i, b in enumerate(bricks) if (b.peer, b.path) in had},
        )
        for number, bricks in enumerate(spec.subvolumes())
    )


def _out_of_order(groups: Sequence[_Group]) -> Iterator[Diagnostic]:
    """Yield subvolumes that are divided, or have changed places: their names follow their order."""
    known = [(group, ancestor) for group in groups if (ancestor := group.ancestor) is not None]
    for (_, before), (group, this) in pairwise(known):
        if this == before:
            yield _problem(group.address, f"the bricks of subvolume {this} are declared in two subvolumes")
        elif this < before:
            yield _problem(
                group.address,
                f"subvolume {this} is declared behind subvolume {before}, which it preceded",
                "subvolumes keep their order: it is part of their names",
            )


@dataclass(frozen=True, slots=True)
class _Change:
    """The volume as it is, and the shape that it is to have."""

    record: VolumeRecord
    shape: Shape

    def refusal(self, group: _Group) -> str:
        """Say why a declared subvolume cannot come of the one before; empty if it can, or is a new one."""
        if not group.stays:
            return ""
        subvolumes = sorted({was.subvolume for was in group.stays.values()})
        if len(subvolumes) > 1:
            words = " and ".join(map(str, subvolumes))
            return f"bricks of the subvolumes {words} are declared in one: they hold different data"
        return self._moved(group) or self._recast(group) or self._without_source(group)

    def replaced(self, group: _Group, position: int) -> BrickRecord | None:
        """Return the brick whose place a new one takes: it has the same part in the same subvolume."""
        if group.ancestor is None or self._before() != len(group.bricks):
            return None
        if self._was_arbiter(position) != self._is_arbiter(position):
            return None
        return self.record.subvolumes()[group.ancestor][position]

    def _moved(self, group: _Group) -> str:
        before, after = self._before(), len(group.bricks)
        places = [(was.position, position) for position, was in sorted(group.stays.items())]
        if after > before and [old for old, _ in places] != list(range(before)):
            return "bricks are replaced while the replica count grows; do one after the other"
        if after < before and len(places) < after:
            return "bricks are new while the replica count shrinks; do one after the other"
        kept = all(a[0] < b[0] for a, b in pairwise(places))
        if not kept or (after >= before and any(old != new for old, new in places)):
            return "bricks of a subvolume are declared in another order; each keeps its place"
        return ""

    def _recast(self, group: _Group) -> str:
        """Refuse to make an arbiter, which holds no data, a brick that does, or the other way round."""
        for position, was in sorted(group.stays.items()):
            if self._was_arbiter(was.position) != self._is_arbiter(position):
                have, want = ("an arbiter", "holds data")
                if self._is_arbiter(position):
                    have, want = ("a brick with data", "is an arbiter")
                return f"{was.brick.peer}:{was.brick.path} is {have} and is declared as one that {want}"
        return ""

    def _without_source(self, group: _Group) -> str:
        """Refuse to replace so many bricks that nothing is left to fill the new ones from."""
        needed = self.shape.data or 1
        left = sum(not self._was_arbiter(was.position) for was in group.stays.values())
        if left >= needed:
            return ""
        return f"{left} brick(s) with data stay in subvolume {group.ancestor}; to fill new ones {needed} must"

    def _before(self) -> int:
        return self.record.shape.bricks_per_subvolume

    def _was_arbiter(self, position: int) -> bool:
        return self.record.shape.arbiter == 1 and position == self._before() - 1

    def _is_arbiter(self, position: int) -> bool:
        return self.shape.arbiter == 1 and position == self.shape.bricks_per_subvolume - 1


class _Numbering:
    """Gives out ids: the lowest number never used, unless another one never used is declared."""

    def __init__(self, change: _Change, mark: int) -> None:
        self._change = change
        self._mark = mark
        self._taken: set[int] = set()
        self._problems: list[Diagnostic] = []

    def places(self, groups: Sequence[_Group]) -> Lineage:
        """Return the places of all bricks, or the problems with the ids that are declared."""
        self._taken = {number_of(b.brick_id) for group in groups for b in group.bricks if b.brick_id}
        found = [self._place(group, i) for group in groups for i in range(len(group.bricks))]
        if self._problems:
            return Lineage(next_client=self._mark, problems=tuple(self._problems))
        following = max(self._mark, next_client(place.brick_id for place in found))
        return Lineage(places=tuple(found), next_client=following)

    def _place(self, group: _Group, position: int) -> Place:
        spec, slot = group.bricks[position], f"{group.number}.{position}"
        volume, was = self._change.record, group.stays.get(position)
        if was is not None:
            brick = was.brick
            if spec.brick_id not in (None, brick.brick_id):
                self._refuse(slot, f"{spec.peer}:{spec.path} has id {brick.brick_id}, not {spec.brick_id}")
            return Place(spec=spec, slot=slot, brick_id=brick.brick_id, uuid=brick.uuid, stays=brick)
        old = self._change.replaced(group, position)
        if old is not None and spec.brick_id in (None, old.brick_id):
            # The id stays with the place, the UUID with the directory.
            uuid = derive_brick_uuid(volume.volume_id, old.brick_id, volume.generation + 1)
            return Place(spec=spec, slot=slot, brick_id=old.brick_id, uuid=uuid)
        brick_id = self._never_used(spec, slot)
        uuid = derive_brick_uuid(volume.volume_id, brick_id)
        return Place(spec=spec, slot=slot, brick_id=brick_id, uuid=uuid)

    def _never_used(self, spec: BrickSpec, slot: str) -> BrickId:
        name = self._change.record.name
        if spec.brick_id is not None:
            if number_of(spec.brick_id) < self._mark:
                self._refuse(
                    slot,
                    f"id {spec.brick_id} is not free: {name} has given out the numbers below {self._mark}",
                    f"leave it out, or take one from {name}-client-{self._mark} on",
                )
            return spec.brick_id
        number = next(n for n in count(self._mark) if n not in self._taken)
        self._taken.add(number)
        return BrickId(f"{name}-client-{number}")

    def _refuse(self, slot: str, summary: str, hint: str = "") -> None:
        self._problems.append(_problem(f"brick/{self._change.record.name}/{slot}/id", summary, hint))
