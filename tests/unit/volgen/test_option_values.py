"""Which texts are values, as libglusterfs and glusterd judge them."""

from __future__ import annotations

import pytest

from reconciler.volgen.option_table import OptionRow, rows_by_name
from reconciler.volgen.option_values import integer, wanted


def good(kind: str, *values: str, low: float | None = None, high: float | None = None) -> list[bool]:
    row = OptionRow(name="x.x", xlator="x/x", kind=kind, low=low, high=high)
    return [not wanted(row, value) for value in values]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0755", 493), ("0x1F", 31), ("+5", 5), (" 5", 5), ("-7", -7), ("08", None), ("-0", None),
        ("5 ", None), ("5.0", None), ("", None), ("1e3", None), (str((1 << 63) - 1), (1 << 63) - 1),
        (str(1 << 63), None), ("\u0665", None), ("9" * 400, None),
    ],
)  # fmt: skip
def test_integers_are_read_as_c_reads_them(text: str, number: int | None) -> None:
    assert integer(text) == number


@pytest.mark.parametrize(
    ("kind", "accepted", "refused"),
    [
        ("time", ["30", "30s", "30sec", "10m", "10min", "2h", "2hr", "2d", "2days", "1w", "1wk", "0x10"],
         ["-1", "1.5h", "30 s", "1day", "2hours", "2H", "soon", "10mins", ""]),
        ("percent", ["0", "100", "12%", "0.5%", "100.0"], ["101", "100.5%", "-1%", "10 %", "many", "%"]),
        ("percent-or-size", ["10%", "5GB", "5gb", "5.0", "1024", "0%"],
         ["101%", "1.5GB", "5.0GB", "-5", "5B", "5XB", "x"]),
        ("size", ["0", "64KB", "1.5mb", "7B", "+7"], ["-1", "1 KB", "KB", "9e9", "16384PB"]),
        ("number", ["1", "-2.5", "1e-3", ".5"], ["one", "", "1,5"]),
        ("path", ["/var/x", "/"], ["var/x", "/var/../etc", ""]),
        ("priority-list", ["*.jpg:1,*.txt:2", "a:0x3", "a:1:9", ",a:1"],
         ["", "a", "a:", "a:x", "a:1,b", ","]),
        ("throttle", ["lazy", "Aggressive", "1", "64"], ["0", "-1", "fast", "1.5", str(1 << 31)]),
        ("snapshot-directory", [".snaps", ".a", "." + "a" * 254],
         ["snaps", ".", ".a/b", "." + "a" * 255, ".ä"]),
        ("name", [".recycle"], ["a/b", "/a"]),
        ("bool", ["on", "Enable", "0"], ["2", "maybe", ""]),
    ],
)  # fmt: skip
def test_values_of_a_kind(kind: str, accepted: list[str], refused: list[str]) -> None:
    assert [value for value in accepted if good(kind, value) != [True]] == []
    assert [value for value in refused if good(kind, value) != [False]] == []


def test_addresses_are_hosts_networks_and_patterns() -> None:
    accepted = [
        "*", "10.0.0.1", "10.77.0.*", "10.*", "192.168.1.0/24", "a.example,b-c.example", "fe80::1%eth0",
        "2001:db8:*", "::1", "h", "1.2.3", "/dir(10.0.0.1|h),/(*)", "300.1.1.1",
    ]  # fmt: skip
    refused = [
        "10.0.0.1/33", "10.0.0.1/0", "a..b", "-a", "a-", "a_b", "a b", "1:2:3", "1::2::3", "fe80:",
        "10.*/24x", "/dir", "/dir()", "/dir(a_b)", "a(b)", "10.0.0.1;h", "h.",
    ]  # fmt: skip
    assert [text for text in accepted if good("address-list", text) != [True]] == []
    assert [text for text in refused if good("address-list", text) != [False]] == []


def test_ranges_count_in_the_unit_of_the_kind() -> None:
    assert good("time", "30m", "31m", "1800", "1801", low=0, high=1800) == [True, False, True, False]
    assert good("size", "1KB", "1023", "1TB", low=1024) == [True, False, True]
    assert good("int", "5", "6", "-1", high=5) == [True, False, True]
    assert good("percent-or-size", "5%", "5", "200", low=10, high=100) == [True, False, False]


def test_the_range_and_what_is_wanted_are_said() -> None:
    (row,) = rows_by_name()["features.soft-timeout"]
    assert wanted(row, "2hr") == "a time such as 30, 10min or 2hr from 0 to 1800"


def test_an_xlator_is_one_of_the_volumes_own() -> None:
    row = OptionRow(name="x.x", xlator="x/x", kind="xlator")
    assert [wanted(row, name, "home") for name in ("home-client-0", "home")] == ["", ""]
    assert "home-client-0" in wanted(row, "scratch-client-0", "home")
    assert wanted(row, "scratch-client-0") == ""
