"""What the volfiles of a volume cost, against parsing the same text: it must grow with the text, not faster.

Prints, for volumes of 3, 30 and 300 bricks, how much processor time all graphs, their text, and parsing that
text take; what the machine is and what else it does cancels out in the ratio. Exits 1 if making and
writing costs more than `LIMIT` times what parsing does, or if that ratio is for 300 bricks more than twice
that for 30.

Run: ``make bench``, or ``python benchmarks/volfiles.py``
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

from reconciler.model.configured import BrickRecord, Secret, VolumeRecord
from reconciler.model.ids import BrickId, BrickUuid, NodeId, PeerName, VolumeId, VolumeName
from reconciler.model.volume import Shape, VolumeState, VolumeType
from reconciler.shipped import shipped_features
from reconciler.volgen.render import all_graphs
from reconciler.volgen.text import parse, write

SIZES = (3, 30, 300)
ROUNDS = 5
LIMIT = 1.0  #: how many times the cost of parsing; measured: 0.4 to 0.6

S = TypeVar("S")
T = TypeVar("T")


def volume(bricks: int) -> VolumeRecord:
    """Return a replica 3 volume with quota and bitrot detection, ten bricks a node."""
    nodes = max(3, bricks // 10)
    return VolumeRecord(
        name=VolumeName("home"),
        volume_id=VolumeId("3db01396-9b63-40c8-95a0-06cc48f93a1c"),
        incarnation=1,
        generation=1,
        shape=Shape(type=VolumeType.REPLICATE, replica=3),
        state=VolumeState.STARTED,
        bricks=tuple(
            BrickRecord(
                slot=f"{n // 3}.{n % 3}",
                brick_id=BrickId(f"home-client-{n}"),
                uuid=BrickUuid(f"00000000-0000-4000-8000-{n:012d}"),
                peer=PeerName(f"gs{n % nodes}"),
                node_id=NodeId(f"node-{n % nodes}"),
                host=f"10.0.0.{n % nodes}",
                path=f"/bricks/home/b{n}",
                port=61000 + n,
            )
            for n in range(bricks)
        ),
        options=(
            ("features.bitrot", "on"), ("features.inode-quota", "on"), ("features.quota", "on"),
            ("network.ping-timeout", "20"), ("performance.parallel-readdir", "on"),
        ),
    )  # fmt: skip


def best(work: Callable[[], T]) -> tuple[float, T]:
    """Return the least processor time of a few rounds, and the result."""
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        result = work()
        times.append(time.process_time() - start)
    return min(times), result


def _each(work: Callable[[S], T], values: Iterable[S]) -> list[T]:
    return [work(value) for value in values]


def main() -> int:
    """Measure and print; return the exit code."""
    slots, secret = shipped_features().slots(), Secret(username="u", password="p")
    ratios = []
    for size in SIZES:
        record = volume(size)
        make = functools.partial(all_graphs, record, slots=slots, secret=secret, host="10.0.0.0", others=())
        made, graphs = best(make)
        written, texts = best(functools.partial(_each, write, graphs.values()))
        parsed, again = best(functools.partial(_each, parse, texts))
        assert again == list(graphs.values())
        ratios.append((made + written) / parsed)
        size_kib = sum(map(len, texts)) / 1024
        print(
            f"{size:3} bricks: {len(texts)} volfiles, {size_kib:.0f} KiB: made in {made * 1000:.1f} ms, "
            f"written in {written * 1000:.1f} ms, parsed in {parsed * 1000:.1f} ms: "
            f"{ratios[-1]:.2f} times parsing"
        )
    return int(max(ratios) > LIMIT or ratios[-1] > 2 * ratios[1])


if __name__ == "__main__":
    sys.exit(main())
