"""How much one step may leave in the journal, whatever the code behind it answers. Pure."""

from __future__ import annotations

from reconciler.agent.messages import Failure
from reconciler.model.codec import canonical, to_json
from reconciler.plan.step import Args

IMAGE = 16 * 1024  #: bytes of a before-image or of a result, ports/node.py: Checked
SAID = 1000  #: characters of an error, and of what to do about it


def within_bounds(what: str, answer: Args) -> Args | Failure:
    """Return an action's answer, or the failure that it is when it does not fit into the journal."""
    size = len(canonical(to_json(answer)).encode())
    if size <= IMAGE:
        return answer
    return Failure(f"a bug: its {what} takes {size} bytes, at most {IMAGE} are kept", "", retryable=False)
