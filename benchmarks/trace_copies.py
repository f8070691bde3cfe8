"""Many months of traces, made of one: every span of a filled database again, 31 days earlier each time.

    python benchmarks/trace_copies.py --home DIR --copies 12

Fills what a real span has: rows, bodies, facets, scores, the full-text index, roll-ups, people. Copies have ids of
their own; users, sessions, tags and text are those of the first month. One copy is one transaction, so that a run that
was stopped goes on where it was. PENSTOCK_CORE__DATABASE_URL chooses PostgreSQL, whose index of words is dropped for
the time, and made anew at the end.
"""

import argparse
import json
import sqlite3
import time
from pathlib import Path
from typing import Any

from penstock.core.home import Home
from penstock.core.settings import CoreSettings
from penstock.traces import body, words

DAYS = 31
_HASH = 128 << 20
"""Bytes of index that SQLite gathers before it writes a part; it takes 1 MiB unless told."""
TOTALS = ("traces", "calls", "errors", "input_tokens", "output_tokens", "cached_tokens", "cost_nano")


class Lite:
    """Copies in SQLite."""

    begin = "BEGIN IMMEDIATE"

    def __init__(self, folder: Path) -> None:
        self.folder, self.first = folder, dict[str, int]()
        self.raw = sqlite3.connect(folder / "penstock.db", isolation_level=None)
        self.raw.create_function("again", 2, lambda trace, number: trace[:15] + bytes([trace[15] ^ number]))
        for pragma in ("cache_size = -400000", "synchronous = OFF", "temp_store = FILE"):
            self.execute(f"PRAGMA {pragma}")

    def execute(self, statement: str) -> Any:
        """Return a statement's rows."""
        return self.raw.execute(statement)

    def again(self, number: int) -> str:
        """Return the id of a copied trace."""
        return f"again(trace_id, {number})"

    def names(self, table: str) -> list[str]:
        """Return the columns of a table."""
        return [row[1] for row in self.execute(f"PRAGMA table_info({table})")]

    def prepare(self) -> None:
        """Attach a file with what the index is told of each span of the first month, made if need be."""
        self.raw.execute("ATTACH DATABASE ? AS said", (str(self.folder / "words.db"),))
        self.execute("CREATE TABLE IF NOT EXISTS said.words (id INTEGER PRIMARY KEY, words TEXT)")
        done = self.execute("SELECT coalesce(max(id), 0) FROM said.words").fetchone()[0]
        while done < self.first["spans"]:
            rows = self.raw.execute(
                "SELECT s.id, s.scope_id, s.name, s.error, b.data FROM traces_spans s JOIN traces_bodies b USING (id) "
                "WHERE s.id > ? AND s.id <= ? ORDER BY s.id LIMIT 20000",
                (done, self.first["spans"]),
            ).fetchall()
            self.execute("BEGIN")
            for number, scope, name, error, data in rows:
                span = body.unpack(data)
                text = words.of_span(name, error, span.input, span.output)
                known = words.known_attributes(words.searched(span.attributes, span.parameters))
                row = (number, words.indexed(text, scope, known))
                self.raw.execute("INSERT INTO said.words VALUES (?, ?)", row)
            self.execute("COMMIT")
            done = rows[-1][0]
        self.execute(f"INSERT INTO traces_text (traces_text, rank) VALUES ('hashsize', {_HASH})")

    def words(self, shift: int) -> str:
        """Return the statement that puts a copy into the index of words."""
        return (
            f"INSERT INTO traces_text (rowid, words) SELECT id + {shift}, words FROM said.words ORDER BY id"
        )

    def copied(self) -> None:
        """Empty the log after a copy."""
        self.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Put back what was set."""
        self.execute(f"INSERT INTO traces_text (traces_text, rank) VALUES ('hashsize', {1 << 20})")
        self.raw.close()


class Postgres:
    """Copies in PostgreSQL."""

    begin = "BEGIN"

    def __init__(self, url: str) -> None:
        import psycopg

        self.first = dict[str, int]()
        self.raw = psycopg.connect(url, autocommit=True)

    def execute(self, statement: str) -> Any:
        """Return a statement's rows."""
        return self.raw.execute(statement)

    def again(self, number: int) -> str:
        """Return the id of a copied trace."""
        return f"set_byte(trace_id, 15, get_byte(trace_id, 15) # {number})"

    def names(self, table: str) -> list[str]:
        """Return the columns of a table."""
        return [column.name for column in self.execute(f"SELECT * FROM {table} LIMIT 0").description]

    def prepare(self) -> None:
        """Drop the index of words, which is cheaper to make at the end."""
        self.execute("DROP INDEX IF EXISTS ix_traces_text_words")

    def words(self, shift: int) -> str:
        """Return the statement that makes the words of a copy."""
        return (
            f"INSERT INTO traces_text (id, words) SELECT id + {shift}, strip(words) FROM traces_text "
            f"WHERE id <= {self.first['spans']}"
        )

    def copied(self) -> None:
        """Nothing is left to do."""

    def close(self) -> None:
        """Make the index, and count rows for the planner."""
        self.execute("SET maintenance_work_mem = '1GB'")
        self.execute("CREATE INDEX ix_traces_text_words ON traces_text USING gin (words)")
        for table in ("traces_traces", "traces_spans"):
            query = f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))"
            self.execute(query)
        self.execute("VACUUM ANALYZE")
        self.raw.close()


def copy(engine: Lite | Postgres, number: int) -> None:
    """Write copy `number`, a transaction of its own."""
    first = engine.first
    earlier = number * DAYS * 86_400
    spans, traces = number * first["spans"], number * first["traces"]
    again = engine.again(number)
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
    engine.execute(engine.begin)
    for table, shift in shifts.items():
        columns = [f'"{name}"' for name in engine.names(table)]
        values = ", ".join(shift.get(name.strip('"'), name) for name in columns)
        engine.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {table} WHERE {only[table]}"
        )
    engine.execute(engine.words(spans))
    sets = ", ".join(f"{name} = {name} * {number + 1} / {number}" for name in TOTALS)
    engine.execute(f"UPDATE traces_people SET {sets}, first_ms = first_ms - {DAYS * 86_400_000}")
    for mark in ("settled", "rolled", "gathered", "indexed"):
        engine.execute(
            f"UPDATE traces_marks SET value = (SELECT max(id) FROM traces_spans) WHERE name = '{mark}'"
        )
    engine.execute("COMMIT")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--copies", type=int, required=True)
    args = parser.parse_args()
    with Home.open(args.home) as home:
        url = home.settings.section(CoreSettings).database_url
    engine = Postgres(url) if url else Lite(args.home)
    mark = args.home / "copied"
    if mark.exists():
        first = json.loads(mark.read_text())
    else:
        query = "SELECT (SELECT max(id) FROM traces_spans), max(id), min(at_ms) / 1000 FROM traces_traces"
        spans, traces, since = engine.execute(query).fetchone()
        first = {"spans": spans, "traces": traces, "bucket": since - since % 86_400}
        mark.write_text(json.dumps(first))
    engine.first = first
    engine.prepare()
    held = engine.execute("SELECT max(id) FROM traces_spans").fetchone()[0]
    for number in range(round(held / first["spans"]), args.copies + 1):
        began = time.process_time()
        copy(engine, number)
        engine.copied()
        spent = round((time.process_time() - began) / first["spans"] * 1e6, 1)
        print(json.dumps({"spans": (number + 1) * first["spans"], "us_per_span": spent}), flush=True)
    engine.close()


if __name__ == "__main__":
    main()
