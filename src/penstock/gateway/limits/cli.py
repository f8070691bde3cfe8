"""`penstock limits` and `penstock budgets`: what keys and others may use."""

from typing import Annotated

import typer

from penstock.core import console
from penstock.core.console import HomeOption, JsonOption, ProjectOption
from penstock.gateway.limits import forgetting, service
from penstock.gateway.limits.model import Budget, Period, RateLimits, SubjectKind, kind_of, period_of

limits = console.group("limits", "Rate limits of keys, users, projects, routes: set, list.")
budgets = console.group("budgets", "Budgets in US dollars: set, list, show, forget, delete.")


@limits.command("set")
@console.guarded
def set_limits(
    kind: Annotated[str, typer.Argument(help="key, user, project, tenant or route.")],
    subject: Annotated[str, typer.Argument(help="Key id, user, project or route; '*' for each of them.")],
    requests: Annotated[int | None, typer.Option("--requests", min=1, help="Requests per minute.")] = None,
    input_tokens: Annotated[
        int | None, typer.Option("--input-tokens", min=1, help="Input tokens per minute.")
    ] = None,
    output_tokens: Annotated[
        int | None, typer.Option("--output-tokens", min=1, help="Output tokens per minute.")
    ] = None,
    concurrent: Annotated[int | None, typer.Option("--concurrent", min=1, help="Calls at once.")] = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Set rate limits, all at once: what is not named is not limited; with no option they are removed."""
    figures = RateLimits(
        requests_per_minute=requests,
        input_tokens_per_minute=input_tokens,
        output_tokens_per_minute=output_tokens,
        concurrent=concurrent,
    )
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        service.put_limits(uow, actor, kind=kind_of(kind), subject=subject, limits=figures)
    said = "has no limits now" if figures.empty else "is limited"
    console.emit(
        {"kind": kind, "subject": subject, "limits": figures}, as_json, lambda: f"{kind} {subject} {said}."
    )


@limits.command("list")
@console.guarded
def list_limits(
    home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False
) -> None:
    """List rate limits."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = service.list_limits(uow, actor)
    lines = [
        (
            named.kind,
            named.subject,
            named.limits.requests_per_minute,
            named.limits.input_tokens_per_minute,
            named.limits.output_tokens_per_minute,
            named.limits.concurrent,
        )
        for named in found
    ]
    columns = ["kind", "subject", "requests/min", "input/min", "output/min", "at once"]
    console.emit(found, as_json, lambda: console.rows(columns, lines))


@budgets.command("set")
@console.guarded
def set_budget(
    name: str,
    usd: Annotated[float, typer.Option("--usd", help="US dollars per period.")],
    period: Annotated[str, typer.Option("--period", help="day, month or total (UTC).")] = Period.MONTH.value,
    kind: Annotated[
        str, typer.Option("--for", help="key, user, project, tenant or route.")
    ] = SubjectKind.PROJECT.value,
    subject: Annotated[
        str, typer.Option("--subject", help="Key id, user, project or route; '*' for each of them.")
    ] = "",
    soft: Annotated[
        list[float] | None, typer.Option("--soft", help="Fraction to alert at; may be repeated; default 0.8.")
    ] = None,
    hard: Annotated[
        bool, typer.Option("--hard/--alert-only", help="Refuse calls when it is spent, or only tell.")
    ] = True,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Make or change a budget; what was spent in the period stays spent."""
    budget = Budget(
        name=name,
        kind=kind_of(kind),
        subject=subject,
        period=period_of(period),
        usd=usd,
        soft=tuple(soft) if soft else (0.8,),
        hard=hard,
    )
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        made = service.put_budget(uow, actor, budget)
    console.emit(
        made, as_json, lambda: f"Budget {name}: ${made.usd:g} ({made.period}) for {made.kind} {made.subject}."
    )


@budgets.command("list")
@console.guarded
def list_budgets(
    home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False
) -> None:
    """List budgets with what is spent, reserved and left in the present period."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = service.list_budgets(uow, actor)
    columns = ["name", "for", "subject", "period", "usd", "spent", "reserved", "left", "when spent"]
    lines = [
        (
            spend.budget.name,
            spend.budget.kind,
            spend.budget.subject,
            spend.budget.period,
            f"{spend.budget.usd:g}",
            f"{spend.spent:.6f}",
            f"{spend.reserved:.6f}",
            f"{spend.left:.6f}",
            "refuse" if spend.budget.hard else "tell",
        )
        for spend in found
    ]
    console.emit(found, as_json, lambda: console.rows(columns, lines))


@budgets.command("show")
@console.guarded
def show_budget(
    name: str, home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False
) -> None:
    """Show what each subject of a budget has spent in the present period."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = service.spends(uow, actor, name)
    lines = [
        (
            s.subject,
            s.period,
            f"{s.spent:.6f}",
            ", ".join(f"{kind} {usd:.6f}" for kind, usd in s.aside.items()),
            f"{s.reserved:.6f}",
            f"{s.left:.6f}",
        )
        for s in found
    ]
    columns = ["subject", "period", "spent", "of it beside answers", "reserved", "left"]
    console.emit(found, as_json, lambda: console.rows(columns, lines))


@budgets.command("forget")
@console.guarded
def forget_account(
    name: str,
    user: Annotated[str, typer.Argument(help="The user, as calls name it.")],
    home: HomeOption = None,
    project: ProjectOption = "default",
) -> None:
    """Forget what one user has spent of a budget, in every period: the user has all of it again."""
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        forgetting.forget_account(uow, actor, name, user)
    console.note(f"The budget {name} has forgotten that user.")


@budgets.command("delete")
@console.guarded
def delete_budget(name: str, home: HomeOption = None, project: ProjectOption = "default") -> None:
    """Delete a budget and what was counted for it."""
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        service.delete_budget(uow, actor, name)
    console.note(f"Budget {name} is gone.")
