"""Bad declarations and the exact words about them. UPDATE_GOLDEN=1 rewrites each ``expected.txt``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reconciler.desired.load import load
from reconciler.diagnostics import Diagnostic
from reconciler.errors import DesiredStateError
from reconciler.shipped import shipped_features

HERE = Path(__file__).parent
CASES = sorted(path for path in HERE.iterdir() if path.is_dir() and path.name != "__pycache__")


def shown(found: Diagnostic) -> str:
    code = f" [{found.code}]" if found.code else ""
    path = f"\n    path: {found.path}" if found.path else ""
    hint = f"\n    hint: {found.hint}" if found.hint else ""
    return f"{found.span}: {found.severity.value}: {found.summary}{code}{path}{hint}\n"


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_the_words_are_the_expected_ones(case: Path) -> None:
    files = [(path.name, path.read_bytes()) for path in sorted(case.glob("*.yaml"))]
    with pytest.raises(DesiredStateError) as caught:
        load(files, shipped_features())
    text = "".join(map(shown, caught.value.diagnostics))
    expected = case / "expected.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        expected.write_text(text)
    assert text == expected.read_text()
