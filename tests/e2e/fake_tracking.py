"""What the scripted server knows of experiments: runs of other trainers, their histories, files and models."""

import json
import math
import random
import re
from collections.abc import Callable
from typing import Any

Iso = Callable[[float], str]
Json = dict[str, Any]
Reply = tuple[int, Any]
EXPERIMENT, OTHER, GONE = "xpt_spam", "xpt_sorting", "xpt_old"
RUNS = {1: "net wide", 2: "net deep", 3: "net small", 4: "broken", 5: "still going"}
STATUS = {4: "failed", 5: "running"}
KEYS = ("train/loss", "val/loss", "val/accuracy", "system/cpu_utilization_percentage")
REPORT = json.dumps({"confusion": [[10, 2], [1, 20]], "labels": ["ham", "spam"]})
CURVE = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="240" height="90"><rect width="240" height="90" fill="#eef"/>'
    '<polyline points="0,80 60,45 120,30 240,15" stroke="#36c" fill="none" stroke-width="3"/></svg>'
)
FILES = {
    "README.md": "# Report\n\nIt *works*.",
    "pages/report.html": "<h1>hi</h1><script>document.title = 'taken over'</script>",
    "plots/curve.svg": CURVE,
    "report.json": REPORT,
    "tables/history.csv": "epoch,loss\n1,0.5\n2,0.25\n",
    "weights/model.safetensors": "0" * 400,
}


def run(iso: Iso, n: int) -> Json:
    started = 9000 - 600 * n
    last = {key: value(key, n, 99) for key in KEYS} | {"test_f1": 0.8 + 0.03 * n}
    tags = {"team": "mail", "mlflow.source.name": "spam/train.py", "mlflow.source.type": "LOCAL"}
    if n == 1:
        tags["mlflow.source.git.commit"] = "0f3c1d2e4b5a69788796a5b4c3d2e1f00112233f"
        tags["mlflow.source.git.repoURL"] = "https://git.example.org/ada/spam.git"
    if n == 4:
        tags["penstock.silent"] = "Nothing was heard of the run's program for 10 minutes."
    data = {"name": "tickets", "digest": "2", "source_type": "penstock", "source": "tickets@2"}
    other = {"name": "spam corpus", "digest": "1afc3e1f", "source_type": "http", "version": "", "tags": {}}
    params = {"lr": str(0.3 / 10 ** (n % 3)), "depth": str(2 * n), "optimizer": ("adam", "sgd")[n % 2]}
    return {
        "id": f"xrn_{n}",
        "experiment_id": EXPERIMENT,
        "name": RUNS[n],
        "status": STATUS.get(n, "finished"),
        "user": "ada",
        "state": "active",
        "started_at": iso(started),
        "ended_at": None if n == 5 else iso(started - 500),
        "params": params | {"seed": "0"},
        "tags": tags,
        "metrics": {key: metric(key, number, 99) for key, number in last.items()}
        | ({"val/loss": metric("val/loss", None, 99)} if n == 4 else {}),
        "datasets": [
            data | {"version": "tickets@2", "tags": {"mlflow.data.context": "training"}},
            other | {"source": '{"url": "https://example.org/spam.csv"}'},
        ],
        "models": [{"model_id": "m-net", "role": "output", "step": 99}],
        "note": "Best so far: **keep**." if n == 1 else "",
    }


def value(key: str, n: int, step: int) -> float:
    noise = random.Random(f"{key}{n}{step}").random()
    if key.startswith("system/"):
        return 50 + 20 * noise
    loss = math.exp(-step * (0.5 + 0.1 * n) / 60) + 0.04 * noise
    return 1 - loss / 2 if key.endswith("accuracy") else loss


def metric(key: str, number: float | None, step: int) -> Json:
    text = "NaN" if number is None else None
    return {"key": key, "value": number, "text": text, "step": step, "at_ms": 1_760_000_000_000 + 1000 * step}


def series(told: Json, key: str) -> Json:
    n = int(told["id"].partition("_")[2])
    points = [metric(key, value(key, n, step), step) for step in range(0, 100, 3)]
    return {"run_id": told["id"], "run": told["name"], "key": key, "points": points}


def entries(path: str) -> list[Json]:
    """Return the files and folders right below a folder."""
    start = f"{path}/" if path else ""
    found: dict[str, Json] = {}
    for name, text in FILES.items():
        if name.startswith(start):
            head, slash, _ = name.removeprefix(start).partition("/")
            file = {"path": start + head, "is_dir": bool(slash), "size": 0 if slash else len(text)}
            found[start + head] = file | {"sha256": "" if slash else f"{len(text):064x}"}
    return list(found.values())


