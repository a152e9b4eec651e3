"""Real servers for tests: started on free ports, known to be ours, ended by the pid that we started."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

import grpc

from reconciler.adapters.etcd_store import EtcdEndpoint  # first: it registers etcd3's messages

import etcd3  # isort: skip

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

START_TIMEOUT_S = 20.0


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that was free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def freeze(pid: int) -> None:
    """Stop a process (SIGSTOP) and return once it does nothing more.

    kill(2) only queues the signal: the threads go on until one of them has taken it, which on a busy
    machine leaves time to answer another request.
    """
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + START_TIMEOUT_S
    while any(_state(thread) not in "TZX" for thread in Path(f"/proc/{pid}/task").iterdir()):
        assert time.monotonic() < deadline, f"process {pid} does not stop"
        time.sleep(0.001)


@contextmanager
def slow_fsync(pid: int, milliseconds: int) -> Iterator[None]:
    """Have every fsync and fdatasync of a process take that much longer during the block."""
    calls = "fsync,fdatasync"
    words = ["strace", "-f", "-qq", "-o", "/dev/null", "-p", str(pid), "-e", f"trace={calls}"]
    words += ["-e", f"inject={calls}:delay_enter={milliseconds * 1000}"]
    tracer = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while any(_tracer(thread) != tracer.pid for thread in Path(f"/proc/{pid}/task").iterdir()):
            assert tracer.poll() is None, tracer.communicate()[1].decode()
            assert time.monotonic() < deadline, f"strace does not attach to {pid}"
            time.sleep(0.01)
        yield
    finally:
        tracer.terminate()
        tracer.communicate(timeout=10)


def _tracer(thread: Path) -> int:
    """Return who traces a thread, or 0 (proc(5), status)."""
    with suppress(FileNotFoundError, ProcessLookupError):
        lines = (thread / "status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("TracerPid:"))
    return 0


def _state(thread: Path) -> str:
    """Return the letter of proc(5) for a thread's state; X when it has ended meanwhile."""
    try:
        return (thread / "stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


@dataclass(frozen=True)
class TlsFiles:
    """A test CA with one certificate each for the server (127.0.0.1) and for a client, made by openssl."""

    ca: Path
    server_cert: Path
    server_key: Path
    client_cert: Path
    client_key: Path

    @classmethod
    def create(cls, directory: Path) -> TlsFiles:
        directory.mkdir(parents=True, exist_ok=True)
        files = cls(*(directory / name for name in ("ca.pem", "s.pem", "s.key", "c.pem", "c.key")))
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
        ca_key = directory / "ca.key"
        _openssl("req", "-x509", *key, "-keyout", ca_key, "-out", files.ca, "-subj", "/CN=test CA")
        for cert, cert_key, name, usage in (
            (files.server_cert, files.server_key, "server", "serverAuth,clientAuth"),
            (files.client_cert, files.client_key, "client", "clientAuth"),
        ):
            extensions = directory / f"{name}.ext"
            extensions.write_text(f"subjectAltName=IP:127.0.0.1\nextendedKeyUsage={usage}\n")
            request = directory / f"{name}.csr"
            _openssl("req", "-new", *key[:-2], "-keyout", cert_key, "-out", request, "-subj", f"/CN={name}")
            _openssl(
                *("x509", "-req", "-days", "2", "-in", request, "-CA", files.ca, "-CAkey", ca_key),
                *("-CAcreateserial", "-extfile", extensions, "-out", cert),
            )
        return files


def _openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=30)


class Relay:
    """A TCP relay to a server, which can be cut: what is open breaks, and nobody gets through until `mend`.

    Use it as a context manager.
    """

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self._whole = True

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, name="relay", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self.cut()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def cut(self) -> None:
        with self._lock:
            self._whole = False
            for end in self._open:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()
            self._open.clear()

    def mend(self) -> None:
        with self._lock:
            self._whole = True

    def _accept(self) -> None:
        with suppress(OSError):  # the listener is closed
            while True:
                near, _ = self._listener.accept()
                with self._lock:
                    far = self._connect() if self._whole else None
                    if far is None:
                        near.close()
                        continue
                    self._open += [near, far]
                for source, sink in ((near, far), (far, near)):
                    pump = partial(self._pump, source, sink)
                    threading.Thread(target=pump, name="relay pump", daemon=True).start()

    def _connect(self) -> socket.socket | None:
        try:
            return socket.create_connection(self._target, 5)
        except OSError:
            return None

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


