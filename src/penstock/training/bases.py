"""A recipe's base that is no registered version yet: a repository of a hub, or a folder of this machine.

It is imported into the registry before the run begins, and the run records the version that it then starts on.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.registry import adopting
from penstock.registry.adopting import QUIET
from penstock.registry.adopting import Watch as Watch
from penstock.registry.adopting import absolute as absolute
from penstock.training import inputs, store
from penstock.training.model import UNDER_WAY, TrainingRun
from penstock.training.recipe import Recipe, parse

Progress = Callable[[dict[str, Any]], None]


def is_elsewhere(base: str) -> bool:
    """Whether a base is still to be imported; raises Invalid for what names nothing."""
    return adopting.place_of(base) is not None


def may_start(uow: UnitOfWork, actor: Actor, base: str) -> None:
    """Raise Denied when a base is to be imported from where the actor may not."""
    place = adopting.place_of(base)
    if place is not None:
        adopting.may_adopt(uow, actor, place)


def from_here(recipe: Recipe) -> Recipe:
    """Return the recipe with a folder named by its absolute path, from where the command runs."""
    return replace(recipe, base=absolute(recipe.base))


def known(uow: UnitOfWork, actor: Actor, recipe: Recipe) -> Recipe:
    """Return the recipe on a registered base: the newest that was imported from where it says, nothing is fetched.

    Raises Invalid when there is none.
    """
    place = adopting.place_of(recipe.base)
    if place is None:
        return recipe
    version = adopting.here(uow, actor, place)
    if version is None:
        verb = "import-hub NAME" if place.kind == "hub" else "import-folder NAME"
        raise Invalid(
            f"{recipe.base} is not in the registry yet.",
            hint=f"A run imports it by itself; to look before, run `penstock models {verb} {place.where}`.",
        )
    return replace(recipe, base=version.ref)


def settled(home: Home, actor: Actor, base: str, *, watch: Watch = QUIET) -> str:
    """Return the reference of a base, imported if need be. Raises what `adopting.adopt` raises."""
    place = adopting.place_of(base)
    return base if place is None else adopting.adopt(home, actor, place, watch=watch).ref


def begun(
    home: Home, actor: Actor, run: TrainingRun, progress: Progress, cancelled: Callable[[], bool]
) -> TrainingRun:
    """Return the run on a registered base; one from elsewhere is imported first. Raises what `settled` raises."""
    if not is_elsewhere(run.base):
        return run
    told = {"stage": "import", "base": run.base}

    def hear(report: dict[str, Any]) -> None:
        progress({**report, **told})

    with home.begin() as uow:
        store.change(uow.conn, actor.scope, run.id, held_in=UNDER_WAY, progress=told)
    hear({})
    watch = Watch(progress=hear, cancelled=cancelled)
    version = settled(home, actor, run.base, watch=watch)
    with home.begin() as uow:
        recipe = inputs.pinned(uow, actor, parse({**run.recipe, "base": version}))
        values: dict[str, Any] = {"recipe": recipe.to_dict(), "base": recipe.base, "progress": {}}
        values["inputs"] = inputs.contents(uow, actor, recipe)
        store.change(uow.conn, actor.scope, run.id, held_in=UNDER_WAY, **values)
        uow.audit(actor, "training.base", run.id, base=recipe.base, place=run.base)
        return replace(run, **values)
