from __future__ import annotations

import pytest

from reconciler.errors import WireError
from reconciler.wire import brickop, programs
from reconciler.wire.brickop import BrickProcedure, BrickReply
from reconciler.wire.xdr import Packer


def test_the_result_of_getspec_counts_bytes_not_characters() -> None:
    spec = "volume grüße".encode()
    assert programs.GetspecReply(spec=spec).encode()[:4] == len(spec).to_bytes(4, "big")
    assert len(spec) == 14


def test_a_getspec_refusal_carries_minus_one_and_the_errno() -> None:
    body = programs.GetspecReply(error=2).encode()
    assert body == b"\xff\xff\xff\xff" + b"\0\0\0\2" + bytes(8)
    assert programs.GetspecReply.decode(body).error == 2


def test_a_getspec_reply_that_lies_about_its_length_is_refused() -> None:
    body = Packer().i32(4).i32(0).opaque(b"abc").opaque(b"").build()
    with pytest.raises(WireError, match="promises 4 bytes and carries 3"):
        programs.GetspecReply.decode(body)


def test_keys_end_at_1024_bytes() -> None:
    assert programs.GetspecRequest.decode(programs.GetspecRequest(key="k" * 1024).encode()).key == "k" * 1024
    for key in (b"k" * 1025, b"\xff"):
        with pytest.raises(WireError):
            programs.GetspecRequest.decode(Packer().u32(0).opaque(key).opaque(b"").build())


@pytest.mark.parametrize("text", ["", "-1", "1e5", "٣", "1" * 10, "0x10"])
def test_an_op_version_that_is_no_number_counts_as_unsaid(text: str) -> None:
    assert programs.GetspecRequest(key="k", values={"max-op-version": text}).max_op_version == 0


def test_a_brick_that_is_not_running_has_port_0_and_result_minus_one() -> None:
    assert programs.PortReply(port=0).encode()[:4] == b"\xff\xff\xff\xff"
    assert programs.PortReply.decode(programs.PortReply(port=0).encode()).port == 0
    with pytest.raises(WireError, match="port 65536"):
        programs.PortReply.decode(Packer().i32(0).i32(0).i32(0).i32(65536).build())


def test_a_sign_in_without_a_pid_is_understood() -> None:
    body = Packer().string("/b").i32(61000).build()
    assert programs.SignIn.decode(body) == programs.SignIn(brick="/b", port=61000, pid=0)


def test_fields_of_later_versions_are_ignored() -> None:
    message = programs.SignOut(brick="/b", port=61000)
    assert programs.SignOut.decode(message.encode() + b"more") == message


def test_an_endless_list_of_programs_is_refused() -> None:
    item = Packer().u32(1).string("x").u64(1).u64(1).build()
    with pytest.raises(WireError, match="more than 64"):
        programs.DumpReply.decode(bytes(16) + item * 65 + bytes(4))


def test_the_portmap_program_is_listed_because_clients_look_for_it() -> None:
    assert ("Gluster Portmap", 34123456) in programs.LISTED


def test_the_clients_of_a_brick_are_read() -> None:
    values = {
        "clientcount": "2",
        "client0.hostname": "127.0.0.1:49149", "client0.name": "CTX_ID:a", "client0.opversion": "100000",
        "client0.bytesread": "10", "client0.byteswrite": "20",
        "client1.hostname": "127.0.0.1:49148",
    }  # fmt: skip
    first, second = brickop.read_clients(BrickReply(result=0, values=values))
    assert first == brickop.BrickClient(
        name="CTX_ID:a", address="127.0.0.1:49149", op_version=100000, bytes_read=10, bytes_written=20
    )
    assert (second.name, second.op_version) == ("", 0)


def test_an_answer_without_a_count_is_not_an_empty_list() -> None:
    with pytest.raises(WireError, match="without a count"):
        brickop.read_clients(BrickReply(result=0))
    assert brickop.read_clients(BrickReply(result=0, values={"clientcount": "0"})) == ()


@pytest.mark.parametrize("count", ["2", "-1", "x", "9" * 30, "1" + "0" * 9])
def test_a_brick_that_counts_wrongly_is_not_believed(count: str) -> None:
    values = {"clientcount": count, "client0.hostname": "h"}
    with pytest.raises(WireError):
        brickop.read_clients(BrickReply(result=0, values=values))


def test_a_heal_names_its_xlators_and_their_numbers() -> None:
    request = brickop.heal_index(["home-replicate-0", "home-replicate-1"])
    assert request.procedure is BrickProcedure.XLATOR_OP
    assert request.values == {
        "xl-op": 1, "count": 2,
        "xl-0": "home-replicate-0", "home-replicate-0": 0,
        "xl-1": "home-replicate-1", "home-replicate-1": 1,
    }  # fmt: skip
    assert brickop.heal_index(["v"], full=True).values["xl-op"] == 2


def test_the_status_of_a_heal_is_told_per_child() -> None:
    values = {"0-0-status": "Brick is remote", "0-1-status": "Started self-heal", "1-0-status": "x"}
    assert brickop.read_heal_status(BrickReply(result=0, values=values), ["a", "b", "c"]) == {
        "a": ("Brick is remote", "Started self-heal"),
        "b": ("x",),
        "c": (),
    }
