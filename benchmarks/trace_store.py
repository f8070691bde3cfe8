"""How fast the trace store answers, and how much disk it takes, at a given number of spans.

    python benchmarks/trace_store.py --spans 1000000 [--home DIR] [--keep]

Makes traces of five spans (agent, retriever, call, tool, call) spread over 30 days, with text from a vocabulary of
30,000 words in Zipf's proportions, rolls them up and indexes them, then asks each question with varied arguments and
prints p50 and p95 of the wall time, with the CPU time beside it. `--home` of an earlier run with `--keep` is reused.
"""

import argparse
import json
import random
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from penstock.core import clock
from penstock.core.home import Home
from penstock.core.scope import Scope, system_actor
from penstock.traces import background, service
from penstock.traces.model import SpanRecord, TraceFilters
from penstock.traces.store.prepare import prepare
from penstock.traces.store.write import ScopeIds, Writing

DAYS = 30
MODELS = ["gpt-4o-mini", "gpt-4.1", "claude-sonnet-4-5", "claude-haiku-4-5", "ticket-triage"]
SHAPE = ["agent", "retriever", "llm", "tool", "llm"]


def vocabulary(rng: random.Random) -> tuple[list[str], list[float]]:
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    words = ["".join(rng.choices(letters, range(26, 0, -1), k=rng.randrange(2, 11))) for _ in range(30_000)]
    return words, [1 / (rank + 2) for rank in range(len(words))]


