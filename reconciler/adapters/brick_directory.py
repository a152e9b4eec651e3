"""One brick directory, held open: its stamps, read and written through descriptors only.

A path is walked once, component by component and without following links; afterwards everything happens
relative to the open directory, so nothing can be slipped in between a check and an effect.

The stamps are two: the extended attribute `trusted.glusterfs.volume-id` (16 raw bytes; glusterfs 10.3
xlators/storage/posix/src/posix-common.c: posix_init refuses to start without it or with another), and our
identity file inside ``.glusterfs``, which clients cannot see and self-heal does not touch.

Architecture Invariant: a file is removed only if it is our identity file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path

from reconciler.errors import JournalError, StepError
from reconciler.model import codec
from reconciler.ports.brick import BrickIdentity

VOLUME_ID = "trusted.glusterfs.volume-id"
GFID = "trusted.gfid"
HIDDEN = ".glusterfs"
IDENTITY = "gluster-state.json"
IDENTITY_NEW = ".gluster-state.json.new"  #: what a crash while writing it may leave
_IDENTITY_VERSION = 1
_MAX_IDENTITY = 4096
_MAX_INDEX = 1_000_000  #: entries of the heal index that are counted (half a second)
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextlib.contextmanager
def opened(root: str, path: str) -> Iterator[int]:
    """Yield a descriptor of the directory `path`, walking from `root` without following links.

    Args:
        root: a directory above `path` (a mount point), or `path` itself.
        path: absolute and normalised.

    Raises:
        FileNotFoundError: a component does not exist.
        StepError: a component is a link or no directory, or cannot be opened.
    """
    descriptor = open_walking(root, path)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def open_walking(root: str, path: str) -> int:
    """Return a descriptor of `path`; see `opened`. The caller closes it."""
    place = Path(root)
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for name in Path(path).relative_to(root).parts:
        place /= name
        try:
            inner = os.open(name, _OPEN, dir_fd=descriptor)
        except FileNotFoundError:
            raise
        except OSError as exc:
            raise StepError(f"{place} {_why_not(descriptor, name, exc)}") from exc
        finally:
            os.close(descriptor)
        descriptor = inner
    return descriptor


def _why_not(parent: int, name: str, exc: OSError) -> str:
    if exc.errno in (errno.ENOTDIR, errno.ELOOP):
        with contextlib.suppress(OSError):
            mode = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
            return "is a symbolic link" if stat.S_ISLNK(mode) else "is not a directory"
    return f"cannot be opened: {exc.strerror}"


# ---------------------------------------------------------------- the volume id


def volume_id(place: int | str) -> str:
    """Return the volume id of an open directory (or of a path), or an empty string.

    A value of another length than 16 bytes is returned as ``damaged:HEX``: it is foreign to everybody.
    Raises OSError where extended attributes cannot be read.
    """
    raw = attribute(place, VOLUME_ID)
    if raw is None:
        return ""
    return str(uuid.UUID(bytes=raw)) if len(raw) == 16 else f"damaged:{raw[:32].hex()}"


def attribute(place: int | str, name: str) -> bytes | None:
    """Return an extended attribute, or None if it is not set."""
    try:
        return os.getxattr(place, name)
    except OSError as exc:
        if exc.errno == errno.ENODATA:
            return None
        raise


def stamp_volume_id(directory: int, volume: str) -> None:
    """Write the volume id; never over another one (FileExistsError)."""
    os.setxattr(directory, VOLUME_ID, uuid.UUID(volume).bytes, os.XATTR_CREATE)


# ---------------------------------------------------------------- the identity file


def read_identity(directory: int) -> BrickIdentity | None:
    """Return the identity of an open brick directory, or None if it has none.

    Raises JournalError if the file is damaged, OSError if it cannot be read.
    """
    try:
        hidden = os.open(HIDDEN, _OPEN, dir_fd=directory)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        file = os.open(IDENTITY, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=hidden)
    except FileNotFoundError:
        return None
    finally:
        os.close(hidden)
    try:
        raw = os.read(file, _MAX_IDENTITY)
    finally:
        os.close(file)
    return _parse_identity(raw)


def _parse_identity(raw: bytes) -> BrickIdentity:
    try:
        plain = codec.parse(raw.decode())
    except UnicodeDecodeError as exc:
        raise JournalError("the identity file is not text") from exc
    if not isinstance(plain, dict) or plain.pop("kind", None) != "BrickIdentity":
        raise JournalError("the identity file is not one of ours")
    version = plain.pop("v", None)
    if version != _IDENTITY_VERSION:
        raise JournalError(f"the identity file has version {version!r}, this program knows 1")
    return codec.from_json(BrickIdentity, plain)


def write_identity(hidden: int, identity: BrickIdentity) -> None:
    """Write the identity file into an open ``.glusterfs``: durably, whole or not at all."""
    plain = codec.to_json(identity)
    assert isinstance(plain, dict)
    text = codec.canonical({"kind": "BrickIdentity", "v": _IDENTITY_VERSION, **plain})
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.open(IDENTITY_NEW, flags, 0o600, dir_fd=hidden)
    try:
        os.write(file, f"{text}\n".encode())
        os.fsync(file)
    finally:
        os.close(file)
    os.rename(IDENTITY_NEW, IDENTITY, src_dir_fd=hidden, dst_dir_fd=hidden)
    os.fsync(hidden)


def remove_identity(hidden: int) -> None:
    """Remove our identity file, and what a crash in `write_identity` left of it; idempotent."""
    for name in (IDENTITY, IDENTITY_NEW):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=hidden)


# ---------------------------------------------------------------- what else is there


def open_hidden(directory: int) -> int:
    """Return a descriptor of ``.glusterfs``. The caller closes it. Raises OSError."""
    return os.open(HIDDEN, _OPEN, dir_fd=directory)


def names(directory: int) -> list[str]:
    """Return the names in an open directory, sorted."""
    return sorted(os.listdir(directory))


def heal_pending(directory: int) -> int | None:
    """Return how many files of an open brick need heal; None if the index cannot be read.

    The index holds one hard link per such file, named by its gfid, next to base files ``xattrop-UUID``
    (glusterfs 10.3 xlators/features/index/src/index.c). Counting stops at a million.
    """
    try:
        index = os.open(f"{HIDDEN}/indices/xattrop", _OPEN, dir_fd=directory)
    except OSError:
        return None
    try:
        count = 0
        with os.scandir(index) as entries:
            for entry in entries:
                count += not entry.name.startswith("xattrop-")
                if count >= _MAX_INDEX:
                    break
    except OSError:
        return None
    else:
        return count
    finally:
        os.close(index)
