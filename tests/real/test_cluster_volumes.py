"""Volumes of every type, declared, applied and mounted by the stock client: real bricks, no glusterd."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.lab import processes
from tests.labs import SHAPES, Lab, cluster, eventually

pytestmark = pytest.mark.real

#: name: shape, subvolumes
VOLUMES = {
    "one": ("distribute", 1),
    "dist": ("distribute", 3),
    "rep2": ("replica 2", 1),
    "rep2x2": ("replica 2", 2),
    "rep3": ("replica 3", 1),
    "rep3x2": ("replica 3", 2),
    "arb": ("arbiter", 1),
    "arbx2": ("arbiter", 2),
    "ec": ("disperse", 1),
    "ecx2": ("disperse", 2),
}
SIZES = (0, 1, 4096, 131_073, 2_500_000)
BRICKS = sum(SHAPES[shape][0] * count for shape, count in VOLUMES.values())


@pytest.fixture(scope="module")
def it() -> Iterator[Lab]:
    with cluster() as made:
        made.declare(*(made.volume(name, shape, count) for name, (shape, count) in VOLUMES.items()))
        made.apply()
        yield made


def placed(it: Lab, name: str, prefix: str) -> dict[str, list[list[tuple[Path, int]]]]:
    """Return where files are on the bricks: by file, for each subvolume, the places and sizes."""
    width = SHAPES[VOLUMES[name][0]][0]
    bricks = [Path(brick["path"]) for brick in it.tour.volume(name)["bricks"]]
    # A file of mode 1000 without content is a pointer of DHT's to the subvolume that holds the file.
    words = f"-maxdepth 1 -type f ! -perm 1000 -name {prefix}*".split()
    found: dict[str, list[list[tuple[Path, int]]]] = {}
    for line in it.tour.must("find", *map(str, bricks), *words, "-printf", "%p %s\\n").splitlines():
        place, size = Path(line.split()[0]), int(line.split()[1])
        by_subvolume = found.setdefault(place.name, [[] for _ in range(len(bricks) // width)])
        by_subvolume[bricks.index(place.parent) // width].append((place, size))
    return found


def test_every_brick_is_a_process_of_the_installed_glusterfsd(it: Lab) -> None:
    installed = shutil.which("glusterfsd")
    assert installed is not None
    bricks = it.bricks()
    assert len(bricks) == BRICKS
    for process in bricks.values():
        assert Path(f"/proc/{process.pid}/exe").samefile(installed)
    space = processes.namespace_of(next(iter(bricks.values())).pid)
    inside = [w[0] for p, w in processes.every() if w and processes.namespace_of(p.pid) == space]
    assert not [word for word in inside if word.rpartition("/")[2] == "glusterd"]


@pytest.mark.parametrize("name", VOLUMES)
def test_data_written_by_one_mount_is_read_by_another(it: Lab, name: str) -> None:
    with it.mounted(name) as point:
        assert f"fuse.glusterfs {point}" in it.run("findmnt", "-rno", "FSTYPE,TARGET", str(point)).stdout
        sums = {f"size-{size}": it.tour.write(point / f"size-{size}", size) for size in SIZES}
        it.tour.must("mkdir", "-p", str(point / "deep/er"))
        sums["deep/er/moved"] = it.tour.write(point / "file", 70_000)
        it.tour.must("mv", str(point / "file"), str(point / "deep/er/moved"))
    with it.mounted(name, node=2) as point:
        assert {file: it.tour.checksum(point / file) for file in sums} == sums


@pytest.mark.parametrize("name", VOLUMES)
def test_files_lie_on_the_bricks_that_the_type_says(it: Lab, name: str) -> None:
    shape, count = VOLUMES[name]
    files = 6 * count
    with it.mounted(name) as point:
        made = f"for n in $(seq {files}); do head -c 200000 /dev/urandom > {point}/spread-$n; done"
        it.tour.must("sh", "-c", made)
        sums = checksums(it, *(point / f"spread-{n}" for n in range(1, files + 1)))
    found = placed(it, name, "spread-")
    assert found.keys() == {path.name for path in sums}
    used = [next(index for index, places in enumerate(subvolumes) if places) for subvolumes in found.values()]
    assert set(used) == set(range(count)), f"the files are in subvolumes {set(used)} of {count}"
    for file, subvolumes in found.items():
        assert sum(bool(places) for places in subvolumes) == 1, f"{file} is in several subvolumes"
        places = sorted(next(places for places in subvolumes if places))
        sizes = [size for _, size in places]
        full, stripes = 200_000, -(-200_000 // 1024)  # a fragment holds half of every stripe of 1024 bytes
        special = {"arbiter": [full, full, 0], "disperse": [stripes * 512] * 3}
        assert sizes == special.get(shape, [full] * SHAPES[shape][0])
    if shape != "disperse":
        whole = [place for by in found.values() for places in by for place, size in places if size]
        expected = {path.name: value for path, value in sums.items()}
        assert all(value == expected[place.name] for place, value in checksums(it, *whole).items())


def checksums(it: Lab, *paths: Path) -> dict[Path, str]:
    """Return the sha256 of files."""
    lines = it.tour.must("sha256sum", *map(str, paths)).splitlines()
    return {Path(line.split(maxsplit=1)[1]): line.split()[0] for line in lines}


@pytest.mark.parametrize("name", VOLUMES)
def test_a_mount_shows_the_space_of_the_disks_once(it: Lab, name: str) -> None:
    """Bricks that share a disk must not count it twice (option shared-brick-count of storage/posix)."""
    shape, count = VOLUMES[name]
    with it.mounted(name) as point:
        seen = it.tour.must("stat", "-f", "-c", "%b %S", str(point), str(it.root / "gs1/bricks")).split()
    volume, disk = int(seen[0]) * int(seen[1]), int(seen[2]) * int(seen[3])
    # All volumes with two subvolumes have bricks of both on one disk: the sum is one subvolume's space.
    expected = {"distribute": count, "disperse": 2}.get(shape, 1)
    assert volume == pytest.approx(expected * disk, rel=0.01)


#: writes, waits until the bricks have it, lists; prints the size of the open and of the closed file
LISTED = """
import os, sys, time
folder, path = os.path.dirname(sys.argv[1]), sys.argv[1]
with open(path, "wb", buffering=0) as file:
    file.write(b"x" * 4096)
    time.sleep(0.3)
    os.listdir(folder)
    print(os.stat(path).st_size)
