"""`penstock alerts`: what budgets told, and where it is sent."""

from typing import Annotated

import typer

from penstock.core import clock, console
from penstock.core.console import HomeOption, JsonOption, ProjectOption
from penstock.gateway.alerting import service

app = console.group("alerts", "Alerts of budgets: list them, send them to a webhook, try it.")


@app.command("list")
@console.guarded
def list_alerts(
    home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False
) -> None:
    """List alerts, the newest first."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = service.list_alerts(uow, actor)
    lines = [(clock.iso(alert.at), alert.text, alert.delivery) for alert in found]
    console.emit(found, as_json, lambda: console.rows(["at", "alert", "webhook"], lines))


@app.command("webhook")
@console.guarded
def webhook(
    url: Annotated[str, typer.Argument(help="Where to send alerts; left out: show it.")] = "",
    delete: Annotated[bool, typer.Option("--delete", help="Send alerts nowhere.")] = False,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Send the project's alerts to an address; prints the secret that signs them, this once."""
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        if delete:
            service.delete_webhook(uow, actor)
            console.note("Alerts are sent nowhere now.")
            return
        if not url:
            found = service.get_webhook(uow, actor)
            console.emit(found, as_json, lambda: found.url)
            return
        made, secret = service.put_webhook(uow, actor, url)
    console.emit({"url": made.url, "secret": secret}, as_json, lambda: secret)


@app.command("try")
@console.guarded
def try_webhook(home: HomeOption = None, project: ProjectOption = "default") -> None:
    """Send a trial alert to the webhook now."""
    with console.open_home(home, project) as (opened, actor):
        service.try_webhook(opened, actor)
    console.note("The webhook took the trial alert.")
