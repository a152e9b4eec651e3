"""The directories of this node's bricks: probing, preparing, undoing, verifying.

Every refusal is decided on an open descriptor right before the effect, not only at plan time: the disk may
have gone, another may be mounted in its place, two may be swapped (docs/ARCHITECTURE.md, invariant 11).

Architecture Invariant: no data is ever removed. Undo takes away stamps, directories that the step made, by
rmdir, and what glusterfsd itself puts into an empty brick (brick_remains.py).

Source: glusterfs 10.3 xlators/mgmt/glusterd/src/glusterd-utils.c: glusterd_check_and_set_brick_xattr,
glusterd_is_path_in_use (what glusterd checks and stamps); xlators/features/index/src/index.c: init (needs
``.glusterfs`` before posix makes it).
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.adapters import brick_directory as directory
from reconciler.adapters import brick_remains
from reconciler.adapters.brick_rules import Found, filesystem_problem, foreign, strange_entries, unusable
from reconciler.adapters.mounts import Mount, Mounts
from reconciler.errors import JournalError, StepError
from reconciler.model.observed import PathProbe
from reconciler.ports.brick import BrickIdentity, BrickSight
from reconciler.ports.node import Checked, Effect, Footprint

if TYPE_CHECKING:
    from reconciler.model.configured import BrickRecord, VolumeRecord
    from reconciler.model.ids import ClusterId, NodeId, PeerName
    from reconciler.plan.step import Args


class DiskBrickFiles:
    """BrickFiles of the node `node` in the cluster `cluster`, joined as `peer`."""

    def __init__(self, cluster: ClusterId, node: NodeId, peer: PeerName, mounts: Mounts) -> None:
        self._cluster = cluster
        self._node = node
        self._peer = peer
        self._mounts = mounts

    # ------------------------------------------------------------ looking

    def probe(self, path: str) -> PathProbe:
        """Tell what stands at `path`; never raises."""
        kind, problem = "absent", ""
        mount: Mount | None = None
        found: Found | None = None
        parent = ""
        try:
            with _told(path):
                kind = _kind_of(path)
                mount = self._mounts.of_path(path)
                parent = _parent_brick(path)
                if kind in {"absent", "directory"}:
                    found = self._found(path, mount)
        except StepError as exc:
            problem = exc.message
        fact = self._mounts.fact(mount) if mount else None
        return PathProbe(
            peer=self._peer,
            path=path,
            kind=kind,
            entries=strange_entries(found)[:5] if found else (),
            volume_id=found.volume_id if found else "",
            identity=found.identity_uuid if found else "",
            parent_volume=parent,
            mount=fact.mount if fact else "",
            fs_uuid=fact.fs_uuid if fact else "",
            fs_type=fact.fs_type if fact else "",
            free_bytes=fact.free_bytes if fact else 0,
            problem=problem or (found.damaged if found else ""),
        )

    def look(self, volume: VolumeRecord, brick: BrickRecord) -> BrickSight:
        """Tell what stands at a configured brick's path; never raises."""
        try:
            with _told(brick.path):
                mount = self._mounts.of_path(brick.path)
                fact = self._mounts.fact(mount)
                found = self._found(brick.path, mount)
        except StepError as exc:
            return BrickSight(problem=exc.message)
        return BrickSight(
            problem=filesystem_problem(brick, mount, self._mounts.fs_uuid(mount))
            or foreign(volume, brick, found, self._cluster, known=True),
            volume_id=found.volume_id,
            identity=found.identity_uuid,
            mount=fact.mount,
            fs_uuid=fact.fs_uuid,
            size_bytes=fact.size_bytes,
            free_bytes=fact.free_bytes,
            heal_pending=found.heal_pending,
        )

    def verify(self, volume: VolumeRecord, brick: BrickRecord) -> None:
        """Raise StepError unless the directory is that brick, on its own filesystem."""
        self.inspect(volume, brick, known=True)

    def inspect(self, volume: VolumeRecord, brick: BrickRecord, *, known: bool) -> Checked:
        """Tell how much of the preparation is there; StepError if the place must not be used.

        The before-image: directories that are missing (`made`), whether there is a ``.glusterfs``
        (`hidden`) with something in it that is not ours (`hidden_used`), the stamps, and the names of the
        directory's extended attributes.
        """
        with _told(brick.path):
            mount = self._mounts.of_path(brick.path)
            found = self._found(brick.path, mount)
            problem = filesystem_problem(brick, mount, self._mounts.fs_uuid(mount))
            problem = problem or foreign(volume, brick, found, self._cluster, known=known)
            if not problem and not known:
                problem = unusable(brick, found, _parent_brick(brick.path))
            if problem:
                raise StepError(problem, hint=_HINT)
        return found.checked()

    def footprint(self, volume: VolumeRecord, brick: BrickRecord) -> Footprint:
        """Tell what `prepare` and `unprepare` may change: nothing at or above the brick's mount point."""
        above = Path(brick.mount or "/")
        chain = [
            place for place in Path(brick.path).parents if place != above and place.is_relative_to(above)
        ]
        inside = (directory.HIDDEN, brick_remains.anonymous_inode(volume.volume_id))
        return Footprint(
            directories=(*(str(place) for place in reversed(chain)), brick.path),
            inside=tuple(f"{brick.path}/{name}" for name in inside),
            attributes=("trusted.*",),
            traces=(f"{brick.path}/{directory.HIDDEN}/{directory.IDENTITY_NEW}",),
        )

    def _found(self, path: str, mount: Mount) -> Found:
        """Read everything about a path whose nearest existing directory is on `mount`."""
        if not Path(path).is_relative_to(mount.point):
            raise StepError(f"{path} leads through a symbolic link to {mount.point}")
        try:
            with directory.opened(mount.point, path) as brick:
                self._same_mount(brick, mount, path)
                return _read(brick, mount)
        except FileNotFoundError:
            space = os.statvfs(mount.point)
            return Found(
                mount=mount,
                missing=_missing(path, mount),
                read_only=mount.read_only or bool(space.f_flag & os.ST_RDONLY),
                full=_is_full(space),
            )

    def _same_mount(self, descriptor: int, mount: Mount, path: str) -> None:
        now = self._mounts.of_descriptor(descriptor)
        if now.mount_id != mount.mount_id:
            raise StepError(f"{path}: {now.point} was mounted while it was looked at", retryable=True)

    # ------------------------------------------------------------ acting

    def prepare(self, volume: VolumeRecord, brick: BrickRecord, before: Args) -> None:
        """Make and stamp the directory. Idempotent; a crash leaves a state that `prepare` goes on from.

        The identity comes before the volume id: a directory that glusterfsd would accept is complete.
        """
        del before  # what is there is looked at afresh: the disk may have changed since the claim
        if self.inspect(volume, brick, known=False).effect is Effect.PRESENT:
            return
        with _told(brick.path):
            mount = self._mounts.of_path(brick.path)
            _make_directories(mount.point, brick.path)
            with directory.opened(mount.point, brick.path) as place:
                self._same_mount(place, mount, brick.path)
                self._stamp(place, volume, brick)

    def _stamp(self, place: int, volume: VolumeRecord, brick: BrickRecord) -> None:
        with contextlib.suppress(FileExistsError):
            os.mkdir(directory.HIDDEN, 0o600, dir_fd=place)
        if directory.read_identity(place) is None:
            identity = BrickIdentity(
                brick=brick.uuid, volume=volume.volume_id, cluster=self._cluster, node=self._node
            )
            hidden = directory.open_hidden(place)
            try:
                directory.write_identity(hidden, identity)
            finally:
                os.close(hidden)
        if not directory.volume_id(place):
            directory.stamp_volume_id(place, volume.volume_id)
        os.fsync(place)

    def unprepare(self, volume: VolumeRecord, brick: BrickRecord, before: Args) -> None:
        """Go back to `before`. Idempotent; touches only what is stamped as this brick, or is empty.

        Raises StepError, with nothing removed, if the brick holds anything but what glusterfsd makes by
        itself, or its filesystem is not there.
        """
        if before["volume_id"] and before["identity"]:
            return
        with _told(brick.path):
            mount = self._mounts.of_path(brick.path)
            problem = filesystem_problem(brick, mount, self._mounts.fs_uuid(mount))
            if problem:
                raise StepError(problem, hint=_HINT)
            with contextlib.suppress(FileNotFoundError):
                with directory.opened(mount.point, brick.path) as place:
                    found = _read(place, mount)
                    if foreign(volume, brick, found, self._cluster, known=False):
                        return  # another's: `prepare` stops before it changes such a directory
                    _unstamp(place, brick.path, found, before)
            _remove_directories(mount.point, _texts(before, "made"))


