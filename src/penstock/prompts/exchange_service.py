"""The verbs of prompts that come from other programs."""

from collections.abc import Sequence
from typing import Any

from penstock.core.errors import Invalid
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.prompts import dspy, service
from penstock.prompts.model import PromptVersion, check_name


def import_dspy(
    uow: UnitOfWork, actor: Actor, *, name: str, program: Any, outputs: Sequence[str] = (), note: str = ""
) -> list[PromptVersion]:
    """Add each predictor of a saved DSPy program as a version of `name`; of several, of `name.PREDICTOR`.

    `outputs` names the output fields where they are not what is guessed. Raises Invalid for what is no such program.
    """
    check_name(name)
    predictors = dspy.read(program, outputs=outputs)
    unknown = set(outputs) - {field for one in predictors for field in (*one.inputs, *one.outputs)}
    if unknown:
        raise Invalid(f"No predictor has a field {sorted(unknown)[0]!r}.")
    found = []
    for one in predictors:
        made = name if len(predictors) == 1 else f"{name}.{one.name}"
        told = f"From DSPy{f', {one.name}' if one.name else ''}: {', '.join(one.inputs)} → {', '.join(one.outputs)}"
        found.append(service.add_version(uow, actor, name=check_name(made), body=one.body, note=note or told))
    return found
