"""The SSRF guard."""

import pytest

from penstock.core.errors import Denied, Invalid
from penstock.core.net import check_address, check_url


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "::1", "fd00::1", "::ffff:10.0.0.1", "100.64.0.1"],
)
def test_private_addresses_need_permission(address: str) -> None:
    with pytest.raises(Denied, match="private address"):
        check_address(address, allow_private=False)
    check_address(address, allow_private=True)


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254", "0.0.0.0", "224.0.0.1", "fe80::1"],
)
def test_some_addresses_are_never_allowed(address: str) -> None:
    with pytest.raises(Denied, match="never allowed"):
        check_address(address, allow_private=True)


@pytest.mark.parametrize(
    "url",
    ["ftp://example.com", "file:///etc/passwd", "http://", "https://user:pw@host/", "http://h:99999/", "x"],
)
def test_only_plain_web_addresses_pass(url: str) -> None:
    with pytest.raises(Invalid):
        check_url(url, allow_private=True, resolve_host=False)


def test_names_are_resolved_and_every_address_checked() -> None:
    with pytest.raises(Denied):
        check_url("http://localhost:1/", allow_private=False)
    check_url("http://localhost:1/", allow_private=True)
    check_url("https://8.8.8.8/v1", allow_private=False)
