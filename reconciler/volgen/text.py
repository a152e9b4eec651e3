"""Volfile text: what `glusterfsd` and clients read, written from a Graph and read back into one.

The reader of a volfile is a root process on every node and client, so the writer is the last wall
against an option value that means more than a value. Two facts make that wall necessary: text between
backquotes is *run by a shell* before the file is parsed, and a line break ends a value.

Source: glusterfs 10.3 libglusterfs/src/graph.l (words, strings, comments), graph.y (grammar; function
preprocess: backquotes), graph-print.c (layout).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from reconciler.errors import VolfileError
from reconciler.volgen.graph import Graph, Xlator

MAX_TEXT = 16 * 1024 * 1024  #: characters that `parse` accepts
MAX_XLATORS = 20_000  #: far above the largest volume
MAX_WORD = 64 * 1024  #: characters in one name, key or value

_KEYWORDS = frozenset({"volume", "type", "option", "subvolume", "subvolumes", "end-volume"})
#: Unicode's categories Cc (control), Cs (lone surrogates), Zl and Zp (line and paragraph separators)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_PLAIN = re.compile(r'[^\s"\\#][^\s"\\]*')
_TOKEN = re.compile(
    r"""(?P<skip>[ \t\r]+|\#[^\n]*)|(?P<line>\n)|"""
    r""""(?P<string>(?:[^\n"\\]|\\[^\n])*+)"|(?P<word>[^ \t\r\n"]+)"""
)


def write(graph: Graph, *, verbatim: bool = False) -> str:
    """Return the volfile of `graph`. The same graph always gives the same bytes.

    Args:
        graph: the graph.
        verbatim: leave words unquoted, as glusterd does. GlusterFS cannot load the result where a word
            holds a backslash, quote, blank or keyword (a regular expression, say): only for comparing with
            glusterd's files, never to be served.

    Raises:
        VolfileError: a name, key or value cannot be written without changing the meaning of the file.
    """
    return "\n".join(_block(xlator, verbatim=verbatim) for xlator in graph)


def parse(text: str) -> Graph:
    """Return the graph that a volfile describes.

    A backslash in an unquoted word stands for itself: glusterd writes such words, although GlusterFS
    itself refuses them.

    Raises:
        VolfileError: it is no volfile; the message starts with ``line N:`` where a line is to blame.
    """
    if len(text) > MAX_TEXT:
        raise VolfileError(f"the volfile has {len(text)} characters, more than {MAX_TEXT}")
    return Graph(_Reader(text).xlators())


def _block(xlator: Xlator, *, verbatim: bool) -> str:
    what = f"xlator {xlator.name!r}"

    def word(text: str, what: str = what) -> str:
        problem = unwritable(text)
        if problem:
            # Not the text itself: it may be a password.
            raise VolfileError(f"{what}: a word {problem}", hint="Change the value in the declaration.")
        return text if verbatim else _quoted(text)

    lines = [f"volume {word(xlator.name)}", f"    type {word(xlator.type)}"]
    lines += [
        f"    option {word(key)} {word(value, f'{what}, option {key!r}')}"
        for key, value in sorted(xlator.options.items())
    ]
    if xlator.subvolumes:
        lines.append("    subvolumes " + " ".join(word(name) for name in xlator.subvolumes))
    return "\n".join([*lines, "end-volume", ""])


def _quoted(text: str) -> str:
    """Return `text` as one word of a volfile, in quotes if it has to be."""
    if _PLAIN.fullmatch(text) and text.lower() not in _KEYWORDS:
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def unwritable(text: str) -> str:
    """Return why `text` cannot stand in a volfile (as the end of a sentence), or an empty string."""
    if not text:
        return "is empty, which a volfile cannot express"
    if len(text) > MAX_WORD:
        return f"is longer than {MAX_WORD} characters"
    if "`" in text:
        return "contains a backquote, which GlusterFS would run as a shell command"
    if _CONTROL.search(text):
        return "contains a line break or another control character"
    return ""


@dataclass(slots=True)
class _Open:
    """An xlator whose ``end-volume`` has not come yet."""

    name: str
    line: int
    type: str = ""
    options: dict[str, str] = field(default_factory=dict)
    subvolumes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    line: int
    quoted: bool = False

    @property
    def keyword(self) -> str:
        low = self.text.lower()
        return low if not self.quoted and low in _KEYWORDS else ""


class _Reader:
    """One pass over the tokens; one token of look-ahead, no recursion."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._ahead = next(self._tokens, None)

    def xlators(self) -> tuple[Xlator, ...]:
        done: list[Xlator] = []
        names: set[str] = set()
        while self._ahead:
            xlator = self._xlator(self._ahead, names)
            names.add(xlator.name)
            done.append(xlator)
            if len(done) > MAX_XLATORS:
                raise VolfileError(f"the volfile has more than {MAX_XLATORS} xlators")
        return tuple(done)

    def _xlator(self, start: _Token, names: set[str]) -> Xlator:
        if start.keyword != "volume":
            raise _error(start.line, f"expected 'volume', found {start.text[:40]!r}")
        self._next(start.line)
        name = self._expect_word(start, "a name")
        if name.text in names:
            raise _error(name.line, f"a second xlator called {name.text!r}")
        part = _Open(name.text, name.line)
        while (token := self._next(start.line)).keyword != "end-volume":
            self._line(token, part, names)
        if not part.type:
            raise _error(part.line, f"xlator {part.name!r} has no type")
        return Xlator(part.name, part.type, part.options, tuple(part.subvolumes))

    def _line(self, token: _Token, part: _Open, names: set[str]) -> None:
        match token.keyword:
            case "type":
                if part.type:
                    raise _error(token.line, f"xlator {part.name!r} has a second type")
                part.type = self._expect_word(token, "a type").text
            case "option":
                key = self._expect_word(token, "an option's name").text
                part.options[key] = self._expect_word(token, f"a value of {key!r}").text
            case "subvolume" | "subvolumes":
                part.subvolumes.append(self._subvolume(token, names))
                while self._ahead and not self._ahead.keyword:
                    part.subvolumes.append(self._subvolume(token, names))
            case _:
                # After an option the word may be a part of its value, and that a password.
                found = "another word" if part.options else repr(token.text[:40])
                raise _error(
                    token.line, f"expected 'type', 'option', 'subvolumes' or 'end-volume', found {found}"
                )

    def _subvolume(self, after: _Token, names: set[str]) -> str:
        word = self._expect_word(after, "a subvolume")
        if word.text not in names:
            raise _error(word.line, f"subvolume {word.text!r} is not defined above")
        return word.text

    def _expect_word(self, after: _Token, wanted: str) -> _Token:
        token = self._next(after.line)
        if token.keyword:
            raise _error(token.line, f"expected {wanted}, found the keyword {token.text!r}")
        return token

    def _next(self, line: int) -> _Token:
        token = self._ahead
        if token is None:
            raise _error(line, "the file ends inside this xlator")
        self._ahead = next(self._tokens, None)
        return token


def _tokens(text: str) -> Iterator[_Token]:
    line, at = 1, 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if not found:
            raise _error(line, f"unexpected character {text[at]!r}")
        at = found.end()
        kind = found.lastgroup
        if kind == "line":
            line += 1
        elif kind in {"string", "word"}:
            quoted = kind == "string"
            word = re.sub(r"\\(.)", r"\1", found["string"]) if quoted else found["word"]
            problem = unwritable(word)
            if problem:
                raise _error(line, f"a word {problem}")
            yield _Token(word, line, quoted)


def _error(line: int, text: str) -> VolfileError:
    return VolfileError(f"line {line}: {text}", line=line)
