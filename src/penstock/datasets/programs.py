"""The user's own Python functions for map and filter steps, named by the hash of their source.

They run only in the user's own process: the command line with --code, or a program that calls `cleaning.clean`. A
recipe records each one's hash, so that running it again with another source is refused rather than wrong.
"""

import hashlib
import inspect
import runpy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from penstock.core.errors import Invalid, NotFound
from penstock.datasets.model import Row
from penstock.datasets.recipe import Recipe
from penstock.datasets.steps import Python
from penstock.datasets.tally import Function


def of(function: Callable[[Row], Any]) -> Function:
    """Return the function with the hash of its source; raises Invalid when the source cannot be seen."""
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError) as error:
        raise Invalid(
            f"The source of {function!r} cannot be read, so it cannot be recorded.",
            hint="Write it in a file, and name it there.",
        ) from error
    return Function(function, hashlib.sha256(source.encode()).hexdigest())


def load(path: Path) -> dict[str, Function]:
    """Run the file `path` and return its functions; each is named by the hash of the whole file.

    Raises NotFound, and Invalid when the file itself fails.
    """
    if not path.is_file():
        raise NotFound(f"There is no file {path}.", hint="Check the path given by --code.")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    try:
        found = runpy.run_path(str(path))
    except Exception as error:
        raise Invalid(f"{path} cannot be run: {type(error).__name__}: {error}.", hint="Repair it.") from error
    return {
        name: Function(value, sha256)
        for name, value in found.items()
        if inspect.isfunction(value) and not name.startswith("_")
    }


def with_hashes(recipe: Recipe, functions: Mapping[str, Function]) -> Recipe:
    """Return the recipe with the hash of every function at hand that it does not record yet."""
    return Recipe(
        tuple(
            msgspec.structs.replace(step, sha256=functions[step.function].sha256)
            if isinstance(step, Python) and not step.sha256 and step.function in functions
            else step
            for step in recipe.steps
        )
    )
