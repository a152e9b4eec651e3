"""The option groups that GlusterFS ships, as profiles called ``builtin/NAME``.

Facts, by version: the names and values in the files of ``/var/lib/glusterd/groups`` (glusterfs 10.3, files
``extras/group-*`` of its sources). A new version gets a table of its own: a group must never change its
meaning for volumes that already use it.
"""

from __future__ import annotations

from collections.abc import Mapping

PREFIX = "builtin/"


def is_builtin(origin: str) -> bool:
    """Return true if an option's origin, as in `OptionSetting`, is one of these groups."""
    return origin.startswith(f"profile {PREFIX}")


_OFF_FOR_IMAGES = {
    "performance.quick-read": "off",
    "performance.read-ahead": "off",
    "performance.io-cache": "off",
    "performance.low-prio-threads": "32",
    "performance.client-io-threads": "on",
    "features.shard": "on",
    "user.cifs": "off",
    "cluster.lookup-optimize": "off",
}
_QUORUM_FOR_IMAGES = {
    "network.remote-dio": "disable",
    "performance.strict-o-direct": "on",
    "cluster.eager-lock": "enable",
    "cluster.quorum-type": "auto",
    "cluster.data-self-heal-algorithm": "full",
    "cluster.locking-scheme": "granular",
    "cluster.shd-max-threads": "8",
    "cluster.shd-wait-qlength": "10000",
    "cluster.choose-local": "off",
}
_UPCALLS = {
    "features.cache-invalidation": "on",
    "features.cache-invalidation-timeout": "600",
    "network.inode-lru-limit": "200000",
}
_METADATA = {
    "performance.stat-prefetch": "on",
    "performance.cache-invalidation": "on",
    "performance.md-cache-timeout": "600",
}
_NEGATIVE_LOOKUPS = {"performance.nl-cache": "on", "performance.nl-cache-timeout": "600"}

GROUPS_10_3: Mapping[str, Mapping[str, str]] = {
    "virt": {
        **_OFF_FOR_IMAGES,
        **_QUORUM_FOR_IMAGES,
        "cluster.server-quorum-type": "server",
        "client.event-threads": "4",
        "server.event-threads": "4",
        "network.ping-timeout": "20",
        "server.tcp-user-timeout": "20",
        "server.keepalive-time": "10",
        "server.keepalive-interval": "2",
        "server.keepalive-count": "5",
    },
    "distributed-virt": {
        **_OFF_FOR_IMAGES,
        "network.remote-dio": "enable",
        "client.event-threads": "4",
        "server.event-threads": "4",
    },
    "gluster-block": {
        **_OFF_FOR_IMAGES,
        **_QUORUM_FOR_IMAGES,
        "performance.stat-prefetch": "off",
        "performance.open-behind": "off",
        "performance.readdir-ahead": "off",
        "performance.io-thread-count": "32",
        "performance.high-prio-threads": "32",
        "performance.normal-prio-threads": "32",
        "performance.least-prio-threads": "4",
        "client.event-threads": "8",
        "server.event-threads": "8",
        "features.shard-block-size": "64MB",
        "server.allow-insecure": "on",
    },
    "metadata-cache": {**_UPCALLS, **_METADATA},
    "nl-cache": {**_UPCALLS, **_NEGATIVE_LOOKUPS},
    "samba": {
        **_UPCALLS,
        **_METADATA,
        **_NEGATIVE_LOOKUPS,
        "performance.cache-samba-metadata": "on",
        "performance.readdir-ahead": "on",
        "performance.parallel-readdir": "on",
        "performance.write-behind": "off",
    },
    "db-workload": {
        "performance.open-behind": "on",
        "performance.write-behind": "off",
        "performance.stat-prefetch": "off",
        "performance.quick-read": "off",
        "performance.strict-o-direct": "on",
        "performance.read-ahead": "off",
        "performance.io-cache": "off",
        "performance.readdir-ahead": "off",
        "performance.client-io-threads": "on",
        "server.event-threads": "4",
        "client.event-threads": "4",
        "performance.read-after-open": "yes",
    },
}
