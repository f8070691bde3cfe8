"""`penstock prices`: what models cost, by the release's book and by the project's own prices."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from penstock.core import console
from penstock.core.console import HomeOption, JsonOption, ProjectOption
from penstock.core.errors import Invalid
from penstock.traces import price_book, price_service
from penstock.traces.price_service import OwnBook, OwnEntry, Shown
from penstock.traces.prices import OwnPrice, Price

app = console.group("prices", "What models cost: list, show, set, delete, history, import.")

_CLASSES = [name for name in Price.__struct_fields__ if name not in ("input", "output", "tiers")]


@app.command("list")
@console.guarded
def list_(
    book: Annotated[bool, typer.Option("--book", help="The list prices of this release instead.")] = False,
    search: Annotated[str, typer.Option("--search", help="Part of a model's name.")] = "",
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """List the project's own prices, or the book; as JSON the own ones are a document for `import`."""
    if book:
        found = [one for one in price_book.everything() if search.lower() in one.name]
        lines = [[one.source.provider, one.name, *_cells(one.price), one.source.as_of] for one in found]
        columns = ["provider", "model", "input", "output", "cached", "more", "as of"]
        console.emit([_listed(one) for one in found], as_json, lambda: console.rows(columns, lines))
        return
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        own = [one for one in price_service.list_prices(uow, actor) if search.lower() in one.model.lower()]
    document = OwnBook(prices=tuple(OwnEntry(model=o.model, provider=o.provider, price=o.price) for o in own))
    console.emit(document, as_json, lambda: _own_table(own))


def _own_table(own: Sequence[OwnPrice]) -> Any:
    lines = [
        [one.model, one.provider or "any", *_cells(one.price), f"own:{one.id}", *_times(one)] for one in own
    ]
    columns = ["model", "provider", "input", "output", "cached", "more", "version", "since", "until"]
    return console.rows(columns, lines)


def _times(own: OwnPrice) -> list[str]:
    return ["" if at is None else at.isoformat()[:19] for at in (own.since, own.until)]


def _cells(price: Price) -> list[str]:
    more = [
        f"{name}={value:g}"
        for name in _CLASSES
        if name != "cached" and (value := getattr(price, name)) is not None
    ]
    more += [f"above {tier.above}: {tier.input or 0:g}/{tier.output or 0:g}" for tier in price.tiers]
    cached = "" if price.cached is None else f"{price.cached:g}"
    return [f"{price.input:g}", f"{price.output:g}", cached, " ".join(more)]


def _listed(found: price_book.Listed) -> dict[str, Any]:
    source = found.source
    return {
        "model": found.name,
        "provider": source.provider,
        "price": found.price,
        "as_of": source.as_of,
        "sources": source.sources,
        "note": source.note,
    }


@app.command("show")
@console.guarded
def show(
    model: str,
    provider: Annotated[str, typer.Option("--provider", help="Provider that is called.")] = "",
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Show which price a call of MODEL has now, and why."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        shown = price_service.show_price(uow, actor, model=model, provider=provider or None)
    value = {
        "version": shown.version,
        "price": shown.price,
        "own": None if shown.own is None else shown.own.model,
        "listed": None if shown.listed is None else _listed(shown.listed),
    }
    console.emit(value, as_json, lambda: _shown(shown))


def _shown(shown: Shown) -> str:
    input_price, output_price, cached, more = _cells(shown.price)
    lines = [f"input {input_price}  output {output_price}" + (f"  cached {cached}" if cached else "")]
    lines += [more] if more else []
    if shown.own is not None:
        lines.append(f"The project's own price for {shown.own.model} ({shown.version}).")
    elif shown.listed is not None:
        source = shown.listed.source
        lines.append(
            f"List price of {shown.listed.name} ({source.provider}, seen {source.as_of}): {source.sources[0]}"
        )
        lines += [source.note] if source.note else []
    else:
        lines.append("This provider bills nothing.")
    return "\n".join(lines)


@app.command("set")
@console.guarded
def set_(
    model: Annotated[str, typer.Argument(help="Name, or pattern with * and ?.")],
    price: Annotated[
        list[str],
        typer.Argument(
            help="CLASS=DOLLARS per million tokens: input, output, cached, cache_write, cache_write_1h, audio_input, "
            "image_input, reasoning, audio_output, image_output; image= per image, request= per call, batch= share; "
            "or a whole price as JSON."
        ),
    ],
    provider: Annotated[str, typer.Option("--provider", help="Only at this provider.")] = "",
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Set a price of the project's own; it becomes a new version."""
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        made = price_service.set_price(uow, actor, model=model, provider=provider, price=_price(price))
    console.emit(
        {"version": f"own:{made.id}"}, as_json, lambda: f"{model} costs by own:{made.id} from now on."
    )


def _price(parts: list[str]) -> Price:
    try:
        if len(parts) == 1 and parts[0].startswith("{"):
            return msgspec.json.decode(parts[0], type=Price)
        pairs = dict(part.split("=", 1) for part in parts)
        return msgspec.convert({name: float(value) for name, value in pairs.items()}, Price)
    except (msgspec.MsgspecError, ValueError) as error:
        raise Invalid(
            f"That is no price: {error}.", hint="Write it as input=3 output=15 cached=0.3."
        ) from error


@app.command("delete")
@console.guarded
def delete(
    model: str,
    provider: Annotated[str, typer.Option("--provider", help="The price at this provider.")] = "",
    home: HomeOption = None,
    project: ProjectOption = "default",
) -> None:
    """Drop a price of the project's own; its history stays."""
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        price_service.delete_price(uow, actor, model=model, provider=provider)
    console.note(f"The project's price for {model} is gone.")


@app.command("history")
@console.guarded
def history(
    model: Annotated[str | None, typer.Argument(help="Pattern as it was set; all when left out.")] = None,
    limit: Annotated[int, typer.Option("--limit", help="At most this many.")] = 100,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """List versions of the project's prices, newest first, also those that hold no longer."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = price_service.price_history(uow, actor, model=model, limit=limit)
    console.emit(found, as_json, lambda: _own_table(found))


@app.command("import")
@console.guarded
def import_(
    file: Annotated[Path, typer.Argument(help="JSON: a document of `list --json`, or a whole book.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Drop own prices the file does not name.")
    ] = False,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Set all prices of a file at once; nothing is written unless all of it is valid."""
    try:
        document = file.read_bytes()
    except OSError as error:
        raise Invalid(f"{file} cannot be read: {error.strerror}.") from error
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        made = price_service.import_prices(uow, actor, document=document, replace=replace)
    console.emit({"changed": len(made)}, as_json, lambda: f"{len(made)} prices changed.")
