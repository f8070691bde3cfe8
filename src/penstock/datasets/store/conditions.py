"""SQL expressions over single rows, by SQLite in memory: no table, no file, no way out.

An expression may read columns and call functions, nothing else; how long it runs and how large its
values get is bounded. https://www.sqlite.org/security.html
"""

import re
import sqlite3
from types import TracebackType
from typing import Any, Self

import msgspec
import re2

from penstock.core.errors import Invalid
from penstock.datasets.model import MAX_COLUMNS, Row

MAX_SQL = 2000
_STEPS = 10_000
_TICKS = 50
_MAX_VALUE = 64 << 20
_MAX_PATTERN = 200
_NO_COLUMN = re.compile(r"no such column: (.+)")
_TOKENS = re.compile(r"'(?:[^']|'')*'|\"((?:[^\"]|\"\")+)\"")
_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION}
_FORBIDDEN = {"load_extension", "writefile", "readfile", "edit", "fts3_tokenizer"}


class Expression:
    """A compiled condition; `columns` are the columns it reads. Close it, or use it as a context manager."""

    def __init__(self, sql: str) -> None:
        """Compile `sql`; raises Invalid when it is no expression, or does more than compute."""
        self.sql = sql
        self._ticks = 0
        if not sql.strip() or len(sql) > MAX_SQL:
            raise Invalid(f"A condition has 1 to {MAX_SQL} characters.")
        self._connection = sqlite3.connect(":memory:", cached_statements=4)
        try:
            self._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_VALUE)
            self._connection.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, _MAX_PATTERN)
            self._connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
            self._connection.create_function("regexp", 2, _matches, deterministic=True)
            self._connection.set_authorizer(_authorize)
            self._connection.set_progress_handler(self._tick, _STEPS)
            self.columns = self._compile()
        except BaseException:
            self._connection.close()
            raise

    def _compile(self) -> tuple[str, ...]:
        # SQLite takes "x" for a text when there is no column x, so those names are known before it is asked.
        names = [found.replace('""', '"') for found in _TOKENS.findall(self.sql) if found]
        names = list(dict.fromkeys(names))
        for _ in range(MAX_COLUMNS):
            try:
                self._query = self._build(names)
                self._connection.execute(self._query, [None] * len(names)).fetchone()
                return tuple(names)
            except sqlite3.Error as error:
                missing = _NO_COLUMN.fullmatch(str(error))
                if missing is None or missing[1] in names:
                    raise self._complaint(error) from error
                names.append(missing[1])
        raise Invalid("The condition names too many columns.")

    def _build(self, names: list[str]) -> str:
        given = ", ".join(f'? AS "{name.replace(chr(34), chr(34) * 2)}"' for name in names) or "1"
        # A line comment in the expression ends with its line.
        return f"SELECT (\n{self.sql}\n) FROM (SELECT {given})"

    def _complaint(self, error: Exception) -> Invalid:
        return Invalid(
            f"The condition {self.sql!r} does not work: {error}.",
            hint="Write an SQL expression over columns, for example age >= 18 AND country IN ('DE', 'FR').",
        )

    def _tick(self) -> bool:
        self._ticks += 1
        return self._ticks > _TICKS

    def holds(self, row: Row) -> bool:
        """Return whether the condition is not false for `row`; raises Invalid when it cannot be computed."""
        self._ticks = 0
        values = [_value(row.get(name)) for name in self.columns]
        try:
            (found,) = self._connection.execute(self._query, values).fetchone()
        except (sqlite3.Error, OverflowError) as error:
            raise self._complaint(error) from error
        return found is None or bool(found)

    def close(self) -> None:
        """Let go of the engine."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _authorize(action: int, first: str | None, second: str | None, *_more: Any) -> int:
    if action not in _ALLOWED or (action == sqlite3.SQLITE_FUNCTION and second in _FORBIDDEN):
        return sqlite3.SQLITE_DENY
    # Reading a table of the engine's own has that table's name; the row's columns have none.
    if action == sqlite3.SQLITE_READ and (first or "").lower().startswith(("sqlite_", "pragma_")):
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


def _matches(pattern: Any, text: Any) -> bool | None:
    if pattern is None or text is None:
        return None
    return re2.search(str(pattern), str(text)) is not None


def _value(value: Any) -> Any:
    if isinstance(value, bool) or value is None or isinstance(value, str | float):
        return value
    if isinstance(value, int):
        return value if -(1 << 63) <= value < 1 << 63 else float(value)
    return msgspec.json.encode(value).decode()