_HINT = "Mount the right disk, or correct the declaration; gluster-state never takes a brick over by force."


@contextlib.contextmanager
def _told(path: str) -> Iterator[None]:
    """Turn what the operating system says into a StepError that names the path."""
    if path != os.path.normpath(path) or not path.startswith("/"):
        raise StepError(f"{path} is not an absolute, normalised path")
    try:
        yield
    except OSError as exc:
        raise StepError(f"{exc.filename or path}: {exc.strerror or exc}") from exc


def _read(brick: int, mount: Mount) -> Found:
    names = directory.names(brick)
    hidden = directory.HIDDEN in names
    identity, damaged = None, ""
    try:
        identity = directory.read_identity(brick)
    except JournalError as exc:
        damaged = exc.message
    used = False
    if hidden:
        with contextlib.suppress(NotADirectoryError):
            descriptor = directory.open_hidden(brick)
            ours = {directory.IDENTITY_NEW, *((directory.IDENTITY,) if identity else ())}
            try:
                used = bool(set(directory.names(descriptor)) - ours)
            finally:
                os.close(descriptor)
    space = os.fstatvfs(brick)
    return Found(
        mount=mount,
        entries=tuple(name for name in names if name != directory.HIDDEN),
        hidden=hidden,
        hidden_used=used,
        volume_id=directory.volume_id(brick),
        identity=identity,
        damaged=damaged,
        owner=os.fstat(brick).st_uid,
        read_only=mount.read_only or bool(space.f_flag & os.ST_RDONLY),
        full=_is_full(space),
        attributes=tuple(sorted(os.listxattr(brick))),
        heal_pending=directory.heal_pending(brick),
    )


