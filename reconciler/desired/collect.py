"""Checked documents -> the objects they declare, wherever they stand: inline or in documents of their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from reconciler.desired.places import Place, Places
from reconciler.desired.plain import Checked, Path, show
from reconciler.desired.scalars import TRUES, ScalarError, resolve
from reconciler.desired.suggest import shown
from reconciler.desired.tree import Document, ListNode, MapNode, Node, ScalarNode

#: Key of the inline list in a Cluster's spec -> kind of its items.
INLINE = {"peers": "Peer", "profiles": "Profile", "volumes": "Volume", "geoReplication": "GeoReplication"}
#: Kind -> first part of the addresses of its objects.
ADDRESS = {"Peer": "peer", "Profile": "profile", "Volume": "volume", "GeoReplication": "georep"}


@dataclass(frozen=True, slots=True)
class Fields:
    """A mapping with its document and path. What the schema found wrong reads as if it were absent."""

    document: Document
    checked: Checked
    node: MapNode
    path: Path

    def place(self, key: str = "") -> Place:
        """Return where the value of `key` stands; without `key`, the mapping itself."""
        node = self.node.get(key) if key else self.node
        return Place(self.document.span(node or self.node), show((*self.path, key) if key else self.path))

    def pairs(self) -> Iterator[tuple[str, ScalarNode, Node]]:
        """Yield key, its node and the value's node, without the writer's own (``x-``)."""
        for key, (key_node, value) in self.node.entries.items():
            if not key.startswith("x-"):
                yield key, key_node, value

    def text(self, key: str, default: str = "") -> str:
        """Return a scalar's text, or `default` if the key is absent."""
        node = self.node.get(key)
        return node.text if isinstance(node, ScalarNode) and self.checked.sound(node) else default

    def number(self, key: str, default: int) -> int:
        """Return a whole number, or `default` if the key is absent or holds none."""
        node = self.node.get(key)
        if not isinstance(node, ScalarNode) or not node.plain or not self.checked.sound(node):
            return default
        try:
            value = resolve(node.text)
        except ScalarError:
            return default
        return value if isinstance(value, int) and not isinstance(value, bool) else default

    def truth(self, key: str) -> bool:
        """Return whether `key` holds true; false if it is absent."""
        node = self.node.get(key)
        if not isinstance(node, ScalarNode) or not node.plain or not self.checked.sound(node):
            return False
        return node.text in TRUES

    def section(self, key: str) -> Fields | None:
        """Return the mapping under `key`, or None."""
        node = self.node.get(key)
        return self.at(node, (*self.path, key)) if isinstance(node, MapNode) else None

    def at(self, node: MapNode, path: Path) -> Fields:
        """Return another mapping of the same document."""
        return Fields(self.document, self.checked, node, path)

    def items(self, key: str) -> list[tuple[Node, Path]]:
        """Return the items of the list under `key` with their paths; empty if absent."""
        node = self.node.get(key)
        if not isinstance(node, ListNode):
            return []
        return [(item, (*self.path, key, i)) for i, item in enumerate(node.items)]

    def texts(self, key: str) -> list[tuple[str, Place]]:
        """Return the scalars of the list under `key` with their places."""
        return [
            (node.text, Place(self.document.span(node), show(path)))
            for node, path in self.items(key)
            if isinstance(node, ScalarNode) and self.checked.sound(node)
        ]


@dataclass(frozen=True, slots=True)
class Entry:
    """One declared object. `sound` is false if the schema found something wrong inside."""

    name: str
    fields: Fields
    place: Place
    sound: bool


@dataclass(slots=True)
class Collection:
    """All declared objects by kind and name.

    Attributes:
        root: the Cluster, or None if there is none (or not one that can be read).
        complete: false if objects may be missing because something could not be read; then nothing may
            be said about references to objects that are not here.
    """

    root: Entry | None = None
    objects: dict[str, dict[str, Entry]] = field(default_factory=lambda: {kind: {} for kind in ADDRESS})
    complete: bool = True

    def of(self, kind: str) -> dict[str, Entry]:
        """Return the objects of a kind by name."""
        return self.objects[kind]


def collect(documents: Sequence[tuple[Document, Checked]], places: Places, *, complete: bool) -> Collection:
    """Return the objects of all documents; an object declared twice is reported with both places."""
    collection = Collection(complete=complete)
    for document, checked in documents:
        root = document.root
        if not checked.kind or not isinstance(root, MapNode):
            collection.complete = False
            continue
        for kind, entry in _entries(document, root, checked, collection):
            _add(collection, kind, entry, places)
    return collection


def _entries(
    document: Document, root: MapNode, checked: Checked, collection: Collection
) -> Iterable[tuple[str, Entry]]:
    """Yield kind and entry of every object in one document."""
    spec, metadata = root.get("spec"), root.get("metadata")
    name = metadata.get("name") if isinstance(metadata, MapNode) else None
    if not isinstance(spec, MapNode) or not isinstance(name, ScalarNode):
        collection.complete = False
        return
    fields = Fields(document, checked, spec, ("spec",))
    place = Place(document.span(name), "metadata.name")
    yield checked.kind, Entry(name.text, fields, place, checked.sound(root))
    if checked.kind != "Cluster":
        return
    for key, kind in INLINE.items():
        for node, path in fields.items(key):
            inner = node.get("name") if isinstance(node, MapNode) else None
            if not isinstance(node, MapNode) or not isinstance(inner, ScalarNode):
                collection.complete = False
                continue
            place = Place(document.span(inner), show((*path, "name")))
            yield kind, Entry(inner.text, fields.at(node, path), place, checked.sound(node))


def _add(collection: Collection, kind: str, entry: Entry, places: Places) -> None:
    if kind == "Cluster":
        first = collection.root
        summary = f"a second Cluster, {shown(entry.name)}"
        if first is None:
            collection.root = entry
            places.add("cluster", entry.place)
            return
    else:
        first = collection.of(kind).setdefault(entry.name, entry)
        summary = f"{kind} {shown(entry.name)} is declared twice"
        if first is entry:
            places.add(f"{ADDRESS[kind]}/{entry.name}", entry.place)
            return
    places.error_at(entry.place, summary, hint=f"the first one is at {first.place.span}")
