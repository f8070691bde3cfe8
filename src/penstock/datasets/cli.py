"""`penstock datasets`: ingest, look at, compare and export datasets on the command line."""

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from penstock.core import console
from penstock.core.console import HomeOption, JsonOption, ProjectOption
from penstock.core.errors import Invalid
from penstock.datasets import card, cleaning_cli, service
from penstock.datasets import recipe as recipes
from penstock.datasets.compare import Wanted
from penstock.datasets.contract_cli import add_commands
from penstock.datasets.model import DatasetVersion, SourceFile, SplitPlan
from penstock.datasets.split_plan import parse_shares

app = console.group("datasets", "Datasets: ingest files, look at rows, compare and export versions.")

cleaning_cli.register(app)

Ref = Annotated[str, typer.Argument(help="NAME, NAME@latest or NAME@3.")]
SplitOption = Annotated[str | None, typer.Option("--split", help="Only this split.")]


@app.command("list")
@console.guarded
def list_datasets(
    search: Annotated[str, typer.Option("--search", help="Text in the name or description.")] = "",
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """List datasets with their newest version."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = service.list_datasets(uow, actor, text=search, limit=1000)
    lines = [(d.name, d.latest, d.rows, d.description) for d in found]
    console.emit(found, as_json, lambda: console.rows(["name", "version", "rows", "description"], lines))


@app.command()
@console.guarded
def show(
    ref: Ref, home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False
) -> None:
    """Show a version's data card."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = service.resolve(uow, actor, ref)
    console.emit(found, as_json, lambda: card.render(found))


FormatOption = Annotated[
    str | None, typer.Option("--format", help="jsonl, json, csv, tsv, parquet or arrow.")
]


TogetherOption = Annotated[
    str | None, typer.Option("--together", help="Text column whose near duplicates share a split.")
]


TimeByOption = Annotated[
    str | None, typer.Option("--time-by", help="Column of moments: oldest rows to the first --split.")
]


@app.command()
@console.guarded
def ingest(  # noqa: PLR0913 - one parameter per option of the command
    name: Annotated[str, typer.Argument(help="Dataset; made if need be.")],
    file: Annotated[Path, typer.Argument(help="JSONL, JSON, CSV, TSV (also .gz, .zst), Parquet or Arrow.")],
    format: FormatOption = None,
    encoding: Annotated[str | None, typer.Option("--encoding", help="Text encoding.")] = None,
    on_bad_rows: Annotated[str, typer.Option("--on-bad-rows", help="fail or quarantine.")] = "fail",
    recipe: Annotated[Path | None, typer.Option("--recipe", help="YAML or JSON file of steps.")] = None,
    split: Annotated[
        list[str] | None, typer.Option("--split", help="NAME=SHARE, several times; shares add up to 1.")
    ] = None,
    stratify_by: Annotated[str | None, typer.Option("--stratify-by", help="Column.")] = None,
    group_by: Annotated[str | None, typer.Option("--group-by", help="Column.")] = None,
    near_duplicates_of: TogetherOption = None,
    split_column: Annotated[
        str | None, typer.Option("--split-column", help="Column that names each row's split.")
    ] = None,
    time_by: TimeByOption = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the splits.")] = 0,
    key: Annotated[str | None, typer.Option("--key", help="Column that identifies a row.")] = None,
    append: Annotated[
        bool, typer.Option("--append", help="Put the rows behind the newest version's.")
    ] = False,
    description: Annotated[str, typer.Option("--description")] = "",
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Register a file's rows as a dataset's next version."""
    if on_bad_rows not in ("fail", "quarantine"):
        raise Invalid(f"--on-bad-rows is fail or quarantine, not {on_bad_rows!r}.")
    shares = parse_shares(split or [])
    plan = SplitPlan(
        fractions=shares,
        seed=seed,
        stratify_by=stratify_by,
        group_by=group_by,
        near_duplicates_of=near_duplicates_of,
        column=split_column,
        time_by=time_by,
        order=tuple(shares) if time_by else (),
    )
    options: dict[str, Any] = {
        "name": name,
        "source": SourceFile(path=file, encoding=encoding),
        "format": format,
        "on_bad_rows": on_bad_rows,
        "recipe": recipes.load(recipe) if recipe else None,
        "description": description,
        "progress": _progress,
    }
    with console.open_home(home, project) as (opened, actor):
        if append:
            version = service.append(opened, actor, **options)
        else:
            splits = plan if split or split_column else None
            version = service.ingest(opened, actor, splits=splits, key=key, **options)
    console.emit(version, as_json, lambda: _said(version))


def _said(version: DatasetVersion) -> str:
    said = f"{version.ref}: {version.rows:,} rows"
    said += "".join(f", {split} {rows:,}" for split, rows in version.splits.items())
    said += f" ({version.removed:,} removed by the recipe)" if version.removed else ""
    said += f" ({version.quarantined:,} quarantined)" if version.quarantined else ""
    return said


def _progress(report: dict[str, Any]) -> None:
    if report["stage"] == "resuming":
        console.note(f"going on behind {report['rows']:,} rows that were read already")
    elif report["rows"] and report["rows"] % 20_000 == 0:
        share = report.get("share")
        if share is None and report.get("total"):
            share = report["rows"] / report["total"]
        bar = f" {'█' * int(20 * share):░<20} {share:4.0%}" if share is not None else ""
        console.note(f"{report['stage']}:{bar} {report['rows']:,} rows")


@app.command()
@console.guarded
def rows(
    ref: Ref,
    split: SplitOption = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Rows to print.")] = 20,
    offset: Annotated[int, typer.Option("--offset", min=0, help="Rows to skip.")] = 0,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Print rows, one JSON object per line."""
    with console.open_home(home, project) as (opened, actor):
        found = list(service.rows(opened, actor, ref, split=split, limit=limit, offset=offset))
    console.emit(found, as_json, lambda: "\n".join(msgspec.json.encode(row).decode() for row in found))


@app.command("left-out")
@console.guarded
def left_out(
    ref: Ref,
    step: Annotated[
        str | None, typer.Option("--step", help="Recipe step; `read` for malformed records.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1)] = 100,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """List the source rows that are not in a version, and why."""
    with console.open_home(home, project) as (opened, actor):
        found = list(service.left_out(opened, actor, ref, step=step, limit=limit))
    lines = [(r.line, r.step, r.reason, r.kept_line, r.excerpt) for r in found]
    console.emit(
        found, as_json, lambda: console.rows(["line", "step", "reason", "kept line", "excerpt"], lines)
    )


@app.command()
@console.guarded
def diff(
    before: Ref,
    after: Ref,
    key: Annotated[str | None, typer.Option("--key", help="Column that identifies a row.")] = None,
    change: Annotated[
        str | None, typer.Option("--change", help="Show only added, removed or changed rows.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Rows to show.")] = 20,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Compare two versions row by row."""
    with console.open_home(home, project) as (opened, actor):
        wanted = Wanted(examples=limit, change=change)
        found = service.diff(opened, actor, before, after, key=key, wanted=wanted)
    said = f"{found.before} → {found.after}: {found.added} added, {found.removed} removed, {found.changed} changed"
    shown = [f"{name}: {count} changed" for name, count in found.fields.items()]
    shown += [
        f"{one['change']:8} {one['key']}  {msgspec.json.encode(one['after'] or one['before']).decode()[:160]}"
        for one in found.examples
    ]
    console.emit(found, as_json, lambda: "\n".join([said, *shown]))


@app.command()
@console.guarded
def export(
    ref: Ref,
    file: Annotated[Path, typer.Argument(help="File to write: .jsonl or .csv.")],
    split: SplitOption = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Write a version's rows to a file."""
    kinds = {".jsonl": "jsonl", ".csv": "csv"}
    if file.suffix not in kinds:
        raise Invalid(f"{file} is neither .jsonl nor .csv.", hint="Choose one of the two endings.")
    with console.open_home(home, project) as (opened, actor):
        written = service.export_file(
            opened, actor, ref, file, format="csv" if file.suffix == ".csv" else "jsonl", split=split
        )
    console.emit({"rows": written, "file": str(file)}, as_json, lambda: f"Wrote {written:,} rows to {file}.")


add_commands(app)
