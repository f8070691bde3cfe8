"""What the scripted server knows of releases, of what runs under a deployment, and of searches for prompts."""

import re
from collections.abc import Callable
from typing import Any

Iso = Callable[[float], str]
Json = dict[str, Any]
Reply = tuple[int, Any]


def mean(value: float, half: float, n: int) -> Json:
    return {"mean": value, "low": max(0.0, value - half), "high": value + half, "n": n}


def arm(name: str, weight: float, calls: int, errors: float, latency: float, **plan: Any) -> Json:
    width = 1 / (calls + 10) ** 0.5
    metrics = {"errors": mean(errors, 0.3 * width, calls), "latency": mean(latency, 2 * width, calls)}
    metrics |= {"feedback:thumb": mean(0.82 if name == "stable" else 0.88, 1.2 * width, calls // 20)}
    own = {
        "name": name,
        "weight": 1.0,
        "provider": "",
        "model": "",
        "route": "",
        "version": None,
        "params": {},
    }
    return {"name": name, "weight": weight, "calls": calls, "plan": own | plan, "metrics": metrics}


def compared(metric: str, value: float, half: float, verdict: str) -> Json:
    told = {
        "arm": "candidate",
        "metric": metric,
        "difference": value,
        "low": value - half,
        "high": value + half,
    }
    harm = {"errors": 0.02, "latency": 0.2, "feedback:thumb": 0.05}[metric]
    return told | {"relative": metric == "latency", "harm": harm, "p_value": 0.31, "verdict": verdict}


def watched(name: str, direction: str, harm: float) -> Json:
    return {
        "name": name,
        "direction": direction,
        "harm": harm,
        "relative": name == "latency",
        "binary": False,
    }


def decision(at: str, verb: str, reason: str, by: str = "", **evidence: Any) -> Json:
    return {"at": at, "decision": verb, "reason": reason, "evidence": evidence, "by": by}


SUBJECT = {"type": "model", "route": "", "deployment": "ticket-triage", "prompt": "", "label": "production"}


def release(iso: Iso) -> Json:
    difference = {"difference": 0.002, "low": -0.011, "high": 0.015}
    told = {
        "id": "rel_1",
        "name": "triage-v3",
        "kind": "canary",
        "state": "running",
        "subject": SUBJECT,
        "phase": 1,
        "winner": "",
        "sticky_by": "user",
        "evidence": "no_harm",
        "goal": "errors",
        "auto_promote": True,
        "created_at": iso(9000),
        "step_at": iso(3000),
        "ended_at": None,
        "author": "owner",
        "alpha": 0.05,
        "steps": [{"weight": w, "min_calls": 200, "min_seconds": 60.0} for w in (0.05, 0.25, 0.5)],
        "step": 1,
        "shares": {"stable": 0.75, "candidate": 0.25},
        "metrics": [
            watched("errors", "down", 0.02),
            watched("latency", "down", 0.2),
            watched("feedback:thumb", "up", 0.05),
        ],
        "arms": [
            arm("stable", 0.75, 7420, 0.011, 0.231),
            arm("candidate", 0.25, 2480, 0.013, 0.204, model="ticket-triage@3"),
        ],
        "comparisons": [
            compared("errors", 0.002, 0.013, "safe"),
            compared("latency", -0.117, 0.048, "better"),
            compared("feedback:thumb", 0.06, 0.09, "open") | {"high": None},
        ],
        "suite": "support@3f9a1c0b2d4e",
        "judging": {"share": 0.1, "calls": 946, "spent_usd": 0.41, "cap_usd": 5.0, "stopped": False},
        "ratio_check": {
            "ok": True,
            "p_value": 0.62,
            "expected": {"stable": 7425.0, "candidate": 2475.0},
            "counts": {"stable": 7420, "candidate": 2480},
        },
    }
    log = [
        decision(iso(9000), "start", "Begins at 5 % of the calls.", "owner"),
        decision(iso(6000), "hold", "Too few calls for a verdict.", calls=212),
        decision(
            iso(3000), "go_on", "No harm above the margins: 25 %.", looks=41, calls=2480, errors=difference
        ),
    ]
    return told | {"decisions": log}


def stopped(iso: Iso) -> Json:
    """One that was rolled back by itself, and whose split was not as it should be."""
    told = release(iso) | {"id": "rel_2", "name": "shorter-prompt", "kind": "ab", "state": "rolled_back"}
    told |= {
        "subject": {**SUBJECT, "type": "prompt", "prompt": "triage", "deployment": ""},
        "steps": [],
        "step": 0,
    }
    told |= {"shares": {"stable": 1.0, "candidate": 0.0}, "ended_at": iso(400), "auto_promote": False}
    told["arms"] = [
        arm("stable", 1.0, 900, 0.01, 0.23, version=2),
        arm("candidate", 0.0, 640, 0.062, 0.21, version=3),
    ]
    told["comparisons"] = [compared("errors", 0.052, 0.02, "harmful")]
    told["ratio_check"] = {"ok": False, "p_value": 1.2e-6}
    told["ratio_check"] |= {"counts": {"stable": 900, "candidate": 640}}
    told["ratio_check"] |= {"expected": {"stable": 770.0, "candidate": 770.0}}
    why = "Errors rose by 5.2 points, more than the margin of 2, and the interval excludes less than 3.2."
    told["decisions"] = [*told["decisions"][:1], decision(iso(400), "roll_back", why, calls=640)]
    return told


def candidate(n: int, method: str, score: float | None, cost: float, **more: Any) -> Json:
    gain = None
    if score is not None and n:
        told = {"difference": score - 0.74, "low": score - 0.79, "high": score - 0.69, "p_adjusted": 0.012}
        gain = {**told, "verdict": "better" if score > 0.8 else "not shown"}
    return {
        "id": f"c{n}",
        "parent": None if n == 0 else "c0",
        "parents": [] if n == 0 else ["c0"],
        "method": method,
        "model": "gpt-mock",
        "score": score,
        "low": None if score is None else score - 0.05,
        "high": None if score is None else score + 0.04,
        "n": None if score is None else 180,
        "cost_usd": cost,
        "cost": {"value": cost, "n": 180, "low": None, "high": None},
        "gain": gain,
        "selection": {"value": (score or 0.7) + 0.01, "n": 120, "low": None, "high": None},
        "dropped": score is None,
        "note": "The rewriter added the list of products." if method == "rewrite" else "",
        "instruction": "You sort support mail. Answer with category, product and priority.",
        "shots": 4 if method == "few_shot" else 0,
        "prompt_version": None,
    } | more


def prompt_search(iso: Iso) -> Json:
    return {
        "id": "pop_1",
        "prompt": "triage@2",
        "dataset": "tickets@2",
        "metric": "exact_match",
        "state": "succeeded",
        "stage": "held_out",
        "error": "",
        "budget": {"calls": 2000, "cost_usd": 1.0},
        "spent": {"calls": 1840, "cost_usd": 0.412, "lost": 0},
        "best": "c3",
        "pareto": ["c0", "c3"],
        "cost_unit": "USD",
        "accepted": None,
        "created_at": iso(5000),
        "candidates": [
            candidate(0, "start", 0.74, 0.00012),
            candidate(1, "few_shot", 0.79, 0.00031),
            candidate(2, "rewrite", None, 0.00016),
            candidate(3, "cross", 0.86, 0.00019),
        ],
    }


def replica(iso: Iso, version: int, position: int, state: str) -> Json:
    told: Json = {
        "id": f"{version}.{position}",
        "position": position,
        "state": state,
        "reason": "",
        "error": None,
    }
    told |= {
        "url": "",
        "port": 41_000 + 10 * version + position,
        "pid": 4242 + position,
        "restarts": position,
    }
    told |= {"since": iso(500), "ready_at": iso(480), "gpu": None, "gpus": [], "adapters": ["german"]}
    told |= {"cpu_percent": 88.0 - 40 * position, "memory_bytes": 412_000_000 + position * 90_000_000}
    return told | {"gpu_percent": None, "running": 3 - position, "waiting": position}


class Releases:
    """Releases, deployments' replicas and prompt searches, with what the pages change."""

    def __init__(self, iso: Iso) -> None:
        self._iso = iso
        self._releases = {r["id"]: r for r in (release(iso), stopped(iso))}
        self._search = prompt_search(iso)
        self._scale: Json = {}

    def get(self, parts: list[str], q: dict[str, str], *, empty: bool) -> Any:
        """Return an answer, or None for what is not known here."""
        match parts:
            case ["releases"]:
                return {"items": [] if empty else list(self._releases.values()), "next": None}
            case ["releases", name]:
                return self._releases.get(name)
            case ["deployments", "ticket-triage", "logs"]:
                lines = [f"replica {q['replica']}: request {n} took {180 + n % 70} ms" for n in range(60)]
                return {"items": [{"replica": q["replica"], "lines": lines}], "next": None}
            case ["deployments", "ticket-triage", "manifest"]:
                kind = "Deployment" if q["format"] == "kubernetes" else "RayService"
                return f"kind: {kind}\nmetadata:\n  name: ticket-triage\n"
            case ["evals", "optimisations"]:
                return {"items": [] if empty else [self._search], "next": None}
            case ["evals", "optimisations", "pop_1"]:
                return self._search
        return None

    def deployment(self, told: Json) -> Json:
        """The deployment with its replicas' use and what was said about its scale."""
        versions = [
            {
                **v,
                "replicas": [
                    replica(self._iso, v["number"], i, v["replicas"][0]["state"]) for i in range(2 - n)
                ],
            }
            for n, v in enumerate(told["versions"])
        ]
        said = {"autoscale": self._scale or None, "priority": 10, "adapters": {"german": "triage-de@1"}}
        return {**told, **said, "versions": versions, "queue": {"running": 8, "waiting": 1}}

    def change(self, method: str, parts: list[str], body: Any) -> Reply | None:
        """Return status and answer, or None for what is not known here."""
        match [method, *parts]:
            case ["POST", "releases"]:
                if not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", body["name"]):
                    said = f"{body['name']!r} is not a name."
                    hint = "Use letters, digits and . _ -, at most 100."
                    return 400, {"title": "Invalid", "status": 400, "detail": said, "hint": hint}
                made = release(self._iso) | {"id": "rel_3", "name": body["name"], "step": 0, "decisions": []}
                made |= {"subject": {**SUBJECT, **body["subject"]}}
                self._releases["rel_3"] = made
                return 201, made
            case ["POST", "releases", name, verb] if name in self._releases:
                return 200, self._turn(self._releases[name], verb)
            case ["PUT", "deployments", "ticket-triage", "scale"]:
                self._scale = {**body, "requests": 4.0, "idle": 300.0} if "min" in body else {}
                return 200, {}
            case ["POST", "evals", "optimisations"]:
                return 201, self._search
            case ["POST", "evals", "optimisations", "pop_1", "accept"]:
                self._search["accepted"] = {"candidate": body["candidate"], "prompt_version": "triage@3"}
                return 200, {"candidate": body["candidate"], "prompt_version": "triage@3"}
        return None

    def _turn(self, told: Json, verb: str) -> Json:
        """Carry a verb out and write it down."""
        states = {"rollback": "rolled_back", "promote": "promoted", "pause": "paused", "resume": "running"}
        told["state"] = states.get(verb, told["state"])
        shares = {"rollback": (1.0, 0.0), "promote": (0.0, 1.0), "step": (0.75, 0.25)}.get(verb)
        if shares:
            for one, weight in zip(told["arms"], shares, strict=True):
                one["weight"] = weight
        if verb == "step":
            told["step"] += 1
        name = {"rollback": "roll_back", "step": "go_on"}.get(verb, verb)
        told["decisions"] = [
            *told["decisions"],
            decision(self._iso(0), name, "Asked for by a person.", "owner"),
        ]
        return told
