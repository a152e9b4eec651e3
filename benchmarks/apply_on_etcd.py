"""How fast a plan is carried out on a real etcd, against what its disk allows in the same run.

The real driver, engine and agents' links, with steps that take no time; a single etcd that waits for its
disk, once as the disk is and once with 80 ms more for every fsync (strace injects it; root). The bounds are
measured beside it: how often the disk can flush (fdatasync of 2 KiB appended to a file in etcd's directory),
and how many writes etcd takes one after the other.

Prints steps and commits a second, and steps a second as a share of etcd's sequential writes. A step takes
three commits, one after the other. Steps that do not need each other share the commit of their commands and
are at work side by side, and etcd flushes their commits together, so a plan may do better than a third.

Exits 1 if the largest plan is below LEAST of the bound on the slow disk, where the processor is no bound, or
if a plan writes more than 2 KiB or three commits a step.

Run: ``make bench``, or ``python -m benchmarks.apply_on_etcd [DIRECTORY]`` (of the disk to measure)
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

from reconciler.adapters.etcd_store import EtcdStore
from reconciler.ports.store import Commit, Put
from reconciler.txn.record import HeadState
from tests.fast_nodes import Instant, agents, carry_out, creation
from tests.journal_cost import COMMITS, PER_STEP, cost_of, history
from tests.servers import EtcdProcess, slow_fsync

SIZES = ((1, 3), (4, 3), (13, 9))  #: volumes and nodes
FLUSHES = 60
DELAYS_MS = (0, 80)
LEAST = 0.25  #: steps a second, as a share of sequential writes a second


def main() -> int:
    """Measure and print; return the exit code."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-", dir=sys.argv[1] if len(sys.argv) > 1 else None) as below,
        EtcdProcess(Path(below), durable=True) as etcd,
    ):
        print(f"the disk flushes {_flushes(etcd.data.parent):.0f} times a second")
        return max([_measure(etcd, delay) for delay in DELAYS_MS])


def _measure(etcd: EtcdProcess, delay_ms: int) -> int:
    """Measure with so much more for every fsync of etcd; return 1 if it is too slow or writes too much."""
    store = EtcdStore(etcd.endpoint)
    with slow_fsync(etcd.pid, delay_ms) if delay_ms else nullcontext():
        writes = _sequential_writes(store)
        print(f"fsync + {delay_ms} ms: etcd takes {writes:.1f} writes a second, one after the other")
        shares = [_applied(etcd, store, size, f"{delay_ms}-{size[0]}", writes) for size in SIZES]
    store.close()
    return int(min(shares) <= 0 or (delay_ms > 0 and shares[-1] < LEAST))


def _flushes(directory: Path) -> float:
    """Return how often a second 2 KiB can be appended to a file and be on the disk."""
    descriptor = os.open(directory / "flushed", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    began = time.monotonic()
    for _ in range(FLUSHES):
        os.write(descriptor, bytes(2048))
        os.fdatasync(descriptor)
    seconds = time.monotonic() - began
    os.close(descriptor)
    return FLUSHES / seconds


def _sequential_writes(store: EtcdStore) -> float:
    began = time.monotonic()
    for number in range(FLUSHES):
        store.commit(Commit(when=(), then=(Put("/bench", f"{number:0300}"),)))
    return FLUSHES / (time.monotonic() - began)


def _applied(etcd: EtcdProcess, store: EtcdStore, size: tuple[int, int], name: str, writes: float) -> float:
    """Carry a plan out and print what it took; return its share of the bound, 0 if it wrote too much."""
    plan = creation(*size, name)
    with agents(lambda: EtcdStore(etcd.endpoint), plan, Instant()):
        first = store.read_prefix("/none").revision
        began = time.monotonic()
        head = carry_out(store, plan)
        seconds = time.monotonic() - began
    assert head.state is HeadState.COMMITTED, head.reason
    cost, steps = cost_of(history(store, first), head.txn), len(plan.steps)
    rate = steps / seconds
    print(
        f"  {steps:5} steps  {rate:6.1f} a second  {rate / writes:5.2f} of etcd's writes"
        f"  {cost.commits / seconds:6.1f} commits a second"
        f"  {cost.commits / steps:4.2f} commits and {cost.size / steps:5.0f} bytes a step"
    )
    within = cost.size <= PER_STEP * steps and cost.commits <= COMMITS * steps
    return rate / writes if within else 0.0


if __name__ == "__main__":
    sys.exit(main())
