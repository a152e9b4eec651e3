"""Random volumes and random sequences of changes on a pool, compared with our graphs after each step.

Options and values are drawn from the option table, good ones and bad ones: what glusterd refuses is part of
a case.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

from reconciler.volgen.option_table import OptionRow, Rule, rows_by_name
from tests.glusterd_cases import record
from tests.glusterd_pool import BRICKS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.glusterd_pool import Pool

GROUPS = ("virt", "distributed-virt", "metadata-cache", "nl-cache", "db-workload", "gluster-block", "samba")
#: set on one volume, they count for all volumes of the pool: each case would depend on those before it
_FOR_ALL = frozenset({"client.strict-locks", "server.outstanding-rpc-limit"})
_SHAPES = (
    ("distribute", 1, ()),
    ("replicate", 2, ("replica", "2")),
    ("replicate", 3, ("replica", "3")),
    ("arbiter", 3, ("replica", "3", "arbiter", "1")),
    ("disperse", 3, ("disperse", "3", "redundancy", "1")),
    ("disperse", 6, ("disperse", "6", "redundancy", "2")),
)
_SWITCH = ("on", "off", "on", "off", "yes", "no", "true", "false", "enable", "disable", "1", "0", "True")
_VALUES = {
    "bool": _SWITCH,
    "int": ("1", "2", "5", "16", "64", "100", "1024", "0", "010", "0x10", "-1"),
    "number": ("1", "20", "0.5"),
    "size": ("4096", "64KB", "128kb", "1MB", "1.5MB", "512MB", "1GB", "131072", "10mb"),
    "time": ("0", "1", "30", "10min", "2hr", "1d", "90sec", "600"),
    "percent": ("5", "10%", "50%", "99.5%", "100"),
    "percent-or-size": ("5%", "10", "2GB", "12.5%"),
    "path": ("/tmp/x", "/var/run/gluster", "/etc/ssl/a.pem"),
    "address-list": ("*", "10.77.0.*", "10.77.0.1,host.example.org", "10.0.0.0/8", "!10.77.0.1"),
    "name": (".trashcan", ".waste", "a b"),
    "priority-list": ("*.jpg:1,*.txt:2", "*:5", "*.x"),
    "snapshot-directory": (".snaps", ".snapshots", "snaps"),
    "throttle": ("lazy", "normal", "aggressive", "2"),
    "xlator": ("c1", "posix"),
}
_TEXTS = ("a", "user.*", "10.77.0.*", "*.jpg:1,*.txt:2", "WRITE,READ", "c1,c2", "HIGH:!SSLv2", "posix", "16")
_BAD = ("abc", "-5", "101%", "7KiB", "99999999999999999999", "maybe", "5k", "relative/path", "0.0")
_NAMES = tuple(sorted(set(rows_by_name()) - _FOR_ALL))


def random_setting(random: Random) -> tuple[str, str]:
    """Return an option's name and a value for it, mostly one of its kind."""
    name = random.choice(_NAMES)
    if random.random() < 0.02:
        name = name[:-1]
    rows = rows_by_name().get(name, ())
    return name, random.choice(_BAD) if random.random() < 0.08 else random.choice(_candidates(rows))


def _candidates(rows: tuple[OptionRow, ...]) -> tuple[str, ...]:
    found: list[str] = []
    for row in rows:
        if row.rule is Rule.DEBUG:
            found += ["client", "posix", "io-threads", "locks", "off", "trash"]
        elif row.choices:
            found += row.choices
        elif row.kind in ("int", "size") and row.low is not None:
            found += [f"{row.low:.0f}", f"{row.high or row.low + 7:.0f}", *_VALUES[row.kind]]
        elif row.kind:
            found += _VALUES[row.kind]
        elif row.rule in (Rule.PERF, Rule.TOGGLE):
            found += _SWITCH
    return tuple(found) or _TEXTS


class Life:
    """One volume on a pool: what was asked of glusterd, and its bricks."""

    def __init__(self, pool: Pool, name: str, random: Random) -> None:
        self._pool, self.name, self._random = pool, name, random
        self._next = 0
        self.group = 1  #: bricks of a subvolume
        self.kind = "distribute"
        self.said: dict[str, list[Any]] = {"set": [], "rejected": []}
        pool.make_folder(f"{BRICKS}/{name}")

    def create(self, subvolumes: int) -> None:
        """Create the volume with a random shape."""
        self.kind, self.group, words = self._random.choice(_SHAPES)
        if self.group == 6:
            subvolumes = min(subvolumes, 2)
        bricks = self.new_bricks(self.group * subvolumes)
        self._pool.must("volume", "create", self.name, *words, *bricks, "force")

    def case(self, **more: Any) -> dict[str, Any]:
        """Return the volume as it is now."""
        return record(self._pool, self.name, **self.said, **more)

    def new_bricks(self, count: int) -> list[str]:
        """Return bricks that the volume never had, dealt out over the hosts."""
        hosts, first = self._pool.hosts, self._next
        self._next += count
        return [f"{hosts[i % len(hosts)]}:{BRICKS}/{self.name}/b{i}" for i in range(first, self._next)]

    def do(self, *words: str) -> bool:
        """Run ``gluster volume WORDS``; return whether it was accepted."""
        return self._pool.gluster("volume", *words).ok

    def set(self, name: str, value: str) -> bool:
        """Set an option (or a ``group``) and note the answer."""
        answer = self._pool.gluster("volume", "set", self.name, name, value)
        if answer.ok:
            self.said["set"].append([name, value])
        else:
            self.said["rejected"].append([name, value, answer.text])
        return answer.ok

    def command(self, feature: str, word: str) -> bool:
        """Run the command of a feature, such as ``volume quota VOL enable``."""
        if not self.do(feature, self.name, word):
            return False
        self.said["set"].append([feature, word])
        return True

    def end(self) -> None:
        """Stop and delete the volume."""
        self.do("stop", self.name, "force")
        self._pool.must("volume", "delete", self.name)


