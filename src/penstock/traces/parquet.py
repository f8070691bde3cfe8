"""Parquet files in and out, by DataFusion as it comes with deltalake: rows stream, a batch at a time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, get_args, get_origin, get_type_hints

from deltalake import QueryBuilder
from deltalake.exceptions import DeltaError

from penstock.core.errors import Invalid
from penstock.traces.lines import NESTED
from penstock.traces.model import SpanRecord


def _columns() -> dict[str, str]:
    """Return column → type for every field of a span; what is nested is JSON text."""
    plain = {int: "BIGINT", float: "DOUBLE", bool: "BOOLEAN"}
    found = {}
    for name, hint in get_type_hints(SpanRecord).items():
        if get_origin(hint) is not ClassVar:
            kinds = [kind for kind in (*get_args(hint), hint) if kind in plain]
            found[name] = plain[kinds[0]] if kinds and name not in NESTED else "VARCHAR"
    return found


COLUMNS = _columns()
"""Column → type; input, output and what is nested are JSON texts."""


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
