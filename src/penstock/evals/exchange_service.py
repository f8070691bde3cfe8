"""The verbs that bring runs in and out, and that make runs of attacks."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from penstock.core import clock, ids
from penstock.core.deferred import deferred
from penstock.core.errors import Invalid, TooLarge
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.core.suggest import did_you_mean
from penstock.core.uow import UnitOfWork
from penstock.datasets import service as datasets
from penstock.evals import service, store
from penstock.evals.bias import formats
from penstock.evals.bias.questions import Read
from penstock.evals.events import RunFinished
from penstock.evals.exchange import inspect_export, inspect_log, lm_eval_log
from penstock.evals.exchange.recorded import MAX_BYTES, RecordedRun, RecordedSample
from penstock.evals.model import EvalRun, Output, RunState, SampleResult
from penstock.evals.redteam import foreign
from penstock.evals.redteam.attacks import Plan, rows_of
from penstock.evals.runner import build_scorers
from penstock.evals.suite import ScorerSpec, Suite, scorer_spec

if TYPE_CHECKING:
    from penstock.evals import aggregate
    from penstock.evals.redteam import report
else:
    # They bring numpy, which only figures need.
    aggregate = deferred("penstock.evals.aggregate")
    report = deferred("penstock.evals.redteam.report")

READERS: dict[str, Callable[[bytes], RecordedRun]] = {
    "inspect": inspect_log.read,
    "lm-eval": lm_eval_log.read,
    "garak": foreign.read_garak,
    "pyrit": foreign.read_pyrit,
}
"""Format → reader of a run's log."""
WRITERS: dict[str, tuple[Callable[[EvalRun, Sequence[SampleResult]], bytes], str, str]] = {
    "inspect": (inspect_export.as_json, "json", "application/json"),
    "inspect-eval": (inspect_export.as_eval, "eval", "application/octet-stream"),
}
"""Format → (writer, file ending, media type)."""
ATTACK_DATASET = "redteam"


def _known(name: str, among: Mapping[str, Any]) -> None:
    if name not in among:
        raise Invalid(f"There is no format {name!r}.", hint=did_you_mean(name, sorted(among)))


def import_run(
    home: Home,
    actor: Actor,
    *,
    format: str,
    content: bytes,
    results: bytes | None = None,
    name: str | None = None,
    model: str | None = None,
    key: str | None = None,
) -> tuple[EvalRun, tuple[str, ...]]:
    """Store the run in a log of another program and return it with what could not be taken over.

    `format` is inspect, lm-eval (`results` is its results file), garak or pyrit; `name` and `model` replace what the
    log says. With a `key` that was used before, that run is returned. Imported runs compare and gate as others
    do. Raises Invalid for a log that cannot be read, TooLarge above 256 MiB.
    """
    _known(format, READERS)
    if len(content) > MAX_BYTES:
        raise TooLarge("The log is larger than 256 MiB.", hint="Import it in parts.")
    read = read_log(format, content, results)
    run = _recorded_run(read, name or read.suite, model or read.model, key)
    found = [_result(run, ordinal, sample) for ordinal, sample in enumerate(read.samples)]
    scorers = build_scorers([scorer_spec(one) for one in run.spec["scorers"]])
    metrics = aggregate.summarise(scorers, found)
    with home.begin() as uow:
        uow.may(actor, "evals.write", run.suite)
        if not store.insert_run(uow.conn, actor.scope, run) and key:
            return store.run_by_key(uow.conn, actor.scope, key) or run, ()
        store.add_results(uow.conn, actor.scope, found)
        store.replace_metrics(uow.conn, actor.scope, run.id, metrics)
        now = clock.now()
        store.update_run(
            uow.conn,
            actor.scope,
            run.id,
            state="succeeded",
            total=len(found),
            started_at=now,
            finished_at=now,
        )
        uow.audit(actor, "evals.import", run.id, format=format, samples=len(found))
        uow.publish(RunFinished(run_id=run.id, suite=run.suite, state="succeeded"), actor.scope)
        return service.get_run(uow, actor, run.id), read.notes


def read_log(format: str, content: bytes, results: bytes | None = None) -> RecordedRun:
    """Return the run in a log of the format; raises Invalid for anything else."""
    try:
        return lm_eval_log.read(content, results) if format == "lm-eval" else READERS[format](content)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        # Readers check what they rely on; this is for values of a wrong type deep inside.
        raise Invalid(f"The log is not of the form that {format} writes: {error}.") from error


