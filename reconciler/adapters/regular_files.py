"""Read files that somebody else wrote: regular ones only, with a bound, without ever waiting."""

from __future__ import annotations

import os
import stat


def read_regular(name: str, most: int) -> bytes:
    """Return the first `most` bytes of a regular file; links are followed.

    Raises:
        OSError: it cannot be read.
        ValueError: it is something else, or `name` cannot be a path.
    """
    # Without O_NONBLOCK the open of a FIFO would wait for a writer.
    with os.fdopen(os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("not a regular file")
        return file.read(most) or b""  # None: a file of /proc that has nothing to say now


def reason_of(exc: OSError | ValueError) -> str:
    """Return why a file cannot be read, as the end of a sentence."""
    text = exc.strerror if isinstance(exc, OSError) else str(exc)
    return (text or type(exc).__name__).lower()
