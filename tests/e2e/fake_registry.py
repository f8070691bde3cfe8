"""What the scripted server knows of stages, lineage, scans and variants of models."""

from collections.abc import Callable
from typing import Any

Iso = Callable[[float], str]
Json = dict[str, Any]
Reply = tuple[int, Any]

RULES: list[Json] = [
    {
        "stage": "production",
        "model": "",
        "after": ["staging"],
        "evaluations": [
            {
                "suite": "triage held-out",
                "metric": "exact_match",
                "min": 0.9,
                "max": None,
                "bound": "low",
                "gate": True,
            }
        ],
        "papers": ["licence", "scan"],
        "approvals": 1,
        "role": "admin",
        "alone": True,
    },
    {"stage": "staging", "model": "", "after": [], "evaluations": [], "papers": ["scan"], "approvals": 0},
]


def request(iso: Iso, n: int, asker: str) -> Json:
    told: Json = {"id": f"srq_{n}", "model": "ticket-triage", "version": 3, "stage": "production"}
    told |= {"previous": "staging", "state": "open", "comment": "Held out 98.1 %", "asked_by": asker}
    told |= {"asked_at": iso(700 * n), "ref": "ticket-triage@3"}
    return told | {"approvals": [], "decided_by": "", "decided_at": None, "reason": ""}


def lineage() -> Json:
    nodes = [
        ("dataset_version", "tickets@1", "tickets@1"),
        ("dataset_version", "tickets@2", "tickets@2"),
        ("model_version", "tiny-base@1", "tiny-base@1"),
        ("training_run", "run_018900002222", "triage sft"),
        ("model_version", "ticket-triage@1", "ticket-triage@1"),
        ("model_version", "ticket-triage@3", "ticket-triage@3"),
        ("eval_run", "evl_01890003aaaabbbb", "triage held-out"),
        ("deployment", "ticket-triage@2", "ticket-triage@2"),
        ("traces", "ticket-triage@2", "traces of ticket-triage@2"),
        *[("trace", f"{n:032x}", f"{n:032x}") for n in range(1, 13)],
    ]
    edges = [
        (0, 1, "cleaned"),
        (1, 3, "data"),
        (2, 3, "base"),
        (3, 4, "result"),
        (4, 5, "gguf q8_0"),
        (5, 6, "judged"),
        (5, 7, "serves"),
        (7, 8, "answered"),
        *[(9 + n, 0, "row") for n in range(12)],
    ]
    ids = [f"{kind}:{ref}" for kind, ref, _ in nodes]
    return {
        "nodes": [{"kind": k, "ref": r, "label": label} for k, r, label in nodes],
        "edges": [{"from": ids[a], "to": ids[b], "role": role} for a, b, role in edges],
    }


def variant(
    at: int, method: str, options: Json, size: float, speed: float, quality: float, *, worse: bool
) -> Json:
    delta = None if at == 0 else quality - 0.981
    judged: Json = {"metric": "exact_match", "value": quality, "low": quality - 0.02, "high": quality + 0.014}
    judged |= {"n": 400, "higher_is_better": True, "eval_run": "evl_01890003aaaabbbb", "delta": delta}
    judged |= {
        "delta_low": None if delta is None else delta - 0.012,
        "delta_high": None if delta is None else delta + 0.012,
    }
    judged |= {"p_value": None, "detectable": 0.021, "worse": None if at == 0 else worse}
    name = "ticket-triage@3" if at == 0 else f"ticket-triage-{method}@{at}"
    told = {"position": at, "method": method, "options": options, "version": name, "state": "succeeded"}
    told |= {"runner": method, "provider": "CPUExecutionProvider", "prompts": 60, "tokens": 3840}
    figures = {"size_bytes": size * 1e6, "load_s": 0.05 + size / 40, "memory_bytes": 47e6 + size * 9e6}
    return (
        told
        | figures
        | {"tokens_per_s": speed, "first_token_s": 30 / speed, "quality": judged, "error": None}
    )