class EtcdProcess:
    """One single-member etcd. Restarts keep the ports and, unless `wipe` is called, the data.

    It does not wait for its disk unless it is to be `durable`: nothing here cuts the power.

    Use it as a context manager: it starts on entry; on exit it is ended even if it is stopped, and the
    end of its log is printed, which pytest shows for failed tests only.
    """

    def __init__(
        self,
        directory: Path,
        *,
        tls: TlsFiles | None = None,
        durable: bool = False,
        extra: Sequence[str] = (),
    ) -> None:
        self._directory, self._durable = directory, durable
        self._tls = tls
        self._extra = tuple(extra)
        self._name = f"test-{uuid.uuid4().hex}"
        self._log = directory / "etcd.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._ports = (free_port(), free_port())
        directory.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        print(f"--- end of the log of etcd {self.host}", self.log_text()[-4000:], sep="\n")

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._ports[0]}"

    @property
    def pid(self) -> int:
        assert self._process is not None, "etcd is not running"
        return self._process.pid

    @property
    def endpoint(self) -> EtcdEndpoint:
        if self._tls is None:
            return EtcdEndpoint(hosts=(self.host,))
        tls = self._tls
        return EtcdEndpoint(hosts=(self.host,), ca=tls.ca, cert=tls.client_cert, key=tls.client_key)

    def start(self) -> None:
        """Start it and wait until it answers under our own name."""
        assert self._process is None, "etcd is running already"
        binary = shutil.which("etcd")
        assert binary, "etcd is not installed: apt-get install etcd-server"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ETCD_")}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [binary, *self._arguments()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
            )
        try:
            self._wait_until_ours()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Let it end by itself (SIGTERM)."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once (SIGKILL), also when it is paused. Nothing happens if it does not run."""
        if self._process is not None:
            self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Make it hang (SIGSTOP): its connections stay open and nothing answers."""
        freeze(self.pid)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def wipe(self) -> None:
        """Lose all data while it does not run. The next start makes a new cluster with another id."""
        assert self._process is None
        shutil.rmtree(self._directory / "data")
        self._name = f"test-{uuid.uuid4().hex}"

    def copy_data(self, source: Path, target: Path) -> None:
        """Copy a data directory while etcd does not run (a backup, or its return)."""
        assert self._process is None
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target)

    @property
    def data(self) -> Path:
        return self._directory / "data"

    def client(self) -> etcd3.Etcd3Client:
        """Return a bare client for what a test needs beyond the store (compaction, members)."""
        endpoint = self.endpoint
        host, _, port = self.host.partition(":")
        return etcd3.Etcd3Client(
            host=host,
            port=int(port),
            ca_cert=endpoint.ca and str(endpoint.ca),
            cert_cert=endpoint.cert and str(endpoint.cert),
            cert_key=endpoint.key and str(endpoint.key),
            timeout=5,
        )

    def control(self, command: str) -> None:
        """Run etcdctl on it."""
        subprocess.run(
            ["etcdctl", "--endpoints", self.host, *command.split()],
            env={"ETCDCTL_API": "3", "PATH": "/usr/local/bin:/usr/bin:/bin"},
            check=True,
            capture_output=True,
            timeout=20,
        )

    def log_text(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def _arguments(self) -> list[str]:
        scheme = "http" if self._tls is None else "https"
        client, peer = f"{scheme}://{self.host}", f"http://127.0.0.1:{self._ports[1]}"
        arguments = [
            *("--name", self._name, "--data-dir", str(self.data), "--logger", "zap"),
            *(() if self._durable else ("--unsafe-no-fsync",)),
            *("--listen-client-urls", client, "--advertise-client-urls", client),
            *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
            *("--heartbeat-interval", "10", "--election-timeout", "100"),  # a single member is up in 0.2 s
            *("--initial-cluster", f"{self._name}={peer}", "--initial-cluster-token", self._name),
        ]
        if self._tls is not None:
            arguments += ["--cert-file", str(self._tls.server_cert), "--key-file", str(self._tls.server_key)]
            arguments += ["--trusted-ca-file", str(self._tls.ca), "--client-cert-auth"]
        return [*arguments, *self._extra]

    def _wait_until_ours(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while self._member_names() != {self._name}:
            assert self._process is not None
            ended = self._process.poll()
            assert ended is None, f"etcd ended with {ended}:\n{self.log_text()[-4000:]}"
            assert time.monotonic() < deadline, f"etcd does not answer:\n{self.log_text()[-4000:]}"
            time.sleep(0.02)

    def _member_names(self) -> set[str]:
        """Return the names of the cluster's members, none if nobody answers yet."""
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", self._ports[0])) != 0:
                return set()  # asking grpc now would start its back-off of a second
        client = self.client()
        try:
            return {member.name for member in client.members}
        except grpc.RpcError:
            return set()
        finally:
            client.close()

    def _end(self, number: int) -> None:
        process, self._process = self._process, None
        assert process is not None, "etcd is not running"
        process.send_signal(number)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
