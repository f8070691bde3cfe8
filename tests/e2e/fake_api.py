"""A scripted management API and gateway for the browser tests: full, empty or broken by choice.

Run it as `python tests/e2e/fake_api.py PORT`. `POST /fake/mode {"mode": "full" | "empty" | "error"}` switches.
It serves the built UI exactly as Penstock does, so that headers and policy are part of what is tested.
"""

import asyncio
import json
import math
import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

import uvicorn

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

import fake_evals
import fake_signals
import fake_traces
from fake_datasets import Datasets
from fake_gateway import Gateway
from fake_keeping import Keeping
from fake_pipelines import Pipelines
from fake_policies import Policies, attributes_of, error_of, events_of, tags_of
from fake_prompts import Prompts
from fake_quality import Queues
from fake_registry import Registry
from fake_release import Releases
from fake_tracking import Tracking
from fake_training import Training

from penstock.web.static import StaticApp

NOW = datetime.now(UTC)
RNG = random.Random(7)
TOKEN = "one-time-token"
TICKETS = [
    "Hi, my invoice from last month is wrong: I was charged twice for the Pro plan.",
    "The mobile app crashes every time I open the camera on Android 15.",
    "How do I move my workspace to another region? Our legal team asks for it.",
    "Login with single sign-on fails since this morning, error SAML-203. Very urgent!",
    "Please delete my account and all data, thanks.",
]


def iso(ago: float) -> str:
    return (NOW - timedelta(seconds=ago)).isoformat().replace("+00:00", "Z")


def make_trace(i: int) -> dict[str, Any]:
    start = int((NOW.timestamp() - i * 420) * 1e9)
    took = int(RNG.lognormvariate(5.6, 0.6) * 1e6)
    failed = i % 17 == 3
    kind = "agent" if i % 10 == 4 else "llm"
    return {
        "trace_id": f"{i + 1:032x}",
        "name": "answer customer" if kind == "agent" else "chat ticket-triage",
        "kind": kind,
        "status": "error" if failed else "ok",
        "error": error_of(i) or "upstream answered 503 after 3 tries" if failed else None,
        "start_ns": start,
        "end_ns": start + took,
        "model": "ticket-triage@2" if i % 3 else "gpt-mock",
        "provider": "local" if i % 3 else "mock",
        "route": "ticket-triage",
        "user": f"user-{i % 9}",
        "session": f"session-{i % 30}",
        "key_id": "key_1",
        "environment": "production",
        "prompt": "triage@3",
        "tags": (["mail"] if i % 2 else []) + tags_of(i),
        "input_tokens": 180 + i % 90,
        "output_tokens": 22 + i % 9,
        "cached_tokens": 0,
        "cost_usd": 0.0 if i % 11 == 5 else 0.00012 * (1 + i % 5),
        "ttft_ns": took // 3,
        "tokens_estimated": False,
        "partial": i == 2,
        "input_preview": TICKETS[i % len(TICKETS)],
        "output_preview": "category: billing\nproduct: pro\npriority: high",
    }


TRACES = [make_trace(i) for i in range(500)]


def summary(trace: dict[str, Any]) -> dict[str, Any]:
    own = {
        k: v for k, v in trace.items() if k not in ("kind", "provider", "prompt", "tags", "ttft_ns", "error")
    }
    took = (trace["end_ns"] - trace["start_ns"]) / 1e6
    started = datetime.fromtimestamp(trace["start_ns"] / 1e9, UTC).isoformat()
    failed = int(trace["status"] == "error")
    return {
        **own,
        "duration_ms": took,
        "started_at": started,
        "calls": 1,
        "errors": failed,
        "spans": 1,
        "snippet": None,
    }


def spans_of(trace: dict[str, Any]) -> list[dict[str, Any]]:
    base = {k: trace[k] for k in ("model", "provider", "status", "error", "start_ns", "end_ns")}
    tokens = {k: trace[k] for k in ("input_tokens", "output_tokens", "cached_tokens", "cost_usd", "ttft_ns")}
    none = dict.fromkeys(("input_tokens", "output_tokens", "cached_tokens", "cost_usd", "ttft_ns"))
    root = {
        **base,
        **(none if trace["kind"] == "agent" else tokens),
        "span_id": "a" * 16,
        "parent_id": None,
        "name": trace["name"],
        "kind": trace["kind"],
        "route": trace["route"] if trace["kind"] == "llm" else None,
        "requested_model": "ticket-triage",
    }
    if trace["kind"] != "agent":
        return [root]
    spans = [{**root, "model": None, "provider": None}]
    length = trace["end_ns"] - trace["start_ns"]
    steps = [
        ("search the knowledge base", "retriever"),
        ("chat ticket-triage", "llm"),
        ("refund policy", "tool"),
    ]
    for n in range(40):
        name, kind = steps[n % 3]
        start = trace["start_ns"] + length * n // 41
        spans.append(
            {
                **base,
                **(tokens if kind == "llm" else none),
                "span_id": f"{n + 1:016x}",
                "parent_id": "a" * 16 if n % 3 != 2 else f"{n:016x}",
                "name": name,
                "kind": kind,
                "route": trace["route"] if kind == "llm" else None,
                "requested_model": None,
                "model": trace["model"] if kind == "llm" else None,
                "provider": trace["provider"] if kind == "llm" else None,
                "status": "ok",
                "error": None,
                "start_ns": start,
                "end_ns": start + length // 30,
            }
        )
    # Two instrumentors reported the first call of the agent.
    twin = {
        **spans[2],
        "span_id": "d" * 16,
        "name": "ChatCompletion",
        "duplicate_of": f"{trace['trace_id']}/{spans[2]['span_id']}",
    }
    return [*spans, twin]


