"""Libraries of every layout, read by loading them and from their bytes; and libraries that misbehave."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from reconciler.adapters.xlator_options import NotLoaded, Reading, read_loaded
from reconciler.catalogue.layout import LAYOUTS, Layout, named
from reconciler.catalogue.option import Bounds, Category, Flag, Level, Library, LibraryOption, OptionType
from reconciler.catalogue.static import read_static
from reconciler.errors import NativeError
from tests.xlator_sources import build, source

TEN = named("5")
BY_NAME = [layout.name for layout in LAYOUTS]


def load_one(path: Path, layout: Layout = TEN, timeout_s: float = 20) -> Reading:
    return read_loaded({"xlator/frob": path}, layout, timeout_s=timeout_s)["xlator/frob"]


def both(path: Path, layout: Layout) -> Library:
    """Return what both readers say, which must be the same."""
    loaded = load_one(path, layout)
    assert loaded == read_static(path.read_bytes(), layout, "xlator/frob")
    assert isinstance(loaded, Library)
    return loaded


def expected(layout: str) -> Library:
    has = {
        "since": layout != "3_12",
        "level": layout in ("4_1", "5", "11"),
        "category": layout in ("5", "11"),
    }
    since = {
        "op_versions": (40100, 31306),
        "deprecated": (90000,),
        "flags": (Flag.SETTABLE, Flag.DOCUMENTED),
        "tags": ("a", "b"),
        "setkey": "x.{{ y }}",
    }
    speed = LibraryOption(
        keys=("speed", "velocity"),
        type=OptionType.INT,
        minimum=1,
        maximum=64,
        default="16",
        description="How fast.",
        **(since if has["since"] else {}),  # type: ignore[arg-type]
    )
    mode = LibraryOption(
        keys=("mode",),
        type=OptionType.TEXT,
        values=("fast", "slow"),
        default="slow",
        level=Level.BASIC if has["level"] else Level.ADVANCED,
        category=Category.MAINTAINED if has["category"] else Category.UNCLASSIFIED,
    )
    limit = LibraryOption(keys=("limit",), type=OptionType.SIZE, bounds=Bounds.LOWEST, maximum=None)
    return Library(
        path="xlator/frob",
        identifier="frob" if has["since"] else "",
        op_versions=(40000,) if has["since"] else (),
        category=Category.MAINTAINED if has["category"] else Category.UNCLASSIFIED,
        options=(speed, mode, limit),
    )


@pytest.mark.parametrize("layout", BY_NAME)
@pytest.mark.parametrize("flags", [[], ["-Wl,-z,pack-relative-relocs"]], ids=["rela", "relr"])
def test_every_layout_is_read_in_every_field_by_both_readers(
    tmp_path: Path, layout: str, flags: list[str]
) -> None:
    path = build(tmp_path / "frob.so", source(layout), *flags)
    assert both(path, named(layout)) == expected(layout)


@pytest.mark.parametrize("layout", BY_NAME)
@pytest.mark.parametrize("taken_for", BY_NAME)
def test_a_library_of_another_version_never_gives_other_options(
    tmp_path: Path, layout: str, taken_for: str
) -> None:
    """It may be read where its layout only has more at the end; then what is read is right."""
    path = build(tmp_path / "frob.so", source(layout))
    loaded = load_one(path, named(taken_for))
    try:
        static: Reading = read_static(path.read_bytes(), named(taken_for), "xlator/frob")
    except NativeError as exc:
        static = exc
    compatible = (layout, taken_for) in {("5", "4_1"), ("4_1", "5")}
    assert isinstance(static, Library) is isinstance(loaded, Library) is (layout == taken_for or compatible)
    if isinstance(loaded, Library):
        assert static == loaded
        names = [option.keys for option in loaded.options]
        assert names == [option.keys for option in expected(layout).options]


ON_LOAD = "__attribute__((constructor)) void on_load(void)"
MISBEHAVIOUR = {
    "crashes": ("*(volatile int *)0 = 1;", "SIGSEGV"),
    "exits": ("_exit(3);", "exit code 3"),
    "hangs": ("for (;;) pause();", "too long"),
    "aborts": ("abort();", "SIGABRT"),
}


@pytest.mark.parametrize("how", MISBEHAVIOUR)
def test_a_library_that_misbehaves_has_an_error_and_the_others_are_read(tmp_path: Path, how: str) -> None:
    body, words = MISBEHAVIOUR[how]
    extra = f"int pause(void); void abort(void); void _exit(int); {ON_LOAD} {{ {body} }}"
    files = {
        "xlator/a": build(tmp_path / "a.so", source("5")),
        "xlator/bad": build(tmp_path / "bad.so", source("5", extra=extra)),
        "xlator/z": build(tmp_path / "z.so", source("5")),
    }
    found = read_loaded(files, TEN, timeout_s=3 if how == "hangs" else 20)
    assert isinstance(found["xlator/a"], Library)
    assert isinstance(found["xlator/z"], Library)
    bad = found["xlator/bad"]
    assert isinstance(bad, NativeError)
    assert words in bad.message


def test_what_a_library_prints_is_no_answer(tmp_path: Path) -> None:
    extra = """
    long write(int, const void *, unsigned long);
    static const char text[] = "[\\"library\\", \\"{}\\"]\\n";
    ON_LOAD { for (int d = 0; d < 3; d++) write(d, text, sizeof text - 1); }
    """.replace("ON_LOAD", ON_LOAD)
    assert load_one(build(tmp_path / "frob.so", source("5", extra=extra))) == expected("5")


@pytest.mark.parametrize(
    "text",
    [
        "rubbish\\n",
        '[\\"library\\", 7]\\n',
        '[\\"library\\", \\"{}\\"]\\n',
        '[\\"error\\", {}]\\n',
        "[" * 100_000 + "\\n",
    ],
    ids=["no JSON", "no text", "no library", "no words", "deep"],
)
def test_a_library_that_writes_into_the_answers_has_an_error(tmp_path: Path, text: str) -> None:
    """It finds the descriptor by trying all; the others are read by the next child."""
    extra = f"""
    long write(int, const void *, unsigned long);
    static const char text[] = "{text}";
    {ON_LOAD}
    {{ for (int d = 3; d < 64; d++) write(d, text, sizeof text - 1); }}
    """
    files = {
        "xlator/bad": build(tmp_path / "bad.so", source("5", extra=extra)),
        "xlator/z": build(tmp_path / "z.so", source("5")),
    }
    found = read_loaded(files, TEN)
    bad = found["xlator/bad"]
    assert isinstance(bad, NativeError)
    assert "makes no sense" in bad.message
    assert isinstance(found["xlator/z"], Library)


def test_a_library_that_writes_without_end_has_an_error(tmp_path: Path) -> None:
    extra = """
    long write(int, const void *, unsigned long);
    static char text[65536] = {1};
    ON_LOAD { for (;;) for (int d = 3; d < 8; d++) write(d, text, sizeof text); }
    """.replace("ON_LOAD", ON_LOAD)
    found = load_one(build(tmp_path / "bad.so", source("5", extra=extra)))
    assert isinstance(found, NativeError)
    assert "answered is too long" in found.message


def test_what_a_library_started_is_ended_with_the_child(tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    extra = f"""
    int fork(void), pause(void), open(const char *, int, int);
    long write(int, const void *, unsigned long);
    {ON_LOAD} {{
      int pid = fork();
      if (pid) write(open("{pidfile}", 0101, 0600), &pid, sizeof pid);
      else for (;;) pause();
    }}
    """
    assert isinstance(load_one(build(tmp_path / "frob.so", source("5", extra=extra))), Library)
    deadline = time.monotonic() + 10
    pid = int.from_bytes(pidfile.read_bytes(), "little")
    assert pid > 0
    while time.monotonic() < deadline and _runs(pid):
        time.sleep(0.02)
    assert not _runs(pid)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:100],
        lambda data: b"",
        lambda data: b"#!/bin/sh\n" + data,
        lambda data: data.replace(b"frob\0", b"fr\x01b\0"),
        lambda data: data.replace(b"speed\0", b"\xffpeed\0"),
        lambda data: data.replace(b"speed\0", b"sp ed\0"),
        lambda data: data.replace(b"xlator_api\0", b"xlator_apo\0"),
    ],
    ids=["half", "header", "empty", "script", "identifier", "utf-8", "space", "symbol"],
)
def test_a_damaged_library_is_an_error_for_both_readers(tmp_path: Path, damage: object) -> None:
    whole = build(tmp_path / "frob.so", source("5")).read_bytes()
    assert callable(damage)
    data = damage(whole)
    assert data != whole
    path = tmp_path / "damaged.so"
    path.write_bytes(data)
    assert isinstance(load_one(path), NativeError)
    with pytest.raises(NativeError):
        read_static(data, TEN, "xlator/frob")


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("{.key = {(char *)0x7fff0000}}, {.key = {0}}", "no end|outside"),
        ('{.key = {"a"}, .type = 16}, {.key = {0}}', "type is 16"),
        ('{.key = {"a"}, .type = -1}, {.key = {0}}', "type is -1"),
        ('{.key = {"a"}, .validate = 3}, {.key = {0}}', "validate is 3"),
        ('{.key = {"a"}, .level = 4}, {.key = {0}}', "level is 4"),
        ('{.key = {"a"}, .category = 7}, {.key = {0}}', "category is 7"),
        ('{.key = {"a"}, .flags = 128}, {.key = {0}}', "flags are 0x80"),
        ('{.key = {"a"}, .min = __builtin_nan("")}, {.key = {0}}', "range"),
        ('{.key = {"a"}, .max = __builtin_nan("")}, {.key = {0}}', "range"),
        ('{.key = {"a", 0, "b"}}, {.key = {0}}', "hole"),
        ('{.key = {"a"}, .value = {0, "b"}}, {.key = {0}}', "hole"),
        ('{.key = {"a"}, .op_version = {0, 1}}, {.key = {0}}', "op_version"),
        ('{.key = {"a"}, .op_version = {4000000000u}}, {.key = {0}}', "op_version"),
        ('{.key = {""}}, {.key = {0}}', "is called ''"),
        ('{.key = {"a"}}, {.key = {0}, .type = 1}', "middle of an option"),
        ('{.key = {"a"}, .text = "\\x01"}, {.key = {0}}', "control characters"),
    ],
)
def test_a_table_that_cannot_be_one_is_an_error_for_both_readers(
    tmp_path: Path, table: str, words: str
) -> None:
    path = build(tmp_path / "frob.so", source("5", table=table))
    found = load_one(path)
    assert isinstance(found, NativeError)
    assert not isinstance(found, NotLoaded)
    with pytest.raises(NativeError, match=words):
        raise found
    with pytest.raises(NativeError, match=words):
        read_static(path.read_bytes(), TEN, "xlator/frob")


def test_a_pointer_to_a_table_outside_of_memory_is_an_error_without_a_crash(tmp_path: Path) -> None:
    text = source("5").replace(".options = table", ".options = (option_t *)0x7fff0000")
    path = build(tmp_path / "frob.so", text)
    for found in (load_one(path), _static(path)):
        assert isinstance(found, NativeError)
        assert "points outside of its memory" in found.message


def test_a_table_that_goes_on_after_its_end_is_not_believed(tmp_path: Path) -> None:
    """So would one look that is read with structs of half the size."""
    path = build(tmp_path / "frob.so", source("3_12", table='{.key = {"a"}}, {.key = {0}}, {.key = {"b"}}'))
    with pytest.raises(NativeError, match="goes on after its end"):
        read_static(path.read_bytes(), named("3_12"), "xlator/frob")


def _static(path: Path) -> Reading:
    try:
        return read_static(path.read_bytes(), TEN, "xlator/frob")
    except NativeError as exc:
        return exc


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ('[0 ... 600] = {.key = {"a"}}, {.key = {0}}', "more than 500 options"),
        ('{.key = {"a"}, .text = long_text}, {.key = {0}}', "no end"),
        ('[0 ... 90] = {.key = {"a"}, .text = big_text}, {.key = {0}}', "longer than"),
    ],
)
def test_a_table_is_read_up_to_a_bound(tmp_path: Path, extra: str, words: str) -> None:
    texts = "".join(
        f"static char {name}[{size}] = {{[0 ... {size - 2}] = 'x'}};\n"
        for name, size in (("long_text", 70000), ("big_text", 16000))
    )
    path = build(tmp_path / "frob.so", texts + source("5", table=extra))
    found = load_one(path)
    assert isinstance(found, NativeError)
    assert words in found.message
    with pytest.raises(NativeError, match=words):
        read_static(path.read_bytes(), TEN, "xlator/frob")


def test_a_library_that_needs_a_missing_one_is_read_from_its_bytes_only(tmp_path: Path) -> None:
    build(tmp_path / "libgone.so", "int gone(void) { return 1; }")
    extra = "int gone(void); int f(void) { return gone(); }"
    path = build(tmp_path / "frob.so", source("5", extra=extra), f"-L{tmp_path}", "-lgone")
    assert isinstance(load_one(path), NotLoaded)
    assert read_static(path.read_bytes(), TEN, "xlator/frob") == expected("5")
    found = read_loaded({"xlator/frob": path}, TEN, search=tmp_path)
    assert found["xlator/frob"] == expected("5")
