"""A catalogue, asked by name: what does an xlator's key mean, and what does ``XLATOR.OPTION`` name?"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from reconciler.catalogue.option import Catalogue, Library, LibraryOption


@dataclass(frozen=True, slots=True)
class Native:
    """An option as a library knows it: `name` is ``IDENTIFIER.KEY``, `key` the one that was asked for."""

    name: str
    library: Library
    option: LibraryOption
    key: str


class OptionIndex:
    """The options of a catalogue by xlator type and key, and by ``XLATOR.OPTION`` names.

    XLATOR is what the library calls itself (``replicate``) or the end of one of its types (``afr``); OPTION
    is any key of the option.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.version = catalogue.version
        self._by_type: dict[str, Library] = {}
        self._by_word: dict[str, Library] = {}
        self._xlators: list[Library] = []
        for library in catalogue.libraries:
            if not library.types:
                self._by_type[library.path] = library
                continue
            self._xlators.append(library)
            self._by_type |= dict.fromkeys(library.types, library)
            ends = [name.rpartition("/")[2] for name in library.types]
            for word in (library.identifier, *ends):
                self._by_word.setdefault(word, library)

    def find(self, xlator: str, *keys: str) -> Native | None:
        """Return what the library of an xlator type, or another one's path, says of the first known key."""
        library = self._by_type.get(xlator)
        if library is None:
            return None
        for key in keys:
            for option in library.options:
                if key in option.keys:
                    return _native(library, option, key)
        return None

    def native(self, name: str) -> Native | None:
        """Return what ``XLATOR.OPTION`` names, or None."""
        word, dot, key = name.partition(".")
        library = self._by_word.get(word) if dot else None
        if library is None:
            return None
        return next((_native(library, option, key) for option in library.options if key in option.keys), None)

    def close(self, name: str) -> tuple[str, ...]:
        """Return at most three names of settable options close to `name`, best first."""
        settable = [native.name for native in self.natives() if native.option.settable]
        return tuple(get_close_matches(name, settable, n=3, cutoff=0.8))

    def natives(self) -> tuple[Native, ...]:
        """Return every option of every xlator, sorted by name."""
        found = [
            _native(library, option, option.keys[0])
            for library in self._xlators
            for option in library.options
        ]
        return tuple(sorted(found, key=lambda native: native.name))


def _native(library: Library, option: LibraryOption, key: str) -> Native:
    word = library.identifier or library.path.rpartition("/")[2]
    return Native(f"{word}.{option.keys[0]}", library, option, key)
