"""The volfile server on real sockets: hostile strangers beside a well-behaved client, and its two doors."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Self

import pytest

from reconciler.adapters import gluster_rpc
from reconciler.errors import EnvironmentProblem, StepError
from reconciler.volserver.connection import Limits
from reconciler.volserver.server import VolfileServer
from reconciler.wire import programs, rpc
from tests.volfile_sources import RecordedSource

pytestmark = pytest.mark.real

HOST = "127.0.0.1"
QUICK = Limits(first_record_s=0.6, idle_s=1.0, stalled_write_s=0.6, connections_per_address=40)


@pytest.fixture
def run_dir() -> Iterator[Path]:
    """A directory with a short name: a socket's path ends at 107 bytes."""
    path = Path(tempfile.mkdtemp(prefix="vs-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def source() -> RecordedSource:
    source = RecordedSource()
    source.open_specs["/home"] = "volume home\n"
    source.local_specs["secret"] = "password\n"
    return source


@pytest.fixture
def server(source: RecordedSource, run_dir: Path) -> Iterator[VolfileServer]:
    with serving(
        VolfileServer(source, address=HOST, port=0, unix_socket=run_dir / "a.sock", limits=QUICK)
    ) as it:
        yield it


@contextlib.contextmanager
def serving(server: VolfileServer) -> Iterator[VolfileServer]:
    server.start()
    try:
        yield server
    finally:
        server.stop()
        assert not server.running


@contextlib.contextmanager
def connected(server: VolfileServer | Path) -> Iterator[socket.socket]:
    if isinstance(server, Path):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(server))
            yield connection
    else:
        with socket.create_connection((HOST, server.port), 5) as connection:
            yield connection


def getspec(key: str, xid: int = 1) -> bytes:
    body = programs.GetspecRequest(key=key).encode()
    call = rpc.Call(xid=xid, program=programs.Program.HANDSHAKE, version=2, procedure=2, body=body)
    return rpc.frame(call.encode())


def sign_in(brick: str) -> bytes:
    body = programs.SignIn(brick=brick, port=61000, pid=os.getpid()).encode()
    call = rpc.Call(xid=1, program=programs.Program.PORTMAP, version=1, procedure=4, body=body)
    return rpc.frame(call.encode())


def received(connection: socket.socket) -> rpc.Message:
    reader = rpc.RecordReader(2**24)
    while (record := reader.next_record()) is None:
        data = connection.recv(65536)
        assert data, "closed"
        reader.feed(data)
    return rpc.decode_message(record)


def is_closed(connection: socket.socket, timeout_s: float) -> bool:
    """Return whether the server closes the connection in time; whatever it still sends is dropped."""
    deadline = time.monotonic() + timeout_s
    with contextlib.suppress(ConnectionResetError):
        while time.monotonic() < deadline:
            connection.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                if not connection.recv(65536):
                    return True
            except TimeoutError:
                return False
        return False
    return True


class WellBehaved:
    """A client that asks for its volfile all the time and notes how long the worst answer took."""

    def __init__(self, port: int) -> None:
        self.answers = 0
        self.worst_s = 0.0
        self._port = port
        self._failure: BaseException | None = None
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            while not self._end.is_set():
                begun = time.monotonic()
                assert gluster_rpc.fetch_spec(HOST, self._port, "/home", timeout_s=5) == "volume home\n"
                self.worst_s = max(self.worst_s, time.monotonic() - begun)
                self.answers += 1
                self._end.wait(0.005)
        except BaseException as error:  # noqa: BLE001 - raised by __exit__
            self._failure = error


GARBAGE = {
    "not RPC": b"GET /home HTTP/1.1\r\nHost: x\r\n\r\n",
    "a giant length": b"\xff\xff\xff\xff",
    "a giant first fragment": b"\x7f\xff\xff\xff" + bytes(100),
    "a record over the limit": (0x80000000 | 65537).to_bytes(4, "big"),
    "a million empty fragments": bytes(4_000_000),
    "tiny fragments": (b"\0\0\0\1x" * 100),
    "a record cut short": rpc.frame(b"\0\0\0\1\0\0\0\0\0\0\0\2"),
    "a call that never ends": rpc.frame(b"0" * 100)[:50],
    "a reply": rpc.frame(rpc.Accepted(xid=1).encode()),
    "a credential of 401 bytes": rpc.frame(
        rpc.Call(xid=1, credential=rpc.Credential(0, bytes(401))).encode()
    ),
    "a message of no type": rpc.frame(b"\0\0\0\1\0\0\0\7"),
}


def test_garbage_costs_its_own_connection_and_nobody_elses(
    server: VolfileServer, source: RecordedSource
) -> None:
    with WellBehaved(server.port) as client:
        for name, stream in GARBAGE.items():
            with connected(server) as stranger:
                with contextlib.suppress(ConnectionError):
                    stranger.sendall(stream)
                assert is_closed(stranger, 3), name
        with connected(server) as stranger:
            stranger.sendall(sign_in("/b"))
            assert received(stranger) == rpc.Accepted(xid=1, status=rpc.AcceptStatus.PROC_UNAVAIL)
            stranger.sendall(rpc.frame(rpc.Call(xid=2, program=1238463, version=2, procedure=1).encode()))
            assert received(stranger) == rpc.Accepted(xid=2, status=rpc.AcceptStatus.PROG_UNAVAIL)
            stranger.sendall(getspec("secret", xid=3))
            refused = received(stranger)
            assert isinstance(refused, rpc.Accepted)
            assert programs.GetspecReply.decode(refused.body).error == 2
    assert client.answers > 20
    assert client.worst_s < 2
    assert source.told("signed_in") == []
    assert server.running


def test_single_bytes_buy_a_stranger_no_time(server: VolfileServer) -> None:
    with WellBehaved(server.port) as client, connected(server) as slow, connected(server) as silent:
        begun = time.monotonic()
        with contextlib.suppress(ConnectionError):
            for byte in getspec("/home"):
                slow.send(bytes([byte]))
                time.sleep(0.05)
        assert is_closed(slow, 0.1)
        assert time.monotonic() - begun < 2.5
        assert is_closed(silent, 1)
    assert client.worst_s < 2


def test_a_stranger_that_never_reads_is_not_read_from_and_closed(
    server: VolfileServer, source: RecordedSource
) -> None:
    source.open_specs["big"] = "x" * 1_000_000
    with WellBehaved(server.port) as client, connected(server) as greedy:
        greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        greedy.settimeout(0.3)
        with contextlib.suppress(TimeoutError, ConnectionError):
            greedy.sendall(getspec("big") * 2000)
        source.wait_for(lambda: bool(source.told("disconnected")), "closed")
        assert source.asked("big") < 40
    assert client.worst_s < 2


def test_replies_that_nobody_reads_have_a_limit_altogether(source: RecordedSource) -> None:
    source.open_specs["big"] = "x" * 12_000_000
    patient = Limits(stalled_write_s=60, unread_bytes=10_000_000)
    with (
        serving(VolfileServer(source, address=HOST, port=0, limits=patient)) as server,
        contextlib.ExitStack() as stack,
    ):
        for _ in range(3):
            greedy = stack.enter_context(connected(server))
            greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            greedy.sendall(getspec("big"))
        source.wait_for(lambda: len(source.told("disconnected")) >= 2, "the longest stalled are closed")
        assert source.told("disconnected")[0] == (1,)


def test_a_slow_reader_gets_every_reply_in_the_end(server: VolfileServer, source: RecordedSource) -> None:
    source.open_specs["big"] = "x" * 100_000
    reader = rpc.RecordReader(2**20)
    xids: list[int] = []
    with connected(server) as slow:
        slow.sendall(b"".join(getspec("big", xid) for xid in range(100)))
        while len(xids) < 100:
            reader.feed(slow.recv(200_000))
            while (record := reader.next_record()) is not None:
                xids.append(rpc.decode_message(record).xid)
            time.sleep(0.005)
    assert xids == list(range(100))


def test_one_address_cannot_take_all_connections(server: VolfileServer, source: RecordedSource) -> None:
    with contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(connected(server)) for _ in range(40)]
        for member in crowd:
            member.sendall(getspec("/home"))
            received(member)
        with connected(server) as one_too_many:
            assert is_closed(one_too_many, 1)
        crowd[0].close()
        source.wait_for(lambda: bool(source.told("disconnected")), "room again")
        assert gluster_rpc.fetch_spec(HOST, server.port, "/home") == "volume home\n"


