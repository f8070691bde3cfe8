"""`penstock evals` import, import-task, export, redteam, redteam-report and bias."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
import yaml

from penstock.core import console
from penstock.core.console import HomeOption, JsonOption, ProjectOption
from penstock.core.deferred import deferred
from penstock.core.errors import Invalid, StorageFull
from penstock.evals import exchange_service, report, service
from penstock.evals.exchange import inspect_task, lm_eval_task
from penstock.evals.gate_cli import MarkdownOption, write_text
from penstock.evals.redteam.attacks import Plan
from penstock.evals.suites.files import read_document

if TYPE_CHECKING:
    from penstock.evals.redteam import report as attacks
else:
    # It brings numpy, which only a report needs.
    attacks = deferred("penstock.evals.redteam.report")

HeldOutOption = Annotated[
    list[str] | None,
    typer.Option("--held-out", help="Sources nobody tuned against; their rate is told apart."),
]


class ImportFormat(StrEnum):
    """Whose logs can be read."""

    INSPECT = "inspect"
    LM_EVAL = "lm-eval"
    GARAK = "garak"
    PYRIT = "pyrit"


class BiasSuite(StrEnum):
    """Published bias suites."""

    BBQ = "bbq"
    CROWS_PAIRS = "crows_pairs"
    WINOBIAS = "winobias"


class ExportFormat(StrEnum):
    """Whose logs can be written."""

    INSPECT = "inspect"
    INSPECT_EVAL = "inspect-eval"


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module to `penstock evals`."""
    for name, command in (
        ("import", import_run),
        ("import-task", import_task),
        ("export", export_run),
        ("redteam", redteam),
        ("redteam-report", redteam_report),
        ("bias", bias),
    ):
        app.command(name)(command)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}.") from error