def variants() -> list[Json]:
    made = [
        variant(1, "gguf", {"quantization": "q8_0"}, 0.74, 3300, 0.981, worse=False),
        variant(2, "gguf", {"quantization": "q4_0"}, 0.4, 4116, 0.953, worse=True),
        variant(3, "onnx", {"precision": "int8"}, 1.21, 3620, 0.979, worse=False),
        variant(4, "onnx", {"precision": "int4"}, 0.49, 3662, 0.962, worse=False),
        variant(5, "ctranslate2", {"quantization": "int8"}, 0.71, 10579, 0.976, worse=False),
    ]
    none = dict.fromkeys(("size_bytes", "load_s", "memory_bytes", "tokens_per_s", "first_token_s", "quality"))
    failed = {**made[0], **none, "position": 6, "method": "torchao", "options": {}, "version": None}
    why = "No GPU is present: the engine was built but could not be run."
    return [*made, {**failed, "state": "failed", "provider": "", "error": why}]


def optimisation(iso: Iso, version: str = "ticket-triage@3") -> Json:
    why = "ticket-triage-ctranslate2@5 is the cheapest by tokens_per_s that is not worse; 1 of 5 is worse."
    return {
        "id": "opt_1",
        "state": "succeeded",
        "parent": version,
        "baseline": variant(0, "parent", {}, 2.76, 650, 0.981, worse=False),
        "variants": variants(),
        "chosen": "ticket-triage-ctranslate2@5",
        "reason": why,
        "error": None,
        "author": "owner",
        "created_at": iso(2000),
    }


def schema(option: str, values: list[str]) -> Json:
    return {
        "$ref": "#/$defs/It",
        "$defs": {"It": {"properties": {option: {"enum": values, "default": values[0]}}}},
    }


METHODS: list[Json] = [
    {"name": "merge", "text": "An adapter folded into its base.", "main": "", "options": {}},
    {
        "name": "gguf",
        "text": "One file for llama.cpp.",
        "main": "quantization",
        "options": schema("quantization", ["f16", "q8_0", "q4_0"]),
    },
    {
        "name": "onnx",
        "text": "A folder for onnxruntime-genai.",
        "main": "precision",
        "options": schema("precision", ["fp32", "int8", "int4"]),
    },
    {
        "name": "prune",
        "text": "Fewer weights.",
        "main": "structure",
        "options": schema("structure", ["magnitude", "heads"]),
    },
]


def more_of(number: int) -> Json:
    """What a version's page shows besides what it always had."""
    found = []
    if number == 1:
        found = [
            {"path": "config.json", "format": "pickle", "imports": ["os.system"], "dangerous": ["os.system"]}
        ]
    scan = {
        "at": "2026-01-04T10:00:00Z",
        "files": {"safetensors": 1, "json": 1},
        "findings": found,
        "safe": not found,
    }
    moves = [{"number": number, "stage": "staging", "previous": "development", "actor": "owner"}]
    return {
        "licence": "apache-2.0",
        "intended_use": "Sorting support mail; not for anything that decides about people.",
        "signature": {"task": "chat", "inputs": {"messages": "list"}, "outputs": {"text": "string"}},
        "scan": scan,
        "manifest": {"payloadType": "application/vnd.in-toto+json", "signatures": [{"keyid": "ab12"}]},
        "verdict": {
            "signed": True,
            "holds": number > 1,
            "key_id": "ab12",
            "problems": [] if number > 1 else ["config.json is not as it was signed."],
        },
        "evidence": [
            {"kind": "eval_run", "ref": "evl_01890003aaaabbbb", "role": "judged"},
            {"kind": "deployment", "ref": "ticket-triage", "role": "serves"},
        ],
        "card_edited": False,
        "stage_history": [
            {**moves[0], "at": "2026-01-05T10:00:00Z", "comment": "For the trial", "approved_by": []}
        ],
    }


TRANSITIONS = [
    {"stage": "staging", "reasons": [], "approvals": 0},
    {
        "stage": "production",
        "reasons": ["It is in development; production is reached from staging."],
        "approvals": 1,
    },
    {"stage": "archived", "reasons": [], "approvals": 0},
]


