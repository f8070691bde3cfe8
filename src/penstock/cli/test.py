"""`penstock test`: the test suite of a checkout."""

import subprocess
import sys
from pathlib import Path

import typer

from penstock.core import console
from penstock.core.errors import Invalid

app = typer.Typer(add_completion=False)
EVERYTHING = ["--numprocesses=auto", "--dist=loadgroup", "--durations=25", "--durations-min=15"]
ROOT = Path(__file__).resolve().parents[3]


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
@console.guarded
def test(context: typer.Context) -> None:
    """Run pytest on the checkout this package is installed from; arguments are passed on.

    Without arguments everything runs, on all cores; heavy and browser tests one after another in one process.
    """
    if not (ROOT / "tests" / "conftest.py").exists():
        raise Invalid(
            "The tests are not part of an installed package.", hint="Run ./penstock test in a checkout."
        )
    arguments = context.args or EVERYTHING
    raise typer.Exit(subprocess.call([sys.executable, "-m", "pytest", *arguments], cwd=ROOT))
