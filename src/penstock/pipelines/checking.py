"""Options of steps that can be told to be wrong before anything runs; what names an earlier step is left for later."""

from collections.abc import Callable, Mapping
from typing import Any

from penstock.core.errors import Invalid
from penstock.datasets import recipe as cleaning
from penstock.evals import service as evals
from penstock.feedback.model import DatasetKind
from penstock.registry import service as registry
from penstock.registry.export import FORMATS
from penstock.registry.model import check_alias

_TEXTS = (
    "name",
    "file",
    "key",
    "kind",
    "route",
    "suite",
    "model",
    "format",
    "quantization",
    "alias",
    "stage",
)


def check_values(kind: str, options: Mapping[str, Any]) -> None:
    """Raise Invalid for an option of a step of that kind whose value it cannot take."""
    if kind == "dataset" and options.get("recipe") and "${" not in str(options["recipe"]):
        cleaning.parse(options["recipe"])
    for key, value in options.items():
        if key in _TEXTS and not isinstance(value, str):
            raise Invalid(f"{key} is a text, not {value!r}.")
        if key in _CHECKS and "${" not in str(value):
            _CHECKS[key](value)


def _splits(value: Any) -> None:
    shares = value.values() if isinstance(value, Mapping) else ()
    if value is not None and not (shares and all(isinstance(share, int | float) for share in shares)):
        raise Invalid(
            f"splits gives each split its share, not {value!r}.", hint="Write {train: 0.9, test: 0.1}."
        )


def _seed(value: Any) -> None:
    if not isinstance(value, int):
        raise Invalid(f"seed is a whole number, not {value!r}.")


def _gate(value: Any) -> None:
    if not isinstance(value, list):
        raise Invalid("gate is a list of rules.", hint="Write gate: [{metric: exact, min: 0.8}].")
    for rule in value:
        evals.parse_rule(rule)


def _one_of(what: str, known: tuple[str, ...]) -> Callable[[Any], None]:
    def check(value: Any) -> None:
        if value not in known:
            raise Invalid(f"{value!r} is not {what}.", hint=f"Use one of {', '.join(known)}.")

    return check


_CHECKS: Mapping[str, Callable[[Any], object]] = {
    "splits": _splits,
    "seed": _seed,
    "gate": _gate,
    "kind": _one_of("a kind of feedback dataset", tuple(DatasetKind)),
    "format": _one_of("an export format", FORMATS),
    "alias": check_alias,
    "stage": registry.stage_named,
}
