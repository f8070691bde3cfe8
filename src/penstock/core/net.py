"""The SSRF guard: every outbound call to an address a user gave passes here."""

import ipaddress
import socket
from urllib.parse import urlsplit

from penstock.core.errors import Denied, Invalid

_METADATA = frozenset({"169.254.169.254", "fd00:ec2::254", "100.100.100.200", "169.254.170.2"})
"""Cloud metadata services: refused even where private addresses are allowed."""


def resolve(host: str, port: int) -> list[str]:
    """Return the IP addresses of `host`; raises Invalid when it has none."""
    try:
        return sorted({str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)})
    except (socket.gaierror, UnicodeError) as error:
        raise Invalid(f"The host {host!r} cannot be resolved.", hint="Check the address.") from error


def check_address(address: str, *, allow_private: bool) -> None:
    """Raise Denied when calling the IP `address` could reach something it should not."""
    ip = ipaddress.ip_address(address)
    mapped = getattr(ip, "ipv4_mapped", None)
    ip = mapped or ip
    if str(ip) in _METADATA or ip.is_multicast or ip.is_unspecified or ip.is_link_local:
        raise Denied(f"Calls to {ip} are never allowed.", hint="Give the address of a model or web server.")
    if not allow_private and not ip.is_global:
        raise Denied(
            f"Calls to the private address {ip} are not allowed.",
            hint="An administrator can allow them by core.allow_private_urls.",
        )


def check_url(url: str, *, allow_private: bool, resolve_host: bool = True) -> None:
    """Raise Invalid when `url` is not http(s), Denied when it points where it should not.

    With `resolve_host=False` names are not looked up (offline); addresses are checked all the same,
    and the caller checks again by `check_address` when it connects.
    """
    parts = urlsplit(url)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise Invalid(f"{url!r} has no valid port.") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Invalid(f"{url!r} is not an http(s) address.", hint="Write it as https://host/path.")
    if parts.username or parts.password:
        raise Invalid("An address must not hold a user name or password.", hint="Use the api_key field.")
    try:
        addresses = [str(ipaddress.ip_address(parts.hostname))]
    except ValueError:
        addresses = resolve(parts.hostname, port) if resolve_host else []
    for address in addresses:
        check_address(address, allow_private=allow_private)
