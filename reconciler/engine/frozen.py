"""The text of a frozen plan as the journal keeps it: packed, and cut into values of bounded length. Pure.

A plan's text repeats itself step by step: packed, it takes a fifth of a small plan and a fifteenth of a large
one. Every agent that has a step reads all of it, and it is most of what a transaction without trouble writes.
What counts is the text: its digest is in the head, and how it was packed is not compared.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Sequence

from reconciler.errors import JournalError, PlanError
from reconciler.plan.document import MAX_DOCUMENT_BYTES

CHUNK = 200_000  #: characters of packed text in one key, one byte each: below MAX_VALUE_BYTES
_SMALLEST = 9  #: zlib's level; a plan of 4,500 steps takes a tenth of a second


def packed(text: str) -> tuple[str, ...]:
    """Return the values that hold a plan's text: base 85 (RFC 1924) of a zlib stream, in chunks.

    Raises PlanError for a text that is longer than a plan may be: nobody would read it back.
    """
    if len(text.encode()) > MAX_DOCUMENT_BYTES:
        raise PlanError(f"the plan has {len(text):,} characters, more than fit into a journal")
    whole = base64.b85encode(zlib.compress(text.encode(), _SMALLEST)).decode("ascii")
    return tuple(whole[i : i + CHUNK] for i in range(0, len(whole), CHUNK))


def unpacked(values: Sequence[str]) -> str:
    """Return the text that values hold, all of them in their order.

    Plans of versions that did not pack begin with the bracket that no packed text has.

    Raises:
        JournalError: they hold no text, or one longer than a plan may be.
    """
    whole = "".join(values)
    if whole.startswith("{"):
        return whole
    try:
        stream = base64.b85decode(whole)
        unpacking = zlib.decompressobj()
        text = unpacking.decompress(stream, MAX_DOCUMENT_BYTES + 1)
        # Base 85 has several spellings of a last group that is not full: only ours counts.
        if unpacking.eof and not unpacking.unused_data and base64.b85encode(stream).decode("ascii") == whole:
            return text.decode()
    except (ValueError, binascii.Error, zlib.error) as exc:
        raise JournalError(f"it is damaged: {exc}") from exc
    raise JournalError("it is damaged, or longer than any plan")
