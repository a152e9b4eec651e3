"""An agent that acts on a step and may be killed meanwhile: ``python -m tests.laws.victim``.

It is a process that has loaded everything, and makes a copy of itself for each order, so that a test can
afford hundreds. An order is a pickle on standard input with its length before it; the copy wires a node from
what is on its disks, says its pid, waits for a byte, and acts. Its answer is one line of JSON; ``ended``
follows when the copy is gone. Nothing else is printed.
"""

from __future__ import annotations

import json
import os
import pickle
import struct
import traceback
from dataclasses import dataclass
from pathlib import Path

from reconciler.errors import ReconcilerError, StepError
from reconciler.plan.step import Args
from reconciler.ports.node import Call
from tests.brick_node import Node
from tests.laws.clocks import READY_S, StoppedClock

LENGTH = struct.Struct("!I")


@dataclass(frozen=True)
class Order:
    """What to act on: the step, its before-image, in which direction, on which node."""

    root: Path
    boot_id: str
    step: Call
    before: Args
    undo: bool


def serve() -> None:
    """Carry out one order after the other until standard input ends."""
    while head := _read(LENGTH.size):
        order = pickle.loads(_read(LENGTH.unpack(head)[0]))
        child = os.fork()
        if child == 0:
            _act(order)
        _, status = os.waitpid(child, 0)
        _say({"ended": os.waitstatus_to_exitcode(status)})


def _act(order: Order) -> None:
    """Act in a copy, which does not come back."""
    it = Node(order.root, boot_id=order.boot_id, clock=StoppedClock(), ready_s=READY_S)
    action = it.actions[order.step.step.kind]
    _say({"pid": os.getpid()})
    _read(1)
    said: dict[str, object] = {}
    try:
        if order.undo:
            action.undo(order.step, order.before)
        else:
            action.do(order.step, order.before)
    except ReconcilerError as exc:
        said = {
            "error": exc.message,
            "kind": type(exc).__name__,
            "retryable": isinstance(exc, StepError) and exc.retryable,
        }
    except BaseException:  # noqa: BLE001  whatever it is: the test reads it
        said = {"bug": traceback.format_exc()}
    _say(said)
    os._exit(0)


def _read(count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = os.read(0, count - len(data))
        if not more:
            return b""
        data += more
    return data


def _say(what: dict[str, object]) -> None:
    line = f"{json.dumps(what)}\n".encode()
    while line:
        try:
            line = line[os.write(1, line) :]
        except OSError:  # an error was injected into this very call
            continue


if __name__ == "__main__":
    serve()