class Tracking:
    """Experiments that can be made, renamed, noted and deleted, and the runs of one of them."""

    def __init__(self, iso: Iso) -> None:
        self._iso = iso
        self._runs = {f"xrn_{n}": run(iso, n) for n in RUNS}
        self._experiments = {
            EXPERIMENT: self._experiment(EXPERIMENT, "spam filter", 5, 1),
            OTHER: self._experiment(OTHER, "ticket sorting", 0, 0),
            GONE: self._experiment(GONE, "first tries", 12, 0) | {"state": "deleted"},
        }

    def _experiment(self, id: str, name: str, runs: int, running: int) -> Json:
        return {
            "id": id,
            "name": name,
            "state": "active",
            "created_at": self._iso(90_000),
            "updated_at": self._iso(600),
            "tags": {"team": "mail"},
            "note": "Which net for the **mail** gateway?" if runs == 5 else "",
            "runs": runs,
            "running": running,
            "last_run_at": self._iso(600) if runs else None,
        }

    def get(self, parts: list[str], q: dict[str, str], *, empty: bool) -> Any:
        """Return an answer, or None for what is not known here."""
        match parts:
            case ["experiments"]:
                wanted = re.sub(r"^.*'%(.*)%'$", r"\1", q.get("filter", ""))
                found = [e for e in self._experiments.values() if e["state"] == q.get("state", "active")]
                return {"items": [] if empty else [e for e in found if wanted in e["name"]], "next": None}
            case ["experiments", id] if id in self._experiments:
                return self._experiments[id]
            case ["experiments", id, "keys"] if id in self._experiments:
                return self._keys(id)
            case ["runs"]:
                return {"items": self._found(q), "next": None}
            case ["runs", "compare"]:
                told = [self._runs[id] for id in q.get("run", "").split() if id in self._runs]
                return [series(one, key) for one in told for key in KEYS]
            case ["runs", id, *rest] if id in self._runs:
                return self._run(id, rest, q)
            case ["logged-models", "m-net", "artifacts"]:
                return entries(q.get("path", ""))
            case ["logged-models", "m-net", "artifacts", "content"]:
                return FILES.get(q["path"])
            case ["lineage", "run", "xrn_1"]:
                edge = {"child_kind": "model_version", "child_ref": "ticket-triage@3", "role": "source"}
                edge |= {"parent_kind": "run", "parent_ref": "xrn_1", "created_at": self._iso(100)}
                return {"items": [edge | {"child_name": None, "parent_name": "net wide"}], "next": None}
        return None

    def _keys(self, id: str) -> Json:
        names = ("train/loss", "val/loss", "val/accuracy", "test_f1", "system/cpu_utilization_percentage")
        many = 5 if id == EXPERIMENT else 0
        keys = {
            "metrics": [{"key": k, "runs": many, "values": many} for k in names],
            "params": [
                {"key": k, "runs": many, "values": n} for k, n in (("lr", 3), ("depth", 5), ("seed", 1))
            ],
            "tags": [{"key": "team", "runs": many, "values": 1}],
        }
        return keys if many else {key: [] for key in keys}

    def _found(self, q: dict[str, str]) -> list[Json]:
        asked = q.get("filter", "")
        found = [r for r in self._runs.values() if r["state"] == q.get("state", "active")]
        if q.get("experiment", EXPERIMENT) != EXPERIMENT or "parentRunId" in asked:
            return []
        if name := re.search(r"run_name ILIKE '%(.*?)%'", asked):
            found = [r for r in found if name[1] in r["name"]]
        if status := re.search(r"status = '(\w+)'", asked):
            found = [r for r in found if r["status"] == status[1]]
        if "`val/loss` DESC" in q.get("order_by", ""):
            found.sort(key=lambda r: r["metrics"]["val/loss"]["value"] or 0, reverse=True)
        return found

    def _run(self, id: str, rest: list[str], q: dict[str, str]) -> Any:
        match rest:
            case []:
                return self._runs[id]
            case ["artifacts"]:
                return entries(q.get("path", "")) if id == "xrn_1" else []
            case ["artifacts", "content"]:
                return FILES.get(q["path"])
            case ["models"]:
                made = {"id": "m-net", "run_id": id, "name": "net", "type": "", "status": "ready"}
                made |= {"created_at": self._iso(700), "role": "output", "params": {}, "tags": {}}
                return [made] if id == "xrn_1" else []
        return None

    def change(self, method: str, parts: list[str], body: Any) -> Reply | None:
        """Return status and answer, or None for what is not known here."""
        match [method, *parts]:
            case ["POST", "experiments"]:
                made = self._experiment("xpt_new", body["name"], 0, 0)
                self._experiments = {"xpt_new": made, **self._experiments}
                return 201, made
            case ["PATCH", "experiments", id] if id in self._experiments:
                self._experiments[id] |= body
                return 200, self._experiments[id]
            case ["DELETE", "experiments", id] if id in self._experiments:
                self._experiments[id]["state"] = "deleted"
                return 200, self._experiments[id]
            case ["POST", "experiments", id, "restore"] if id in self._experiments:
                self._experiments[id]["state"] = "active"
                return 200, self._experiments[id]
            case ["PATCH", "runs", id] if id in self._runs:
                told = self._runs[id]
                told["tags"] |= body.pop("tags", {})
                for key in body.pop("untag", []):
                    del told["tags"][key]
                told |= body
                return 200, told
            case ["DELETE", "runs", id] if id in self._runs:
                self._runs[id]["state"] = "deleted"
                return 200, self._runs[id]
            case ["POST", "runs", id, "restore"] if id in self._runs:
                self._runs[id]["state"] = "active"
                return 200, self._runs[id]
        return None
