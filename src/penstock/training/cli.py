"""`penstock train`: run recipes and look at runs on the command line."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from penstock.core import assignments, console
from penstock.core.console import HomeOption, JsonOption, ProjectOption
from penstock.training import bases, preview, service
from penstock.training import recipe as recipes
from penstock.training.hosted.cli import app as hosted_app
from penstock.training.preview import Preview
from penstock.training.search.cli import app as search_app
from penstock.training.share import service as share
from penstock.training.share.model import TrainingQuota

app = console.group(
    "train",
    "Training runs: recipes, preview, run, list, show, log, pause, resume, cancel, compare, artifacts, note, quota.",
)

app.add_typer(search_app, name="search")
app.add_typer(hosted_app, name="hosted")


def _say(report: dict[str, Any]) -> None:
    if report.get("stage") == "train":
        console.note(
            f"step {report['step']}/{report['steps']}  loss {report['loss']:.4f}  "
            f"{report['tokens_per_second']:.0f} tokens/s  {report['eta_seconds']:.0f} s left"
            + (f"  {report['cost_usd']:.4f} USD" if "cost_usd" in report else "")
        )
    elif "examples" in report:
        for example in report["examples"]:
            console.note(f"--- context\n{example['context']}\n--- trained\n{example['trained']}")
    else:
        what = report.get("reason") or report.get("base", "")
        console.note(f"{report.get('stage', '')} … {what}".rstrip())


@app.command("recipes")
@console.guarded
def list_recipes(
    name: Annotated[str | None, typer.Argument(help="Print this one, as YAML.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the recipes that come with Penstock, or print one to start from."""
    if name is not None:
        text = recipes.source(name)
        console.emit({"name": name, "text": text}, as_json, text.rstrip)
        return
    found = {one: recipes.description(one) for one in recipes.ready()}
    console.emit(found, as_json, lambda: console.rows(["recipe", "what it does"], list(found.items())))


def _shown(found: Preview) -> str:
    lines = list(found.mistakes)
    for example in found.examples:
        lines.append(
            f"--- row {example.row}, {example.name}: {example.trained_tokens} of {example.tokens} tokens are learnt"
        )
        lines.append("".join(f"[[{part.text}]]" if part.trained else part.text for part in example.segments))
    lines.append(f"{found.rows} rows, {found.problem_count} of them with a problem")
    return "\n".join(lines)


@app.command("preview")
@console.guarded
def show_preview(
    recipe: Annotated[str, typer.Argument(help="A YAML file, or the name of a ready recipe.")],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY=VALUE on top of the recipe, e.g. preference.beta=0.2."),
    ] = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Check every row, and show some as the model would see them, with what is learnt in [[brackets]]."""
    source = Path(recipe) if recipe.endswith((".yaml", ".yml")) else recipe
    made = bases.from_here(recipes.load_unnamed(source, assignments.parse(changes or [])))
    with console.open_home(home, project) as (opened, actor):
        made = replace(made, base=bases.settled(opened, actor, made.base))
        found = preview.preview(opened, actor, made)
    console.emit(found, as_json, lambda: _shown(found))
    if found.problem_count:
        raise typer.Exit(1)


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
    made = bases.from_here(recipes.load(source, **assignments.parse(changes or [])))
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
def pause(
    run_id: str, home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False
) -> None:
    """Ask a run to stop at its next logged step, with a checkpoint to go on from."""
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        found = service.pause(uow, actor, run_id=run_id)
    console.emit(found, as_json, lambda: f"{found.id}  {found.wish or found.state}")


@app.command()
@console.guarded
def resume(
    run_id: str,
    background: Annotated[
        bool, typer.Option("--background", help="Queue it for `penstock up` instead of running it here.")
    ] = False,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Go on with a paused, failed or cancelled run from its last checkpoint."""
    with console.open_home(home, project) as (opened, actor):
        with opened.begin() as uow:
            found = service.resume(uow, actor, run_id=run_id, as_job=background)
        if not background:
            found = service.carry_out(opened, actor, run_id=run_id, progress=_say)
    console.emit(found, as_json, lambda: f"{found.id}  {found.state}  {found.model or ''}".rstrip())


@app.command()
@console.guarded
def compare(
    run_ids: list[str],
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Show runs side by side: where their recipes differ, and their figures."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = service.compare(uow, actor, run_ids=run_ids)
    lines = [
        (name, *("" if value is None else str(value) for value in values))
        for name, values in {**found["differ"], **found["metrics"]}.items()
    ]
    console.emit(found, as_json, lambda: console.rows(["", *(run.id for run in found["runs"])], lines))


@app.command("artifacts")
@console.guarded
def list_artifacts(
    run_id: str, home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False
) -> None:
    """List the files that a run left: its log and the weights of its checkpoints."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = service.list_artifacts(uow, actor, run_id=run_id)
    lines = [(file.path, file.kind, str(file.size), file.sha256[:12]) for file in found]
    console.emit(found, as_json, lambda: console.rows(["path", "kind", "bytes", "sha256"], lines))


@app.command()
@console.guarded
def note(
    run_id: str,
    text: str,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Replace the note on a run."""
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        found = service.annotate(uow, actor, run_id=run_id, note=text)
    console.emit(found, as_json, lambda: f"{found.id}  {found.note}")


@app.command()
@console.guarded
def cancel(
    run_id: str, home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False
) -> None:
    """Ask a run to stop."""
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        found = service.cancel(uow, actor, run_id=run_id)
    console.emit(found, as_json, lambda: f"{found.id}  {found.state}")


@app.command()
@console.guarded
def quota(
    runs: Annotated[int | None, typer.Option("--runs", help="Training runs at once.")] = None,
    clear: Annotated[bool, typer.Option("--clear", help="No limit.")] = False,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Show or set how many training runs of the project may go on at once."""
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        if clear or runs is not None:
            share.set_quota(uow, actor, TrainingQuota(runs=None if clear else runs))
        found = share.quota(uow, actor)
    shown = "no limit" if found.runs is None else f"{found.runs} at once"
    console.emit(found, as_json, lambda: shown)
