"""Bytes of a YAML file -> a tree in which every node knows its line and column. Strict.

What YAML offers beyond plain data is refused, each with its position: aliases, anchors, merge keys, tags,
directives, keys that are no strings, duplicate keys, tabs. Quantities are bounded before they cost anything
(`MAX_BYTES`, `MAX_DEPTH`, `MAX_NODES`), because the same file is read by CI machines on pull requests.

The scanner is libyaml's *event* interface, which keeps its own stack on the heap: nesting costs it memory,
never the C stack (PyYAML's ``load`` and ``compose`` recurse and crash at some 50 000 levels). Its one
quadratic path that a file can reach is the list of ``%TAG`` directives, so lines that begin with ``%`` are
refused before it starts.

Architecture invariant: the only importer of `yaml`; reads no file itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TypeAlias

import yaml
from yaml.cyaml import CParser

from reconciler.desired.scalars import ScalarError, resolve
from reconciler.desired.suggest import quoted
from reconciler.diagnostics import Diagnostic, Severity, SourceSpan

MAX_BYTES = 8 * 1024 * 1024  #: longest file
MAX_DEPTH = 32  #: most collections inside one another
MAX_NODES = 2_000_000  #: most scalars and collections in one run
MAX_FINDINGS = 1000  #: most findings per file and per run; more would help nobody

_COLUMN_BITS = 24  # a column is at most MAX_BYTES = 2**23
_COLUMN_MASK = (1 << _COLUMN_BITS) - 1


@dataclass(slots=True, eq=False)
class ScalarNode:
    """A scalar. `text` is the source text of a plain scalar, else the value. `start`, `end`: packed marks."""

    text: str
    plain: bool
    start: int
    end: int


@dataclass(slots=True, eq=False)
class ListNode:
    """A sequence."""

    items: list[Node]
    start: int


@dataclass(slots=True, eq=False)
class MapNode:
    """A mapping: key text -> (key, value), in the order of the file."""

    entries: dict[str, tuple[ScalarNode, Node]]
    start: int

    def get(self, key: str) -> Node | None:
        """Return the value of `key`, or None."""
        entry = self.entries.get(key)
        return entry[1] if entry else None


Node: TypeAlias = ScalarNode | ListNode | MapNode


@dataclass(slots=True, eq=False)
class Document:
    """One YAML document of a file."""

    file: str
    root: Node

    def span(self, node: Node) -> SourceSpan:
        """Return the position of a node; a collection is pointed at by its first character."""
        return span_of(self.file, node.start, node.end if isinstance(node, ScalarNode) else node.start)


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


def span_of(file: str, start: int, end: int) -> SourceSpan:
    """Return the span between two packed marks (0-based inside, 1-based outside)."""
    return SourceSpan(
        file=file,
        line=(start >> _COLUMN_BITS) + 1,
        column=(start & _COLUMN_MASK) + 1,
        end_line=(end >> _COLUMN_BITS) + 1,
        end_column=(end & _COLUMN_MASK) + 1,
    )


def read(file: str, data: bytes, budget: Budget) -> SourceFile:
    """Return the documents of a file with everything that is wrong with its form.

    Never raises for any input. Time and memory are linear in ``len(data)``, which is bounded.
    """
    result = SourceFile()
    text = _decode(file, data, result)
    if text is None or _refused_characters(file, text, result):
        result.complete = False
        return result
    _Reader(file, result, budget).run(text)
    return result


# ---------------------------------------------------------------------------- characters

# What libyaml's reader accepts, less the tab, less line ends that editors do not count (NEL, LS, PS), less
# characters that change the order in which text is shown (a review would see another value than we read).
_REFUSED = re.compile(
    "[^\n\r\x20-\x7e\xa0-\u200d\u2010-\u2027\u202f-\u2065\u206a-\ud7ff\ue000-\ufefe\uff00-\ufffd"
    "\U00010000-\U0010ffff]|(?:\\A|(?<=[\n\r]))%"
)
_REFUSED_VALUE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def _decode(file: str, data: bytes, result: SourceFile) -> str | None:
    """Return the text without its byte order mark, or None after recording why there is none."""
    if len(data) > MAX_BYTES:
        _report(result, _at(file, 0, 0), f"file is longer than {MAX_BYTES // 1024 // 1024} MiB", hint="split it")
        return None
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        _report(result, _at(file, 0, 0), "file is UTF-16 text", hint="save it as UTF-8")
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        good = data[: exc.start].decode("utf-8-sig", errors="replace")
        line, column = _position(good, len(good))
        byte = data[exc.start]
        _report(result, _at(file, line, column), f"byte 0x{byte:02x} is not valid UTF-8", hint="save the file as UTF-8")
        return None


def _refused_characters(file: str, text: str, result: SourceFile) -> bool:
    """Record characters that may not stand in a file; return true if there are any."""
    line, line_start, previous = 0, 0, 0
    for match in _REFUSED.finditer(text):
        index = match.start()
        # libyaml and editors agree on these three line ends; count only what is new since the last match.
        for end in _LINE_END.finditer(text, previous, index):
            line, line_start = line + 1, end.end()
        previous = index
        summary, hint = _refusal(match.group())
        _report(result, _at(file, line, index - line_start), summary, hint=hint)
        if len(result.findings) >= MAX_FINDINGS:
            break
    return bool(result.findings)


_LINE_END = re.compile("\r\n|\n|\r")


def _refusal(char: str) -> tuple[str, str]:
    if char == "\t":
        return "tab character", 'indent with spaces; inside a double-quoted text write "\\t"'
    if char == "%":
        return "a line may not begin with '%'", "YAML directives are not supported; remove the line"
    if char == "\0":
        return "NUL character", "this is no text file (UTF-16?); save it as UTF-8"
    return f"character U+{ord(char):04X} is not allowed", "remove it, or write it as an escape in double quotes"


def _position(text: str, index: int) -> tuple[int, int]:
    """Return the 0-based line and column of `index`."""
    line, line_start = 0, 0
    for end in _LINE_END.finditer(text, 0, index):
        line, line_start = line + 1, end.end()
    return line, index - line_start


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
            self._report(start, end, f"alias *{event.anchor}: aliases are not supported", "write the value out, or use a profile")
            self._sound = False
            self._place(ScalarNode("", False, start, end))
        elif isinstance(event, yaml.DocumentStartEvent):
            self._root, self._sound = None, True
        elif isinstance(event, yaml.DocumentEndEvent):
            self._finish()

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        self._spend(event)
        start, end = _marks(event)
        plain = event.implicit[0] and event.style is None
        self._refuse_extras(event, start)
        if _REFUSED_VALUE.search(event.value):
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
            self._report(start, start, f"anchor &{event.anchor}: anchors are not supported", "remove it")
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
            self._report(node.start, node.end, f"duplicate key {quoted(node.text)}", f"the first one is at {where}")
            frame.skip = True
            return
        frame.key = node

    def _is_text_key(self, node: ScalarNode) -> bool:
        """Return true for a key that YAML reads as text; report others."""
        if node.text == "<<":
            self._report(node.start, node.end, "merge keys (<<) are not supported", "write the keys out, or use a profile")
            return False
        try:
            value = resolve(node.text)
        except ScalarError:
            value = None
        if isinstance(value, str):
            return True
        self._report(node.start, node.end, f"key {quoted(node.text)} is not text", f'quote it: "{node.text}"')
        return False

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
        start = _packed(mark) if mark else 0
        context = ""
        if exc.context and exc.context_mark and exc.context_mark is not mark:
            context = f"{exc.context} that begins at {span_of(self._file, _packed(exc.context_mark), 0)}"
        self._report(start, start, f"not valid YAML: {exc.problem or exc.context or 'unreadable'}", context)
        self._result.complete = False

    def _report(self, start: int, end: int, summary: str, hint: str = "") -> None:
        _report(self._result, span_of(self._file, start, end), summary, hint=hint)
        if len(self._result.findings) >= MAX_FINDINGS:
            raise _Stop


def _packed(mark: yaml.Mark) -> int:
    return mark.line << _COLUMN_BITS | min(mark.column, _COLUMN_MASK)


def _marks(event: yaml.Event) -> tuple[int, int]:
    start, end = event.start_mark, event.end_mark
    assert start is not None
    assert end is not None
    return _packed(start), _packed(end)


def _at(file: str, line: int, column: int) -> SourceSpan:
    mark = line << _COLUMN_BITS | min(column, _COLUMN_MASK)
    return span_of(file, mark, mark)


def _report(result: SourceFile, span: SourceSpan, summary: str, *, hint: str = "") -> None:
    result.findings.append(Diagnostic(severity=Severity.ERROR, summary=summary, span=span, hint=hint))