def test_idle_strangers_keep_no_client_of_the_same_address_out(server: VolfileServer) -> None:
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(connected(server))
        client.sendall(getspec("/home"))
        received(client)
        idle = [stack.enter_context(connected(server)) for _ in range(100)]
        begun = time.monotonic()
        assert gluster_rpc.fetch_spec(HOST, server.port, "/home", timeout_s=2) == "volume home\n"
        assert time.monotonic() - begun < 1
        assert is_closed(idle[0], 1)  # it has waited longest
        assert not is_closed(idle[-1], 0.1)
        assert not is_closed(client, 0.1)  # whoever has a volfile stays


def test_only_a_connection_without_a_volfile_may_not_idle(server: VolfileServer) -> None:
    with connected(server) as client, connected(server) as refused:
        client.sendall(getspec("/home"))
        received(client)
        refused.sendall(getspec("nothing"))
        received(refused)
        assert is_closed(refused, 3)
        assert not is_closed(client, 0.5)
        server.broadcast_fetchspec()
        assert received(client) == rpc.decode_message(programs.fetchspec())


def test_fetchspec_goes_to_those_who_asked_for_a_volfile(server: VolfileServer, run_dir: Path) -> None:
    with contextlib.ExitStack() as stack:
        asked, local, other = (
            stack.enter_context(connected(it)) for it in (server, run_dir / "a.sock", server)
        )
        asked.sendall(getspec("/home"))
        local.sendall(getspec("secret"))
        for member in (asked, local):
            received(member)
        server.broadcast_fetchspec()
        for member in (asked, local):
            member.settimeout(3)
            assert received(member) == rpc.decode_message(programs.fetchspec())
        other.settimeout(0.2)
        with pytest.raises(TimeoutError):
            other.recv(1)
    server.stop()
    server.broadcast_fetchspec()  # nobody is left to be told


