"""Graphs of a volume, and whether a real GlusterFS process brings them up.

Nothing is mounted and nobody connects: what is asked of a process is what its own libraries say of the text.
Run it in namespaces of its own (`tests.namespaces`): bricks listen, and clients look for bricks.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from reconciler.model.configured import VolumeRecord
from reconciler.model.volume import Shape, VolumeType
from reconciler.volgen.brick import brick_graph
from reconciler.volgen.client import client_graph
from reconciler.volgen.services import shd_graph
from reconciler.volgen.text import write
from tests.volume_samples import SECRET, SLOTS, volume

#: by name: the shape of a volume of three bricks
SHAPES: Mapping[str, Shape] = {
    "distribute": Shape(type=VolumeType.DISTRIBUTE),
    "replicate": Shape(type=VolumeType.REPLICATE, replica=3),
    "arbiter": Shape(type=VolumeType.REPLICATE, replica=3, arbiter=1),
    "disperse": Shape(type=VolumeType.DISPERSE, data=2, redundancy=1),
}
_UP = "Final graph:"  #: glusterfsd.c: glusterfs_process_volfp, after the graph was activated
_COMPLAINT = re.compile(r"\] E \[.*")
_LONGEST_S = 30.0


@dataclass(frozen=True, slots=True)
class Loaded:
    """How a process took a graph: `code` is None while it runs, `complaints` are the errors in its log."""

    code: int | None
    complaints: tuple[str, ...]

    @property
    def up(self) -> bool:
        """Return whether the graph came up."""
        return self.code is None


def volume_of(shape: str, brick: Path, options: Mapping[str, str]) -> VolumeRecord:
    """Return a volume of three bricks, the first (and of an arbiter the last) at a folder of this machine."""
    made = volume(options=tuple(sorted(options.items())))
    bricks = tuple(replace(one, host="127.0.0.1", path=str(brick)) for one in made.bricks)
    if shape == "distribute":
        bricks = tuple(replace(one, slot=f"{number}.0") for number, one in enumerate(bricks))
    (brick / ".glusterfs").mkdir(parents=True, exist_ok=True)
    os.setxattr(brick, "trusted.glusterfs.volume-id", uuid.UUID(made.volume_id).bytes)
    return replace(made, shape=SHAPES[shape], bricks=bricks)


def texts_of(record: VolumeRecord) -> dict[str, str]:
    """Return the volfiles of a volume: of its last brick, a mount, and the self-heal daemon if it has one.

    Raises:
        VolfileError: the options make no graph.
    """
    graphs = {
        "brick": brick_graph(record, record.bricks[-1], slots=SLOTS, secret=SECRET),
        "client": client_graph(record, slots=SLOTS),
    }
    if record.shape.heals:
        graphs["shd"] = shd_graph(record, secret=SECRET)
    return {name: write(graph) for name, graph in graphs.items()}


def load(text: str, folder: Path, *words: str, program: str = "glusterfsd") -> Loaded:
    """Let a process bring a volfile up, and end it as soon as it has or has not.

    Args:
        text: the volfile.
        folder: where the volfile and the log go; both are written anew.
        words: more of the process's command line.
        program: ``glusterfsd`` or ``glusterfs``, which is the same to a volfile.
    """
    folder.mkdir(parents=True, exist_ok=True)
    volfile, log = folder / "x.vol", folder / "x.log"
    volfile.write_text(text, encoding="utf-8")
    log.write_bytes(b"")
    command = [program, "-N", "-f", str(volfile), "-l", str(log), *words]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd=folder
    ) as process:
        try:
            end = time.monotonic() + _LONGEST_S
            while _UP not in (said := log.read_text(errors="replace")) and process.poll() is None:
                assert time.monotonic() < end, f"{program} neither comes up nor ends: {said[-2000:]}"
                time.sleep(0.01)
            code = None if _UP in said else process.wait()
        finally:
            process.kill()
    return Loaded(code, tuple(_COMPLAINT.findall(log.read_text(errors="replace"))))