print(len(open(path, "rb").read()))
"""


def sizes_after_a_listing(it: Lab, file: Path) -> list[str]:
    return it.tour.must(sys.executable, "-c", LISTED, str(file)).split()


@pytest.mark.parametrize(
    ("name", "options"),
    [("dist", ""), ("rep3", ""), ("arb", ""), ("ec", "use-readdirp=no"), ("ecx2", "use-readdirp=no")],
)
def test_a_listing_leaves_a_file_that_is_being_written_as_it_is(it: Lab, name: str, options: str) -> None:
    with it.mounted(name, name="listed", options=options) as point:
        for number in range(5):
            assert sizes_after_a_listing(it, point / f"listed-{number}") == ["4096", "4096"]


def test_a_listing_makes_a_file_on_a_disperse_volume_look_empty_for_a_second(it: Lab) -> None:
    """What docs/operations.md warns of is so with the installed GlusterFS and no mount option.

    A disperse client writes a file's size to the bricks later than the content: when the file is synced or
    closed, or up to a second later. A listing takes the bricks' older size without asking what the client
    knows better (ec-dir-read.c `ec_adjust_readdirp`, v10.3; ec-generic.c `ec_lookup_rebuild` does ask), and
    the kernel believes it for the attribute-timeout, for what is read of the file, too. Nothing is lost.
    """
    files: list[Path] = []
    written = hashlib.sha256(b"x" * 4096).hexdigest()

    def looks_empty() -> bool:
        files.append(point / f"hidden-{len(files)}")
        return sizes_after_a_listing(it, files[-1]) == ["0", "0"]

    with it.mounted("ec", name="hiding") as point:
        eventually(looks_empty, "an empty look")
        for file in files:
            eventually(lambda f=file: it.tour.checksum(f) == written, "what was written", 5)


def test_a_lab_writes_nothing_outside_its_directory(it: Lab) -> None:
    with it.mounted("one", name="logged"):
        assert it.tour.must("tail", "-n1", f"{it.root}/log/mount-logged.log")
        logs = Path("/var/log/glusterfs")
        assert not [file for file in logs.glob("*") if it.root.name in file.name]


def test_a_plan_after_the_apply_is_empty_whatever_the_order_of_the_declaration(it: Lab) -> None:
    it.assert_nothing_to_do()
    written = json.loads(it.declaration.read_text())
    try:
        it.declaration.write_text(json.dumps(backwards(written)))
        it.assert_nothing_to_do()
    finally:
        it.declaration.write_text(json.dumps(written))


def test_two_plans_of_the_same_input_differ_in_times_and_ids_alone(it: Lab) -> None:
    written = json.loads(it.declaration.read_text())
    wanted = json.loads(json.dumps(written))
    wanted["spec"]["volumes"].append(dict(it.volume("new", "replica 3", 2)))
    wanted["spec"]["volumes"][4]["options"] = {"network.ping-timeout": "30"}
    wanted["spec"]["volumes"][6]["state"] = "stopped"
    try:
        it.declaration.write_text(json.dumps(wanted))
        first, second = planned(it), planned(it)
        it.declaration.write_text(json.dumps(backwards(wanted)))
        third = planned(it)
    finally:
        it.declaration.write_text(json.dumps(written))
    assert '"brick.start"' in first
    assert second == first
    assert _anywhere(third) == _anywhere(first), "only where things are declared has changed"


def _anywhere(plan: str) -> list[object]:
    """Return a plan without the places in files."""
    found = json.loads(plan)
    for change in found["changes"]:
        change.pop("range", None)
    return [found]


def planned(it: Lab) -> str:
    """Return the canonical plan without what may differ between two plans of the same input."""
    done = it.plan("-o", "json")
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    for name in ("plan_id", "created", "expires", "digest"):
        assert plan.pop(name)
    assert plan["base"].pop("observed_at")
    return json.dumps(plan, sort_keys=True)


def backwards(value: object) -> object:
    """Return the declaration with keys, peers, volumes and acknowledgements in the opposite order."""
    if isinstance(value, dict):
        turned = {key: backwards(value[key]) for key in reversed(value)}
        for name in ("peers", "volumes", "acknowledge"):
            if isinstance(turned.get(name), list):
                turned[name] = turned[name][::-1]
        return turned
    return [backwards(item) for item in value] if isinstance(value, list) else value
