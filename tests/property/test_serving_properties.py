"""Whatever steps, commits, lost connections and restarts do: what a node serves obeys the rules."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from reconciler.actions.volume import PUBLISH, STAGE, UNPUBLISH, volume_actions
from reconciler.agent.memory import NodeMemory
from reconciler.agent.portmap import Portmap
from reconciler.agent.serving import RenderSite
from reconciler.agent.volumes import VolumeTable
from reconciler.model.configured import VolumeRecord
from reconciler.model.ids import Address, StepId
from reconciler.model.volume import VolumeState
from reconciler.plan.step import Args, Step
from reconciler.ports.node import Call
from reconciler.ports.volfiles import SpecReply, SpecRequest
from reconciler.volgen.client import client_graph
from reconciler.volgen.text import write
from tests.volume_samples import CLUSTER, NODE, SECRET, SLOTS, MemoryFiles, volume

NAME = "home"
VOLUME = volume(NAME).volume_id


def _served(record: VolumeRecord | None) -> str:
    """Return what clients must get if `record` is the one that counts."""
    if record is None or record.state is not VolumeState.STARTED:
        return ""
    return write(client_graph(record, slots=SLOTS))


class Serving(RuleBasedStateMachine):
    """One volume on one node, through transactions that commit, roll back and are cut short.

    The model is three values: what is committed, what the transaction wants, and which of the two (or
    nothing) clients are to get.
    """

    def __init__(self) -> None:
        super().__init__()
        self.files = MemoryFiles()
        self.committed: VolumeRecord | None = None
        self.wanted: VolumeRecord | None = None
        self.published: bool | None = False  # None: withdrawn
        self.connected = True
        self.txns = 0
        self.generation = 0
        self.undo: list[tuple[Call, Args]] = []
        self._start()
        self.table.set_connected(True)

    def _start(self) -> None:
        memory = NodeMemory(self.files)
        self.table = VolumeTable(
            CLUSTER, RenderSite(NODE, SLOTS), memory, Portmap(lambda _: 0), changed=self._told
        )
        self.actions = volume_actions(self.table)
        self.table.load(memory.recall())
        self.fetched: str | None = None
        self.told = False

    def _told(self) -> None:
        self.told = True

    def _ask(self, key: str = NAME, *, trusted: bool = False) -> SpecReply:
        return self.table.getspec(SpecRequest(connection=1, key=key, trusted=trusted))

    def _step(self, kind: str) -> None:
        step = Step(step_id=StepId(len(self.undo) + 1), kind=kind, address=Address("volume/home"), title="")
        call = Call(
            step=step, txn=f"t{self.txns}", volume=self.wanted, previous=self.committed, secret=SECRET
        )
        checked = self.actions[kind].check(call)
        self.actions[kind].do(call, checked.before)
        self.undo.append((call, checked.before))

    @precondition(lambda self: self.connected and self.wanted is None)
    @rule(timeout=st.integers(1, 3), state=st.sampled_from([VolumeState.STARTED, VolumeState.STOPPED]))
    def stage(self, timeout: int, state: VolumeState) -> None:
        self.txns += 1
        self.generation = (self.committed.generation if self.committed else 0) + 1
        self.wanted = volume(
            NAME, self.generation, state=state, options=(("network.ping-timeout", str(timeout)),)
        )
        self.published = False
        self._step(STAGE)

    @precondition(lambda self: self.connected and self.wanted is not None)
    @rule()
    def publish(self) -> None:
        self._step(PUBLISH)
        self.published = True

    @precondition(lambda self: self.connected and self.wanted is not None)
    @rule()
    def unpublish(self) -> None:
        self._step(UNPUBLISH)
        self.published = None

    @precondition(lambda self: self.connected and self.wanted is not None)
    @rule()
    def commit(self) -> None:
        assert self.wanted is not None
        self.table.commit(self.wanted)
        self.committed, self.wanted, self.undo = self.wanted, None, []

    @precondition(lambda self: self.connected and self.undo)
    @rule()
    def roll_back(self) -> None:
        for call, before in reversed(self.undo):
            self.actions[call.step.kind].undo(call, before)
        self.wanted, self.undo = None, []

    @precondition(lambda self: self.connected and self.undo)
    @rule()
    def undo_one_and_do_it_again(self) -> None:
        call, before = self.undo[-1]
        held = self.table.held(VOLUME)
        self.actions[call.step.kind].undo(call, before)
        self.actions[call.step.kind].do(call, before)
        assert self.table.held(VOLUME) == held

    @precondition(lambda self: self.connected and self.committed and self.wanted is None)
    @rule()
    def delete(self) -> None:
        self.table.remove(VOLUME)
        self.committed = self.fetched = None

    @rule(connected=st.booleans())
    def lose_or_find_the_store(self, connected: bool) -> None:
        self.connected = connected
        self.table.set_connected(connected)

    @rule()
    def restart(self) -> None:
        self._start()
        if self.committed is not None:
            self.table.commit(self.committed)  # the store lists it; then as it was
        self.table.set_connected(True)
        self.table.set_connected(self.connected)

    @rule()
    def fetch(self) -> None:
        reply = self._ask()
        if not reply.error:
            self.fetched, self.told = reply.text, False

    # ------------------------------------------------------------ what must hold

    @invariant()
    def clients_get_what_counts_and_nothing_else(self) -> None:
        counts = self.committed
        if self.wanted is not None and self.published is not False:
            counts = self.wanted if self.published else None
        expected = "" if self.wanted is not None and not self.connected else _served(counts)
        for key in (NAME, f"/{NAME}", f"{NAME}.tcp"):
            reply = self.table._answers.fetch(key, trusted=False)
            assert (reply.text if reply else "") == expected

    @invariant()
    def whoever_fetched_something_else_has_been_told(self) -> None:
        now = self.table._answers.fetch(NAME, trusted=False)
        if self.fetched is not None and now is not None and now.text != self.fetched:
            assert self.told

    @invariant()
    def no_credentials_without_trust(self) -> None:
        for key in list(self.table._answers._routes):
            answer = self.table._answers.fetch(key, trusted=False)
            assert answer is None or SECRET.password not in answer.text

    @invariant()
    def the_disk_says_the_same_as_the_memory(self) -> None:
        recalled = NodeMemory(self.files).recall()
        held = self.table.held(VOLUME)
        assert recalled.volumes.get(VOLUME) == held.committed == self.committed
        assert recalled.staged.get(VOLUME) == held.staged
        assert (held.staged is not None) == (self.wanted is not None)

    @invariant()
    def nothing_is_kept_running_that_a_transaction_may_stop(self) -> None:
        running = {desired.brick for desired in self.table.desired_bricks()}
        started = [
            record
            for record in (self.committed, self.wanted or self.committed)
            if record is not None and record.state is VolumeState.STARTED
        ]
        expected = set(self.committed.on_node(NODE)) if len(started) == 2 and self.committed else set()
        assert running == expected


Serving.TestCase.settings = settings(max_examples=120, stateful_step_count=25, deadline=None)
TestServing = Serving.TestCase
