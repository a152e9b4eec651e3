"""Option tables of loaded libraries: what the loader and the C compiler's rules say, through cffi.

Loading a library runs its code, so it is loaded in a child process that may crash, hang or write what it
likes: then that one file has an error and another child goes on with the rest. This module is both: the
parent's `read_loaded`, and the child's `main`.

The child answers with one line for each file. Its own descriptors 0 to 2 lead nowhere by then, so that what a
library prints is not mistaken for an answer. It is no prison: a library that wants to do harm can, as in
every process of GlusterFS that loads it.

Architecture invariant: the only importer of the cffi module (made from native/xlator_abi.h). The parent
loads no library.

Source: dlopen(3), proc(5) (maps), https://cffi.readthedocs.io/en/stable/cdef.html (out-of-line ABI mode).
"""

from __future__ import annotations

import bisect
import contextlib
import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from reconciler.catalogue.document import read_library, write_library
from reconciler.catalogue.layout import Field, Layout, named
from reconciler.catalogue.option import Library
from reconciler.catalogue.table import MAX_TEXT, RawApi, RawOption, TextBudget, check_end, library_of
from reconciler.errors import NativeError

TIMEOUT_S = 20.0  #: for one file; a real one takes milliseconds
_MAX_LINE = 8 * 1024 * 1024  #: bytes of one answer
_MAX_MEMORY = 2 * 1024**3  #: bytes of address space of the child
_PACKAGES = str(Path(__file__).resolve().parents[2])  #: where the child finds this package


class NotLoaded(NativeError):
    """The loader of this machine does not take the library; that says nothing about its table."""


Reading = Library | NativeError


# ------------------------------------------------------------------ the parent


def read_loaded(
    files: Mapping[str, Path], layout: Layout, *, search: Path | None = None, timeout_s: float = TIMEOUT_S
) -> dict[str, Reading]:
    """Return what loading each of the files tells.

    Args:
        files: libraries by what to call them (`Library.path`); each is loaded in a child process.
        layout: that of their version.
        search: folder in which the loader looks for the libraries that they need.
        timeout_s: how long one file may take.
    """
    todo = list(files)
    found: dict[str, Reading] = {}
    while todo:
        words = [word for name in todo for word in (name, str(files[name]))]
        with _child([layout.name, *words], search) as child:
            found |= dict(zip(todo, _answers(child, len(todo), timeout_s), strict=False))
        todo = [name for name in todo if name not in found]
    return found


