"""What the documents name exists: files, symbols, commands, make targets, keys, codes, forms, libraries."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from reconciler import errors
from reconciler.agent import kept
from reconciler.agent.config import read_config
from reconciler.cli.root import EXIT_BUG, EXIT_PIPE
from reconciler.desired.load import load
from reconciler.model import codec, keys
from reconciler.plan.codes import CODES
from reconciler.txn.machine import ALLOWED
from tests.command_lines import NAME, commands, flags_of, problems_of

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "reconciler"
DOCS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
EVERY_DOCUMENT = pytest.mark.parametrize("document", DOCS, ids=lambda path: str(path.relative_to(ROOT)))

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")
_PLACE = re.compile(r"[\w.-]+(?:/[\w.-]+)*/?")
_LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
_TOP = {entry.name for entry in ROOT.iterdir()} | {entry.name for entry in PACKAGE.iterdir()}


def _prose(document: Path) -> str:
    return _FENCE.sub("", document.read_text("utf-8"))


def _spans(document: Path) -> list[str]:
    return _CODE.findall(_prose(document))


def _blocks(document: Path, language: str) -> list[str]:
    return [text for word, text in _FENCE.findall(document.read_text("utf-8")) if word == language]


def _rows(document: str, *heading: str) -> list[list[str]]:
    """Return the cells of the one table of a document whose first columns are so called."""
    found: list[list[str]] = []
    inside = False
    for line in (ROOT / document).read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if cells[: len(heading)] == list(heading):
            inside = True
        elif not cells:
            inside = False
        elif inside and set(cells[0]) != {"-"}:
            found.append(cells)
    assert found, f"{document} has no table {heading}"
    return found


# ---------------------------------------------------------------- files, links, commands, targets


@EVERY_DOCUMENT
def test_every_file_and_symbol_named_exists(document: Path) -> None:
    missing = []
    for span in _spans(document):
        place, _, symbols = span.partition(":")
        if not _PLACE.fullmatch(place) or ("/" not in place and place not in _TOP):
            continue
        if "/" in place and place.split("/")[0] not in _TOP:
            continue  # an address, a path on a node, a user's file
        path = next((base / place for base in (ROOT, PACKAGE) if (base / place).exists()), None)
        if path is None:
            missing.append(place)
        elif path.suffix == ".py":
            known = path.read_text("utf-8")
            names = re.findall(r"\w+", symbols.partition("::")[2] or symbols)
            end = "" if span.endswith("…") else r"\b"
            missing += [f"{place}: {name}" for name in names if not re.search(rf"\b{name}{end}", known)]
    assert missing == []


@EVERY_DOCUMENT
def test_every_link_leads_somewhere(document: Path) -> None:
    broken = []
    for target in _LINK.findall(_prose(document)):
        name, _, anchor = target.partition("#")
        path = (document.parent / name).resolve() if name else document
        if not path.exists() or (anchor and anchor not in _anchors(path)):
            broken.append(target)
    assert broken == []


def _anchors(document: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", _prose(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def _command_lines(document: Path) -> Iterator[str]:
    for language in ("sh", "text", "toml"):
        for block in _blocks(document, language):
            for line in block.splitlines():
                if language == "sh" or line.lstrip().startswith("$ "):
                    yield line.lstrip().removeprefix("$ ")
    yield from _spans(document)


@EVERY_DOCUMENT
def test_every_command_and_flag_named_exists(document: Path) -> None:
    lines = [line for line in _command_lines(document) if re.search(rf"(^|[\s/(\"]){NAME} ", line)]
    assert [problem for line in lines for problem in problems_of(line)] == []


@EVERY_DOCUMENT
def test_every_flag_named_alone_exists(document: Path) -> None:
    known = {flag for command in commands().values() for flag in flags_of(command)}
    assert "--force" not in known, "deliberately absent"
    named = {span.split()[0] for span in _spans(document) if span.startswith("--")}
    assert named - known <= {"--force"}


def _hints() -> Iterator[tuple[str, str]]:
    """Yield where a hint stands and its text; what is put in at run time is ``X``."""
    for module in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(module.read_text("utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "hint":
                parts = [n for n in ast.walk(node.value) if isinstance(n, ast.Constant | ast.FormattedValue)]
                text = "".join(str(n.value) if isinstance(n, ast.Constant) else "X" for n in parts)
                yield f"{module.relative_to(ROOT)}:{node.value.lineno}", text


def test_every_hint_names_commands_and_flags_that_exist() -> None:
    known = {flag for command in commands().values() for flag in flags_of(command)}
    wrong = []
    for place, text in _hints():
        wrong += [f"{place}: {flag}" for flag in re.findall(r"(?<!\S)--[a-z-]+", text) if flag not in known]
        wrong += [f"{place}: {problem}" for problem in problems_of(text.replace("'", " "))]
    assert wrong == []


@EVERY_DOCUMENT
def test_every_make_target_named_exists(document: Path) -> None:
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    named = re.findall(r"`make ([a-z-]+)", _prose(document))
    for block in _blocks(document, "sh"):
        named += re.findall(r"^make ([a-z-]+)", block, re.MULTILINE)
    assert set(named) <= set(targets)


def test_documents_are_where_the_program_says() -> None:
    missing = set()
    for module in PACKAGE.rglob("*.py"):
        for name in re.findall(r"\b((?:docs|examples)/[\w./-]+\.\w+)", module.read_text("utf-8")):
            missing |= {name} if not (ROOT / name).exists() else set()
    assert missing == set()


# ---------------------------------------------------------------- exit codes and risk codes


def _error_classes() -> Mapping[str, int]:
    found = inspect.getmembers(errors, inspect.isclass)
    return {name: cls.exit_code for name, cls in found if issubclass(cls, errors.ReconcilerError)}


def test_the_exit_codes_are_those_of_the_errors() -> None:
    rows = _rows("docs/exit-codes.md", "code", "means", "comes from")
    told = {name: int(code) for code, _, source in rows for name in re.findall(r"`(\w+)`", source)}
    assert told == _error_classes()


def test_every_exit_code_is_in_the_table() -> None:
    listed = {int(code) for code, *_ in _rows("docs/exit-codes.md", "code", "means", "comes from")}
    outcomes = {0, 2, 5, 6, 8, 11, 12}
    assert listed == {*_error_classes().values(), *outcomes, EXIT_BUG, EXIT_PIPE, 130, 143}
    for document in DOCS:
        named = {int(code) for code in re.findall(r"\bexits? (?:code )?(\d+)", _prose(document))}
        assert named <= listed, document


def test_the_risk_codes_raised_are_those_in_the_glossary() -> None:
    raised = set()
    for module in PACKAGE.rglob("*.py"):
        if module.name != "codes.py":
            tree = ast.parse(module.read_text("utf-8"))
            words = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
            raised |= {word for word in words if isinstance(word, str) and re.fullmatch(r"GS\d{3}", word)}
    assert {code for code, *_ in _rows("docs/glossary.md", "code", "raised when", "way on")} == raised
    for document in DOCS:
        assert set(re.findall(r"\bGS\d{3}\b", document.read_text("utf-8"))) <= CODES.keys(), document


# ---------------------------------------------------------------- stored forms


def _possible_keys() -> set[str]:
    made = set()
    for name, function in inspect.getmembers(keys, inspect.isfunction):
        if name.startswith("_") or name.endswith("_prefix") or name == "parts_below":
            continue
        parameters = inspect.signature(function).parameters
        given = [0 if p in {"number", "step"} else "C" if p == "cluster" else "<>" for p in parameters]
        made.add(function(*given).replace("/gluster-state/C/", "C/").replace("000000", "<>"))
    return made


def test_the_keys_are_those_that_the_program_can_write() -> None:
    rows = _rows("docs/stored-forms.md", "key", "value (class, version)", "writer", "changes")
    assert {re.sub(r"<[^>]*>", "<>", row[0].strip("`")) for row in rows} == _possible_keys()


def test_the_versions_are_those_that_the_program_writes() -> None:
    rows = _rows("docs/stored-forms.md", "key", "value (class, version)", "writer", "changes")
    told = {name: int(v) for row in rows for name, v in re.findall(r"`([A-Z]\w+)` (\d+)", row[1])}
    apart = {"MountFact", "ObservedNode", "ConfiguredCluster"}  # no key of their own
    assert told == {name: version for name, version in codec.VERSIONS.items() if name not in apart}
    assert apart <= set(_spans(ROOT / "docs/stored-forms.md"))


def test_the_files_of_a_node_have_the_forms_that_are_written() -> None:
    rows = _rows("docs/stored-forms.md", "file", "form", "written when")
    told = {name: int(version) for row in rows for name, version in re.findall(r"`(\w+)` (\d+)", row[1])}
    assert told == {cls.__name__: version for cls, (version, _) in kept._FORMS.items()}


# ---------------------------------------------------------------- examples and libraries


@EVERY_DOCUMENT
def test_whole_declarations_are_valid(document: Path) -> None:
    for number, block in enumerate(_blocks(document, "yaml")):
        if "apiVersion" in block:
            assert load(((f"{document.name}-{number}.yaml", block.encode()),)).warnings == ()


def test_the_example_of_an_agent_is_one() -> None:
    config = read_config(str(ROOT / "examples/agent/agent.toml"))
    assert (config.cluster, config.steward, len(config.etcd)) == ("prod", True, 3)
    unit = (ROOT / "examples/agent/gluster-state-agent.service").read_text("utf-8").splitlines()
    assert "KillMode=process" in unit, "else systemd stops the bricks with the agent"
    assert not [line for line in unit if line.startswith(("RuntimeDirectory", "PrivateTmp", "Protect"))]
    start = next(line for line in unit if line.startswith("ExecStart="))
    assert problems_of(start.removeprefix("ExecStart=")) == []


_IMPORTED_AS = {"pyyaml": "yaml", "grpcio": "grpc", "protobuf": "google"}


def test_every_dependency_has_its_reason_and_its_home() -> None:
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    declared = re.search(r"^dependencies = \[(.*?)^\]", project, re.MULTILINE | re.DOTALL)
    assert declared
    rows = _rows("docs/decisions/0011-libraries.md", "library", "home")
    homes = {row[0]: row[1].strip("`") for row in rows}
    assert set(re.findall(r'"([a-z0-9]+)[><=]', declared[1])) == homes.keys()
    imported = _importers()
    for library, home in homes.items():
        importers = imported.get(_IMPORTED_AS.get(library, library), set())
        if home == "none yet":
            assert importers == set(), library
        else:
            assert importers, library
            assert all(path == home or path.startswith(f"{home.rstrip('/')}/") for path in importers), library


def _importers() -> dict[str, set[str]]:
    """Return the modules that import each package, by its name."""
    found: dict[str, set[str]] = {}
    for module in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text("utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                found.setdefault(name.split(".")[0], set()).add(str(module.relative_to(ROOT)))
    return found


def test_the_table_of_transitions_is_that_of_the_machine() -> None:
    shown = {row[0]: row[1] for row in _rows("docs/transactions.md", "from", "to")}
    words = {
        (was.value if was else "no record"): ", ".join(sorted(m.value for m in after)) or "nothing: the end"
        for was, after in ALLOWED.items()
    }
    assert shown == words


def test_the_architecture_fits_its_frame() -> None:
    text = (ROOT / "docs/ARCHITECTURE.md").read_text("utf-8")
    assert len(text.splitlines()) <= 300
    assert "\n## A transaction, step by step\n" in text, "the program refers to it by this name"
    named = set(re.findall(r"`reconciler/(\w+)/`", text))
    assert named == {p.name for p in PACKAGE.iterdir() if (p / "__init__.py").exists()}