def _recorded_run(read: RecordedRun, name: str, model: str, key: str | None) -> EvalRun:
    dataset = f"{read.format}:{read.dataset}"
    suite = {
        "name": name[:200],
        "dataset": dataset[:200],
        "target": {"kind": "imported", "format": read.format, "model": model},
        "scorers": [{"name": "recorded", "metrics": read.metrics()}],
    }
    return EvalRun(
        id=ids.new_id("evr"),
        suite=name[:200],
        spec=suite,
        dataset=dataset[:200],
        dataset_version="",
        dataset_hash="",
        target="imported",
        model=model[:300],
        state=RunState.RUNNING,
        total=len(read.samples),
        key=key,
        created_at=clock.now(),
    )


def _result(run: EvalRun, ordinal: int, sample: RecordedSample) -> SampleResult:
    return SampleResult(
        run_id=run.id,
        sample_id=sample.id,
        ordinal=ordinal,
        split="",
        content_hash=sample.content_hash,
        messages=sample.messages,
        references=sample.references,
        output=Output(
            sample_id=sample.id,
            text=sample.text,
            latency_s=sample.latency_s,
            input_tokens=sample.input_tokens,
            output_tokens=sample.output_tokens,
            error=sample.error,
        ),
        scores=sample.scores,
        sums={},
        finished_at=clock.now(),
    )


def export_run(uow: UnitOfWork, actor: Actor, *, run_id: str, format: str) -> bytes:
    """Return a run as a log of another program: inspect (JSON) or inspect-eval; raises NotFound, Invalid."""
    _known(format, WRITERS)
    run = service.get_run(uow, actor, run_id)
    return WRITERS[format][0](run, service.samples(uow, actor, run_id))


def red_team_suite(
    home: Home, actor: Actor, *, target: Mapping[str, Any], plan: Plan, name: str = "redteam", **options: Any
) -> Suite:
    """Store the plan's attacks as a dataset version (the same plan gives the same one) and return the suite to run.

    `options` are further fields of the suite: concurrency, max_error_rate, limit. Raises Invalid for a plan that
    names something unknown.
    """
    version = datasets.ingest(
        home,
        actor,
        name=ATTACK_DATASET,
        source=list(rows_of(plan)),
        key="id",
        description="Attacks on a target and harmless questions",
    )
    return Suite(
        name=name,
        dataset=version.ref,
        target=dict(target),
        scorers=(ScorerSpec(name="attack"), ScorerSpec(name="latency")),
        **options,
    )


def bias_suite(
    home: Home, actor: Actor, *, suite: str, files: Sequence[bytes], target: Mapping[str, Any], **options: Any
) -> tuple[Suite, tuple[str, ...]]:
    """Store the questions of a bias suite's files as a dataset version; return the suite to run and what was left out.

    `suite` is bbq (any number of JSONL files), crows_pairs (one CSV) or winobias (the pro- and the anti-stereotyped
    file). `options` are further fields of the suite. Raises Invalid for files that are something else.
    """
    _known(suite, BIAS)
    wanted = BIAS[suite][1]
    if not files or (wanted and len(files) != wanted):
        raise Invalid(f"The suite {suite} takes {wanted or 'one or more'} file(s), not {len(files)}.")
    read = BIAS[suite][0](files)
    version = datasets.ingest(
        home, actor, name=f"bias-{suite.replace('_', '-')}", source=list(read.rows), key="id"
    )
    made = Suite(
        name=f"bias-{suite}",
        dataset=version.ref,
        target=dict(target),
        scorers=(ScorerSpec(name="bias_choice", options={"suite": suite}),),
        **options,
    )
    return made, read.notes


def _all_bbq(files: Sequence[bytes]) -> Read:
    read = [formats.read_bbq(content) for content in files]
    return Read(
        rows=tuple(row for one in read for row in one.rows), notes=tuple(n for one in read for n in one.notes)
    )


BIAS: dict[str, tuple[Callable[[Sequence[bytes]], Read], int]] = {
    "bbq": (_all_bbq, 0),
    "crows_pairs": (lambda files: formats.read_crows_pairs(files[0]), 1),
    "winobias": (lambda files: formats.read_winobias(files[0], files[1]), 2),
}
"""Bias suite → (reader, how many files it takes; 0 for any number)."""


def red_team_report(
    uow: UnitOfWork, actor: Actor, *, run_id: str, held_out: Sequence[str] = ()
) -> "report.Report":
    """Return how often the attacks of a finished run worked; raises NotFound, Invalid for a run without attacks."""
    run = service.get_run(uow, actor, run_id)
    return report.report_of(run.id, service.samples(uow, actor, run_id), held_out=held_out)
