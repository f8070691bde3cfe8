"""`penstock models optimise`, `optimisations` and `optimisation`, which the models' group takes up."""

from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from penstock.core import console
from penstock.core.console import HomeOption, JsonOption, ProjectOption
from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.evals.suite import Suite, parse_suite
from penstock.optimise import methods, service
from penstock.optimise.model import Choice, Optimisation, Trial, Variant

app = console.group("optimise", "Variants of a model: make, measure, choose.")


def _suite(home: Home, actor: Actor, given: str) -> Suite | None:
    """Return the suite in a file, or the one stored under that name."""
    if not given:
        return None
    if not given.endswith((".yaml", ".yml", ".json")):
        with home.read() as uow:
            return service.stored_suite(uow, actor, given)
    try:
        document = yaml.safe_load(Path(given).read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Invalid(f"{given} cannot be read as a suite: {' '.join(str(error).split())}.") from error
    if not isinstance(document, dict):
        raise Invalid(f"{given} is no suite.", hint="Write name, dataset and scorers.")
    return parse_suite({"target": {"kind": "model"}, **document})


def _say(report: dict[str, Any]) -> None:
    if report.get("stage") in ("make", "measure"):
        console.note(f"{report['stage']} {report.get('method') or report.get('version')} …")
    elif report.get("stage") == "waiting":
        console.note(str(report["reason"]))
    elif report.get("stage") == "evaluate" and report.get("done") == report.get("total"):
        console.note(f"judged {report['version']} on {report['total']} samples")


def _line(variant: Variant, chosen: str | None) -> tuple[str, ...]:
    figures, quality = variant.figures, variant.quality
    options = ",".join(f"{key}={value}" for key, value in variant.options.items() if value not in ("", None))
    name = f"{'* ' if chosen and variant.version == chosen else ''}{variant.method}"
    cost = ("", "", "", "", "")
    if figures is not None:
        cost = (
            f"{figures.size_bytes / 1e6:.2f}",
            f"{figures.memory_bytes / 1e6:.0f}",
            f"{figures.load_s:.3f}",
            f"{figures.first_token_s * 1000:.1f}",
            f"{figures.tokens_per_s:.0f}",
        )
    said = ""
    if quality is not None:
        said = f"{quality.value:.4g}"
        if quality.delta is not None:
            low, high = quality.delta_low, quality.delta_high
            interval = "" if low is None or high is None else f" [{low:+.3g}, {high:+.3g}]"
            said += f" ({quality.delta:+.3g}{interval}{', worse' if quality.worse else ''})"
    return name, options[:60], variant.version or "", *cost, said or (variant.error or "")[:80]


def _table(found: Optimisation) -> Any:
    head = [
        "variant",
        "options",
        "version",
        "MB",
        "memory MB",
        "load s",
        "first token ms",
        "tokens/s",
        "quality (difference)",
    ]
    lines = [_line(variant, found.chosen) for variant in (found.baseline, *found.variants)]
    return console.rows(head, lines)


@app.command()
@console.guarded
def optimise(  # noqa: PLR0913 - one parameter per option of the command
    version: Annotated[str, typer.Argument(help="name, name@3 or name@production.")],
    to: Annotated[
        list[str],
        typer.Option("--to", help="METHOD[:VALUE][,KEY=VALUE…], e.g. gguf:q8_0, onnx:int4; may be repeated."),
    ],
    suite: Annotated[
        str, typer.Option("--suite", help="A stored suite, or a YAML file: judges quality.")
    ] = "",
    by: Annotated[str, typer.Option("--by", help="The cost that decides.")] = "tokens_per_s",
    metric: Annotated[str, typer.Option("--metric", help="The suite's metric for quality.")] = "",
    margin: Annotated[
        float | None, typer.Option("--margin", help="Call worse what may have lost more than this.")
    ] = None,
    threads: Annotated[int, typer.Option("--threads", help="CPU threads to measure with.")] = 1,
    max_tokens: Annotated[int, typer.Option("--max-tokens", help="Limit of an answer on the suite.")] = 256,
    memory_mb: Annotated[
        int, typer.Option("--memory-mb", help="Most memory of a process, and its claim; 0: no limit.")
    ] = 0,
    priority: Annotated[
        int, typer.Option("--priority", help="-100 to 100: who has less waits for the machine.")
    ] = 0,
    background: Annotated[
        bool, typer.Option("--background", help="Queue it for `penstock up` instead of doing it here.")
    ] = False,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Make smaller or faster variants of a version, measure each, and choose the cheapest that is not worse."""
    steps = [methods.parse(text) for text in to]
    choice = Choice(by=by, metric=metric, margin=margin)
    trial = Trial(threads=threads, max_tokens=max_tokens, memory_mb=memory_mb, priority=priority)
    with console.open_home(home, project) as (opened, actor):
        request = service.Request(
            version=version, to=steps, suite=_suite(opened, actor, suite), choose=choice, trial=trial
        )
        if background:
            found = service.start(opened, actor, request)
        else:
            found = service.execute(opened, actor, request, progress=_say)
    if not as_json:
        console.note(f"{found.id}  {found.state}  {found.error or found.reason}".rstrip())
    console.emit(found, as_json, lambda: _table(found))


@app.command()
@console.guarded
def optimisations(
    version: Annotated[str, typer.Argument(help="Only those of this version.")] = "",
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """List optimisations, newest first."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = service.list_optimisations(uow, actor, version=version or None, limit=200)
    lines = [
        (o.id, o.state, o.parent, len(o.variants), o.chosen or (o.error or "").partition("\n")[0])
        for o in found
    ]
    console.emit(found, as_json, lambda: console.rows(["id", "state", "parent", "variants", "chosen"], lines))


@app.command()
@console.guarded
def optimisation(
    id: str,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with one whose process was killed, making what is missing."),
    ] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="Ask it to stop; what is measured stays.")] = False,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Show an optimisation: every variant's figures, its quality, and which was chosen."""
    if resume and cancel:
        raise Invalid("An optimisation can go on or be cancelled, not both.")
    with console.open_home(home, project) as (opened, actor):
        if cancel:
            with opened.begin() as uow:
                found = service.cancel(uow, actor, run_id=id)
        elif resume:
            found = service.carry_out(opened, actor, run_id=id, progress=_say)
        else:
            with opened.read() as uow:
                found = service.get(uow, actor, run_id=id)
    if not as_json:
        console.note(f"{found.id}  {found.state}  {found.error or found.reason}".rstrip())
    console.emit(found, as_json, lambda: _table(found))
