"""Suites in files: YAML, JSON, or Python."""

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from penstock.core.errors import Invalid
from penstock.evals.ports import AsyncTarget, Target
from penstock.evals.suite import Suite, parse_suite

Given = Target | AsyncTarget | Callable[..., Any] | None


def parse_text(text: str, where: str = "The suite") -> Any:
    """Return the document of YAML (or JSON, which is YAML); raises Invalid naming the place of a mistake."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Invalid(f"{where} is not valid YAML: {' '.join(str(error).split())}.") from error


def read_document(path: Path) -> Any:
    """Return the YAML or JSON document in `path`; raises Invalid naming the place of a mistake."""
    try:
        return parse_text(path.read_text(), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{path} cannot be read: {error}.") from error


def read_suite(path: Path) -> tuple[Suite, Given]:
    """Return the suite in a file, and the target a Python file brings along.

    A Python file is run: its `suite` is a Suite, a mapping, or a function that returns one; its `target`, if it has
    one, is a function of a Sample, a coroutine function, or an object with `answer` or `generate`. Raises Invalid.
    """
    if path.suffix != ".py":
        return parse_suite(read_document(path)), None
    try:
        names = runpy.run_path(str(path))
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error}.") from error
    found = names.get("suite")
    if callable(found):
        found = found()
    if found is None:
        raise Invalid(f"{path} defines no `suite`.", hint="Write suite = Suite(...), or a function.")
    target = names.get("target")
    if isinstance(found, Suite):
        return found, target
    return parse_suite({"target": {"kind": "callable"}, **found} if target else found), target
