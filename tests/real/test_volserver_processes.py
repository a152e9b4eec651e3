"""A real brick and a real mount on our volfile server, on port 24007 in namespaces of their own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from reconciler.adapters import gluster_rpc
from reconciler.errors import StepError, WireError
from reconciler.volserver.server import VolfileServer
from reconciler.wire import rpc
from tests.namespaces import in_own_namespaces
from tests.volfile_sources import RecordedSource

pytestmark = pytest.mark.real

HOST = "127.0.0.1"
VOLUME_ID = str(uuid.uuid5(uuid.NAMESPACE_DNS, "volserver.test"))


def xlator(name: str, kind: str, options: dict[str, str], *subvolumes: str) -> str:
    lines = [f"volume {name}", f"    type {kind}"]
    lines += [f"    option {key} {value}" for key, value in options.items()]
    lines += [f"    subvolumes {' '.join(subvolumes)}"] if subvolumes else []
    return "\n".join([*lines, "end-volume", ""])


def brick_volfile(path: Path) -> str:
    """The smallest brick that clients can use."""
    layers = [
        ("posix", "storage/posix", {"directory": str(path), "volume-id": VOLUME_ID}),
        ("access-control", "features/access-control", {}),
        ("locks", "features/locks", {}),
        ("upcall", "features/upcall", {}),
        ("io-threads", "performance/io-threads", {}),
        ("index", "features/index", {"index-base": f"{path}/.glusterfs/indices"}),
        (str(path), "debug/io-stats", {"unique-id": str(path)}),
        (
            "v-server",
            "protocol/server",
            {"transport-type": "tcp", "auth-path": str(path), f"auth.addr.{path}.allow": "*"},
        ),
    ]
    text, below = "", ()
    for name, kind, options in layers:
        text += xlator(name, kind, options, *below)
        below = (name,)
    return text


def client_volfile(path: Path, ping_timeout: int) -> str:
    remote = {"transport-type": "tcp", "remote-host": HOST, "remote-subvolume": str(path)}
    return (
        xlator("v-client-0", "protocol/client", {**remote, "ping-timeout": str(ping_timeout)})
        + xlator("v-write-behind", "performance/write-behind", {}, "v-client-0")
        + xlator("v", "debug/io-stats", {}, "v-write-behind")
    )


@dataclass
class Brick:
    """A brick process in the foreground, ended by its own process id."""

    run_dir: Path
    path: Path = field(init=False)
    control: Path = field(init=False)
    process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.path = self.run_dir / "brick"
        self.control = self.run_dir / "brick.s"
        (self.path / ".glusterfs").mkdir(parents=True, mode=0o600)
        os.setxattr(self.path, "trusted.glusterfs.volume-id", uuid.UUID(VOLUME_ID).bytes)

    def start(self) -> None:
        command = [
            "glusterfsd", "-N", "-s", str(self.run_dir / "a.sock"), "--volfile-server-transport", "unix",
            "--volfile-id", "v.brick", "-p", str(self.run_dir / "brick.pid"), "-S", str(self.control),
            "--brick-name", str(self.path), "--brick-port", "61000", "-l", str(self.run_dir / "brick.log"),
            "--xlator-option", "v-server.listen-port=61000", "--process-name", "brick",
        ]  # fmt: skip
        self.process = subprocess.Popen(command)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(10)


@contextlib.contextmanager
def mounted(run_dir: Path) -> Iterator[Path]:
    """Mount volume v with the stock client; at the end its process is gone too."""
    point = run_dir / "mnt"
    point.mkdir()
    log = run_dir / "mnt.log"
    done = subprocess.run(
        ["mount", "-t", "glusterfs", "-o", f"log-file={log}", f"{HOST}:/v", str(point)],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr + log.read_text()
    client = process_of(log)
    try:
        yield point
    finally:
        subprocess.run(["umount", "-f", str(point)], check=True)
        try:
            eventually(lambda: process_of(log) != client, "the client ends")
        finally:
            with contextlib.suppress(ProcessLookupError):
                if process_of(log) == client:
                    os.kill(client, signal.SIGKILL)


def process_of(log: Path) -> int:
    """Return the client process with this log file, which only this test names; 0 when there is none."""
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                words = (process / "cmdline").read_bytes().split(b"\0")
                if words[0].endswith(b"/glusterfs") and f"--log-file={log}".encode() in words:
                    return int(process.name)
    return 0


def eventually(condition: Callable[[], bool], what: str, timeout_s: float = 10) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


@pytest.fixture
def run_dir() -> Iterator[Path]:
    """A directory with a short name: a socket's path ends at 107 bytes."""
    path = Path(tempfile.mkdtemp(prefix="vs-"))
    yield path
    shutil.rmtree(path)


