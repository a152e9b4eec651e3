"""What real transactions leave in the history of a real etcd: bytes, commits, and the size of values."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.adapters.etcd_store import EtcdStore
from reconciler.lab.record import load
from reconciler.model.ids import TxnId
from reconciler.plan.document import canonical_text, parse_document
from reconciler.plan.step import Plan
from reconciler.ports.store import MAX_VALUE_BYTES, Change
from reconciler.txn.record import HeadState
from tests.fast_nodes import Instant, agents, carry_out, creation
from tests.journal_cost import COMMITS, PER_STEP, Cost, assert_within_bounds, cost_of, history
from tests.lab_faults import command, declare, newest, plan, planned_port, port_held, volume
from tests.labs import Lab, cluster
from tests.servers import EtcdProcess

pytestmark = pytest.mark.real


# ---------------------------------------------------------------- the agents on a real etcd, without bricks


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[EtcdProcess]:
    with EtcdProcess(tmp_path / "etcd") as process:
        yield process


@pytest.mark.timeout(900)  # five thousand steps on two processors that others use, too
@pytest.mark.parametrize(
    ("volumes", "nodes", "steps", "failing", "end"),
    [
        (1, 3, 24, (), HeadState.COMMITTED),
        (1, 3, 24, (22,), HeadState.ROLLED_BACK),
        (13, 9, 400, (), HeadState.COMMITTED),
        (13, 9, 400, (40, 80, 120, 160, 200, 240, 280, 320, 360, 390), HeadState.PARTLY),
        (68, 30, 5000, (), HeadState.COMMITTED),
    ],
)
def test_a_plan_costs_what_is_promised(
    etcd: EtcdProcess, volumes: int, nodes: int, steps: int, failing: tuple[int, ...], end: HeadState
) -> None:
    made = creation(volumes, nodes)
    assert len(made.steps) >= steps
    action = Instant(failing)  # type: ignore[arg-type]  # numbers of steps
    store = EtcdStore(etcd.endpoint)
    with agents(lambda: EtcdStore(etcd.endpoint), made, action):
        head = carry_out(store, made)
    assert head.state is end, head.reason
    written = history(store)
    store.close()
    cost = cost_of(written, head.txn)
    assert cost.kinds["step"] >= len(made.steps)
    assert bool(action.undone) == bool(failing)
    assert_within_bounds(cost, made)
    assert cost.commits <= COMMITS * len(made.steps) * (2 if failing else 1)
    assert cost.dispatches < cost.kinds["cmd"], "steps that are independent are commanded together"
    sizes = [len(change.value.encode()) for change in written if change.value is not None]
    assert max(sizes) <= MAX_VALUE_BYTES
    if steps == 5000:
        assert len(canonical_text(made)) > 1.5 * 1024 * 1024, "more than one request to etcd may hold"


# ---------------------------------------------------------------- whole commands, real bricks


@pytest.fixture(scope="module")
def it() -> Iterator[Lab]:
    with cluster() as made:
        yield made


def saved(it: Lab, name: str, *words: str) -> tuple[str, Plan]:
    """Save the plan of what is declared; return the file and the plan."""
    file = str(it.root / "work" / f"{name}.plan")
    code, text = plan(it, "--out", file, *words)
    assert code == 0, text
    return file, parse_document(Path(file).read_text(encoding="utf-8"))


def cost_in(it: Lab, txn: str) -> Cost:
    """Return what a transaction has cost in the lab's etcd."""
    watch = f"etcdctl --endpoints {load(it.root).endpoint} watch --prefix / --rev 1 -w json"
    done = it.run("env", "ETCDCTL_API=3", "timeout", "5", *watch.split())
    changes = []
    for line in done.stdout.splitlines():
        for event in json.loads(line).get("Events") or ():
            entry = event["kv"]
            gone = event.get("type") == 1
            changes.append(
                Change(
                    key=base64.b64decode(entry["key"]).decode(),
                    value=None if gone else base64.b64decode(entry.get("value", "")).decode(),
                    create_revision=entry.get("create_revision", 0),
                    mod_revision=entry["mod_revision"],
                )
            )
    found = cost_of(changes, TxnId(txn))
    assert found.kinds["head"] > 1, "its end is among what was read"
    return found


def test_commands_on_real_bricks_cost_it_too(it: Lab) -> None:
    more = {name: {"enabled": True} for name in ("shard", "changelog", "marker")}
    declare(it, volume(it, "one"), volume(it, "two", options={"performance.cache-size": "64MB"}, **more))
    for name in ("make", "change"):
        file, made = saved(it, name)
        code, text = command(it, "apply", file)
        assert code == 0, text
        cost = cost_in(it, newest(it)[0])
        assert_within_bounds(cost, made)
        assert cost.size <= PER_STEP * len(made.steps)
        assert cost.commits <= COMMITS * len(made.steps)
        declare(it, volume(it, "one", options={"network.ping-timeout": "20"}), volume(it, "two", **more))


def test_an_apply_that_is_rolled_back_costs_no_more_than_both_ways(it: Lab) -> None:
    declare(it, volume(it, "one"), volume(it, "two"), volume(it, "bad"))
    file, made = saved(it, "bad", "--rollback=all")
    with port_held(it, 2, planned_port(it, file, name="bad")):
        code, text = command(it, "apply", file)
    assert code == 5, text
    assert_within_bounds(cost_in(it, newest(it)[0]), made)
