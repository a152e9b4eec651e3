"""The risk codes: what each means, and what a user can do. The one list of them.

Hundreds give the class: 1 destructive, 2 availability, 3 data-moving and capacity, 4 options,
5 hygiene of the declaration, 6 observation. A code's number is permanent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

#: Class of a code by its hundred, worst first: a plan is as risky as its worst code.
CLASSES: Mapping[str, str] = MappingProxyType(
    {
        "1": "destructive",
        "3": "data-moving",
        "2": "availability",
        "6": "observation",
        "4": "options",
        "5": "hygiene",
    }
)


@dataclass(frozen=True, slots=True)
class RiskCode:
    """A risk. `title` is one line; `text` says what happens and why; `remedy` what to do."""

    code: str
    title: str
    text: str
    remedy: str

    @property
    def risk(self) -> str:
        """Return its class in words."""
        return CLASSES[self.code[2]]


_ALLOW = "Review the plan, then pass --allow {code}=ADDRESS (the plan names it) to plan and apply."
_ACKNOWLEDGE = 'If you accept it, write next to the object: acknowledge: [{{code: {code}, reason: "why"}}].'

_TABLE: tuple[tuple[str, str, str, str], ...] = (
    (
        "GS101",
        "a volume is deleted",
        "A tombstone (state: absent with confirm: ID) removes the volume from the cluster. With data: retain "
        "its data stays on the bricks; a protected volume (deletionPolicy: Protect) is refused.",
        "First apply deletionPolicy: Delete (nothing is deleted), later the tombstone. " + _ALLOW,
    ),
    (
        "GS102",
        "a brick leaves its volume",
        "Data that is only on this brick would no longer be reachable through the volume.",
        "Let the migration finish and verify it. " + _ALLOW,
    ),
    (
        "GS103",
        "replica count or redundancy is reduced",
        "The volume survives fewer losses afterwards.",
        _ALLOW,
    ),
    ("GS104", "a device is wiped", "Everything on the device is lost.", _ALLOW),
    (
        "GS105",
        "a peer leaves while it has bricks",
        "Its bricks would have no node that runs them.",
        "Move or remove its bricks first. " + _ALLOW,
    ),
    (
        "GS106",
        "a geo-replication session is deleted or its sync time reset",
        "The next session starts with a full comparison of both sides.",
        _ALLOW,
    ),
    ("GS107", "a snapshot is deleted", "The state it kept cannot be restored any more.", _ALLOW),
    ("GS108", "a snapshot is restored", "It replaces the live data of the volume.", _ALLOW),
    (
        "GS109",
        "quota or bitrot metadata is dropped",
        "Counting or signing starts from nothing when the feature is enabled again.",
        _ALLOW,
    ),
    (
        "GS110",
        "a split-brain is resolved by policy",
        "One of two different copies of a file wins; the other is lost.",
        _ALLOW,
    ),
    (
        "GS111",
        "a brick's path holds something else",
        "Another brick, another volume's data or files of somebody are there; they would be mixed or lost.",
        "Choose another path, or move away what is there. Nothing on a brick's path is ever overwritten.",
    ),
    (
        "GS112",
        "a brick's path is not on the filesystem meant for it",
        "Its disk may not be mounted, or another one is: data would fill the wrong filesystem, and be hidden "
        "as soon as the right one is mounted over it.",
        "Mount the disk. If the place is right, declare it: {{peer: ..., path: ..., mount: ...}}.",
    ),
    (
        "GS201",
        "no further loss can be borne during a step",
        "While the step runs, quorum holds, but one more lost brick or node stops writes.",
        "Repair what is down first, or choose a quiet time. Reported, not refused.",
    ),
    (
        "GS202",
        "a brick process restarts",
        "Its clients go on with the other bricks of the subvolume and heal it afterwards; "
        "on a distribute volume they wait.",
        "Choose a quiet time.",
    ),
    (
        "GS203",
        "bricks of one subvolume share a failure domain",
        "The loss of one node or zone takes more than one copy with it.",
        "Place the bricks on different domains, or lower spec.failureDomain. " + _ACKNOWLEDGE,
    ),
    (
        "GS204",
        "a volume without redundancy",
        "Every file is on one brick only: a lost brick loses its files.",
        "Use replica 3, an arbiter or disperse. " + _ACKNOWLEDGE,
    ),
    (
        "GS205",
        "replica 2",
        "With two copies and no third vote either writes stop when one brick is down, or the copies can "
        "differ and nobody knows which is right (split-brain).",
        "Add an arbiter (replica: 3, arbiter: 1): it needs little space. " + _ACKNOWLEDGE,
    ),
    (
        "GS206",
        "a volume stops while clients are connected",
        "Their open files and mounts get errors.",
        "Unmount first. " + _ALLOW,
    ),
    (
        "GS207",
        "a brick must not be started",
        "What stands at its path is not the brick: it is another's, on another filesystem, or does not carry "
        "what the brick was given. A process started there would write into the wrong place.",
        "Mount the right disk at its place. There is no way to override this.",
    ),
    (
        "GS208",
        "a thin arbiter",
        "It is a process outside the cluster: agents of this version neither start it nor see whether it "
        "answers. validate and volfile take such a volume, because its volfiles are right.",
        "Use an arbiter (replica: 3, arbiter: 1): it needs little space.",
    ),
    ("GS301", "a rebalance moves data", "It costs disk and network time in proportion to the data.", _ALLOW),
    (
        "GS302",
        "a full heal",
        "A new or replaced brick is filled from the others; until then it is no copy.",
        "Do not take another brick of the subvolume down before the heal is complete.",
    ),
    (
        "GS303",
        "the directory layout changes",
        "New files go to new places; old ones stay until a rebalance.",
        "Reported, not refused.",
    ),
    (
        "GS310",
        "too little free space",
        "The brick's filesystem would fall below the reserve, or cannot take the data.",
        "Free or add space.",
    ),
    (
        "GS311",
        "too few free inodes",
        "The brick's filesystem would run out of inodes before it runs out of space.",
        "Use a filesystem with more inodes.",
    ),
    (
        "GS312",
        "a thin pool is over-committed",
        "Its volumes together promise more than it has.",
        "Extend the pool.",
    ),
    (
        "GS313",
        "no free port for a brick",
        "Every port of spec.ports.bricks on that peer (or the one declared) belongs to another brick, to a "
        "deleted volume whose data is kept, or is in use by another program.",
        "Widen spec.ports.bricks, or declare another port.",
    ),
    (
        "GS401",
        "an unknown option",
        "Neither GlusterFS' xlators nor our table of dotted names know it.",
        "Check the spelling; the message names the closest known option.",
    ),
    (
        "GS402",
        "the operating version is raised",
        "Older clients cannot mount any more, and it cannot be lowered again.",
        "Upgrade the clients first. " + _ALLOW,
    ),
    (
        "GS403",
        "takes effect after a remount",
        "Clients that are mounted keep the old value.",
        "Remount where it matters.",
    ),
    (
        "GS404",
        "a deprecated option",
        "It still works and will go away.",
        "Use the option that the message names.",
    ),
    (
        "GS405",
        "options in conflict",
        "Two options ask for different things and one would silently win; or an option does not go with what "
        "there is: no process starts with its value, though glusterd takes it (so do validate and volfile, "
        "with a warning), or what is recorded on the bricks needs the old one.",
        "Remove one, or declare a value as the message says.",
    ),
    ("GS406", "an experimental option", "GlusterFS itself calls it experimental.", _ACKNOWLEDGE),
    (
        "GS407",
        "an option needs a daemon that does not run",
        "Agents of this version do not run every daemon of GlusterFS. Where an option without its daemon "
        "would break writes or promise what nobody does, a plan that switches it on is refused; elsewhere it "
        "is a warning. validate and volfile take such options, because the volfiles are right.",
        "Leave the option off.",
    ),
    (
        "GS408",
        "an option newer than a peer's GlusterFS",
        "Its bricks and clients would not know it: they ignore it or do not start.",
        "Upgrade GlusterFS on the peer, or leave the option out until then.",
    ),
    (
        "GS501",
        "a device by its kernel name",
        "Names like /dev/sdb can change at every boot.",
        "Use a path below /dev/disk/by-id.",
    ),
    ("GS502", "a secret in plain text", "Whoever reads the repository has it.", "Use secretRef."),
    (
        "GS503",
        "a value not in its canonical form",
        "It means the same as another spelling and makes noise in diffs.",
        "Write it as the message shows.",
    ),
    ("GS504", "declared twice", "Two places declare one object.", "Remove one."),
    ("GS505", "an unsigned commit", "Policy asks for signed commits.", "Sign it."),
    (
        "GS506",
        "the declaration shrank much",
        "Many objects disappeared at once: a lost file rather than a decision.",
        "Nothing is deleted by absence. If it is meant, declare tombstones or forget the objects.",
    ),
    (
        "GS601",
        "a peer was not observed",
        "Its agent did not answer, so nothing is known of its bricks. Unknown is not the same as down.",
        "Start the agent there (systemctl status gluster-state-agent), or declare the peer state: lost.",
    ),
    (
        "GS602",
        "observations are old",
        "The facts are older than the plan may rely on.",
        "Look at the agent of that peer.",
    ),
    (
        "GS603",
        "peers disagree",
        "Two peers report different things about the same object.",
        "Look at the network between them before anything is changed.",
    ),
)

CODES: Mapping[str, RiskCode] = MappingProxyType(
    {code: RiskCode(code, title, text, remedy.format(code=code)) for code, title, text, remedy in _TABLE}
)


def risk_class(codes: Iterable[str]) -> str:
    """Return the worst class among some codes, ``none`` if there is none."""
    found = {code[2] for code in codes if code in CODES}
    return next((name for hundred, name in CLASSES.items() if hundred in found), "none")
