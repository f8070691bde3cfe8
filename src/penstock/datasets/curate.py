"""Running a recipe: each step takes numbered rows and yields the ones that remain, and tells what it did."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from penstock.core.pii import Detector
from penstock.datasets import doubles, label_steps, labelling, mending, reshaping, sifting, steps
from penstock.datasets.model import LeftOut
from penstock.datasets.recipe import Recipe
from penstock.datasets.tally import Means, Numbered, Tally

RUNNERS: dict[type, Callable[[Any, Numbered, Tally], Numbered]] = {
    steps.Normalise: mending.normalise,
    steps.Repair: mending.repair,
    steps.StripHtml: mending.strip_html,
    steps.Redact: mending.redact,
    steps.KeepLanguages: sifting.keep_languages,
    steps.Quality: sifting.keep_quality,
    steps.Gopher: sifting.gopher,
    steps.C4: sifting.c4,
    steps.Boilerplate: sifting.boilerplate,
    steps.ExactDuplicates: doubles.exact,
    steps.NearDuplicates: doubles.near,
    steps.SemanticDuplicates: doubles.semantic,
    steps.Decontaminate: doubles.decontaminate,
    steps.Select: reshaping.select,
    steps.Drop: reshaping.drop,
    steps.Rename: reshaping.rename,
    steps.MapLabels: reshaping.map_labels,
    steps.Sql: reshaping.sql,
    steps.Python: reshaping.python,
    steps.Reweigh: reshaping.reweigh,
    steps.Balance: reshaping.balance,
    steps.Swap: reshaping.swap,
    label_steps.LabelByWords: labelling.by_words,
    label_steps.LabelByModel: labelling.by_model,
    label_steps.Vote: labelling.vote,
    label_steps.Synthesise: labelling.synthesise,
}
"""Step → what runs it."""


def start(
    recipe: Recipe,
    rows: Numbered,
    *,
    folder: Path,
    left_out: Callable[[LeftOut], None],
    means: Means | None = None,
) -> tuple[Numbered, list[Tally]]:
    """Chain the recipe's steps behind `rows`; the tallies are complete once the result was read to its end.

    Steps stream; those that have to see all rows first keep them in a file in `folder`.
    """
    detector = Detector()
    tallies = []
    for place, step in enumerate(recipe.steps):
        tally = Tally(
            step,
            lambda text: detector.redact(text)[0],
            left_out,
            folder / f"step-{place}",
            means or Means(),
        )
        tallies.append(tally)
        rows = _counted(RUNNERS[type(step)](step, _entering(rows, tally), tally), tally)
    return rows, tallies


def _entering(rows: Numbered, tally: Tally) -> Numbered:
    for item in rows:
        tally.rows_in += 1
        yield item


def _counted(rows: Numbered, tally: Tally) -> Numbered:
    for item in rows:
        tally.rows_out += 1
        yield item
