"""How fast dashboards, users, sessions and the comparison of traces answer, at a given number of spans.

    python benchmarks/trace_people.py --spans 5000000 [--home DIR] [--keep]

Makes the traces of `trace_store.py` with short texts, of 50,000 users and 250,000 sessions in Zipf-like proportions,
rolls them up (without the full-text index, which these questions do not read), then asks each question with varied
arguments and prints p50 and p95 of the wall time, with the CPU time beside it. With `--repeat N` the spans are of the
last 30 / N days, and their roll-ups and people are repeated over the rest: N times the spans, as far as these questions
read them, without writing them all. `--home` of an earlier run with `--keep` is reused.
"""

import argparse
import json
import random
import shutil
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import text
from trace_store import DAYS, SHAPE, measure, texts, trace

from penstock.core import clock
from penstock.core.home import Home
from penstock.core.scope import Scope, system_actor
from penstock.traces import background, comparing, reports, service, talks, trees
from penstock.traces.model import SeriesFilters
from penstock.traces.store.prepare import prepare
from penstock.traces.store.write import ScopeIds, Writing
from penstock.traces.tail import Tail

USERS, SESSIONS = 50_000, 250_000


def fill(home: Home, spans: int, rng: random.Random, days: int) -> dict[str, Any]:
    pool, known, done = texts(2000, 120), ScopeIds(), 0
    first, step = clock.now_ns() - days * 86_400 * 10**9, days * 86_400 * 10**9 // (spans // len(SHAPE))
    rolled = 0.0
    while done < spans:
        batch = []
        for _ in range(400):
            user = int(rng.paretovariate(0.7)) % USERS
            given = {"user": f"user-{user:05}", "session": f"session-{user * 5 + rng.randrange(5):06}"}
            made = trace(rng, pool, first + done // len(SHAPE) * step)
            batch += [msgspec.structs.replace(span, **given) for span in made]
            done += len(made)
        with home.begin() as uow:
            writing = Writing(uow.conn, known)
            writing.write([prepare(Scope(), span) for span in batch])
        writing.settle()
        begin = time.process_time()
        background.roll_up(home)
        rolled += time.process_time() - begin
        if done % 200_000 == 0:
            print(
                json.dumps({"spans": done, "roll_up_us_per_span": round(rolled / done * 1e6, 1)}), flush=True
            )
    return {"roll_up_us_per_span": round(rolled / done * 1e6, 1)}


def repeat(home: Home, times: int, days: int) -> None:
    """Write the roll-ups and people again, `times` - 1 times, each `days` earlier than the last."""
    shifts = {
        "traces_sums": {"bucket": "bucket - :seconds"},
        "traces_people": {
            "name": "name || '/' || :seconds",
            "first_ms": "first_ms - :seconds * 1000",
            "last_ms": "last_ms - :seconds * 1000",
        },
    }
    for table, shift in shifts.items():
        with home.begin() as uow:
            uow.conn.exec_driver_sql(f"CREATE TEMP TABLE once AS SELECT * FROM {table}")
            names = [row[1] for row in uow.conn.exec_driver_sql(f"PRAGMA table_info({table})")]
            for number in range(1, times):
                columns = ", ".join(f'"{name}"' for name in names)
                values = ", ".join(shift.get(name, f'"{name}"') for name in names)
                # The first and the last day overlap with what is there: whole days move, parts of days do not.
                query = text(
                    f"INSERT INTO {table} ({columns}) SELECT {values} FROM once WHERE true ON CONFLICT DO NOTHING"
                )
                uow.conn.execute(query, {"seconds": number * days * 86_400})
            uow.conn.exec_driver_sql("DROP TABLE once")


def questions(home: Home, rng: random.Random) -> dict[str, Callable[[], Any]]:
    actor = system_actor()
    with home.read() as uow:
        sample = [one.trace_id for one in service.list_traces(uow, actor, limit=1000).items]
        costly = talks.list_sessions(uow, actor, order="cost", limit=500).items
        busiest = [one for one in costly if "/" not in one.name]
    tail = Tail(home, actor)

    def asked(verb: Callable[..., Any], **given: Any) -> Any:
        with home.read() as uow:
            return verb(uow, actor, **given)

    def last(days: float) -> dict[str, Any]:
        return {"since": clock.now() - timedelta(days=days), "until": clock.now()}

    def series(days: float, **given: Any) -> Callable[[], Any]:
        return lambda: asked(reports.timeseries, **last(days), **given)

    def usage(by: str) -> Callable[[], Any]:
        return lambda: asked(reports.usage, group_by=by, **last(29.7))

    found: dict[str, Callable[[], Any]] = {
        "series, 30 days": series(29.7),
        "series, 30 days by hour": series(29.7, bucket=timedelta(hours=1)),
    }
    for by in ("model", "status", "key", "kind", "user"):
        found[f"series, 30 days by {by}"] = series(29.7, by=by)
    found["series, 7 days by hour by model"] = series(7, by="model")
    found["series, 30 days, a user"] = series(29.7, filters=SeriesFilters(user="user-00003"))
    found["series, 6 hours by 5 minutes by model"] = series(0.25, by="model")
    for by in ("model", "key", "status", "user", "day", "project"):
        found[f"usage by {by}, 30 days"] = usage(by)
    found |= {
        "users, last seen": lambda: asked(talks.list_users),
        "users, costliest": lambda: asked(talks.list_users, order="cost"),
        "sessions, last active": lambda: asked(talks.list_sessions),
        "sessions of a user": lambda: asked(talks.list_sessions, user=f"user-{rng.randrange(1000):05}"),
        "a session as a chat": lambda: asked(talks.get_session, session=rng.choice(busiest).name),
        "two traces compared": lambda: asked(
            comparing.diff_traces, left=rng.choice(sample), right=rng.choice(sample)
        ),
        "outline of a trace": lambda: asked(trees.get_outline, trace_id=rng.choice(sample)),
        "an idle look of the tail": tail.poll,
    }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--spans", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--times", type=int, default=30)
    args = parser.parse_args()
    folder = args.home or Path(tempfile.mkdtemp(prefix="penstock-bench-"))
    rng = random.Random(1)
    with Home.open(folder) as home:
        report: dict[str, Any] = {"spans": args.spans * args.repeat}
        if not (folder / "filled").exists():
            report |= fill(home, args.spans, rng, DAYS // args.repeat)
            repeat(home, args.repeat, DAYS // args.repeat)
            (folder / "filled").touch()
        print(json.dumps(report), flush=True)
        for name, ask in questions(home, rng).items():
            print(f"{name:40}", json.dumps(measure(ask, args.times)), flush=True)
    if not args.keep:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
