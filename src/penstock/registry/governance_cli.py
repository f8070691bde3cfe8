"""`penstock models`: stages, requests, papers, lineage and imports on the command line."""

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
import yaml

from penstock.core import console
from penstock.core.console import HomeOption, JsonOption, ProjectOption
from penstock.core.errors import Invalid
from penstock.registry import graph, importing, paper_service, stage_service, tagging
from penstock.registry.model import ModelVersion
from penstock.registry.papers.model import Verdict
from penstock.registry.stages.model import StageRequest, StageRequestState

Ref = Annotated[str, typer.Argument(help="name, name@3 or name@production.")]
KindOption = Annotated[str, typer.Option("--kind", help="What it is; default: told from the files.")]
BaseOption = Annotated[str | None, typer.Option("--base", help="The base model's reference.")]
PicklesOption = Annotated[
    bool, typer.Option("--allow-pickles", help="Take pickles that import nothing but what tensors need.")
]
LicenceOption = Annotated[str, typer.Option("--licence", help="For the card; default: what the source says.")]


def add_to(app: typer.Typer) -> None:
    """Put these commands into the group `penstock models`."""
    for name, command in (
        ("stage", stage),
        ("stages", stages),
        ("requests", requests),
        ("decide", decide),
        ("tag", tag),
        ("state", state),
        ("lineage", lineage),
        ("scan", scan),
        ("verify", verify),
        ("signing-keys", signing_keys),
        ("import-folder", import_folder),
        ("import-hub", import_hub),
        ("import-mlflow", import_mlflow),
    ):
        app.command(name)(command)


