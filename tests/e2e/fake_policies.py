"""What the scripted server knows of guardrails and of the cache."""

import re
from collections.abc import Callable
from typing import Any

EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+")
Iso = Callable[[float], str]
Reply = tuple[int, Any]


def guard(kind: str, **more: Any) -> dict[str, Any]:
    return {
        "kind": kind,
        "name": "",
        "stage": None,
        "action": None,
        "on_error": "closed",
        "options": {},
    } | more


PII = guard("pii", action="tokenise", options={"kinds": ["email", "iban", "phone"]})
INJECTION = guard("injection", options={"threshold": 0.8})
TOPICS = guard("topics", name="legal-advice", stage="input", action="flag", on_error="open")
CAPS = guard("caps", options={"max_tokens": 8000})
TOPICS["options"] = {"topics": {"law": ["sue", "lawsuit"]}}


def policy(name: str, number: int, guards: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    rules = {"routes": ["*"], "keys": ["*"], "order": 100, "record": "nothing", "description": ""}
    return {"name": name, "number": number, "guards": guards, "author": "owner", **rules, **more}


def policies(iso: Iso) -> dict[str, list[dict[str, Any]]]:
    """Versions of each policy, newest first."""
    text = "Personal data stays here"
    third = {"routes": ["support-*", "ticket-triage"], "record": "hash", "description": text}
    return {
        "support-pii": [
            policy("support-pii", 3, [PII, guard("secrets")], order=10, created_at=iso(4000), **third),
            policy(
                "support-pii",
                2,
                [PII],
                routes=["ticket-triage"],
                order=10,
                description=text,
                created_at=iso(9000),
            ),
            policy("support-pii", 1, [guard("pii")], order=10, created_at=iso(90_000)),
        ],
        "chat-safety": [
            policy("chat-safety", 4, [INJECTION, TOPICS, CAPS], created_at=iso(700)),
        ],
    }


BOTH, BLOCKS = ["both"], ["block", "flag"]
ANY, CHANGES = ["input", "output", "both"], ["mask", "tokenise", "block", "flag"]
KINDS = [
    {"kind": kind, "options": options, "stages": stages, "actions": actions, "error": ""}
    for kind, options, stages, actions in (
        ("caps", "max_chars, max_tokens, max_messages, max_tools.", ANY, BLOCKS),
        ("injection", "threshold (0.8), roles, patterns.", ANY, BLOCKS),
        ("pii", "kinds (default all), roles.", BOTH, CHANGES),
        ("schema", "schema, fenced.", ["output"], BLOCKS),
        ("secrets", "kinds (default all), roles.", BOTH, CHANGES),
        (
            "topics",
            "topics, patterns, roles.",
            BOTH,
            ["block", "flag", "mask"],
        ),
    )
]
VERDICTS = {
    3: ("deny", "injection", "ignore_previous", "chat-safety@4", 0.94, 1),
    8: ("modify", "pii", "email", "support-pii@3", 1.0, 2),
    14: ("flag", "legal-advice", "law", "chat-safety@4", 1.0, 1),
}


def verdict_of(i: int) -> tuple[Any, ...] | None:
    return VERDICTS.get(i % 34)


def tags_of(i: int) -> list[str]:
    found = verdict_of(i)
    return [] if found is None else [f"guard:{found[0]}", f"guard:{found[0]}:{found[3].split('@')[0]}"]


def error_of(i: int) -> str | None:
    found = verdict_of(i)
    if found is None or found[0] != "deny":
        return None
    return (
        f"The request was refused by the guardrail '{found[1]}' of the policy {found[3]} (rule {found[2]})."
    )


def events_of(i: int, at_ns: int) -> list[dict[str, Any]]:
    if (found := verdict_of(i)) is None:
        return []
    outcome, by, rule, ref, score, count = found
    told = {"guard": by, "rule": rule, "verdict": outcome, "score": score}
    told |= {"policy": ref, "stage": "input", "count": count}
    return [{"name": "guardrail", "at_ns": at_ns, "attributes": told}]


def attributes_of(i: int) -> dict[str, Any]:
    cache = ("hit", "miss", "exact", "bypass")[i % 4]
    return {
        "gateway.request_id": f"req_{i}",
        "gateway.status": 200,
        "gateway.attempts": 1 + i % 2,
        "gateway.target": "local/ticket-triage",
        "gateway.arm": "stable",
        "gateway.cache": cache,
    }


def cache_policy(route: str, iso: Iso, **more: Any) -> dict[str, Any]:
    usual = {"mode": "exact", "ttl": 3600.0, "scope": "key", "max_entry_kb": 256, "threshold": 0.95}
    hashed = {"provider": "hashed", "model": ""}
    return {"route": route, **usual, "embedder": hashed, "updated_at": iso(3000), **more}


def stats(empty: bool) -> dict[str, Any]:
    found = {"memory_entries": 812, "memory_bytes": 4_180_000, "hits": 3120, "semantic_hits": 411}
    found |= {"misses": 5230, "bypasses": 96, "stored": 5004, "refused": 130, "dropped": 0}
    if empty:
        return {"entries": 0, "bytes": 0, "process": dict.fromkeys(found, 0)}
    return {"entries": 4821, "bytes": 18_204_112, "process": found}


class Policies:
    """What the pages change."""

    def __init__(self, iso: Iso) -> None:
        self._iso = iso
        self._guards = policies(iso)
        embedder = {"provider": "mock", "model": "text-embedding-3-small"}
        self._cache = {
            "ticket-triage": cache_policy("ticket-triage", iso, mode="semantic", embedder=embedder),
            "*": cache_policy("*", iso, ttl=60.0, scope="project"),
        }

    def get(self, parts: list[str], *, empty: bool) -> Any:
        """Return an answer, or None for what is not known here."""
        match parts:
            case ["guardrails"]:
                return {"items": [] if empty else [v[0] for v in self._guards.values()], "next": None}
            case ["guardrails", "kinds"]:
                return {"items": KINDS, "next": None}
            case ["guardrails", name, "versions"] if name in self._guards:
                return {"items": self._guards[name], "next": None}
            case ["guardrails", name] if name in self._guards:
                return self._guards[name][0]
            case ["cache", "policies"]:
                return {"items": [] if empty else list(self._cache.values()), "next": None}
            case ["cache", "stats"]:
                return stats(empty)
        return None

    def change(self, method: str, parts: list[str], body: Any) -> Reply | None:
        """Return status and answer, or None for what is not known here."""
        match [method, *parts]:
            case ["POST", "guardrails", "check"]:
                return self._check(body)
            case ["PUT", "guardrails", name]:
                return self._put(name, body)
            case ["DELETE", "guardrails", name]:
                self._guards.pop(name)
                return 200, {}
            case ["PUT", "cache", "policies", route]:
                self._cache[route] = {"route": route, "updated_at": self._iso(0), **body}
                return 200, self._cache[route]
            case ["DELETE", "cache", "policies", route]:
                self._cache.pop(route)
                return 200, {}
            case ["DELETE", "cache"]:
                return 200, {"purged": 4821}
        return None

    def _put(self, name: str, body: Any) -> Reply:
        for each in body["guards"]:
            if not isinstance(each["options"].get("kinds", []), list):
                where = f"The policy {name!r}, guard {each['kind']!r}"
                detail = f"{where}: The option kinds of the guard {each['kind']} must be a list of strings."
                return 400, {"title": "Invalid", "status": 400, "detail": detail, "hint": ""}
        versions = self._guards.setdefault(name, [])
        made = {
            "name": name,
            "number": len(versions) + 1,
            "author": "owner",
            "created_at": self._iso(0),
            **body,
        }
        versions.insert(0, made)
        return 200, made

    def _check(self, body: Any) -> Reply:
        text, ref = body["text"], f"{body['policy']}@3" if "policy" in body else "draft@0"
        told = {"policy": ref, "stage": body["stage"], "score": 1.0, "hashes": []}
        verdicts = []
        if finds := len(EMAIL.findall(text)):
            verdicts.append({**told, "outcome": "modify", "guard": "pii", "rule": "email", "count": finds})
        if denied := "ignore all previous" in text:
            verdicts.append(
                {**told, "outcome": "deny", "guard": "injection", "rule": "ignore_previous", "count": 1}
            )
        reason = "The request was refused by the guardrail 'injection'." if denied else ""
        changed = None if denied else EMAIL.sub("<EMAIL_1>", text)
        found = {"allowed": not denied, "text": changed, "reason": reason, "policies": [ref]}
        return 200, {**found, "verdicts": verdicts}
