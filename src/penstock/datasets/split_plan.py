"""What a caller asks of a split: reading it, and whether it makes sense."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from penstock.core.errors import Invalid
from penstock.datasets.model import SplitPlan


def parse_shares(pairs: Iterable[str]) -> dict[str, float]:
    """Return the shares of texts like `train=0.8`, empty ones skipped; raises Invalid."""
    shares: dict[str, float] = {}
    for pair in filter(None, pairs):
        name, _, share = pair.partition("=")
        try:
            shares[name.strip()] = float(share)
        except ValueError as error:
            raise Invalid(f"{pair!r} is not a split.", hint="Write train=0.8 and test=0.2.") from error
    return shares


def check(plan: SplitPlan, columns: Iterable[str]) -> None:
    """Raise Invalid when the plan makes no sense for these columns."""
    known = set(columns)
    for name in (plan.stratify_by, plan.group_by, plan.near_duplicates_of, plan.column, plan.time_by):
        if name is not None and name not in known:
            raise Invalid(f"The split plan names the column {name!r}, which is not there.")
    if plan.column is not None:
        if plan.fractions or plan.time_by or plan.stratify_by or plan.group_by or plan.near_duplicates_of:
            raise Invalid("A split column already says everything; give no shares with it.")
        return
    if plan.time_by and (plan.stratify_by or plan.group_by or plan.near_duplicates_of):
        raise Invalid("A split by time cannot also stratify or keep rows together.")
    if plan.time_by and plan.order and sorted(plan.order) != sorted(plan.fractions):
        raise Invalid("The order of a split by time names every split once.")
    if not plan.fractions or any(not 0 < share <= 1 for share in plan.fractions.values()):
        raise Invalid("Every split needs a share above 0.", hint="For example train=0.8, test=0.2.")
    if abs(sum(plan.fractions.values()) - 1) > 1e-6:
        raise Invalid(
            f"The shares of the splits add up to {sum(plan.fractions.values()):g}, not 1.",
            hint="For example train=0.8, valid=0.1, test=0.1.",
        )
    if any(not name or len(name) > 64 for name in plan.fractions):
        raise Invalid("The name of a split has 1 to 64 characters.")


def plan_of(splits: Mapping[str, float] | SplitPlan | None, seed: int) -> SplitPlan | None:
    """Return the plan that a caller meant: shares alone, a whole plan, or none."""
    if splits is None:
        return None
    plan = splits if isinstance(splits, SplitPlan) else SplitPlan(fractions=dict(splits), seed=seed)
    # Written down, because a database may forget the order of the fractions.
    return replace(plan, order=tuple(plan.fractions)) if plan.time_by and not plan.order else plan
