"""Parts of documents that are made from the code: they stand between two marks, and a test compares them."""

from __future__ import annotations


def between(text: str, begin: str, end: str, made: str) -> str:
    """Return a document with what was made now between its marks."""
    head, _, rest = text.partition(begin)
    _, _, tail = rest.partition(end)
    return f"{head}{begin}\n\n{made}\n\n{end}{tail}"
