"""A prompt that is no version yet as a target: each row fills its variables, a model answers."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from penstock.evals.calls.endpoint import OPTIONS, Endpoint, check_options
from penstock.evals.model import Output, Sample
from penstock.evals.optimise.plan import Plan
from penstock.evals.ports import TargetContext
from penstock.evals.target_choice import OwnGateway
from penstock.prompts.model import Body
from penstock.prompts.service import Compiled

_OWN = ("variables",)


class Endpoints:
    """The endpoints of the models that are tried and of the rewriter, one for each set of options."""

    def __init__(self, plan: Plan, context: TargetContext, gateway: OwnGateway) -> None:
        check_options("An optimisation's target", plan.target, (*OPTIONS, *_OWN))
        self._target = {name: value for name, value in plan.target.items() if name not in _OWN}
        self._context, self._gateway = context, gateway
        self._open: dict[str, Endpoint] = {}
        self._rewriter: Endpoint | None = None

    def of(self, model: str, settings: Mapping[str, Any]) -> Endpoint:
        """Return the endpoint for a prompt's settings on a model; the plan's target overrides the settings."""
        if model not in self._open:
            usual = {name: settings[name] for name in ("temperature", "max_tokens") if name in settings}
            more = {name: value for name, value in settings.items() if name not in (*usual, "model")}
            options = {**usual, **self._target, "model": model}
            options["extra"] = {**more, **(self._target.get("extra") or {})}
            self._open[model] = Endpoint(self._gateway.complete(options), self._context, "The optimisation")
        return self._open[model]

    def rewriter(self, options: Mapping[str, Any]) -> Endpoint:
        """Return the endpoint that rewrites instructions."""
        if self._rewriter is None:
            made = {"max_tokens": 2048, "temperature": 1.0, **options}
            self._rewriter = Endpoint(self._gateway.complete(made), self._context, "The rewriter")
        return self._rewriter

    async def close(self) -> None:
        """Close the connections."""
        for endpoint in (*self._open.values(), *([self._rewriter] if self._rewriter else [])):
            await endpoint.close()
        self._open.clear()
        self._rewriter = None


class CandidateTarget:
    """Answers rows by one candidate; its own tools and output schema hold."""

    def __init__(self, compiled: Compiled, columns: Mapping[str, str], endpoint: Endpoint) -> None:
        self._compiled, self._columns, self._endpoint = compiled, columns, endpoint
        self._shape = _shape(compiled.version.body)

    def request(self, sample: Sample) -> Mapping[str, Any]:
        """Return the rendered call; raises Invalid for a row that does not fill the prompt's variables."""
        made = self._compiled.render(filled(self._compiled, sample, self._columns))
        messages = made.messages or ({"role": "user", "content": made.text},)
        return self._endpoint.body(messages, **self._shape)

    async def answer(self, sample: Sample, key: str) -> Output:
        """Return the model's answer; what fails is the output's error."""
        return replace(await self._endpoint.chat(self.request(sample), key), sample_id=sample.id)

    async def close(self) -> None:
        """Leave the connections to the other candidates."""


def _shape(body: Body) -> dict[str, Any]:
    shape: dict[str, Any] = {"tools": list(body.tools)} if body.tools else {}
    if body.output_schema:
        schema = {"name": "answer", "schema": body.output_schema}
        shape["response_format"] = {"type": "json_schema", "json_schema": schema}
    return shape


def filled(compiled: Compiled, sample: Sample, columns: Mapping[str, str]) -> dict[str, Any]:
    """Return the variables that the row has, from the columns they are mapped to or of their name."""
    return {
        name: sample.row[column]
        for name in compiled.variables
        if (column := columns.get(name, name)) in sample.row
    }
