"""The codec: strict decoding with a path, canonical text, and every stored form kept readable."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from pathlib import Path

import pytest

from reconciler.errors import JournalError
from reconciler.model import codec
from reconciler.model.configured import BrickRecord, Settings, VolumeRecord
from reconciler.model.observed import BrickFact, PathProbe
from reconciler.model.volume import Restart
from reconciler.plan.step import Plan, PlannedChange, Step
from reconciler.txn.record import Mark, Phase, StepRecord
from tests.stored_samples import BRICK_FACT, BRICK_RECORD, PROBE, SAMPLES, SETTINGS, VOLUME_RECORD

STORED = Path(__file__).resolve().parents[2] / "golden" / "stored"


def test_every_stored_class_has_a_sample_here() -> None:
    assert {type(sample).__name__ for sample in SAMPLES} == set(codec.VERSIONS)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: type(s).__name__)
def test_the_stored_form_is_the_checked_in_one_and_reads_back(sample: object) -> None:
    name = type(sample).__name__
    path = STORED / f"{name}.v{codec.VERSIONS[name]}.json"
    text = codec.encode(sample)
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text + "\n")
    assert text + "\n" == path.read_text()
    assert codec.decode(type(sample), text) == sample


def _all_fields_set(sample: object) -> list[str]:
    return [
        field.name
        for field in dataclasses.fields(sample)
        if field.default is not dataclasses.MISSING and getattr(sample, field.name) == field.default
    ]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: type(s).__name__)
def test_no_sample_leaves_a_field_at_its_default(sample: object) -> None:
    assert _all_fields_set(sample) == []


def test_a_field_added_later_with_a_default_reads_old_records() -> None:
    plain = json.loads(codec.encode(SETTINGS))
    del plain["failure_domain"]
    assert codec.decode(Settings, json.dumps(plain)).failure_domain == "host"


def _changed(sample: object, **changes: object) -> str:
    plain = json.loads(codec.encode(sample))
    plain.update(changes)
    return json.dumps(plain)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"generation": "7"}, "VolumeRecord.generation: expected a whole number, found '7'"),
        ({"generation": True}, "VolumeRecord.generation: expected a whole number, found True"),
        ({"generation": 7.0}, "VolumeRecord.generation: expected a whole number, found 7.0"),
        ({"generation": None}, "VolumeRecord.generation: expected a whole number, found null"),
        ({"colour": 1}, "VolumeRecord: unknown field 'colour'"),
        ({"state": "asleep"}, "VolumeRecord.state: expected one of started, stopped, absent; found 'asleep'"),
        (
            {"options": [["a", "b"], ["c"]]},
            "VolumeRecord.options[1]: expected a list of 2, found a list of 1",
        ),
        ({"options": [["a", 1]]}, "VolumeRecord.options[0][1]: expected text, found 1"),
        ({"bricks": {}}, "VolumeRecord.bricks: expected a list, found an object"),
        ({"shape": []}, "VolumeRecord.shape: expected an object, found a list of 0"),
        ({"shape": {"replica": 3}}, "VolumeRecord.shape: missing field 'type'"),
        ({"v": 2}, "version 2, this program knows version 1"),
        ({"v": True}, "version True, this program knows version 1"),
        ({"kind": "PeerRecord"}, "kind 'PeerRecord', expected 'VolumeRecord'"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(changes: dict[str, object], message: str) -> None:
    with pytest.raises(JournalError) as caught:
        codec.decode(VolumeRecord, _changed(VOLUME_RECORD, **changes))
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a JSON document"),
        ("[1]", "expected an object, found a list of 1"),
        ('{"a":1,"a":2}', "key 'a' occurs twice"),
        ('{"a":NaN}', "NaN is not JSON"),
        ("[" * 200_000, "not a JSON document"),
        ("{}", "kind None"),
    ],
)
def test_damaged_text_is_a_journal_error(text: str, message: str) -> None:
    with pytest.raises(JournalError) as caught:
        codec.decode(VolumeRecord, text)
    assert message in caught.value.message


def test_a_number_may_be_written_whole_where_a_fraction_fits() -> None:
    assert codec.from_json(Restart, {"delay_s": 3}).delay_s == 3.0
    with pytest.raises(JournalError, match=r"delay_s: expected a number, found '3'"):
        codec.from_json(Restart, {"delay_s": "3"})


def test_unknown_heal_count_stays_unknown() -> None:
    fact = dataclasses.replace(BRICK_FACT, heal_pending=None)
    assert codec.decode(BrickFact, codec.encode(fact)).heal_pending is None


def test_mapping_keys_that_are_numbers_come_back_as_numbers() -> None:
    @dataclasses.dataclass(frozen=True)
    class Table:
        rows: dict[int, str]

    globals()["Table"] = Table
    assert codec.from_json(Table, {"rows": {"1": "a"}}) == Table({1: "a"})
    with pytest.raises(JournalError, match=r"rows\['01'\]: expected a decimal number"):
        codec.from_json(Table, {"rows": {"01": "a"}})


def test_canonical_text_is_sorted_tight_and_utf8() -> None:
    assert (
        codec.canonical({"b": "é", "a": [1, {"z": None, "y": True}]})
        == '{"a":[1,{"y":true,"z":null}],"b":"é"}'
    )
    assert codec.canonical(codec.to_json(Restart(delay_s=3.0))) == '{"delay_s":3,"policy":"onCrash"}'


def test_an_undecodable_file_name_survives_as_valid_utf8() -> None:
    record = dataclasses.replace(BRICK_RECORD, path=os.fsdecode(b"/bricks/\xff"))
    text = codec.encode(record)
    text.encode("utf-8")
    assert codec.decode(BrickRecord, text) == record


def test_a_not_a_number_is_never_written() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        codec.encode(dataclasses.replace(VOLUME_RECORD, restart=Restart(delay_s=float("nan"))))


def test_a_record_that_would_hide_its_envelope_is_a_bug() -> None:
    with pytest.raises(AssertionError, match="no stored form"):
        codec.encode(PROBE)
    assert codec.from_json(PathProbe, codec.to_json(PROBE)) == PROBE


def test_plan_types_go_through_plain_json() -> None:
    change = PlannedChange(
        address="volume/home",
        action="update",
        before={"a": [None]},
        after=None,
    )
    assert codec.to_json(change)["before"] == {"a": [None]}
    step = Step(step_id=1, kind="x", address="volume/home", title="t", args={"deep": {"er": [1, "2"]}})
    assert codec.from_json(Step, codec.to_json(step)) == step
    assert "steps" in codec.fields_of(Plan).decoders


def test_positional_records_and_integer_enums_round_trip() -> None:
    record = StepRecord(step=1, mark=Mark.DONE, phase=Phase(1, 0))
    assert codec.decode(StepRecord, codec.encode(record)) == record


def test_a_hundred_thousand_records_take_seconds() -> None:
    text = codec.encode(VOLUME_RECORD)
    start = time.process_time()
    for _ in range(3_000):
        codec.decode(VolumeRecord, text)
        codec.encode(VOLUME_RECORD)
    assert (
        time.process_time() - start < 3.0
    )  # 100,000 in under 50 s of these; a plan per call would take minutes
