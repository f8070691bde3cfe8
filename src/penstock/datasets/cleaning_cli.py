"""`penstock datasets clean`, `profile` and `bias`: a version through a recipe, and what is known about its rows."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from penstock.core import console
from penstock.core.console import HomeOption, JsonOption, ProjectOption
from penstock.core.errors import Invalid
from penstock.datasets import bias, cleaning, programs
from penstock.datasets import recipe as recipes
from penstock.datasets.bias import Question
from penstock.datasets.cleaning import Trial
from penstock.datasets.model import DatasetVersion

Ref = Annotated[str, typer.Argument(help="NAME, NAME@latest or NAME@3.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `penstock datasets`."""
    app.command("clean")(clean)
    app.command("profile")(profile)
    app.command("bias")(examine_bias)


@console.guarded
def clean(
    ref: Ref,
    recipe: Annotated[Path | None, typer.Option("--recipe", help="YAML or JSON file of steps.")] = None,
    like: Annotated[str | None, typer.Option("--like", help="Run the recipe of this version again.")] = None,
    code: Annotated[
        Path | None, typer.Option("--code", help="Python file whose functions the recipe calls.")
    ] = None,
    to: Annotated[str | None, typer.Option("--to", help="Dataset to register in; else the same.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")] = False,
    limit: Annotated[
        int, typer.Option("--limit", min=0, help="Rows of a dry run; 0: all.")
    ] = cleaning.DRY_ROWS,
    keep_key: Annotated[bool, typer.Option("--keep-key/--no-key", help="Keep the key column.")] = True,
    description: Annotated[str, typer.Option("--description")] = "",
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Make the next version of a dataset by a recipe, or try the recipe on its first rows."""
    if (recipe is None) == (like is None):
        raise Invalid("Give either --recipe or --like.", hint="--like takes a version that a recipe made.")
    functions = programs.load(code) if code else {}
    with console.open_home(home, project) as (opened, actor):
        given = recipes.load(recipe) if recipe else cleaning.recorded(opened, actor, str(like))
        if dry_run:
            trial = cleaning.attempt(opened, actor, ref, given, limit=limit, functions=functions)
            console.emit(trial, as_json, lambda: "\n".join(_tried(trial)))
            return
        version = cleaning.clean(
            opened,
            actor,
            ref,
            given,
            to=to,
            key=keep_key,
            functions=functions,
            description=description,
            progress=_progress,
        )
    console.emit(version, as_json, lambda: "\n".join(_made(version)))


def _progress(report: dict[str, Any]) -> None:
    if report["rows"] % 20_000 == 0:
        console.note(f"{report['stage']}: {report['rows']:,} rows")


def _table(header: Sequence[str], lines: Sequence[Sequence[Any]]) -> str:
    cells = [[str(cell) for cell in line] for line in (header, *lines)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def _steps(reports: Any) -> str:
    lines = []
    for report in msgspec.to_builtins(reports):
        counts = ", ".join(f"{name} {count}" for name, count in report["counts"].items())
        lines.append((report["step"], report["rows_in"], report["rows_out"], report["changed"], counts))
    return _table(["step", "rows in", "rows out", "changed", "counts"], lines)


def _tried(trial: Trial) -> Iterator[str]:
    of = "all" if trial.complete else "the first"
    yield f"{trial.ref}: {of} {trial.rows_in:,} rows would become {trial.rows_out:,}; nothing was registered."
    yield _steps(trial.reports)
    for report in trial.reports:
        for example in report.examples[:3]:
            yield f"  {report.step}: {msgspec.json.encode(example).decode()}"


def _made(version: DatasetVersion) -> Iterator[str]:
    if not version.recipe_report:
        yield f"The recipe changes nothing: {version.ref} holds exactly these rows, so no version was made."
        return
    yield f"{version.ref}: {version.rows:,} rows ({version.removed:,} removed by the recipe)"
    yield _steps(version.recipe_report)


@console.guarded
def profile(
    ref: Ref,
    than: Annotated[str | None, typer.Option("--than", help="Compare with this version, as before.")] = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Show what is known about a version's rows."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = cleaning.profiled(uow, actor, ref, than=than)
    console.emit(found, as_json, lambda: "\n".join(_profile(found)))


def _profile(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"{found['rows']:,} rows, {found['exact_duplicates']:,} exact duplicates"
    lines = []
    for column in found["columns"]:
        length = column.get("numbers") or column.get("characters") or {}
        spread = f"{length['min']:g} / {length['median']:g} / {length['max']:g}" if length else ""
        lines.append(
            (
                column["name"],
                column["type"],
                column["missing"],
                column["distinct"],
                spread,
                column["outliers"],
            )
        )
    yield _table(["column", "type", "missing", "distinct", "min / median / max", "outliers"], lines)
    text = found["text"]
    yield f"Of {text['rows']:,} rows looked at: {text['near_duplicates']:,} near duplicates"
    for title, counts in (("languages", text["languages"]), ("personal data", text["personal_data"])):
        yield f"  {title}: " + (", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none")
    if text.get("toxic_words") is not None:
        yield f"  rows with toxic words: {text['rows_with_toxic_words']:,}"
    for topic in text.get("topics", ()):
        yield f"  topic of {topic['rows']:,} rows: {', '.join(topic['terms'])}"
    for figure, (before, after) in sorted(_pairs(found.get("before", {}))):
        yield f"  before → after, {figure}: {before} → {after}"


def _pairs(moved: Mapping[str, Any]) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Yield the figures that are one number each."""
    for figure, sides in moved.items():
        if isinstance(sides, list) and all(isinstance(side, int | float) for side in sides):
            yield figure, (sides[0], sides[1])


@console.guarded
def examine_bias(
    ref: Ref,
    group: Annotated[str | None, typer.Option("--group", help="Column of groups.")] = None,
    label: Annotated[str | None, typer.Option("--label", help="Column of labels.")] = None,
    positive: Annotated[str | None, typer.Option("--positive", help="Label that counts.")] = None,
    weight: Annotated[str | None, typer.Option("--weight", help="Column of weights.")] = None,
    column: Annotated[list[str] | None, typer.Option("--column", help="Text column; else all text.")] = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Show how groups fare in a version, and whom its texts speak of."""
    asked = Question(group=group, label=label, positive=positive, weight=weight, columns=tuple(column or ()))
    with console.open_home(home, project) as (opened, actor):
        found = bias.examine(opened, actor, ref, asked)
    console.emit(found, as_json, lambda: "\n".join(_bias(found)))


def _bias(found: Mapping[str, Any]) -> Iterator[str]:
    lines = [
        (one["group"], one["rows"], f"{one['share']:.1%}", f"{one['rate']:.1%}" if "rate" in one else "")
        for one in found["groups"]
    ]
    if lines:
        yield _table(["group", "rows", "share", "rate"], lines)
    if "ratio" in found:
        kept = "keeps" if found["four_fifths"] else "breaks"
        yield f"lowest to highest rate {found['ratio']:.3f}: {kept} the four-fifths rule"
    for name, told in found["mentions"].items():
        yield f"{name}: {told['words']['first']:,} and {told['words']['second']:,} mentions ({told['of']})"
