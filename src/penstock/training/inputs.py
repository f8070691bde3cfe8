"""What a run is given: pinned references, checked rows, and the folders of every model it needs."""

import hashlib
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import msgspec

from penstock.core import plugins
from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.lineage import Link
from penstock.core.scope import Actor
from penstock.core.suggest import did_you_mean
from penstock.core.uow import OpenedHome, UnitOfWork
from penstock.datasets import service as datasets
from penstock.registry import adopting
from penstock.registry import service as registry
from penstock.registry.model import Kind, ModelVersion
from penstock.training import rewards
from penstock.training import rows as shapes
from penstock.training.recipe import Recipe
from penstock.training.rows import Problem, Row
from penstock.training.sections import ONLINE, REPLAYING, Reward, Teacher
from penstock.training.settings import TrainingSettings

PREVIEW = "preview"
"""Trainer plug-in that renders rows instead of training."""


def cluster(home: OpenedHome, recipe: Recipe) -> dict[str, Any]:
    """Return `cluster` for a recipe that runs on Ray, else nothing; raises Invalid when the settings name none.

    Only they may: whoever joins a cluster runs what it sends.
    """
    if recipe.running.launcher != "ray":
        return {}
    known = home.settings.section(TrainingSettings)
    if not known.ray_address.rpartition(":")[2].isdigit():
        raise Invalid(
            "running.launcher: ray needs a Ray cluster.",
            hint="Set training.ray_address to HOST:PORT of its head in the server's settings.",
        )
    return {"cluster": {"address": known.ray_address, "timeout": known.ray_timeout}}


def pinned(uow: UnitOfWork, actor: Actor, recipe: Recipe) -> Recipe:
    """Return the recipe with references that will mean the same tomorrow.

    A base that is to be imported first stays as it is. Raises NotFound for an unknown one, Denied for a folder that the
    actor may not import, Invalid for what the method cannot work with.
    """
    _check_method(recipe)
    base, further = _start(uow, actor, recipe.base)
    adapted = recipe.method != "reward" and (further or recipe.adapter.rank > 0)
    if recipe.chat_template and adapted:
        raise Invalid(
            "An adapter is served with its base's tokenizer, so it cannot bring a chat template of its own.",
            hint="Set adapter.rank to 0, or add the template to the base model.",
        )
    replay = recipe.replay
    if replay.dataset:
        replay = replace(replay, dataset=datasets.resolve(uow, actor, replay.dataset).ref)
    return replace(
        recipe,
        base=base,
        dataset=datasets.resolve(uow, actor, recipe.dataset).ref,
        replay=replay,
        rewards=[_pinned_reward(uow, actor, term) for term in recipe.rewards],
        teacher=_pinned_teacher(uow, actor, recipe.teacher),
    )


def _check_method(recipe: Recipe) -> None:
    known = [name for name in plugins.names("trainers") if name != PREVIEW]
    if recipe.method not in known:
        raise Invalid(
            f"There is no training method {recipe.method!r}.", hint=did_you_mean(recipe.method, known)
        )
    if recipe.replay.dataset and recipe.method not in REPLAYING:
        raise Invalid("replay is for preference training (dpo, kto) alone.", hint="Leave replay out.")
    if recipe.method == "reward":
        _check_reward_model(recipe)
    if recipe.method in ONLINE:
        rewards.check(recipe.rewards)


def _check_reward_model(recipe: Recipe) -> None:
    if recipe.adapter.quantise:
        raise Invalid(
            "A reward model is a whole model, so it starts from whole weights.",
            hint="Unset adapter.quantise.",
        )
    if recipe.judged_by():
        raise Invalid(
            "A reward model writes no answers that a suite could judge.",
            hint="Leave suite and early_stop out.",
        )
    if recipe.adapter.rank and recipe.running.processes > 1 and recipe.running.strategy == "fsdp2":
        raise Invalid(
            "The adapter of a reward model cannot be folded in while its weights are in shards.",
            hint="Use running.strategy ddp, or adapter.rank 0.",
        )


def _start(uow: UnitOfWork, actor: Actor, base: str) -> tuple[str, bool]:
    """Return the base's pinned reference, and whether it is an adapter as far as that is known."""
    place = adopting.place_of(base)
    if place is not None:
        adopting.may_adopt(uow, actor, place)
        return base, False
    version = _trainable(uow, actor, base)
    return version.ref, version.kind is Kind.ADAPTER


def _trainable(uow: UnitOfWork, actor: Actor, ref: str) -> ModelVersion:
    if "/" in ref:
        raise Invalid(
            f"{ref!r} is a folder or a repository of a hub; besides the base, a recipe names registered models.",
            hint="Run `penstock models import-folder NAME FOLDER` or `penstock models import-hub NAME "
            "OWNER/REPOSITORY`, and write NAME@1.",
        )
    version = registry.get(uow, actor, ref=ref)
    if version.kind not in (Kind.BASE, Kind.ADAPTER, Kind.MERGED):
        raise Invalid(
            f"{version.ref} is kept as {version.kind}, which cannot be trained or learnt from.",
            hint="Name what it was made of.",
        )
    return version


def _pinned_reward(uow: UnitOfWork, actor: Actor, term: Reward) -> Reward:
    if not term.model:
        return term
    version = _trainable(uow, actor, term.model)
    if version.kind is Kind.ADAPTER:
        raise Invalid(
            f"{version.ref} is an adapter, not a reward model.", hint="Make one with method: reward."
        )
    return replace(term, model=version.ref)


