"""What the scripted server knows of pipelines: runs that go on a step each time they are looked at."""

from collections.abc import Callable
from typing import Any

Iso = Callable[[float], str]
Json = dict[str, Any]
Reply = tuple[int, Any]

STEPS: list[Json] = [
    {"name": "data", "feedback": {"name": "corrections", "kind": "sft", "route": "support"}},
    {
        "name": "train",
        "train": {"recipe": "sft-lora", "values": {"dataset": "${data.ref}", "seed": "${parameters.seed}"}},
    },
    {
        "name": "judge",
        "evaluate": {
            "suite": "${parameters.suite}",
            "model": "${train.model}",
            "gate": [{"metric": "exact", "min": 0.8}],
        },
    },
    {"name": "candidate", "alias": {"model": "${train.model}", "alias": "candidate"}},
]
DOCUMENT: Json = {"name": "nightly", "steps": STEPS, "parameters": {"suite": None, "seed": 1}}
RESULTS: list[Json] = [
    {"ref": "tickets@2", "rows": 4200, "hash": "ab" * 32, "splits": {}},
    {
        "run": "run_018900002222",
        "model": "ticket-triage@3",
        "base": "tiny-base@1",
        "metrics": {"loss": 0.2},
    },
    {
        "run": "evl_01890003aaaabbbb",
        "model": "ticket-triage@3",
        "metrics": {"exact": 0.91},
        "gate": "gat_1",
    },
    {"model": "ticket-triage@3", "alias": "candidate"},
]
FULL = "Waiting for room on the machine: It needs 52428800 bytes of memory; 41943040 are free."
REFUSED = "The gate refused evl_01890003aaaabbbb: exact is 0.71, below 0.8."
ENDS = ("succeeded", "failed", "cancelled")


class Pipelines:
    """Four runs, of which one waits for room and one was refused by its gate."""

    def __init__(self, iso: Iso) -> None:
        self._iso = iso
        made = [
            self._run(4, "waiting", 1, reason=FULL),
            self._run(3, "succeeded", 4),
            self._run(2, "failed", 2, error=REFUSED),
            self._run(1, "cancelled", 0, error="Cancelled."),
        ]
        self._runs = {run["id"]: run for run in made}

    def _run(self, number: int, state: str, done: int, **why: str) -> Json:
        began = 90_000 - 20_000 * number
        return {
            "id": f"pip_{number}",
            "pipeline": "nightly",
            "number": number,
            "inputs": {"document": DOCUMENT, "values": {"suite": "held-out", "seed": number}},
            "state": state,
            "reason": None,
            "error": None,
            "created_at": self._iso(began),
            "ended_at": self._iso(began - 400) if state in ENDS else None,
            "steps": [self._step(n, began) for n in range(done)],
            **why,
        }

    def _step(self, n: int, began: float) -> Json:
        times = {"started_at": self._iso(began - 90 * n), "ended_at": self._iso(began - 90 * n - 80)}
        return {"name": STEPS[n]["name"], "result": RESULTS[n], "seconds": 80.4, **times}

    def get(self, parts: list[str], q: dict[str, str], *, empty: bool) -> Any:
        """Return an answer, or None for what is not known here."""
        match parts:
            case ["pipelines"]:
                newest = next(iter(self._runs.values()))
                one = {"name": "nightly", "document": DOCUMENT, "runs": len(self._runs), "latest": newest}
                return {"items": [] if empty else [one], "next": None}
            case ["pipelines", "runs"]:
                wanted = q.get("state", "")
                found = [run for run in self._runs.values() if wanted in ("", run["state"])]
                return {"items": [] if empty else found, "next": None}
            case ["pipelines", "runs", run_id] if run_id in self._runs:
                return self._watched(self._runs[run_id])
        return None

    def _watched(self, run: Json) -> Json:
        """A run that was started here does a step each time it is looked at."""
        if run["number"] < 5 or run["state"] in ENDS:
            return run
        if len(run["steps"]) == len(STEPS):
            run |= {"state": "succeeded", "ended_at": self._iso(0)}
        else:
            run |= {"state": "running", "reason": None}
            run["steps"] = [*run["steps"], self._step(len(run["steps"]), 60)]
        return run

    def change(self, method: str, parts: list[str], body: Any) -> Reply | None:
        """Return status and answer, or None for what is not known here."""
        match [method, *parts]:
            case ["POST", "pipelines", "runs"]:
                return self._start(body)
            case ["POST", "pipelines", "runs", run_id, "cancel"]:
                self._runs[run_id] |= {"state": "cancelled", "error": "Cancelled.", "reason": None}
                self._runs[run_id]["ended_at"] = self._iso(0)
                return 200, self._runs[run_id]
            case ["POST", "pipelines", "runs", run_id, "resume"]:
                self._runs[run_id] |= {"state": "waiting", "error": None, "ended_at": None}
                return 202, {"run": self._runs[run_id], "job": "job_2"}
        return None

    def _start(self, body: Json) -> Reply:
        if body["values"].get("suite") == "none":
            problem = {"title": "Not found", "status": 404, "detail": "There is no suite 'none'."}
            return 404, {**problem, "hint": "Put it first."}
        made = self._run(len(self._runs) + 1, "waiting", 0)
        made |= {"created_at": self._iso(0)}
        made["inputs"] = {"document": body.get("document") or DOCUMENT, "values": body["values"]}
        self._runs = {made["id"]: made, **self._runs}
        return 202, {"run": made, "job": "job_1"}
