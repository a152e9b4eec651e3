"""Sign-ins of brick processes: whose entry goes when."""

from __future__ import annotations

from reconciler.agent.portmap import MAX_PER_CONNECTION, Portmap

BRICK = "/bricks/home/b0"


def _portmap(adopted: dict[str, int] | None = None) -> Portmap:
    return Portmap(lambda brick: (adopted or {}).get(brick, 0))


def test_a_brick_that_signed_in_has_a_port_until_its_connection_ends() -> None:
    ports = _portmap()
    assert ports.port_of(BRICK) == 0
    assert ports.sign_in(1, BRICK, 61000, 4711)
    assert ports.port_of(BRICK) == 61000
    signed_in = ports.signed_in_as(BRICK)
    assert signed_in is not None
    assert signed_in.pid == 4711
    ports.disconnected(1)
    assert ports.port_of(BRICK) == 0


def test_the_end_of_a_failed_second_process_does_not_hide_the_first() -> None:
    for end in ("sign_out", "disconnected"):
        ports = _portmap()
        ports.sign_in(1, BRICK, 61000, 1)
        ports.sign_in(2, BRICK, 61001, 2)
        assert ports.port_of(BRICK) == 61001
        if end == "sign_out":
            ports.sign_out(2, BRICK)
            ports.sign_out(2, BRICK)  # glusterfsd says it twice
        else:
            ports.disconnected(2)
        assert ports.port_of(BRICK) == 61000


def test_the_end_of_the_first_leaves_the_second() -> None:
    ports = _portmap()
    ports.sign_in(1, BRICK, 61000, 1)
    ports.sign_in(2, BRICK, 61001, 2)
    ports.disconnected(1)
    assert ports.port_of(BRICK) == 61001


def test_signing_in_again_on_the_same_connection_replaces() -> None:
    ports = _portmap()
    ports.sign_in(1, BRICK, 61000, 1)
    ports.sign_in(1, BRICK, 61005, 1)
    assert ports.port_of(BRICK) == 61005
    ports.sign_out(1, BRICK)
    assert ports.port_of(BRICK) == 0


def test_a_process_found_running_counts_until_it_signs_in_itself() -> None:
    ports = _portmap({BRICK: 61009})
    assert ports.port_of(BRICK) == 61009
    ports.sign_in(1, BRICK, 61000, 1)
    assert ports.port_of(BRICK) == 61000


def test_nonsense_is_not_noted() -> None:
    ports = _portmap()
    for port in (0, -1, 65536):
        assert not ports.sign_in(1, BRICK, port, 1)
    ports.sign_out(7, BRICK)
    ports.disconnected(7)
    assert ports.port_of(BRICK) == 0


def test_one_connection_cannot_fill_the_map() -> None:
    ports = _portmap()
    assert all(ports.sign_in(1, f"/b{n}", 61000, 1) for n in range(MAX_PER_CONNECTION))
    assert not ports.sign_in(1, "/one-more", 61000, 1)
    assert ports.sign_in(1, "/b0", 61001, 1), "what is there may change"
    assert ports.sign_in(2, "/one-more", 61000, 1)