def huge() -> dict[str, Any]:
    """A trace of 50,000 spans, four deep."""
    trace = {**TRACES[4], "trace_id": BIG, "name": "a very long run"}
    root = {**spans_of(trace)[0], "span_id": "a" * 16}
    length = trace["end_ns"] - trace["start_ns"]
    spans = [root]
    for n in range(50_000):
        start = trace["start_ns"] + length * n // 50_001
        parent = "a" * 16 if n % 4 == 0 else f"{n:016x}"
        extra = {"span_id": f"{n + 1:016x}", "parent_id": parent, "name": f"step {n}", "kind": "tool"}
        spans.append({**root, **extra, "start_ns": start, "end_ns": start + length // 50_001})
    return {**summary(trace), "spans": spans}


BIG = "b" * 32


def span_detail(trace: dict[str, Any], span_id: str) -> dict[str, Any] | None:
    span = next((s for s in spans_of(trace) if s["span_id"] == span_id), None)
    if span is None:
        return None
    text = trace["input_preview"]
    if trace["trace_id"].endswith("2"):
        text = "\n".join([text] * 4000)
    messages = [{"role": "system", "content": "Sort the ticket."}, {"role": "user", "content": text}]
    answer = {"role": "assistant", "content": trace["output_preview"]}
    if span["kind"] == "llm":
        body = {"model": "ticket-triage", "messages": messages, "temperature": 0}
        out: Any = {"id": "chatcmpl-1", "choices": [{"index": 0, "message": answer, "finish_reason": "stop"}]}
    else:
        body, out = {"query": text[:80]}, {"documents": [{"id": 3, "text": "Refunds within 30 days."}]}
    number, gateway = int(trace["trace_id"], 16) - 1, span["kind"] == "llm"
    token = {"name": "gen_ai.first_token", "at_ns": span["start_ns"] + 5_000_000, "attributes": {}}
    called = {"gen_ai.operation.name": "chat", "http.response.status_code": 200}
    return {
        **span,
        "input": body,
        "output": None if span["status"] == "error" else out,
        "tags": trace["tags"],
        "metadata": {"tier": "gold"},
        "prompt": "triage@3",
        "attributes": called | (attributes_of(number) if gateway else {}),
        "events": [*(events_of(number, span["start_ns"] + 40_000) if gateway else []), token],
    }


def chosen(q: dict[str, str]) -> list[dict[str, Any]]:
    """The traces that a question is about; raises fake_traces.Wrong."""
    if q.get("query") == f"id:{BIG}":
        return [{**TRACES[4], "trace_id": BIG, "name": "a very long run"}]
    asked = fake_traces.condition(q.get("query", ""))
    return [t for t in TRACES if matches(t, q) and asked(t)]


def listed(q: dict[str, str]) -> dict[str, Any]:
    found = [{**summary(t), "snippet": fake_traces.snippet(t, q.get("query", ""))} for t in chosen(q)]
    return paged(found, q)


def matches(trace: dict[str, Any], q: dict[str, str]) -> bool:
    for key, value in q.items():
        if key in ("kind", "status", "model", "provider", "user", "session", "route") and trace[key] != value:
            return False
        if key == "tag" and value not in trace["tags"]:
            return False
        if key == "q" and value.lower() not in json.dumps(trace).lower():
            return False
        if key == "since" and trace["start_ns"] < datetime.fromisoformat(value).timestamp() * 1e9:
            return False
        if key == "until" and trace["start_ns"] > datetime.fromisoformat(value).timestamp() * 1e9:
            return False
        if key == "min_latency_ms" and (trace["end_ns"] - trace["start_ns"]) / 1e6 < float(value):
            return False
    return True


def paged(items: list[Any], q: dict[str, str], default: int = 100) -> dict[str, Any]:
    at, limit = int(q.get("cursor") or 0), int(q.get("limit") or default)
    return {"items": items[at : at + limit], "next": str(at + limit) if at + limit < len(items) else None}


def timeseries() -> dict[str, Any]:
    items = []
    for i in range(58):
        n = int(20 + 14 * math.sin(i / 5) + RNG.random() * 6)
        items.append(
            {
                "time": iso((58 - i) * 10_800),
                "calls": n,
                "errors": int(RNG.random() * 3),
                "p50_ms": 240 + 40 * math.sin(i / 7),
                "p95_ms": 620 + 120 * math.sin(i / 4),
                "p99_ms": 900,
                "ttft_p50_ms": 80,
                "ttft_p95_ms": 120,
                "input_tokens": 200 * n,
                "output_tokens": 25 * n,
                "cached_tokens": 60 * n,
                "cache_hits": n // 5,
                "unpriced": 0,
                "cost_usd": 0.001 * n,
            }
        )
    return {"items": items}


def version(n: int, text: str, note: str) -> dict[str, Any]:
    body = {
        "kind": "text",
        "text": text,
        "messages": [],
        "variables": [
            {
                "name": "ticket",
                "type": "string",
                "required": True,
                "default": None,
                "description": "The customer's mail",
            }
        ],
        "tools": [],
        "output_schema": None,
        "settings": {"temperature": 0},
    }
    return {
        "id": f"pmv_{n}",
        "prompt": "triage",
        "number": n,
        "ref": f"triage@{n}",
        "body": body,
        "hash": "9f" * 32,
        "note": note,
        "author": "owner",
        "created_at": iso(90_000 - n * 9000),
    }


PROMPT_VERSIONS = [
    version(
        3,
        "You sort support mail.\nAnswer with category, product and priority, one per line.\n\nMail:\n{{ ticket }}",
        "One field per line",
    ),
    version(
        2,
        "You sort support mail.\nAnswer with category and priority.\n\nMail:\n{{ ticket }}",
        "Ask for the priority",
    ),
    version(1, "Sort this mail: {{ ticket }}", "First version"),
]
PROMPT = {
    "id": "pmt_1",
    "name": "triage",
    "description": "Sorts incoming support mail",
    "tags": ["support"],
    "created_at": iso(95_000),
    "versions": 3,
    "labels": {"production": 2, "staging": 3},
    "history": [],
}
DIFF = [
    {
        "field": "text",
        "pieces": [
            {"op": "equal", "text": "You sort support mail.\nAnswer with category"},
            {"op": "delete", "text": " and priority"},
            {"op": "insert", "text": ", product and priority, one per line"},
            {"op": "equal", "text": ".\n\nMail:\n{{ ticket }}"},
        ],
    }
]
LINEAGE = {
    "upstream": [
        {"kind": "dataset_version", "ref": "tickets@2", "role": "train"},
        {"kind": "model_version", "ref": "tiny-base@1", "role": "base"},
        *[{"kind": "trace", "ref": f"{i + 1:032x}", "role": "source"} for i in range(40)],
    ],
    "downstream": [
        {"kind": "eval_run", "ref": "evl_01890000aaaabbbb", "role": "evaluated"},
        {"kind": "deployment", "ref": "ticket-triage", "role": "serves"},
    ],
}


def column(name: str, kind: str, top: list[tuple[str, int]]) -> dict[str, Any]:
    spread = {
        "min": 12.0,
        "p5": 40.0,
        "median": 190.0,
        "mean": 212.4,
        "p95": 480.0,
        "max": 1911.0,
        "deviation": 90.1,
    }
    return {
        "name": name,
        "type": kind,
        "missing": 2,
        "distinct": 3900,
        "distinct_capped": False,
        "near_constant": False,
        "top": [{"value": value, "count": n} for value, n in top],
        "characters": spread,
        "words": {**spread, "max": 320.0, "median": 31.0},
        "outliers": 4,
    }


LABELS = {"billing": 1300, "bug": 1150, "how-to": 900, "account": 700, "other": 150}
PROFILE = {
    "rows": 4200,
    "exact_duplicates": 12,
    "columns": [
        column("text", "string", [("Thanks!", 3)]),
        column("category", "string", list(LABELS.items())),
    ],
    "labels": {"category": LABELS},
    "text": {
        "columns": ["text"],
        "rows": 4200,
        "languages": {"en": 3900, "de": 210, "fr": 90},
        "personal_data": {"email": 140, "phone": 61, "iban": 9},
        "rows_with_personal_data": 190,
        "near_duplicates": 31,
    },
}


def step(name: str, before: int, after: int, changed: int, counts: dict[str, int]) -> dict[str, Any]:
    found = {"step": name, "rows_in": before, "rows_out": after, "changed": changed}
    return {**found, "counts": counts, "examples": []}


def dataset_version(n: int) -> dict[str, Any]:
    return {
        "id": f"dsv_{n}",
        "dataset": "tickets",
        "number": n,
        "ref": f"tickets@{n}",
        "hash": "ab" * 32,
        "rows": 4200 if n == 2 else 5012,
        "splits": {"train": 3400, "validation": 400, "test": 400} if n == 2 else {},
        "schema": [
            {"name": "id", "type": "integer"},
            {"name": "text", "type": "string"},
            {"name": "category", "type": "string"},
        ],
        "quarantined": 3,
        "removed": 812,
        "source": {
            "name": "tickets.jsonl",
            "format": "jsonl",
            "sha256": "cd" * 32,
            "size": 1_912_333,
            "encoding": "utf-8",
            "rows": 5012,
        },
        "key": None,
        "description": "Support mail with labels",
        "created_at": iso(80_000 / n),
        "created_by": "owner",
        "profile": PROFILE,
        "recipe": {"steps": ["exact_duplicates"]},
        "recipe_report": [
            step("exact_duplicates", 5012, 4700, 0, {}),
            step("near_duplicates", 4700, 4200, 0, {}),
            step("redact", 4200, 4200, 190, {"email": 140, "phone": 61}),
        ],
        "split_plan": None,
        "lineage": [],
        "card": (
            "# tickets\n\n"
            "Support mail with **labels**.\n\n"
            "| split | rows |\n|---|---|\n| train | 3400 |\n| test | 400 |\n\n"
            "- personal data is redacted\n- near duplicates are gone\n"
        ),
    }


PROFILE["balance"] = {"category": {"classes": 3, "entropy": 0.91, "largest_to_smallest": 2.4}}
PROFILE["text"] |= {
    "toxic_words": {"stupid": 4, "idiot": 2},
    "rows_with_toxic_words": 6,
    "toxic_words_per_1000": 0.08,
    "topics": [
        {"rows": 210, "share": 0.5, "terms": ["invoice", "charged", "refund"]},
        {"rows": 120, "share": 0.29, "terms": ["app", "camera", "crash"]},
    ],
}
LEFT_OUT = [
    {
        "line": 40 + i,
        "step": "near_duplicates",
        "reason": "almost the same as another row",
        "excerpt": TICKETS[i % 5],
        "kept_line": 3 + i,
        "similarity": 0.93,
    }
    for i in range(9)
]
ROWS = [
    {
        "position": i,
        "key": f"k{i}",
        "split": "train",
        "data": {
            "id": i,
            "text": TICKETS[i % 5],
            "category": ["billing", "bug", "how-to"][i % 3],
            "priority": "high" if i % 4 == 0 else "low",
            "meta": {"lang": "en"},
        },
    }
    for i in range(400)
]


def metric(
    name: str, value: float, half: float, kind: str = "proportion", unit: str = "fraction"
) -> dict[str, Any]:
    return {
        "name": name,
        "split": "",
        "value": value,
        "low": value - half,
        "high": value + half,
        "n": 400,
        "method": "wilson" if kind == "proportion" else "bootstrap",
        "kind": kind,
        "higher_is_better": name != "latency",
        "unit": unit,
    }


def eval_run(n: int) -> dict[str, Any]:
    exact = [0, 0.128, 0.742, 0.981, 0.3][n]
    return {
        "id": f"evl_0189000{n}aaaabbbb",
        "suite": "triage held-out",
        "spec": {},
        "dataset": "tickets@2",
        "dataset_version": "dsv_2",
        "dataset_hash": "ab",
        "target": "gateway",
        "model": ["", "tiny-base@1", "ticket-triage@1", "ticket-triage@3", "ticket-triage@2"][n],
        "state": "running" if n == 4 else "succeeded",
        "error": "",
        "total": 400,
        "done": 130 if n == 4 else 400,
        "errors": 0,
        "metrics": [
            metric("exact_match", exact, 0.03 if exact < 0.97 else 0.012),
            metric("field_priority", min(1, exact + 0.01), 0.008),
            metric("valid_structure", 0.99, 0.008),
            metric("bleu", 61.2, 2.1, "corpus", "points"),
            metric("latency", 0.212, 0.011, "distribution", "s"),
        ],
        "created_at": iso(40_000 - n * 7000),
        "started_at": iso(40_000 - n * 7000),
        "finished_at": None,
    }


def sample(i: int) -> dict[str, Any]:
    right = i % 4 != 1
    return {
        "sample_id": f"s{i}",
        "ordinal": i,
        "split": "test",
        "messages": [{"role": "user", "content": TICKETS[i % 5]}],
        "references": ["category: billing\npriority: high"],
        "text": "category: billing\npriority: high" if right else "category: bug\npriority: low",
        "latency_s": 0.2,
        "ttft_s": None,
        "error": None,
        "trace_id": TRACES[i]["trace_id"],
        "scores": {"exact_match": 1.0 if right else 0.0, "rouge_l": 0.9},
    }


GATES = [
    {
        "id": "gat_2",
        "run_id": eval_run(3)["id"],
        "baseline_id": eval_run(2)["id"],
        "passed": True,
        "checks": [
            {
                "rule": "exact_match better than baseline",
                "passed": True,
                "reason": "0.981 against 0.742: +0.239 (0.196 to 0.282), p < 0.001.",
            }
        ],
        "created_at": iso(9000),
    },
    {
        "id": "gat_1",
        "run_id": eval_run(4)["id"],
        "baseline_id": eval_run(2)["id"],
        "passed": False,
        "checks": [
            {
                "rule": "exact_match not worse than baseline",
                "passed": False,
                "reason": "0.300 against 0.742: -0.442 (-0.490 to -0.394) loses more than the margin 0.01.",
            },
            {"rule": "valid_structure min 0.95", "passed": True, "reason": "0.990 is at least 0.95."},
        ],
        "created_at": iso(14_000),
    },
]
COMPARISON = {
    "baseline_id": eval_run(2)["id"],
    "candidate_id": eval_run(3)["id"],
    "shared": 400,
    "only_baseline": 0,
    "only_candidate": 0,
    "changed": 0,
    "failed": 2,
    "differences": [
        {
            "name": "exact_match",
            "split": "",
            "baseline": 0.742,
            "candidate": 0.981,
            "difference": 0.239,
            "low": 0.196,
            "high": 0.282,
            "n": 400,
            "p_value": 1e-9,
            "p_adjusted": 1e-8,
            "test": "mcnemar_exact",
            "interval": "newcombe",
            "higher_is_better": True,
            "unit": "fraction",
            "kind": "proportion",
        },
        {
            "name": "valid_structure",
            "split": "",
            "baseline": 0.99,
            "candidate": 0.993,
            "difference": 0.003,
            "low": -0.006,
            "high": 0.012,
            "n": 400,
            "p_value": 0.5,
            "p_adjusted": 0.9,
            "test": "mcnemar_exact",
            "interval": "newcombe",
            "higher_is_better": True,
            "unit": "fraction",
            "kind": "proportion",
        },
        {
            "name": "latency",
            "split": "",
            "baseline": 0.2,
            "candidate": 0.214,
            "difference": 0.014,
            "low": 0.006,
            "high": 0.022,
            "n": 400,
            "p_value": 0.001,
            "p_adjusted": 0.004,
            "test": "paired_permutation",
            "interval": "bootstrap",
            "higher_is_better": False,
            "unit": "s",
            "kind": "distribution",
        },
    ],
}


def model_version(n: int) -> dict[str, Any]:
    return {
        "id": f"mdv_{n}",
        "model": "ticket-triage",
        "number": n,
        "ref": f"ticket-triage@{n}",
        "kind": "adapter" if n == 1 else "gguf",
        "base": "tiny-base@1",
        "digest": "ef" * 32,
        "size": 2_911_233,
        "stage": "production" if n == 2 else "development",
        "metrics": {"exact_match": {"value": 0.981, "low": 0.969, "high": 0.99, "n": 400}, "loss": 0.21},
        "author": "owner",
        "created_at": iso(30_000 / n),
        "files": [
            {"path": "model.safetensors", "size": 2_811_233, "sha256": "c0ffee" * 10 + "beef"},
            {"path": "config.json", "size": 1200, "sha256": "ab" * 32},
        ],
        "lineage": [],
        "card": (
            "---\nlicense: apache-2.0\nbase_model: tiny-base\n---\n# ticket-triage\n\n"
            "Sorts support mail. Trained on `tickets@2`.\n\n"
            "## Figures\n\n| metric | value |\n|---|---|\n| exact match | 98.1 % |\n"
        ),
    }


MODEL = {
    "id": "mdl_1",
    "name": "ticket-triage",
    "description": "Sorts support mail",
    "versions": 3,
    "aliases": {"production": 2, "candidate": 3},
    "tags": ["support"],
    "created_at": iso(30_000),
}


def deployed(n: int, part: str, share: float, state: str) -> dict[str, Any]:
    return {
        "number": n,
        "endpoint": f"ticket-triage-v{n}",
        "model": f"ticket-triage@{n + 1}",
        "engine": "llamacpp",
        "options": {},
        "part": part,
        "share": share,
        "replicas": [
            {
                "position": 0,
                "state": state,
                "reason": "",
                "url": "",
                "pid": 4242,
                "restarts": 0,
                "since": iso(500),
            }
        ],
        "author": "owner",
        "created_at": iso(20_000),
    }


DEPLOYMENT = {
    "name": "ticket-triage",
    "state": "ready",
    "production": 1,
    "candidate": 2,
    "weight": 0.2,
    "previous": None,
    "previous_until": None,
    "created_at": iso(20_000),
    "updated_at": iso(600),
    "versions": [deployed(1, "production", 0.8, "ready"), deployed(2, "canary", 0.2, "starting")],
    "history": [
        {"action": "canary", "number": 2, "detail": {"weight": 0.2}, "actor": "owner", "at": iso(600)},
        {"action": "deploy", "number": 1, "detail": {}, "actor": "owner", "at": iso(20_000)},
    ],
}


def side(part: str, n: int) -> dict[str, Any]:
    return {
        "part": part,
        "endpoint": f"ticket-triage-v{n}",
        "model": f"ticket-triage@{n + 1}",
        "calls": 400 // n,
        "errors": 2,
        "error_rate": 0.01,
        "error_low": 0.001,
        "error_high": 0.04,
        "mean_latency_ms": 210.0 * n,
        "input_tokens_per_call": 180.0,
        "output_tokens_per_call": 24.0,
        "cost_usd": 0.0,
    }


CANARY = {
    "deployment": "ticket-triage",
    "since": iso(600),
    "production": side("production", 1),
    "canary": side("canary", 2),
    "latency_ratio": 2.0,
    "more_errors": False,
}
LOOP = {
    "address": "",
    "first_trace_at": iso(200_000),
    "stages": {
        "datasets": {
            "count": 3,
            "active": 0,
            "latest": {"ref": "tickets@2", "title": "tickets@2", "status": None, "at": iso(40_000)},
        },
        "training": {
            "count": 3,
            "active": 1,
            "latest": {
                "ref": "run_018900001111",
                "title": "triage dpo",
                "status": "running",
                "at": iso(5000),
            },
        },
        "models": {
            "count": 4,
            "active": 0,
            "latest": {"ref": "ticket-triage@3", "title": "ticket-triage@3", "status": None, "at": iso(4000)},
        },
        "evaluations": {
            "count": 4,
            "active": 1,
            "latest": {
                "ref": eval_run(4)["id"],
                "title": "triage held-out",
                "status": "running",
                "at": iso(900),
            },
        },
        "gates": {
            "count": 2,
            "active": 0,
            "latest": {
                "ref": eval_run(3)["id"],
                "title": "triage held-out",
                "status": "passed",
                "at": iso(9000),
            },
        },
        "deployments": {
            "count": 1,
            "active": 0,
            "latest": {"ref": "ticket-triage", "title": "ticket-triage", "status": "ready", "at": iso(600)},
        },
        "traces": {
            "count": 12_500,
            "active": 0,
            "latest": {
                "ref": TRACES[0]["trace_id"],
                "title": "chat ticket-triage",
                "status": "ok",
                "at": iso(5),
            },
        },
        "feedback": {
            "count": 74,
            "active": 0,
            "latest": {"ref": TRACES[3]["trace_id"], "title": "correction", "status": None, "at": iso(700)},
        },
    },
}


LISTS: dict[str, list[Any]] = {
    "datasets": [
        {
            "name": "tickets",
            "description": "Support mail with labels",
            "latest": 2,
            "rows": 4200,
            "created_at": iso(90_000),
            "id": "dst_1",
        }
    ],
    "evals/runs": [eval_run(n) for n in (4, 3, 2, 1)],
    "evals/gates": GATES,
    "models": [MODEL, {**MODEL, "name": "tiny-base", "versions": 1, "aliases": {}}],
    "deployments": [DEPLOYMENT],
    "audit": [
        {
            "number": 1,
            "at": iso(900),
            "actor_id": "per_1",
            "actor_name": "owner",
            "action": "keys.create",
            "target": "key_1",
            "detail": {},
            "hash": "ab" * 32,
        }
    ],
}
EMPTY: dict[str, Any] = {
    "prompts": {"items": [], "next": None},
    "evals/judges": {"items": [], "next": None},
    "loop": {"address": "", "first_trace_at": None, "stages": {}},
    "timeseries": {"items": []},
    "traces": {"items": [], "next": None},
    "traces/histogram": {"items": []},
    "views": {"items": [], "next": None},
    "sessions": {"items": [], "next": None},
    "users": {"items": [], "next": None},
    "usage": {"items": [], "next": None},
}
ME = {"id": "per_1", "name": "owner", "role": "owner", "project": "default", "version": "0.1.0"}


def edges(direction: str) -> dict[str, Any]:
    end = "parent" if direction == "up" else "child"
    found = LINEAGE["upstream" if direction == "up" else "downstream"]
    items = [{f"{end}_kind": x["kind"], f"{end}_ref": x["ref"], "role": x["role"]} for x in found]
    return {"items": items, "next": None}


def by_id(items: list[Any], key: str, value: str) -> Any:
    return next((item for item in items if item[key] == value), None)


def observed(parts: list[str], q: dict[str, str]) -> Any:
    match parts:
        case ["me"]:
            return ME
        case ["loop"]:
            return LOOP
        case ["timeseries"]:
            points = timeseries()["items"]
            return {"items": fake_traces.split(points, q["by"]) if "by" in q else points, "next": None}
    return traced(parts, q) or people(parts, q)


def people(parts: list[str], q: dict[str, str]) -> Any:
    match parts:
        case ["sessions" | "users" as kind]:
            window = {k: q[k] for k in ("since", "until", "query") if k in q}
            kind = kind.removesuffix("s")
            return paged(fake_traces.people(chosen(window), kind, q.get("prefix", ""), q.get("user")), q)
        case ["sessions", name]:
            return fake_traces.session(TRACES, name)
        case ["users", name]:
            return by_id(fake_traces.people(TRACES, "user"), "user", name)
    return None


def traced(parts: list[str], q: dict[str, str]) -> Any:
    match parts:
        case ["traces"]:
            return listed(q)
        case ["traces", "histogram"]:
            return fake_traces.histogram(chosen(q), int(q.get("buckets", 60)))
        case ["traces", "facets"]:
            return fake_traces.facets(TRACES, q.get("key"), q.get("prefix", ""))
        case ["traces", left, "diff", right]:
            two = [by_id(TRACES, "trace_id", t) for t in (left, right)]
            return fake_traces.difference(two[0], two[1], summary, spans_of) if all(two) else None
        case ["traces", trace_id, "outline"] if trace_id == BIG:
            return fake_traces.outline(huge())
        case ["traces", trace_id, "outline"]:
            trace = by_id(TRACES, "trace_id", trace_id)
            return None if trace is None else fake_traces.outline({**trace, "spans": spans_of(trace)})
        case ["traces", trace_id, *rest] if trace_id == BIG:
            return span_detail({**TRACES[4]}, "a" * 16)
        case ["traces", trace_id, *rest]:
            trace = by_id(TRACES, "trace_id", trace_id)
            if trace is None:
                return None
            return span_detail(trace, rest[1]) if rest else {**summary(trace), "spans": spans_of(trace)}
    return None


def compared(q: dict[str, str]) -> dict[str, Any]:
    """The comparison, and the same for each further candidate."""
    more = [{**COMPARISON, "candidate_id": run} for run in q.get("more", "").split()]
    return {**COMPARISON, "comparisons": [COMPARISON, *more], "rows": [], "next": None}


def improved(parts: list[str], q: dict[str, str]) -> Any:
    match parts:
        case ["lineage", _, _]:
            return edges(q["direction"])
        case ["deployments", "ticket-triage", "canary"]:
            return CANARY
    return evaluated(parts, q)


def evaluated(parts: list[str], q: dict[str, str]) -> Any:
    match parts:
        case ["evals", "compare"]:
            return compared(q)
        case ["evals", "compare", "rows"]:
            runs = [q["baseline"], q["candidate"], *q.get("more", "").split()]
            return paged(fake_evals.rows(runs), q, 50)
        case ["evals", "judges"]:
            return paged(fake_evals.JUDGES, q)
        case ["evals", "runs", "evl_running"]:
            return fake_evals.running(eval_run(3))
        case ["evals", "runs", run_id]:
            return by_id(LISTS["evals/runs"], "id", run_id)
        case ["evals", "runs", _, "samples"]:
            return paged([sample(i) for i in range(130)], q)
    return None


def kept(parts: list[str], q: dict[str, str]) -> Any:
    match parts:
        case ["datasets", "tickets", "versions", n]:
            return dataset_version(int(n))
        case ["datasets", "tickets", "versions", _, "rows"]:
            return paged(ROWS, q)
        case ["datasets", "tickets"]:
            return paged([dataset_version(2), dataset_version(1)], q)
        case ["datasets", "tickets", "versions", _, "left-out"]:
            return paged(LEFT_OUT, q)
        case ["models", "ticket-triage"]:
            return {**MODEL, "items": [model_version(n) for n in (3, 2, 1)], "next": None, "history": []}
    return None


class Fake:
    """The server's state and its routes."""

    def __init__(self) -> None:
        self.gateway = Gateway(iso)
        self.policies = Policies(iso)
        self.static = StaticApp()
        self.views = fake_traces.Views()
        self.reset("full")

    def reset(self, mode: str) -> None:
        """Switch, and forget what pages changed of queues and prompts."""
        self.mode = mode
        self.queues = Queues(iso)
        self.prompts = Prompts(iso, PROMPT, PROMPT_VERSIONS, DIFF)
        self.datasets = Datasets(iso)
        self.training = Training(iso)
        self.tracking = Tracking(iso)
        self.pipelines = Pipelines(iso)
        self.registry = Registry(iso)
        self.releases = Releases(iso)
        self.keeping = Keeping(iso)

    def looped(self, parts: list[str], q: dict[str, str], *, empty: bool) -> Any:
        """Training, models, deployments and releases."""
        match parts:
            case ["models", "ticket-triage", "versions", n]:
                return model_version(int(n)) | self.registry.more_of(int(n))
            case ["models"]:
                wanted = q.get("query", "")
                return paged([] if empty else [m for m in LISTS["models"] if wanted in m["name"]], q)
            case ["deployments", "ticket-triage"]:
                return self.releases.deployment(DEPLOYMENT)
        for made in (
            self.keeping,
            self.training,
            self.tracking,
            self.pipelines,
            self.registry,
            self.releases,
        ):
            if (found := made.get(parts, q, empty=empty)) is not None:
                return found
        return None

    def get(self, path: str, q: dict[str, str]) -> Any:
        path = path.strip("/")
        if path == "projects":
            return paged([{"name": "default"}, {"name": "research"}], q)
        parts = [unquote(p) for p in path.split("/")]
        if (found := self.looped(parts, q, empty=self.mode == "empty")) is not None:
            return found
        if path in LISTS:
            return paged([] if self.mode == "empty" else LISTS[path], q)
        if self.mode == "empty" and path in EMPTY:
            return EMPTY[path]
        if path == "views":
            return paged(list(self.views.items.values()), q)
        empty = self.mode == "empty"
        for made in (self.queues, self.prompts, self.datasets):
            if (found := made.get(parts, q, empty=empty)) is not None:
                return found
        if (found := fake_signals.get(parts, q, iso, empty=empty)) is not None:
            return found
        held = self.policies.get(parts, empty=empty) or self.gateway.get(parts, q, empty=empty)
        return held or observed(parts, q) or improved(parts, q) or kept(parts, q)

    def post(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        parts = [unquote(p) for p in path.strip("/").split("/")]
        if (changed := self.policies.change(method, parts, body)) is not None:
            return changed
        loop = (self.training, self.tracking, self.pipelines, self.registry, self.releases, self.keeping)
        for made in (self.queues, self.prompts, self.datasets, *loop):
            if (changed := made.change(method, parts, body)) is not None:
                return changed
        if (changed := self.gateway.change(method, parts, body)) is not None:
            return changed
        match [method, *parts]:
            case [_, "views", name]:
                return self.views.change(method, name, body)
            case ["POST", "traces", "erase"]:
                return 200, {"traces": len(body.get("trace_ids") or []) or 12, "dry_run": body["dry_run"]}
            case ["POST", "feedback", "datasets", "from-traces"]:
                n = len(body.get("trace_ids") or TRACES)
                made = {"id": "dsv_3", "dataset": body["name"], "number": 3, "hash": "ab" * 32, "rows": 4203}
                return 201, {**made, "added": n, "traces": n, "skipped": {"without messages": 1}}
            case ["POST", "prompts", "triage", "render"]:
                if "ticket" not in body["variables"]:
                    return 400, {
                        "title": "Invalid",
                        "status": 400,
                        "detail": "The variable ticket is missing.",
                        "hint": "Send it in variables.",
                    }
                return 200, {
                    "ref": "triage@3",
                    "kind": "text",
                    "text": f"You sort support mail.\n\nMail:\n{body['variables']['ticket']}",
                    "messages": [],
                    "tools": [],
                    "output_schema": None,
                    "settings": {},
                }
        return 200, {}


async def read(receive: Any) -> bytes:
    body = b""
    while True:
        event = await receive()
        body += event.get("body", b"")
        if not event.get("more_body"):
            return body


async def answer(
    send: Any, status: int, value: Any, headers: list[tuple[bytes, bytes]] | None = None
) -> None:
    kind = b"application/problem+json" if status >= 400 else b"application/json"
    kind = b"text/plain; charset=utf-8" if isinstance(value, str) else kind
    body = value.encode() if isinstance(value, str) else json.dumps(value).encode()
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-type", kind), (b"x-request-id", b"req_fake"), *(headers or [])],
        }
    )
    await send({"type": "http.response.body", "body": body})


def said(model: str, cache: bytes) -> list[tuple[bytes, bytes]]:
    return [
        (b"x-penstock-trace-id", TRACES[0]["trace_id"].encode()),
        (b"x-penstock-route", model.encode()),
        (b"x-penstock-arm", b"stable"),
        (b"x-penstock-target", b"mock/" + model.encode()),
        (b"x-penstock-attempts", b"2"),
        (b"x-penstock-cache", cache),
    ]


WORDS = ["category:", "billing\nproduct:", "pro\npriority:", "high"]
USE = {"prompt_tokens": 31, "completion_tokens": 12}


async def whole(send: Any, body: Any, headers: list[tuple[bytes, bytes]]) -> None:
    message: dict[str, Any] = {"role": "assistant", "content": " ".join(WORDS)}
    if body.get("tools"):
        call = {"name": body["tools"][0]["function"]["name"], "arguments": '{"order": 7}'}
        message |= {"content": None, "tool_calls": [{"id": "call_1", "type": "function", "function": call}]}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    cost = (b"x-penstock-cost-usd", b"0.000123000")
    await answer(send, 200, {"choices": [choice], "usage": USE}, [*headers, cost])


async def chat(send: Any, body: Any, asked: dict[bytes, bytes]) -> None:
    headers = said(body["model"], b"bypass" if asked.get(b"cache-control") == b"no-store" else b"miss")
    if body["model"] == "broken":
        await answer(send, 502, {"error": {"message": "The provider mock answered 500.", "type": "upstream"}})
        return
    if "ignore all previous" in str(body["messages"][-1]["content"]):
        error = {"message": error_of(3), "type": "invalid_request_error", "code": "content_filter"}
        await answer(send, 400, {"error": error}, headers)
        return
    if not body.get("stream"):
        await whole(send, body, headers)
        return
    headers = [(b"content-type", b"text/event-stream"), *headers]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    words = WORDS * (40 if "long" in body["messages"][-1]["content"] else 1)
    for n, word in enumerate(words):
        delta = {"content": ("" if n == 0 else " ") + word}
        chunk = {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        piece = f"data: {json.dumps(chunk)}\n\n".encode()
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        await asyncio.sleep(0.05)
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    tail = f"data: {json.dumps(end)}\n\ndata: {json.dumps({'choices': [], 'usage': USE})}\n\ndata: [DONE]\n\n"
    await send({"type": "http.response.body", "body": tail.encode()})


FAKE = Fake()


def arriving(n: int) -> dict[str, Any]:
    """The n-th trace of a tail: new each time."""
    now = datetime.now(UTC).timestamp() * 1e9
    fresh = {**TRACES[0], "start_ns": int(now), "end_ns": int(now + 2e8), "name": "fresh from the tail"}
    return summary({**fresh, "trace_id": f"{0xF00D + n:032x}"})


async def manage(scope: Any, send: Any, path: str, body: Any) -> None:
    method = scope["method"]
    given = parse_qs(scope["query_string"].decode())
    query = {k: " ".join(v) if k in ("more", "run") else v[0] for k, v in given.items()}
    signed = b"penstock_session=yes" in dict(scope["headers"]).get(b"cookie", b"")
    if path == "/session" and method == "POST":
        if body.get("token") != TOKEN:
            await answer(send, 401, {"title": "Unauthenticated", "detail": "This token is not valid."})
        else:
            cookie = b"penstock_session=yes; HttpOnly; SameSite=Lax; Path=/"
            await answer(send, 200, {}, [(b"set-cookie", cookie)])
    elif path == "/session":
        await answer(send, 200, {}, [(b"set-cookie", b"penstock_session=; Max-Age=0; Path=/")])
    elif not signed:
        await answer(send, 401, {"title": "Unauthenticated", "detail": "Sign in."})
    elif FAKE.mode == "error" and path != "/me" and method == "GET":
        problem = {
            "title": "Internal error",
            "status": 500,
            "detail": "The database did not answer.",
            "hint": "penstock doctor says more.",
        }
        await answer(send, 500, problem)
    elif path == "/traces/tail":
        await fake_traces.tail(send, arriving)
    elif path == "/traces/export":
        found = [{"trace_id": t["trace_id"], **d} for t in chosen(query) if (d := span_detail(t, "a" * 16))]
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"application/x-ndjson")],
            }
        )
        await send(
            {"type": "http.response.body", "body": b"".join(json.dumps(d).encode() + b"\n" for d in found)}
        )
    elif method == "GET":
        try:
            found = FAKE.get(path, query)
        except fake_traces.Wrong as wrong:
            problem = {"title": "Invalid", "status": 400, "detail": f"Query, column {wrong.column}: {wrong}."}
            await answer(send, 400, {**problem, "errors": {"column": wrong.column}})
            return
        missing = {"title": "Not found", "status": 404, "detail": "There is no such thing."}
        await answer(send, 404 if found is None else 200, missing if found is None else found)
    else:
        await answer(send, *FAKE.post(method, path, body))


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    path = scope["path"]
    if path == "/fake/mode":
        FAKE.reset(json.loads(await read(receive))["mode"])
        await answer(send, 200, {})
    elif path.startswith("/api/v1/"):
        raw = await read(receive)
        await manage(scope, send, path.removeprefix("/api/v1"), json.loads(raw) if raw else {})
    elif path == "/v1/models":
        await answer(
            send, 200, {"data": [] if FAKE.mode == "empty" else [{"id": "ticket-triage"}, {"id": "broken"}]}
        )
    elif path == "/v1/batches":
        await answer(send, 200, FAKE.gateway.batches(empty=FAKE.mode == "empty"))
    elif path.startswith("/v1/batches/"):
        await answer(send, 200, FAKE.gateway.cancel(path.split("/")[3]))
    elif path == "/v1/chat/completions":
        await chat(send, json.loads(await read(receive)), dict(scope["headers"]))
    else:
        await FAKE.static(scope, receive, send)


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", lifespan="off")
