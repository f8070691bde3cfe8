"""`penstock signin`: a one-time link for the web UI."""

from typing import Annotated

import typer

from penstock.cli.welcome import sign_in_link
from penstock.core import console
from penstock.core.address import own_address
from penstock.core.console import HomeOption, JsonOption
from penstock.core.settings import ServerSettings

app = typer.Typer(add_completion=False)


@app.command()
@console.guarded
def signin(
    home: HomeOption = None,
    url: Annotated[str | None, typer.Option("--url", help="Address of the server.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Print a link that signs the owner in once, within an hour."""
    with console.open_home(home) as (opened, _):
        server = opened.settings.section(ServerSettings)
        link = sign_in_link(opened, url or server.public_url or own_address(opened))
    console.emit({"url": link}, as_json, lambda: link)
