"""Mutations about the parts of a plan: what goes on, what goes back, and how much at once."""

from __future__ import annotations

from reconciler.engine.applier import Applier
from reconciler.engine.mirror import Mirror
from reconciler.txn import machine
from reconciler.txn.state import TxnState
from tests.sim.mutant import Mutant

MUTANTS_OF_PARTS = (
    Mutant(
        "a parked part begins something new",
        machine,
        "_do_moves",
        "going = [p for p in open_parts if p.number not in stopped]",
        "going = open_parts if len(stopped) < len(open_parts) else []",
        by="tests.unit.txn.test_parts:test_nothing_new_of_a_parked_part_is_begun_and_the_others_go_on",
    ),
    Mutant(
        "a part that fails turns all at once",
        machine,
        "_do_moves",
        "if not going:",
        "if stopped:",
        by="test_a_volume_that_fails_goes_back_alone",
    ),
    Mutant(
        "a committed part is undone",
        machine,
        "_undo_moves",
        "if s.part not in kept and not",
        "if not",
        by="test_a_volume_that_fails_goes_back_alone",
    ),
    Mutant(
        "the cluster's own part is undone under a committed one",
        TxnState,
        "kept",
        "return past | below",
        "return past",
        by="test_peers_and_settings_stay_under_what_has_committed",
    ),
    Mutant(
        "a part goes on over the cluster's own that failed",
        machine,
        "_parked_forward",
        "if 0 in found:",
        "if False:",
        by="tests.unit.txn.test_parts:test_what_rests_on_the_clusters_own_part_is_parked_with_it",
    ),
    Mutant(
        "turned without a rollback asked for",
        machine,
        "_no_way_forward",
        "state.rollback is Rollback.NONE and",
        "False and",
        by="test_without_rollback_it_waits_for_a_human",
    ),
    Mutant(
        "a dispensable step holds its part up",
        machine,
        "_passable",
        "step.dispensable and",
        "False and",
        by="test_a_node_that_is_gone_is_passed_over_where_it_only_serves",
    ),
    Mutant(
        "a step that only its node can do is passed over",
        machine,
        "_passable",
        "step.dispensable and",
        "",
        by="test_a_node_that_is_gone_is_passed_over_where_it_only_serves",
    ),
    Mutant(
        "what is in doubt is passed over",
        machine,
        "_passable",
        "and state.mark(step) is None",
        "",
        by="tests.unit.txn.test_parts:test_a_dispensable_step_in_doubt_is_not_passed_over",
    ),
    Mutant(
        "a step is passed over without a record",
        Applier,
        "_go_on",
        "puts.append(self._passed_over(state, step))",
        "pass",
        by="test_a_node_that_is_gone_is_passed_over_where_it_only_serves",
    ),
    Mutant(
        "an orphan goes on though the plan says to roll back",
        Mirror,
        "state",
        "head.attempts > 1",
        "False",
        by="test_an_apply_that_dies_is_rolled_back_where_the_plan_says_so",
    ),
    Mutant(
        "an orphan turns with a part past its point of no return",
        machine,
        "_hindrance",
        "if state.past_pivot(part):",
        "if False:",
        by="tests.unit.txn.test_parts:test_an_orphan_goes_back_but_for_what_can_only_go_forward",
    ),
    Mutant(
        "the bounds are ignored",
        machine,
        "_moves_for",
        "if room > 0 and busy[step.node] < PER_NODE:",
        "if True:",
        by="test_few_commands_wait_for_a_node_at_once",
    ),
    Mutant(
        "one guard of a batch is missing",
        Applier,
        "_write",
        "for op in operations if op.key != head_key",
        "for op in operations[:1] if op.key != head_key",
        by="tests.unit.engine.test_applier:test_every_write_compares_lock_head_and_what_it_overwrites",
    ),
    Mutant(
        "an answer to a batch counts for its first key only",
        Applier,
        "_write_together",
        "self._written[batch[0].key] = tuple(put.key for put in batch)",
        "pass",
        by="tests.unit.engine.test_applier:test_an_answer_to_a_batch_counts_for_all_its_keys",
    ),
)
