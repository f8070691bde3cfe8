"""Which samples of a run belong together: a column of its dataset."""

from dataclasses import replace

from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.core.suggest import did_you_mean
from penstock.datasets import service as datasets
from penstock.evals import dataset_source
from penstock.evals.model import EvalRun
from penstock.evals.samples import make_samples
from penstock.evals.suite import parse_suite


def clusters_of(home: Home, actor: Actor, run: EvalRun, column: str) -> dict[str, str]:
    """Return sample id → value of `column` in the dataset version the run used; raises Invalid without that column."""
    suite = parse_suite(run.spec)
    version = dataset_source.pin(home, actor, suite)
    wanted: list[str | None] = [suite.split] if suite.split else [*sorted(version.splits)] or [None]
    rows = [
        (split or "", row)
        for split in wanted
        for row in datasets.rows(home, actor, version.ref, split=split, limit=suite.limit)
    ]
    columns = replace(suite.columns, id=suite.columns.id or version.key or "")
    samples = make_samples(rows, columns=columns, system=suite.system)
    if rows and column not in rows[0][1]:
        hint = did_you_mean(column, sorted(rows[0][1]))
        raise Invalid(f"{version.ref} has no column {column!r} to cluster by.", hint=hint)
    return {sample.id: str(row[column]) for sample, (_, row) in zip(samples, rows, strict=True)}
