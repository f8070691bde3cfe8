"""A Python function by its import path as a target: a pipeline, a chain, an agent, any code of one's own."""

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from penstock.core.errors import Invalid
from penstock.evals.callable_target import as_target
from penstock.evals.calls.endpoint import check_options
from penstock.evals.ports import AsyncTarget, Target, TargetContext


def function_target(options: Mapping[str, Any], context: TargetContext) -> Target | AsyncTarget:  # noqa: ARG001 - the plug-in's signature
    """Return `function: package.module:name` as a target; a coroutine function is asked many samples at once.

    It is given a Sample and returns a text or an Output (with contexts, tool calls, cost). The current folder is
    importable. Raises Invalid when there is no such function.
    """
    check_options("The function target", options, ("function",))
    module, _, name = str(options.get("function") or "").partition(":")
    if not module or not name:
        raise Invalid("The function target needs function: package.module:name.")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise Invalid(f"{module}:{name} cannot be loaded: {error}.") from error
    if not callable(found):
        raise Invalid(f"{module}:{name} is no function.")
    return as_target(found)
