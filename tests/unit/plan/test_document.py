"""The plan document: complete, canonical, and refused as soon as one value was touched."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest

from reconciler.errors import PlanError, StalePlan
from reconciler.plan import document
from reconciler.plan.codes import CODES, risk_class
from reconciler.plan.step import Plan
from tests.plan_samples import ALL, BLOCKED, CREATE, DRIFT, EMPTY, OPTIONS, UNSEEN


@pytest.mark.parametrize("plan", ALL.values(), ids=ALL.keys())
def test_a_plan_comes_back_from_its_document(plan: Plan) -> None:
    assert document.parse_document(document.canonical_text(plan)) == plan


@pytest.mark.parametrize("plan", ALL.values(), ids=ALL.keys())
def test_the_text_is_canonical_and_carries_the_digest_of_the_rest(plan: Plan) -> None:
    text = document.canonical_text(plan)
    body = json.loads(text)
    assert text == json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n"
    stated = body.pop("digest")
    rest = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert stated == "sha256:" + hashlib.sha256(rest.encode()).hexdigest() == document.digest(plan)


def test_two_runs_differ_only_in_id_times_and_digest() -> None:
    later = replace(CREATE, plan_id="p-2", created=1, expires=2, observed_at=3)
    first, second = document.document(CREATE), document.document(later)
    for body in (first, second):
        for volatile in ("plan_id", "created", "expires", "digest"):
            del body[volatile]
        del body["base"]["observed_at"]
    assert first == second


def test_a_document_may_be_indented_by_a_reader() -> None:
    pretty = json.dumps(document.document(CREATE), indent=2)
    assert document.parse_document(pretty) == CREATE


def test_every_changed_letter_or_digit_is_noticed() -> None:
    text = document.canonical_text(OPTIONS)
    for place in range(0, len(text) - 1, 7):
        if text[place].isalnum():
            changed = text[:place] + ("x" if text[place] != "x" else "y") + text[place + 1 :]
            with pytest.raises(PlanError):
                document.parse_document(changed)


def test_an_altered_value_is_a_stale_plan_with_exit_code_4() -> None:
    text = document.canonical_text(CREATE).replace("brick.create", "brick.delete")
    with pytest.raises(StalePlan, match="altered") as caught:
        document.parse_document(text)
    assert caught.value.exit_code == 4


def _resealed(**changes: object) -> str:
    body = document.document(OPTIONS)
    body.update(changes)
    del body["digest"]
    rest = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return json.dumps({**body, "digest": "sha256:" + hashlib.sha256(rest.encode()).hexdigest()})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"summary": {**document.summary(OPTIONS), "change": 0}},
            r"contradicts itself at plan\.summary\.change",
        ),
        (
            {"steps": [{**s, "part": n} for n, s in enumerate(document.document(OPTIONS)["steps"], 1)]},  # type: ignore[dict-item,arg-type]
            r"step 2 rests on what is no part of its own",
        ),
        (
            {"steps": [{**s, "depends_on": [s["id"]]} for s in document.document(OPTIONS)["steps"]]},  # type: ignore[dict-item,union-attr,index,call-overload]
            r"step 1 rests on what is no part of its own",
        ),
        ({"exit_code": 0}, r"contradicts itself at plan\.exit_code"),
        ({"applyable": 1}, r"contradicts itself at plan\.applyable"),
        ({"note": "harmless"}, r"contradicts itself at plan\.note"),
        ({"steps": [{"id": 1}]}, r"no plan\.steps\[0\]\.on"),
        ({"steps": {}}, r"damaged at plan\.steps: expected a list of objects"),
        ({"cluster": None}, r"damaged at plan\.cluster: expected an object"),
        ({"created": "yesterday"}, r"damaged at plan\.created: 'yesterday' is no time"),
        ({"settings": {"generation": "1"}}, r"damaged at plan\.settings: Settings\.generation"),
        ({"format_version": "2.0"}, r"format is '2\.0'; this program knows 1\.1"),
        ({"kind": "Shopping"}, "this is no plan"),
    ],
)
def test_a_document_with_a_fresh_digest_must_still_be_one_of_ours(
    changes: dict[str, object], message: str
) -> None:
    with pytest.raises(PlanError, match=message) as caught:
        document.parse_document(_resealed(**changes))
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "{}", '{"kind":"Plan","kind":"Plan"}', "[" * 100_000]
)
def test_what_is_no_plan_says_so(text: str) -> None:
    with pytest.raises(PlanError, match="this is no plan"):
        document.parse_document(text)


def test_bricks_of_a_new_volume_count_as_the_volume() -> None:
    assert document.summary(CREATE)["add"] == 1
    assert document.summary(OPTIONS)["change"] == 2
    assert document.summary(BLOCKED)["blocked"] == 1


def test_exit_codes_put_refusal_before_blindness_before_difference() -> None:
    codes = [document.exit_code(p) for p in (EMPTY, CREATE, BLOCKED, UNSEEN, DRIFT)]
    assert codes == [0, 2, 3, 10, 0]
    assert document.exit_code(replace(CREATE, unobserved=UNSEEN.unobserved)) == 10
    assert document.exit_code(replace(BLOCKED, unobserved=UNSEEN.unobserved)) == 3


def test_rollback_reaches_to_the_pivot() -> None:
    assert document.rollback(CREATE) == {"mode": "change", "kind": "full"}
    assert document.rollback(OPTIONS) == {"mode": "change", "kind": "until", "step": 2}


def test_the_contract_fields_are_there() -> None:
    body = document.document(OPTIONS)
    change = body["changes"][1]
    assert change["risk"] == {"class": "options", "codes": ["GS403"]}
    assert (change["actions"], change["action_reason"], change["attribution"]) == (
        ["update"], "live_changed", "drift",
    )  # fmt: skip
    step = body["steps"][1]
    assert (step["op"], step["depends_on"], step["point_of_no_return"]) == ("volume.forget", [1], True)
    assert (
        document.document(CREATE)["changes"][0]["id"] == CREATE.volumes[next(iter(CREATE.volumes))].volume_id
    )
    assert document.document(CREATE)["changes"][0]["paths"] == [["replica"], ["type"]]
    assert body["created"] == "2026-09-21T14:13:20Z"


def test_the_worst_code_gives_the_class() -> None:
    assert risk_class(("GS403", "GS102", "GS301")) == "destructive"
    assert risk_class(("GS201", "GS301")) == "data-moving"
    assert risk_class(()) == "none"
    assert all(code == entry.code and entry.remedy and entry.risk for code, entry in CODES.items())