@console.guarded
def import_run(
    log: Annotated[Path, typer.Argument(help=".eval, .json or .jsonl")],
    format: Annotated[ImportFormat, typer.Option("--format", help="Which program wrote it.")],
    results: Annotated[
        Path | None, typer.Option("--results", help="The results_*.json beside a sample log of lm-eval.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Suite name; the log's without.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Model name; the log's without.")] = None,
    key: Annotated[str | None, typer.Option("--key", help="Idempotency key.")] = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Take over a run from a log of Inspect, lm-evaluation-harness, garak or PyRIT."""
    content, beside = _bytes(log), _bytes(results) if results else None
    with console.open_home(home, project) as (opened, actor):
        run, notes = exchange_service.import_run(
            opened,
            actor,
            format=format,
            content=content,
            results=beside,
            name=name,
            model=model,
            key=key,
        )
    for note in notes:
        console.note(note)
    console.emit(run, as_json, lambda: report.run_markdown(run))


@console.guarded
def export_run(
    run_id: str,
    to: Annotated[Path, typer.Argument(help="The file to write.")],
    format: Annotated[ExportFormat, typer.Option("--format")] = ExportFormat.INSPECT,
    home: HomeOption = None,
    project: ProjectOption = "default",
) -> None:
    """Write a run as a log that Inspect and its viewer read: JSON, or an .eval archive."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        content = exchange_service.export_run(uow, actor, run_id=run_id, format=format)
    try:
        to.write_bytes(content)
    except OSError as error:
        raise StorageFull(f"{to} cannot be written: {error.strerror}.") from error
    console.note(f"Wrote {to}.")


def _json_rows(path: Path | None) -> list[dict[str, Any]]:
    if path is None:
        return []
    content = _bytes(path)
    try:
        if path.suffix == ".json":
            return msgspec.json.decode(content, type=list[dict[str, Any]])
        return [
            msgspec.json.decode(line, type=dict[str, Any]) for line in content.splitlines() if line.strip()
        ]
    except msgspec.DecodeError as error:
        raise Invalid(f"{path} holds no rows of JSON: {error}.") from error


@console.guarded
def import_task(
    task: Annotated[
        Path, typer.Argument(help="YAML of a task of lm-eval, or an Inspect log (.eval, .json) of the task.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The folder for rows.jsonl and suite.yaml.")],
    rows: Annotated[
        Path | None, typer.Option("--rows", help="lm-eval: rows of its test split, .jsonl or .json.")
    ] = None,
    examples: Annotated[
        Path | None, typer.Option("--examples", help="Rows of its few-shot split, the first ones are shown.")
    ] = None,
    model: Annotated[str, typer.Option("--model", help="Model name for the suite's target.")] = "MODEL",
) -> None:
    """Write a task of lm-evaluation-harness or Inspect as rows and a suite; none of its Python is run."""
    if task.suffix in (".eval", ".json"):
        read = inspect_task.read(_bytes(task))
    else:
        text = _bytes(task).decode("utf-8", "replace")
        read = lm_eval_task.read(
            lm_eval_task.load(text, task.parent), _json_rows(rows), examples=_json_rows(examples)
        )
    suite = {
        "name": read.name,
        "dataset": f"{read.name}@latest",
        "target": {"kind": "gateway", "model": model, **read.generation},
        "scorers": [dict(scorer) for scorer in read.scorers],
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageFull(f"{out} cannot be made: {error.strerror}.") from error
    write_text(out / "rows.jsonl", "".join(f"{msgspec.json.encode(row).decode()}\n" for row in read.rows))
    write_text(out / "suite.yaml", yaml.safe_dump(suite, sort_keys=False, allow_unicode=True))
    for note in read.notes:
        console.note(note)
    console.note(f"Next: penstock datasets ingest {read.name} {out / 'rows.jsonl'} --key id")


def _target(text: str) -> dict[str, Any]:
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Invalid(f"{text!r} is not a target.", hint="Write '{kind: gateway, model: NAME}'.") from error
    if isinstance(found, str):
        found = read_document(Path(found))
        found = found.get("target", found) if isinstance(found, dict) else found
    if not isinstance(found, dict):
        raise Invalid(f"{text!r} is not a target.", hint="Write '{kind: gateway, model: NAME}'.")
    return found


@console.guarded
def redteam(  # noqa: PLR0913 - each is an option of the command line
    target: Annotated[str, typer.Argument(help="'{kind: gateway, model: NAME}', or a file with a target.")],
    owasp: Annotated[list[str] | None, typer.Option("--owasp", help="LLM01 … LLM10; all without.")] = None,
    source: Annotated[
        list[str] | None, typer.Option("--source", help="Manner of attack; all without.")
    ] = None,
    mutator: Annotated[
        list[str] | None,
        typer.Option("--mutator", help="A mutator, encodings, languages, roles, multi_turn, or all."),
    ] = None,
    system: Annotated[
        Path | None, typer.Option("--system", help="File with the application's own system prompt.")
    ] = None,
    controls: Annotated[bool, typer.Option(help="Also ask harmless questions.")] = True,
    seed: Annotated[int, typer.Option("--seed", help="Other secrets and markers.")] = 0,
    concurrency: Annotated[int, typer.Option("--concurrency", min=1)] = 8,
    held_out: HeldOutOption = None,
    key: Annotated[str | None, typer.Option("--key", help="Idempotency key: going on with a run.")] = None,
    markdown: MarkdownOption = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Attack a target with the built-in suite and report what worked."""
    plan = Plan(
        owasp=tuple(owasp or ()),
        sources=tuple(source or ()),
        mutators=tuple(mutator or ("none",)),
        system=_bytes(system).decode("utf-8", "replace") if system else "",
        controls=controls,
        seed=seed,
    )
    with console.open_home(home, project) as (opened, actor):
        suite = exchange_service.red_team_suite(
            opened, actor, target=_target(target), plan=plan, concurrency=concurrency
        )
        run = service.run(opened, actor, suite=suite, key=key)
        with opened.read() as uow:
            found = exchange_service.red_team_report(uow, actor, run_id=run.id, held_out=held_out or ())
    write_text(markdown, attacks.markdown(found))
    console.emit(found, as_json, lambda: attacks.markdown(found))


@console.guarded
def redteam_report(
    run_id: str,
    held_out: HeldOutOption = None,
    markdown: MarkdownOption = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Report what worked in a red-team run, or in an imported one of garak or PyRIT."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = exchange_service.red_team_report(uow, actor, run_id=run_id, held_out=held_out or ())
    write_text(markdown, attacks.markdown(found))
    console.emit(found, as_json, lambda: attacks.markdown(found))


@console.guarded
def bias(
    suite: Annotated[BiasSuite, typer.Argument(help="Whose format the files have.")],
    files: Annotated[
        list[Path], typer.Argument(help="bbq: JSONL; crows_pairs: the CSV; winobias: pro, anti.")
    ],
    target: Annotated[str, typer.Option("--target", help="'{kind: gateway, model: NAME}', or a file.")],
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the first questions.")] = None,
    concurrency: Annotated[int, typer.Option("--concurrency", min=1)] = 8,
    key: Annotated[str | None, typer.Option("--key", help="Idempotency key: going on with a run.")] = None,
    markdown: MarkdownOption = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Run a published bias suite from its own files against a target."""
    with console.open_home(home, project) as (opened, actor):
        made, notes = exchange_service.bias_suite(
            opened,
            actor,
            suite=suite,
            files=[_bytes(path) for path in files],
            target=_target(target),
            limit=limit,
            concurrency=concurrency,
        )
        for note in notes:
            console.note(note)
        run = service.run(opened, actor, suite=made, key=key)
    write_text(markdown, report.run_markdown(run))
    console.emit(run, as_json, lambda: report.run_markdown(run))
