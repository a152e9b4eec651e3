"""What every store refuses before it sends anything, so that all of them refuse the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.ports.store import MAX_OPS, MAX_VALUE_BYTES, CreatedAt, ModifiedAt, Put

if TYPE_CHECKING:
    from reconciler.ports.store import Commit, Compare, Operation


def check_commit(commit: Commit) -> None:
    """Raise ValueError for a commit that breaks the port's limits or would mean something else.

    A ``CreatedAt`` of revision 0 is refused because etcd would take it as "absent": a fence that
    forgot its epoch would hold exactly when nobody holds the lock.
    """
    if len(commit.then) > MAX_OPS or len(commit.when) > MAX_OPS:
        raise ValueError(
            f"a commit has at most {MAX_OPS} comparisons and {MAX_OPS} operations,"
            f" not {len(commit.when)} and {len(commit.then)}"
        )
    keys = [operation.key for operation in commit.then]
    if len(set(keys)) != len(keys):
        twice = sorted({key for key in keys if keys.count(key) > 1})
        raise ValueError(f"a key is written twice in one commit: {', '.join(twice)}")
    for compare in commit.when:
        _check_compare(compare)
    for operation in commit.then:
        _check_operation(operation)


def _check_compare(compare: Compare) -> None:
    if not compare.key:
        raise ValueError("a comparison needs a key")
    if isinstance(compare, CreatedAt) and compare.revision < 1:
        raise ValueError(f"{compare.key}: created at revision {compare.revision} is not possible")
    if isinstance(compare, ModifiedAt) and compare.revision < 0:
        raise ValueError(f"{compare.key}: modified at revision {compare.revision} is not possible")


def _check_operation(operation: Operation) -> None:
    if not operation.key:
        raise ValueError("an operation needs a key")
    if isinstance(operation, Put):
        size = len(operation.value.encode())
        if size > MAX_VALUE_BYTES:
            raise ValueError(f"{operation.key}: value of {size} bytes, at most {MAX_VALUE_BYTES} are allowed")
