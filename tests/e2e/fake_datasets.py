"""What the scripted server knows of a dataset's checks and of its changes between versions."""

from collections.abc import Callable
from typing import Any

Iso = Callable[[float], str]
Reply = tuple[int, Any]
Json = dict[str, Any]

CHECKS: list[Json] = [
    {"check": "required", "column": "text"},
    {"check": "allowed", "column": "label", "values": ["billing", "bug", "question"], "action": "quarantine"},
    {"check": "missing", "column": "product", "max": 0.05, "action": "warn"},
]


def outcome(check: Json, failed: int, action: str) -> Json:
    examples = [{"text": "Where is my parcel?", "label": "other"}] if failed else []
    told = {"check": check, "label": f"{check['check']} {check['column']}", "action": action}
    return {**told, "met": not failed, "failed": failed, "of": 4200, "reason": "", "examples": examples}


def changes() -> list[Json]:
    found: list[Json] = []
    for i in range(60):
        row = {
            "id": f"ticket-{i}",
            "text": f"My invoice {i} is wrong",
            "label": "billing",
            "priority": "high",
        }
        kind = ("changed", "added", "removed")[i % 3]
        other = {**row, "priority": "low"}
        before = None if kind == "added" else row
        after = None if kind == "removed" else other
        fields = ["priority"] if kind == "changed" else []
        found.append(
            {"change": kind, "key": f"ticket-{i}", "fields": fields, "before": before, "after": after}
        )
    return found


class Datasets:
    """The dataset `tickets`."""

    def __init__(self, iso: Iso) -> None:
        self._iso = iso
        self._now: Json = {"dataset": "tickets", "revision": 2, "checks": CHECKS, "enforce": "fail"}
        self._now |= {"every_hours": 24.0, "created_at": iso(80_000), "created_by": "owner"}

    def get(self, parts: list[str], q: dict[str, str], *, empty: bool) -> Any:
        """Return an answer, or None for what is not known here."""
        match parts:
            case ["datasets", "tickets", "expectations"]:
                return self._now
            case ["datasets", "tickets", "versions", n, "expectations"]:
                failed = [0, 12, 0]
                outcomes = [
                    outcome(c, f, c.get("action", "fail")) for c, f in zip(CHECKS, failed, strict=True)
                ]
                run = {"id": "chk_1", "number": int(n), "revision": 2, "reason": "ingest", "state": "passed"}
                run |= {"rows": 4200, "quarantined": 12, "outcomes": outcomes, "dataset": "tickets"}
                run |= {"checked_at": self._iso(7000), "checked_by": "owner"}
                return {"items": [] if empty else [run], "next": None}
            case ["datasets", "tickets", "diff"]:
                return self._diff(q)
        return None

    def _diff(self, q: dict[str, str]) -> Json:
        every = [c for c in changes() if q.get("change", c["change"]) == c["change"]]
        sides = {"before": f"tickets@{q['from']}", "after": f"tickets@{q['to']}"}
        counts = {"added": 20, "removed": 20, "changed": 20, "unchanged": 4140}
        columns: Json = {"columns_added": ["product"], "columns_removed": [], "columns_retyped": []}
        return {
            **sides,
            **counts,
            **columns,
            "fields": {"priority": 20},
            "examples": every[: int(q["limit"])],
        }

    def change(self, method: str, parts: list[str], body: Any) -> Reply | None:
        """Return status and answer, or None for what is not known here."""
        match [method, *parts]:
            case ["PUT", "datasets", "tickets", "expectations"]:
                self._now |= {**body, "revision": self._now["revision"] + 1}
                return 200, self._now
            case ["POST", "datasets", "tickets", "versions", _, "expectations"]:
                return 202, {"job": "job_1"}
            case ["POST", "datasets", "tickets", "versions", n, "clean"]:
                return self._clean(int(n), body)
            case ["POST", "datasets", _, "pull"]:
                return 202, {"job": "job_2"}
        return None

    def _clean(self, number: int, body: Any) -> Reply:
        names = [step["step"] for step in body["recipe"]["steps"]]
        if "polish" in names:
            problem = {"title": "Invalid", "status": 422, "detail": "There is no step 'polish'."}
            return 422, {**problem, "hint": "Did you mean redact?"}
        if not body["dry_run"]:
            return 201, {"version": "tickets@2", "job": None, "trial": None}
        reports = [{"step": s, "rows_in": 1000, "rows_out": 988, "changed": 4, "counts": {}} for s in names]
        gone = {"line": 17, "step": names[0], "reason": "the same as another row", "kept_line": 3}
        trial = {"ref": f"tickets@{number}", "rows_in": 1000, "rows_out": 988, "complete": False}
        trial |= {"reports": reports, "left_out": [{**gone, "excerpt": "My invoice is wrong"}], "rows": []}
        return 200, {"version": None, "job": None, "trial": trial}
