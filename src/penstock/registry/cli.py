"""`penstock models`: list, show, register, alias, card and export; the rest is in governance_cli."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from penstock.core import console
from penstock.core.console import HomeOption, JsonOption, ProjectOption
from penstock.core.errors import Invalid
from penstock.registry import export as converting
from penstock.registry import exporting, governance_cli, paper_service, service

app = console.group("models", "Registered models: register, import, stage, alias, card, lineage, export.")
governance_cli.add_to(app)
WRITERS = {"files": service.materialize, "hf": exporting.write_folder}
"""How a folder is written, by the name of the layout."""


@app.command("list")
@console.guarded
def list_models(
    search: Annotated[str, typer.Option("--search", help="Text in the name, description or a tag.")] = "",
    kind: Annotated[str, typer.Option("--kind", help="Only with a version of this kind.")] = "",
    stage: Annotated[str, typer.Option("--stage", help="Only with a version in this stage.")] = "",
    tag: Annotated[
        list[str] | None, typer.Option("--tag", help="Only with this tag; may be repeated.")
    ] = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """List models with their versions and aliases."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = service.list_models(
            uow,
            actor,
            text=search,
            kind=service.kind_named(kind) if kind else None,
            stage=service.stage_named(stage) if stage else None,
            tags=tuple(tag or ()),
            limit=10_000,
        )
    lines = [
        (
            m.name,
            m.versions,
            ", ".join(f"{k}→{v}" for k, v in m.aliases.items()),
            ", ".join(m.tags),
            m.description,
        )
        for m in found
    ]
    columns = ["name", "versions", "aliases", "tags", "description"]
    console.emit(found, as_json, lambda: console.rows(columns, lines))


@app.command()
@console.guarded
def show(
    ref: Annotated[str, typer.Argument(help="name, name@3 or name@production.")],
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Show one version: kind, base, files with checksums, metrics."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        version = service.get(uow, actor, ref=ref)
    lines = [(entry.path, entry.size, entry.sha256) for entry in version.files]
    if not as_json:
        console.note(f"{version.ref}  {version.kind}  stage {version.stage}  base {version.base or 'none'}")
    shown = {**msgspec.to_builtins(version), "ref": version.ref, "size": version.size}
    console.emit(shown, as_json, lambda: console.rows(["file", "bytes", "SHA-256"], lines))


@app.command()
@console.guarded
def register(
    name: str,
    folder: Annotated[Path, typer.Argument(help="Folder with the model's files.")],
    kind: Annotated[str, typer.Option("--kind", help="base, adapter, merged or gguf.")],
    base: Annotated[str | None, typer.Option("--base", help="The base model's reference.")] = None,
    licence: Annotated[str, typer.Option("--licence", help="For the model card.")] = "",
    description: Annotated[str, typer.Option("--description", help="For the model card.")] = "",
    intended_use: Annotated[str, typer.Option("--intended-use", help="For the model card.")] = "",
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Store a folder as a new version, after checking that no file in it can run code."""
    said = {"licence": licence, "description": description, "intended_use": intended_use}
    with console.open_home(home, project) as (opened, actor):
        version = service.register(
            opened,
            actor,
            name=name,
            folder=folder,
            kind=kind,
            base=base,
            card_extra={key: value for key, value in said.items() if value},
        )
    shown = {**msgspec.to_builtins(version), "ref": version.ref, "size": version.size}
    console.emit(shown, as_json, lambda: f"Registered {version.ref} ({version.size} bytes).")


@app.command()
@console.guarded
def alias(
    name: str,
    alias: str,
    version: int,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Point an alias, such as production, at a version."""
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        model = service.set_alias(uow, actor, name=name, alias=alias, version=version)
    console.emit(model, as_json, lambda: f"{name}@{alias} → {version}")


def _text_of(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{file} cannot be read: {error}.") from error


@app.command()
@console.guarded
def card(
    ref: Annotated[str, typer.Argument(help="name, name@3 or name@production.")],
    edit: Annotated[Path | None, typer.Option("--edit", help="Put this Markdown file in its place.")] = None,
    generated: Annotated[
        bool, typer.Option("--generated", help="Go back to the card that the evidence writes.")
    ] = False,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Print the model card as Markdown, or edit it."""
    with console.open_home(home, project) as (opened, actor):
        if edit is not None or generated:
            with opened.begin() as uow:
                written = None if edit is None else _text_of(edit)
                paper_service.edit_card(uow, actor, ref=ref, text=written)
        with opened.read() as uow:
            text = paper_service.card(uow, actor, ref=ref)
    console.emit({"ref": ref, "card": text}, as_json, lambda: text)


@app.command()
@console.guarded
def export(
    ref: Annotated[str, typer.Argument(help="name, name@3 or name@production.")],
    to: Annotated[
        Path | None, typer.Option("--to", help="Write the version's files into this new folder.")
    ] = None,
    format: Annotated[
        str, typer.Option("--format", help="gguf or merged: convert and register; empty: only write files.")
    ] = "",
    quantization: Annotated[
        str,
        typer.Option(
            "--quantization",
            help="f32, f16, bf16, q8_0, q6_k, q5_k_m, q5_1, q5_0, q4_k_m, q4_1, q4_0: for gguf.",
        ),
    ] = "f16",
    name: Annotated[str, typer.Option("--name", help="Name to register the result under.")] = "",
    layout: Annotated[
        str, typer.Option("--as", help="files, or hf: with card, metadata and signed manifest, for a hub.")
    ] = "files",
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Convert a version to another format and register that, write its files to a folder, or both."""
    if not format and to is None:
        raise Invalid("Nothing to do.", hint="Give --format gguf, --to FOLDER, or both.")
    if layout not in WRITERS:
        raise Invalid(f"A folder cannot be written as {layout!r}.", hint="Use --as files or --as hf.")
    with console.open_home(home, project) as (opened, actor):
        if format:
            made = converting.export(
                opened, actor, ref=ref, format=format, quantization=quantization, name=name
            )
            ref = made.ref
        folder = WRITERS[layout](opened, actor, ref=ref, to=to) if to is not None else None
    where = f" in {folder}" if folder else ""
    shown = {"ref": ref, "folder": str(folder) if folder else None}
    console.emit(shown, as_json, lambda: f"Exported {ref}{where}.")
