"""How fast queries over traces answer at a given number of spans, while others are being written.

    python benchmarks/trace_queries.py --spans 5000000 --home DIR [--times 40] [--write 200] [--only TEXT] [--fill-only]

Writes traces of five spans (agent, retriever, call, tool, call) spread over 30 days straight through the store until
`DIR` holds `--spans` of them: a run that was stopped goes on where it was. The text is made of 30,000 words in Zipf's
proportions. Then each query is asked `--times` times with varied arguments, while another process writes `--write`
spans per second and indexes them; prints p50 and p95 of the wall time and the CPU time. PENSTOCK_CORE__DATABASE_URL
chooses PostgreSQL.
"""

import argparse
import json
import multiprocessing
import os
import random
import statistics
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from trace_store import DAYS, MODELS, SHAPE, texts, vocabulary

from penstock.core import clock
from penstock.core.home import Home
from penstock.core.scope import Scope, system_actor
from penstock.traces import background, erasure, service
from penstock.traces.model import SpanRecord, TraceFilters, TraceScore
from penstock.traces.store.prepare import prepare
from penstock.traces.store.write import ScopeIds, Writing

BATCH = 400
"""Traces per transaction."""
POOL, CHARS = 20_000, 700
TOOLS = ("search_orders", "refund_order", "look_up_customer", "send_mail", "open_ticket")


def trace(rng: random.Random, pool: list[bytes], start: int) -> list[SpanRecord]:
    """Return one support conversation's turn."""
    trace_id, ids = f"{rng.getrandbits(128):032x}", [f"{rng.getrandbits(64) | 1:016x}" for _ in SHAPE]
    user = f"user-{int(rng.paretovariate(0.7)) % 50_000:05}"
    model = rng.choices(MODELS, (50, 25, 15, 9, 1))[0]
    made = []
    for place, kind in enumerate(SHAPE):
        called, failed = kind == "llm", rng.random() < 0.01
        begin = start + place * 200_000_000
        took = int(rng.lognormvariate(21, 0.7)) if place == 0 else int(rng.lognormvariate(19, 1))
        root = place == 0
        made.append(
            SpanRecord(
                trace_id=trace_id,
                span_id=ids[place],
                parent_id=None if root else ids[0],
                name=rng.choice(TOOLS) if kind == "tool" else "support agent" if root else f"{kind} step",
                kind=kind,  # type: ignore[arg-type]
                status="error" if failed else "ok",
                error=rng.choice(("timed out", "rate limit reached", "KeyError: 'order'"))
                if failed
                else None,
                start_ns=begin,
                end_ns=begin + took,
                model=model if called else None,
                requested_model="chat" if called else None,
                provider="openai" if called else None,
                input_tokens=rng.randrange(4000) if called else 0,
                output_tokens=rng.randrange(800) if called else 0,
                cached_tokens=rng.choice((0, 0, 1000)) if called else 0,
                cost_usd=rng.lognormvariate(-7, 1) if called else None,
                ttft_ns=took // 3 if called else None,
                user=user,
                session=f"session-{rng.randrange(200_000):06}",
                key_id=f"key_{rng.randrange(20):032x}" if called else None,
                route=f"route-{rng.randrange(6)}" if called else None,
                environment=rng.choices(("prod", "staging"), (95, 5))[0],
                prompt=f"support@{rng.randrange(1, 30)}" if called else None,
                tags=(f"tag-{rng.randrange(200)}",)
                + (("guard:deny", "guard:deny:pii") if rng.random() < 0.002 else ())
                if root
                else (),
                metadata={
                    "ticket": f"T-{rng.getrandbits(40):x}",
                    "customer": f"customer-{rng.randrange(3000)}",
                }
                if root
                else {},
                input=rng.choice(pool),
                output=rng.choice(pool),
                attributes={
                    "server.address": "api.example.com",
                    "http.response.status_code": 500 if failed else 200,
                    "order.id": rng.randrange(10_000_000),
                    "retry": False,
                },
            )
        )
    return made


