"""An oracle case as somebody would declare it: JSON, which is YAML."""

from __future__ import annotations

import json
from typing import Any

from reconciler.desired.groups import GROUPS_10_3, PREFIX

Raw = dict[str, Any]  #: an oracle case as recorded
_COMMANDS = {
    "quota": {"features.quota": "on", "features.inode-quota": "on", "features.quota-deem-statfs": "on"},
    "bitrot": {"features.bitrot": "on", "features.scrub": "Active"},
}  #: `gluster volume quota|bitrot VOL enable`, as the options that it stores
_LEFT_BY_RESET = ("nfs.disable", "storage.fips-mode-rchecksum", "transport.address-family")


def stored(raw: Raw) -> str:
    """Return the volume with every option that glusterd stored, in one document, peers named as addressed."""
    volume = {"name": raw["name"], **_volume(raw), "bricks": raw["bricks"], "options": raw["stored_options"]}
    looking = [raw["node"]] if "node" in raw else []  # a node may have no brick of the volume
    hosts = dict.fromkeys([*(brick.split(":", 1)[0] for brick in raw["bricks"]), *looking])
    return json.dumps(_cluster([{"name": host, "address": host} for host in hosts], volumes=[volume]))


def as_set(raw: Raw) -> str:
    """Return the volume with what an administrator set and nothing that glusterd added by itself.

    A group is a profile, so options set after it win and those set before it are gone. The volume has a
    document of its own, and bricks say all that is known of them; the peers have names.
    """
    profiles, options = _profiles_and_options(raw)
    places = [brick.split(":", 1) for brick in raw["bricks"]]
    names = {host: f"gs{number}" for number, host in enumerate(dict.fromkeys(host for host, _ in places))}
    bricks = [
        {"peer": names[host], "path": path, "id": f"{raw['name']}-client-{number}", "port": 49152 + number}
        for number, (host, path) in enumerate(places)
    ]
    spec = {**_volume(raw), "bricks": bricks, "profiles": profiles, "options": options}
    documents = [
        _cluster([{"name": name, "address": host} for host, name in names.items()]),
        {"kind": "Volume", "metadata": {"name": raw["name"]}, "spec": spec},
    ]
    return "\n---\n".join(json.dumps({"apiVersion": "gluster-state.io/v1", **one}) for one in documents)


def _cluster(peers: list[dict[str, str]], **more: Any) -> dict[str, Any]:
    return {
        "apiVersion": "gluster-state.io/v1",
        "kind": "Cluster",
        "metadata": {"name": "t"},
        "spec": {"peers": peers, **more},
    }


def _volume(raw: Raw) -> dict[str, Any]:
    shape: dict[str, Any] = {"type": raw["type"]}
    if raw["type"] == "disperse":
        shape |= {"data": raw["disperse"] - raw["redundancy"], "redundancy": raw["redundancy"]}
    elif raw["type"] == "replicate":
        shape |= {"replica": raw["replica"], "arbiter": raw["arbiter"]}
    return {
        "id": raw["volume_id"],
        "auth": {"username": raw["username"], "password": raw["password"]},
        "state": "started" if raw["started"] else "stopped",
        **shape,
    }


def _profiles_and_options(raw: Raw) -> tuple[list[str], dict[str, str]]:
    profiles: list[str] = []
    options: dict[str, str] = {}
    for name, value in raw["set"]:
        if name == "reset":  # it drops what the creation stored, but for these (decision 0027)
            profiles.clear()
            options = {name: raw["stored_options"][name] for name in _LEFT_BY_RESET}
        elif name == "group":
            profiles.append(PREFIX + value)
            options = {key: kept for key, kept in options.items() if key not in GROUPS_10_3[value]}
        else:
            options |= _COMMANDS.get(name, {name: value})
    return profiles, options