@console.guarded
def stage(
    ref: Ref,
    stage: Annotated[str, typer.Argument(help="Where to; empty: tell what stands against each stage.")] = "",
    comment: Annotated[str, typer.Option("--comment", help="Why.")] = "",
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Move a version to another stage; where others must approve, ask for it."""
    with console.open_home(home, project) as (opened, actor):
        if not stage:
            with opened.read() as uow:
                ways = stage_service.transitions(uow, actor, ref=ref)
            lines = [(w.stage, w.approvals, " ".join(w.reasons) or "it may") for w in ways]
            console.emit(
                ways, as_json, lambda: console.rows(["stage", "approvals", "what stands against it"], lines)
            )
            return
        with opened.begin() as uow:
            found = stage_service.move(uow, actor, ref=ref, stage=stage, comment=comment)
    said = f"{found.ref} → {stage}"
    if isinstance(found, StageRequest):
        said = f"Asked for {said}: others must approve {found.id}."
    console.emit(found, as_json, lambda: said)


@console.guarded
def stages(
    file: Annotated[
        Path | None, typer.Option("--file", help="A YAML list of rules that replaces those there are.")
    ] = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Show or replace the rules of stages."""
    with console.open_home(home, project) as (opened, actor):
        if file is not None:
            with opened.begin() as uow:
                stage_service.set_rules(uow, actor, rules=_yaml_list(file))
        with opened.read() as uow:
            found = stage_service.rules(uow, actor)
    lines = [
        (
            rule.stage,
            rule.model or "all",
            ", ".join(rule.after),
            ", ".join(need.suite for need in rule.evaluations),
            ", ".join(rule.papers),
            rule.approvals,
        )
        for rule in found
    ]
    columns = ["stage", "model", "after", "evaluations", "papers", "approvals"]
    console.emit(found, as_json, lambda: console.rows(columns, lines))


def _yaml_list(file: Path) -> list[Any]:
    try:
        found = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Invalid(f"{file} cannot be read: {error}.") from error
    if not isinstance(found, list):
        raise Invalid(f"{file} is not a list of rules.", hint="See docs/models.md.")
    return found


@console.guarded
def requests(
    name: Annotated[str | None, typer.Argument(help="Of this model only.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Decided ones too.")] = False,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """List requests to move versions."""
    wanted = None if every else StageRequestState.OPEN
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = stage_service.list_requests(uow, actor, name=name, state=wanted)
    lines = [
        (r.id, r.state, r.ref, r.previous, r.stage, r.asked_by, len(r.approvals), r.comment) for r in found
    ]
    columns = ["id", "state", "version", "from", "to", "asked by", "approvals", "comment"]
    console.emit(found, as_json, lambda: console.rows(columns, lines))


@console.guarded
def decide(
    request: Annotated[str, typer.Argument(help="Id of the request.")],
    reject: Annotated[bool, typer.Option("--reject/--approve", help="Which way.")],
    reason: Annotated[str, typer.Option("--reason", help="Why.")] = "",
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Approve or reject somebody else's request."""
    act = stage_service.reject if reject else stage_service.approve
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        found = act(uow, actor, id=request, reason=reason)
    console.emit(found, as_json, lambda: f"{found.ref} → {found.stage} is {found.state}.")


@console.guarded
def tag(
    name: str,
    tag: str,
    off: Annotated[bool, typer.Option("--off", help="Take it away.")] = False,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Put a tag on a model, or take it away."""
    act = tagging.untag if off else tagging.tag
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        model = act(uow, actor, name=name, tag=tag)
    console.emit(model, as_json, lambda: f"{name}: {', '.join(model.tags) or 'no tags'}")


@console.guarded
def state(
    ref: Ref,
    licence: Annotated[str | None, typer.Option("--licence", help="For example Apache-2.0.")] = None,
    intended_use: Annotated[str | None, typer.Option("--intended-use", help="What it is for.")] = None,
    signature: Annotated[
        Path | None, typer.Option("--signature", help="A JSON file: task, inputs, outputs, params.")
    ] = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Record a version's licence, intended use and signature."""
    signed = None
    if signature is not None:
        try:
            signed = msgspec.json.decode(signature.read_bytes(), type=dict[str, Any])
        except (OSError, msgspec.MsgspecError) as error:
            raise Invalid(f"{signature} cannot be read: {error}.") from error
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        found = paper_service.state(
            uow, actor, ref=ref, licence=licence, intended_use=intended_use, signed=signed
        )
    console.emit(found, as_json, lambda: f"{ref}: licence {found.licence or 'not stated'}")


@console.guarded
def lineage(
    ref: Ref,
    direction: Annotated[str, typer.Option("--direction", help="up, down or both.")] = "both",
    depth: Annotated[int, typer.Option("--depth", help="Steps from the version.")] = 8,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Show what a version was made from and what was made from it."""
    try:
        way = msgspec.convert(direction, graph.Direction)
    except msgspec.ValidationError as error:
        raise Invalid(f"{direction!r} is not up, down or both.") from error
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = graph.graph(uow, actor, ref=ref, direction=way, depth=depth)
    lines = [(edge.source, edge.role, edge.target) for edge in found.edges]
    console.emit(found, as_json, lambda: console.rows(["from", "as", "came"], lines))


@console.guarded
def scan(
    ref: Ref, home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False
) -> None:
    """Scan a version's stored files again and record what was found."""
    with console.open_home(home, project) as (opened, actor):
        report = paper_service.rescan(opened, actor, ref=ref).scan or {}
    lines = [(one["path"], one["format"], ", ".join(one["imports"])) for one in report["findings"]]
    console.note(
        "Nothing in it runs code." if report["safe"] else "Some of it can run code when it is loaded."
    )
    console.emit(report, as_json, lambda: console.rows(["file", "format", "imports"], lines))


@console.guarded
def verify(
    what: Annotated[str, typer.Argument(help="A reference, or the folder of an export (with a slash).")],
    key: Annotated[
        list[str] | None,
        typer.Option("--key", help="KEY_ID=PUBLIC that a folder may be signed with; default: this home's."),
    ] = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Check a signed manifest and every byte it speaks of; exit code 3 when something does not hold."""
    with console.open_home(home, project) as (opened, actor):
        if "/" in what:
            with opened.read() as uow:
                known = {k.key_id: k.public for k in paper_service.signing_keys(uow, actor)}
            trusted = dict(one.split("=", 1) for one in key) if key else known
            found = paper_service.verify_folder(Path(what), trusted)
        else:
            found = paper_service.verify_files(opened, actor, ref=what)
    console.emit(found, as_json, lambda: _verdict(what, found))
    if not found.holds:
        raise typer.Exit(console.EXIT_CHECK_FAILED)


def _verdict(what: str, found: Verdict) -> str:
    if found.holds:
        return f"{what} is what was signed by {found.key_id[:16]}…"
    return "\n".join([f"{what} does not hold:", *found.problems])


@console.guarded
def signing_keys(
    home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False
) -> None:
    """List the public keys that manifests are signed with."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        keys = paper_service.signing_keys(uow, actor)
    shown = [{"key_id": k.key_id, "public": k.public, "created_at": k.created_at} for k in keys]
    lines = [(k.key_id, k.public) for k in keys]
    console.emit(shown, as_json, lambda: console.rows(["key id", "public"], lines))


def _said(version: ModelVersion, as_json: bool) -> None:
    shown = {**msgspec.to_builtins(version), "ref": version.ref, "size": version.size}
    console.emit(shown, as_json, lambda: f"Imported {version.ref} ({version.kind}, {version.size} bytes).")


def _wish(name: str, kind: str, base: str | None, allow_pickles: bool, licence: str) -> importing.Wish:
    told = {"licence": licence} if licence else {}
    return importing.Wish(name=name, kind=kind, base=base, allow_pickles=allow_pickles, told=told)


@console.guarded
def import_folder(
    name: str,
    folder: Path,
    kind: KindOption = "",
    base: BaseOption = None,
    licence: LicenceOption = "",
    allow_pickles: PicklesOption = False,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Import a folder: of Transformers, PEFT, llama.cpp, ONNX, CTranslate2 or MLflow."""
    with console.open_home(home, project) as (opened, actor):
        wish = _wish(name, kind, base, allow_pickles, licence)
        version = importing.from_folder(opened, actor, wish=wish, folder=folder)
    _said(version, as_json)


@console.guarded
def import_hub(
    name: str,
    repository: Annotated[str, typer.Argument(help="OWNER/REPOSITORY on the hub.")],
    revision: Annotated[str, typer.Option("--revision", help="Branch, tag or commit.")] = "main",
    file: Annotated[str, typer.Option("--file", help="One .gguf of several.")] = "",
    kind: KindOption = "",
    base: BaseOption = None,
    licence: LicenceOption = "",
    allow_pickles: PicklesOption = False,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Import a repository of the Hugging Face hub; HF_TOKEN opens gated ones, HF_ENDPOINT names another hub."""
    with console.open_home(home, project) as (opened, actor):
        version = importing.from_hub(
            opened,
            actor,
            wish=_wish(name, kind, base, allow_pickles, licence),
            repository=repository,
            revision=revision,
            file=file,
        )
    _said(version, as_json)


@console.guarded
def import_mlflow(
    name: str,
    uri: Annotated[str, typer.Option("--uri", help="The MLflow server's address.")],
    model: Annotated[str, typer.Option("--model", help="Its registered model.")],
    version: Annotated[str, typer.Option("--version", help="Number, or an alias.")] = "1",
    kind: KindOption = "",
    base: BaseOption = None,
    licence: LicenceOption = "",
    allow_pickles: PicklesOption = False,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Import a registered model of an MLflow server; MLFLOW_TRACKING_TOKEN signs in at MLFLOW_TRACKING_URI."""
    with console.open_home(home, project) as (opened, actor):
        wish = _wish(name, kind, base, allow_pickles, licence)
        found = importing.from_mlflow(opened, actor, wish=wish, uri=uri, model=model, version=version)
    _said(found, as_json)
