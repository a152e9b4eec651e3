"""Schema findings: position, path, remedy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from reconciler.desired import published
from reconciler.shipped import shipped_features
from tests.unit.desired.declarations import HEAD, REP3, cluster, desired, errors, findings

KINDS = "Cluster or Volume or Peer or Profile or GeoReplication"


def test_the_schema_is_valid_and_the_published_one_is_up_to_date() -> None:
    features = shipped_features()
    Draft202012Validator.check_schema(published.schema(features))
    assert Path("schemas/cluster.v1.schema.json").read_text() == published.text(features)


def test_every_key_of_the_schema_says_what_it_means() -> None:
    definitions = published.schema(shipped_features())["$defs"]
    volume = definitions["volume"]["properties"]
    for key, rules in volume.items():
        text = rules.get("description") or definitions[rules["$ref"].rpartition("/")[2]]["description"]
        assert len(text) > 10, key


def test_volume_documents_know_the_same_keys_as_inline_volumes() -> None:
    definitions = published.schema(shipped_features())["$defs"]
    for inline, document in (
        ("volume", definitions["volumeSpec"]),
        ("peer", definitions["peerDocument"]["properties"]["spec"]),
    ):
        assert {*definitions[inline]["properties"]} - {"name"} == {*document["properties"]}


def test_an_unknown_key_is_pointed_at_and_a_near_one_suggested() -> None:
    (found,) = findings(cluster(REP3 + "replicas: 3\n"))
    assert (str(found.span), found.path) == ("c.yaml:14:7", "spec.volumes[0].replicas")
    assert "known here" in found.hint
    (found,) = findings(HEAD + "  failureDomian: zone\n")
    assert found.hint == "did you mean failureDomain?"


def test_keys_of_ones_own_are_allowed_in_every_mapping() -> None:
    text = cluster(
        REP3 + "x-a: {deep: [1, 010, .inf]}\noptions: {x-o: [1]}\nrestart: {x-r: 1}\n",
        spec="x-b: 1\nports: {x-p: 1}\ndefaults: {x-d: 1, volume: {x-v: ~}}\n",
    )
    assert errors(text.replace("{name: prod}", "{name: prod, x-m: 1, labels: {x-l: 2}}")) == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("replica: '3'", "15:16 replica must be a whole number, found '3'"),
        ("replica: 3.0", "15:16 replica must be a whole number, found '3.0'"),
        ("replica: true", "15:16 replica must be a whole number, found true"),
        ("replica: 03", "15:16 replica: number 03 has a leading zero"),
        ("replica: .nan", "15:16 replica: .nan is not a finite number"),
        ("replica: -1", "15:16 replica must be at least 2, found '-1'"),
        ("replica: 99999999999999999999", "15:16 replica: number 99999999999999999999 does not fit 64 bits"),
        ("replica:", "15:15 replica must be a whole number, found nothing"),
        ("replica: [3]", "15:16 replica must be a whole number, found a list"),
    ],
)
def test_wrong_numbers_are_named_once(line: str, expected: str) -> None:
    volume = '# c\nname: home\ntype: replicate\nbricks: ["gs1:/b/0"]\n'
    shift = cluster(volume).count("\n") - len(HEAD.splitlines()) - 1
    found = errors(cluster(volume + line + "\n"))
    assert [text.partition(" ")[2] for text in found] == [expected.partition(" ")[2]]
    assert found[0].split(":")[0] == str(len(HEAD.splitlines()) + 2 + shift)


@pytest.mark.parametrize(
    "name", ["../x", "/etc", "a/b", ".", "-x", "a b", "a\\n", "$(x)", "\u043ehome", "a" * 48, ""]
)
def test_bad_names_are_refused_and_echoed_safely(name: str) -> None:
    volume = REP3.replace("name: home", f'name: "{name}"')
    found = errors(cluster(volume))
    assert len(found) == 1
    assert "name must be 1 to 47 letters" in found[0]
    assert found[0].isascii()
    assert found[0].isprintable()


def test_a_pattern_does_not_overlook_a_last_newline() -> None:
    assert errors(cluster(REP3.replace("name: home", 'name: "home\\n"'))) != []
    assert errors(cluster(REP3 + 'options: {"a.b\\n": "1"}\n')) != []


def test_a_plain_number_where_text_belongs_is_told_to_be_quoted() -> None:
    (found,) = findings(cluster(REP3.replace("name: home", "name: 123")))
    assert found.hint == 'quote it: "123"'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[1]", ["1:1 a document must be a mapping, found a list"]),
        ("{}", ["1:1 missing key apiVersion", "1:1 missing key kind"]),
        (
            HEAD.replace("/v1", "/v2"),
            ["1:13 apiVersion must be gluster-state.io/v1, found 'gluster-state.io/v2'"],
        ),
        (HEAD.replace("kind: Cluster", "kind: Clutser"), [f"2:7 kind must be {KINDS}, found Clutser"]),
        (HEAD.replace("kind: Cluster", "kind: [Cluster]"), [f"2:7 kind must be {KINDS}, found a list"]),
    ],
)  # fmt: skip
def test_the_envelope(text: str, expected: list[str]) -> None:
    assert [line.replace("c.yaml:", "") for line in errors(text)] == expected


def test_errors_in_different_objects_are_all_reported_and_good_objects_are_still_checked() -> None:
    text = cluster(
        REP3.replace("type: replicate", "type: replicat"),
        'name: two\ntype: replicate\nreplica: 2\narbiter: 1\nbricks: ["gs1:/b/x", "gs9:/b/x"]\n',
        spec="unprotectDelay: soon\n",
    )
    words = " / ".join(errors(text))
    for part in (
        "unprotectDelay must be a duration",
        "type must be",
        "replica must be 3",
        "peer gs9 is not declared",
    ):
        assert part in words


def test_option_values_are_the_source_text() -> None:
    text = cluster(
        REP3 + 'options: {a.a: on, a.b: 5, a.c: 0755, a.d: true, a.e: "off", a.f: 1e3, a.g: null}\n'
    )
    assert [option.value for option in desired(text).spec.volumes[0].options] == [
        "on",
        "5",
        "0755",
        "true",
        "off",
        "1e3",
        "null",
    ]


def test_the_published_schema_alone_accepts_a_good_document_and_refuses_a_typo() -> None:
    validator = Draft202012Validator(json.loads(Path("schemas/cluster.v1.schema.json").read_text()))
    volume = {"name": "v", "type": "distribute", "bricks": ["gs1:/b"]}
    good = {
        "apiVersion": "gluster-state.io/v1",
        "kind": "Cluster",
        "metadata": {"name": "c"},
        "spec": {"volumes": [volume]},
    }
    assert validator.is_valid(good)
    assert not validator.is_valid({**good, "spec": {"volumes": [{**volume, "replicas": 3}]}})
