"""A step that is cut off at its n-th system call, or whose n-th system call fails.

The calls are those of the agent's thread that runs the step, of a set; strace counts them, by name, and kills
the process before the n-th is carried out, or lets it return an error. Between two calls of the set nothing
that outlives the process is changed by it, so cutting at each of them is cutting anywhere.

Source: strace(1), "Tampering": ``inject=SET:signal=SIG:when=N`` delivers the signal on entering the call; a
fatal one keeps the kernel from carrying it out (Linux kernel/entry/common.c: syscall_trace_enter).
"""

from __future__ import annotations

import contextlib
import json
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self

from reconciler.plan.step import Args
from reconciler.ports.node import Call
from tests.brick_node import Node
from tests.laws.victim import LENGTH, Order

REPOSITORY = Path(__file__).parents[2]
CHANGING = (  #: calls with which an agent changes a disk or a process
    *("mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "rename", "renameat", "renameat2"),
    *(
        "symlink",
        "symlinkat",
        "link",
        "linkat",
        "truncate",
        "ftruncate",
        "write",
        "pwrite64",
        "fsync",
        "fdatasync",
    ),
    *("setxattr", "lsetxattr", "fsetxattr", "removexattr", "lremovexattr", "fremovexattr"),
    *("chmod", "fchmod", "fchmodat", "chown", "fchown", "lchown", "fchownat", "utimensat"),
    *("flock", "fork", "vfork", "clone", "clone3", "kill", "tgkill", "pidfd_send_signal", "connect"),
)
FAILING = (*CHANGING, "open", "openat", "pidfd_open")  #: and those that may fail for want of something
FAULTS = ("error=ENOSPC", "error=EIO", "error=EACCES")
KILL = "signal=KILL"


@dataclass(frozen=True)
class Cut:
    """What happens at which call: the `when`-th of its name. Without a name calls are only listed."""

    calls: tuple[str, ...] = CHANGING
    fault: str = KILL
    name: str = ""
    when: int = 0

    def __str__(self) -> str:
        return f"{self.fault} at {self.name} {self.when}"


def cuts(calls: tuple[str, ...], made: Sequence[str], fault: str = KILL) -> list[Cut]:
    """Return a cut at each of the calls that were made, in order (strace counts those of one name)."""
    return [Cut(calls, fault, name, made[: at + 1].count(name)) for at, name in enumerate(made)]


@dataclass(frozen=True)
class Acted:
    """What became of an agent that acted: killed, or its answer; and the calls it made, in order."""

    killed: bool
    calls: tuple[str, ...]
    error: str = ""
    kind: str = ""
    bug: str = ""


@dataclass
class Victims:
    """Agents to be cut off. A context: the process that they are copies of ends with it."""

    log: Path
    _process: subprocess.Popen[bytes] = field(init=False)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.laws.victim"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=REPOSITORY,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._stdin.close()
        self._process.wait(60)
        self._stdout.close()

    @property
    def _stdin(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def _stdout(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def act(self, it: Node, step: Call, before: Args, *, undo: bool, cut: Cut) -> Acted:
        """Have the agent of `it` act, and another one in its place afterwards."""
        it.server.stop()
        order = pickle.dumps(Order(it.root, it.boot_id, step, before, undo))
        self._send(LENGTH.pack(len(order)) + order)
        pid = self._hear()["pid"]
        with self._traced(pid, cut):
            self._send(b"g")
            answer = self._hear()
            ended = answer if "ended" in answer else self._hear()
        it.restart_agent()
        calls = tuple(line.partition("(")[0] for line in self.log.read_text().splitlines() if "(" in line)
        killed = ended["ended"] == -9
        return Acted(
            killed, calls, **({} if killed else {k: answer.get(k, "") for k in ("error", "kind", "bug")})
        )

    @contextlib.contextmanager
    def _traced(self, pid: int, cut: Cut) -> Iterator[None]:
        words = ["strace", "-qq", "-p", str(pid), "-o", str(self.log), "-e", f"trace={','.join(cut.calls)}"]
        if cut.name:
            words += ["-e", f"inject={cut.name}:{cut.fault}:when={cut.when}"]
        tracer = subprocess.Popen(words)
        try:
            deadline = time.monotonic() + 30
            while "TracerPid:\t0\n" in Path(f"/proc/{pid}/status").read_text():
                assert time.monotonic() < deadline, "strace does not attach"
                assert tracer.poll() is None, "strace has given up"
                time.sleep(0.002)
            yield
        finally:
            tracer.wait(30)  # it ends with the process that it traces

    def _send(self, data: bytes) -> None:
        self._stdin.write(data)
        self._stdin.flush()

    def _hear(self) -> dict[str, Any]:
        line = self._stdout.readline()
        assert line, "the victims are gone"
        return dict(json.loads(line))
