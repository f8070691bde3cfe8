"""`penstock prompts`: versions, labels, rendering and comparing on the command line."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from penstock.core import assignments, console
from penstock.core.console import HomeOption, JsonOption, ProjectOption
from penstock.core.errors import Invalid
from penstock.prompts import exchange_service, label_service, service
from penstock.prompts.model import Body, Kind, LabelRequest, RequestState

app = console.group("prompts", "Versioned prompts: add, label, approve, roll back, render, diff.")


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
    search: Annotated[
        str, typer.Option("--search", help="Text in names, descriptions, tags or newest versions.")
    ] = "",
    tag: Annotated[
        list[str] | None, typer.Option("--tag", help="Only with this tag; may be repeated.")
    ] = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """List prompts with their versions and labels."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = service.search(uow, actor, text=search, tags=tuple(tag or ()), limit=1000)
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


@app.command("import-dspy")
@console.guarded
def import_dspy(
    name: str,
    file: Annotated[Path, typer.Argument(help='The JSON that DSPy\'s program.save("program.json") wrote.')],
    output: Annotated[
        list[str] | None,
        typer.Option("--output", help="An output field, where not guessed; may be repeated."),
    ] = None,
    note: Annotated[str, typer.Option("--note", help="Why this version exists.")] = "",
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Add a DSPy program: each predictor becomes a version, its examples included."""
    try:
        program = msgspec.json.decode(file.read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        raise Invalid(f"{file} cannot be read: {error}.") from error
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        made = exchange_service.import_dspy(
            uow, actor, name=name, program=program, outputs=tuple(output or ()), note=note
        )
    console.emit(made, as_json, lambda: "\n".join(f"Added {one.ref}: {one.note}." for one in made))


@app.command()
@console.guarded
def label(
    name: str,
    label: str,
    version: int,
    note: Annotated[str, typer.Option("--note", help="Why.")] = "",
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Point a label at a version; a protected one waits until somebody else approves."""
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        found = label_service.point(uow, actor, name=name, label=label, version=version, note=note)
    said = f"{name}:{label} → {version}"
    if isinstance(found, LabelRequest):
        said = f"Asked for {said}: somebody else must approve {found.id}."
    console.emit(found, as_json, lambda: said)


@app.command()
@console.guarded
def rollback(
    name: str,
    label: str,
    note: Annotated[str, typer.Option("--note", help="Why.")] = "",
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Point a label at the version it had before."""
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        prompt = label_service.roll_back(uow, actor, name=name, label=label, note=note)
    console.emit(prompt, as_json, lambda: f"{name}:{label} → {prompt.labels[label]}")


@app.command()
@console.guarded
def history(
    name: str,
    label: Annotated[str | None, typer.Option("--label", help="Of this label only.")] = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """List the moves of labels, newest first."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = service.history(uow, actor, name=name, label=label)
    lines = [
        (f"{m.at:%Y-%m-%d %H:%M}", m.label, m.kind, m.previous, m.version, m.actor, m.approved_by, m.note)
        for m in found
    ]
    columns = ["at", "label", "move", "from", "to", "by", "approved by", "note"]
    console.emit(found, as_json, lambda: console.rows(columns, lines))


@app.command()
@console.guarded
def protect(
    name: str,
    label: str,
    off: Annotated[bool, typer.Option("--off", help="Let it move freely again.")] = False,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Let a label move only when somebody else approves."""
    act = label_service.unprotect if off else label_service.protect
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        prompt = act(uow, actor, name=name, label=label)
    said = "moves freely" if off else "is protected"
    console.emit(prompt, as_json, lambda: f"{name}:{label} {said}.")


@app.command()
@console.guarded
def requests(
    name: Annotated[str | None, typer.Argument(help="Of this prompt only.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Decided ones too.")] = False,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """List requests to move protected labels."""
    state = None if every else RequestState.OPEN
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = label_service.list_requests(uow, actor, name=name, state=state)
    lines = [
        (r.id, r.state, f"{r.prompt}:{r.label}", r.previous, r.version, r.asked_by, r.decided_by, r.note)
        for r in found
    ]
    columns = ["id", "state", "label", "from", "to", "asked by", "decided by", "note"]
    console.emit(found, as_json, lambda: console.rows(columns, lines))


@app.command()
@console.guarded
def decide(
    request: Annotated[str, typer.Argument(help="Id of the request.")],
    reject: Annotated[bool, typer.Option("--reject/--approve", help="Which way.")],
    reason: Annotated[str, typer.Option("--reason", help="Why.")] = "",
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Approve or reject somebody else's request to move a protected label."""
    act = label_service.reject if reject else label_service.approve
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        found = act(uow, actor, id=request, reason=reason)
    console.emit(found, as_json, lambda: f"{found.prompt}:{found.label} → {found.version} is {found.state}.")


@app.command()
@console.guarded
def tag(
    name: str,
    tags: Annotated[list[str] | None, typer.Argument(help="All its tags; none: take them away.")] = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Replace the tags of a prompt."""
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        prompt = service.describe(uow, actor, name=name, tags=tuple(tags or ()))
    console.emit(prompt, as_json, lambda: f"{name}: {', '.join(prompt.tags) or 'no tags'}")


@app.command("used-by")
@console.guarded
def used_by(
    name: str,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """List the versions of other prompts that include this one."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = service.used_by(uow, actor, name=name, limit=1000)
    lines = [(use.prompt, use.version, use.reference, ", ".join(use.labels)) for use in found]
    console.emit(found, as_json, lambda: console.rows(["prompt", "version", "includes", "its labels"], lines))


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
    given = assignments.options(values or [])
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        rendered = service.render(uow, actor, name=name, variables=given, version=version, label=label)
    shown = rendered.text or "\n\n".join(f"[{m['role']}]\n{m.get('content')}" for m in rendered.messages)
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