def random_volume(pool: Pool, name: str, random: Random) -> Life:
    """Create a random volume with random options, started or not, with quota and bitrot or not."""
    life = Life(pool, name, random)
    life.create(random.choice((1, 1, 2, 2, 3, 4)))
    started = random.random() < 0.35
    if started and not life.do("start", name):
        started = False
    for _ in range(random.choice((0, 1, 2, 4, 8, 16, 30))):
        if random.random() < 0.06:
            life.set("group", random.choice(GROUPS))
        else:
            life.set(*random_setting(random))
    for feature in ("quota", "bitrot"):
        if started and random.random() < 0.4:
            life.command(feature, "enable")
    return life


def random_step(life: Life, random: Random) -> list[str]:
    """Change a volume at random; return the words of the command, or nothing if glusterd refused."""
    case = life.case()
    steps: tuple[Callable[[Life, dict[str, Any], Random], list[list[str]]], ...] = (
        _add, _add, _remove, _remove, _replace, _grow_replica, _shrink_replica, _decommission,
    )  # fmt: skip
    if random.random() < 0.45:
        steps = (_set, _set, _set, _group, _reset_one, _reset_one, _reset_all, _feature, _switch)
    done: list[str] = []
    for words in random.choice(steps)(life, case, random):
        done = words if life.do(*words) else []
    return done


Commands = list[list[str]]


def _subvolumes(case: dict[str, Any]) -> list[list[str]]:
    size = len(case["bricks"]) // case["distribute"]
    return [case["bricks"][i : i + size] for i in range(0, len(case["bricks"]), size)]


def _add(life: Life, case: dict[str, Any], random: Random) -> Commands:
    size = len(_subvolumes(case)[0])
    if len(case["bricks"]) > 12:
        return []
    return [["add-brick", life.name, *life.new_bricks(size * random.choice((1, 1, 2))), "force"]]


def _remove(life: Life, case: dict[str, Any], random: Random) -> Commands:
    groups = _subvolumes(case)
    return [["remove-brick", life.name, *random.choice(groups), "force"]] if len(groups) > 1 else []


def _replace(life: Life, case: dict[str, Any], random: Random) -> Commands:
    old, (new,) = random.choice(case["bricks"]), life.new_bricks(1)
    start = [] if case["started"] else [["start", life.name]]
    return [*start, ["replace-brick", life.name, old, new, "commit", "force"]]


def _grow_replica(life: Life, case: dict[str, Any], random: Random) -> Commands:
    replica, groups = max(1, case["replica"]), len(_subvolumes(case))
    if case["type"] == "disperse" or replica > 2:
        return []
    words = ["replica", str(replica + 1)]
    if replica == 2 and random.random() < 0.5:
        words += ["arbiter", "1"]
    return [["add-brick", life.name, *words, *life.new_bricks(groups), "force"]]


def _shrink_replica(life: Life, case: dict[str, Any], random: Random) -> Commands:
    if case["replica"] < 2:
        return []
    last = bool(case["arbiter"]) or random.random() < 0.3
    leaving = [group[-1] if last else random.choice(group) for group in _subvolumes(case)]
    return [["remove-brick", life.name, "replica", str(case["replica"] - 1), *leaving, "force"]]


def _decommission(life: Life, case: dict[str, Any], random: Random) -> Commands:
    groups = _subvolumes(case)
    if len(groups) < 2 or not case["started"]:
        return []
    if case["decommissioned"]:
        leaving = [
            b for b, i in zip(case["bricks"], case["brick_ids"], strict=True) if i in case["decommissioned"]
        ]
        return [["remove-brick", life.name, *leaving, random.choice(("stop", "commit"))]]
    return [["remove-brick", life.name, *random.choice(groups), "start"]]


def _set(life: Life, case: dict[str, Any], random: Random) -> Commands:
    return [["set", life.name, *random_setting(random)]]


def _group(life: Life, case: dict[str, Any], random: Random) -> Commands:
    return [["set", life.name, "group", random.choice(GROUPS)]]


def _reset_one(life: Life, case: dict[str, Any], random: Random) -> Commands:
    return [["reset", life.name, random.choice(list(case["stored_options"]) or ["nfs.disable"])]]


def _reset_all(life: Life, case: dict[str, Any], random: Random) -> Commands:
    return [["reset", life.name]]


def _feature(life: Life, case: dict[str, Any], random: Random) -> Commands:
    feature = random.choice(("quota", "bitrot"))
    now = case["stored_options"].get(f"features.{feature}")
    if (feature, now) == ("quota", "off"):
        return []  # how often it was switched on is in bricks' graphs and in no option (decision 0027)
    word = "disable" if now == "on" else "enable"
    start = [] if case["started"] else [["start", life.name]]
    return [*start, [feature, life.name, word]]


def _switch(life: Life, case: dict[str, Any], random: Random) -> Commands:
    return [["stop", life.name, "force"] if case["started"] else ["start", life.name]]
