"""Compare our graphs with those of a real glusterd 10.3 for random volumes and random changes of them.

Run: ``make oracle`` (root; about a quarter of an hour), or with other numbers::

    .venv/bin/python scripts/compare_with_glusterd.py --seed 7 --volumes 150 --lives 12 --steps 14 --keep DIR

Three glusterds run in namespaces of their own (`tests.glusterd_pool`); the machine sees nothing of them. The
packages with the CLI and the option groups are downloaded and unpacked, not installed. Exit status 1: a
graph differs. ``--keep`` writes every case as JSON in the form of ``tests/golden/volgen/cases``.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from reconciler.lab import debian  # noqa: E402 - the repository's root comes first
from tests.glusterd_cases import Verdict, verdict  # noqa: E402
from tests.glusterd_pool import Pool  # noqa: E402
from tests.glusterd_random import Life, random_step, random_volume  # noqa: E402

PACKAGES = ("glusterfs-server", "glusterfs-cli")


def main() -> int:
    """Compare; return 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1000))
    parser.add_argument("--volumes", type=int, default=60, help="volumes that are made once")
    parser.add_argument("--lives", type=int, default=8, help="volumes that are changed step by step")
    parser.add_argument("--steps", type=int, default=12, help="changes of each of those")
    parser.add_argument("--keep", type=Path, help="write the cases to this folder")
    asked = parser.parse_args()
    print(f"seed {asked.seed}")
    with tempfile.TemporaryDirectory(prefix="gluster-state-oracle-") as name:
        work = Path(name)
        (work / "apt").mkdir()
        (work / "pool").mkdir()
        packages = debian.unpack(PACKAGES, "bookworm", work / "apt")
        if packages is None:
            print("apt on this machine uses no Debian mirror", file=sys.stderr)
            return 1
        with Pool(work / "pool", packages) as pool:
            found = [_report(case, asked.keep) for case in _cases(pool, asked)]
    print(", ".join(f"{found.count(kind)} {kind.value}" for kind in Verdict))
    return 1 if Verdict.DIFFERENT in found else 0


def _cases(pool: Pool, asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield the volumes, one at a time; each is deleted when the next one is asked for."""
    chance = random.Random(asked.seed)  # noqa: S311 - a seed makes a run repeatable
    for number in range(asked.volumes):
        life = random_volume(pool, f"v{asked.seed}x{number}", chance)
        yield life.case()
        life.end()
    for number in range(asked.lives):
        life = Life(pool, f"w{asked.seed}x{number}", chance)
        life.create(chance.choice((1, 2, 3)))
        for step in range(asked.steps):
            words = random_step(life, chance)
            if words:
                yield life.case(command=" ".join(words), step=step)
        life.end()


def _report(case: dict[str, Any], keep: Path | None) -> Verdict:
    result, lines = verdict(case)
    label = case["name"] + (f" {case['step']}" if "step" in case else "")
    if result is not Verdict.EQUAL:
        print(
            f"{label} ({case.get('command', case['type'])}): {result.value}",
            *lines[:8],
            sep="\n    ",
            flush=True,
        )
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
        text = json.dumps(case, indent=1, sort_keys=True)
        (keep / f"{label.replace(' ', '-')}.json").write_text(text + "\n", encoding="utf-8")
    return result


if __name__ == "__main__":
    sys.exit(main())
