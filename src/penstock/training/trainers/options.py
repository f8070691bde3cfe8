"""The library's configuration of a trainer: recipe values, the method's own, and what is passed through."""

from dataclasses import fields
from typing import Any

from penstock.core.errors import Invalid
from penstock.core.suggest import did_you_mean
from penstock.training.trainers import runtime

MANAGED = {
    "output_dir": "the run's own folder is used",
    "seed": "set seed in the recipe",
    "data_seed": "set seed in the recipe",
    "use_cpu": "a GPU is used where there is one",
    "logging_steps": "set log_steps in the recipe",
    "logging_strategy": "set log_steps in the recipe",
    "save_strategy": "set checkpoint_steps in the recipe",
    "save_steps": "set checkpoint_steps in the recipe",
    "save_total_limit": "Penstock keeps the checkpoints",
    "save_only_model": "a run could not go on from such a checkpoint",
    "resume_from_checkpoint": "a run goes on by itself",
    "max_length": "set max_length in the recipe",
    "report_to": "the run is recorded by Penstock",
    "push_to_hub": "the result goes to the registry",
    "trust_remote_code": "code from a model's folder is never run",
}
"""Arguments of the library that a recipe may not pass, and why."""


def build(kind: Any, spec: dict[str, Any], **own: Any) -> Any:
    """Return a `kind` (a configuration class of TRL) from the recipe, the method's `own` values and `arguments`.

    Raises Invalid for an argument that the class does not know, that Penstock sets itself, or with a bad value.
    """
    known = [field.name for field in fields(kind) if field.init]
    passed = spec.get("arguments", {})
    for name in passed:
        if name in MANAGED or name.startswith(("hub_", "push_")):
            why = MANAGED.get(name, "the result goes to the registry")
            raise Invalid(f"arguments.{name} cannot be passed through: {why}.")
        if name not in known:
            raise Invalid(f"{kind.__name__} has no argument {name!r}.", hint=did_you_mean(name, known))
    values = {**runtime.arguments(spec), **own}
    values = {name: value for name, value in values.items() if name in known}
    try:
        return kind(**{**values, **passed})
    except (TypeError, ValueError) as error:
        raise Invalid(f"The training arguments do not fit together: {error}") from error
