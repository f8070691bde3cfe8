"""`penstock prompts`: versions, labels, rendering and comparing on the command line."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from penstock.core import console
from penstock.core.console import HomeOption, JsonOption, ProjectOption
from penstock.core.errors import Invalid
from penstock.prompts import service
from penstock.prompts.model import Body, Kind

app = console.group("prompts", "Versioned prompts: list, add, label, render, diff.")


def _body(file: Path) -> Body:
    try:
        source = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{file} cannot be read: {error}.") from error
    if file.suffix != ".json":
        return Body(kind=Kind.TEXT, text=source)
    try:
        return msgspec.json.decode(source.encode(), type=Body)
    except msgspec.MsgspecError as error:
        raise Invalid(
            f"{file} is not a prompt: {error}.", hint="See docs/prompts.md for the JSON form."
        ) from error


@app.command("list")
@console.guarded
def list_prompts(
    search: Annotated[str, typer.Option("--search", help="Text in the name or description.")] = "",
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """List prompts with their versions and labels."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = service.search(uow, actor, text=search, limit=1000)
    lines = [
        (p.name, p.versions, ", ".join(f"{k}→{v}" for k, v in p.labels.items()), p.description) for p in found
    ]
    console.emit(found, as_json, lambda: console.rows(["name", "versions", "labels", "description"], lines))


@app.command()
@console.guarded
def show(
    name: str,
    version: Annotated[int | None, typer.Option("--version", help="Version number.")] = None,
    label: Annotated[str | None, typer.Option("--label", help="Label instead of a number.")] = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Show one version: `production` if there is that label, else the newest."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = service.get(uow, actor, name=name, version=version, label=label)
    said = found.body.text or msgspec.json.format(msgspec.json.encode(found.body.messages), indent=2).decode()
    console.emit(found, as_json, lambda: f"{found.ref}  {found.note}\n\n{said}")


@app.command()
@console.guarded
def add(
    name: str,
    file: Annotated[Path, typer.Argument(help="A text template, or a .json file with kind, messages, …")],
    note: Annotated[str, typer.Option("--note", help="Why this version exists.")] = "",
    label: Annotated[str | None, typer.Option("--label", help="Point this label at the new version.")] = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Add a version, making the prompt if need be."""
    body = _body(file)
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        version = service.add_version(uow, actor, name=name, body=body, note=note)
        if label is not None:
            service.set_label(uow, actor, name=name, label=label, version=version.number)
    console.emit(version, as_json, lambda: f"Added {version.ref}.")


@app.command()
@console.guarded
def label(
    name: str,
    label: str,
    version: int,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Point a label at a version."""
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        prompt = service.set_label(uow, actor, name=name, label=label, version=version)
    console.emit(prompt, as_json, lambda: f"{name}:{label} → {version}")


@app.command()
@console.guarded
def render(
    name: str,
    values: Annotated[
        list[str] | None, typer.Argument(help="NAME=VALUE; values are JSON, or else text.")
    ] = None,
    version: Annotated[int | None, typer.Option("--version", help="Version number.")] = None,
    label: Annotated[str | None, typer.Option("--label", help="Label instead of a number.")] = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Fill a version with values and print it."""
    given: dict[str, object] = {}
    for pair in values or []:
        key, equals, value = pair.partition("=")
        if not equals:
            raise Invalid(f"{pair!r} is not NAME=VALUE.")
        try:
            given[key] = msgspec.json.decode(value)
        except msgspec.DecodeError:
            given[key] = value
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        rendered = service.render(uow, actor, name=name, variables=given, version=version, label=label)
    shown = rendered.text or "\n\n".join(f"[{m['role']}]\n{m['content']}" for m in rendered.messages)
    console.emit(rendered, as_json, lambda: shown)


@app.command()
@console.guarded
def diff(
    name: str,
    before: int,
    after: int,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Compare two versions word by word."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        changes = service.diff(uow, actor, name=name, before=before, after=after)
    marks = {"equal": "{}", "insert": "{{+{}+}}", "delete": "[-{}-]"}
    lines = [
        f"{change.field}:\n" + "".join(marks[piece.op].format(piece.text) for piece in change.pieces)
        for change in changes
    ]
    console.emit(changes, as_json, lambda: "\n\n".join(lines) or "The versions say the same.")
