"""The JSON Schema of declarations: the core's file, and a key under every volume for each feature.

What is published (``schemas/cluster.v1.schema.json``) is this for the features that come with the package.
The core's schema marks keys that a feature will bring one day with ``x-later``: they are refused unless they
are switched off, so that a declaration written for a later version says so clearly.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Any

from reconciler.desired.feature_key import FeatureKey

#: What every mapping has: keys of the writer's own, and no others beside the known ones.
_STRICT: Mapping[str, object] = {"patternProperties": {"^x-": True}, "additionalProperties": False}


def schema(features: Iterable[FeatureKey]) -> Mapping[str, Any]:
    """Return the schema with the keys of these features. Callers do not change it."""
    whole = _core()
    volume, document = (whole["$defs"][name] for name in ("volume", "volumeSpec"))
    keys = {f.name: {"type": "object", **f.schema, **_STRICT} for f in sorted(features, key=_name)}
    references = {name: {"$ref": f"#/$defs/volume/properties/{name}"} for name in keys}
    extended = {
        "volume": {**volume, "properties": {**volume["properties"], **keys}},
        "volumeSpec": {**document, "properties": {**document["properties"], **references}},
    }
    return {**whole, "$defs": {**whole["$defs"], **extended}}


def text(features: Iterable[FeatureKey]) -> str:
    """Return the schema as the published text."""
    return json.dumps(schema(features), indent=2, ensure_ascii=False) + "\n"


def own_keys() -> frozenset[str]:
    """Return the keys of a volume that are the core's and can be no feature's."""
    return frozenset(_core()["$defs"]["volume"]["properties"]) - later_keys()


def later_keys() -> frozenset[str]:
    """Return the keys of a volume that are kept for features to come."""
    keys = _core()["$defs"]["volume"]["properties"]
    return frozenset(key for key, rules in keys.items() if rules.get("x-later"))


def _name(feature: FeatureKey) -> str:
    return feature.name


@functools.cache
def _core() -> Mapping[str, Any]:
    file = resources.files("reconciler.desired").joinpath("cluster.v1.core.json")
    loaded: Mapping[str, Any] = json.loads(file.read_text("utf-8"))
    return loaded
