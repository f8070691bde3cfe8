"""One attempt at a run: its steps in order, each recorded before the next begins, and how the attempt ended."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from penstock.core import clock
from penstock.core.errors import Busy, Cancelled, Unavailable
from penstock.core.home import Home
from penstock.core.scope import Actor, Scope
from penstock.pipelines import store
from penstock.pipelines.model import (
    UNDER_WAY,
    Pipeline,
    PipelineRun,
    RunState,
    Step,
    StepContext,
    StepRecord,
)
from penstock.training.model import NoRoom

Say = Callable[[str], None]
RETRY_SECONDS = 5.0
"""After which a run that found no room, or another run of its pipeline under way, is tried again."""
STOPPING = "The server stopped; the pipeline goes on when it is back."
CANCELLED = "Cancelled."
_LOOK_SECONDS = 0.5


class Waits(Unavailable):
    """A run cannot go on now: the message says for what it waits, `seconds` when to try again at the earliest."""

    def __init__(self, message: str, *, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """What the one who carries out a run hears, and may want."""

    say: Say
    cancelled: Callable[[], bool] = _never
    stopping: Callable[[], bool] = _never
    patient: bool = True
    """Whether it may sit out a wait for room on the machine."""


class Unwanted:
    """Whether somebody cancelled the run; looks at the database at most twice a second."""

    def __init__(self, home: Home, scope: Scope, run_id: str, asked: Callable[[], bool]) -> None:
        self._home, self._scope, self._run_id, self._asked = home, scope, run_id, asked
        self._looked = float("-inf")
        self._found = False

    def __call__(self) -> bool:
        if self._asked():
            return True
        if clock.monotonic() - self._looked >= _LOOK_SECONDS:
            self._looked = clock.monotonic()
            with self._home.read() as uow:
                self._found = store.state_of(uow.conn, self._scope, self._run_id) is RunState.CANCELLED
        return self._found


def carry_out(home: Home, actor: Actor, pipeline: Pipeline, current: PipelineRun, hooks: Hooks) -> None:
    """Do the steps that have not finished; the caller holds the pipeline's lock.

    Raises Waits when the run has to go on later, Cancelled, and whatever a step raises: then it has failed.
    """
    context = StepContext(
        home=home,
        actor=actor,
        run_id=current.id,
        inputs=current.inputs,
        results={step.name: step.result for step in current.steps},
        say=hooks.say,
        cancelled=Unwanted(home, actor.scope, current.id, hooks.cancelled),
        stopping=hooks.stopping,
        patient=hooks.patient,
    )
    with home.begin() as uow:
        store.change(uow.conn, current.id, RunState.RUNNING, held_in=UNDER_WAY)
    try:
        for name, step in pipeline.steps:
            if name not in context.results:
                if context.halted():
                    raise Cancelled("The pipeline was cancelled before its next step.")
                context.results[name] = _do(context, name, step)
    except Exception as error:
        ended = _ended(context, error)
        if ended is error:
            raise
        raise ended from error
    with home.begin() as uow:
        if not store.change(
            uow.conn, current.id, RunState.SUCCEEDED, held_in=(RunState.RUNNING,), ended_at=clock.now()
        ):
            raise Cancelled("The pipeline was cancelled during its last step.")
        uow.audit(actor, "pipelines.finish", current.id, pipeline=pipeline.name)


def _do(context: StepContext, name: str, step: Step) -> dict[str, Any]:
    began, start = clock.now(), clock.monotonic()
    result = step(context)
    seconds = round(clock.monotonic() - start, 3)
    with context.home.begin() as uow:
        record = StepRecord(name=name, result=result, seconds=seconds, started_at=began, ended_at=clock.now())
        store.record_step(uow.conn, context.run_id, record)
    return result


def _ended(context: StepContext, error: Exception) -> Exception:
    """Record why the attempt is over; returns what to raise.

    What goes wrong while the process ends (an evaluation loses the gateway that it asks) is no failure: the step is
    done again.
    """
    if context.cancelled():
        _record(context, RunState.CANCELLED, CANCELLED)
        return Cancelled("The pipeline was cancelled.", hint="Resuming the run goes on with it.")
    if context.stopping():
        _record(context, RunState.WAITING, STOPPING)
        return Waits(STOPPING, seconds=0.0)
    if isinstance(error, NoRoom):
        why = f"Waiting for room on the machine: {error.message}"
        _record(context, RunState.WAITING, why)
        return Waits(why, seconds=RETRY_SECONDS)
    if isinstance(error, Busy) and not context.patient:
        why = f"Waiting for another process: {error.message}"
        _record(context, RunState.WAITING, why)
        return Waits(why, seconds=RETRY_SECONDS)
    _record(context, RunState.FAILED, str(error) or type(error).__name__)
    return error


def _record(context: StepContext, state: RunState, why: str) -> None:
    ended_at = None if state in UNDER_WAY else clock.now()
    with context.home.begin() as uow:
        store.change(uow.conn, context.run_id, state, held_in=(RunState.RUNNING,), why=why, ended_at=ended_at)
