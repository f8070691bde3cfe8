"""What the scripted server knows of the gateway: providers, routes, keys, limits, spend, prices, batches."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

Iso = Callable[[float], str]
Reply = tuple[int, Any]

SECRET = "psk_" + "0123456789abcdef" * 3
BREAKER = {
    "failures": 10, "error_rate": 0.5, "min_calls": 20, "window": 30.0, "seconds": 10.0, "probes": 1,
}  # fmt: skip


def target(provider: str, model: str, weight: float = 1, route: str = "") -> dict[str, Any]:
    return {"provider": provider, "model": model, "weight": weight, "route": route}


def route(name: str, targets: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    times = ("timeout", "first_token_timeout", "connect_timeout", "idle_timeout")
    none = dict.fromkeys((*times, "hedge_after_ms", "max_concurrent", "shadow"))
    usual = {"strategy": "weighted", "retries": 1, "sticky_by": "user", "queue": 0, "queue_seconds": 10.0}
    return {"name": name, "targets": targets, **none, **usual, "breaker": BREAKER, "arms": [], **more}


SHADOW = {
    "provider": "mock",
    "model": "gpt-next",
    "share": 0.05,
    "max_in_flight": 10,
    "usd_per_day": 2.0,
    "bill_key": False,
}
ROUTES = (
    route("ticket-triage", [target("local", "ticket-triage", 8), target("mock", "gpt-mock", 2)], shadow=SHADOW),
    route(
        "chat", [target("", "", 1, "ticket-triage"), target("azure-europe", "gpt-5-mini-2025-08-07-data-zone")],
        strategy="fallback", retries=3, hedge_after_ms=800.0,
    ),
    route("answers-for-customers-of-the-enterprise-plan", [], arms=[
        {"name": "control", "weight": 9.0, "targets": [target("mock", "gpt-mock")]},
        {"name": "candidate", "weight": 1.0, "targets": [target("local", "ticket-triage")]},
    ]),
)  # fmt: skip


def alerts(iso: Iso) -> list[dict[str, Any]]:
    def one(
        number: int, text: str, fraction: float, delivery: str, error: str | None = None
    ) -> dict[str, Any]:
        return {
            "id": f"alr_{number}", "at": iso(600 * number), "text": text, "budget": "project", "kind": "project",
            "subject": "default", "period": "2026-01", "fraction": fraction, "spent_usd": 200 * fraction,
            "limit_usd": 200.0, "delivery": delivery, "error": error,
        }  # fmt: skip

    whose = "The budget 'project' (project default, 2026-01)"
    return [
        one(
            1, f"{whose} is used up: $200.00 of $200.", 1.0, "waiting", "The webhook answered with HTTP 500."
        ),
        one(2, f"{whose} has reached 80%: $160.00 of $200.", 0.8, "delivered"),
    ]


def providers() -> list[dict[str, Any]]:
    def one(name: str, kind: str, url: str = "", **more: Any) -> dict[str, Any]:
        usual = {"has_key": True, "key_env": "", "options": {}}
        return {"name": name, "kind": kind, "base_url": url, **usual, **more}

    return [
        one("mock", "openai", "http://127.0.0.1:9000/v1"),
        one(
            "azure-europe", "azure", "https://penstock-sweden-central.openai.azure.com",
            key_env="AZURE_KEY", options={"api_version": "2025-04-01-preview"},
        ),
        one("local", "local", has_key=False),
    ]  # fmt: skip


def health(iso: Iso) -> list[dict[str, Any]]:
    def one(
        provider: str, model: str, state: str, requests: int, errors: int, said: str = ""
    ) -> dict[str, Any]:
        return {
            "provider": provider, "model": model, "state": state, "in_flight": requests % 7, "ewma_ms": requests / 40,
            "requests": requests, "errors": errors, "last_error": said,
            "last_error_at": iso(40) if said else None, "last_ok_at": iso(3),
        }  # fmt: skip

    return [
        one("local", "ticket-triage", "closed", 8123, 4),
        one(
            "mock",
            "gpt-mock",
            "open",
            2044,
            391,
            "answered 503: the model is overloaded, try again in a moment",
        ),
        one("azure-europe", "gpt-5-mini-2025-08-07-data-zone", "half_open", 310, 22, "no answer within 30 s"),
    ]


def limits(requests: int, tokens: int, concurrent: int) -> dict[str, Any]:
    return {
        "requests_per_minute": requests, "input_tokens_per_minute": tokens,
        "output_tokens_per_minute": None, "concurrent": concurrent,
    }  # fmt: skip


def spend(subject: str, spent: float, reserved: float, usd: float) -> dict[str, Any]:
    month = datetime.now(UTC).strftime("%Y-%m")
    left = max(0.0, usd - spent - reserved)
    return {
        "subject": subject,
        "period": month,
        "spent_usd": spent,
        "aside_usd": {"copy": round(spent / 10, 2)} if spent else {},
        "reserved_usd": reserved,
        "left_usd": left,
    }


def budget(name: str, usd: float, spent: float, iso: Iso, **more: Any) -> dict[str, Any]:
    usual = {"period": "month", "kind": "project", "subject": "default", "soft": [0.8], "hard": True}
    state = spend("default", spent, usd * 0.03, usd)
    return {"name": name, "usd": usd, **usual, "state": state, "updated_at": iso(5000), **more}


GROUPS = {
    "model": ("gpt-mock", "ticket-triage@2", "text-embedding-3-small"),
    "provider": ("mock", "local"),
    "route": ("ticket-triage", "chat", "answers-for-customers-of-the-enterprise-plan"),
    "key": ("key_1",),
    "user": ("user-1", "user-2", "=HYPERLINK(1)", ""),
    "kind": ("llm", "embedding"),
    "day": ("2026-01-02", "2026-01-03", "2026-01-04"),
}


def usage(by: str) -> list[dict[str, Any]]:
    return [
        {
            "group": group, "calls": 4000 // (i + 1), "errors": 12 * i, "input_tokens": 812_000 // (i + 1),
            "output_tokens": 96_000 // (i + 1), "cached_tokens": 40_000 * i, "cache_write_tokens": 0,
            "reasoning_tokens": 0, "cost_usd": 12.25 / (i + 1), "unpriced": 7 * i, "mean_latency_ms": 240.0 + i,
            "p50_ms": 220.0 + i, "p95_ms": 640.0 + 90 * i, "p99_ms": 910.0 + 200 * i, "ttft_p50_ms": 80.0,
            "ttft_p95_ms": 120.0, "cache_hits": 90 * i,
        }
        for i, group in enumerate(GROUPS.get(by) or ["one", "two"])
    ]  # fmt: skip


CLASSES = (
    "cached", "cache_write", "cache_write_1h", "audio_input", "image_input", "reasoning", "audio_output",
    "image_output",
)  # fmt: skip


def price(model: str, provider: str, numbers: tuple[float, float], **more: Any) -> dict[str, Any]:
    rest = dict.fromkeys((*CLASSES, "image", "request", "batch"))
    named = {"model": model, "provider": provider, "input": numbers[0], "output": numbers[1]}
    return {**named, **rest, "tiers": [], **more}


def listed(model: str, provider: str, numbers: tuple[float, float], **more: Any) -> dict[str, Any]:
    sources = ["https://example.com/pricing"]
    told = {"as_of": "2026-01-05", "sources": sources, "note": "", "only": False}
    return {**price(model, provider, numbers), **told, **more}


TIER = {**dict.fromkeys(CLASSES), "above": 200_000, "input": 6.0, "output": 22.5}
LISTED = [
    listed("claude-sonnet", "anthropic", (3, 15), cached=0.3, cache_write=3.75, batch=0.5, tiers=[TIER]),
    listed("gpt-mock", "openai", (0.25, 2), cached=0.025, note="Alias of the newest snapshot."),
    *[listed(f"family-{n:03d}-instruct-turbo", "openrouter", (n / 100, n / 25), only=True) for n in range(1, 180)],
]  # fmt: skip


def batch(name: str, status: str, counts: tuple[int, int, int], **more: Any) -> dict[str, Any]:
    made = int(datetime.now(UTC).timestamp()) - 5000
    total, completed, failed = counts
    return {
        "id": f"batch_{name}", "object": "batch", "endpoint": "/v1/chat/completions", "status": status,
        "input_file_id": "file-in", "output_file_id": None, "error_file_id": None, "errors": None,
        "created_at": made, "expires_at": made + 86_400, "metadata": None,
        "request_counts": {"total": total, "completed": completed, "failed": failed}, **more,
    }  # fmt: skip


def batches() -> list[dict[str, Any]]:
    refused = {"data": [{"message": "Line 3 is not JSON.", "line": 3}]}
    return [
        batch("01890001aaaabbbb", "in_progress", (2000, 812, 3), metadata={"team": "support"}),
        batch(
            "01890002aaaabbbb",
            "completed",
            (500, 498, 2),
            output_file_id="file-out",
            error_file_id="file-err",
        ),
        batch("01890003aaaabbbb", "failed", (0, 0, 0), errors=refused),
    ]


def invalid(detail: str, hint: str = "") -> Reply:
    return 400, {"title": "Invalid", "status": 400, "detail": detail, "hint": hint}


class Gateway:
    """What the pages show and change."""

    def __init__(self, iso: Iso) -> None:
        self._iso = iso
        self._held: dict[str, dict[str, dict[str, Any]]] = {
            "routes": {each["name"]: json.loads(json.dumps(each)) for each in ROUTES},
            "providers": {each["name"]: each for each in providers()},
            "budgets": {
                "project": budget("project", 200.0, 171.2, iso),
                "each-user": budget("each-user", 5.0, 5.0, iso, period="day", kind="user", subject="*", hard=False),
            },
            "limits": {},
        }  # fmt: skip
        self._webhook: dict[str, Any] = {"url": None, "updated_at": None}
        self._limit("key", "key_1", limits(600, 2_000_000, 40))
        self._own = [
            {**price("gpt-mock", "mock", (0.2, 1.5)), "version": "own-1", "since": iso(9000), "until": None}
        ]
        self._batches = {each["id"]: each for each in batches()}
        self.keys: list[dict[str, Any]] = []
        self._new_key({"name": "first key", "role": "owner"}, hint="psk_a1b2", created_at=iso(90_000))

    def _new_key(self, body: dict[str, Any], **more: Any) -> dict[str, Any]:
        days = body.get("expires_in_days")
        made = {
            "id": f"key_{len(self.keys) + 1}", "name": body["name"], "role": body["role"], "hint": "psk_new1",
            "project": "default", "any_project": body.get("any_project", False), "created_at": self._iso(0),
            "models": body.get("models", []),
            "expires_at": self._iso(-86_400 * days) if days else None, "revoked_at": None, **more,
        }  # fmt: skip
        self.keys.append(made)
        return made

    def get(self, parts: list[str], q: dict[str, str], *, empty: bool) -> Any:
        """Return an answer, or None for what is not known here."""
        match parts:
            case ["keys"]:
                return {"items": self.keys, "next": None}
            case ["gateway", "health"]:
                return {"items": [] if empty else health(self._iso), "next": None}
            case ["usage"]:
                none = empty or q.get("project") == "research"
                return {"items": [] if none else usage(q.get("group_by", "model")), "next": None}
            case ["prices"]:
                return {"items": [] if empty else self._own, "next": None}
            case ["prices", "book"]:
                found = [p for p in LISTED if q.get("q", "") in p["model"]]
                return {"version": "2026-01-05", "about": "List prices.", "items": found}
            case ["alerts", *rest]:
                return self._webhook if rest else {"items": [] if empty else alerts(self._iso), "next": None}
            case ["budgets", name, "subjects"] if name in self._held["budgets"]:
                items = [] if empty else [spend("user-1", 5.0, 0.0, 5.0), spend("user-2", 1.25, 0.5, 5.0)]
                return {"items": items, "next": None}
            case [("routes" | "providers" | "budgets" | "limits") as kind]:
                return {"items": [] if empty else list(self._held[kind].values()), "next": None}
            case [("routes" | "providers" | "budgets") as kind, name]:
                return self._held[kind].get(name)
        return None

    def change(self, method: str, parts: list[str], body: Any) -> Reply | None:
        """Return status and answer, or None for what is not known here."""
        match [method, *parts]:
            case ["POST", "keys"]:
                made = self._new_key(body)
                return 201, {"id": made["id"], "key": SECRET}
            case ["POST", "keys", key_id, "rotate"]:
                return 200, {"id": key_id, "key": SECRET.replace("0123", "9876")}
            case ["DELETE", "keys", key_id]:
                for key in self.keys:
                    if key["id"] == key_id:
                        key["revoked_at"] = self._iso(0)
                return 200, {}
            case ["PUT", "keys", subject, "limits"]:
                return self._limit("key", subject, body)
            case ["PUT", "limits", kind, subject]:
                return self._limit(kind, subject, body)
            case ["PUT", "budgets", name]:
                self._held["budgets"][name] = budget(name, body["usd"], 0.0, self._iso) | body
                return 200, self._held["budgets"][name]
            case ["PUT", "prices"]:
                own = {**price(body["model"], body["provider"], (0, 0)), **body, "until": None}
                self._own.append({**own, "version": f"own-{len(self._own) + 1}", "since": self._iso(0)})
                return 200, self._own[-1]
        return self._other(method, parts, body)

    def _other(self, method: str, parts: list[str], body: Any) -> Reply | None:
        match [method, *parts]:
            case ["PUT", "routes", name]:
                if any(t["provider"] == "nobody" for t in body["targets"]):
                    return invalid("There is no provider nobody.")
                self._held["routes"][name] = {"name": name, **body}
                return 200, self._held["routes"][name]
            case ["PUT", "providers", name]:
                if body["kind"] == "nothing":
                    return invalid("There is no provider kind nothing.", "Known: openai, anthropic, local.")
                env = body["api_key"]["env"] if isinstance(body["api_key"], dict) else ""
                made = {
                    "name": name,
                    "kind": body["kind"],
                    "base_url": body["base_url"],
                    "options": body["options"],
                }
                self._held["providers"][name] = {**made, "has_key": bool(body["api_key"]), "key_env": env}
                return 200, self._held["providers"][name]
            case ["POST", "providers", name, "test"]:
                ok = name != "azure-europe"
                message = "" if ok else "The provider answered 401: the key is not valid."
                return 200, {"ok": ok, "status": 200 if ok else 401, "latency_ms": 42.0, "message": message}
            case ["PUT", "alerts", "webhook"]:
                self._webhook = {"url": body["url"], "updated_at": self._iso(0)}
                return 200, {**self._webhook, "secret": SECRET}
            case ["DELETE", "alerts", "webhook"]:
                self._webhook = {"url": None, "updated_at": None}
                return 200, {}
            case ["DELETE", "prices"]:
                self._own.pop()
                return 200, {}
            case ["DELETE", ("routes" | "providers" | "budgets") as kind, name]:
                self._held[kind].pop(name)
                return 200, {}
        return None

    def _limit(self, kind: str, subject: str, body: Any) -> Reply:
        named = {"kind": kind, "subject": subject, "limits": body, "updated_at": self._iso(0)}
        self._held["limits"][f"{kind} {subject}"] = named
        return 200, body

    def batches(self, *, empty: bool) -> Any:
        """Return the list as OpenAI's API shows it."""
        items = [] if empty else list(self._batches.values())
        return {"object": "list", "data": items, "has_more": False, "first_id": None, "last_id": None}

    def cancel(self, batch_id: str) -> Any:
        """Cancel a batch."""
        self._batches[batch_id]["status"] = "cancelling"
        return self._batches[batch_id]
