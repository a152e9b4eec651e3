"""The standard streams when they are not what a program expects: closed, full, or with nobody reading.

Standard library only: `main` needs it before it knows whether anything else has to be imported.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys

EXIT_PIPE = 141  #: as a shell counts SIGPIPE: the reader went away
EXIT_UNWRITTEN = 1  #: nothing was changed, but the answer could not be written

# What writing to a standard stream fails with. An error about a file would name the file.
_UNWRITABLE = frozenset({errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF})


def open_closed() -> None:
    """Open what the caller closed (``>&-``): the next file would take its number, and our output with it."""
    descriptor = 0
    while descriptor <= 2:
        descriptor = os.open(os.devnull, os.O_RDWR)
    os.close(descriptor)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", encoding="utf-8"))


def silence_broken() -> None:
    """Send what a stream holds and cannot write to nowhere: Python would try again at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)
            stream.flush()


def is_unwritable(exc: OSError) -> bool:
    """Return true if an error is about a standard stream and not about a file."""
    return exc.filename is None and exc.errno in _UNWRITABLE


def unwritten(exc: OSError) -> int:
    """Say on stderr, if that is possible, that the answer could not be written; return the exit code."""
    silence_broken()
    if exc.errno == errno.EPIPE:
        return EXIT_PIPE
    with contextlib.suppress(OSError):
        sys.stderr.write(f"Error: the answer cannot be written: {exc.strerror}\n")
        sys.stderr.flush()
    silence_broken()
    return EXIT_UNWRITTEN
