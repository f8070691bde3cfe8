"""`penstock releases`: start, list, show, log, step, pause, resume, promote, rollback on the command line."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from penstock.core import console
from penstock.core.console import HomeOption, JsonOption, ProjectOption
from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.release import service
from penstock.release.model import Release, Report
from penstock.release.reading import plan_from_yaml

app = console.group("releases", "Releases: start, list, show, log, step, pause, resume, promote, rollback.")

IdArgument = Annotated[str, typer.Argument(metavar="RELEASE", help="Id, or name: then the newest of it.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, for the decision log.")]


def _table(found: list[Release]) -> Table:
    lines = [
        (
            each.id,
            each.plan.name,
            each.plan.kind,
            each.plan.subject.name,
            each.state,
            ", ".join(f"{name} {share:.0%}" for name, share in each.shares.items()),
        )
        for each in found
    ]
    return console.rows(["id", "name", "kind", "subject", "state", "shares"], lines)


def _report(found: Report) -> Table:
    about = {(each.arm, each.metric): each for each in found.comparisons}
    lines = []
    for arm in found.arms:
        for name, metric in arm.metrics.items():
            each = about.get((arm.name, name))
            lines.append(
                (
                    arm.name,
                    f"{arm.weight:.0%}",
                    name,
                    metric.n,
                    f"{metric.mean:.4g}",
                    "" if each is None else f"{each.difference:+.4g} ({each.low:+.4g} to {each.high:+.4g})",
                    "" if each is None else each.verdict,
                )
            )
    return console.rows(["arm", "share", "metric", "calls", "mean", "against the control", ""], lines)


def _shown(home: Home, actor: Actor, id: str, as_json: bool) -> None:
    with home.read() as uow:
        release = service.find(uow, actor, id=id)
        found = service.report(uow, actor, id=release.id)
    console.emit({"release": release, "report": found}, as_json, lambda: _table([release]))
    if not as_json:
        console.emit(None, False, lambda: _report(found))


@app.command()
@console.guarded
def start(
    file: Annotated[Path, typer.Argument(help="YAML: name, kind, subject, arms, steps, metrics.")],
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Begin a release that a YAML file describes."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{file} cannot be read: {error}.") from error
    plan = plan_from_yaml(text)
    with console.open_home(home, project) as (opened, actor):
        with opened.begin() as uow:
            release = service.start(uow, actor, plan=plan)
        console.emit(release, as_json, lambda: _table([release]))


@app.command("list")
@console.guarded
def list_releases(
    home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False
) -> None:
    """List releases, newest first."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = service.list_releases(uow, actor, limit=200)
    console.emit(found, as_json, lambda: _table(found))


@app.command()
@console.guarded
def show(
    release: IdArgument,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Show a release: shares, metrics per arm, comparisons."""
    with console.open_home(home, project) as (opened, actor):
        _shown(opened, actor, release, as_json)


@app.command("log")
@console.guarded
def decision_log(
    release: IdArgument,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Show every decision of a release, newest first; --json has the evidence too."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = service.decisions(uow, actor, id=release, limit=1000)
    lines = [(f"{each.at:%Y-%m-%d %H:%M:%S}", each.decision, each.by, each.reason) for each in found]
    console.emit(found, as_json, lambda: console.rows(["at (UTC)", "decision", "by", "reason"], lines))


@app.command()
@console.guarded
def step(
    release: IdArgument,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Go on to a canary's next step without waiting for the evidence."""
    with console.open_home(home, project) as (opened, actor):
        with opened.begin() as uow:
            service.step(uow, actor, id=release)
        _shown(opened, actor, release, as_json)


@app.command()
@console.guarded
def pause(
    release: IdArgument,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Keep the shares and decide nothing until `resume`."""
    with console.open_home(home, project) as (opened, actor):
        with opened.begin() as uow:
            service.pause(uow, actor, id=release)
        _shown(opened, actor, release, as_json)


@app.command()
@console.guarded
def resume(
    release: IdArgument,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Go on deciding after `pause`."""
    with console.open_home(home, project) as (opened, actor):
        with opened.begin() as uow:
            service.resume(uow, actor, id=release)
        _shown(opened, actor, release, as_json)


@app.command()
@console.guarded
def promote(
    release: IdArgument,
    arm: Annotated[str, typer.Option("--arm", help="Default: the one chosen, else the only new one.")] = "",
    reason: ReasonOption = "",
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Let every call go to an arm for good."""
    with console.open_home(home, project) as (opened, actor):
        with opened.begin() as uow:
            service.promote(uow, actor, id=release, arm=arm, reason=reason)
        _shown(opened, actor, release, as_json)


@app.command()
@console.guarded
def rollback(
    release: IdArgument,
    reason: ReasonOption = "",
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Let every call go where it went before, at once; also after a promotion."""
    with console.open_home(home, project) as (opened, actor):
        with opened.begin() as uow:
            service.roll_back(uow, actor, id=release, reason=reason)
        _shown(opened, actor, release, as_json)
