"""Parquet files in and out, by DataFusion as it comes with deltalake: rows stream, a batch at a time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deltalake import QueryBuilder
from deltalake.exceptions import DeltaError

from penstock.core.errors import Invalid

_TEXT, _WHOLE, _REAL, _FLAG = "VARCHAR", "BIGINT", "DOUBLE", "BOOLEAN"
COLUMNS = {
    "trace_id": _TEXT,
    "span_id": _TEXT,
    "parent_id": _TEXT,
    "name": _TEXT,
    "kind": _TEXT,
    "status": _TEXT,
    "error": _TEXT,
    "start_ns": _WHOLE,
    "end_ns": _WHOLE,
    "ttft_ns": _WHOLE,
    "model": _TEXT,
    "requested_model": _TEXT,
    "provider": _TEXT,
    "input_tokens": _WHOLE,
    "output_tokens": _WHOLE,
    "cached_tokens": _WHOLE,
    "cache_write_tokens": _WHOLE,
    "reasoning_tokens": _WHOLE,
    "tokens_estimated": _FLAG,
    "cost_usd": _REAL,
    "price_version": _TEXT,
    "user": _TEXT,
    "session": _TEXT,
    "key_id": _TEXT,
    "route": _TEXT,
    "environment": _TEXT,
    "prompt": _TEXT,
    "input": _TEXT,
    "output": _TEXT,
    "tags": _TEXT,
    "metadata": _TEXT,
    "attributes": _TEXT,
    "events": _TEXT,
}
"""Column → type; input, output, tags, metadata, attributes and events are JSON texts."""


def _quoted(path: Path) -> str:
    return "'" + str(path.absolute()).replace("'", "''") + "'"


def convert(lines: Path, to: Path) -> None:
    """Write the JSON lines of `lines` (one object with COLUMNS each) as one Parquet file, compressed by Zstandard."""
    columns = ", ".join(f'"{name}" {kind}' for name, kind in COLUMNS.items())
    names = ", ".join(f'"{name}"' for name in COLUMNS)
    engine = QueryBuilder()
    _run(engine, f"CREATE EXTERNAL TABLE spans ({columns}) STORED AS JSON LOCATION {_quoted(lines)}")
    options = "OPTIONS ('format.compression' 'zstd(3)', 'format.max_row_group_size' '20000')"
    _run(engine, f"COPY (SELECT {names} FROM spans) TO {_quoted(to)} STORED AS PARQUET {options}")


def _run(engine: Any, statement: str) -> list[Any]:
    return list(engine.execute(statement))


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a Parquet file; moments become whole nanoseconds. Raises Invalid for a broken file."""
    engine = QueryBuilder()
    try:
        _run(engine, f"CREATE EXTERNAL TABLE given STORED AS PARQUET LOCATION {_quoted(path)}")
        described = [row for batch in engine.execute("DESCRIBE given") for row in _as_rows(batch)]
        selected = ", ".join(_column(row["column_name"], row["data_type"]) for row in described)
        for batch in engine.execute(f"SELECT {selected} FROM given"):
            yield from _as_rows(batch)
    except DeltaError as error:
        raise Invalid(f"The Parquet file cannot be read: {error}.") from error


def _column(name: str, kind: str) -> str:
    quoted = '"' + name.replace('"', '""') + '"'
    if kind.startswith("Timestamp"):
        return f"CAST(arrow_cast({quoted}, 'Timestamp(Nanosecond, None)') AS BIGINT) AS {quoted}"
    return quoted


def _as_rows(batch: Any) -> Iterator[dict[str, Any]]:
    names = batch.schema.names
    columns = [batch.column(place).to_pylist() for place in range(len(names))]
    for values in zip(*columns, strict=True):
        yield dict(zip(names, values, strict=True))
