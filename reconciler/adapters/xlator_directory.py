"""The libraries of one installed version of GlusterFS -> a catalogue, and an error for each that gives none.

Every library is read twice, by loading it and from its bytes; what the two say must be equal. A library that
the loader of this machine does not take (another machine's, or one that needs something missing) is read
from its bytes alone.

Source: glusterfs 10.3 libglusterfs/src/xlator.c: xlator_dynload (xlator/TYPE.so below the folder of the
version), rpc/rpc-lib/src/rpc-transport.c (rpc-transport/), xlators/protocol/auth (auth/).
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path

from reconciler.adapters.xlator_options import NotLoaded, Reading, read_loaded
from reconciler.catalogue.elf import MAX_FILE
from reconciler.catalogue.layout import layout_of
from reconciler.catalogue.option import Catalogue, Library
from reconciler.catalogue.static import read_static
from reconciler.errors import EnvironmentProblem, NativeError

_FOLDERS = ("auth", "rpc-transport", "xlator")
_MAX_LIBRARIES = 1000
_TIMEOUT_S = 20


@dataclass(frozen=True, slots=True)
class Dump:
    """What a folder holds.

    Attributes:
        catalogue: the libraries that could be read.
        errors: why a library could not, by its path.
        notes: what else should be known of a library that could, by its path.
    """

    catalogue: Catalogue
    errors: dict[str, str]
    notes: dict[str, str]


@dataclass(slots=True)
class _Found:
    """The files of a folder by their path without ``.so``; links lead from one such path to another."""

    files: dict[str, Path] = field(default_factory=dict)
    links: dict[str, list[str]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


def installed_directory() -> Path:
    """Return the xlator folder of the GlusterFS on this machine.

    Raises:
        EnvironmentProblem: there is none.
    """
    try:
        done = subprocess.run(
            ["glusterfs", "--print-xlatordir"],  # noqa: S607 - of the system's PATH, as for every other use
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as exc:
        raise EnvironmentProblem(
            "there is no GlusterFS on this machine", hint="name a folder with --xlator-dir"
        ) from exc
    return Path(done.stdout.strip())


def read_directory(folder: Path) -> Dump:
    """Return the options of all libraries of a version.

    Args:
        folder: that of the version (``.../glusterfs/10.3``) or the ``xlator`` in it.

    Raises:
        NativeError: there is no such folder, or it holds no libraries, or none of a version whose layout is
            known.
    """
    if not folder.is_dir():
        raise NativeError(f"{folder}: there is no such folder", hint="it is .../glusterfs/VERSION")
    home = folder.resolve()
    if home.name == "xlator":
        home = home.parent
    layout = layout_of(home.name, str(folder))
    found = _find(home)
    if not found.files:
        raise NativeError(
            f"{folder}: there are no libraries of GlusterFS", hint="it is .../glusterfs/VERSION"
        )
    loaded = read_loaded(found.files, layout, search=home.parent.parent)
    errors, notes = dict(found.errors), {}
    libraries = []
    for name, path in found.files.items():
        static = _from_bytes(path, name, home)
        library, remark = _agreed(loaded[name], static, home.name)
        if library is None:
            errors[name] = remark
            continue
        libraries.append(replace(library, links=tuple(sorted(found.links.get(name, ())))))
        if remark:
            notes[name] = remark
    libraries.sort(key=lambda library: library.path)
    return Dump(Catalogue(version=home.name, libraries=tuple(libraries)), errors, notes)


def _agreed(loaded: Reading, static: Reading, version: str) -> tuple[Library | None, str]:
    """Return what to believe and what to say about it; None with the error."""
    if isinstance(loaded, NotLoaded):
        if isinstance(static, Library):
            return static, f"read without loading it: {loaded.message}"
        return None, static.message
    if isinstance(loaded, NativeError):
        return None, f"it cannot be read as a library of GlusterFS {version}: {loaded.message}"
    if isinstance(static, NativeError):
        return None, f"it can be loaded, but its file cannot be read: {static.message}"
    if loaded != static:
        return None, "loading it and reading its file tell different options"
    return loaded, ""


def _from_bytes(path: Path, name: str, home: Path) -> Reading:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
        return read_static(data, layout_of(home.name, str(home)), name)
    except OSError as exc:
        return NativeError(f"it cannot be read: {exc.strerror}")
    except NativeError as exc:
        return exc


def _find(home: Path) -> _Found:
    """Return the libraries below the folder of a version."""
    found = _Found()
    names = {
        path: str(path.relative_to(home).with_suffix(""))
        for top in _FOLDERS
        for path in sorted((home / top).rglob("*.so"))
    }
    if len(names) > _MAX_LIBRARIES:
        raise NativeError(f"{home}: more than {_MAX_LIBRARIES} libraries")
    for path, name in names.items():
        if not path.is_symlink():
            if path.is_file():
                found.files[name] = path
            continue
        target = names.get(path.resolve())
        if target is None:
            found.errors[name] = f"it leads to {path.readlink()}, which is no library of this version"
        else:
            found.links.setdefault(target, []).append(name)
    return found
