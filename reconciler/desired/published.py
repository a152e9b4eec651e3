"""The JSON Schema of declarations: the core's file, and a key under every volume for each feature.

What is published (``schemas/cluster.v1.schema.json``) is this for the features that come with the package.
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
    keys = {f.name: _closed({"type": "object", **f.schema}) for f in sorted(features, key=_name)}
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
    return frozenset(_core()["$defs"]["volume"]["properties"])


def _closed(rules: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of a key with every mapping in it closed."""
    found = dict(rules)
    if "properties" in rules:
        found["properties"] = {name: _closed(inner) for name, inner in rules["properties"].items()}
        found |= _STRICT
    if "items" in rules:
        found["items"] = _closed(rules["items"])
    return found


def _name(feature: FeatureKey) -> str:
    return feature.name


@functools.cache
def _core() -> Mapping[str, Any]:
    file = resources.files("reconciler.desired").joinpath("cluster.v1.core.json")
    loaded: Mapping[str, Any] = json.loads(file.read_text("utf-8"))
    return loaded