def test_the_unix_socket_is_for_root_alone(
    server: VolfileServer, source: RecordedSource, run_dir: Path
) -> None:
    path = run_dir / "a.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    run_dir.chmod(0o755)
    program = (
        "import os,socket,sys; s=socket.socket(socket.AF_UNIX); s.settimeout(3)\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534); s.connect(sys.argv[1])\n"
        "try: s.sendall(bytes.fromhex(sys.argv[2])); print(len(s.recv(999)))\n"
        "except ConnectionError: print(0)"
    )
    command = [sys.executable, "-I", "-S", "-c", program, str(path), getspec("secret").hex()]

    def as_nobody() -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert "PermissionError" in as_nobody().stderr
    path.chmod(0o666)
    second = as_nobody()
    assert (second.stdout.strip(), second.stderr) == ("0", ""), "the kernel's word counts, not the mode"
    assert source.requests == []


def test_a_dropped_connection_takes_its_sign_ins_along(
    server: VolfileServer, source: RecordedSource, run_dir: Path
) -> None:
    with connected(run_dir / "a.sock") as brick:
        brick.sendall(sign_in("/b"))
        assert received(brick) == rpc.Accepted(xid=1, body=bytes(8))
    source.wait_for(lambda: bool(source.told("disconnected")), "gone")
    [(connection, *signed_in)] = source.told("signed_in")
    assert signed_in == ["/b", 61000, os.getpid()]
    assert source.told("disconnected") == [(connection,)]


def test_stopping_closes_every_connection_and_tells_the_source_nothing(
    server: VolfileServer, source: RecordedSource, run_dir: Path
) -> None:
    with connected(server) as client, connected(run_dir / "a.sock") as brick:
        client.sendall(getspec("/home"))
        received(client)
        brick.sendall(sign_in("/b"))
        received(brick)
        server.stop()
        assert is_closed(client, 1)
        assert is_closed(brick, 1)
    assert not (run_dir / "a.sock").exists()
    assert source.told("disconnected") == []


def test_stopping_closes_who_is_just_being_accepted_too(server: VolfileServer, run_dir: Path) -> None:
    server._call_soon(partial(time.sleep, 0.3))  # meanwhile they queue up, and the end behind them
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connected(door)) for door in (server, run_dir / "a.sock") * 5]
        server.stop()
        assert all(is_closed(client, 1) for client in clients)


def test_a_stale_socket_is_replaced_and_a_live_one_is_not(source: RecordedSource, run_dir: Path) -> None:
    path = run_dir / "a.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    first = VolfileServer(source, address=HOST, port=0, unix_socket=path)
    second = VolfileServer(source, address=HOST, port=0, unix_socket=path)
    with serving(first):
        with pytest.raises(EnvironmentProblem, match="another process serves"):
            second.start()
        with connected(path) as connection:
            connection.sendall(getspec("secret"))
            received(connection)
    assert not path.exists()
    foreign = socket.socket(socket.AF_UNIX)
    with foreign:
        foreign.bind(str(path))
        foreign.listen()
        with pytest.raises(EnvironmentProblem, match="another program listens"):
            VolfileServer(source, address=HOST, port=0, unix_socket=path).start()
    path.unlink()
    path.write_text("precious")
    with pytest.raises(EnvironmentProblem, match="is no socket"):
        VolfileServer(source, address=HOST, port=0, unix_socket=path).start()
    assert path.read_text() == "precious"


def test_a_busy_port_is_an_environment_problem_that_names_the_process(source: RecordedSource) -> None:
    with serving(VolfileServer(source, address=HOST, port=0)) as first:
        with pytest.raises(EnvironmentProblem) as caught:
            VolfileServer(source, address=HOST, port=first.port).start()
        assert f"(pid {os.getpid()})" in caught.value.message
        assert "--netns" in caught.value.hint
    with serving(VolfileServer(source, address=HOST, port=first.port)):
        pass
    with pytest.raises(EnvironmentProblem, match="no interface"):
        VolfileServer(source, address="192.0.2.1", port=0).start()


def test_asking_a_volfile_server_says_no_from_no_answer(server: VolfileServer) -> None:
    with pytest.raises(StepError, match="No such file") as refused:
        gluster_rpc.fetch_spec(HOST, server.port, "nothing")
    assert not refused.value.retryable
    with socket.socket() as mute:
        mute.bind((HOST, 0))
        mute.listen()
        begun = time.monotonic()
        with pytest.raises(StepError, match=r"within 0\.3 s") as silent:
            gluster_rpc.fetch_spec(HOST, mute.getsockname()[1], "/home", timeout_s=0.3)
        assert time.monotonic() - begun < 1
        assert silent.value.retryable
        port = mute.getsockname()[1]
    with pytest.raises(StepError, match="refused") as absent:
        gluster_rpc.fetch_spec(HOST, port, "/home")
    assert absent.value.retryable
