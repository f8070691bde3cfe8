"""Keys and passwords: by their issuers' formats, and by name (`password = …`) where the value looks random.

Formats: the issuers' documentation and https://github.com/gitleaks/gitleaks (config/gitleaks.toml, MIT).
"""

import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, ClassVar

from penstock.core.errors import Invalid
from penstock.core.suggest import did_you_mean
from penstock.guardrails.model import Action, Stage
from penstock.guardrails.options import Options
from penstock.guardrails.ports import Rule, Setting

_FORMATS: dict[str, tuple[str, str]] = {
    "private_key": (
        r"-----BEGIN [A-Z ]*PRIVATE KEY",
        r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:(?:[A-Za-z0-9+/=\s:,.\\]|-(?!----)){1,8000}?-----END [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----)?",
    ),
    "aws_key": (r"(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}", r"(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}"),
    "github_token": (
        r"gh[opsur]_[A-Za-z0-9]{20}|github_pat_[A-Za-z0-9_]{20}",
        r"(?:gh[opsur]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255})",
    ),
    "gitlab_token": (r"glpat-[A-Za-z0-9_-]{20}", r"glpat-[A-Za-z0-9_-]{20,60}"),
    "slack_token": (r"xox[abeprs]-[A-Za-z0-9-]{10}", r"xox[abeprs]-[A-Za-z0-9-]{10,200}"),
    "stripe_key": (r"[rs]k_(?:live|test)_[A-Za-z0-9]{10}", r"[rs]k_(?:live|test)_[A-Za-z0-9]{16,200}"),
    "google_key": (r"AIza[A-Za-z0-9_-]{35}", r"AIza[A-Za-z0-9_-]{35}"),
    "huggingface_token": (r"hf_[A-Za-z0-9]{30}", r"hf_[A-Za-z0-9]{30,50}"),
    "npm_token": (r"npm_[A-Za-z0-9]{30}", r"npm_[A-Za-z0-9]{36}"),
    "pypi_token": (r"pypi-[A-Za-z0-9_-]{30}", r"pypi-[A-Za-z0-9_-]{50,400}"),
    "sendgrid_key": (r"SG\.[A-Za-z0-9_-]{20}", r"SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{32,64}"),
    "penstock_key": (r"psk_[A-Za-z0-9_-]{20}", r"psk_[A-Za-z0-9_-]{40,100}"),
    "api_key": (r"sk-[A-Za-z0-9_-]{16}", r"sk-[A-Za-z0-9_-]{20,200}"),
    "jwt": (
        r"eyJ[A-Za-z0-9_-]{10}",
        r"eyJ[A-Za-z0-9_-]{10,4000}\.eyJ[A-Za-z0-9_-]{10,8000}\.[A-Za-z0-9_-]{10,2000}",
    ),
}
_NAMED = (
    r"(?i)(?:password|passwd|secret|token|api[_-]?key|access[_-]?key|account[_-]?key|credential)s?[\"']?"
    r"[ \t]{0,3}[:=][=>]?[ \t]{0,3}[\"']?[A-Za-z0-9+/=_.~!@#$%^&*-]{12}",
    r"(?i:password|passwd|secret|token|api[_-]?key|access[_-]?key|account[_-]?key|credential)s?[\"']?"
    r"[ \t]{0,3}(?::|=>?|:=)[ \t]{0,3}[\"']?[A-Za-z0-9+/=_.~!@#$%^&*-]{12,200}",
)
_URL_PASSWORD = (
    r"://[^\s:@/]+:[^\s@/]+@",
    r"[a-z][a-z0-9+.-]{1,15}://[^\s:@/\"'<>]{1,64}:[^\s@/\"'<>]{3,128}@",
)
_value = re.compile(r"[A-Za-z0-9+/=_.~!@#$%^&*-]{12,200}$")
KINDS = (*_FORMATS, "url_password", "named_secret")
MIN_ENTROPY = 3.0
"""Bits per character that a named value must have: `changeme-changeme` has 2.8, random ones 3.3 and more."""


def entropy(text: str) -> float:
    """Return Shannon's entropy of the characters of `text`, in bits per character."""
    size = len(text)
    return -sum(n / size * math.log2(n / size) for n in Counter(text).values())


def _named(text: str) -> int:
    found = _value.search(text)
    if found is None or entropy(found.group()) < MIN_ENTROPY:
        return 0
    value = found.group()
    mixed = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
    return len(text) if mixed else 0


def _rules() -> dict[str, Rule]:
    found = {}
    for name, (prefilter, exact) in _FORMATS.items():
        whole = exact if name == "private_key" else rf"(?<![A-Za-z0-9_-])(?:{exact})(?![A-Za-z0-9_-])"
        found[name] = Rule(name, prefilter, re.compile(whole, re.ASCII))
    found["url_password"] = Rule("url_password", _URL_PASSWORD[0], re.compile(_URL_PASSWORD[1], re.ASCII))
    found["named_secret"] = Rule("named_secret", _NAMED[0], re.compile(_NAMED[1], re.ASCII), _named)
    return found


_RULES = _rules()


class SecretsGuard:
    """Options: `kinds` (default all), `roles`."""

    stages: ClassVar = (Stage.BOTH,)
    actions: ClassVar = (Action.MASK, Action.TOKENISE, Action.BLOCK, Action.FLAG)
    threshold = 0.0

    def __init__(self, options: Mapping[str, Any], setting: Setting) -> None:  # noqa: ARG002 - what every plug-in gets
        given = Options("secrets", options)
        kinds = given.texts("kinds", KINDS)
        self.roles = frozenset(given.texts("roles"))
        given.done()
        for kind in kinds:
            if kind not in KINDS:
                raise Invalid(f"There is no kind of secret {kind!r}.", hint=did_you_mean(kind, KINDS))
        self.rules = tuple(rule for name, rule in _RULES.items() if name in kinds)
