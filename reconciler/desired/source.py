"""Bytes of a YAML file -> a tree in which every node knows its line and column. Strict.

What YAML offers beyond plain data is refused, each with its position: aliases, anchors, merge keys, tags,
directives, keys that are no strings, duplicate keys, tabs. Quantities are bounded before they cost anything
(`MAX_DEPTH`, `MAX_NODES`, `characters.MAX_BYTES`), because CI machines read the file on pull requests.

The scanner is libyaml's *event* interface, which keeps its own stack on the heap: nesting costs it memory,
never the C stack (PyYAML's ``load`` and ``compose`` recurse and crash at some 50 000 levels). Its one
quadratic path that a file can reach is the list of ``%TAG`` directives, so lines that begin with ``%`` are
refused before it starts.

Architecture invariant: the only importer of `yaml`; reads no file itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import yaml
from yaml._yaml import CParser

from reconciler.desired.characters import decode, holds_control
from reconciler.desired.scalars import ScalarError, resolve
from reconciler.desired.suggest import quoted, shown
from reconciler.desired.tree import Document, ListNode, MapNode, Node, ScalarNode, pack, span_of
from reconciler.diagnostics import Diagnostic, Severity

MAX_DEPTH = 32  #: most collections inside one another
MAX_NODES = 2_000_000  #: most scalars and collections in one run
MAX_DOCUMENTS = 20_000  #: most documents in one file
MAX_FINDINGS = 1000  #: most findings per file and per run; more would help nobody


@dataclass(slots=True)
class Budget:
    """How many nodes the run may still create."""

    nodes: int = MAX_NODES


@dataclass(slots=True)
class SourceFile:
    """What one file holds. `complete` is false if part of it could not be read."""

    documents: list[Document] = field(default_factory=list)
    findings: list[Diagnostic] = field(default_factory=list)
    complete: bool = True


def read(file: str, data: bytes, budget: Budget) -> SourceFile:
    """Return the documents of a file with everything that is wrong with its form.

    Never raises for any input. Time and memory are linear in ``len(data)``, which is bounded.
    """
    result = SourceFile()
    text, result.findings = decode(file, data)
    if result.findings:
        result.complete = False
    else:
        _Reader(file, result, budget).run(text)
    return result


# ---------------------------------------------------------------------------- events


class _Stop(Exception):
    """The rest of this file cannot be read; the finding is recorded."""


class _Frame:
    """An open collection. For a mapping `key` is the key whose value comes next, and `skip` ignores it."""

    __slots__ = ("key", "node", "skip")

    def __init__(self, node: ListNode | MapNode) -> None:
        self.node = node
        self.key: ScalarNode | None = None
        self.skip = False


class _Reader:
    """Folds the events of one file into trees. Iterative: depth costs no Python stack either."""

    def __init__(self, file: str, result: SourceFile, budget: Budget) -> None:
        self._file = file
        self._result = result
        self._budget = budget
        self._stack: list[_Frame] = []
        self._root: Node | None = None
        self._documents = 0
        self._sound = True  # false: this document lacks a part, so it is not looked at any further

    def run(self, text: str) -> None:
        """Read everything; findings and documents go to the result."""
        try:
            parser = CParser(text)
            try:
                while True:
                    event = parser.get_event()
                    if event is None or isinstance(event, yaml.StreamEndEvent):
                        return
                    self._take(event)
            finally:
                parser.dispose()
        except yaml.MarkedYAMLError as exc:
            self._syntax(exc)
        except _Stop:
            self._result.complete = False

    def _take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            self._open(event)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            frame = self._stack.pop()
            self._place(frame.node)
        elif isinstance(event, yaml.AliasEvent):
            start, end = _marks(event)
            self._report(
                start,
                end,
                f"alias {shown(event.anchor or '')}: aliases are not supported",
                "write the value out, or use a profile",
            )
            self._sound = False
            self._place(ScalarNode("", False, start, end))
        elif isinstance(event, yaml.DocumentStartEvent):
            self._begin(event)
        elif isinstance(event, yaml.DocumentEndEvent):
            self._finish()

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        self._spend(event)
        start, end = _marks(event)
        plain = bool(event.implicit[0])  # neither quoted nor a block
        self._refuse_extras(event, start)
        if holds_control(event.value):
            self._report(start, end, f"text holds a control character: {quoted(event.value)}")
        self._place(ScalarNode(event.value, plain, start, end))

    def _open(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        self._spend(event)
        start, end = _marks(event)
        self._refuse_extras(event, start)
        if len(self._stack) >= MAX_DEPTH:
            self._report(start, end, f"nested deeper than {MAX_DEPTH} levels")
            raise _Stop
        is_map = isinstance(event, yaml.MappingStartEvent)
        self._stack.append(_Frame(MapNode({}, start) if is_map else ListNode([], start)))

    def _refuse_extras(self, event: yaml.NodeEvent, start: int) -> None:
        if event.anchor is not None:
            self._report(
                start, start, f"anchor {shown(event.anchor)}: anchors are not supported", "remove it"
            )
        # "!" alone is how libyaml reports a quoted scalar's tag in some versions; only a written tag counts.
        if isinstance(event, (yaml.ScalarEvent, yaml.CollectionStartEvent)) and event.tag is not None:
            self._report(start, start, f"tag {quoted(event.tag)}: tags are not supported", "remove it")

    def _place(self, node: Node) -> None:
        """Put a finished node into the collection that is open."""
        if not self._stack:
            self._root = node
            return
        frame = self._stack[-1]
        if isinstance(frame.node, ListNode):
            frame.node.items.append(node)
        elif frame.skip:
            frame.skip = False
        elif frame.key is None:
            self._key(frame, frame.node, node)
        else:
            frame.node.entries[frame.key.text] = (frame.key, node)
            frame.key = None

    def _key(self, frame: _Frame, mapping: MapNode, node: Node) -> None:
        """Take a key. One that cannot be used is reported and its value read past."""
        if not isinstance(node, ScalarNode):
            self._report(node.start, node.start, "a key must be text, not a list or mapping")
            frame.skip = True
            return
        if node.plain and not self._is_text_key(node):
            frame.skip = node.text == "<<"
            if frame.skip:
                return
        first = mapping.entries.get(node.text)
        if first is not None:
            where = span_of(self._file, first[0].start, first[0].end)
            self._report(
                node.start, node.end, f"duplicate key {quoted(node.text)}", f"the first one is at {where}"
            )
            frame.skip = True
            return
        frame.key = node

    def _is_text_key(self, node: ScalarNode) -> bool:
        """Return true for a key that YAML reads as text; report others."""
        if node.text == "<<":
            self._report(
                node.start,
                node.end,
                "merge keys (<<) are not supported",
                "write the keys out, or use a profile",
            )
            return False
        try:
            value = resolve(node.text)
        except ScalarError:
            value = None
        if isinstance(value, str):
            return True
        self._report(node.start, node.end, f"key {quoted(node.text)} is not text", f'quote it: "{node.text}"')
        return False

    def _begin(self, event: yaml.Event) -> None:
        self._root, self._sound = None, True
        self._documents += 1
        if self._documents > MAX_DOCUMENTS:
            start, end = _marks(event)
            self._report(start, end, f"more than {MAX_DOCUMENTS} documents in one file")
            raise _Stop

    def _finish(self) -> None:
        root, self._root = self._root, None
        if root is None or (isinstance(root, ScalarNode) and root.plain and root.text in {"", "~", "null"}):
            return  # `---` with nothing below it
        if self._sound:
            self._result.documents.append(Document(self._file, root))
        else:
            self._result.complete = False

    def _spend(self, event: yaml.Event) -> None:
        self._budget.nodes -= 1
        if self._budget.nodes < 0:
            start, end = _marks(event)
            self._report(start, end, f"more than {MAX_NODES} values in one run")
            raise _Stop

    def _syntax(self, exc: yaml.MarkedYAMLError) -> None:
        mark = exc.problem_mark or exc.context_mark
        start = pack(mark.line, mark.column) if mark else 0
        context = ""
        if exc.context and exc.context_mark and exc.context_mark is not mark:
            begin = pack(exc.context_mark.line, exc.context_mark.column)
            context = f"{exc.context} that begins at {span_of(self._file, begin, begin)}"
        self._report(start, start, f"not valid YAML: {exc.problem or exc.context or 'unreadable'}", context)
        self._result.complete = False

    def _report(self, start: int, end: int, summary: str, hint: str = "") -> None:
        span = span_of(self._file, start, end)
        findings = self._result.findings
        findings.append(Diagnostic(severity=Severity.ERROR, summary=summary, span=span, hint=hint))
        if len(findings) >= MAX_FINDINGS:
            raise _Stop


def _marks(event: yaml.Event) -> tuple[int, int]:
    start, end = event.start_mark, event.end_mark
    assert start is not None
    assert end is not None
    return pack(start.line, start.column), pack(end.line, end.column)
