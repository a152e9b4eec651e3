"""YAML 1.2 core scalars, durations and sizes."""

from __future__ import annotations

import pytest

from reconciler.desired.scalars import ScalarError, duration_s, resolve, size_bytes


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None), ("~", None), ("null", None), ("true", True), ("FALSE", False), ("0", 0), ("-7", -7),
        ("0x1F", 31), ("0o17", 15), ("1e3", 1000.0), ("1.5", 1.5), (".5", 0.5),
        ("9223372036854775807", 2**63 - 1),
    ],
)  # fmt: skip
def test_core_schema_values(text: str, value: object) -> None:
    assert resolve(text) == value
    assert type(resolve(text)) is type(value)


@pytest.mark.parametrize(
    "text", ["on", "off", "yes", "no", "12:30", "1_000", "2026-01-01", "-", "+", ".", "10m", "0b1", "nUll"]
)
def test_what_yaml_1_1_would_convert_is_text(text: str) -> None:
    assert resolve(text) == text


@pytest.mark.parametrize(
    "text", ["010", "-01", "00", "0777", "9223372036854775808", "9" * 5000, "1e999", ".inf", "-.INF", ".nan"]
)
def test_ambiguous_or_unbounded_numbers_are_refused(text: str) -> None:
    with pytest.raises(ScalarError):
        resolve(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("3s", 3), ("10m", 600), ("1h30m", 5400), ("500ms", 0.5), ("2d", 172800)]
)
def test_durations(text: str, seconds: float) -> None:
    assert duration_s(text) == seconds


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0B", 0),
        ("7B", 7),
        ("64MiB", 64 << 20),
        ("64MB", 64_000_000),
        ("1.5GiB", 3 << 29),
        ("1.001KB", 1001),
        ("0.001B", 0),
        ("2PB", 2 * 10**15),
        ("3EiB", 3 << 60),
    ],
)
def test_sizes(text: str, count: int) -> None:
    assert size_bytes(text) == count
