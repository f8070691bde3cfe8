"""`penstock evals`: run suites, look at them, compare and gate on the command line."""

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
import yaml

from penstock.core import console
from penstock.core.console import HomeOption, JsonOption, ProjectOption
from penstock.core.errors import Invalid, StorageFull
from penstock.evals import report, service
from penstock.evals.model import EvalRun, GateDecision
from penstock.evals.suite import parse_suite

app = console.group("evals", "Evaluations: run, list, show, compare, gate.")

MarkdownOption = Annotated[
    Path | None, typer.Option("--markdown", help="Write a Markdown report to this file.", show_default=False)
]
BaselineOption = Annotated[
    str | None, typer.Option("--baseline", help="Run to compare with.", show_default=False)
]


def read_document(path: Path) -> Any:
    """Return the YAML or JSON document in `path`; raises Invalid naming the place of a mistake."""
    try:
        return yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{path} cannot be read: {error}.") from error
    except yaml.YAMLError as error:
        raise Invalid(f"{path} is not valid YAML: {' '.join(str(error).split())}.") from error


def _write(path: Path | None, text: str) -> None:
    if path is None:
        return
    try:
        path.write_text(text)
    except OSError as error:
        raise StorageFull(f"{path} cannot be written: {error.strerror}.") from error


def _show_run(run: EvalRun) -> str:
    return report.run_markdown(run)


def _rules(rule: list[str] | None, file: Path | None) -> list[Any]:
    found: list[Any] = []
    if file is not None:
        document = read_document(file)
        rules = document.get("gate", document.get("rules")) if isinstance(document, dict) else document
        if not isinstance(rules, list):
            raise Invalid(
                f"{file} holds no list of rules.", hint="Write `rules:` and a list, or just the list."
            )
        found += rules
    for text in rule or []:
        try:
            found.append(yaml.safe_load(text))
        except yaml.YAMLError as error:
            raise Invalid(f"{text!r} is not a rule.", hint="Write '{metric: exact, min: 0.7}'.") from error
    if not found:
        raise Invalid("No rules were given.", hint="Use --rule '{metric: exact, min: 0.7}' or --rules FILE.")
    return found


@app.command()
@console.guarded
def run(
    suite: Annotated[Path, typer.Argument(help="The suite's YAML or JSON file.")],
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
    parsed = parse_suite(read_document(suite))

    def progress(state: dict[str, Any]) -> None:
        if state["done"] == state["total"] or state["done"] % 100 == 0:
            console.note(f"{state['done']}/{state['total']} samples, {state['errors']} failed")

    with console.open_home(home, project) as (opened, actor):
        if background:
            done = service.start(opened, actor, suite=parsed, key=key)
        else:
            done = service.run(opened, actor, suite=parsed, key=key, progress=progress)
    _write(markdown, report.run_markdown(done))
    console.emit(done, as_json, lambda: _show_run(done))


@app.command()
@console.guarded
def resume(
    run_id: str,
    retry_errors: Annotated[
        bool, typer.Option("--retry-errors", help="Ask again for samples on which the target failed.")
    ] = False,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Go on with an interrupted or failed run; only missing samples are asked for."""
    with console.open_home(home, project) as (opened, actor):
        done = service.resume(opened, actor, run_id=run_id, retry_errors=retry_errors)
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
    _write(markdown, report.run_markdown(found))
    if as_json:
        console.emit({**msgspec.to_builtins(found), **({"samples": first} if samples else {})}, as_json)
        return
    said = [f"[{s.sample_id}] {s.output.error or s.output.text!r} {dict(s.scores)}" for s in first]
    console.emit(found, as_json, lambda: "\n".join([_show_run(found), *said]))


@app.command()
@console.guarded
def compare(
    baseline: str,
    candidate: str,
    markdown: MarkdownOption = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Compare two finished runs on the samples they share, with paired tests."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = service.compare(uow, actor, baseline, candidate)
    _write(markdown, report.comparison_markdown(found))
    console.emit(found, as_json, lambda: report.comparison_markdown(found))


@app.command()
@console.guarded
def gate(
    run_id: str,
    baseline: BaselineOption = None,
    rule: Annotated[
        list[str] | None, typer.Option("--rule", help="A rule, e.g. '{metric: exact, min: 0.7}'.")
    ] = None,
    rules: Annotated[Path | None, typer.Option("--rules", help="YAML file with a list of rules.")] = None,
    junit: Annotated[Path | None, typer.Option("--junit", help="Write JUnit XML to this file.")] = None,
    markdown: MarkdownOption = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Hold a run against rules; exit code 3 when it is refused."""
    wanted = _rules(rule, rules)
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        decision: GateDecision = service.gate(uow, actor, run_id=run_id, baseline_id=baseline, rules=wanted)
    _write(junit, report.gate_junit(decision))
    _write(markdown, report.gate_markdown(decision))
    console.emit(decision, as_json, lambda: report.gate_markdown(decision))
    if not decision.passed:
        raise typer.Exit(console.EXIT_CHECK_FAILED)
