"""Deliberate breakages of what the steps do on a node: each must die in random schedules on hosts."""

from __future__ import annotations

from reconciler.actions import brick, daemon, volume
from reconciler.agent.memory import NodeMemory
from reconciler.agent.supervisor import BrickSupervisor
from reconciler.agent.volumes import VolumeTable
from tests.sim.mutants import Mutant

BY = "tests.sim.test_hosts:test_a_broken_action_dies_in_random_schedules"

ACTION_MUTANTS = (
    Mutant(
        "a stopped brick stays stopped after the undo",
        brick,
        "_restore",
        'if before["running"]:',
        "if False:",
        by=BY,
    ),
    Mutant(
        "a started daemon runs on after the undo", daemon, "_restore", "runner.stop(volume)", "pass", by=BY
    ),
    Mutant(
        "a brick that was begun is not prepared to its end",
        brick.PrepareBrick,
        "do",
        "if _is_known(call):",
        "if self.check(call).effect is not Effect.ABSENT: return {}\n    if _is_known(call):",
        by=BY,
    ),
    Mutant(
        "a brick is unprepared only if it is whole",
        brick.PrepareBrick,
        "undo",
        "if _is_known(call):",
        "if _is_known(call) or self.check(call).effect is not Effect.PRESENT:",
        by=BY,
    ),
    Mutant(
        "what is staged is not on the disk",
        VolumeTable,
        "stage",
        "self._memory.keep_staged(staged)",
        "pass",
        by=BY,
    ),
    Mutant(
        "what is published is not on the disk",
        VolumeTable,
        "serve",
        "self._memory.keep_staged(staged)",
        "pass",
        by=BY,
    ),
    Mutant("what was staged stays on the disk", NodeMemory, "drop_staged", "self._drop(", "str(", by=BY),
    Mutant(
        "an undo forgets what another step had staged",
        volume,
        "_restore",
        "if not isinstance(image, dict):",
        "if True:",
        by=BY,
    ),
    Mutant(
        "a volume is published although it is not staged",
        volume.PublishVolume,
        "do",
        "_serve(self._table, record.volume_id, Serving.STAGED)",
        "pass",
        by=BY,
    ),
    Mutant(
        "a brick is not ended by its stop",
        BrickSupervisor,
        "stop",
        "self._programs.end(program,",
        "(lambda *_: None)(program,",
        by=BY,
    ),
)
