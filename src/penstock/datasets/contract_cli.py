"""More of `penstock datasets`: pulls, expectations and tags."""

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
import yaml

from penstock.core import console
from penstock.core.console import HomeOption, JsonOption, ProjectOption
from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.datasets import contract_service, pulls, service
from penstock.datasets import recipe as recipes
from penstock.datasets.expectations import label
from penstock.datasets.request import Feed
from penstock.datasets.split_plan import parse_shares
from penstock.datasets.store import foreign
from penstock.datasets.store.contracts import CheckRun

Name = Annotated[str, typer.Argument(help="Dataset.")]


def add_commands(app: typer.Typer) -> None:
    """Add the commands to the group."""
    for command in (pull, expect, check, tag):
        app.command()(command)


@console.guarded
def pull(  # noqa: PLR0913 - one parameter per option of the command
    name: Annotated[str, typer.Argument(help="Dataset; made if need be.")],
    sql: Annotated[str | None, typer.Option("--sql", help="Query to read.")] = None,
    connection: Annotated[
        str | None, typer.Option("--connection", help="Database named in [datasets] connections.")
    ] = None,
    url_env: Annotated[
        str | None, typer.Option("--url-env", help="Environment variable with the database's URL.")
    ] = None,
    hub: Annotated[str | None, typer.Option("--hf", help="Repository on the Hugging Face hub.")] = None,
    config: Annotated[str | None, typer.Option("--config", help="With --hf: configuration.")] = None,
    hub_split: Annotated[str, typer.Option("--hf-split", help="With --hf: split to read.")] = "train",
    revision: Annotated[str | None, typer.Option("--revision", help="With --hf: commit or tag.")] = None,
    folder: Annotated[Path | None, typer.Option("--folder", help="Folder of documents.")] = None,
    pattern: Annotated[str, typer.Option("--pattern", help="With --folder: which files.")] = "**/*",
    on_bad_rows: Annotated[str, typer.Option("--on-bad-rows", help="fail or quarantine.")] = "fail",
    recipe: Annotated[Path | None, typer.Option("--recipe", help="YAML or JSON file of steps.")] = None,
    split: Annotated[list[str] | None, typer.Option("--split", help="NAME=SHARE, several times.")] = None,
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
    """Register rows of a database, of the Hugging Face hub or of a folder of documents as the next version."""
    if sum(source is not None for source in (sql, hub, folder)) != 1:
        raise Invalid("Give exactly one of --sql, --hf and --folder.")
    plain: dict[str, Any] = {"dataset": name, "seed": seed, "append": append, "description": description}
    plain |= {"on_bad_rows": on_bad_rows, "key": key, "splits": parse_shares(split or []) or None}
    plain["recipe"] = recipes.load(recipe).plain() if recipe else None
    if sql is not None:
        plain["sql"] = {"connection": connection or f"env:{url_env}", "query": sql, "key": key}
    elif hub is not None:
        plain["hf"] = {"repository": hub, "config": config, "split": hub_split, "revision": revision}
    else:
        plain["folder"] = {"path": str(folder), "pattern": pattern}
    wanted = pulls.parse(plain)
    with console.open_home(home, project) as (opened, actor):
        feed = _feed(opened, wanted, url_env)
        ref = pulls.run(opened, actor, wanted, feed=feed, progress=_progress)
        with opened.read() as uow:
            version = service.resolve(uow, actor, ref)
    console.emit(version, as_json, lambda: f"{version.ref}: {version.rows:,} rows from {version.source.name}")


def _feed(home: Home, wanted: pulls.Pull, url_env: str | None) -> Feed | None:
    """Return what whoever holds the data folder may read, without asking the settings; None: as they say."""
    if wanted.folder is not None:
        return pulls.folder_feed(home, Path(wanted.folder.path), wanted.folder.pattern)
    if wanted.sql is not None and url_env is not None:
        url = pulls.environment_url(url_env)
        return foreign.feed(url, wanted.sql.query, key=wanted.sql.key)
    if wanted.sql is not None and wanted.sql.connection.startswith("env:"):
        raise Invalid(
            "Give --connection or --url-env with --sql.",
            hint="A URL itself would stay in your shell's history.",
        )
    return None


def _progress(report: dict[str, Any]) -> None:
    if report["rows"] and report["rows"] % 20_000 == 0:
        console.note(f"{report['stage']}: {report['rows']:,} rows")


@console.guarded
def expect(
    name: Name,
    file: Annotated[
        Path | None, typer.Argument(help="YAML or JSON file: checks, enforce, every_hours. None: show.")
    ] = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Set or show what a dataset's rows have to meet."""
    plain = None if file is None else _load(file)
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        if plain is not None:
            contract_service.set_expectations(uow, actor, name=name, plain=plain)
        found = contract_service.expectations(uow, actor, name=name)
    if not found:
        console.emit(None, as_json, lambda: f"Nothing is expected of {name}.")
        return
    given = found[0].expectations
    lines = [(label(msgspec.to_builtins(one)), given.action_of(one)) for one in given.checks]
    console.emit(found[0], as_json, lambda: console.rows(["check", "when not met"], lines))


def _load(file: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(file.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Invalid(f"{file} cannot be read: {error}.") from error
    if not isinstance(found, dict):
        raise Invalid(f"{file} holds no expectations.", hint="Write checks: and a list below it.")
    return found


@console.guarded
def check(
    ref: Annotated[str, typer.Argument(help="NAME, NAME@latest or NAME@3.")],
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Check a version against the dataset's expectations of today; exit code 3 when one that fails is not met."""
    with console.open_home(home, project) as (opened, actor):
        run = contract_service.check(opened, actor, ref)
    lines = [
        ("met" if one.met else "NOT MET", one.action, label(one.check), one.reason)
        for one in run.verdict.outcomes
    ]
    console.emit(run, as_json, lambda: console.rows(["", "action", "check", "why"], lines))
    _exit(run)


def _exit(run: CheckRun) -> None:
    if run.state == "failed":
        raise typer.Exit(console.EXIT_CHECK_FAILED)


@console.guarded
def tag(
    ref: Annotated[str, typer.Argument(help="NAME@3 or NAME@latest.")],
    name: Annotated[str, typer.Argument(help="The tag.")],
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Name a version: NAME@TAG stands for it until the tag is moved."""
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        version = service.resolve(uow, actor, ref)
        made = contract_service.set_tag(uow, actor, name=version.dataset, tag=name, number=version.number)
    console.emit(made, as_json, lambda: f"{version.dataset}@{made.tag} is {version.ref}")
