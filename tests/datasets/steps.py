"""Running recipe steps on rows in memory."""

from pathlib import Path
from typing import Any

from penstock.datasets import curate, recipe
from penstock.datasets.model import LeftOut, Row, StepReport
from penstock.datasets.tally import Means


def run(
    folder: Path, steps: list[dict[str, Any]], rows: list[Row], means: Means | None = None
) -> tuple[list[Row], list[StepReport], list[LeftOut]]:
    """Return the rows that remain, the reports, and the rows left out."""
    out: list[LeftOut] = []
    found, tallies = curate.start(
        recipe.parse(steps),
        iter(enumerate(rows, start=1)),
        folder=folder,
        left_out=out.append,
        means=means,
    )
    return [row for _, row in found], [tally.report() for tally in tallies], out
