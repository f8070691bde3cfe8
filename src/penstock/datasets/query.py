"""One SQL query over rows, answered by DataFusion over a table in a work folder.

Only a query runs: the statement has to begin with SELECT or WITH, and the engine refuses a second one. The engine
knows no other table and is given no files, so a query sees the rows and nothing else.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from deltalake import DeltaTable, QueryBuilder
from deltalake.exceptions import DeltaError

from penstock.core.errors import Invalid
from penstock.datasets import table
from penstock.datasets.model import Column, ColumnType, Row, StoredRow
from penstock.datasets.spool import Spool

_OWN = ("__row", "__key", "__split")
_GROWTH = 100
_SMALLEST_LIMIT = 100_000

_decode = msgspec.json.Decoder().decode


def run(query: str, spool: Spool, columns: tuple[Column, ...], folder: Path) -> Iterator[tuple[int, Row]]:
    """Yield the rows of the answer, each with the line it came from, or 0 when the query does not say.

    `__key` is the line, so `SELECT *` and every query that selects `__key` keep it. Columns that were nested
    are text to the query, and nested again when they come out under their name. Raises Invalid for a query
    that fails, and for one whose answer is more than 100 times as long as the rows.
    """
    stored = (
        StoredRow(str(number), "", row, position=place, size=200) for place, (number, row) in enumerate(spool)
    )
    table.write(folder, columns, stored, "query")
    nested = {column.name for column in columns if column.type is ColumnType.JSON}
    most = max(_SMALLEST_LIMIT, _GROWTH * spool.count)
    count = 0
    for names, values in _answer(query, folder):
        keys = values[names.index("__key")] if "__key" in names else None
        kept = [(place, name) for place, name in enumerate(names) if name not in _OWN]
        for row in range(len(values[0]) if values else 0):
            count += 1
            if count > most:
                raise Invalid(f"The query gives more than {most:,} rows.", hint="Join or unnest less.")
            found = {name: _plain(values[place][row], name in nested) for place, name in kept}
            yield _line(keys[row] if keys is not None else None), found


def _answer(query: str, folder: Path) -> Iterator[tuple[list[str], list[list[Any]]]]:
    try:
        for batch in QueryBuilder().register("data", DeltaTable(str(folder))).execute(query):
            names = list(batch.schema.names)
            yield names, [batch.column(place).to_pylist() for place in range(len(names))]
    except (DeltaError, ValueError, OSError) as error:
        raise Invalid(f"The query failed: {error}.", hint="The rows are the table data.") from error


def _line(key: Any) -> int:
    return int(key) if isinstance(key, str) and key.isdigit() else 0


def _plain(value: Any, nested: bool) -> Any:
    """Return the cell as a JSON value."""
    if nested and isinstance(value, str):
        try:
            return _decode(value)
        except msgspec.DecodeError:
            return value
    return msgspec.to_builtins(value)
