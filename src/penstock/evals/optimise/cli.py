"""`penstock evals optimise` and its kin: searching for better prompts on the command line."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from penstock.core import console
from penstock.core.console import HomeOption, JsonOption, ProjectOption
from penstock.evals.optimise import service
from penstock.evals.optimise.model import Candidate, Optimisation, Standing
from penstock.evals.optimise.plan import parse_plan
from penstock.evals.suites.files import read_document

HEAD = ["candidate", "how", "select", "held out", "gain", "cost"]


def _progress(report: dict[str, Any]) -> None:
    typer.echo(f"{report['stage']}: {report['calls']} calls, ${report['cost_usd']:.4f}", err=True)


def _figure(one: Standing | None, digits: int = 2) -> str:
    if one is None:
        return "—"
    span = f" ({one.low:.{digits}f}–{one.high:.{digits}f})" if None not in (one.low, one.high) else ""
    return f"{one.value:.{digits}f}{span}"


def _line(found: Optimisation, one: Candidate) -> tuple[str, ...]:
    marks = {"best": one.id == found.best, "front": one.id in found.pareto, "dropped": one.dropped}
    parents = " × ".join(f"c{number}" for number in one.parents)
    model = f" on {one.draft.model}" if len(found.spec.get("models", ())) > 1 else ""
    return (
        " ".join([one.id, *(name for name, holds in marks.items() if holds)]),
        f"{one.method}{f' of {parents}' if parents else ''}{model}",
        _figure(one.selection),
        _figure(one.held_out),
        f"{one.gain.difference:+.2f} {one.gain.verdict}" if one.gain is not None else "—",
        _figure(one.cost and replace(one.cost, low=None), 6 if found.cost_unit == "USD" else 0),
    )


def _show(found: Optimisation, tried: list[Candidate], as_json: bool) -> None:
    if as_json:
        console.emit({"optimisation": found, "candidates": tried, "best": found.best}, as_json)
        return
    typer.echo(
        f"{found.id}: {found.prompt} on {found.dataset} by {found.metric}: {found.state}, {found.spent.calls} calls, "
        f"${found.spent.cost_usd:.4f}{f'. {found.error}' if found.error else ''}"
    )
    console.emit(tried, False, lambda: console.rows(HEAD, [_line(found, one) for one in tried]))


@console.guarded
def optimise(
    plan: Annotated[Path, typer.Argument(help="The plan's YAML or JSON file.")],
    key: Annotated[
        str | None,
        typer.Option("--key", help="Idempotency key: running again goes on, or shows the finished one."),
    ] = None,
    background: Annotated[
        bool, typer.Option("--background", help="Queue it for the background process instead of waiting.")
    ] = False,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Search for a better version of a prompt: examples, rewritten instructions, a race, held-out figures."""
    with console.open_home(home, project) as (opened, actor):
        parsed = parse_plan(read_document(plan))
        if background:
            done = service.start(opened, actor, plan=parsed, key=key)
        else:
            done = service.run(opened, actor, plan=parsed, key=key, progress=_progress)
        with opened.read() as uow:
            tried = service.candidates(uow, actor, done.id)
    _show(done, tried, as_json)


@console.guarded
def resume_optimisation(
    id: str,
    max_calls: Annotated[
        int | None, typer.Option("--max-calls", min=1, help="New cap on calls, for the whole of it.")
    ] = None,
    max_cost: Annotated[
        float | None, typer.Option("--max-cost", help="New cost cap in dollars, for the whole of it.")
    ] = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Go on with an optimisation that stopped or failed; nothing that was answered is paid for again."""
    with console.open_home(home, project) as (opened, actor):
        done = service.resume(
            opened, actor, id=id, max_calls=max_calls, max_cost_usd=max_cost, progress=_progress
        )
        with opened.read() as uow:
            tried = service.candidates(uow, actor, id)
    _show(done, tried, as_json)


@console.guarded
def list_optimisations(
    prompt: Annotated[str | None, typer.Option("--prompt", help="Only those of this prompt.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 50,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """List searches for better prompts, newest first."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = service.list_optimisations(uow, actor, prompt=prompt, limit=limit)
    lines = [
        (one.id, one.prompt, one.dataset, one.metric, str(one.state), str(one.spent.calls), one.best or "")
        for one in found
    ]
    head = ["id", "prompt", "dataset", "metric", "state", "calls", "best"]
    console.emit(found, as_json, lambda: console.rows(head, lines))


@console.guarded
def show_optimisation(
    id: str,
    candidate: Annotated[
        str | None, typer.Option("--candidate", help="Print this candidate's prompt instead of the table.")
    ] = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Show an optimisation: its candidates with their figures, or one candidate's prompt."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = service.find(uow, actor, id)
        tried = service.candidates(uow, actor, id)
        one = service.candidate(uow, actor, id, candidate) if candidate else None
    if one is not None:
        shown = one.body.text or "\n\n".join(
            f"{m.get('role')}: {m.get('content')}" for m in one.body.messages
        )
        console.emit(one, as_json, lambda: shown)
        return
    _show(found, tried, as_json)


@console.guarded
def accept(
    id: str,
    candidate: Annotated[
        str | None, typer.Option("--candidate", help="Which one; the best unless said otherwise.")
    ] = None,
    note: Annotated[str, typer.Option("--note", help="Why, for the version's changelog.")] = "",
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Add the best candidate, or the named one, as a version of its prompt."""
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        version = service.accept(uow, actor, id, name=candidate, note=note)
    console.emit(version, as_json, lambda: f"{version.ref} was added. Labels stay where they are.")


def add_to(app: typer.Typer) -> None:
    """Add the commands to `penstock evals`."""
    app.command("optimise")(optimise)
    app.command("resume-optimisation")(resume_optimisation)
    app.command("optimisations")(list_optimisations)
    app.command("optimisation")(show_optimisation)
    app.command("accept")(accept)
