"""Whether a port is free, and who has it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time

import pytest

from reconciler.adapters.tcp_ports import TcpPorts
from reconciler.errors import StepError


def test_a_port_is_free_taken_and_listened_on_per_address() -> None:
    ports = TcpPorts()
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        server.listen()
        assert f"(process {os.getpid()})" in ports.port_holder("127.0.0.1", port)
        assert f"(process {os.getpid()})" in ports.port_holder("", port)
        assert ports.port_holder("127.0.0.2", port) == ""
        assert ports.listening("127.0.0.1", port)
        assert not ports.listening("127.0.0.2", port)
    assert ports.port_holder("127.0.0.1", port) == ""
    assert not ports.listening("", port)


def test_the_holder_is_the_one_at_the_address_and_no_other_of_the_same_port() -> None:
    """All nodes of a lab use the same ports, on addresses of their own."""
    code = "import socket,sys; s=socket.socket(); s.bind((sys.argv[1],int(sys.argv[2]))); s.listen(); input()"
    with socket.socket() as mine:
        mine.bind(("127.0.0.2", 0))
        mine.listen()
        port = mine.getsockname()[1]
        others = [
            subprocess.Popen([sys.executable, "-c", code, address, str(port)], stdin=subprocess.PIPE)
            for address in ("127.0.0.3", "127.0.0.4")
        ]
        try:
            for address, holder in zip(("127.0.0.3", "127.0.0.4"), others, strict=True):
                deadline = time.monotonic() + 10
                while not TcpPorts().listening(address, port):
                    assert time.monotonic() < deadline
                    time.sleep(0.02)
                assert f"(process {holder.pid})" in TcpPorts().port_holder(address, port)
            assert f"(process {os.getpid()})" in TcpPorts().port_holder("127.0.0.2", port)
        finally:
            for holder in others:
                holder.communicate(b"\n", timeout=10)


def test_a_port_left_in_time_wait_is_free() -> None:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", 0))
        server.listen()
        address = server.getsockname()
        with socket.create_connection(address) as client:
            accepted, _ = server.accept()
            accepted.close()  # the server's end waits
            client.recv(1)
    assert TcpPorts().port_holder("127.0.0.1", address[1]) == ""


def test_an_address_of_another_machine_is_an_error() -> None:
    for address in ("192.0.2.1", "no-such-host.invalid"):
        with pytest.raises(StepError, match=address):
            TcpPorts().port_holder(address, 61000)
