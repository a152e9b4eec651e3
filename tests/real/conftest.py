"""A failing test shows the ends of the logs of the labs it used."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.labs import Lab, logs_of


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        used = [value for value in getattr(item, "funcargs", {}).values() if isinstance(value, Lab)]
        report.sections += [("logs of the lab", logs_of(it.root)) for it in used]
    return report
