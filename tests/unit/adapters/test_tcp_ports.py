"""Whether a port is free, and who has it."""

from __future__ import annotations

import os
import socket

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
