"""What a volume is: its shape, and the policies that go with it. Shared by declaration and configuration."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

MAX_NAME = 47  #: longest volume name; GlusterFS' own limit


class VolumeType(Enum):
    """How a subvolume keeps data."""

    DISTRIBUTE = "distribute"  #: one brick per subvolume, no redundancy
    REPLICATE = "replicate"
    DISPERSE = "disperse"


class VolumeState(Enum):
    """Whether bricks run."""

    STARTED = "started"
    STOPPED = "stopped"
    ABSENT = "absent"  #: only in a declaration: the tombstone


class DeletionPolicy(Enum):
    """What a tombstone may do. Sticky: the stored value counts, not the one in the file."""

    PROTECT = "Protect"  #: a tombstone is refused
    RETAIN = "Retain"  #: a tombstone detaches the volume and keeps the data
    DELETE = "Delete"  #: a tombstone obeys its ``data:``


class RestartPolicy(Enum):
    """What an agent does about a brick process that ended by itself."""

    ON_CRASH = "onCrash"
    NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """The restart policy of a volume's bricks. `delay_s` is the first pause; it doubles up to a minute."""

    policy: RestartPolicy = RestartPolicy.ON_CRASH
    delay_s: float = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Type and counts; the same for all subvolumes of a volume.

    Attributes:
        replica: bricks per subvolume of a replicate volume, arbiter included; 1 otherwise.
        arbiter: arbiter bricks among them (0 or 1); always the last of the subvolume.
        data: data bricks per subvolume of a disperse volume; 0 otherwise.
        redundancy: redundancy bricks per subvolume of a disperse volume; 0 otherwise.
    """

    type: VolumeType
    replica: int = 1
    arbiter: int = 0
    data: int = 0
    redundancy: int = 0

    @property
    def bricks_per_subvolume(self) -> int:
        """Return how many bricks make one subvolume."""
        if self.type is VolumeType.DISPERSE:
            return self.data + self.redundancy
        return self.replica if self.type is VolumeType.REPLICATE else 1

    @property
    def heals(self) -> bool:
        """Return true if a self-heal daemon has work on such a volume."""
        return self.type is not VolumeType.DISTRIBUTE

    def describe(self, bricks: int) -> str:
        """Return the shape in words, as ``2 x (2 + 1 arbiter)`` or ``disperse 4+2``."""
        count = max(1, bricks // self.bricks_per_subvolume)
        if self.type is VolumeType.DISTRIBUTE:
            return f"distribute {count}"
        if self.type is VolumeType.DISPERSE:
            word = f"disperse {self.data}+{self.redundancy}"
        elif self.arbiter:
            word = f"replicate {self.replica - self.arbiter}+{self.arbiter} arbiter"
        else:
            word = f"replicate {self.replica}"
        return word if count == 1 else f"{count} x ({word})"