def texts(count: int, size: int) -> list[bytes]:
    rng = random.Random(1)
    words, weights = vocabulary(rng)
    return [
        msgspec.json.encode([{"role": "user", "content": " ".join(rng.choices(words, weights, k=size // 6))}])
        for _ in range(count)
    ]


def trace(rng: random.Random, pool: list[bytes], start: int) -> list[SpanRecord]:
    trace_id, ids = f"{rng.getrandbits(128):032x}", [f"{rng.getrandbits(64) | 1:016x}" for _ in SHAPE]
    user, session = f"user-{rng.randrange(1000):04}", f"session-{rng.randrange(20_000):05}"
    made = []
    for place, kind in enumerate(SHAPE):
        called = kind == "llm"
        begin = start + place * 200_000_000
        took = 1_500_000_000 if place == 0 else int(rng.lognormvariate(18.5, 1))
        made.append(
            SpanRecord(
                trace_id=trace_id,
                span_id=ids[place],
                parent_id=ids[0] if place else None,
                name=f"{kind} step",
                kind=kind,  # type: ignore[arg-type]
                status="error" if rng.random() < 0.02 else "ok",
                start_ns=begin,
                end_ns=begin + took,
                model=rng.choice(MODELS) if called else None,
                provider="openai" if called else None,
                input_tokens=rng.randrange(2000) if called else 0,
                output_tokens=rng.randrange(500) if called else 0,
                cost_usd=rng.random() / 100 if called else None,
                ttft_ns=took // 3 if called else None,
                user=user,
                session=session,
                key_id=f"key_{rng.randrange(20):032x}" if called else None,
                route=f"route-{rng.randrange(6)}" if called else None,
                tags=(f"tag-{rng.randrange(200)}",) if place == 0 else (),
                metadata={"ticket": str(rng.randrange(50_000))} if place == 0 else {},
                input=rng.choice(pool),
                output=rng.choice(pool),
                attributes={"gen_ai.operation.name": kind, "server.address": "api.example.com", "n": place},
            )
        )
    return made


def fill(home: Home, spans: int, rng: random.Random) -> dict[str, Any]:
    pool, known, done = texts(20_000, 700), ScopeIds(), 0
    first, step = clock.now_ns() - DAYS * 86_400 * 10**9, DAYS * 86_400 * 10**9 // (spans // len(SHAPE))
    spent = 0.0
    while done < spans:
        batch = []
        for _ in range(400):
            made = trace(rng, pool, first + done // len(SHAPE) * step)
            batch += made
            done += len(made)
        begin = time.process_time()
        ready = [prepare(Scope(), span) for span in batch]
        with home.begin() as uow:
            writing = Writing(uow.conn, known)
            writing.write(ready)
        writing.settle()
        spent += time.process_time() - begin
    begin = time.process_time()
    background.catch_up(home)
    return {
        "write_us_per_span": round(spent / done * 1e6, 1),
        "background_us_per_span": round((time.process_time() - begin) / done * 1e6, 1),
    }


def questions(home: Home, rng: random.Random) -> dict[str, Callable[[], Any]]:
    actor = system_actor()
    words, _ = vocabulary(random.Random(1))
    with home.read() as uow:
        sample = service.list_traces(uow, actor, limit=1000).items

    def listed(**filters: Any) -> Any:
        with home.read() as uow:
            return service.list_traces(uow, actor, filters=TraceFilters(**filters), limit=50).items

    def asked(verb: Callable[..., Any], **given: Any) -> Any:
        with home.read() as uow:
            return verb(uow, actor, **given)

    def last(days: float) -> dict[str, Any]:
        return {"since": clock.now() - timedelta(days=days), "until": clock.now()}

    return {
        "list latest 50": lambda: listed(),
        "list errors": lambda: listed(status="error"),
        "list one model, errors": lambda: listed(model=rng.choice(MODELS), status="error"),
        "list one user": lambda: listed(user=f"user-{rng.randrange(1000):04}"),
        "list user, model and route": lambda: listed(
            user=f"user-{rng.randrange(1000):04}", model=rng.choice(MODELS), route=f"route-{rng.randrange(6)}"
        ),
        "list one session": lambda: listed(session=f"session-{rng.randrange(20_000):05}"),
        "list one tag": lambda: listed(tags=(f"tag-{rng.randrange(200)}",)),
        "list metadata": lambda: listed(metadata={"ticket": str(rng.randrange(50_000))}),
        "list metadata that is absent": lambda: listed(metadata={"ticket": "absent"}),
        "list slower than 2 s": lambda: listed(min_latency_ms=2000),
        "list slower than 60 s": lambda: listed(min_latency_ms=60_000),
        "list 7 to 8 days ago": lambda: listed(
            since=clock.now() - timedelta(days=8), until=clock.now() - timedelta(days=7)
        ),
        "search a common word": lambda: listed(q=words[rng.randrange(50)]),
        "search a rare word": lambda: listed(q=words[rng.randrange(15_000, 30_000)]),
        "search two words": lambda: listed(q=f"{words[rng.randrange(200)]} {words[rng.randrange(2000)]}"),
        "trace by id": lambda: asked(service.get_trace, trace_id=rng.choice(sample).trace_id),
        "usage by model, all": lambda: asked(service.usage, group_by="model"),
        "usage by model, 30 days": lambda: asked(service.usage, group_by="model", **last(29.7)),
        "usage by user, 30 days": lambda: asked(service.usage, group_by="user", **last(29.7)),
        "usage by day": lambda: asked(service.usage, group_by="day"),
        "series, 7 days by hour": lambda: asked(service.timeseries, **last(7)),
        "series, 30 days by day": lambda: asked(service.timeseries, **last(29.7)),
        "series, 2 hours by minute": lambda: asked(service.timeseries, **last(0.083)),
    }


def measure(ask: Callable[[], Any], times: int) -> dict[str, float]:
    walls, cpu = [], time.process_time()
    for _ in range(times):
        begin = time.perf_counter()
        ask()
        walls.append((time.perf_counter() - begin) * 1e3)
    walls.sort()
    return {
        "p50_ms": round(statistics.median(walls), 2),
        "p95_ms": round(walls[int(0.95 * (times - 1))], 2),
        "cpu_ms": round((time.process_time() - cpu) / times * 1e3, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--spans", type=int, default=1_000_000)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--times", type=int, default=100)
    args = parser.parse_args()
    folder = args.home or Path(tempfile.mkdtemp(prefix="penstock-bench-"))
    rng = random.Random(1)
    with Home.open(folder) as home:
        report: dict[str, Any] = {"spans": args.spans}
        if not (folder / "filled").exists():
            report |= fill(home, args.spans, rng)
            (folder / "filled").touch()
        raw = sqlite3.connect(folder / "penstock.db")
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        raw.close()
        report["disk_bytes_per_span"] = round((folder / "penstock.db").stat().st_size / args.spans)
        print(json.dumps(report), flush=True)
        for name, ask in questions(home, rng).items():
            print(f"{name:32}", json.dumps(measure(ask, args.times)), flush=True)
    if not args.keep:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
