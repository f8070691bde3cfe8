"""Rows of Parquet and Arrow files, a batch at a time, by DataFusion as it comes with deltalake.

Moments and dates become ISO 8601 texts, decimals texts, bytes base64, maps lists of pairs.
Formats: https://parquet.apache.org/docs/file-format/ and https://arrow.apache.org/docs/format/Columnar.html
"""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from deltalake import QueryBuilder
from deltalake.exceptions import DeltaError

from penstock.core.errors import Invalid

_BATCH = 1024
"""Rows decoded at once: wide rows are many bytes."""


def session(*, memory_mb: int = 256, batch: int = _BATCH) -> Any:
    """Return an engine that keeps the order of rows and puts what does not fit into `memory_mb` on disk."""
    engine = QueryBuilder()
    for setting in (
        "datafusion.execution.target_partitions = 1",
        f"datafusion.execution.batch_size = {batch}",
        f"datafusion.runtime.memory_limit = '{memory_mb}M'",
    ):
        list(engine.execute(f"SET {setting}"))
    return engine


def rows(path: Path, name: str, format: str, *, skip: int = 0) -> Iterator[dict[str, Any]]:
    """Yield the rows behind the first `skip`; raises Invalid for a damaged file."""
    with TemporaryDirectory(prefix="penstock-") as folder:
        # The engine takes *, ? and [ in an address for patterns, so it gets a name without them.
        link = Path(folder) / "rows"
        link.symlink_to(path.absolute())
        engine = session()
        try:
            kind = format.upper()
            list(engine.execute(f"CREATE EXTERNAL TABLE given STORED AS {kind} LOCATION '{link}'"))
            for batch in engine.execute(f"SELECT * FROM given OFFSET {skip}"):
                yield from _as_rows(batch)
        except (DeltaError, OSError, ValueError) as error:
            raise Invalid(
                f"{name} is a damaged or unusual {format.capitalize()} file: {_first_line(error)}.",
                hint="Write it again, or export it as JSON Lines.",
            ) from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300].rstrip(".")


def _as_rows(batch: Any) -> Iterator[dict[str, Any]]:
    names = batch.schema.names
    columns = [batch.column(place).to_pylist() for place in range(len(names))]
    for values in zip(*columns, strict=True):
        yield dict(zip(names, values, strict=True))
