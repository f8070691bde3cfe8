"""Many months of traces, made of one: every span of a filled database again, 31 days earlier each time.

    python benchmarks/trace_copies.py --home DIR --copies 12

Fills what a real span has: rows, bodies, facets, scores, the full-text index, roll-ups, people. Copies have ids of
their own; users, sessions, tags and text are those of the first month. One copy is one transaction, so that a run that
was stopped goes on where it was. SQLite alone: PostgreSQL's is filled by `trace_queries.py`.
"""

import argparse
import json
import sqlite3
import time
from pathlib import Path

from penstock.core.home import Home
from penstock.traces import body, words

DAYS = 31
_HASH = 128 << 20
"""Bytes of index that SQLite gathers before it writes a part; it takes 1 MiB unless told."""


def columns(raw: sqlite3.Connection, table: str, shifts: dict[str, str]) -> tuple[str, str]:
    """Return the columns of a table and what a copy has in each."""
    names = [row[1] for row in raw.execute(f"PRAGMA table_info({table})")]
    return ", ".join(f'"{name}"' for name in names), ", ".join(
        shifts.get(name, f'"{name}"') for name in names
    )


def remember_words(raw: sqlite3.Connection, folder: Path, last: int) -> None:
    """Attach a file with what the index is told of each span of the first month, made if need be."""
    raw.execute("ATTACH DATABASE ? AS said", (str(folder / "words.db"),))
    raw.execute("CREATE TABLE IF NOT EXISTS said.words (id INTEGER PRIMARY KEY, words TEXT)")
    done = raw.execute("SELECT coalesce(max(id), 0) FROM said.words").fetchone()[0]
    while done < last:
        rows = raw.execute(
            "SELECT s.id, s.scope_id, s.name, s.error, b.data FROM traces_spans s JOIN traces_bodies b USING (id) "
            "WHERE s.id > ? AND s.id <= ? ORDER BY s.id LIMIT 20000",
            (done, last),
        ).fetchall()
        raw.execute("BEGIN")
        for number, scope, name, error, data in rows:
            span = body.unpack(data)
            text = words.of_span(name, error, span.input, span.output)
            known = words.known_attributes(words.searched(span.attributes, span.parameters))
            raw.execute("INSERT INTO said.words VALUES (?, ?)", (number, words.indexed(text, scope, known)))
        raw.execute("COMMIT")
        done = rows[-1][0]


def copy(raw: sqlite3.Connection, number: int, first: dict[str, int]) -> None:
    """Write copy `number`, a transaction of its own."""
    earlier = number * DAYS * 86_400
    spans, traces = number * first["spans"], number * first["traces"]
    again = f"again(trace_id, {number})"
    old = {"at_ms": f"at_ms - {earlier}000", "start_ns": f"start_ns - {earlier}000000000"}
    old |= {"end_ns": f"end_ns - {earlier}000000000", "trace_id": again}
    shifts = {
        "traces_traces": {"id": f"id + {traces}", **old},
        "traces_spans": {"id": f"id + {spans}", "trace": f"trace + {traces}", **old},
        "traces_bodies": {"id": f"id + {spans}"},
        "traces_facets": {"at_ms": old["at_ms"], "trace": f"trace + {traces}"},
        "traces_sums": {"bucket": f"bucket - {earlier}"},
        "traces_scores": {"trace_id": again},
    }
    only = {
        "traces_traces": f"id <= {first['traces']}",
        "traces_spans": f"id <= {first['spans']}",
        "traces_bodies": f"id <= {first['spans']}",
        "traces_facets": f"trace <= {first['traces']}",
        "traces_sums": f"bucket >= {first['bucket']}",
        "traces_scores": "EXISTS (SELECT 1 FROM traces_traces t WHERE t.scope_id = traces_scores.scope_id "
        f"AND t.trace_id = traces_scores.trace_id AND t.id <= {first['traces']})",
    }
    raw.execute("BEGIN IMMEDIATE")
    for table, shift in shifts.items():
        names, values = columns(raw, table, shift)
        raw.execute(f"INSERT INTO {table} ({names}) SELECT {values} FROM {table} WHERE {only[table]}")
    raw.execute(
        f"INSERT INTO traces_text (rowid, words) SELECT id + {spans}, words FROM said.words ORDER BY id"
    )
    totals = ("traces", "calls", "errors", "input_tokens", "output_tokens", "cached_tokens", "cost_nano")
    sets = ", ".join(f"{name} = {name} * {number + 1} / {number}" for name in totals)
    raw.execute(f"UPDATE traces_people SET {sets}, first_ms = first_ms - {DAYS * 86_400_000}")
    for mark in ("settled", "rolled", "gathered", "indexed"):
        raw.execute(
            "UPDATE traces_marks SET value = (SELECT max(id) FROM traces_spans) WHERE name = ?", (mark,)
        )
    raw.execute("COMMIT")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--copies", type=int, required=True)
    args = parser.parse_args()
    with Home.open(args.home):
        pass
    raw = sqlite3.connect(args.home / "penstock.db", isolation_level=None)
    raw.create_function("again", 2, lambda trace, number: trace[:15] + bytes([trace[15] ^ number]))
    for pragma in ("cache_size = -400000", "synchronous = OFF", "temp_store = FILE"):
        raw.execute(f"PRAGMA {pragma}")
    mark = args.home / "copied"
    if mark.exists():
        first = json.loads(mark.read_text())
    else:
        query = "SELECT (SELECT max(id) FROM traces_spans), max(id), min(at_ms) / 1000 FROM traces_traces"
        spans, traces, since = raw.execute(query).fetchone()
        first = {"spans": spans, "traces": traces, "bucket": since - since % 86_400}
        mark.write_text(json.dumps(first))
    remember_words(raw, args.home, first["spans"])
    raw.execute("INSERT INTO traces_text (traces_text, rank) VALUES ('hashsize', ?)", (_HASH,))
    held = raw.execute("SELECT max(id) FROM traces_spans").fetchone()[0]
    for number in range(round(held / first["spans"]), args.copies + 1):
        began = time.process_time()
        copy(raw, number, first)
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        spent = round((time.process_time() - began) / first["spans"] * 1e6, 1)
        print(json.dumps({"spans": (number + 1) * first["spans"], "us_per_span": spent}), flush=True)
    raw.execute("INSERT INTO traces_text (traces_text, rank) VALUES ('hashsize', ?)", (1 << 20,))
    raw.close()


if __name__ == "__main__":
    main()
