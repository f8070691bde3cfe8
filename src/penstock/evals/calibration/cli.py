"""`penstock evals judges` and `calibrate`: how far judges agree with people."""

from typing import Annotated

import typer

from penstock.core import console
from penstock.core.console import HomeOption, JsonOption, ProjectOption
from penstock.core.errors import Invalid
from penstock.evals.calibration import service
from penstock.evals.calibration.model import THRESHOLD, Calibration, Figure


def _figure(one: Figure | None) -> str:
    return "–" if one is None else f"{one.value:.2f} ({one.low:.2f} to {one.high:.2f})"


def _line(one: Calibration) -> tuple[object, ...]:
    found = one.figures
    may = "yes" if one.may_gate else "no"
    return (
        one.scorer,
        one.metric,
        _figure(found.kappa),
        found.labels,
        may,
        _figure(found.corrected),
        one.run_id,
    )


_HEAD = ["scorer", "metric", "kappa", "labels", "may gate", "corrected mean", "run"]


@console.guarded
def judges(home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False) -> None:
    """List judges with their agreement with people."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = service.list_judges(uow, actor, limit=200)
    console.emit(found, as_json, lambda: console.rows(_HEAD, [_line(one) for one in found]))


@console.guarded
def calibrate(
    run_id: str,
    metric: Annotated[str, typer.Argument(help="The judge's metric, e.g. judge.")],
    dataset: Annotated[str, typer.Option("--dataset", help="Dataset with people's labels, keyed by sample.")],
    column: Annotated[str, typer.Option("--column", help="Its column with the labels.")],
    threshold: Annotated[
        float, typer.Option("--threshold", help="Kappa the interval must exceed.")
    ] = THRESHOLD,
    scale: Annotated[
        str | None, typer.Option("--scale", help="Lowest and highest grade, e.g. 1,5; else yes and no.")
    ] = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Hold a judge against people's labels; only one that agrees may gate."""
    ends = _scale(scale)
    with console.open_home(home, project) as (opened, actor):
        labels = service.labels_of(opened, actor, dataset=dataset, column=column)
        with opened.begin() as uow:
            made = service.calibrate(
                uow, actor, run_id=run_id, metric=metric, labels=labels, threshold=threshold, scale=ends
            )
    console.emit(made, as_json, lambda: console.rows(_HEAD, [_line(made)]))
    console.note(made.figures.reason)


def _scale(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError as error:
        raise Invalid(f"{text!r} is no scale.", hint="Write 1,5.") from error
    return low, high


def add_to(app: typer.Typer) -> None:
    """Add the commands to `penstock evals`."""
    app.command()(judges)
    app.command()(calibrate)
