"""`penstock train hosted`: fine-tune at a provider."""

from typing import Annotated

import typer

from penstock.core import assignments, console
from penstock.core.console import HomeOption, JsonOption, ProjectOption
from penstock.core.errors import Invalid
from penstock.training.hosted import service
from penstock.training.hosted.model import HostedPlan
from penstock.training.recipe import Columns

app = console.group("hosted", "Fine-tuning at a provider: start, list, show, refresh, cancel.")


@app.command()
@console.guarded
def start(
    provider: str,
    model: Annotated[str, typer.Argument(help="The provider's own name of the base model.")],
    dataset: str,
    method: Annotated[str, typer.Option(help="sft or dpo.")] = "sft",
    split: str = "",
    validation_split: str = "",
    columns: Annotated[
        list[str] | None, typer.Option("--column", help="KEY=COLUMN, e.g. prompt=text.")
    ] = None,
    parameters: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=VALUE of the provider, e.g. n_epochs=3.")
    ] = None,
    suffix: str = "",
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Check the rows and queue a job for `penstock up` to upload, start and follow."""
    named = assignments.parse(columns or [])
    unknown = sorted(set(named) - {"prompt", "completion", "chosen", "rejected"})
    if unknown:
        raise Invalid(f"There is no column key {unknown[0]!r}.")
    plan = HostedPlan(
        provider=provider,
        model=model,
        dataset=dataset,
        method=method,
        split=split,
        validation_split=validation_split,
        columns=Columns(**{name: str(value) for name, value in named.items()}),
        hyperparameters=assignments.parse(parameters or []),
        suffix=suffix,
    )
    with console.open_home(home, project) as (opened, actor):
        made = service.start(opened, actor, plan)
    console.emit(made, as_json, lambda: f"{made.id}  {made.state}")


@app.command("list")
@console.guarded
def list_jobs(
    home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False
) -> None:
    """List jobs at providers, newest first."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = service.list_jobs(uow, actor, limit=200)
    lines = [
        (one.id, one.state, one.plan.provider, one.plan.model, one.model or one.error or "") for one in found
    ]
    console.emit(found, as_json, lambda: console.rows(["id", "state", "provider", "base", "result"], lines))


@app.command()
@console.guarded
def show(
    job_id: str, home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False
) -> None:
    """Show one job."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = service.get(uow, actor, job_id=job_id)
    console.emit(
        found, as_json, lambda: f"{found.id}  {found.state}  {found.model or found.error or ''}".rstrip()
    )


@app.command()
@console.guarded
def refresh(
    job_id: str, home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False
) -> None:
    """Take a job's next step now: upload, start, or ask the provider how far it is."""
    with console.open_home(home, project) as (opened, actor):
        found = service.advance(opened, actor, job_id=job_id)
    console.emit(
        found, as_json, lambda: f"{found.id}  {found.state}  {found.model or found.error or ''}".rstrip()
    )


@app.command()
@console.guarded
def cancel(
    job_id: str, home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False
) -> None:
    """Ask to cancel a job."""
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        found = service.cancel(uow, actor, job_id=job_id)
    console.emit(found, as_json, lambda: f"{found.id}  {found.state}")
