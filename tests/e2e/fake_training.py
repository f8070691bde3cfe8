"""What the scripted server knows of training: runs that go on while they are watched, and searches."""

import math
import random
from collections.abc import Callable
from typing import Any

Iso = Callable[[float], str]
Json = dict[str, Any]
Reply = tuple[int, Any]
NAMES = {1: "triage dpo", 2: "triage sft", 3: "triage sft wide"}
STATES = {1: "running", 2: "succeeded", 3: "failed"}
SFT = """# Supervised fine-tuning with LoRA: rows of prompt and completion; the loss is on the answers alone.
method: sft
adapter: { rank: 16, alpha: 32 }
epochs: 3
learning_rate: 0.0002
"""
DPO = """# Preference training on corrections plus replayed accepted answers, so that what was right stays right.
method: dpo
preference: { beta: 0.1, losses: [sigmoid, sft] }
replay: { copies: 1 }
"""
RECIPES = [
    {"name": "sft-lora", "text": SFT, "description": "Supervised fine-tuning with LoRA"},
    {"name": "dpo-replay", "text": DPO, "description": "Corrections, with what was right replayed"},
]
WAITS = "The project's quota is 2 training runs at once."
ENVIRONMENT = {
    "python": "3.11.9",
    "packages": {"torch": "2.13.0", "transformers": "5.23.0", "trl": "1.16.0"},
    "threads": 1,
    "machine": {"cpu": "2 cores", "gpu": None},
}


def recipe(n: int) -> Json:
    method = "dpo" if n == 1 else "sft"
    rate = {1: 5e-5, 2: 2e-4, 3: 1e-3}.get(n, 2e-4)
    told: Json = {"name": "triage", "method": method, "base": "tiny-base@1", "dataset": "tickets@2"}
    return told | {"adapter": {"rank": 8 * n, "alpha": 32}, "learning_rate": rate, "epochs": 3, "seed": 0}


def run(iso: Iso, n: int) -> Json:
    live = n == 1
    now = {"stage": "train", "step": 118, "steps": 300, "epoch": 1.2, "loss": 0.41, "eta_s": 42.0}
    return {
        "id": f"run_01890000{n * 1111}",
        "name": NAMES[n],
        "state": STATES[n],
        "method": "dpo" if live else "sft",
        "base": "tiny-base@1",
        "dataset": "tickets@2",
        "key": None,
        "job_id": "job_1",
        "model": "ticket-triage@1" if n == 2 else None,
        "error": "The training process was ended at step 40: it ran out of memory." if n == 3 else None,
        "author": "owner",
        "created_at": iso(5000 * n),
        "started_at": iso(5000 * n - 4),
        "ended_at": None if live else iso(5000 * n - 140),
        "progress": now | {"cost_usd": 0.0021} if live else {},
        "examples": [{"context": "<|user|>\nMy invoice is wrong\n", "trained": "category: billing"}],
        "metrics": {"loss": 0.214, "eval_loss": 0.26} if n == 2 else {},
        "recipe": recipe(n),
        "environment": ENVIRONMENT | {"threads": 2 if n == 3 else 1},
        "inputs": [
            {"kind": "dataset_version", "ref": "tickets@2", "hash": "cd" * 32},
            {"kind": "model_version", "ref": "tiny-base@1", "hash": "ef" * 32},
        ],
        "parents": ["tickets@2", "tiny-base@1"],
        "weights_hash": "5a" * 32 if n == 2 else None,
        "note": "Better than the wide one: **keep**." if n == 2 else "",
        "wish": None,
        "search": None,
    }


def point(iso: Iso, step: int, rng: random.Random, scale: float = 1.0) -> Json:
    values = {
        "steps": 300.0,
        "loss": 0.2 * scale + 2.5 * math.exp(-step / (40 * scale)) + rng.random() * 0.08,
        "learning_rate": 2e-4 * (1 - step / 300),
        "tokens_per_second": 5200 + rng.random() * 300,
        "grad_norm": scale + rng.random(),
        "memory_bytes": 6.4e8 + step * 1e5,
        "cpu_percent": 96 + rng.random() * 6,
        "power_w": 34 + rng.random() * 4,
    }
    if step % 20 == 0:
        values["eval_loss"] = 0.26 * scale + 2.4 * math.exp(-step / (42 * scale))
    return {"step": step, "at": iso(5000 - step), "time": iso(5000 - step), "values": values} | values