def _pinned_teacher(uow: UnitOfWork, actor: Actor, teacher: Teacher) -> Teacher:
    if not teacher.model:
        return teacher
    return replace(teacher, model=_trainable(uow, actor, teacher.model).ref)


def links(recipe: dict[str, Any]) -> list[Link]:
    """Return what a run learnt from besides its data and its start: replayed data, reward models, the teacher."""
    found = []
    if recipe["replay"]["dataset"]:
        found.append(Link("dataset_version", recipe["replay"]["dataset"], "replay data"))
    for term in recipe.get("rewards", []):
        if term["model"]:
            found.append(Link(registry.LINK_KIND, term["model"], "reward model"))
    teacher = recipe.get("teacher", {}).get("model")
    if teacher:
        found.append(Link(registry.LINK_KIND, teacher, "teacher"))
    return found


def contents(uow: UnitOfWork, actor: Actor, recipe: Recipe) -> list[dict[str, str]]:
    """Return what goes into a run of a pinned recipe, with the hash of each content: kind, ref, hash.

    The versions may be erased later; what they held is still told.
    """
    found = []
    for ref in filter(None, (recipe.dataset, recipe.replay.dataset)):
        data = datasets.resolve(uow, actor, ref)
        found.append({"kind": "dataset_version", "ref": data.ref, "hash": data.hash})
    base = recipe.base if adopting.place_of(recipe.base) is None else ""
    for ref in filter(None, (base, recipe.teacher.model, *(term.model for term in recipe.rewards))):
        model = registry.get(uow, actor, ref=ref)
        files = sorted((file.path, file.sha256) for file in model.files)
        listed = hashlib.sha256(msgspec.json.encode(files)).hexdigest()
        found.append({"kind": registry.LINK_KIND, "ref": model.ref, "hash": listed})
    return found


def gather(home: Home, actor: Actor, recipe: Recipe) -> list[Row]:
    """Return all rows that the trainer gets, replay included; raises Invalid that names the bad ones."""
    found = datasets.rows(home, actor, recipe.dataset, split=recipe.split or None)
    made = shapes.check(found, method=recipe.method, columns=recipe.columns)
    if recipe.method in ONLINE:
        shapes.refuse(rewards.problems(recipe.rewards, made), len(made))
    made = shapes.sample(made, recipe.limit, recipe.seed)
    made += _replayed(home, actor, recipe)
    if recipe.method == "kto":
        shapes.check_verdicts(made)
    return made


def _replayed(home: Home, actor: Actor, recipe: Recipe) -> list[Row]:
    replay = recipe.replay
    if not replay.dataset:
        return []
    accepted = shapes.check(
        datasets.rows(home, actor, replay.dataset, split=replay.split or None),
        method="sft",
        columns=recipe.columns,
    )
    accepted = shapes.sample(accepted, replay.limit, recipe.seed)
    if recipe.method == "kto":
        return shapes.replay_good(accepted)
    return shapes.replay_pairs(accepted, copies=replay.copies, seed=recipe.seed)


def look(home: Home, actor: Actor, recipe: Recipe) -> tuple[list[Row], list[Problem], list[int]]:
    """Return the dataset's good rows, the problems of the bad ones, and the number of each good row."""
    found = datasets.rows(home, actor, recipe.dataset, split=recipe.split or None)
    good, problems = shapes.read(found, method=recipe.method, columns=recipe.columns)
    bad = {problem.row for problem in problems}
    numbers = [number for number in range(1, len(good) + len(bad) + 1) if number not in bad]
    if recipe.method in ONLINE:
        scored = rewards.problems(recipe.rewards, good)
        problems += [replace(one, row=numbers[one.row - 1]) for one in scored]
    return good, sorted(problems, key=lambda one: one.row), numbers


def write(rows: list[Row], path: Path) -> str:
    """Write rows as JSONL; returns the path as text."""
    with path.open("wb") as file:
        for row in rows:
            file.write(msgspec.json.encode(row) + b"\n")
    return str(path)


def furnish(home: Home, actor: Actor, recipe: Recipe, folder: Path) -> dict[str, Any]:
    """Lay out what the trainer reads, in a pinned recipe's working folder; returns the keys it adds to the recipe.

    `train_file`, `rows` (how many), `base_ref`, `model_folder` and `adapter_folder` of the start, `reward_folders` (one
    per term of rewards, empty for scorers), `teacher_folder` and `teacher_adapter_folder`. Raises Invalid for bad rows.
    """
    made = gather(home, actor, recipe)
    spec: dict[str, Any] = {"train_file": write(made, folder / "train.jsonl"), "rows": len(made)}
    spec["base_ref"] = recipe.base
    spec.update(folders(home, actor, recipe.base))
    spec["reward_folders"] = [
        folders(home, actor, term.model)["model_folder"] if term.model else "" for term in recipe.rewards
    ]
    if recipe.teacher.model:
        found = folders(home, actor, recipe.teacher.model)
        spec.update({f"teacher_{name.replace('model_', '')}": path for name, path in found.items()})
    return spec


def folders(home: Home, actor: Actor, ref: str) -> dict[str, str]:
    """Return `model_folder` of a version, and `adapter_folder` when it is an adapter."""
    with home.read() as uow:
        version = registry.get(uow, actor, ref=ref)
    folder = str(registry.materialize(home, actor, ref=version.ref))
    if version.kind is not Kind.ADAPTER:
        return {"model_folder": folder}
    whole = str(registry.materialize(home, actor, ref=str(version.base)))
    return {"adapter_folder": folder, "model_folder": whole}


def as_values(problems: list[Problem]) -> list[dict[str, Any]]:
    """Return problems as plain values: row and message."""
    return [asdict(problem) for problem in problems]
