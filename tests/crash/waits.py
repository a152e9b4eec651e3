"""How long the processes of a lab have stood ready to run while others had the processors.

What is promised within seconds is promised of a machine that has room for it. On one that has not, the time
that a process was kept from running is no time of the product's: it is measured and added to what is allowed.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from reconciler.lab import processes

_KINDS = {"reconciler.lab.supervisor": "supervisor", "agent": "agent", "steward": "steward"}

HEARING = ("etcd", "watch", "watch's reader")  #: between a write and the test's hearing of it


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds by kind of process and number of thread, since each began."""

    seconds: Mapping[tuple[str, int], float]

    def since(self, before: Waits, *kinds: str, begun: str = "") -> float:
        """Return how long a chain of processes can have been held up: of each kind its longest thread.

        Args:
            before: the same when the chain began.
            kinds: which processes it consists of.
            begun: one more kind, of which only a process counts that has begun since.
        """
        longest = dict.fromkeys((*kinds, begun), 0.0)
        for thread, total in self.seconds.items():
            if thread[0] in kinds or (thread[0] == begun and thread not in before.seconds):
                longest[thread[0]] = max(longest[thread[0]], total - before.seconds.get(thread, 0.0))
        return sum(longest.values())


NOTHING = Waits({})


def waits(root: Path, watch: int) -> Waits:
    """Return how long a lab's etcd, agents, stewards and their supervisor have waited so far.

    Args:
        root: the lab.
        watch: the process by which the caller, one thread, hears of what happens in etcd.
    """
    found = {("watch", thread): s for thread, s in _threads(watch)}
    found["watch's reader", threading.get_native_id()] = _waited(Path("/proc/thread-self"))
    for process, words in processes.every():
        kind = _kind(words) if processes.names(words, root) else ""
        if kind == "etcd":
            found.update({(kind, thread): s for thread, s in _threads(process.pid)})
        elif kind:  # of ours it is the main thread that acts
            found[kind, process.pid] = _waited(Path(f"/proc/{process.pid}/task/{process.pid}"))
    return Waits(found)


def _kind(words: tuple[str, ...]) -> str:
    if words[0].rpartition("/")[2] == "etcd":
        return "etcd"
    return next((kind for word, kind in _KINDS.items() if word in words), "")


def _threads(pid: int) -> Iterator[tuple[int, float]]:
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            yield int(task.name), _waited(task)


def _waited(task: Path) -> float:
    """Return the second field of a schedstat: time on a run queue, in nanoseconds, as seconds.

    Linux, Documentation/scheduler/sched-stats.rst.
    """
    with contextlib.suppress(OSError):
        return int((task / "schedstat").read_text().split()[1]) / 1e9
    return 0.0
