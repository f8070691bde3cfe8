"""The dataset version a suite is pinned to, and its rows as samples."""

from dataclasses import replace

from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.datasets import service as datasets
from penstock.datasets.model import DatasetVersion
from penstock.evals.model import Sample
from penstock.evals.samples import make_samples
from penstock.evals.suite import Suite


def pin(home: Home, actor: Actor, suite: Suite) -> DatasetVersion:
    """Return the version that the suite's dataset names now; raises NotFound, or Invalid for a split it lacks."""
    with home.read() as uow:
        version = datasets.resolve(uow, actor, suite.dataset)
    if suite.split is not None and suite.split not in version.splits:
        known = ", ".join(sorted(version.splits)) or "none"
        raise Invalid(f"{suite.dataset} has no split {suite.split!r}.", hint=f"It has: {known}.")
    return version


def load(home: Home, actor: Actor, suite: Suite, version: DatasetVersion) -> list[Sample]:
    """Return the suite's samples from the pinned version; raises Invalid when there are none.

    Samples are known by the version's key column unless the suite names another.
    """
    wanted: list[str | None] = [suite.split] if suite.split else [*sorted(version.splits)] or [None]
    rows = (
        (split or "", row)
        for split in wanted
        for row in datasets.rows(home, actor, version.ref, split=split, limit=suite.limit)
    )
    columns = replace(suite.columns, id=suite.columns.id or version.key or "")
    samples = make_samples(rows, columns=columns, system=suite.system)
    if not samples:
        raise Invalid(f"{version.ref} has no rows to evaluate.", hint="Choose another split.")
    return samples