def test_a_real_brick_signs_in_and_a_real_mount_follows_fetchspec(run_dir: Path) -> None:
    in_own_namespaces(lambda: brick_and_mount(run_dir))


def brick_and_mount(run_dir: Path) -> None:
    source = RecordedSource(servers=(HOST,))
    brick = Brick(run_dir)
    source.local_specs["v.brick"] = brick_volfile(brick.path)
    source.open_specs["/v"] = client_volfile(brick.path, ping_timeout=42)
    server = VolfileServer(source, address=HOST, unix_socket=run_dir / "a.sock")
    with contextlib.ExitStack() as stack:
        stack.callback(server.stop)
        server.start()
        stack.callback(brick.end)
        brick.start()
        source.wait_for(lambda: bool(source.told("signed_in")), "the brick signs in")
        assert source.told("signed_in")[0][1:] == (str(brick.path), 61000, brick.process.pid)
        assert gluster_rpc.brick_clients(brick.control, "v", str(brick.path)) == ()
        point = stack.enter_context(mounted(run_dir))
        write_and_read(point, brick.path, "first")
        [client] = gluster_rpc.brick_clients(brick.control, "v", str(brick.path))
        assert (client.name, client.op_version) == ("fuse", 100000)
        fetchspec_changes_the_mount(server, source, brick, point)
        server.stop()
        write_and_read(point, brick.path, "without a server")
        reconnect(source, brick, run_dir, stack)
        write_and_read(point, brick.path, "with the next server")
        with pytest.raises(StepError, match="no such brick"):
            gluster_rpc.brick_clients(brick.control, "v", "/elsewhere")
        gluster_rpc.brick_terminate(brick.control, str(brick.path))
        assert brick.process.wait(10) == signal.SIGTERM, "the process ends itself with SIGTERM"
        source.wait_for(lambda: bool(source.told("signed_out")), "the brick signs out")
    with pytest.raises(StepError) as gone:
        gluster_rpc.brick_terminate(brick.control, str(brick.path))
    assert gone.value.retryable


def write_and_read(point: Path, brick: Path, text: str) -> None:
    (point / "file").write_text(text)
    assert (brick / "file").read_text() == text
    assert (point / "file").read_text() == text


def fetchspec_changes_the_mount(
    server: VolfileServer, source: RecordedSource, brick: Brick, point: Path
) -> None:
    live = point / ".meta/graphs/active/v-client-0/private"
    assert "ping_timeout = 42" in live.read_text()
    source.open_specs["/v"] = client_volfile(brick.path, ping_timeout=33)
    before = source.asked("/v"), source.asked("v.brick")
    server.broadcast_fetchspec()
    source.wait_for(lambda: source.asked("/v") > before[0], "the mount fetches again")
    source.wait_for(lambda: source.asked("v.brick") > before[1], "the brick fetches again")
    eventually(lambda: "ping_timeout = 33" in live.read_text(), "the mount obeys the new volfile")
    assert source.asked("/v", trusted=True) == 0
    assert source.asked("v.brick", trusted=False) == 0


def reconnect(source: RecordedSource, brick: Brick, run_dir: Path, stack: contextlib.ExitStack) -> None:
    """A new server on the same port and socket learns everything again from the processes themselves."""
    source.events.clear()
    source.requests.clear()
    source.ports.clear()
    server = VolfileServer(source, address=HOST, unix_socket=run_dir / "a.sock")
    stack.callback(server.stop)
    server.start()
    source.wait_for(lambda: source.asked("/v") > 0, "the mount comes back")
    source.wait_for(lambda: bool(source.told("signed_in")), "the brick signs in again")
    assert source.told("signed_in")[0][1:] == (str(brick.path), 61000, brick.process.pid)


@pytest.mark.parametrize(
    "stream", [b"HTTP/1.1 400 Bad Request\r\n\r\n", rpc.frame(rpc.Accepted(xid=1, body=b"\0").encode())]
)
def test_an_answer_that_is_not_the_protocol_is_a_wire_error(stream: bytes) -> None:
    with socket.create_server((HOST, 0)) as listener:

        def answer() -> None:
            connection = listener.accept()[0]
            with connection:
                connection.recv(4096)
                connection.sendall(stream)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(WireError):
            gluster_rpc.fetch_spec(HOST, listener.getsockname()[1], "/home", timeout_s=3)
        thread.join()