def trial(n: int, rng: random.Random) -> Json:
    rate, rank = 10 ** rng.uniform(-5, -3), rng.choice([4, 8, 16, 32])
    fit = math.exp(-((math.log10(rate) + 3.6) ** 2) * 2)
    exact = round(0.62 + 0.33 * fit + rank / 1000 + rng.random() * 0.02, 4)
    state = "running" if n == 23 else "cancelled" if n == 9 else "pruned" if n % 7 == 5 else "complete"
    given = {"learning_rate": rate, "adapter.rank": rank, "schedule": rng.choice(["linear", "cosine"])}
    told: Json = {"number": n, "state": state, "run_id": f"run_trial{n}", "params": given, "error": None}
    reached = {"eval.exact_match": exact, "seconds": round(40 + rank * 3.1 + rng.random() * 9, 2)}
    return told | {"values": reached if state == "complete" else {}}


def search(iso: Iso) -> Json:
    rng = random.Random(11)
    trials = [trial(n, rng) for n in range(24)]
    done = [t for t in trials if t["values"]]

    def beaten(one: Json) -> bool:
        mine = one["values"]
        return any(
            o["values"]["eval.exact_match"] > mine["eval.exact_match"]
            and o["values"]["seconds"] <= mine["seconds"]
            for o in done
        )

    objectives = [
        {"metric": "eval.exact_match", "direction": "maximize"},
        {"metric": "seconds", "direction": "minimize"},
    ]
    plan: Json = {"recipe": recipe(2), "space": {}, "objectives": objectives, "sampler": {"name": "tpe"}}
    plan |= {"pruner": {"name": "none"}, "trials": 40, "parallel": 2, "suite": "triage held-out"}
    told: Json = {"id": "srch_1", "plan": plan, "state": "running", "job_id": "job_1", "error": None}
    told |= {"author": "owner", "created_at": iso(4000), "started_at": iso(3990), "ended_at": None}
    shares = {
        "eval.exact_match": {"learning_rate": 0.78, "adapter.rank": 0.16, "schedule": 0.06},
        "seconds": {"adapter.rank": 0.91, "learning_rate": 0.05, "schedule": 0.04},
    }
    told |= {"importance": shares["eval.exact_match"], "importances": shares}
    return told | {"trials": trials, "pareto": [t["number"] for t in done if not beaten(t)]}


def previewed(asked: Json) -> Json:
    """Three rows; the second example is longer. A base that is not there brings problems instead."""
    shown = [
        (
            "<|user|>\nMy invoice is wrong\n<|assistant|>\n",
            "category: billing\npriority: high<|end|>",
            31,
            12,
        ),
        ("<|user|>\nThe app crashes when I open the camera\n<|assistant|>\n", "category: bug<|end|>", 24, 6),
    ]
    examples = [
        {
            "row": i + 1,
            "name": "answer",
            "text": before + after,
            "segments": [{"text": before, "trained": False}, {"text": after, "trained": True}],
            "tokens": tokens,
            "trained_tokens": trained,
        }
        for i, (before, after, tokens, trained) in enumerate(shown)
    ]
    problems = []
    if asked.get("max_length", 512) < 64:
        problems = [
            {"row": 17, "message": "it has 71 tokens, more than max_length = 32"},
            {"row": 204, "message": "completion is empty"},
        ]
    return {"problems": problems, "problem_count": len(problems), "examples": examples, "rows": 4200}


def hosted(iso: Iso, state: str, model: str | None) -> Json:
    plan = {"provider": "openai", "model": "gpt-small", "dataset": "tickets@2", "method": "sft"}
    told: Json = {"id": f"hst_{state}", "plan": plan, "dataset": "tickets@2", "state": state, "remote": {}}
    return told | {
        "model": model,
        "error": None,
        "author": "owner",
        "created_at": iso(3000),
        "ended_at": None,
    }


