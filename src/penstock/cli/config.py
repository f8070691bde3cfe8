"""`penstock config`: the settings in force and where each comes from."""

from penstock.core import console
from penstock.core.console import HomeOption, JsonOption
from penstock.core.home import locate
from penstock.core.settings import load

app = console.group("config", "Show the settings and where each comes from.")


@app.command()
@console.guarded
def show(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Print every setting, its value and its source; secrets are redacted."""
    rows = load(locate(home) / "penstock.toml").origins()
    lines = [(f"{row['section']}.{row['key']}", row["value"], row["origin"]) for row in rows]
    console.emit(rows, as_json, lambda: console.rows(["setting", "value", "from"], lines))


@app.callback()
def config() -> None:
    """Show the settings and where each comes from."""
