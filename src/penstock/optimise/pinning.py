"""The steps of an optimisation with references that will mean the same tomorrow."""

from collections.abc import Sequence
from dataclasses import replace

from penstock.core.errors import Invalid
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.datasets import service as datasets
from penstock.datasets.model import DatasetVersion
from penstock.evals.suite import Suite
from penstock.optimise import methods
from penstock.optimise.model import Step


def pinned(uow: UnitOfWork, actor: Actor, wanted: Sequence[Step], suite: Suite | None) -> list[Step]:
    """Return the steps with datasets pinned; raises Invalid where one would learn what it is judged on."""
    steps = []
    for step in wanted:
        step = methods.checked(step.method, step.options)
        if step.options.get("dataset"):
            version = datasets.resolve(uow, actor, str(step.options["dataset"]))
            _check_apart(uow, actor, step, version, suite)
            step = replace(step, options={**step.options, "dataset": version.ref})
        steps.append(step)
    return steps


def _check_apart(
    uow: UnitOfWork, actor: Actor, step: Step, version: DatasetVersion, suite: Suite | None
) -> None:
    split = step.options["split"]
    if split and split not in version.splits:
        known = ", ".join(sorted(version.splits)) or "none"
        raise Invalid(
            f"{version.ref} has no split {split!r}.", hint=f"It has: {known}. Give split= for all rows."
        )
    if suite is None or datasets.resolve(uow, actor, suite.dataset).id != version.id:
        return
    if not split or suite.split is None or split == suite.split:
        raise Invalid(
            f"{step.method} would learn the very rows of {version.ref} that the suite judges it by.",
            hint="Name different splits for the suite and the method.",
        )
