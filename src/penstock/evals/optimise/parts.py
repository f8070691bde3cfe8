"""Which rows are learnt from, which choose, and which are held out until the end."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.datasets.model import DatasetVersion
from penstock.evals import dataset_source
from penstock.evals.model import Sample
from penstock.evals.optimise.plan import Plan

SHARE = 0.4
"""Of the rows, held out when the dataset has no split for it."""
LEAST = 2


@dataclass(frozen=True, slots=True)
class Parts:
    """Samples by what they are used for."""

    learn: tuple[Sample, ...]
    select: tuple[Sample, ...]
    held_out: tuple[Sample, ...]

    @property
    def all(self) -> dict[str, Sample]:
        """All of them, by id."""
        return {one.id: one for one in (*self.learn, *self.select, *self.held_out)}


def divide(home: Home, actor: Actor, plan: Plan, version: DatasetVersion) -> Parts:
    """Return the parts; the same plan and dataset version give the same ones. Raises Invalid for too few rows."""
    split = plan.split or ("train" if "train" in version.splits else None)
    test = plan.held_out if isinstance(plan.held_out, str) else None
    if plan.held_out is None and split != "test" and "test" in version.splits:
        test = "test"
    if test is not None and (test == split or not version.splits):
        raise Invalid(f"{version.ref} has no split {test!r} apart from the one that is learnt from.")
    if test is not None:
        seen = _shuffled(_load(home, actor, plan, version, split or _others(version, test)), plan.seed)
        kept = _shuffled(_load(home, actor, plan, version, test), plan.seed)
    else:
        rows = _shuffled(_load(home, actor, plan, version, split), plan.seed)
        share = plan.held_out if isinstance(plan.held_out, float) else SHARE
        cut = round(len(rows) * share)
        kept, seen = rows[:cut], rows[cut:]
    known = {one.content_hash for one in kept}
    seen = [one for one in seen if one.content_hash not in known][: plan.rows]
    half = len(seen) // 2
    parts = Parts(tuple(seen[:half]), tuple(seen[half:]), tuple(kept[: plan.held_out_rows]))
    if min(len(parts.learn), len(parts.select), len(parts.held_out)) < LEAST:
        raise Invalid(
            f"{version.ref} has too few rows: {len(parts.learn)} to learn from, {len(parts.select)} to choose by and "
            f"{len(parts.held_out)} to hold out.",
            hint=f"Each needs {LEAST}; better figures need hundreds.",
        )
    return parts


def _others(version: DatasetVersion, test: str) -> str:
    left = [name for name in sorted(version.splits) if name != test]
    if len(left) != 1:
        raise Invalid("Say which split is to be learnt from.", hint=f"There are {', '.join(left) or 'none'}.")
    return left[0]


def _load(home: Home, actor: Actor, plan: Plan, version: DatasetVersion, split: str | None) -> list[Sample]:
    suite = replace(plan.suite(), split=split, dataset=version.ref)
    dataset_source.pin(home, actor, suite)
    return dataset_source.load(home, actor, suite, version)


def _shuffled(samples: Sequence[Sample], seed: int) -> list[Sample]:
    """Return the samples in an order that depends on what they are and on the seed alone."""
    return sorted(samples, key=lambda one: hashlib.sha256(f"{seed}:{one.id}".encode()).digest())