class Training:
    """Runs and searches, with what the pages change."""

    def __init__(self, iso: Iso) -> None:
        self._iso = iso
        self._runs = {r["id"]: r for r in (run(iso, n) for n in (1, 2, 3))}
        self._search = search(iso)
        rng = random.Random(7)
        self._points = {
            run_id: [point(iso, s, rng, 1.0 + 0.5 * i) for s in range(0, (120, 300, 40)[i], 2)]
            for i, run_id in enumerate(self._runs)
        }

    def get(self, parts: list[str], q: dict[str, str], *, empty: bool) -> Any:
        """Return an answer, or None for what is not known here."""
        match parts:
            case ["training", "recipes"]:
                return {"items": RECIPES, "next": None}
            case ["training", "runs"]:
                return {"items": [] if empty else self._chosen(q), "next": None}
            case ["training", "runs", run_id] if run_id in self._runs:
                return self._watched(run_id)
            case ["training", "runs", run_id, what] if run_id in self._runs:
                return self._part(run_id, what)
            case ["training", "hosted"]:
                jobs = [
                    hosted(self._iso, "running", None),
                    hosted(self._iso, "succeeded", "ft:gpt-small:triage"),
                ]
                return {"items": [] if empty else jobs, "next": None}
            case ["training", "searches"]:
                return {"items": [] if empty else [self._search | {"trials": []}], "next": None}
            case ["training", "searches", "srch_1"]:
                return self._search
        return None

    def _chosen(self, q: dict[str, str]) -> list[Json]:
        found = [r for r in self._runs.values() if q.get("state", r["state"]) == r["state"]]
        return [r for r in found if q.get("query", "") in r["name"]]

    def _watched(self, run_id: str) -> Json:
        """A run that was started here waits at first, then goes on a little each time it is looked at."""
        told = self._runs[run_id]
        if not run_id.startswith("run_new") or told["state"] not in ("queued", "running"):
            return told
        if told["state"] == "queued" and "stage" not in told["progress"]:
            told["progress"] = {"stage": "waiting", "reason": WAITS}
            return told
        step = told["progress"].get("step", 0) + 30
        told["state"], told["started_at"] = "running", self._iso(60)
        told["progress"] = {"stage": "train", "step": step, "steps": 120, "eta_s": 1.0, "loss": 0.3}
        rng = random.Random(step)
        self._points[run_id] = [point(self._iso, s, rng) for s in range(0, step, 2)]
        if step >= 120:
            told |= {"state": "succeeded", "model": "ticket-triage@4", "ended_at": self._iso(0)}
            told["metrics"] = {"loss": 0.23}
        return told

    def _part(self, run_id: str, what: str) -> Any:
        if what == "metrics":
            return {"items": self._points.get(run_id, []), "next": None}
        if what == "log":
            lines = [f"step {i} loss {2.5 * math.exp(-i / 60):.3f}" for i in range(0, 120, 5)]
            return {"text": "\n".join(lines)}
        if what == "artifacts":
            made = {"kind": "checkpoint", "step": 50, "size": 2_911_233, "sha256": "c0ffee" * 10 + "beef"}
            log = {"kind": "log", "step": None, "size": 4120, "sha256": "", "created_at": self._iso(900)}
            file = {**made, "path": "checkpoints/50/model.safetensors", "created_at": self._iso(1000)}
            return {"items": [file, {**log, "path": "child.log"}], "next": None}
        return None

    def change(self, method: str, parts: list[str], body: Any) -> Reply | None:
        """Return status and answer, or None for what is not known here."""
        match [method, *parts]:
            case ["POST", "training", "preview"]:
                return 200, previewed(body["recipe"])
            case ["POST", "training", "runs"]:
                return self._start(body["recipe"])
            case ["POST", "training", "searches"]:
                return 201, self._search
            case ["POST", "training", "searches", "srch_1", verb]:
                self._search["state"] = "stopped" if verb == "stop" else "running"
                return 200, self._search
            case ["PUT", "training", "runs", run_id, "note"]:
                self._runs[run_id]["note"] = body["text"]
                return 200, self._runs[run_id]
            case ["POST", "training", "runs", run_id, verb] if run_id in self._runs:
                after = {"pause": "paused", "resume": "running", "cancel": "cancelled"}
                self._runs[run_id]["state"] = after[verb]
                return 200, self._runs[run_id]
        return None

    def _start(self, asked: Json) -> Reply:
        if not asked.get("base"):
            problem = {"title": "Invalid", "status": 422, "detail": "base is missing."}
            return 422, {**problem, "hint": "Name a model version to start from."}
        made = run(self._iso, 2) | {"id": f"run_new{len(self._runs)}", "name": asked.get("name", "new")}
        made |= {"state": "queued", "model": None, "metrics": {}, "recipe": asked, "started_at": None}
        made |= {"ended_at": None, "weights_hash": None, "note": "", "method": asked["method"]}
        self._runs = {made["id"]: made, **self._runs}
        return 201, made