@contextlib.contextmanager
def _child(words: Sequence[str], search: Path | None) -> Iterator[subprocess.Popen[bytes]]:
    environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONPATH": _PACKAGES}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    if search is not None:
        environment["LD_LIBRARY_PATH"] = str(search)
    process = subprocess.Popen(  # noqa: S603 - this program itself, no shell
        [sys.executable, "-P", "-m", __name__, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        cwd="/",
        start_new_session=True,
    )
    try:
        yield process
    finally:
        # Not reaped yet, so the number cannot be another's: whatever the child left behind goes with it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _answers(child: subprocess.Popen[bytes], count: int, timeout_s: float) -> list[Reading]:
    """Return the answers of a child: one for each file, or fewer with an error as the last."""
    found: list[Reading] = []
    lines = _Lines(child)
    while len(found) < count:
        try:
            found.append(_decoded(lines.next(time.monotonic() + timeout_s)))
        except _ChildFailed as exc:
            return [*found, NativeError(str(exc))]
    return found


def _decoded(line: bytes) -> Reading:
    """Return what a line says.

    Raises:
        _ChildFailed: the line is not one that the child writes, so nothing that follows can be trusted.
    """
    try:
        kind, text = json.loads(line)
        if kind == "library":
            return read_library(text)
        if kind in _ERRORS and isinstance(text, str):
            return _ERRORS[kind](text)
    except (ValueError, TypeError, RecursionError, NativeError):
        pass
    raise _ChildFailed("what the process that loaded it answered makes no sense")


_ERRORS: dict[str, type[NativeError]] = {"error": NativeError, "not-loaded": NotLoaded}


class _ChildFailed(Exception):
    """The child cannot be used any more."""


class _Lines:
    """The child's answers, line by line."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        assert child.stdout is not None
        self._child = child
        self._descriptor = child.stdout.fileno()
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLIN)
        self._rest = b""

    def next(self, deadline: float) -> bytes:
        """Return the next line.

        Raises:
            _ChildFailed: there is none by the deadline, or it is too long.
        """
        pieces = [self._rest]
        while b"\n" not in pieces[-1]:
            room = deadline - time.monotonic()
            if room <= 0 or not self._poll.poll(room * 1000):
                raise _ChildFailed("loading it takes too long")
            piece = os.read(self._descriptor, 1 << 16)
            if not piece:
                raise _ChildFailed(f"loading it ended the process that did it ({self._end()})")
            pieces.append(piece)
            if sum(map(len, pieces)) > _MAX_LINE:
                raise _ChildFailed("what the process that loaded it answered is too long")
        line, _, self._rest = b"".join(pieces).partition(b"\n")
        return line

    def _end(self) -> str:
        code = self._child.wait(timeout=TIMEOUT_S)
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"


# ------------------------------------------------------------------ the child


def main(words: Sequence[str]) -> None:
    """Load files, write what they tell, and end the process.

    Args:
        words: the layout's name, then name and path of each file.
    """
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY, _MAX_MEMORY))
    layout = named(words[0])
    for name, path in zip(words[1::2], words[2::2], strict=True):
        try:
            answer = ("library", write_library(_Loaded(path, layout).library(name)))
        except NotLoaded as exc:
            answer = ("not-loaded", exc.message)
        except NativeError as exc:
            answer = ("error", exc.message)
        answers.write(json.dumps(answer).encode() + b"\n")
    os._exit(0)  # without the destructors of the libraries


class _Loaded:
    """A library in this process. What its pointers lead to is looked at only where memory is readable."""

    def __init__(self, path: str, layout: Layout) -> None:
        from reconciler.adapters.xlator_abi import ffi  # noqa: PLC0415 - the parent has no use for it

        self._ffi: Any = ffi
        self._layout = layout
        try:
            self._library = ffi.dlopen(path, ffi.RTLD_LAZY)
        except OSError as exc:
            raise NotLoaded(_printable(str(exc))) from exc
        self._memory = _ReadableMemory()
        self._texts = TextBudget()

    def library(self, path: str) -> Library:
        """Return its options; `path` is what to call it."""
        api = self._symbol("xlator_api")
        if api is not None:
            if not self._layout.api:
                raise NativeError("it is of a later version than its folder says")
            return self._with_api(path, self._struct(f"struct api_{self._layout.name}", api))
        table = self._symbol("options")
        if table is None:
            raise NativeError("it has no option table of this version")
        return library_of(path, None, self._table(table))

    def _with_api(self, path: str, api: Any) -> Library:
        raw = RawApi(
            identifier=self._text(api.identifier),
            op_version=tuple(api.op_version),
            category=getattr(api, "category", 0),
        )
        return library_of(path, raw, self._table(api.options) if api.options else ())

    def _symbol(self, name: str) -> Any:
        try:
            return self._ffi.addressof(self._library, name)
        except (AttributeError, self._ffi.error):
            return None

    def _struct(self, kind: str, pointer: Any) -> Any:
        if self._memory.room(self._address(pointer)) < self._ffi.sizeof(kind):
            raise NativeError("it points outside of its memory")
        return self._ffi.cast(f"{kind} *", pointer)[0]

    def _table(self, pointer: Any) -> Iterator[RawOption]:
        kind = f"struct option_{self._layout.name}"
        address, size = self._address(pointer), self._ffi.sizeof(kind)
        while True:
            option = self._struct(kind, self._ffi.cast("char *", address))
            if not option.key[0]:
                break
            yield RawOption(**{field.name: self._member(option, field) for field in self._layout.option})
            address += size
        check_end(bytes(self._ffi.buffer(self._ffi.addressof(option), size)))

    def _member(self, option: Any, field: Field) -> Any:
        found = getattr(option, field.name)
        if field.kind == "text":
            return tuple(map(self._text, found)) if field.count > 1 else self._text(found)
        return tuple(found) if field.count > 1 else found

    def _text(self, pointer: Any) -> str | None:
        if not pointer:
            return None
        room = min(self._memory.room(self._address(pointer)), MAX_TEXT + 1)
        found: bytes = self._ffi.string(pointer, room) if room else b""
        if len(found) == room:
            raise NativeError("a text has no end")
        return self._texts.decode(found)

    def _address(self, pointer: Any) -> int:
        return int(self._ffi.cast("uintptr_t", pointer))


class _ReadableMemory:
    """Which addresses of this process can be read, as of now."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for line in Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines():
            span, rights, *_ = line.split(maxsplit=2)
            start, end = (int(number, 16) for number in span.split("-"))
            if not rights.startswith("r"):
                continue
            if self._ends and self._ends[-1] == start:
                self._ends[-1] = end
            else:
                self._starts.append(start)
                self._ends.append(end)

    def room(self, address: int) -> int:
        """Return how many bytes can be read from an address on."""
        index = bisect.bisect_right(self._starts, address) - 1
        return max(self._ends[index] - address, 0) if index >= 0 else 0


def _printable(text: str) -> str:
    return ascii(text)[1:-1][:500]


if __name__ == "__main__":
    main(sys.argv[1:])
