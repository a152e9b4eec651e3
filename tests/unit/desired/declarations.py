"""Declarations for tests: a small good one, changed piece by piece."""

from __future__ import annotations

import textwrap

from reconciler.desired.load import load
from reconciler.diagnostics import Diagnostic, Severity
from reconciler.errors import DesiredStateError
from reconciler.model.cluster import Desired

HEAD = """\
apiVersion: gluster-state.io/v1
kind: Cluster
metadata: {name: prod}
spec:
  peers:
    - {name: gs1, address: 10.0.0.1, zone: a}
    - {name: gs2, address: 10.0.0.2, zone: b}
    - {name: gs3, address: 10.0.0.3, zone: c}
"""
REP3 = """\
name: home
type: replicate
replica: 3
bricks: ["gs1:/b/home/0", "gs2:/b/home/0", "gs3:/b/home/0"]
"""


def cluster(*volumes: str, spec: str = "") -> str:
    """Return a Cluster with three peers, more of its spec, and volumes given as YAML mappings."""
    text = HEAD + textwrap.indent(textwrap.dedent(spec), "  ")
    if volumes:
        text += "  volumes:\n"
    for volume in volumes:
        body = textwrap.indent(textwrap.dedent(volume).strip("\n"), "      ")
        text += "    -" + body[5:] + "\n"
    return text


def desired(text: str) -> Desired:
    """Return what one file declares."""
    return load([("c.yaml", text.encode())])


def findings(*texts: str) -> list[Diagnostic]:
    """Return errors and warnings of files ``c.yaml``, ``c1.yaml`` ..."""
    files = [(f"c{i or ''}.yaml", text.encode()) for i, text in enumerate(texts)]
    try:
        return list(load(files).warnings)
    except DesiredStateError as exc:
        return list(exc.diagnostics)


def errors(*texts: str) -> list[str]:
    """Return the errors as ``LINE:COLUMN summary``."""
    return [
        f"{found.span.line}:{found.span.column} {found.summary}" if found.span else found.summary
        for found in findings(*texts)
        if found.severity is Severity.ERROR
    ]


def warnings(text: str) -> list[tuple[str, str]]:
    """Return code and path of the warnings."""
    return [(found.code, found.path) for found in findings(text) if found.severity is Severity.WARNING]
