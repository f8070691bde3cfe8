"""Judging answers that were given to real callers: a model is asked, so that it costs time and money, with a cap."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from penstock.core import log
from penstock.core.errors import Invalid, PenstockError, Upstream
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.evals.bench import Judges, SampleBench
from penstock.evals.calls.endpoint import OPTIONS, check_options
from penstock.evals.calls.journal import Journal
from penstock.evals.calls.ledger import CapReached, Ledger
from penstock.evals.live import asked
from penstock.evals.loop import run_loop
from penstock.evals.ports import JudgingScorer, TargetContext
from penstock.evals.runner import build_scorers
from penstock.evals.suite import Suite, scorer_spec
from penstock.evals.target_choice import OwnGateway
from penstock.traces.model import SpanRecord

logger = log.get("evals")
PAIRWISE = "pairwise"
OTHER = "other"
"""The column of a pair's judged answer that holds the other one."""
AT_ONCE = 8
_PATIENCE = {"timeout_s": 60, "patience_s": 30}
Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What judges said of an answer; `other` of the call that it is a copy of."""

    own: Figures = field(default_factory=dict)
    other: Figures = field(default_factory=dict)
    unanswered: bool = False
    """Whether a judge could not be reached: asking later may help."""


def parted(specs: Sequence[Any]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Return the scorers that ask nobody, and those that ask a judge; raises Invalid for one that is none."""
    asks = [isinstance(build_scorers([scorer_spec(spec)])[0], JudgingScorer) for spec in specs]
    plain = tuple(spec for spec, judging in zip(specs, asks, strict=True) if not judging)
    return plain, tuple(spec for spec, judging in zip(specs, asks, strict=True) if judging)


def check_live(specs: Sequence[Any], judge: Mapping[str, Any], *, pairs: bool) -> None:
    """Raise Invalid unless judging scorers can look at live answers; `pairs` says whether these come in pairs."""
    check_options("The judge", judge, OPTIONS)
    if isinstance(judge.get("api_key"), str) and judge["api_key"]:
        raise Invalid("The judge's key would be kept readable.", hint="Write api_key: {env: NAME}.")
    for spec in map(scorer_spec, specs):
        if spec.name == PAIRWISE and not pairs:
            raise Invalid("pairwise compares the two answers of a pair.", hint="Only a shadow has pairs.")
        own = spec.options.get("judge") or spec.options.get("judges")
        if not own and not judge.get("model"):
            raise Invalid(f"The scorer {spec.name!r} asks a judge.", hint="Write judge: {model: NAME}.")


def judge_models(specs: Sequence[Any], judge: Mapping[str, Any]) -> set[str]:
    """Return the names of the models that judging scorers ask: the usual one, and those in their own options."""
    found = {str(judge["model"])} if judge.get("model") else set[str]()
    ahead: list[Any] = [spec.options for spec in map(scorer_spec, specs)]
    while ahead:
        value = ahead.pop()
        if isinstance(value, Mapping):
            if isinstance(value.get("model"), str):
                found.add(value["model"])
            ahead += value.values()
        elif isinstance(value, list | tuple):
            ahead += value
    return found


class LiveJudges:
    """The judging scorers of something that runs on, with one account. `close` it."""

    def __init__(
        self,
        home: Home,
        actor: Actor,
        id: str,
        specs: Sequence[Any],
        *,
        judge: Mapping[str, Any],
        cap_usd: float,
    ) -> None:
        """`id` names the account: calls that it has paid for are not paid again, whatever was killed in between."""
        self._home, self._actor, self._id, self._cap = home, actor, id, cap_usd
        found = [scorer_spec(spec) for spec in specs]
        found = [
            spec
            if spec.name != PAIRWISE
            else scorer_spec({"name": PAIRWISE, **spec.options, "against": OTHER})
            for spec in found
        ]
        self._scorers = [one for one in build_scorers(found) if isinstance(one, JudgingScorer)]
        self._suite = Suite(
            name=id,
            dataset="live",
            target={"kind": "gateway"},
            scorers=tuple(found),
            judge={**_PATIENCE, **judge},
        )
        self._gateway = OwnGateway(home, actor)

    def judged(self, pairs: Sequence[Sequence[SpanRecord]]) -> tuple[list[Judged], str]:
        """Return what judges say of each answer, or answer and the one it is a copy of, and why they stopped.

        That is empty unless the cap is reached: those that were not judged then have no figures.
        """
        found = [Judged() for _ in pairs]
        stopped: list[str] = []

        async def work() -> None:
            context = TargetContext(
                home=self._home, actor=self._actor, workdir=self._home.folder("evals", self._id)
            )
            journal = Journal(self._home, self._actor.scope, self._id, lambda *_: None)
            ledger = Ledger(self._home, self._actor.scope, self._id, journal, cap_usd=self._cap)
            judges = Judges(self._suite, context, self._gateway.complete)
            free = asyncio.Semaphore(AT_ONCE)

            async def one(number: int) -> None:
                async with free:
                    try:
                        if not stopped:
                            found[number] = await self._one(pairs[number], ledger, judges)
                    except CapReached as error:
                        stopped.append(str(error))

            try:
                await asyncio.gather(*(one(number) for number in range(len(pairs))))
            finally:
                await judges.close()
                await journal.close()

        run_loop(work)
        return found, stopped[0] if stopped else ""

    async def _one(self, spans: Sequence[SpanRecord], ledger: Ledger, judges: Judges) -> Judged:
        texts = [asked(span) for span in spans]
        if texts[0] is None:
            return Judged()
        own: dict[str, float] = {}
        other: dict[str, float] = {}
        unanswered = False
        for scorer in self._scorers:
            try:
                if scorer.name == PAIRWISE:
                    own |= await self._preferred(scorer, texts, ledger, judges)
                    other |= {name: 1.0 - value for name, value in own.items() if name == PAIRWISE}
                    continue
                for answer, into in zip(texts, (own, other), strict=False):
                    if answer is not None:
                        bench = SampleBench(ledger, judges, answer[0], 0, None)
                        into |= (await scorer.judge(*answer, bench))[0]
            except CapReached:
                raise
            except Upstream:
                unanswered = True
            except PenstockError:
                continue  # it does not apply to this answer: as good as no score
            except Exception:
                logger.exception("a judge failed on a live answer", extra={"scorer": scorer.name})
        return Judged(own=own, other=other, unanswered=unanswered)

    @staticmethod
    async def _preferred(
        scorer: JudgingScorer, texts: Sequence[Any], ledger: Ledger, judges: Judges
    ) -> Figures:
        if len(texts) < 2 or texts[0] is None or texts[1] is None:
            return {}
        (_, output), (sample, other) = texts[0], texts[1]
        pair = type(sample)(
            id=sample.id, ordinal=0, messages=sample.messages, row={**sample.row, OTHER: other.text}
        )
        return (await scorer.judge(pair, output, SampleBench(ledger, judges, pair, 0, None)))[0]

    def close(self) -> None:
        """Revoke the key that was made for asking."""
        self._gateway.close()