class Registry:
    """Models' stages and variants, with what the pages change."""

    def __init__(self, iso: Iso) -> None:
        self._iso = iso
        self._rules = list(RULES)
        self._requests = [request(iso, 1, "bob"), request(iso, 2, "owner")]
        self._jobs: list[Json] = [optimisation(iso)]
        self._cards: dict[str, str] = {}
        self._checks: dict[str, Json] = {}

    def get(self, parts: list[str], q: dict[str, str], *, empty: bool) -> Any:
        """Return an answer, or None for what is not known here."""
        match parts:
            case ["models", "stages"]:
                return {"items": [] if empty else self._rules, "next": None}
            case ["models", "requests"]:
                wanted = [r for r in self._requests if q.get("state", r["state"]) == r["state"]]
                return {"items": [] if empty else wanted, "next": None}
            case ["models", "ticket-triage", "versions", _, "lineage"]:
                return lineage() | {"truncated": False}
            case ["models", "ticket-triage", "versions", _, "transitions"]:
                return {"items": TRANSITIONS, "next": None}
            case ["jobs", job] if job in self._checks:
                return self._checked(job)
            case ["optimise", "methods"]:
                return {"items": METHODS, "next": None}
            case ["optimise"]:
                return {"items": self._jobs if q.get("version") == "ticket-triage@3" else [], "next": None}
            case ["optimise", job]:
                return next((o for o in self._jobs if o["id"] == job), None)
        return None

    def _checked(self, job: str) -> Json:
        """A check reads its file when it is looked at first, and has ended when it is looked at again."""
        told = self._checks[job]
        if told["state"] == "queued":
            told |= {"state": "running", "progress": {"file": "model.safetensors"}}
            return dict(told)
        problems = [] if told["kind"] == "registry.scan" else ["model.safetensors: 3 bytes are others."]
        found = {"ref": "ticket-triage@3", "signed": True, "holds": not problems, "problems": problems}
        return told | {"state": "succeeded", "result": found}

    def _check(self, kind: str) -> Reply:
        job = f"job_check_{len(self._checks)}"
        blank = {"progress": None, "result": None, "error": None}
        self._checks[job] = {"id": job, "kind": kind, "state": "queued", **blank}
        return 202, {"job": job}

    def more_of(self, number: int) -> Json:
        """What a version's page shows besides what it always had; an edited card in place of the first."""
        card = self._cards.get(str(number))
        return more_of(number) | ({"card": card, "card_edited": True} if card else {})

    def change(self, method: str, parts: list[str], body: Any) -> Reply | None:
        """Return status and answer, or None for what is not known here."""
        match [method, *parts]:
            case ["PUT", "models", "stages"]:
                self._rules = body["items"]
                return 200, {"items": self._rules, "next": None}
            case ["POST", "models", "requests", asked, verb]:
                found = next(r for r in self._requests if r["id"] == asked)
                found |= {"state": "approved" if verb == "approve" else "rejected", "decided_by": "owner"}
                return 200, found | {"reason": body["reason"]}
            case ["PUT", "models", "ticket-triage", "versions", _, "stage"]:
                if body["stage"] == "production":
                    return 202, {"request": {**request(self._iso, 3, "owner"), "comment": body["comment"]}}
                return 200, {}
            case ["PUT", "models", "ticket-triage", "versions", number, "card"]:
                self._cards[number] = body["text"]
                return 200, {}
            case ["POST", "models", "ticket-triage", "versions", _, "verify"]:
                return self._check("registry.verify")
            case ["POST", "models", "ticket-triage", "versions", _, "scan", "background"]:
                return self._check("registry.scan")
            case ["POST", "optimise"] if body["trial"]["priority"] > 0:
                return 403, {
                    "title": "denied",
                    "detail": "owner (member) may not do models.priority.admin; it needs the role admin or above.",
                    "hint": "Ask an owner for a key or role that allows it.",
                }
            case ["POST", "optimise"]:
                assert body["choose"] == {"by": "tokens_per_s", "metric": "exact", "margin": 0.02}
                assert body["trial"] == {"threads": 2, "memory_mb": 2048, "priority": -5}
                steps = [
                    {**v, "state": "queued", "quality": None, "version": None, "error": None}
                    for v in variants()
                ]
                made = optimisation(self._iso) | {
                    "id": "opt_2",
                    "state": "running",
                    "chosen": None,
                    "reason": "",
                }
                made["baseline"] |= {"state": "running", "quality": None}
                self._jobs.insert(0, {**made, "variants": steps[: len(body["to"])]})
                return 202, self._jobs[0]
        return None
