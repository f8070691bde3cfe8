"""The runner: many samples at once on one event loop, every answer durable before it is looked at."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from penstock.core import clock
from penstock.core.errors import Cancelled, PenstockError
from penstock.core.home import Home
from penstock.evals.bench import Judges, SampleBench
from penstock.evals.calls.journal import Journal
from penstock.evals.calls.ledger import CapReached, Ledger
from penstock.evals.calls.model import TARGET, Call, digest
from penstock.evals.model import Attempt, Output, Sample
from penstock.evals.ports import AsyncTarget, Target, TargetContext
from penstock.evals.runner import Progress, Recording, Task, put_trace_scores
from penstock.evals.suite import Suite

REPORT_S = 0.25
"""How often progress is reported and a wish to cancel is looked for, while samples come one by one."""
STORE_S = 1.0
"""How often progress is stored for others to see."""


class Engine:
    """Fills a recording from a target.

    Workers take samples, get their answers through the ledger, score them and hand rows to the journal. What ends a
    run early (a cap, too many errors, a cancellation) stops new calls; calls in flight are waited for and kept.
    """

    def __init__(
        self,
        recording: Recording,
        suite: Suite,
        context: TargetContext,
        judges: Judges,
        progress: Progress,
        check_cancelled: Callable[[], None],
    ) -> None:
        self._recording, self._suite, self._context = recording, suite, context
        self._judges = judges
        self._progress, self._check_cancelled = progress, check_cancelled
        self._began, self._had = clock.monotonic(), len(recording.done)
        self._reported = self._stored = 0.0
        self._stop: BaseException | None = None

    async def fill(self, target: Target | AsyncTarget) -> None:
        """Ask for everything that is missing and store it.

        Raises what the target raises, CapReached, Unprocessable when more samples failed than the suite allows,
        and Cancelled; what was answered until then is stored.
        """
        home: Home = self._context.home
        scope, run_id = self._context.actor.scope, self._recording.run_id
        self._recording.check_errors()
        self._journal = Journal(home, scope, run_id, put_trace_scores)
        self._ledger = Ledger(home, scope, run_id, self._journal, cap_usd=self._suite.max_cost_usd)
        try:
            if tasks := self._recording.missing():
                calls = self._calls(target, tasks)
                self._ledger.load(call.digest for call in calls)
                await (
                    self._ask_each(target, tasks, calls)
                    if isinstance(target, AsyncTarget)
                    else self._ask_in_turn(target, tasks, calls)
                )
            self._recording.check_complete()
        finally:
            await self._wind_up(target)

    async def _wind_up(self, target: Target | AsyncTarget) -> None:
        self._journal.batch.progress = self.state()
        try:
            await self._journal.written()
        finally:
            await self._journal.close()
            await self._judges.close()
            if isinstance(target, AsyncTarget):
                await target.close()

    def _calls(self, target: Target | AsyncTarget, tasks: Sequence[Task]) -> list[Call]:
        run_id, kind = self._recording.run_id, str(self._suite.target.get("kind"))
        if isinstance(target, AsyncTarget):
            whose = () if self._suite.cache else (run_id,)
            return [
                Call(digest(TARGET, kind, target.request(s), epoch, *whose), TARGET, s.id, self._suite.cache)
                for s, epoch in tasks
            ]
        return [
            Call(digest(TARGET, kind, s.id, s.content_hash, epoch, run_id), TARGET, s.id)
            for s, epoch in tasks
        ]

    # -- targets that are asked one sample at a time ---------------------------------------------------------

    async def _ask_each(self, target: AsyncTarget, tasks: Sequence[Task], calls: Sequence[Call]) -> None:
        todo = deque(zip(tasks, calls, strict=True))
        slots = asyncio.Semaphore(self._suite.concurrency)
        scoring: set[asyncio.Task[None]] = set()
        workers = [
            asyncio.create_task(self._work(target, todo, slots, scoring))
            for _ in range(min(self._suite.concurrency, len(tasks)))
        ]
        try:
            await asyncio.gather(*workers)
            while scoring:
                await asyncio.wait(scoring)
        except asyncio.CancelledError:
            for task in (*workers, *scoring):
                task.cancel()
            await asyncio.gather(*workers, *scoring, return_exceptions=True)
            raise
        if self._stop is not None:
            raise self._stop

    async def _work(
        self,
        target: AsyncTarget,
        todo: "deque[tuple[Task, Call]]",
        slots: asyncio.Semaphore,
        scoring: set["asyncio.Task[None]"],
    ) -> None:
        while todo and self._stop is None:
            (sample, epoch), call = todo.popleft()
            try:
                output = await self._ledger.ask(call, partial(_answer, target, sample, call))
                if not self._recording.judging:
                    await self._finish([(sample, epoch, output)])
                    continue
                # Judges answer beside the target, not instead of it; their backlog is bounded.
                await slots.acquire()
                task = asyncio.create_task(self._finish_one(sample, epoch, output, slots, target))
                scoring.add(task)
                task.add_done_callback(scoring.discard)
            except Exception as error:  # noqa: BLE001 - kept, and raised once the calls in flight have ended
                self._stop = self._stop or error

    async def _finish_one(
        self, sample: Sample, epoch: int, output: Output, slots: asyncio.Semaphore, target: AsyncTarget | None
    ) -> None:
        try:
            if self._stop is None:
                attempt = await self._judged(sample, epoch, output, target)
                await self._store([attempt])
                self._tell()
        except Exception as error:  # noqa: BLE001 - kept, and raised once the calls in flight have ended
            self._stop = self._stop or error
        finally:
            slots.release()

    # -- targets that go through samples themselves -----------------------------------------------------------

    async def _ask_in_turn(self, target: Target, tasks: Sequence[Task], calls: Sequence[Call]) -> None:
        """Put each epoch's samples to a target that yields outputs as it has them; it runs in a thread of its own."""
        rounds: dict[int, list[tuple[Sample, Call]]] = {}
        for (sample, epoch), call in zip(tasks, calls, strict=True):
            rounds.setdefault(epoch, []).append((sample, call))
        with ThreadPoolExecutor(1, thread_name_prefix="evals-target") as pool:
            for epoch, asked in rounds.items():
                await self._round(target, epoch, asked, pool)

    async def _round(
        self, target: Target, epoch: int, asked: list[tuple[Sample, Call]], pool: ThreadPoolExecutor
    ) -> None:
        loop = asyncio.get_running_loop()
        known = [(s, epoch, found) for s, call in asked if (found := self._ledger.known(call.digest))]
        if known:
            await self._finish(known)
        had = {sample.id for sample, _, _ in known}
        left = {sample.id: (sample, call) for sample, call in asked if sample.id not in had}
        if not left:
            return
        answers = target.generate([sample for sample, _ in left.values()])
        try:
            while (outputs := await loop.run_in_executor(pool, _following, answers)) is not None:
                fresh = [(*left.pop(o.sample_id), o) for o in outputs if o.sample_id in left]
                if self._recording.judging:
                    await self._ledger.keep((call, output) for _, call, output in fresh)
                await self._finish([(sample, epoch, output) for sample, _, output in fresh], always=True)
        finally:
            if hasattr(answers, "close"):
                await loop.run_in_executor(pool, answers.close)

    # -- scoring and storing ---------------------------------------------------------------------------------

    async def _finish(self, answered: Sequence[tuple[Sample, int, Output]], *, always: bool = False) -> None:
        """Score and store; used where nothing else is to be done meanwhile."""
        if self._recording.judging:
            attempts = list(await asyncio.gather(*(self._judged(s, e, o, None) for s, e, o in answered)))
        else:
            attempts = [self._scored(s, e, o) for s, e, o in answered]
        await self._store(attempts)
        self._tell(always=always)

    def _scored(self, sample: Sample, epoch: int, output: Output) -> Attempt:
        try:
            scores, sums = self._recording.score(sample, output)
        except Exception as error:  # noqa: BLE001 - the boundary to foreign code; the answer is paid for and kept
            return Attempt(epoch=epoch, output=output, score_error=f"{type(error).__name__}: {error}")
        return Attempt(epoch=epoch, output=output, scores=scores, sums=sums)

    async def _judged(
        self, sample: Sample, epoch: int, output: Output, target: AsyncTarget | None
    ) -> Attempt:
        plain = self._scored(sample, epoch, output)
        if output.error is not None or plain.score_error is not None:
            return plain
        scores, notes, failed = dict(plain.scores), {}, None
        bench = SampleBench(self._ledger, self._judges, sample, epoch, target)
        for scorer in self._recording.judging:
            try:
                found, note = await scorer.judge(sample, output, bench)
            except (CapReached, Cancelled):
                raise
            except Exception as error:  # noqa: BLE001 - a judge that fails leaves one sample unjudged, not the run
                said = (
                    error.message if isinstance(error, PenstockError) else f"{type(error).__name__}: {error}"
                )
                failed = failed or f"{scorer.name}: {said}"
            else:
                scores |= found
                if note is not None:
                    notes[scorer.name] = note
        return Attempt(
            epoch=epoch, output=output, scores=scores, sums=plain.sums, notes=notes, score_error=failed
        )

    async def _store(self, attempts: Sequence[Attempt]) -> None:
        batch = self._journal.batch
        for attempt in attempts:
            rows, results = self._recording.add(attempt)
            batch.attempts += rows
            batch.results += results
        if (now := clock.monotonic()) - self._stored >= STORE_S:
            self._stored = now
            batch.progress = self.state()
        await self._journal.written()

    def state(self) -> dict[str, Any]:
        """Return where the run stands, as `EvalRun.progress` describes."""
        recording, ledger = self._recording, self._ledger
        done = len(recording.done)
        elapsed = clock.monotonic() - self._began
        fresh = done - self._had
        return {
            "done": done,
            "total": recording.total,
            "errors": recording.errors,
            "judge_errors": recording.judge_errors,
            "calls": ledger.answered,
            "cached": ledger.cached,
            "lost": ledger.lost,
            "cost_usd": ledger.cost_usd,
            "eta_s": elapsed / fresh * (recording.total - done) if fresh else None,
        }

    def _tell(self, *, always: bool = False) -> None:
        """Report progress and look whether the run may go on; raises what ends it."""
        self._recording.check_errors()
        now = clock.monotonic()
        complete = len(self._recording.done) == self._recording.total
        slow = now - self._reported >= REPORT_S
        if always or slow or complete:
            self._reported = now
            self._progress(self.state())
            self._check_cancelled()


async def _answer(target: AsyncTarget, sample: Sample, call: Call) -> Output:
    try:
        return await target.answer(sample, call.digest)
    except PenstockError:
        raise
    except Exception as error:  # noqa: BLE001 - the boundary to foreign code: a sample's failure is data
        return Output(sample_id=sample.id, error=f"{type(error).__name__}: {error}")


def _following(answers: Iterator[Sequence[Output]]) -> Sequence[Output] | None:
    return next(answers, None)
