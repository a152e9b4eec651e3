"""Features on real bricks and stock mounts: switched on live, forgotten, and switched off."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from reconciler.lab.control import CLUSTER
from tests.labs import Lab, eventually, lab

pytestmark = pytest.mark.real


def _apply(it: Lab, keys: dict[str, str]) -> str:
    """Apply distribute volumes of two bricks with these lines; return what was said."""
    done = it.cli("apply", "--yes", _declared(it, keys))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _declared(it: Lab, keys: dict[str, str]) -> str:
    text = f"""\
apiVersion: gluster-state.io/v1
kind: Cluster
metadata: {{name: {CLUSTER}}}
spec:
  peers: [{{name: gs1, address: 127.0.1.1}}]
  volumes:
"""
    for name, line in keys.items():
        bricks = ", ".join(f"gs1:{it.root}/gs1/bricks/{name}/b{i}" for i in (0, 1))
        text += f"""\
    - name: {name}
      type: distribute
      acknowledge: [{{code: GS204, reason: "a test"}}]
      bricks: [{bricks}]
      {line}
"""
    path = it.root / "cluster.yaml"
    path.write_text(text)
    return str(path)


def _found(it: Lab, volume: str, pattern: str) -> list[str]:
    """Return the names on the volume's bricks that match a path pattern of find."""
    done = it.run("find", f"{it.root}/gs1/bricks/{volume}", "-path", pattern, "-type", "f")
    return sorted(Path(line).name for line in done.stdout.splitlines())


def _sizes_mib(it: Lab, volume: str, name: str) -> list[int]:
    done = it.run("find", f"{it.root}/gs1/bricks/{volume}", "-name", name, "-size", "+0", "-printf", "%s\\n")
    return [int(line) >> 20 for line in done.stdout.splitlines()]


def _made(it: Lab, path: Path, mib: int) -> str:
    """Write a file through a mount and return its checksum."""
    it.run("mkdir", "-p", str(path.parent))
    written = it.run("dd", "if=/dev/urandom", f"of={path}", "bs=1M", f"count={mib}", "status=none")
    assert written.returncode == 0, written.stderr
    return it.run("md5sum", str(path)).stdout


def _is_kept(it: Lab, path: Path) -> bool:
    """Make a file, remove it, and tell whether the bricks kept it."""
    count = len(_found(it, "home", f"*/b?/.kept/*{path.name}_*"))
    _made(it, path, 1)
    assert it.run("rm", str(path)).returncode == 0
    return len(_found(it, "home", f"*/b?/.kept/*{path.name}_*")) > count


def test_shard_and_trash_from_yaml_to_the_files_on_bricks() -> None:
    on = {
        "images": "shard: {enabled: true, blockSize: 4MiB}",
        "home": "trash: {enabled: true, directory: .kept, exclude: [/tmp]}",
    }
    none = dict.fromkeys(on, "")
    with lab(nodes=1) as it:
        _apply(it, none)
        with it.mounted("images") as images, it.mounted("home") as home:
            before = _made(it, images / "before", 10)
            assert "feature shard" in _apply(it, on)
            eventually(lambda: "images-shard" in it.run("ls", f"{images}/.meta/graphs/active").stdout)
            after = _made(it, images / "after", 10)
            # 10 MiB in pieces of 4: the file itself and two more. What was there before stays whole.
            assert len(_found(it, "images", "*/.shard/*")) == 2
            assert _sizes_mib(it, "images", "after") == [4]
            assert _sizes_mib(it, "images", "before") == [10]

            eventually(lambda: _is_kept(it, home / "letter"))
            assert not _is_kept(it, home / "tmp" / "scrap")

            # Nobody says so any more: nothing changes, and no file is cut off.
            plan = it.cli("plan", "--detailed-exitcode", _declared(it, none))
            assert plan.returncode == 0, plan.stdout
            assert "No changes" in _apply(it, none)
            assert it.run("md5sum", str(images / "after")).stdout == after
            assert it.run("md5sum", str(images / "before")).stdout == before

            _apply(it, {**on, "home": "trash: {enabled: false}"})
            eventually(lambda: not _is_kept(it, home / "note"))


_XTIME = """
import os, sys
for path in sys.argv[1:]:
    print(path, *(name for name in os.listxattr(path) if name.endswith(".xtime")))
"""


def _marked(it: Lab, name: str) -> bool:
    """Tell whether the brick that has a file marked it, and its own root, with the time of the change."""
    done = it.run("find", f"{it.root}/gs1/bricks/home", "-maxdepth", "2", "-name", name, "-size", "+0")
    (file,) = done.stdout.split()
    found = it.run(sys.executable, "-c", _XTIME, file, str(Path(file).parent))
    assert found.returncode == 0, found.stderr
    return [line.endswith(".xtime") for line in found.stdout.splitlines()] == [True, True]


def _is_marked(it: Lab, path: Path) -> bool:
    """Make a file and tell whether it is marked."""
    _made(it, path, 1)
    return _marked(it, path.name)


def _records(it: Lab) -> str:
    """Return what the bricks have written down of changes."""
    done = it.run(
        "find", f"{it.root}/gs1/bricks/home", "-path", "*/.glusterfs/changelogs/*", "-name", "CHANGELOG*",
        "-type", "f", "-exec", "cat", "{}", "+",
    )  # fmt: skip
    return done.stdout


def test_changelog_and_marker_switched_on_and_off_under_a_mount() -> None:
    on = "changelog: {enabled: true, rollover: 2s, fsyncInterval: 0s}\n      marker: {enabled: true}"
    off = "changelog: {enabled: false}\n      marker: {enabled: false}"
    with lab(nodes=1) as it:
        _apply(it, {"home": ""})
        with it.mounted("home") as home:
            _made(it, home / "before", 1)
            assert not _marked(it, "before")
            assert "before" not in _records(it)

            assert "feature changelog" in _apply(it, {"home": on})
            eventually(lambda: _is_marked(it, home / "marked"))
            _made(it, home / "written", 1)
            eventually(lambda: "written" in _records(it))
            assert not _marked(it, "before")

            _apply(it, {"home": off})
            eventually(
                lambda: not _is_marked(it, home / f"plain-{len(it.run('ls', str(home)).stdout.split())}")
            )
            it.run("touch", str(home / "unseen"))
            assert "unseen" not in _records(it)


def test_quota_and_bitrot_are_not_switched_on_without_their_daemons() -> None:
    with lab(nodes=1) as it:
        _apply(it, {"home": ""})
        for line, daemon in (
            ("quota: {enabled: true}", "quotad"),
            ("options: {features.quota: on}", "quotad"),
            ("bitrot: {enabled: true}", "bitd"),
        ):
            plan = it.cli("plan", _declared(it, {"home": line}))
            assert plan.returncode == 3, plan.stdout
            assert "BLOCKED GS407" in plan.stdout
            assert f"needs {daemon}, which this version does not run" in plan.stdout
