"""How etcd's address may be written, and when TLS is not what it seems."""

from __future__ import annotations

import pytest

from reconciler.errors import UsageError
from reconciler.model.endpoints import address_of


@pytest.mark.parametrize(
    ("endpoint", "tls", "address"),
    [
        ("http://10.0.0.1:2379", False, "10.0.0.1:2379"),
        ("https://etcd-1.example.net:2379/", True, "etcd-1.example.net:2379"),
        ("http://[2001:db8::1]:2379", False, "[2001:db8::1]:2379"),
        ("etcd", False, "etcd"),
        ("etcd:1", True, "etcd:1"),
    ],
)
def test_good_addresses(endpoint: str, tls: bool, address: str) -> None:
    assert address_of(endpoint, tls=tls) == address


@pytest.mark.parametrize(
    "endpoint",
    [
        "", "http://", "http://:1", "http://a:0", "http://a:65536", "http://a:99999", "http://a:1/x", "ftp://a",
        "http://a b:1", "http://u:p@a:1", "http://a:1\n", "http://a:x", "http://::1:2379", "unix:///run/etcd",
    ],
)  # fmt: skip
def test_what_grpc_would_resolve_to_something_else_is_refused(endpoint: str) -> None:
    with pytest.raises(UsageError, match="no etcd URL"):
        address_of(endpoint, tls=False)


def test_nobody_talks_in_clear_text_who_asked_for_tls() -> None:
    with pytest.raises(UsageError, match="no CA certificate"):
        address_of("https://a:1", tls=False)
    with pytest.raises(UsageError, match="nothing is encrypted"):
        address_of("http://a:1", tls=True)
