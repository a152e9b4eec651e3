"""Document x JSON Schema -> findings, each with position, path and remedy.

The schema (`published`) says which keys there are and what their values look like. What needs two objects
or arithmetic is in `rules`.

The messages are ours: the schema's non-standard keyword ``x-must`` completes the sentence "KEY must …".

Architecture invariant: the only importer of `jsonschema`; reads no file.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

from reconciler.desired import published
from reconciler.desired.feature_key import FeatureKey
from reconciler.desired.plain import Checked, Path, Plain, convert, node_at, show, subject
from reconciler.desired.source import MAX_FINDINGS
from reconciler.desired.suggest import did_you_mean, quoted
from reconciler.desired.tree import Document, ListNode, MapNode, Node, ScalarNode
from reconciler.diagnostics import Diagnostic, Severity, SourceSpan

KINDS = {
    "Cluster": "clusterDocument",
    "Volume": "volumeDocument",
    "Peer": "peerDocument",
    "Profile": "profileDocument",
    "GeoReplication": "geoReplicationDocument",
}
API_VERSION = "gluster-state.io/v1"

# Keys of the road map, so that a reader of its examples is told more than "unknown key".
_LATER = frozenset(
    [
        "size",
        "devices",
        "deviceTags",
        "distribute",
        "snapshots",
        "vars",
        "overlays",
        "include",
        "maintenanceWindows",
        "transport",
        "quorum",
        "limits",
        "reconcile",
        "snapshotSchedules",
        "clusterId",
    ]
)
_TYPE_WORDS = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "boolean": "true or false",
}


def check(document: Document, features: tuple[FeatureKey, ...]) -> Checked:
    """Return everything the schema with these features finds wrong with a document. Never raises."""
    checked = Checked()
    plain = convert(document, checked)
    checked.kind = _kind(document, checked)
    if not checked.kind:
        checked.broken.add(id(document.root))
        return checked
    errors = _validator(checked.kind, features).iter_errors(plain)
    for problem in islice(_problems(errors), MAX_FINDINGS):
        if not _already_reported(document, problem.path, checked):
            checked.findings += _explain(document, problem, checked)
    return checked


# ---------------------------------------------------------------------------- envelope


def _kind(document: Document, checked: Checked) -> str:
    """Return the document's kind, or an empty string after saying why it has none we know."""
    root = document.root
    if not isinstance(root, MapNode):
        span = document.span(root)
        checked.findings.append(_error(f"a document must be a mapping, found {_found(root)}", span))
        return ""
    sound = True
    for key, known in (("apiVersion", [API_VERSION]), ("kind", list(KINDS))):
        node = root.get(key)
        if node is None:
            hint = f"add {key}: {known[0]}" if len(known) == 1 else f"one of {', '.join(known)}"
            checked.findings.append(_error(f"missing key {key}", document.span(root), hint=hint))
            sound = False
        elif not isinstance(node, ScalarNode) or node.text not in known:
            hint = did_you_mean(node.text, known) if isinstance(node, ScalarNode) else ""
            checked.findings.append(
                _error(
                    f"{key} must be {' or '.join(known)}, found {_found(node)}",
                    document.span(node),
                    hint=hint,
                    path=key,
                )
            )
            sound = False
    kind = root.get("kind")
    return kind.text if sound and isinstance(kind, ScalarNode) else ""


# ---------------------------------------------------------------------------- validation


def _is_integer(_checker: object, instance: object) -> bool:
    """Return true for whole numbers only: JSON Schema itself would take 3.0 and, in Python, True."""
    return isinstance(instance, int) and not isinstance(instance, bool)


def _pattern(
    _validator: object, pattern: str, instance: object, _schema: object
) -> Iterator[ValidationError]:
    """Match as ECMA-262 does, where ``$`` is the end of the text and not a place before a last newline."""
    if isinstance(instance, str) and not _compiled(pattern).search(instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\$$", r"\\Z", pattern).replace("$)", r"\Z)"))


class _Validator(Protocol):
    """The one method we use of a jsonschema validator; `extend` is not typed."""

    def iter_errors(self, instance: Plain) -> Iterable[ValidationError]:
        """Yield the errors of an instance."""
        ...


@functools.lru_cache(maxsize=16)  # features are told apart by identity: a run has one set of them
def _validator(kind: str, features: tuple[FeatureKey, ...]) -> _Validator:
    types = Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer)
    strict: Callable[[Mapping[str, Any]], _Validator] = extend(  # type: ignore[no-untyped-call]  # not typed there
        Draft202012Validator, validators={"pattern": _pattern}, type_checker=types
    )
    whole = published.schema(features)
    return strict({"$id": whole["$id"], "$ref": f"#/$defs/{KINDS[kind]}", "$defs": whole["$defs"]})


@dataclass(frozen=True, slots=True)
class _Problem:
    """One schema error: the rule broken, its value in the schema, and the schema around it."""

    path: Path
    rule: str
    wanted: Any
    around: Mapping[str, Any]
    message: str
    name: str  #: the key's name if the rule is about names, else empty


