"""`penstock train`: run recipes and look at runs on the command line."""

from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from penstock.core import console
from penstock.core.console import HomeOption, JsonOption, ProjectOption
from penstock.core.errors import Invalid
from penstock.training import recipe as recipes
from penstock.training import service

app = console.group("train", "Training runs: recipes, run, list, show, log, cancel.")


def _changes(pairs: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise Invalid(f"{pair!r} is not KEY=VALUE.")
        try:
            found[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise Invalid(f"The value in {pair!r} is not valid YAML.") from error
    return found


def _say(report: dict[str, Any]) -> None:
    if report.get("stage") == "train":
        console.note(
            f"step {report['step']}/{report['steps']}  loss {report['loss']:.4f}  "
            f"{report['tokens_per_second']:.0f} tokens/s  {report['eta_seconds']:.0f} s left"
        )
    elif "examples" in report:
        for example in report["examples"]:
            console.note(f"--- context\n{example['context']}\n--- trained\n{example['trained']}")
    else:
        console.note(f"{report.get('stage', '')} …")


@app.command("recipes")
@console.guarded
def list_recipes(as_json: JsonOption = False) -> None:
    """List the recipes that come with Penstock."""
    found = {name: recipes.source(name) for name in recipes.ready()}
    console.emit(found, as_json, lambda: "\n\n".join(f"# {name}\n{text}" for name, text in found.items()))


@app.command()
@console.guarded
def run(
    recipe: Annotated[
        str, typer.Argument(help="A YAML file, or the name of a ready recipe such as sft-lora.")
    ],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY=VALUE on top of the recipe, e.g. preference.beta=0.2."),
    ] = None,
    background: Annotated[
        bool, typer.Option("--background", help="Queue it for `penstock up` instead of running it here.")
    ] = False,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Train a model and register the result."""
    source = Path(recipe) if recipe.endswith((".yaml", ".yml")) else recipe
    made = recipes.load(source, **_changes(changes or []))
    with console.open_home(home, project) as (opened, actor):
        if background:
            ended = service.start(opened, actor, made)
        else:
            ended = service.execute(opened, actor, made, progress=_say)
    console.emit(ended, as_json, lambda: f"{ended.id}  {ended.state}  {ended.model or ''}".rstrip())


@app.command("list")
@console.guarded
def list_runs(
    home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False
) -> None:
    """List runs, newest first."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = service.list_runs(uow, actor, limit=200)
    lines = [(r.id, r.state, r.method, r.base, r.dataset, r.model or r.error or "") for r in found]
    console.emit(
        found, as_json, lambda: console.rows(["id", "state", "method", "base", "dataset", "result"], lines)
    )


@app.command()
@console.guarded
def show(
    run_id: str, home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False
) -> None:
    """Show a run and what was logged at each step."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = service.get(uow, actor, run_id=run_id)
        points = service.metrics(uow, actor, run_id=run_id)
    lines = [
        (p.step, *(f"{p.values.get(k, float('nan')):.5g}" for k in ("loss", "learning_rate"))) for p in points
    ]
    table = console.rows(["step", "loss", "learning_rate"], lines)
    if not as_json:
        console.note(f"{found.id}  {found.state}  {found.model or found.error or ''}")
    console.emit({"run": found, "metrics": points}, as_json, lambda: table)


@app.command()
@console.guarded
def log(
    run_id: str, home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False
) -> None:
    """Print the end of a run's log."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        text = service.log_tail(uow, actor, run_id=run_id)
    console.emit(text, as_json, lambda: text)


@app.command()
@console.guarded
def cancel(
    run_id: str, home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False
) -> None:
    """Ask a background run to stop."""
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        found = service.cancel(uow, actor, run_id=run_id)
    console.emit(found, as_json, lambda: f"{found.id}  {found.state}")
