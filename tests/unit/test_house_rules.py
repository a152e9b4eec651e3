"""What every module keeps: its size, its names, absolute imports; and no code removes a tree, makes a
filesystem outside the lab, or runs a shell (invariants 26 and 46).
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import reconciler

ROOT = Path(reconciler.__file__).parent
#: Functions that remove more than the one thing they are given.
RECURSIVE = {"rmtree", "removedirs", "remove_tree", "nukedir"}
#: Commands that do the same, or worse. The lab alone may make a filesystem, in an image of its own.
COMMANDS = {"rm", "wipefs", "shred", "blkdiscard", "mkfs", "mkfs.xfs", "mkfs.ext4", "mkfs.btrfs"}
MAY_MAKE_FILESYSTEMS = {"lab/disks.py"}
MODULE_LINES, FUNCTION_LINES = 400, 50
#: Words that say nothing about what a module is for (design.md 4).
EMPTY_WORDS = {
    "manager",
    "helper",
    "helpers",
    "util",
    "utils",
    "common",
    "misc",
    "handler",
    "processor",
    "context",
}

each_module = pytest.mark.parametrize(
    "path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT))
)


def form_offences(source: str, name: str) -> list[str]:
    """Return where a module is too large, badly named, or imports by a relative path."""
    lines = len(source.splitlines())
    found = [f"{name}: {lines} lines"] if lines > MODULE_LINES else []
    found += [f"{name}: {word}" for word in sorted(EMPTY_WORDS & set(_words(name)))]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES:
                found.append(f"{name}:{node.lineno}: {node.name} has {length} lines")
        elif isinstance(node, ast.ImportFrom) and node.level:
            found.append(f"{name}:{node.lineno}: relative import")
    return found


def _words(name: str) -> list[str]:
    """Return the words of a module's path: ``agent/run_marks.py`` is agent, run, marks."""
    return name.removesuffix(".py").replace("/", "_").split("_")


def offences(source: str, name: str = "x.py") -> list[str]:
    """Return what a module must not do, with line numbers."""
    return [f"{name}:{line}: {what}" for line, what in sorted(set(_offences(ast.parse(source), name)))]


def _offences(tree: ast.AST, name: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in RECURSIVE:
            yield node.lineno, node.attr
        elif isinstance(node, ast.Name) and node.id in RECURSIVE:
            yield node.lineno, node.id
        elif isinstance(node, ast.ImportFrom | ast.Import):
            for alias in node.names:
                if alias.name.rpartition(".")[2] in RECURSIVE:
                    yield node.lineno, alias.name
        elif isinstance(node, ast.keyword) and node.arg == "shell" and not _is_false(node.value):
            yield node.value.lineno, "shell"
        elif isinstance(node, ast.Call) and _called(node) in {"system", "popen", "getoutput"}:
            yield node.lineno, _called(node)
        elif isinstance(node, ast.List | ast.Tuple):
            yield from _commands(node, name)


def _commands(node: ast.List | ast.Tuple, name: str) -> Iterator[tuple[int, str]]:
    """Find argument vectors: a forbidden program first, or ``find`` with ``-delete`` anywhere."""
    words = [e.value if isinstance(e, ast.Constant) and isinstance(e.value, str) else "" for e in node.elts]
    program = words[0].rpartition("/")[2] if words else ""
    if program in COMMANDS and not (program.startswith("mkfs") and name in MAY_MAKE_FILESYSTEMS):
        yield node.lineno, program
    if "-delete" in words:
        yield node.lineno, "-delete"


def _called(node: ast.Call) -> str:
    function = node.func
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
        return function.attr if function.value.id in {"os", "subprocess"} else ""
    return ""


def _is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


@each_module
def test_a_module_removes_no_tree(path: Path) -> None:
    assert offences(path.read_text(encoding="utf-8"), str(path.relative_to(ROOT))) == []


@each_module
def test_a_module_keeps_its_form(path: Path) -> None:
    assert form_offences(path.read_text(encoding="utf-8"), str(path.relative_to(ROOT))) == []


@pytest.mark.parametrize(
    "source",
    [
        "import shutil\nshutil.rmtree(x)",
        "from shutil import rmtree as gone",
        "import os\nos.removedirs(x)",
        "remove = tree.rmtree",
        "run(['rm', '-r', path])",
        "run(['/usr/bin/find', path, '-delete'])",
        "run(('mkfs.xfs', path))",
        "subprocess.run(text, shell=True)",
        "os.system('true')",
    ],
)
def test_the_check_sees_what_it_looks_for(source: str) -> None:
    assert offences(source)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("x = 1\n" * (MODULE_LINES + 1), "x.py"),
        ("class A:\n  async def f():\n" + "    x = 1\n" * FUNCTION_LINES, "x.py"),
        ("from . import other", "x.py"),
        ("from ..plan import step", "x.py"),
        ("", "agent/step_handler.py"),
        ("", "utils/text.py"),
    ],
)
def test_the_check_of_form_sees_what_it_looks_for(source: str, name: str) -> None:
    assert form_offences(source, name)


def test_the_check_of_form_lets_the_allowed_size_pass() -> None:
    function = "def f():\n" + "    x = 1\n" * (FUNCTION_LINES - 1)
    rest = "x = 1\n" * (MODULE_LINES - FUNCTION_LINES)
    assert form_offences(function + rest, "plan/common_ground.py") == ["plan/common_ground.py: common"]
    assert form_offences(function + rest, "plan/commonplace.py") == []


def test_only_these_modules_remove_a_file_or_directory_of_a_brick() -> None:
    removing = set()
    for path in sorted((ROOT / "adapters").glob("brick_*.py")):
        text = path.read_text(encoding="utf-8")
        if any(word in text for word in ("os.unlink", "os.rmdir", "os.remove(", ".unlink(", ".rmdir(")):
            removing.add(path.name)
    assert removing == {"brick_directory.py", "brick_files.py", "brick_remains.py"}


def test_an_agent_starts_without_what_only_plans() -> None:
    code = "import sys, reconciler.wiring; print({'deepdiff', 'reconciler.plan.planner'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "set()", "an agent that has crashed is to be back soon"
