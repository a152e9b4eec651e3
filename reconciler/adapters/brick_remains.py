"""What glusterfsd leaves in the directory of a brick that never held a file, and taking exactly that away.

A volume whose creation is rolled back after its bricks ran must give the directories back as they were.
glusterfsd has by then made some 260 entries of its own. They are known by name and kind, listed below; one
name or kind that is not, and nothing is removed at all: it may be somebody's data.

Architecture Invariant: everything is looked at before anything is removed, and what goes is an empty
directory, a symbolic link, or a file that is listed here. Files of users (hard links below
``.glusterfs/XX/YY`` included) never match.

Source: glusterfs 10.3, verified by running a brick: xlators/storage/posix/src/posix-common.c (posix_init,
posix_create_unlink_dir), posix-handle.c (gfid links of directories), posix-helpers.c (health_check);
xlators/features/index/src/index.c; xlators/features/changelog/src/changelog-helpers.c;
xlators/cluster/afr/src/afr-self-heal-entry.c (the directory that clients make).
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

from reconciler.errors import StepError

_MAX_ENTRIES = 5000  #: a brick without files has some 300
_HEX = "[0-9a-f]"
_UUID = rf"{_HEX}{{8}}(-{_HEX}{{4}}){{3}}-{_HEX}{{12}}"


class _Kind(Enum):
    DIRECTORY = "directory"
    LINK = "symbolic link"
    EMPTY = "empty file"
    FILE = "file"


_KNOWN = tuple(
    (re.compile(pattern), kind)
    for pattern, kind in (
        (r"\.glusterfs", _Kind.DIRECTORY),
        (rf"\.glusterfs/{_HEX}{{2}}(/{_HEX}{{2}})?", _Kind.DIRECTORY),
        (rf"\.glusterfs/{_HEX}{{2}}/{_HEX}{{2}}/{_UUID}", _Kind.LINK),  # of directories; files are hard links
        (r"\.glusterfs/(indices|landfill|unlink|changelogs|quarantine)", _Kind.DIRECTORY),
        (r"\.glusterfs/indices/(xattrop|dirty|entry-changes)", _Kind.DIRECTORY),
        (rf"\.glusterfs/indices/(xattrop|dirty)/(xattrop|dirty)-{_UUID}", _Kind.EMPTY),
        (r"\.glusterfs/changelogs/(htime|csnap)", _Kind.DIRECTORY),
        (r"\.glusterfs/health_check", _Kind.FILE),
        (r"\.glusterfs/gluster-state\.json", _Kind.FILE),
        (r"\.glusterfs/\.gluster-state\.json\.new", _Kind.FILE),
        (rf"\.glusterfs-anonymous-inode-{_UUID}", _Kind.DIRECTORY),
    )
)


@dataclass(frozen=True, slots=True)
class _Entry:
    path: str  #: relative to the brick
    directory: bool


def anonymous_inode(volume_id: str) -> str:
    """Return the name of the directory that self-heal makes in the root of a replicate volume.

    Source: glusterfs v9.6 xlators/cluster/afr/src/afr.c: afr_handle_anon_inode_options.
    """
    return f".glusterfs-anonymous-inode-{volume_id}"


def remove(brick: int, path: str, *, keep: Collection[str]) -> None:
    """Empty the open directory of a brick that never held a file. Goes on after an interrupted call.

    Args:
        brick: descriptor of the brick directory.
        path: its path, for messages.
        keep: what was there before, relative to the brick: ``.glusterfs``, our identity file in it.

    Raises:
        StepError: it holds something that glusterfsd does not make by itself; nothing was removed.
        OSError: the filesystem refuses.
    """
    entries: list[_Entry] = []
    strangers: list[str] = []
    _survey(brick, "", entries, strangers)
    if strangers:
        shown = ", ".join(strangers[:5])
        raise StepError(
            f"{path} holds what gluster-state did not put there ({shown}): nothing was removed",
            hint="Move it away if it is wanted, then resume.",
        )
    for entry in entries:  # children come before their directory
        if entry.path in keep:
            continue
        if entry.directory:
            os.rmdir(entry.path, dir_fd=brick)
        else:
            os.unlink(entry.path, dir_fd=brick)
    os.fsync(brick)


def _survey(directory: int, prefix: str, entries: list[_Entry], strangers: list[str]) -> None:
    """Collect what is in an open directory, children first; unknown things go to `strangers`, unopened."""
    for name in sorted(os.listdir(directory)):
        path = f"{prefix}{name}"
        found = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if not _is_known(path, found) or len(entries) >= _MAX_ENTRIES:
            strangers.append(path)
            continue
        is_directory = stat.S_ISDIR(found.st_mode)
        if is_directory:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            inner = os.open(name, flags, dir_fd=directory)
            try:
                _survey(inner, f"{path}/", entries, strangers)
            finally:
                os.close(inner)
        entries.append(_Entry(path, is_directory))


def _is_known(path: str, found: os.stat_result) -> bool:
    return any(pattern.fullmatch(path) and _is(kind, found) for pattern, kind in _KNOWN)


def _is(kind: _Kind, found: os.stat_result) -> bool:
    mode = found.st_mode
    match kind:
        case _Kind.DIRECTORY:
            return stat.S_ISDIR(mode)
        case _Kind.LINK:
            return stat.S_ISLNK(mode)
        case _Kind.EMPTY:
            return stat.S_ISREG(mode) and found.st_size == 0
        case _Kind.FILE:
            return stat.S_ISREG(mode) and found.st_nlink == 1
