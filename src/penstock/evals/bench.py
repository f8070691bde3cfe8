"""What judging scorers work with: models to ask, the target once more, the trace of an answer."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from penstock.core.errors import Invalid, NotFound, Upstream
from penstock.evals import store
from penstock.evals.advice import Advice
from penstock.evals.calls.endpoint import Endpoint
from penstock.evals.calls.ledger import Ledger
from penstock.evals.calls.model import JUDGE, TARGET, Call, digest
from penstock.evals.model import Output, Sample
from penstock.evals.ports import AsyncTarget, TargetContext
from penstock.evals.suite import Suite
from penstock.evals.target_choice import in_folders
from penstock.traces import service as traces
from penstock.traces.model import SpanRecord

TRACE_WAITS_S = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0)
"""The gateway records an answer's trace a moment after the answer."""

Complete = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Fills in the own gateway's address and key where options name none."""


class Judges:
    """The endpoints that a run's judges are asked at, one for each set of options."""

    def __init__(self, suite: Suite, context: TargetContext, complete: Complete) -> None:
        self.suite, self.context = suite, context
        self._usual, self._complete = suite.judge, complete
        self._endpoints: dict[str, Endpoint] = {}
        self._runs: dict[str, asyncio.Task[dict[str, Output]]] = {}
        self._advice: dict[str, asyncio.Task[Advice]] = {}

    def options(self, judge: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the judge's options, the suite's where it has none; raises Invalid without a model."""
        found = {**self._usual, **judge}
        if not found.get("model"):
            raise Invalid("A judge needs a model.", hint="Write judge: {model: NAME} in the suite.")
        return found

    def endpoint(self, options: Mapping[str, Any]) -> Endpoint:
        """Return the endpoint of complete options."""
        name = digest(options)
        if name not in self._endpoints:
            self._endpoints[name] = Endpoint(self._complete(options), self.context, "The judge")
        return self._endpoints[name]

    async def advice(self, adviser: str, options: Mapping[str, Any]) -> Advice:
        """Return where the adviser is asked; its child starts at first need. Raises what finding its model raises."""
        name = digest(adviser, options)
        if name not in self._advice:
            self._advice[name] = asyncio.create_task(self._start(adviser, dict(options), name[:16]))
        return await asyncio.shield(self._advice[name])

    async def _start(self, adviser: str, options: dict[str, Any], name: str) -> Advice:
        context = self.context
        found = await asyncio.to_thread(in_folders, context.home, context.actor, options)
        return Advice(adviser, found, context.workdir / f"{adviser}-{name}")

    async def recorded(self, run_id: str) -> dict[str, Output]:
        """Return sample id → output of another run; read once. Raises NotFound."""
        if run_id not in self._runs:
            self._runs[run_id] = asyncio.create_task(asyncio.to_thread(self._read, run_id))
        return await asyncio.shield(self._runs[run_id])

    def _read(self, run_id: str) -> dict[str, Output]:
        home, actor = self.context.home, self.context.actor
        with home.read() as uow:
            uow.may(actor, "evals.read", run_id)
            if store.run_by_id(uow.conn, actor.scope, run_id) is None:
                raise NotFound(f"There is no evaluation {run_id!r}.", hint="See `penstock evals list`.")
            return {one.sample_id: one.output for one in store.results(uow.conn, actor.scope, run_id)}

    async def close(self) -> None:
        """Close the connections and end the children."""
        for endpoint in self._endpoints.values():
            await endpoint.close()
        self._endpoints.clear()
        for found in await asyncio.gather(*self._advice.values(), return_exceptions=True):
            if isinstance(found, Advice):
                await found.close()
        self._advice.clear()


class SampleBench:
    """The bench for one attempt at one sample: its calls carry the sample's name into the accounts."""

    def __init__(
        self,
        ledger: Ledger,
        judges: Judges,
        sample: Sample,
        epoch: int,
        target: AsyncTarget | None,
    ) -> None:
        self._ledger, self._judges = ledger, judges
        self._sample, self._epoch = sample, epoch
        self._target, self._suite, self._context = target, judges.suite, judges.context
        self._whose = () if self._suite.cache else (self._context.workdir.name,)

    async def ask(
        self, judge: Mapping[str, Any], messages: Sequence[Mapping[str, Any]], **fields: Any
    ) -> Output:
        """Return the judge's answer; see the port."""
        options = self._judges.options(judge)
        endpoint = self._judges.endpoint(options)
        body = endpoint.body(messages, **fields)
        name = digest(JUDGE, options.get("base_url"), body, *self._whose)
        return await self._answered(name, lambda: endpoint.chat(body, name))

    async def embed(self, model: Mapping[str, Any], texts: Sequence[str]) -> list[list[float]]:
        """Return one vector per text; see the port."""
        options = self._judges.options(model)
        endpoint = self._judges.endpoint(options)
        name = digest("embed", options.get("base_url"), options["model"], list(texts), *self._whose)
        output = await self._answered(name, lambda: endpoint.embed(list(texts), name))
        vectors: list[list[float]] = output.extra["vectors"]
        if len(vectors) != len(texts):
            raise Upstream(f"{options['model']} gave {len(vectors)} vectors for {len(texts)} texts.")
        return vectors

    async def consult(
        self, adviser: str, options: Mapping[str, Any], question: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Return the adviser's reply; see the port."""
        return await (await self._judges.advice(adviser, options)).ask(question)

    async def _answered(self, name: str, send: Any) -> Output:
        call = Call(name, JUDGE, self._sample.id, self._suite.cache)
        output = await self._ledger.ask(call, send)
        if output.error is not None:
            raise Upstream(f"The judge gave no answer: {output.error}.")
        return output

    async def answer(self, sample: Sample) -> Output:
        """Return the target's answer to a changed sample; see the port."""
        target = self._target
        if target is None:
            raise Invalid(
                "This target cannot be asked again by a scorer.",
                hint="Use a target that answers one sample at a time: gateway, http, prompt, an async function.",
            )
        kind = str(self._suite.target.get("kind"))
        name = digest(TARGET, kind, target.request(sample), self._epoch, *self._whose, "again")
        call = Call(name, JUDGE, self._sample.id, self._suite.cache)
        output = await self._ledger.ask(call, lambda: target.answer(sample, name))
        if output.error is not None:
            raise Upstream(f"The target gave no answer: {output.error}.")
        return replace(output, sample_id=sample.id)

    async def recorded(self, run_id: str, sample_id: str) -> Output | None:
        """Return what another run answered to the sample; see the port."""
        return (await self._judges.recorded(run_id)).get(sample_id)

    async def spans(self, trace_id: str) -> list[SpanRecord]:
        """Return the spans of a trace, once there are some; see the port."""
        for wait in TRACE_WAITS_S:
            await asyncio.sleep(wait)
            found = await asyncio.to_thread(self._spans, trace_id)
            if found:
                return found
        return []

    def _spans(self, trace_id: str) -> list[SpanRecord]:
        home, actor = self._context.home, self._context.actor
        with home.read() as uow:
            if trace_id not in traces.known(uow, actor, trace_ids=[trace_id]):
                return []
            return traces.spans_of(uow, actor, trace_id=trace_id)
