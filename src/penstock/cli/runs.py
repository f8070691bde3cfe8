"""`penstock runs`: tracking a command as a run, on whatever server PENSTOCK_URL names."""

import shlex
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from penstock.cli.tracked_command import carry_out
from penstock.core import console
from penstock.core.errors import Invalid
from penstock.sdk.client import Client
from penstock.sdk.code import Program
from penstock.sdk.errors import ConfigError
from penstock.sdk.tracked_run import TrackedRun

app = console.group("runs", "Runs of your own trainers: track a command.")
FORMS = ("", "pairs", "json")
OUTPUT = "output.log"
_LONGEST_COMMAND = 4000
_WORDS_LOOKED_AT, _LONGEST_NAME = 20, 255
_KILLED, _MOST_SIGNALS = 128, 64


@app.callback()
def group() -> None:
    """Runs of your own trainers: track a command."""


def _pairs(given: list[str], what: str) -> dict[str, str]:
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise Invalid(f"{text!r} is not a {what}.", hint=f"Write --{what} name=value.")
        found[name] = value
    return found


def _program(command: list[str]) -> Program:
    """Return what runs as far as the command's words tell: code is taken to be the working folder's checkout."""
    files = (
        word for word in command[:_WORDS_LOOKED_AT] if len(word) < _LONGEST_NAME and Path(word).is_file()
    )
    return Program(next(files, command[0]), Path(command[0]).name, Path.cwd())


@app.command("exec")
@console.guarded
def execute(
    command: Annotated[list[str], typer.Argument(help="The command and its arguments, after `--`.")],
    experiment: Annotated[
        str, typer.Option("--experiment", "-e", help="Experiment, made if need be.")
    ] = "Default",
    name: Annotated[str, typer.Option("--name", help="Name of the run.")] = "",
    metrics: Annotated[
        str,
        typer.Option(
            "--metrics", help="Read metrics from the output: pairs (loss=0.25) or json (one per line)."
        ),
    ] = "",
    param: Annotated[list[str], typer.Option("--param", help="Parameter, name=value; repeatable.")] = [],  # noqa: B006 - Typer copies
    tag: Annotated[list[str], typer.Option("--tag", help="Tag, name=value; repeatable.")] = [],  # noqa: B006 - Typer copies
    dataset: Annotated[
        list[str], typer.Option("--dataset", help="What it reads: name@version, or a file; repeatable.")
    ] = [],  # noqa: B006 - Typer copies
    artifact: Annotated[
        list[Path], typer.Option("--artifact", help="File or folder to store once it has ended; repeatable.")
    ] = [],  # noqa: B006 - Typer copies
    model: Annotated[
        Path | None, typer.Option("--model", help="The model's folder, to store when it succeeds.")
    ] = None,
    register: Annotated[str, typer.Option("--register", help="Register the model under this name.")] = "",
    note: Annotated[str, typer.Option("--note", help="Note on the run.")] = "",
) -> None:
    """Run a command and track it: start, end, exit code, output, metrics; ends with the command's own exit code."""
    if metrics not in FORMS:
        raise Invalid(f"Metrics cannot be read as {metrics!r}.", hint="Use pairs or json.")
    if register and model is None:
        raise Invalid("There is nothing to register.", hint="Name the model's folder with --model.")
    given, tags = _pairs(param, "param"), _pairs(tag, "tag")
    try:
        client = Client()
    except ConfigError as error:
        raise Invalid(str(error), hint="Look at PENSTOCK_URL.") from error
    tags = {"penstock.command": shlex.join(command)[:_LONGEST_COMMAND], **tags}
    run = client.runs.start(experiment, name=name, params=given, tags=tags, program=_program(command))
    for source in dataset:
        run.dataset(Path(source) if Path(source).exists() else source)
    if note:
        run.note(note)
    code = _tracked(command, run, metrics)
    for path in artifact:
        run.artifact(path)
    made = run.model(model, register) if model is not None and code == 0 else ""
    killed = _KILLED < code <= _KILLED + _MOST_SIGNALS
    run.end("finished" if code == 0 else "killed" if killed else "failed")
    sys.stderr.write(f"penstock: run {run.id or 'waits for the server'}{f', model {made}' if made else ''}\n")
    raise typer.Exit(code)


def _tracked(command: list[str], run: TrackedRun, form: str) -> int:
    with tempfile.TemporaryDirectory(prefix="penstock-run-") as folder:
        output = Path(folder) / OUTPUT
        try:
            code = carry_out(command, run, form=form, output=output)
        except Invalid:
            run.end("failed")
            raise
        if output.stat().st_size:
            run.artifact(output)
        return code
