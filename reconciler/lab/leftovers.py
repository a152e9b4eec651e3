"""What is on this machine that a lab could leave behind: compared before and after."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

_PROGRAMS = frozenset({"etcd", "glusterfs", "glusterfsd"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Traces:
    """Processes of a lab's programs (pid and command), mount points, busy loop devices."""

    processes: frozenset[str]
    mounts: frozenset[str]
    loops: frozenset[str]

    def since(self, before: Traces) -> tuple[str, ...]:
        """Return what is here now and was not before, in words."""
        return (
            *(f"process {p}" for p in sorted(self.processes - before.processes)),
            *(f"mount {m}" for m in sorted(self.mounts - before.mounts)),
            *(f"loop device {loop}" for loop in sorted(self.loops - before.loops)),
        )


def traces(root: Path) -> Traces:
    """Return what is there now; of other programs' processes only those whose arguments name `root`."""
    processes = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            command = " ".join(w.decode("utf-8", "replace") for w in words if w)
            program = Path(words[0].decode("utf-8", "replace")).name
            if program in _PROGRAMS or f"{root}/" in command:
                processes.add(f"{entry.name}: {command[:120]}")
    mounts = {line.split()[4] for line in Path("/proc/self/mountinfo").read_text("utf-8").splitlines()}
    loops = set()
    for entry in Path("/sys/block").glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):
            loops.add(f"{entry.parts[3]} ({entry.read_text('utf-8').strip()})")
    return Traces(processes=frozenset(processes), mounts=frozenset(mounts), loops=frozenset(loops))
