"""Links by which an answer could carry data away: images load by themselves, links by a click.

Finds markdown images and links, HTML images, links, frames and scripts, and (if asked) bare addresses whose host is not
allowed.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar
from urllib.parse import urlsplit

import re2

from penstock.guardrails.model import Action, Stage
from penstock.guardrails.options import Options
from penstock.guardrails.ports import Rule, Setting

_address = re.compile(r"(?:[a-z][a-z0-9+.-]{1,15}:|//)[^\s\"'<>)\]]*", re.IGNORECASE)
_ADDRESS = r"(?:[A-Za-z][A-Za-z0-9+.-]{1,15}:|//)"
_PATTERNS = {
    "image": (
        rf"!\[[^\]\n]*\]\s{{0,2}}\([ \t<]{{0,3}}{_ADDRESS}[^)\n]*\)"
        rf"|(?i:<img)\s[^>]*?(?i:src)\s{{0,3}}=\s{{0,3}}[\"']?{_ADDRESS}[^>]*>"
    ),
    "link": (
        rf"\[[^\]\n]*\]\s{{0,2}}\([ \t<]{{0,3}}{_ADDRESS}[^)\n]*\)"
        rf"|\[[^\]\n]+\]:[ \t]{{1,4}}<?{_ADDRESS}[^\s>]+>?"
        r"|<(?i:a|iframe|script|link|form|object|embed)\s[^>]*?(?i:href|src|action|data)"
        rf"\s{{0,3}}=\s{{0,3}}[\"']?{_ADDRESS}[^>]*>"
    ),
    "address": r"(?i:https?)://[^\s\"'<>)\]]+",
}
"""All in RE2: linear time, whatever the text."""
KINDS = ("image", "link", "address")


class UrlsGuard:
    """Options: `allow` (hosts, `*.example.com` for all below), `kinds` (image and link; address too for bare ones)."""

    stages: ClassVar = (Stage.OUTPUT, Stage.INPUT, Stage.BOTH)
    actions: ClassVar = (Action.MASK, Action.BLOCK, Action.FLAG)
    threshold = 0.0

    def __init__(self, options: Mapping[str, Any], setting: Setting) -> None:  # noqa: ARG002 - what every plug-in gets
        given = Options("urls", options)
        allowed = given.texts("allow")
        kinds = given.texts("kinds", KINDS[:2])
        self.roles = frozenset(given.texts("roles"))
        if not set(kinds) <= set(KINDS):
            raise given.bad("kinds", f"some of {', '.join(KINDS)}")
        given.done()
        exact = frozenset(host.lower() for host in allowed if not host.startswith("*."))
        below = tuple(host[1:].lower() for host in allowed if host.startswith("*."))
        check = _check(exact, below)
        self.rules = tuple(
            Rule(name, pattern, re2.compile(pattern), check)
            for name, pattern in _PATTERNS.items()
            if name in kinds
        )


def _check(exact: frozenset[str], below: tuple[str, ...]) -> Callable[[str], int]:
    def allowed(address: str) -> bool:
        try:
            host = (urlsplit(address).hostname or "").lower()
        except ValueError:
            return False
        return host in exact or (bool(below) and host.endswith(below))

    def check(text: str) -> int:
        # Every address in the match has to be allowed: a link's text may hold an image.
        return 0 if all(allowed(found) for found in _address.findall(text)) else len(text)

    return check
