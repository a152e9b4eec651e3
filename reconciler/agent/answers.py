"""What every key gives now: the volumes held in memory, the routes to their volfiles, and the rendered texts.

Rendering is by need and remembered; the rules of what is served are in serving.py. No lock here: the
VolumeTable holds its own around every call.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.agent.serving import (
    GraphKind,
    Held,
    RenderSite,
    Route,
    client_record,
    routes,
    source_of,
    volfile,
)
from reconciler.errors import VolfileError

if TYPE_CHECKING:
    from reconciler.model.configured import BrickRecord, Secret, VolumeRecord
    from reconciler.model.ids import VolumeId


@dataclass(frozen=True, slots=True)
class Answer:
    """A volfile and what it was made of; good for as long as these are the very same objects."""

    record: VolumeRecord
    secret: Secret | None
    text: str
    digest: str


class Answers:
    """Volumes by id, and what is served of them by key.

    Changes return *news*: true if a volfile that somebody fetched would now be another one. Becoming
    unavailable is no news: running clients keep their graph, and there is nothing for them to fetch.
    """

    def __init__(self, site: RenderSite) -> None:
        self._site, self._node = site, site.node
        self._held: dict[VolumeId, Held] = {}
        self._routes: dict[str, dict[VolumeId, Route]] = {}
        self._rendered: dict[VolumeId, dict[tuple[int, str], Answer]] = {}
        # Volume and digest last given, by key; an empty digest: somebody asked and was refused.
        self._fetched: dict[str, tuple[VolumeId, str]] = {}
        self._connected = False

    @property
    def held(self) -> Mapping[VolumeId, Held]:
        """Return everything held. The mapping is live."""
        return self._held

    def put(self, volume_id: VolumeId, held: Held | None) -> bool:
        """Replace what is held of a volume (None: nothing); return true if that is news."""
        before = self._held.pop(volume_id, None)
        fresh = routes(held, self._node) if held else {}
        for key, route in (routes(before, self._node) if before else {}).items():
            if key in fresh:
                continue
            del self._routes[key][volume_id]
            if not self._routes[key]:
                del self._routes[key]
                if not route.open_to_all:  # mounts keep their graph, and the volume may be made again
                    self._fetched.pop(key, None)
        for key, route in fresh.items():
            self._routes.setdefault(key, {})[volume_id] = route
        if held is None:
            self._rendered.pop(volume_id, None)
            return False
        self._held[volume_id] = held
        self._drop_outdated(volume_id, held)
        return self._is_news(volume_id)

    def connect(self, connected: bool) -> bool:
        """Say whether the store is followed; return true if that is news."""
        self._connected = connected
        return any(self._is_news(volume_id) for volume_id, held in self._held.items() if held.staged)

    def fetch(self, key: str, *, trusted: bool) -> Answer | None:
        """Return what a caller gets for a key, or None. Only trusted callers get credentials."""
        for route in self._routes.get(key, {}).values():
            if (route.open_to_all or trusted) and (answer := self._answer(key, route)) is not None:
                return answer
        return None

    def note_fetched(self, key: str, answer: Answer) -> None:
        """Remember what was given for a key."""
        self._fetched[key] = (answer.record.volume_id, answer.digest)

    def note_refused(self, key: str, *, trusted: bool) -> None:
        """Remember that somebody who may ask for a key got nothing: whatever comes is news to them.

        A client that is refused when it reconnects keeps its graph and does not ask again by itself.
        """
        for volume_id, route in self._routes.get(key, {}).items():
            if route.open_to_all or trusted:
                self._fetched.setdefault(key, (volume_id, ""))

    def fetched_digest(self, key: str) -> str:
        """Return the digest of what was last given for a key; empty if nothing was."""
        return self._fetched[key][1] if key in self._fetched else ""

    def client_record(self, volume_id: VolumeId) -> VolumeRecord | None:
        """Return the record whose volfile mounts get now."""
        held = self._held.get(volume_id)
        return client_record(held, connected=self._connected) if held else None

    def client_digest(self, volume_id: VolumeId) -> str:
        """Return the digest of the volfile mounts get now; empty if they get none."""
        record = self.client_record(volume_id)
        route = self._routes.get(record.name, {}).get(volume_id) if record else None
        answer = self._answer(record.name, route) if record and route else None
        return answer.digest if answer else ""

    def served_id(self, name: str) -> str:
        """Return the id of the volume that mounts get under a name; empty if there is none."""
        for volume_id, route in self._routes.get(name, {}).items():
            if route.kind is GraphKind.CLIENT and self.client_record(volume_id) is not None:
                return volume_id
        return ""

    def refuse_unrenderable(self, held: Held) -> None:
        """Raise VolfileError if a graph of the staged record cannot be built with what is known."""
        assert held.staged is not None
        record = held.staged.record
        bricks = {brick.uuid: brick for brick in record.on_node(self._node)}
        for route in routes(Held(staged=held.staged), self._node).values():
            if route.open_to_all or bricks:  # no daemon runs on a node without a brick
                brick = bricks[route.brick] if route.brick else None
                volfile(route, (record, brick), held.secret, self._site)

    def _is_news(self, volume_id: VolumeId) -> bool:
        for key, route in routes(self._held[volume_id], self._node).items():
            given_of, given = self._fetched.get(key, ("", ""))
            if given_of != volume_id:
                continue  # nobody fetched it: those who fetched under this name have another volume mounted
            answer = self._answer(key, route)
            if answer is not None and answer.digest != given:
                return True
        return False

    def _answer(self, key: str, route: Route) -> Answer | None:
        """Return the volfile a route gives now, or None if it is refused or cannot be built."""
        held = self._held[route.volume_id]
        source = source_of(held, route, self._node, connected=self._connected)
        if source is None:
            return None
        try:
            return self._render(key, route, source, held.secret)
        except VolfileError:
            return None  # a bad record was refused when it was staged: here only credentials can be missing

    def _render(
        self,
        key: str,
        route: Route,
        source: tuple[VolumeRecord, BrickRecord | None],
        secret: Secret | None,
    ) -> Answer:
        record = source[0]
        # The generation alone does not name a content: that of a rolled back change is given out again.
        at = (record.generation, key)
        rendered = self._rendered.setdefault(record.volume_id, {})
        known = rendered.get(at)
        if known is None or known.record is not record or known.secret is not secret:
            text = volfile(route, source, secret, self._site)
            known = Answer(record, secret, text, hashlib.sha256(text.encode()).hexdigest())
            rendered[at] = known
        return known

    def _drop_outdated(self, volume_id: VolumeId, held: Held) -> None:
        current = {record.generation for record in held.records}
        rendered = self._rendered.get(volume_id, {})
        for at in [at for at in rendered if at[0] not in current]:
            del rendered[at]
