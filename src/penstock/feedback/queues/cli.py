"""`penstock queues`: make, fill, show, answer and export annotation queues on the command line."""

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
import yaml

from penstock.core import console
from penstock.core.console import HomeOption, JsonOption, ProjectOption
from penstock.core.errors import Invalid
from penstock.feedback.queues import service
from penstock.feedback.queues.exporting import ExportKind
from penstock.feedback.queues.filling import Added
from penstock.feedback.queues.model import Source
from penstock.feedback.queues.service import Overview

app = console.group("queues", "Annotation queues: make, fill, show, answer, export.")


def _mapping(path: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(path.read_text())
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}.") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise Invalid(f"{path} is not YAML or JSON.") from error
    if not isinstance(found, dict):
        raise Invalid(f"{path} does not hold a queue.", hint="It needs at least `name` and `labels`.")
    return found


def _pairs(given: list[str]) -> dict[str, Any]:
    found = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals:
            raise Invalid(f"{one!r} is not LABEL=VALUE.")
        try:
            found[name] = msgspec.json.decode(value)
        except msgspec.DecodeError:
            found[name] = value
    return found


def told(added: Added) -> str:
    """Return what adding did, in words."""
    left = "".join(f"\n{count} left out: {why}." for why, count in added.skipped.items())
    known = f", {added.known} were there already" if added.known else ""
    return f"Added {added.added} items{known}.{left}"


@app.command("list")
@console.guarded
def list_queues(
    home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False
) -> None:
    """List queues with their progress."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = service.list_queues(uow, actor, limit=1000)
    lines = [
        (queue.spec.name, queue.spec.kind, at.items, at.done, at.open, at.disputed) for queue, at in found
    ]
    plain = [{"queue": queue, "progress": at} for queue, at in found]
    columns = ["queue", "kind", "items", "done", "open", "disputed"]
    console.emit(plain, as_json, lambda: console.rows(columns, lines))


@app.command()
@console.guarded
def create(
    file: Annotated[Path, typer.Argument(help="YAML or JSON of the queue, as of `POST /api/v1/queues`.")],
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Make a queue and fill it from its source."""
    spec = _mapping(file)
    with console.open_home(home, project) as (opened, actor):
        queue, added = service.create(opened, actor, spec=spec)
    plain = {"queue": queue, "added": added}
    console.emit(plain, as_json, lambda: f"Made the queue {queue.spec.name}. {told(added)}")


@app.command()
@console.guarded
def add(
    name: str,
    trace: Annotated[
        list[str] | None, typer.Option("--trace", help="Id of a trace; may be repeated.")
    ] = None,
    query: Annotated[str | None, typer.Option("--query", "-q", help="Query, as of `traces list`.")] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", help="Dataset version, such as name@3.")] = None,
    share: Annotated[float, typer.Option("--share", help="This part of what is found.")] = 1.0,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 1000,
    assign: Annotated[str, typer.Option("--assign", help="Name of the only annotator to get them.")] = "",
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Add items to a queue."""
    source = Source(query=query, dataset=dataset, trace_ids=tuple(trace or ()), share=share, limit=limit)
    with console.open_home(home, project) as (opened, actor):
        added = service.add(opened, actor, name=name, source=source, assigned=assign)
    console.emit(added, as_json, lambda: told(added))


def _shown(found: Overview) -> str:
    at, spec = found.progress, found.queue.spec
    lines = [
        f"{spec.name}: {at.items} {spec.kind}s, {at.done} done, {at.open} open, {at.reserved} reserved, "
        f"{at.skipped} skipped, {at.disputed} disputed."
    ]
    lines += [
        f"{one.label}: {one.kind} {one.value:.3f} [{one.low:.3f}, {one.high:.3f}] over {one.n} items"
        for one in found.agreement
    ]
    for who in found.annotators:
        gold = f", gold {who.gold_right:g} of {who.gold_asked}" if who.gold_asked else ""
        lines.append(f"{who.name}: {who.answered} answered, {who.skipped} skipped{gold}")
    return "\n".join(lines)


@app.command()
@console.guarded
def show(
    name: str, home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False
) -> None:
    """Show a queue's progress, agreement and annotators."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = service.overview(uow, actor, name=name)
    console.emit(found, as_json, lambda: _shown(found))


@app.command("next")
@console.guarded
def next_item(
    name: str, home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False
) -> None:
    """Reserve the next item and show it."""
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        taken = service.take(uow, actor, name=name)
    if taken is None:
        console.emit(None, as_json, lambda: "Nothing is left to do.")
        return
    text = msgspec.json.format(msgspec.json.encode(taken.content), indent=2).decode()
    console.emit(taken, as_json, lambda: f"{taken.item.id}\n{text}")


@app.command()
@console.guarded
def answer(
    item: str,
    values: Annotated[list[str], typer.Argument(help="LABEL=VALUE, the value as JSON or text.")],
    comment: Annotated[str, typer.Option("--comment", help="Why.")] = "",
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Answer an item."""
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        work = service.answer(uow, actor, item_id=item, values=_pairs(values), comment=comment)
    console.emit(work, as_json, lambda: f"Answered {item}.")


@app.command()
@console.guarded
def adjudicate(
    item: str,
    values: Annotated[list[str], typer.Argument(help="LABEL=VALUE, the value as JSON or text.")],
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Decide an item for good."""
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        decided = service.adjudicate(uow, actor, item_id=item, values=_pairs(values))
    console.emit(decided, as_json, lambda: f"Decided {item}.")


@app.command()
@console.guarded
def export(
    name: str,
    dataset: str,
    kind: Annotated[ExportKind, typer.Option("--kind", help="What to make.")] = ExportKind.LABELS,
    accept: Annotated[
        list[str] | None, typer.Option("--accept", help="For sft: LABEL=VALUE that makes an answer good.")
    ] = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Make a dataset version of a queue's answers."""
    with console.open_home(home, project) as (opened, actor):
        done = service.export(
            opened, actor, name=name, dataset=dataset, kind=kind, accept=_pairs(accept or [])
        )
    left = "".join(f"\n{count} left out: {why}." for why, count in done.skipped.items())
    version = done.version
    console.emit(
        done, as_json, lambda: f"Made {version.dataset}@{version.number} with {done.rows} rows.{left}"
    )


@app.command()
@console.guarded
def delete(name: str, home: HomeOption = None, project: ProjectOption = "default") -> None:
    """Delete a queue with all answers in it."""
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        service.delete(uow, actor, name=name)
    console.note(f"Deleted the queue {name}.")