def _problems(errors: Iterable[ValidationError]) -> Iterator[_Problem]:
    """Yield the errors; of alternatives, those of all branches unless ``x-must`` covers them."""
    for error in errors:
        around = error.schema if isinstance(error.schema, Mapping) else {}
        if error.context and "x-must" not in around:
            yield from _problems(error.context)
            continue
        yield _Problem(
            path=tuple(error.absolute_path),
            rule=str(error.validator),
            wanted=error.validator_value,
            around=around,
            message=error.message,
            name=str(error.instance) if "propertyNames" in error.absolute_schema_path else "",
        )


def _already_reported(document: Document, path: Path, checked: Checked) -> bool:
    """Return true if the scalar at `path` was refused for its form already."""
    node = node_at(document, path)
    return isinstance(node, ScalarNode) and not checked.sound(node)


def _explain(document: Document, problem: _Problem, checked: Checked) -> list[Diagnostic]:
    """Return what one schema error means to the writer of the file, and remember where it was."""
    path, node = problem.path, node_at(document, problem.path)
    checked.mark(document, path)
    if problem.rule == "additionalProperties" and isinstance(node, MapNode):
        return _unknown_keys(document, node, problem)
    if problem.rule == "required" and isinstance(node, MapNode):
        missing = next(key for key in problem.wanted if problem.message.startswith(repr(key)))
        return [
            _error(
                f"{subject(path)} lacks the key {missing}", document.span(node), path=show((*path, missing))
            )
        ]
    if problem.name and isinstance(node, MapNode):
        key = node.entries[problem.name][0]
        summary = f"{quoted(key.text)} is no option name: it must {problem.around['x-must']}"
        return [_error(summary, document.span(key), path=show((*path, key.text)))]
    summary, hint = _value_sentence(problem, node)
    return [_error(summary, document.span(node), hint=hint, path=show(path))]


def _unknown_keys(document: Document, node: MapNode, problem: _Problem) -> list[Diagnostic]:
    known = problem.around.get("properties", {})
    findings: list[Diagnostic] = []
    for key, (key_node, _) in node.entries.items():
        if key in known or key.startswith("x-"):
            continue
        hint = did_you_mean(key, [name for name in known if name not in node.entries])
        if key in _LATER:
            hint = "this version does not support it"
        elif not hint:
            hint = f"known here: {', '.join(sorted(known))}; keys of your own begin with x-"
        path = show((*problem.path, key))
        if len(findings) >= MAX_FINDINGS:
            break
        findings.append(_error(f"unknown key {quoted(key)}", document.span(key_node), hint=hint, path=path))
    return findings


def _value_sentence(problem: _Problem, node: Node) -> tuple[str, str]:
    """Return summary and hint for a value that is not what its key wants."""
    what, rule, found = subject(problem.path), problem.rule, _found(node)
    if rule == "enum":
        words = [str(word) for word in problem.wanted]
        hint = did_you_mean(node.text, words) if isinstance(node, ScalarNode) else ""
        return f"{what} must be {_alternatives(words)}, found {found}", hint
    hint = _type_hint(problem, node) if rule == "type" else ""
    if tuple(problem.path[-2:-1]) == ("auth",):  # a user name or a password
        found, hint = "something else", ""
    if "x-must" in problem.around:
        return f"{what} must {problem.around['x-must']}, found {found}", hint
    if rule == "type":
        wanted = str(problem.wanted)
        return f"{what} must be {_TYPE_WORDS.get(wanted, wanted)}, found {found}", hint
    wanted = problem.wanted
    sentences = {
        "minimum": f"be at least {wanted}",
        "maximum": f"be at most {wanted}",
        "minItems": "not be empty",
        "maxItems": f"not hold more than {wanted} entries",
        "maxProperties": f"not hold more than {wanted} entries",
    }
    return f"{what} must {sentences.get(rule, f'keep the rule {rule}')}, found {found}", ""


def _type_hint(problem: _Problem, node: Node) -> str:
    if not isinstance(node, ScalarNode):
        return ""
    wanted, text = problem.wanted, node.text
    if wanted == "string" and node.plain and text not in {"", "~"}:
        fits = _compiled(problem.around.get("pattern", "")).search(text)
        return f'quote it: "{text[:40]}"' if fits else ""
    if wanted == "boolean" and text.lower() in {"yes", "on", "no", "off"}:
        return "write " + ("true" if text.lower() in {"yes", "on"} else "false")
    if wanted == "integer" and not node.plain and text.isdecimal():
        return "remove the quotes"
    return ""


def _alternatives(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _found(node: Node) -> str:
    if isinstance(node, MapNode):
        return "a mapping"
    if isinstance(node, ListNode):
        return "a list"
    if node.plain and node.text in {"", "~", "null", "Null", "NULL"}:
        return "nothing"
    return (
        node.text
        if node.plain and node.text.isalnum() and node.text.isascii() and len(node.text) <= 40
        else quoted(node.text)
    )


def _error(summary: str, span: SourceSpan, *, hint: str = "", path: str = "") -> Diagnostic:
    return Diagnostic(severity=Severity.ERROR, summary=summary, span=span, hint=hint, path=path)
