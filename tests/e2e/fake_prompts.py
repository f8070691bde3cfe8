"""What the scripted server knows of prompts: versions, labels with their history, approval, traffic."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

Iso = Callable[[float], str]
Reply = tuple[int, Any]
Json = dict[str, Any]

SCHEMA = {"type": "object", "properties": {"category": {"type": "string"}}, "required": ["category"]}
TOOL = {"type": "function", "function": {"name": "find_order", "parameters": {"type": "object"}}}


def move(iso: Iso, label: str, version: int, previous: int | None, ago: float, **more: Any) -> Json:
    usual = {"actor": "owner", "kind": "set", "note": "", "approved_by": ""}
    return {"label": label, "version": version, "previous": previous, "at": iso(ago), **usual, **more}


def usage(version: int, calls: int) -> Json:
    """A version that is scored when it is the older one."""
    scored = version == 2
    told = {
        "version": version,
        "calls": calls,
        "errors": 12 if scored else 0,
        "unpriced": 0 if scored else 10,
    }
    told |= {"labels": ["production"] if scored else ["latest", "staging"], "cost_usd": 1.284}
    told |= {"p50_ms": 612.0, "p95_ms": 1800.0, "input_tokens": 1000, "output_tokens": 200}
    scores = [{"origin": "evals", "name": "exact_match", "count": 400, "mean": 0.91}] if scored else []
    means = {"score": 0.91 if scored else None, "feedback": 0.88 if scored else None}
    return {**told, **means, "scores": scores}


class Prompts:
    """The prompt `triage`, and what the pages make besides."""

    def __init__(self, iso: Iso, prompt: Json, versions: list[Json], diff: list[Json]) -> None:
        self._iso = iso
        self._diff = diff
        self._prompt = {**deepcopy(prompt), "protected": ["production"]}
        self._prompt["labels"] |= {"latest": 3}
        self._versions = [{**deepcopy(v), "includes": []} for v in versions]
        newest = self._versions[0]
        newest["includes"] = ["house-style@production"]
        newest["body"] |= {"tools": [TOOL], "output_schema": SCHEMA}
        newest["body"]["settings"] = {"model": "ticket-triage", "temperature": 0, "max_tokens": 200}
        tone = {"name": "tone", "type": "string", "required": False, "default": "plain"}
        newest["body"]["variables"].append({**tone, "description": "How it answers"})
        self._moves = {
            "production": [
                move(iso, "production", 2, 3, 4000, kind="rollback", note="Version 3 answered in German"),
                move(iso, "production", 3, 2, 9000, approved_by="ann"),
                move(iso, "production", 2, 1, 60_000),
                move(iso, "production", 1, None, 90_000),
            ],
            "staging": [move(iso, "staging", 3, None, 9000)],
        }
        asked = {"prompt": "triage", "label": "production", "version": 3, "previous": 2, "state": "open"}
        asked |= {"note": "German is fixed", "asked_by": "bob", "asker_id": "per_2", "asked_at": iso(700)}
        self._requests = [{"id": "prq_1", "decided_by": "", "decided_at": None, "reason": "", **asked}]

    def get(self, parts: list[str], q: dict[str, str], *, empty: bool) -> Any:
        """Return an answer, or None for what is not known here."""
        match parts:
            case ["prompts"] if not empty:
                found = self._matching(q.get("query", ""), q.get("tag", ""))
                return {"items": found, "next": None}
            case ["prompts", "triage"]:
                return {**self._prompt, "history": self._moves["production"]}
            case ["prompts", "triage", "versions"]:
                return {"items": self._versions, "next": None}
            case ["prompts", "triage", "versions", n]:
                return next((v for v in self._versions if v["number"] == int(n)), None)
            case ["prompts", "triage", "diff"]:
                return self._diff
            case ["prompts", "triage", "labels", label, "history"]:
                return {"items": self._moves.get(label, []), "next": None}
            case ["prompts", "triage", "requests"]:
                return {"items": [r for r in self._requests if r["state"] == q["state"]], "next": None}
            case ["prompts", "triage", "usage"]:
                return {"items": [usage(3, 210), usage(2, 4810)], "next": None}
            case ["prompts", "triage", "where-used"]:
                use = {"prompt": "escalation", "version": 4, "reference": "triage@production"}
                items = [{**use, "labels": ["latest", "production"]}]
                callers = [{"version": 2, "by": "route", "name": "ticket-triage", "calls": 4810}]
                made = [{"version": 2, "kind": "eval_run", "ref": "evl_01890003aaaabbbb", "role": "target"}]
                return {"items": items, "next": None, "callers": callers, "made": made}
        return None

    def _matching(self, text: str, tag: str) -> list[Json]:
        words = f"{self._prompt['name']} {self._prompt['description']} {self._prompt['tags']}"
        is_in = text.lower() in words.lower() and (not tag or tag in self._prompt["tags"])
        return [self._prompt] if is_in else []

    def change(self, method: str, parts: list[str], body: Any) -> Reply | None:
        """Return status and answer, or None for what is not known here."""
        match [method, *parts]:
            case ["PUT", "prompts", "triage", "tags"]:
                self._prompt["tags"] = body["tags"]
                return 200, self._prompt
            case ["PUT", "prompts", "triage", "labels", label]:
                return self._point(label, body["version"])
            case ["POST", "prompts", "triage", "labels", label, "rollback"]:
                last = self._moves[label][0]
                self._moved(label, last["previous"], kind="rollback")
                return 200, self._prompt
            case ["PUT" | "DELETE", "prompts", "triage", "protected", label]:
                kept = [x for x in self._prompt["protected"] if x != label]
                self._prompt["protected"] = [*kept, label] if method == "PUT" else kept
                return 200, self._prompt
            case ["POST", "prompts", "requests", request, how]:
                return self._decide(request, how, body)
            case ["POST", "prompts", name, "versions"]:
                return self._keep(name, body)
        return None

    def _moved(self, label: str, version: int, **more: Any) -> None:
        made = move(self._iso, label, version, self._prompt["labels"].get(label), 0, **more)
        self._moves.setdefault(label, []).insert(0, made)
        self._prompt["labels"][label] = version

    def _point(self, label: str, version: int) -> Reply:
        if label not in self._prompt["protected"]:
            self._moved(label, version)
            return 200, self._prompt
        request = {**self._requests[0], "id": f"prq_{len(self._requests) + 1}", "state": "open"}
        request |= {"label": label, "version": version, "note": "", "asked_by": "owner", "asker_id": "per_1"}
        self._requests.append(request)
        return 202, {"request": request}

    def _decide(self, request: str, how: str, body: Any) -> Reply:
        found = next(r for r in self._requests if r["id"] == request)
        found |= {"state": "approved" if how == "approve" else "rejected", "decided_by": "owner"}
        found["reason"] = body["reason"]
        if how == "approve":
            self._moved(found["label"], found["version"], actor=found["asked_by"], approved_by="owner")
        return 200, found

    def _keep(self, name: str, body: Any) -> Reply:
        number = len(self._versions) + 1 if name == "triage" else 1
        whole = {"text": "", "messages": [], "tools": [], "output_schema": None, "settings": {}, **body}
        made = {**self._versions[0], "id": f"pmv_{number}", "prompt": name, "number": number}
        made |= {"ref": f"{name}@{number}", "body": {k: v for k, v in whole.items() if k != "note"}}
        made |= {"note": body["note"], "created_at": self._iso(0), "includes": []}
        if name == "triage":
            self._versions.insert(0, made)
            self._prompt |= {"versions": number}
            self._prompt["labels"]["latest"] = number
        return 201, made
