"""Rows in a Delta Lake table: one table per dataset, one commit per version, read back by time travel.

Besides the dataset's own columns a table has `__row` (position), `__key` and `__split`. Old commits are
never cleaned up, so every version stays readable; any Delta reader can open the folder.
Format: https://github.com/delta-io/delta/blob/master/PROTOCOL.md
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
from arro3.core import Array, DataType, Field, RecordBatch, RecordBatchReader, Schema
from deltalake import CommitProperties, DeltaTable, QueryBuilder, WriterProperties, write_deltalake
from deltalake.exceptions import DeltaError, TableNotFoundError

from penstock.core.disk import storage_error
from penstock.core.errors import Invalid, NotFound, StorageFull
from penstock.datasets.model import Column, ColumnType, StoredRow
from penstock.datasets.tabular import session

_KEEP_FOR_EVER = {
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.deletedFileRetentionDuration": "interval 36500 days",
    "delta.enableExpiredLogCleanup": "false",
}
_PHYSICAL = {
    ColumnType.STRING: DataType.utf8,
    ColumnType.JSON: DataType.utf8,
    ColumnType.INTEGER: DataType.int64,
    ColumnType.NUMBER: DataType.float64,
    ColumnType.BOOLEAN: DataType.bool,
}
_BATCH_ROWS = 4000
_BATCH_BYTES = 32 << 20
_GROUP_ROWS = 8192
"""The writer holds a group of rows in memory until it is full; its own choice of a million would be gigabytes."""
_FILE_BYTES = 32 << 20
"""It also holds a file until it is stored."""
_WINDOW = 20_000
_MARK = "penstock.content"
_TYPE = "penstock.type"
_LOOK_BACK = 50

_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder().decode


def write(folder: Path, columns: Sequence[Column], rows: Iterable[StoredRow], content: str) -> int:
    """Make `rows` the table's newest version, in one atomic commit marked `content`; returns its number.

    Raises StorageFull when the disk is full or read-only; the table is then as it was before.
    """
    schema = _schema(columns)
    reader = RecordBatchReader.from_batches(schema, _batches(schema, columns, rows))
    existed = DeltaTable.is_deltatable(str(folder))
    with _translated(folder):
        write_deltalake(
            str(folder),
            reader,
            mode="overwrite",
            schema_mode="overwrite" if existed else None,
            configuration=None if existed else _KEEP_FOR_EVER,
            target_file_size=_FILE_BYTES,
            writer_properties=WriterProperties(compression="SNAPPY", max_row_group_size=_GROUP_ROWS),
            commit_properties=CommitProperties(custom_metadata={_MARK: content}),
        )
    version = find(folder, content)
    if version is None:
        raise StorageFull(f"The commit to {folder} cannot be found again.", hint="Check the disk.")
    return version


def find(folder: Path, content: str) -> int | None:
    """Return the number of a recent commit marked `content`: of this writer, or of one that was killed."""
    if not DeltaTable.is_deltatable(str(folder)):
        return None
    for entry in DeltaTable(str(folder)).history(_LOOK_BACK):
        if entry.get(_MARK) == content:
            return int(entry["version"])
    return None


def read(
    folder: Path,
    version: int,
    columns: Sequence[Column],
    *,
    total: int,
    split: str | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> Iterator[StoredRow]:
    """Yield the version's rows in order, of one split or all; `total` is the version's number of rows.

    Without a limit rows are fetched in windows, so memory does not grow with the table.
    """
    with _translated(folder):
        table = DeltaTable(str(folder), version=version)
    where = "" if split is None else f' AND "__split" = {_literal(split)}'
    if limit is not None or (offset and split is not None):
        paging = f" LIMIT {limit}" if limit is not None else ""
        query = f'SELECT * FROM "rows" WHERE TRUE{where} ORDER BY "__row"{paging} OFFSET {offset}'
        yield from _run(table, query, columns, folder)
        return
    for begin in range(offset, total, _WINDOW):
        window = f'"__row" >= {begin} AND "__row" < {begin + _WINDOW}'
        yield from _run(
            table, f'SELECT * FROM "rows" WHERE {window}{where} ORDER BY "__row"', columns, folder
        )


def keys(
    folder: Path, version: int, columns: Sequence[Column], *, key: str | None = None
) -> Iterator[StoredRow]:
    """Yield all rows ordered by their key, or by the text of the column `key`, which then is their key.

    For comparing two versions side by side; what does not fit into 256 MB is sorted on disk.
    """
    with _translated(folder):
        table = DeltaTable(str(folder), version=version)
    column = "__key" if key is None else key
    order = f"CAST({_identifier(column)} AS VARCHAR)"
    found = _run(table, f'SELECT * FROM "rows" ORDER BY {order}', columns, folder, engine=session())
    if key is None:
        yield from found
    else:
        yield from (replace(row, key=_key_text(row, key)) for row in found)


def _key_text(row: StoredRow, column: str) -> str:
    value = row.row.get(column)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Invalid(
            f"Row {row.position + 1}: the column {column!r} holds {value!r}, which identifies no row.",
            hint="Compare by a column of texts or whole numbers.",
        )
    return str(value)


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _run(
    table: DeltaTable, query: str, columns: Sequence[Column], folder: Path, *, engine: Any = None
) -> Iterator[StoredRow]:
    with _translated(folder):
        for batch in (engine or QueryBuilder()).register("rows", table).execute(query):
            values = [batch.column(column.name).to_pylist() for column in columns]
            for place, column in enumerate(columns):
                if column.type is ColumnType.JSON:
                    values[place] = [None if text is None else _decode(text) for text in values[place]]
            names = [column.name for column in columns]
            positions = batch.column("__row").to_pylist()
            found_keys, splits = batch.column("__key").to_pylist(), batch.column("__split").to_pylist()
            for place, cells in enumerate(zip(*values, strict=True)):
                row = dict(zip(names, cells, strict=True))
                yield StoredRow(found_keys[place], splits[place] or "", row, position=positions[place])


def _schema(columns: Sequence[Column]) -> Schema:
    fields = [
        Field("__row", DataType.int64(), nullable=False),
        Field("__key", DataType.utf8(), nullable=False),
        Field("__split", DataType.utf8()),
    ]
    for column in columns:
        fields.append(Field(column.name, _PHYSICAL[column.type](), metadata={_TYPE: str(column.type)}))
    return Schema(fields)


def _batches(schema: Schema, columns: Sequence[Column], rows: Iterable[StoredRow]) -> Iterator[RecordBatch]:
    pending: list[StoredRow] = []
    size = first = 0
    for row in rows:
        pending.append(row)
        size += row.size
        if len(pending) >= _BATCH_ROWS or size >= _BATCH_BYTES:
            yield _batch(schema, columns, pending, first)
            first += len(pending)
            pending, size = [], 0
    if pending:
        yield _batch(schema, columns, pending, first)


def _batch(schema: Schema, columns: Sequence[Column], rows: list[StoredRow], first: int) -> RecordBatch:
    arrays = [
        Array(list(range(first, first + len(rows))), DataType.int64()),
        Array([row.key for row in rows], DataType.utf8()),
        Array([row.split or None for row in rows], DataType.utf8()),
    ]
    for column in columns:
        values = [_physical(row.row.get(column.name), column.type) for row in rows]
        arrays.append(Array(values, _PHYSICAL[column.type]()))
    return RecordBatch.from_arrays(arrays, schema=schema)


def _physical(value: Any, kind: ColumnType) -> Any:
    if value is None:
        return None
    if kind is ColumnType.JSON:
        return _encode(value).decode()
    return float(value) if kind is ColumnType.NUMBER else value


@contextmanager
def _translated(folder: Path) -> Iterator[None]:
    try:
        yield
    except TableNotFoundError as error:
        raise NotFound(f"The table {folder} is gone.", hint="Restore it from a backup.") from error
    except (OSError, DeltaError) as error:
        full = storage_error(error, folder)
        if full is None:
            raise
        raise full from error