def _is_full(space: os.statvfs_result) -> bool:
    return not space.f_bavail or bool(space.f_files and not space.f_favail)


def _kind_of(path: str) -> str:
    try:
        mode = Path(path).lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "absent"
    kinds = {stat.S_IFDIR: "directory", stat.S_IFREG: "file", stat.S_IFLNK: "symlink"}
    return kinds.get(stat.S_IFMT(mode), "other")


def _parent_brick(path: str) -> str:
    """Return the nearest parent directory that is, or is inside, a brick; empty if none is.

    Directories of a volume carry a gfid, brick directories a volume id as well.
    """
    for parent in Path(path).parents:
        try:
            if any(directory.attribute(str(parent), n) for n in (directory.VOLUME_ID, directory.GFID)):
                return str(parent)
        except OSError:
            continue  # does not exist yet, or a filesystem without such attributes: no brick
    return ""


def _missing(path: str, mount: Mount) -> tuple[str, ...]:
    """Return the directories from the mount point down to `path` that do not exist, outermost first."""
    point = Path(mount.point)
    chain = [Path(path), *Path(path).parents]
    below = [place for place in chain if place != point and place.is_relative_to(point)]
    return tuple(str(place) for place in reversed(below) if not os.path.lexists(place))


def _make_directories(root: str, path: str) -> None:
    """Make every missing directory from `root` down to `path`, durably, following no link."""
    parent = root
    for name in Path(path).relative_to(root).parts:
        with directory.opened(root, parent) as place:
            try:
                os.mkdir(name, 0o755, dir_fd=place)
            except FileExistsError:
                pass
            else:
                os.fsync(place)
        parent = str(Path(parent) / name)


def _unstamp(place: int, path: str, found: Found, before: Args) -> None:
    """Take our stamps off an open brick directory, as far as `before` did not have them.

    The volume id goes last: until then an interrupted undo can see that the rest is this brick's.
    """
    if not before["hidden_used"] and (found.identity or found.volume_id):
        ours = {"hidden": directory.HIDDEN, "identity": f"{directory.HIDDEN}/{directory.IDENTITY}"}
        brick_remains.remove(place, path, keep=[name for key, name in ours.items() if before[key]])
    elif found.hidden and not before["identity"]:
        hidden = directory.open_hidden(place)
        try:
            directory.remove_identity(hidden)
        finally:
            os.close(hidden)
        if not before["hidden"]:
            os.rmdir(directory.HIDDEN, dir_fd=place)
    if not before["volume_id"]:
        for name in sorted(set(found.attributes) - set(_texts(before, "attributes"))):
            if name.startswith("trusted."):
                os.removexattr(place, name)
    os.fsync(place)


def _remove_directories(root: str, made: tuple[str, ...]) -> None:
    """Remove the directories that the step made, innermost (the brick itself) first.

    The brick's must be empty. One above it is left where it holds something by now: another brick of the
    volume, whose own undo comes later or never.
    """
    for number, path in enumerate(reversed(made)):
        with contextlib.suppress(FileNotFoundError):
            with directory.opened(root, str(Path(path).parent)) as parent:
                try:
                    os.rmdir(Path(path).name, dir_fd=parent)
                except OSError as exc:
                    if exc.errno == errno.ENOTEMPTY and number > 0:
                        return
                    raise
                os.fsync(parent)


def _texts(before: Args, key: str) -> tuple[str, ...]:
    value = before[key]
    assert isinstance(value, list)
    return tuple(text for text in value if isinstance(text, str))
