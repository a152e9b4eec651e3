"""A real GlusterFS process reads the words that we quote, and knows the options that its libraries name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.volgen.client import client_graph
from reconciler.volgen.graph import Graph, Xlator
from reconciler.volgen.options import check_options
from reconciler.volgen.text import unwritable, write
from tests.loading import log_of_loading
from tests.volume_samples import SLOTS, volume

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.real

REGEX = r"^\.(.+)\.[^.]+$"


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


def dumped(log: str) -> list[str]:
    """Return the lines that a process prints of its graph; it gives tcp another name, so that is left out."""
    lines = log.partition("Final graph:")[2].splitlines()
    found = [re.fullmatch(r" *[0-9]+: {0,5}(.*)", line) for line in lines]
    return [line[1] for line in found if line and line[1] != "option transport-type socket"]


def as_dumped(graph: Graph) -> list[str]:
    """Return what `dumped` gives for this graph, up to the order of options."""
    lines: list[str] = []
    for xlator in graph:
        lines += [f"volume {xlator.name}", f"type {xlator.type}"]
        lines += [f"option {key} {value}" for key, value in xlator.options.items() if key != "transport-type"]
        lines += [f"subvolumes {' '.join(xlator.subvolumes)}"] if xlator.subvolumes else []
        lines += ["end-volume", ""]
    return lines


SPECIAL = (
    "end-volume",
    "volume",
    "type x",
    "subvolumes",
    "option",
    "\\",
    '"',
    "#",
    " ",
    "\t",
    "/",
    "'",
    "$(id)",
    "ü",
)
any_word = st.text(min_size=1, max_size=20) | st.lists(st.sampled_from(SPECIAL), min_size=1, max_size=6).map(
    "".join
)


def test_glusterfs_makes_of_any_words_the_graph_that_was_written(tmp_path: Path) -> None:
    """Its own parser agrees with ours that no word adds a line, an option or an xlator."""

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(options=st.dictionaries(any_word.map("user.{}".format), any_word, min_size=1, max_size=5))
    def check(options: dict[str, str]) -> None:
        options = {
            key: value for key, value in options.items() if not unwritable(key) and not unwritable(value)
        }
        made = Graph((*graph(), Xlator("x", "debug/io-stats", options, ("x-dht",))))
        log = log_of_loading(write(made), tmp_path, until=lambda log: log.count("+-----") >= 2)
        assert sorted(dumped(log)) == sorted(as_dumped(made))

    check()


def test_glusterfs_refuses_the_same_words_unquoted(tmp_path: Path) -> None:
    log = log_of_loading(write(graph(), verbatim=True), tmp_path, until="failed to construct")
    assert "syntax error" in log


NATIVE = {
    "md-cache.cache-selinux": "on",
    "performance.read-ahead": "on",
    "read-ahead.page-size": "8192",
    "afr.eager-lock": "off",
    "quick-read.max-file-size": "1KB",
}


def test_glusterfs_takes_options_by_the_names_of_its_xlators(tmp_path: Path) -> None:
    text = write(client_graph(volume(options=tuple(NATIVE.items())), slots=SLOTS))
    log = log_of_loading(text, tmp_path, until="Final graph")
    assert "Final graph" in log
    for line in ("page-size 8192", "cache-selinux on", "eager-lock off", "max-file-size 1KB"):
        assert f"option {line}\n" in log


def test_glusterfs_refuses_the_value_that_we_refuse(tmp_path: Path) -> None:
    options = {**NATIVE, "read-ahead.page-size": "12"}
    (found,) = check_options(options)
    assert "from 4096 to" in found.summary
    text = write(client_graph(volume(options=tuple(options.items())), slots=SLOTS))
    log = log_of_loading(text, tmp_path, until="out of range")
    assert "in 'option page-size 12' is out of range [4096 - 67108864]" in log
