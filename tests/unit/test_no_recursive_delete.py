"""No code removes a tree, makes a filesystem outside the lab, or runs a shell (invariants 26 and 46)."""

from __future__ import annotations

import ast
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


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_removes_no_tree(path: Path) -> None:
    assert offences(path.read_text(encoding="utf-8"), str(path.relative_to(ROOT))) == []


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


def test_only_these_modules_remove_a_file_or_directory_of_a_brick() -> None:
    removing = set()
    for path in sorted((ROOT / "adapters").glob("brick_*.py")):
        text = path.read_text(encoding="utf-8")
        if any(word in text for word in ("os.unlink", "os.rmdir", "os.remove(", ".unlink(", ".rmdir(")):
            removing.add(path.name)
    assert removing == {"brick_directory.py", "brick_files.py", "brick_remains.py"}
