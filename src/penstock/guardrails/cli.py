"""`penstock guardrails`: policies of guards over what goes into models and comes out of them."""

import sys
import tomllib
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from penstock.core import console
from penstock.core.console import HomeOption, JsonOption, ProjectOption
from penstock.core.errors import Invalid
from penstock.guardrails import service
from penstock.guardrails.model import Checked, Policy, Stage
from penstock.guardrails.tables import rules_from_table, table_of

app = console.group("guardrails", "Guardrails: list, show, set, remove, check, kinds.")


def _shown(policy: Policy) -> dict[str, Any]:
    found = {"name": policy.name, "number": policy.number, "author": policy.author}
    return found | {"created_at": policy.created_at} | table_of(policy.rules)


@app.command("list")
@console.guarded
def list_(home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False) -> None:
    """List the policies in force."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = service.list_policies(uow, actor)
    lines = [
        (each.ref, each.rules.order, " ".join(each.rules.routes), " ".join(each.rules.keys), _guards(each))
        for each in found
    ]
    columns = ["policy", "order", "routes", "keys", "guards"]
    console.emit([_shown(each) for each in found], as_json, lambda: console.rows(columns, lines))


def _guards(policy: Policy) -> str:
    return ", ".join(guard.label for guard in policy.rules.guards)


@app.command("show")
@console.guarded
def show(
    name: str,
    version: Annotated[int | None, typer.Option("--version", help="Not the one in force, but this.")] = None,
    history: Annotated[bool, typer.Option("--versions", help="All versions, newest first.")] = False,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Show a policy, one of its versions, or all of them."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = service.versions(uow, actor, name) if history else [service.get(uow, actor, name, version)]
    if history:
        lines = [
            (each.ref, each.author, f"{each.created_at:%Y-%m-%d %H:%M}", _guards(each)) for each in found
        ]
        columns = ["policy", "author", "created", "guards"]
        console.emit([_shown(each) for each in found], as_json, lambda: console.rows(columns, lines))
    else:
        console.emit(_shown(found[0]), as_json)


@app.command("set")
@console.guarded
def set_(
    name: str,
    file: Annotated[Path, typer.Option("--file", help="TOML (or .json) file with the policy's rules.")],
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Put a new version of a policy in force."""
    rules = rules_from_table(name, _read(file))
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        made = service.put_policy(uow, actor, name, rules)
    console.emit(_shown(made), as_json, lambda: f"{made.ref} is in force: {_guards(made)}.")


def _read(file: Path) -> Any:
    try:
        source = file.read_bytes()
        return msgspec.json.decode(source) if file.suffix == ".json" else tomllib.loads(source.decode())
    except OSError as error:
        raise Invalid(f"{file} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.DecodeError) as error:
        raise Invalid(f"{file} cannot be understood: {error}.") from error


@app.command("remove")
@console.guarded
def remove(name: str, home: HomeOption = None, project: ProjectOption = "default") -> None:
    """Take a policy out of force; its versions stay."""
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        service.remove(uow, actor, name)
    console.note(f"{name} is out of force.")


@app.command("check")
@console.guarded
def check(
    text: Annotated[str, typer.Argument(help="The text; - reads standard input.")],
    stage: Annotated[str, typer.Option("--stage", help="input or output.")] = "input",
    route: Annotated[str, typer.Option("--route", help="As if it came by this route.")] = "",
    key: Annotated[str, typer.Option("--key", help="As if it came by this key (id or name).")] = "",
    policy: Annotated[
        str, typer.Option("--policy", help="Only this one, whatever its routes and keys.")
    ] = "",
    system: Annotated[
        list[str] | None, typer.Option("--system", help="A system prompt of the request.")
    ] = None,
    file: Annotated[Path | None, typer.Option("--file", help="Try the rules of this file instead.")] = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Try a text: what would the guards say, and what would go on?"""
    if stage not in (Stage.INPUT, Stage.OUTPUT):
        raise Invalid(f"The stage is input or output, not {stage!r}.")
    trial = service.Trial(
        text=sys.stdin.read() if text == "-" else text,
        stage=Stage(stage),
        route=route,
        key=key,
        policy=policy,
        system=tuple(system or ()),
        rules=None if file is None else rules_from_table("draft", _read(file)),
    )
    with console.open_home(home, project) as (opened, actor):
        found = service.check(opened, actor, trial)
    console.emit(found, as_json, lambda: _told(found))


def _told(found: Checked) -> str:
    lines = [
        f"{v.outcome}  {v.guard}: {v.rule} ×{v.count}, score {v.score:.2f} ({v.policy})"
        for v in found.verdicts
    ]
    return "\n".join([*lines, found.reason if found.text is None else found.text])


@app.command("kinds")
@console.guarded
def kinds(as_json: JsonOption = False) -> None:
    """List the kinds of guards, where they look, what they can do, and their options."""
    found = service.kinds()
    lines = [(k.kind, " ".join(k.stages), " ".join(k.actions), k.error or k.options) for k in found]
    console.emit(found, as_json, lambda: console.rows(["kind", "stages", "actions", "about"], lines))
