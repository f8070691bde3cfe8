"""What the scripted server keeps of traces, and how much of its machine deployments and training may take."""

from collections.abc import Callable
from typing import Any

Iso = Callable[[float], str]
Json = dict[str, Any]
Reply = tuple[int, Any]

POLICIES: Json = {
    "retention": {"days": 90, "traces": None},
    "sampling": [
        {"name": "health checks", "rate": 0, "where": {"route": "health"}, "keep": None},
        {
            "name": "busy production",
            "rate": 0.1,
            "where": {"environment": "production", "service": "shop"},
            "keep": {
                "errors": True,
                "judged": True,
                "slower_than_ms": 5000,
                "costlier_than_usd": 0.05,
                "scores_below": {"thumb": 0.5},
            },
        },
    ],
    "masking": {
        "detectors": {
            "pii": {"kinds": ["email", "card", "iban"]},
            "secrets": {},
            "shouting": {"words": ["x"]},
        },
        "patterns": [{"name": "ticket", "pattern": "T-[0-9]{4,}", "replacement": None}],
        "keys": [{"key": "*password*", "action": "drop"}, {"key": "user", "action": "hash"}],
    },
}
NOTHING: Json = {
    "retention": {"days": None, "traces": None},
    "sampling": [],
    "masking": {"detectors": {}, "patterns": [], "keys": []},
}


class Keeping:
    """Policies and quotas, with what the pages change."""

    def __init__(self, iso: Iso) -> None:
        self._iso = iso
        self._policies = POLICIES
        self._quota: Json = {"replicas": 4, "memory_bytes": 8 << 30, "gpus": None}
        self._training: Json = {"runs": 2}
        self._asked: dict[str, int] = {}

    def _stored(self, *, empty: bool) -> Json:
        told = {"policies": NOTHING if empty else self._policies, "effective": {"days": 90, "traces": 0}}
        if empty:
            return told | {"updated_at": None, "updated_by": None, "let_go": []}
        gone = {"day": "2026-01-04", "reason": "sampling", "traces": 4821, "spans": 19_402}
        return told | {"updated_at": self._iso(700), "updated_by": "owner", "let_go": [gone]}

    def get(self, parts: list[str], q: dict[str, str], *, empty: bool) -> Any:
        """Return an answer, or None for what is not known here."""
        match parts:
            case ["traces", "policies"]:
                return self._stored(empty=empty)
            case ["serving", "quota"]:
                return self._quota
            case ["training", "quota"]:
                return self._training
            case ["jobs", "job_redact"]:
                return self._job("traces.redact", {"looked_at": 40, "traces": 12, "spans": 31})
            case ["jobs", "job_reprice"]:
                done = {"calls": 900, "changed": 120, "unpriced": 3, "before_usd": 1.5, "after_usd": 1.25}
                return self._job("traces.reprice", done)
        return None

    def _job(self, kind: str, result: Json) -> Json:
        """Return a job that is under way when first asked for, and done afterwards."""
        self._asked[kind] = asked = self._asked.get(kind, 0) + 1
        told = {"id": kind, "kind": kind, "error": None, "progress": {"looked_at": 20}}
        return told | {
            "state": "running" if asked == 1 else "succeeded",
            "result": None if asked == 1 else result,
        }

    def change(self, method: str, parts: list[str], body: Any) -> Reply | None:
        """Return status and answer, or None for what is not known here."""
        match [method, *parts]:
            case ["PUT", "traces", "policies"]:
                self._policies = body
                return 200, self._stored(empty=False)
            case ["PUT", "serving", "quota"]:
                self._quota = body
                return 200, body
            case ["PUT", "training", "quota"]:
                self._training = body
                return 200, body
            case ["POST", "traces", "redact"]:
                counts = {"looked_at": 40, "traces": 12, "spans": 31} if body["dry_run"] else {}
                return 200, counts | {"dry_run": body["dry_run"], "job": None if counts else "job_redact"}
            case ["POST", "traces", "reprice"] if body["dry_run"]:
                money = {"before_usd": 1.5, "after_usd": 1.25}
                return 202, {"calls": 900, "changed": 120, "unpriced": 3, "job": None} | money
            case ["POST", "traces", "reprice"]:
                return 202, {"job": "job_reprice"}
            case ["POST", "traces", "import"]:
                problem = {"line": 7, "reason": "it is not JSON", "excerpt": "{"}
                done = {"rows": 10, "spans": 27, "traces": 9, "scores": 1, "quarantined": 1, "job": None}
                return 200, done | {"problems": [problem]}
        return None
