"""Answers that exist already: a column of the dataset, or the samples of an earlier run."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from penstock.core.errors import Invalid, NotFound
from penstock.evals import store
from penstock.evals.calls.endpoint import check_options
from penstock.evals.model import Output, Sample
from penstock.evals.ports import TargetContext

_GROUP = 200
_EXTRA = ("contexts", "tool_calls", "messages")


class RecordedTarget:
    """Takes the answers from `column` of each row, or from the run `run`; nothing is asked, nothing is paid.

    With `column`, the columns `contexts`, `tool_calls` and `messages` may name where these are. A sample without a
    recorded answer fails.
    """

    def __init__(self, options: Mapping[str, Any], context: TargetContext) -> None:
        check_options("The recorded target", options, ("column", "run", *_EXTRA))
        if bool(options.get("column")) == bool(options.get("run")):
            raise Invalid("The recorded target needs a column or a run, and not both.")
        self._column = str(options.get("column") or "")
        self._extra = {name: str(options[name]) for name in _EXTRA if options.get(name)}
        self._answers: dict[str, Output] = {}
        if options.get("run"):
            self._answers = _of_run(str(options["run"]), context)

    def generate(self, samples: Sequence[Sample]) -> Iterator[Sequence[Output]]:
        """Yield the recorded answers, some hundred at a time."""
        for start in range(0, len(samples), _GROUP):
            yield [self._answer(sample) for sample in samples[start : start + _GROUP]]

    def _answer(self, sample: Sample) -> Output:
        if not self._column:
            missing = Output(sample_id=sample.id, error="the run has no answer to this sample")
            return self._answers.get(sample.id, missing)
        value = sample.row.get(self._column)
        if value is None:
            return Output(sample_id=sample.id, error=f"the row has no answer in {self._column!r}")
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        extra = {name: sample.row[of] for name, of in self._extra.items() if sample.row.get(of) is not None}
        return Output(sample_id=sample.id, text=text, extra=extra)


def _of_run(run_id: str, context: TargetContext) -> dict[str, Output]:
    scope = context.actor.scope
    with context.home.read() as uow:
        uow.may(context.actor, "evals.read", run_id)
        if store.run_by_id(uow.conn, scope, run_id) is None:
            raise NotFound(f"There is no evaluation {run_id!r}.", hint="See `penstock evals list`.")
        return {one.sample_id: one.output for one in store.results(uow.conn, scope, run_id)}
