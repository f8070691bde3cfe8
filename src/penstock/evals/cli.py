"""`penstock evals`: run suites, look at them, compare and gate on the command line."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from penstock.core import console
from penstock.core.console import HomeOption, JsonOption, ProjectOption
from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.evals import exchange_cli, gate_cli, report, service
from penstock.evals.calibration import cli as calibration_cli
from penstock.evals.gate_cli import MarkdownOption, write_text
from penstock.evals.model import EvalRun
from penstock.evals.optimise import cli as optimise_cli
from penstock.evals.progress_line import ProgressLine
from penstock.evals.suite import Suite
from penstock.evals.suites import cli as suites_cli
from penstock.evals.suites import service as suites
from penstock.evals.suites.files import Given, read_suite

app = console.group(
    "evals", "Evaluations: run, list, show, compare, gate; suites, judges, optimised prompts."
)
gate_cli.add_to(app)
exchange_cli.add_to(app)
suites_cli.add_to(app)
calibration_cli.add_to(app)
optimise_cli.add_to(app)


def _show_run(run: EvalRun) -> str:
    return report.run_markdown(run)


def _suite(home: Home, actor: Actor, given: Path) -> tuple[Suite, Given]:
    if given.suffix or given.exists():
        return read_suite(given)
    with home.read() as uow:
        return suites.load(uow, actor, str(given)), None


@app.command()
@console.guarded
def run(
    suite: Annotated[
        Path, typer.Argument(help="The suite's YAML, JSON or Python file, or the name of a stored suite.")
    ],
    key: Annotated[
        str | None,
        typer.Option("--key", help="Idempotency key: running again goes on, or shows the finished run."),
    ] = None,
    background: Annotated[
        bool, typer.Option("--background", help="Queue it for the background process instead of waiting.")
    ] = False,
    markdown: MarkdownOption = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Run a suite and print its figures; a failed sample is counted, too many fail the run."""
    with console.open_home(home, project) as (opened, actor):
        parsed, target = _suite(opened, actor, suite)
        if background and target is not None:
            raise Invalid("A target in a Python file cannot be queued.", hint="Leave --background out.")
        if background:
            done = service.start(opened, actor, suite=parsed, key=key)
        else:
            done = service.run(opened, actor, suite=parsed, key=key, target=target, progress=ProgressLine())
    write_text(markdown, report.run_markdown(done))
    console.emit(done, as_json, lambda: _show_run(done))


@app.command()
@console.guarded
def resume(
    run_id: str,
    retry_errors: Annotated[
        bool, typer.Option("--retry-errors", help="Ask again for samples on which the target failed.")
    ] = False,
    max_cost: Annotated[
        float | None, typer.Option("--max-cost", help="New cost cap in dollars, for the whole run.")
    ] = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Go on with an interrupted or failed run; only missing samples are asked for."""
    with console.open_home(home, project) as (opened, actor):
        done = service.resume(
            opened,
            actor,
            run_id=run_id,
            retry_errors=retry_errors,
            max_cost_usd=max_cost,
            progress=ProgressLine(),
        )
    console.emit(done, as_json, lambda: _show_run(done))


@app.command("list")
@console.guarded
def list_runs(
    suite: Annotated[str | None, typer.Option("--suite", help="Only runs of this suite.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 50,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """List runs, newest first."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = service.list_runs(uow, actor, suite=suite, limit=limit)
    lines = [
        (r.id, r.suite, r.dataset, f"{r.target} {r.model}", r.state, f"{r.done}/{r.total}") for r in found
    ]
    head = ["id", "suite", "dataset", "target", "state", "samples"]
    console.emit(found, as_json, lambda: console.rows(head, lines))


@app.command()
@console.guarded
def show(
    run_id: str,
    samples: Annotated[int, typer.Option("--samples", min=0, help="Also print the first N samples.")] = 0,
    markdown: MarkdownOption = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Show a run with its figures."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = service.get_run(uow, actor, run_id)
        first = service.samples(uow, actor, run_id, limit=samples) if samples else []
    write_text(markdown, report.run_markdown(found))
    if as_json:
        console.emit({**msgspec.to_builtins(found), **({"samples": first} if samples else {})}, as_json)
        return
    said = [f"[{s.sample_id}] {s.output.error or s.output.text!r} {dict(s.scores)}" for s in first]
    console.emit(found, as_json, lambda: "\n".join([_show_run(found), *said]))
