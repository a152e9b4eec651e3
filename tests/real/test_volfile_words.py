"""A real GlusterFS process reads the words that we quote."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from reconciler.volgen.graph import Graph, Xlator
from reconciler.volgen.text import write

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.real

REGEX = r"^\.(.+)\.[^.]+$"


def log_of_loading(text: str, folder: Path, *, until: str) -> str:
    """Let a client process load `text`, and return its log once it holds `until` (10 s at most)."""
    volfile, log = folder / "x.vol", folder / "x.log"
    volfile.write_text(text, encoding="utf-8")
    log.write_text("", encoding="utf-8")
    with subprocess.Popen(["glusterfs", "-N", "-f", str(volfile), "-l", str(log)]) as process:
        try:
            end = time.monotonic() + 10
            while until not in log.read_text(encoding="utf-8") and time.monotonic() < end:
                time.sleep(0.05)
        finally:
            process.kill()
    return log.read_text(encoding="utf-8")


def graph() -> Graph:
    client = {"remote-host": "127.0.0.9", "remote-subvolume": "/a b", "transport-type": "tcp"}
    return Graph(
        (
            Xlator("x-client-0", "protocol/client", client),
            Xlator("x-dht", "cluster/distribute", {"rsync-hash-regex": REGEX}, ("x-client-0",)),
        )
    )


def test_glusterfs_loads_a_regular_expression_and_a_path_with_a_blank(tmp_path: Path) -> None:
    log = log_of_loading(write(graph()), tmp_path, until="Final graph")
    assert f"option rsync-hash-regex {REGEX}\n" in log
    assert "option remote-subvolume /a b\n" in log


def test_glusterfs_refuses_the_same_words_unquoted(tmp_path: Path) -> None:
    log = log_of_loading(write(graph(), verbatim=True), tmp_path, until="failed to construct")
    assert "syntax error" in log
