"""What the background writer says of a file that does not hold what it wrote."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reconciler.lab import writer

CONTENT = bytes(range(256)) * 4
BEFORE = CONTENT[::-1]


def said(path: Path) -> str:
    with pytest.raises(OSError, match="reads back differently at ") as found:
        writer.verify(path, CONTENT, BEFORE)
    return str(found.value)


@pytest.mark.parametrize(
    ("found", "how"),
    [
        (b"", "empty"),
        (CONTENT[:1000], "cut off after 1000 bytes"),
        (CONTENT[:512] + bytes(512), "1024 bytes, 510 of them wrong from 513 to 1023: zeros"),
        (BEFORE, "1024 bytes, 1024 of them wrong from 0 to 1023: what was there before"),
        (
            CONTENT[:512] + BEFORE[512:],
            "1024 bytes, 512 of them wrong from 512 to 1023: what was there before",
        ),
        (CONTENT[7:], "1017 bytes, 1017 of them wrong from 0 to 1016: what belongs to offset 7"),
        (CONTENT + b"more", "1028 bytes, 4 of them wrong from 1024 to 1027: other bytes"),
        (CONTENT[:9] + b"\xff" + CONTENT[10:], "1024 bytes, 1 of them wrong from 9 to 9: other bytes"),
    ],
)
def test_it_says_how_a_file_differs(
    found: bytes, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "CACHED_S", 0)
    path = tmp_path / "file"
    path.write_bytes(found)
    assert f": at first {how}; past the page cache " in said(path)
    assert f"; 0 s later {how}; then past the page cache " in said(path)


@pytest.mark.parametrize(
    ("later", "seen"), [(CONTENT, "as written"), (None, r"unreadable \(No such file .*\)")]
)
def test_it_says_what_is_read_when_no_cache_can_be_the_reason(
    later: bytes | None, seen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"")

    def passing(seconds: float) -> None:
        assert seconds > 1
        path.unlink() if later is None else path.write_bytes(later)

    monkeypatch.setattr(writer.time, "sleep", passing)
    assert re.search(f"at first empty; .*; 1.5 s later {seen}; then past the page cache {seen}", said(path))


def test_it_says_nothing_of_a_file_that_is_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    writer.verify(path, CONTENT, BEFORE)
