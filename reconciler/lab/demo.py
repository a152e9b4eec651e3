"""``make demo``: the main job on a real three-node lab, told step by step, every claim checked.

``--play`` stops after the volumes are mounted and leaves the lab up. Exit codes: 0 all claims held, 1 one
did not, 69 this machine lacks something, 130 and 143 interrupted (everything is cleaned up then, too).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from reconciler.errors import EnvironmentProblem, ReconcilerError
from reconciler.lab import control
from reconciler.lab.layout import DEFAULT_DIR, LabLayout
from reconciler.lab.leftovers import traces
from reconciler.lab.processes import alive
from reconciler.lab.record import load
from reconciler.lab.tour import Tour, UntrueClaim

VOLUMES = ("rep3", "arb", "ec", "dist")
EXAMPLE = Path(__file__).parents[2] / "examples" / "clusters" / "quickstart.yaml"


class Terminated(BaseException):
    """SIGTERM arrived."""


def main(argv: list[str]) -> int:
    """Run the demonstration or start the playground; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--play", action="store_true", help="leave the lab running and mounted")
    play = parser.parse_args(argv).play

    def terminated(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise Terminated

    signal.signal(signal.SIGTERM, terminated)
    try:
        return playground() if play else demonstration()
    except UntrueClaim as exc:
        sys.stderr.write(f"\nDEMO FAILED: {exc.message}\n")
        return 1
    except ReconcilerError as exc:
        sys.stderr.write(f"\nError: {exc.message}\n  {exc.hint}\n")
        return exc.exit_code
    except KeyboardInterrupt:
        return 130
    except Terminated:
        return 143


def demonstration() -> int:
    """Tell the whole story in a lab of its own and clean up."""
    root = Path(f"/run/gs-demo-{secrets.token_hex(3)}")
    tour = Tour(root)
    tour.say("gluster-state demo: a real GlusterFS cluster of three nodes on this machine, no glusterd.")
    began = time.monotonic()
    with contextlib.ExitStack() as held:
        try:
            _open(tour, netns=True)
            space = held.enter_context(control.holding_namespace(root))
            _create(tour)
            sums = _use(tour)
            _change_live(tour)
            _damage_and_repair(tour)
            _nothing_to_do(tour)
            _protect(tour, sums)
        finally:
            _close(tour)
        tour.chapter("Nothing is left behind")
        left = traces(root, space)
    tour.claim("no process, mount or loop device of the demo is left", not left, "; ".join(left))
    tour.claim(f"{root} is gone", not root.exists())
    tour.say(f"\nDemo complete: {tour.claims} claims checked in {time.monotonic() - began:.0f} s.")
    tour.say("Next:  make play   leaves such a lab running for you.")
    return 0


def playground() -> int:
    """Bring the lab up, create and mount the volumes, leave it to the user. One that is up stays as it is."""
    tour = Tour(DEFAULT_DIR)
    if LabLayout(DEFAULT_DIR).record.exists():
        record = load(DEFAULT_DIR)
        if not (alive(record.supervisor) and tour.declaration.exists()):
            raise EnvironmentProblem(
                f"{DEFAULT_DIR} holds another lab, or what is left of one", hint="end it with: make play-down"
            )
        tour.say("The lab is up already, and was left as it is.")
        _invite(tour, netns=record.keeper is not None)
        return 0
    netns = False
    try:
        try:
            _open(tour, netns=False)
        except EnvironmentProblem as exc:
            if "24007" not in exc.message:
                raise
            tour.say(f"  {exc.message}: the lab gets a network namespace of its own")
            netns = True
            _open(tour, netns=True)
        _create(tour)
        for name in VOLUMES:
            tour.mount(name)
    except BaseException:
        _close(tour)
        raise
    _invite(tour, netns=netns)
    return 0


def _invite(tour: Tour, *, netns: bool) -> None:
    """Say how to try the lab: commands that work as they stand, typed where make was."""
    run = "gluster-state lab exec -- " if netns else ""
    mounts = f"{tour.root}/mnt"
    tour.say(f"\nThe lab is up; its volumes are mounted below {mounts}. Five commands to try:")
    if netns:
        tour.say("  PATH=$PWD/.venv/bin:$PATH")
    else:
        tour.say('  eval "$(.venv/bin/gluster-state lab env)"; PATH=$PWD/.venv/bin:$PATH')
    tour.say(f"  {run}gluster-state status")
    tour.say("  gluster-state lab kill brick:arb:1" + f"; {run}gluster-state drift")
    tour.say(f"  {run}gluster-state plan -f {tour.declaration}")
    tour.say(f"  {run}gluster-state apply -f {tour.declaration}")
    tour.say(f"  {run}gluster-state volfile -f {tour.declaration} rep3 --graph client")
    if netns:
        tour.say(f"Its mounts are seen from inside only:  gluster-state lab exec -- df {mounts}/rep3")
    tour.say("End it with:  make play-down")


# ---------------------------------------------------------------- the story


def _open(tour: Tour, *, netns: bool) -> None:
    tour.chapter("A lab: etcd, three agents, three disks")
    where = "in a network namespace of its own" if netns else "on 127.0.1.1 to 127.0.1.3"
    tour.say(f"  Each node is an agent with a loop-mounted XFS disk, {where}; all of it below {tour.root}.")
    record = control.up(tour.root, netns=netns)
    text = EXAMPLE.read_text(encoding="utf-8").replace(str(DEFAULT_DIR), str(tour.root))
    tour.declaration.write_text(text, encoding="utf-8")
    tour.claim_soon(f"{record.nodes} agents have joined the cluster", lambda: _joined(tour), 30)


def _joined(tour: Tour) -> bool:
    code, _ = tour.command(sys.executable, "-m", "reconciler", "plan", "-f", str(tour.declaration))
    return code == 0


def _create(tour: Tour) -> None:
    tour.chapter("Plan, then apply: a replica 3, an arbiter, a disperse 2+1, a distribute")
    code, text = tour.plan("--detailed-exitcode", show=1)
    tour.claim("plan shows what would be done, and does nothing (exit 2: changes)", code == 2, text[-300:])
    code, text = tour.apply(show=4)
    tour.claim("apply created four volumes", code == 0, text[-800:])
    up = [b for name in VOLUMES for b in tour.volume(name)["bricks"] if b["state"] == "running"]
    tour.claim("12 glusterfsd bricks run, started by the agents", len(up) == 12, len(up))


def _use(tour: Tour) -> dict[str, str]:
    tour.chapter("Mount them with GlusterFS' own client; write, read back")
    sums = {}
    for name in VOLUMES:
        point = tour.mount(name)
        sums[name] = tour.write(point / "hello")
        tour.claim(f"{name}: mounted, written, read back equal", tour.checksum(point / "hello") == sums[name])
    return sums


def _change_live(tour: Tour) -> None:
    tour.chapter("Change an option while a program writes")
    point = tour.root / "mnt" / "rep3"
    with _writing(tour, point) as ended:
        _edit(tour, "    - name: rep3 ", '      options: {network.ping-timeout: "33"}\n')
        code, text = tour.apply(show=3)
        tour.claim("apply changed network.ping-timeout of rep3 to 33", code == 0, text[-800:])
        live = f"{point}/.meta/graphs/active/rep3-client-0/private"
        tour.claim_soon(
            "the mounted client uses the new value, without a remount",
            lambda: "ping_timeout = 33" in tour.command("cat", live)[1],
            20,
        )
        time.sleep(1)
    result = ended()
    words = f"{result['operations']} writes in the meantime, 0 errors, longest {result['longest_s']} s"
    tour.claim(words, not result["errors"], result["errors"])


def _damage_and_repair(tour: Tour) -> None:
    tour.chapter("A brick process dies: volume arb says restart: never")
    control.kill(tour.root, "brick:arb:2")
    tour.say("  killed the brick of arb on gs2 (SIGKILL)")
    code, text = _until(
        lambda: tour.command(sys.executable, "-m", "reconciler", "drift"), lambda r: r[0] == 2
    )
    tour.say("  $ gluster-state drift")
    for line in [line for line in text.splitlines() if "arb" in line][:3]:
        tour.say(f"      {line}")
    tour.claim("drift names the dead brick (exit 2)", code == 2 and "brick/arb/0.1" in text, text[-500:])
    sums = {
        f"while-down-{n}": tour.write(tour.root / "mnt/arb" / f"while-down-{n}", 200_000) for n in range(3)
    }
    tour.claim("the volume takes writes with one brick down", holds=True)
    code, text = tour.apply(show=2)
    tour.claim("apply starts the brick again", code == 0, text[-800:])
    tour.claim_soon("self-heal brought it up to date (0 entries pending)", lambda: tour.healed("arb"))
    _same_on_bricks(tour, "arb", ("gs1", "gs2"), sums)

    tour.chapter("A brick process dies: volume rep3 says restart: onCrash (the default)")
    old = tour.volume("rep3")["bricks"][2]["pid"]
    control.kill(tour.root, "brick:rep3:3")
    tour.say(f"  killed the brick of rep3 on gs3 (SIGKILL, pid {old})")
    sums = {f"down-{n}": tour.write(tour.root / "mnt/rep3" / f"down-{n}", 200_000) for n in range(3)}

    def restarted() -> bool:
        brick = tour.volume("rep3")["bricks"][2]
        return bool(brick["state"] == "running" and brick["pid"] != old)

    tour.claim_soon("its agent started it again by itself", restarted, 30)
    tour.claim_soon("self-heal brought it up to date (0 entries pending)", lambda: tour.healed("rep3"))
    _same_on_bricks(tour, "rep3", ("gs1", "gs2", "gs3"), sums)


def _same_on_bricks(tour: Tour, volume: str, peers: tuple[str, ...], sums: dict[str, str]) -> None:
    """Claim that files written while a brick was down are equal on the bricks that hold data."""
    for name, expected in sums.items():
        for peer in peers:
            found = tour.checksum(tour.root / peer / "bricks" / volume / "b0" / name)
            if found != expected:
                tour.claim(f"{name} is equal on {peer}", holds=False, found=found)
    tour.claim("what was written meanwhile is equal on all data bricks", holds=True)


def _nothing_to_do(tour: Tour) -> None:
    tour.chapter("What was declared is what there is")
    code, text = tour.plan("--detailed-exitcode", show=1)
    tour.claim("plan is empty (exit 0)", code == 0 and "No changes" in text, text[-500:])


def _protect(tour: Tour, sums: dict[str, str]) -> None:
    tour.chapter("Deleting a volume takes intent, not absence")
    full = tour.declaration.read_text(encoding="utf-8")
    head, start, rest = full.partition("    - name: dist ")
    tour.declaration.write_text(head, encoding="utf-8")
    tour.say("  removed the lines of volume dist from the declaration")
    code, text = tour.plan("--detailed-exitcode", show=2)
    tour.claim("nothing happens: dist is listed as unmanaged", code == 0 and "unmanaged" in text, text[-500:])
    readable = tour.checksum(tour.root / "mnt/dist/hello") == sums["dist"]
    tour.claim("its data is still there", readable)

    volume_id = str(tour.volume("dist")["volume_id"])
    stone = f"    - name: dist\n      state: absent\n      data: retain\n      confirm: {volume_id}\n"
    tour.declaration.write_text(head + stone, encoding="utf-8")
    code, text = tour.apply("--allow", "GS101=volume/dist", show=0)
    tour.claim("a tombstone is refused: the volume is protected (exit 3)", code == 3, text[-500:])

    policy = "      deletionPolicy: Delete\n"
    first, name_line, others = (start + rest).partition("\n")
    tour.declaration.write_text(head + first + name_line + policy + others, encoding="utf-8")
    code, text = tour.apply(show=1)
    tour.claim("deletionPolicy: Delete applied first; nothing is deleted by that", code == 0, text[-500:])
    tour.declaration.write_text(head + stone + policy, encoding="utf-8")
    code, text = tour.apply("--allow", "GS101=volume/dist", show=0)
    tour.claim("too soon: the delay (5 s here) protects against haste (exit 3)", code == 3, text[-500:])
    time.sleep(6)
    code, text = tour.apply(show=0)
    tour.claim("without --allow it is refused, too (exit 3)", code == 3, text[-500:])
    tour.must("umount", str(tour.root / "mnt/dist"))
    code, text = tour.apply("--allow", "GS101=volume/dist", show=2)
    tour.claim("with --allow GS101=volume/dist the volume is deleted", code == 0, text[-800:])
    names = [v["name"] for v in tour.status()["volumes"]]
    tour.claim("dist is gone, the others stay", names == ["arb", "ec", "rep3"], names)
    kept = [tour.root / p / "bricks/dist/b0/hello" for p in ("gs1", "gs2", "gs3")]
    found = [p for p in kept if tour.command("test", "-s", str(p))[0] == 0]
    tour.claim("its data is still on its brick", len(found) == 1, found)


# ---------------------------------------------------------------- pieces


class _writing:  # noqa: N801  reads as a word where it is used
    """Context of a background writer; gives a function that returns its counts after the context ended."""

    def __init__(self, tour: Tour, folder: Path) -> None:
        self._tour, self._folder = tour, folder
        self._result: dict[str, object] = {}

    def __enter__(self) -> Callable[[], dict[str, object]]:
        self._process = self._tour.writer(self._folder)
        self._tour.await_first_write(self._process)
        return lambda: self._result

    def __exit__(self, *error: object) -> None:
        self._process.terminate()
        try:
            text, _ = self._process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            text, _ = self._process.communicate()
        self._result = json.loads(text) if text.strip() else {"errors": ["the writer said nothing"]}


def _edit(tour: Tour, line_start: str, addition: str) -> None:
    """Insert `addition` after the line of the declaration that starts with `line_start`."""
    lines = tour.declaration.read_text(encoding="utf-8").splitlines(keepends=True)
    index = next(i for i, line in enumerate(lines) if line.startswith(line_start))
    tour.declaration.write_text(
        "".join([*lines[: index + 1], addition, *lines[index + 1 :]]), encoding="utf-8"
    )


def _until(
    act: Callable[[], tuple[int, str]], good: Callable[[tuple[int, str]], bool], timeout_s: float = 20
) -> tuple[int, str]:
    """Repeat `act` until its answer is good or time is up; return the last answer."""
    deadline = time.monotonic() + timeout_s
    answer = act()
    while not good(answer) and time.monotonic() < deadline:
        time.sleep(0.5)
        answer = act()
    return answer


def _close(tour: Tour) -> None:
    """Take the lab down; further interruptions wait until it is done."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    if LabLayout(tour.root).record.exists():
        tour.say("\ncleaning up …")
        control.down(tour.root)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