def write(home: Home, known: ScopeIds, spans: list[SpanRecord], rng: random.Random) -> None:
    """Write one batch, and scores for some of its traces."""
    ready = [prepare(Scope(), span) for span in spans]
    roots = [span for span in spans if span.parent_id is None and rng.random() < 0.1]
    with home.begin() as uow:
        writing = Writing(uow.conn, known)
        writing.write(ready)
        scores = [
            TraceScore(
                trace_id=span.trace_id, ref="judge", origin="evals", name="faithfulness", value=rng.random()
            )
            for span in roots
        ]
        thumbs = [
            TraceScore(
                trace_id=span.trace_id,
                ref="thumb",
                origin="feedback",
                name="thumb",
                value=float(place % 10 > 0),
            )
            for place, span in enumerate(roots)
        ]
        service.put_scores(uow, Scope(), scores=scores + thumbs)
    writing.settle()


def fill(home: Home, folder: Path, spans: int) -> dict[str, Any]:
    """Write until `spans` are there; `filled` in the folder says how far an earlier run came."""
    mark = folder / "filled"
    done = int(mark.read_text()) if mark.exists() else 0
    if done >= spans:
        return {}
    pool, known, began = texts(POOL, CHARS), ScopeIds(), time.process_time()
    origin_file = folder / "origin"
    if not origin_file.exists():
        origin_file.write_text(str(clock.now_ns() - DAYS * 86_400 * 10**9))
    origin, step = int(origin_file.read_text()), DAYS * 86_400 * 10**9 // (spans // len(SHAPE))
    first, background_cpu = done, 0.0
    while done < spans:
        rng = random.Random(done)
        batch = [
            span
            for number in range(BATCH)
            for span in trace(rng, pool, origin + (done // len(SHAPE) + number) * step)
        ]
        write(home, known, batch, rng)
        done += len(batch)
        mark.write_text(str(done))
        if done % 100_000 == 0:
            begin = time.process_time()
            background.catch_up(home)
            background_cpu += time.process_time() - begin
            print(f"{done} spans", flush=True)
    begin = time.process_time()
    background.catch_up(home)
    background_cpu += time.process_time() - begin
    spent = time.process_time() - began - background_cpu
    count = done - first
    return {
        "made_and_written_us_per_span": round(spent / count * 1e6, 1),
        "background_us_per_span": round(background_cpu / count * 1e6, 1),
    }


def keep_writing(folder: str, rate: int) -> None:
    """Write `rate` spans per second and index them, until ended."""
    rng, known = random.Random(clock.now_ns()), ScopeIds()
    pool = texts(500, CHARS)
    with Home.open(folder) as home:
        while True:
            begin = time.monotonic()
            batch = [span for _ in range(max(1, rate // 10)) for span in trace(rng, pool, clock.now_ns())]
            write(home, known, batch, rng)
            background.tick(home)
            time.sleep(max(0.0, len(batch) / rate - (time.monotonic() - begin)))


def questions(rng: random.Random, sample: list[Any]) -> dict[str, Callable[[], str]]:
    """Return name → query with fresh arguments."""
    words, _ = vocabulary(random.Random(1))

    def user() -> str:
        return rng.choice(sample).user

    return {
        "everything": lambda: "",
        "model": lambda: f"model:{rng.choice(MODELS)}",
        "model wildcard": lambda: "model:gpt-*",
        "provider": lambda: "provider:openai",
        "kind": lambda: "kind:tool",
        "name": lambda: f"name:{rng.choice(TOOLS)}",
        "name wildcard": lambda: "name:*order*",
        "errors": lambda: "status:error",
        "no errors": lambda: "status:ok",
        "user": lambda: f"user:{user()}",
        "two users": lambda: f"(user:{user()} OR user:{user()})",
        "user wildcard": lambda: f"user:user-{rng.randrange(50):02}*",
        "session": lambda: f"session:session-{rng.randrange(200_000):06}",
        "tag": lambda: f"tag:tag-{rng.randrange(200)}",
        "not a tag": lambda: f"-tag:tag-{rng.randrange(200)}",
        "metadata": lambda: f"metadata.customer:customer-{rng.randrange(3000)}",
        "metadata, one trace": lambda: f"metadata.ticket:T-{rng.getrandbits(40):x}",
        "metadata key": lambda: "metadata.ticket:*",
        "metadata wildcard": lambda: f"metadata.ticket:T-{rng.getrandbits(12):x}*",
        "prompt": lambda: "prompt:support",
        "prompt version": lambda: f"prompt:support@{rng.randrange(1, 30)}",
        "key": lambda: f"key:key_{rng.randrange(20):032x}",
        "route": lambda: f"route:route-{rng.randrange(6)}",
        "environment": lambda: "environment:staging",
        "guard": lambda: "guard:deny:pii",
        "attribute, rare": lambda: f"attributes.order.id:{rng.randrange(10_000_000)}",
        "attribute, common": lambda: "attributes.http.response.status_code:500",
        "latency, common": lambda: "latency>2s",
        "latency, rare": lambda: "latency>20s",
        "cost, rare": lambda: "cost>0.1",
        "cost": lambda: "cost>=0.003",
        "tokens": lambda: "tokens>8000",
        "time to first token": lambda: "ttft>500ms",
        "score": lambda: "score.faithfulness<0.5",
        "score, rare": lambda: "score.faithfulness<0.001",
        "feedback": lambda: "feedback:down",
        "time": lambda: "since:7d until:6d",
        "trace id": lambda: f"id:{rng.choice(sample).trace_id}",
        "common word": lambda: words[rng.randrange(50)],
        "rare word": lambda: words[rng.randrange(15_000, 30_000)],
        "two words": lambda: f"{words[rng.randrange(200)]} {words[rng.randrange(2000)]}",
        "phrase": lambda: f'"{words[rng.randrange(40)]} {words[rng.randrange(40)]}"',
        "word in output": lambda: f"output:{words[rng.randrange(2000, 10_000)]}",
        "beginning of a word": lambda: f"{words[rng.randrange(1000, 30_000)][:5]}*",
        "error text": lambda: 'error:"rate limit"',
        "word and user": lambda: f"{words[rng.randrange(500)]} user:{user()}",
        "word, model, slow": lambda: f"{words[rng.randrange(2000)]} model:gpt-* latency>3s",
        "model, slow, no error": lambda: "model:claude-* latency>2s -status:error cost>=0.001",
        "user, model, route": lambda: (
            f"user:{user()} model:{rng.choice(MODELS)} route:route-{rng.randrange(6)}"
        ),
        "either": lambda: f"(status:error tag:tag-{rng.randrange(200)}) OR latency>30s",
    }


def measure(ask: Callable[[], Any], times: int) -> dict[str, Any]:
    """Return p50 and p95 of the wall time, mean and p95 of the CPU time, and what is found."""
    walls, cpus, found = [], [], 0
    for _ in range(times):
        begin, cpu = time.perf_counter(), time.process_time()
        found += len(ask())
        walls.append((time.perf_counter() - begin) * 1e3)
        cpus.append((time.process_time() - cpu) * 1e3)
    walls.sort()
    cpus.sort()
    place = int(0.95 * (times - 1))
    return {
        "p50_ms": round(statistics.median(walls), 2),
        "p95_ms": round(walls[place], 2),
        "cpu_ms": round(statistics.fmean(cpus), 2),
        "cpu_p95_ms": round(cpus[place], 2),
        "found": round(found / times, 1),
    }


def ask_all(home: Home, args: argparse.Namespace) -> None:
    """Print a line per question."""
    actor, rng = system_actor(), random.Random(1)
    with home.read() as uow:
        sample = list(service.list_traces(uow, actor, limit=1000).items)

    def listed(query: str) -> Any:
        with home.read() as uow:
            return service.list_traces(uow, actor, filters=TraceFilters(query=query), limit=50).items

    def bars(query: str) -> Any:
        with home.read() as uow:
            return service.histogram(uow, actor, filters=TraceFilters(query=query), buckets=60)

    def values(key: str, prefix: str) -> Any:
        with home.read() as uow:
            return service.facets(uow, actor, key=key, prefix=prefix)

    def by_id() -> Any:
        with home.read() as uow:
            return service.get_trace(uow, actor, trace_id=rng.choice(sample).trace_id).spans

    def dashboard(**given: Any) -> Any:
        with home.read() as uow:
            return service.timeseries(uow, actor, bucket=timedelta(days=1), **month, **given)

    def usage(by: Any) -> Any:
        with home.read() as uow:
            return service.usage(uow, actor, group_by=by, **month)

    month = {"since": clock.now() - timedelta(days=29.7), "until": clock.now()}
    asked: dict[str, Callable[[], Any]] = {
        f"list {name}": lambda make=make: listed(make()) for name, make in questions(rng, sample).items()
    }
    asked |= {
        "trace by id": by_id,
        "bars of everything": lambda: bars(""),
        "bars of 24 hours": lambda: bars("since:24h"),
        "bars of errors": lambda: bars("status:error"),
        "bars of slow ones": lambda: bars("latency>5s"),
        "fields": lambda: values("", ""),
        "values of model": lambda: values("model", ""),
        "values of user": lambda: values("user", f"user-{rng.randrange(500):03}"),
        "values of metadata": lambda: values("metadata.ticket", f"T-{rng.getrandbits(8):x}"),
    }
    asked["dashboard, 30 days"] = dashboard
    for by in ("model", "user", "key"):
        asked[f"dashboard, 30 days by {by}"] = lambda by=by: dashboard(by=by)
        asked[f"usage by {by}, 30 days"] = lambda by=by: usage(by)
    for name, ask in asked.items():
        if any(part in name for part in args.only.split("|")):
            times = args.times if name.startswith("list") else max(5, args.times // 4)
            print(f"{name:28}", json.dumps(measure(ask, times)), flush=True)


def erased(home: Home, user: str) -> dict[str, Any]:
    """Erase a user; returns what went and what it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    gone = erasure.erase_traces(home, system_actor(), user=user)
    took = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
    return gone._asdict() | {name: round(value, 2) for name, value in took.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--spans", type=int, default=1_000_000)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--times", type=int, default=40)
    parser.add_argument("--write", type=int, default=200, help="spans per second meanwhile; 0: none")
    parser.add_argument("--only", default="", help="ask only what has this in its name; | separates")
    parser.add_argument("--erase", default="", help="a user whose traces are erased at the end")
    parser.add_argument("--fill-only", action="store_true")
    args = parser.parse_args()
    os.environ.setdefault("PENSTOCK_TRACES__QUERY_SECONDS", "120")
    with Home.open(args.home) as home:
        report = {"spans": args.spans} | fill(home, args.home, args.spans)
        if home.db.sqlite:
            size = sum(file.stat().st_size for file in args.home.glob("penstock.db*"))
            report["disk_bytes_per_span"] = round(size / args.spans)
        print(json.dumps(report), flush=True)
        if args.fill_only:
            return
        writer = None
        if args.write:
            context = multiprocessing.get_context("spawn")
            writer = context.Process(target=keep_writing, args=(str(args.home), args.write), daemon=True)
            writer.start()
            time.sleep(3)
        try:
            ask_all(home, args)
            if args.erase:
                print("erased", json.dumps(erased(home, args.erase)), flush=True)
        finally:
            if writer is not None:
                writer.terminate()
                writer.join()


if __name__ == "__main__":
    main()
