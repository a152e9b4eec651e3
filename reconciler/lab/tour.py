"""What a demonstration needs: to say what it does, to run the real commands, to check every claim.

A claim that is not true ends the demonstration: nothing is printed as done that was not seen.
"""

from __future__ import annotations

import hashlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from reconciler.errors import ReconcilerError
from reconciler.lab import control
from reconciler.lab.layout import LabLayout
from reconciler.lab.writer import BEGUN, PAUSE_S

POLL_S = 0.3


class UntrueClaim(ReconcilerError):
    """Something the demonstration says is not so."""


class Tour:
    """Runs commands inside a lab and tells what it does. Output goes to standard output."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.declaration = LabLayout(root).declaration
        self._step = 0
        self._claims = 0
        self._began = time.monotonic()

    # ------------------------------------------------------------ telling

    def chapter(self, title: str) -> None:
        """Begin a step."""
        self._step += 1
        self.say(f"\n=== {self._step}. {title}   ({time.monotonic() - self._began:.0f} s)")

    def say(self, text: str) -> None:
        """Print a line at once."""
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def claim(self, text: str, holds: bool, found: object = "") -> None:
        """Print a claim that holds; raise UntrueClaim, with what was found, for one that does not."""
        if not holds:
            raise UntrueClaim(f"not true: {text}" + (f" (found: {found})" if found != "" else ""))
        self._claims += 1
        self.say(f"    ✓ {text}")

    def claim_soon(self, text: str, holds: Callable[[], bool], timeout_s: float = 60.0) -> None:
        """Print a claim once it holds; raise UntrueClaim if it does not in time."""
        deadline = time.monotonic() + timeout_s
        while not holds():
            if time.monotonic() > deadline:
                self.claim(text, holds=False, found=f"not within {timeout_s:g} s")
            time.sleep(POLL_S)
        self.claim(text, holds=True)

    @property
    def claims(self) -> int:
        """Return how many claims were made and held."""
        return self._claims

    # ------------------------------------------------------------ running

    def command(self, *words: str) -> tuple[int, str]:
        """Run a command inside the lab, silently; return exit code and its whole output."""
        done = subprocess.run(  # noqa: S603  words, no shell
            [*control.inside(self.root), *words],
            env={**os.environ, **control.environment(self.root)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=170,
        )
        return done.returncode, done.stdout

    def must(self, *words: str) -> str:
        """Run a command inside the lab that has to succeed; return its output."""
        code, text = self.command(*words)
        if code:
            raise UntrueClaim(f"{' '.join(words)} exits {code}: {text.strip()[-500:]}")
        return text

    def cli(self, *words: str, show: int = 0) -> tuple[int, str]:
        """Run gluster-state, showing the command and the last `show` lines it printed."""
        self.say(f"  $ gluster-state {' '.join(words)}")
        code, text = self.command(sys.executable, "-m", "reconciler", *words)
        lines = [line for line in text.splitlines() if line.strip()]
        for line in lines[-show:] if show else []:
            self.say(f"      {line}")
        return code, text

    def apply(self, *flags: str, show: int = 1) -> tuple[int, str]:
        """Apply the declaration."""
        return self.cli("apply", "-f", str(self.declaration), "--yes", *flags, show=show)

    def plan(self, *flags: str, show: int = 1) -> tuple[int, str]:
        """Plan the declaration."""
        return self.cli("plan", "-f", str(self.declaration), *flags, show=show)

    def status(self) -> Mapping[str, Any]:
        """Return the status document."""
        text = self.must(sys.executable, "-m", "reconciler", "status", "-o", "json")
        found = json.loads(text)
        assert isinstance(found, dict)
        return found

    # ------------------------------------------------------------ volumes

    def volume(self, name: str) -> Mapping[str, Any]:
        """Return a volume's status."""
        found = [v for v in self.status()["volumes"] if v["name"] == name]
        if not found:
            raise UntrueClaim(f"no volume {name} in the status")
        assert isinstance(found[0], dict)
        return found[0]

    def healed(self, name: str) -> bool:
        """Return true if all bricks run and nothing waits for heal, by the status and by the indices."""
        volume = self.volume(name)
        up = all(b["state"] == "running" for b in volume["bricks"])
        return up and volume["heal_pending"] == 0 and not self.pending_on_disk(name)

    def pending_on_disk(self, name: str) -> list[str]:
        """Return what the bricks' own indices list as waiting for heal."""
        found: list[str] = []
        for brick in self.volume(name)["bricks"]:
            folder = f"{brick['path']}/.glusterfs/indices/xattrop"
            code, text = self.command("ls", folder)
            names = text.split() if code == 0 else []
            found += [n for n in names if not n.startswith("xattrop-")]
        return found

    def mount(self, name: str, *, node: int = 1, point: str = "", options: str = "") -> Path:
        """Mount a volume with GlusterFS' own client; its log goes to the lab's, not to /var/log/glusterfs.

        Args:
            name: the volume.
            node: whose volfile server is asked.
            point: the mount point below the lab's, if it is not the volume's name.
            options: of the mount, separated by commas.
        """
        layout = LabLayout(self.root)
        place = layout.mounts / (point or name)
        self.must("mkdir", "-p", str(place))
        said = ",".join(filter(None, [f"log-file={layout.logs}/mount-{place.name}.log", options]))
        self.must("mount", "-t", "glusterfs", "-o", said, f"{layout.node(node).address}:/{name}", str(place))
        return place

    def write(self, path: Path, size: int = 2_000_000) -> str:
        """Write a file of random bytes and return its sha256."""
        content = os.urandom(size)
        done = subprocess.run(  # noqa: S603  words, no shell
            [*control.inside(self.root), "dd", f"of={path}", "bs=1M", "conv=fsync", "status=none"],
            input=content,
            check=False,
            capture_output=True,
        )
        if done.returncode:
            raise UntrueClaim(f"writing {path}: {done.stderr.decode('utf-8', 'replace').strip()}")
        return hashlib.sha256(content).hexdigest()

    def checksum(self, path: Path) -> str:
        """Return the sha256 of a file as it is read back."""
        return self.must("sha256sum", str(path)).split()[0]

    def writer(self, folder: Path, pause_s: float = PAUSE_S) -> subprocess.Popen[str]:
        """Start the background writer in a mounted folder."""
        return subprocess.Popen(  # noqa: S603  our own interpreter and module
            [
                *control.inside(self.root),
                *(sys.executable, "-m", "reconciler.lab.writer", str(folder), str(pause_s)),
            ],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def await_first_write(self, writer: subprocess.Popen[str], timeout_s: float = 30.0) -> None:
        """Wait until a writer has begun; end it and raise UntrueClaim if it does not in time."""
        assert writer.stdout is not None
        ready, _, _ = select.select([writer.stdout], [], [], timeout_s)
        line = writer.stdout.readline() if ready else f"nothing within {timeout_s:g} s"
        if line != BEGUN:
            writer.kill()
            raise UntrueClaim(f"a writer said {line!r} instead of {BEGUN!r}")
