"""`penstock evals` compare, gate, badge and ci-step."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from penstock.core import console
from penstock.core.console import HomeOption, JsonOption, ProjectOption
from penstock.core.errors import Invalid, StorageFull
from penstock.evals import badge as drawing
from penstock.evals import build_steps, report, service
from penstock.evals.model import GateDecision
from penstock.evals.suites.files import read_document

MarkdownOption = Annotated[
    Path | None, typer.Option("--markdown", help="Write a Markdown report to this file.", show_default=False)
]
BaselineOption = Annotated[
    str | None,
    typer.Option(
        "--baseline",
        help="Run to compare with, or latest-passed: the newest earlier run of the suite that a gate let pass.",
        show_default=False,
    ),
]


class Host(StrEnum):
    """Where builds run."""

    GITHUB = "github"
    GITLAB = "gitlab"


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module to `penstock evals`."""
    for name, command in (("compare", compare), ("gate", gate), ("badge", badge), ("ci-step", ci_step)):
        app.command(name)(command)


def write_text(path: Path | None, text: str) -> None:
    """Write `text` to `path` when there is one; raises StorageFull."""
    if path is None:
        return
    try:
        path.write_text(text)
    except OSError as error:
        raise StorageFull(f"{path} cannot be written: {error.strerror}.") from error


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


@console.guarded
def compare(
    baseline: str,
    candidates: Annotated[list[str], typer.Argument(help="One or more runs.")],
    cluster: Annotated[
        str | None, typer.Option("--cluster", help="Dataset column whose equal values belong together.")
    ] = None,
    test: Annotated[
        str, typer.Option("--test", help="auto, or t: Student's paired test for means.")
    ] = "auto",
    metric: Annotated[str | None, typer.Option("--metric", help="What --rows are sorted by.")] = None,
    rows: Annotated[int, typer.Option("--rows", min=0, help="Also show the N samples that lost most.")] = 0,
    markdown: MarkdownOption = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Compare finished runs on the samples they share, with paired tests; the worst regression first."""
    with console.open_home(home, project) as (opened, actor):
        clusters = service.clusters_by(opened, actor, baseline, cluster) if cluster else None
        with opened.read() as uow:
            found = service.compare_many(uow, actor, baseline, candidates, clusters=clusters, test=test)
            lost = service.compared_rows(uow, actor, [baseline, *candidates], metric=metric) if rows else []
    text = "\n".join(report.comparison_markdown(one) for one in found)
    text += f"\n{report.rows_markdown(lost, rows)}" if rows else ""
    write_text(markdown, text)
    shown: Any = found[0] if len(found) == 1 else found
    if rows:
        shown = {"comparisons": found, "rows": lost[:rows]}
    console.emit(shown, as_json, lambda: text)


@console.guarded
def gate(
    run_id: str,
    baseline: BaselineOption = None,
    rule: Annotated[
        list[str] | None, typer.Option("--rule", help="A rule, e.g. '{metric: exact, min: 0.7}'.")
    ] = None,
    rules: Annotated[Path | None, typer.Option("--rules", help="YAML file with a list of rules.")] = None,
    allow_first: Annotated[
        bool, typer.Option("--allow-first", help="Pass when latest-passed finds no run to compare with yet.")
    ] = False,
    junit: Annotated[Path | None, typer.Option("--junit", help="Write JUnit XML to this file.")] = None,
    badge: Annotated[Path | None, typer.Option("--badge", help="Write an SVG badge to this file.")] = None,
    markdown: MarkdownOption = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Hold a run against rules; exit code 3 when it is refused."""
    wanted = _rules(rule, rules)
    with console.open_home(home, project) as (opened, actor):
        decision: GateDecision = service.decide(
            opened, actor, run_id=run_id, baseline_id=baseline, rules=wanted, allow_first=allow_first
        )
        with opened.read() as uow:
            run = service.get_run(uow, actor, run_id)
    write_text(junit, report.gate_junit(decision))
    write_text(markdown, report.gate_markdown(decision))
    write_text(badge, drawing.of_run(run, decision))
    console.emit(decision, as_json, lambda: report.gate_markdown(decision))
    if not decision.passed:
        raise typer.Exit(console.EXIT_CHECK_FAILED)


@console.guarded
def badge(
    run_id: str,
    to: Annotated[Path, typer.Argument(help="The SVG file to write.")],
    metric: Annotated[str | None, typer.Option("--metric", help="Show this metric's value.")] = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
) -> None:
    """Write a badge of the run's last gate decision, or of one metric, as SVG."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        run = service.get_run(uow, actor, run_id)
        decided = service.gates(uow, actor, run_id=run_id, limit=1)
    write_text(to, drawing.of_run(run, decided[0] if decided else None, metric))
    console.note(f"Wrote {to}.")


@console.guarded
def ci_step(
    host: Annotated[Host, typer.Argument(help="github or gitlab.")],
    suite: Annotated[str, typer.Option("--suite", help="The suite's file in the repository.")] = "suite.yaml",
    rules: Annotated[str, typer.Option("--rules", help="The gate's file in the repository.")] = "gate.yaml",
    data: Annotated[
        str | None,
        typer.Option("--data", help="A file of rows to ingest first, under the suite's dataset name."),
    ] = None,
) -> None:
    """Print a ready workflow that runs a suite, gates it on the last run that passed and keeps the reports."""
    step = build_steps.Step(suite=suite, rules=rules, data=data)
    drawn = build_steps.github(step) if host is Host.GITHUB else build_steps.gitlab(step)
    typer.echo(drawn, nl=False)
