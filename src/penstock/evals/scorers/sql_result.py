"""Whether a query gives the rows that the right query gives."""

import asyncio
import re
from collections import Counter
from typing import Any

from penstock.core.errors import Unprocessable
from penstock.evals.model import Measure, MetricKind, Output, Sample
from penstock.evals.ports import Bench
from penstock.evals.queries import store as queries

_FENCE = re.compile(r"```(?:sql|sqlite)?[ \t]*\n(.*?)```", re.DOTALL | re.IGNORECASE)
_ORDERED = re.compile(r"\border\s+by\b[^()]*$", re.IGNORECASE)


def query_of(text: str) -> str:
    """Return the SQL of an answer: its last fenced block, else all of it."""
    blocks = _FENCE.findall(text)
    return str(blocks[-1] if blocks else text).strip().rstrip(";").strip()


def _cell(value: Any) -> Any:
    # 1 and 1.0 are the same figure; sums of floats may differ in their last digits.
    return float(f"{value:.9g}") if isinstance(value, int | float) else value


class SqlResult:
    """`sql_result`: 1 when the answer's query gives the rows of the expected query, on the row's own database.

    The database is made in memory from the column `schema` (SQL that creates and fills tables). Queries may only read:
    an authorizer refuses everything else, and each is stopped after `seconds` (2) and at `rows` (10,000).
    Rows are compared as a multiset, in order when `ordered` or when the expected query ends in ORDER BY; column names
    do not matter. `sql_valid` says whether the query ran. Source: execution accuracy, Yu et al., Spider (2018).
    """

    name = "sql_result"

    def __init__(
        self, *, schema: str = "schema", ordered: bool | None = None, seconds: float = 2.0, rows: int = 10_000
    ) -> None:
        self._schema, self._ordered = schema, ordered
        self._limits = queries.Limits(seconds=seconds, rows=rows)

    def score(self, sample: Sample, output: Output) -> dict[str, float]:  # noqa: ARG002 - the port's signature
        """Return nothing: queries run beside the event loop."""
        return {}

    def measure(self, metric: str) -> Measure | None:
        """Return proportions."""
        return Measure(kind=MetricKind.PROPORTION) if metric in ("sql_result", "sql_valid") else None

    async def judge(
        self,
        sample: Sample,
        output: Output,
        bench: Bench,  # noqa: ARG002 - the port's signature
    ) -> tuple[dict[str, float], Any]:
        """Return whether the query ran and gave the right rows; raises Unprocessable when the expected one fails."""
        schema = sample.row.get(self._schema)
        if not isinstance(schema, str) or not sample.references:
            raise Unprocessable(f"sql_result needs SQL in the column {self._schema!r} and an expected query.")
        wanted_query, query = query_of(sample.expected), query_of(output.text)
        wanted = await self._run(schema, wanted_query)
        try:
            found = await self._run(schema, query)
        except queries.QueryFailed as error:
            return {"sql_result": 0.0, "sql_valid": 0.0}, {"query": query, "error": error.message}
        ordered = _ORDERED.search(wanted_query) is not None if self._ordered is None else self._ordered
        same = found == wanted if ordered else Counter(found) == Counter(wanted)
        note = {"query": query, "rows": len(found), "expected_rows": len(wanted)}
        return {"sql_result": float(same), "sql_valid": 1.0}, note

    async def _run(self, schema: str, query: str) -> queries.Rows:
        rows = await asyncio.to_thread(queries.run, schema, query, self._limits)
        return [tuple(_cell(value) for value in row) for row in rows]
