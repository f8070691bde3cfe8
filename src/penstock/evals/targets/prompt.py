"""A prompt from the registry as a target: each row fills its variables, a model answers."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from penstock.core.errors import Invalid
from penstock.evals.calls.endpoint import OPTIONS, Endpoint, check_options
from penstock.evals.model import Output, Sample
from penstock.evals.ports import TargetContext
from penstock.prompts import service as prompts
from penstock.prompts.model import Rendered

_OWN = ("prompt", "version", "label", "variables")
_SETTINGS = ("temperature", "max_tokens")


class PromptTarget:
    """Renders `prompt` (a name, with `version` or `label`) for each row and sends it to `model`.

    `variables` maps variable → column; the others are taken from columns of their name. The version's own model,
    temperature, max_tokens, tools and output schema hold unless the target names others; more options are those
    of the gateway target. The version is pinned when the run is made, and stays.
    """

    def __init__(self, options: Mapping[str, Any], context: TargetContext) -> None:
        check_options("The prompt target", options, (*OPTIONS, *_OWN))
        if not options.get("prompt"):
            raise Invalid("The prompt target needs a prompt.", hint="Write prompt: NAME.")
        self._name = str(options["prompt"])
        self._columns: Mapping[str, str] = options.get("variables") or {}
        self._home, self._actor = context.home, context.actor
        with self._home.read() as uow:
            self._version = prompts.get(
                uow,
                self._actor,
                name=self._name,
                version=options.get("version"),
                label=options.get("label"),
            )
        body = self._version.body
        usual = {name: value for name, value in body.settings.items() if name in ("model", *_SETTINGS)}
        more = {name: value for name, value in body.settings.items() if name not in usual}
        own = {name: value for name, value in options.items() if name not in _OWN}
        own["extra"] = {**more, **self._shape(), **(own.get("extra") or {})}
        self._base = str(options.get("base_url") or "") if context.foreign else ""
        self._endpoint = Endpoint({**usual, **own}, context, "The prompt target")

    def _shape(self) -> dict[str, Any]:
        body = self._version.body
        shape: dict[str, Any] = {"tools": list(body.tools)} if body.tools else {}
        if body.output_schema:
            schema = {"name": "answer", "schema": body.output_schema}
            shape["response_format"] = {"type": "json_schema", "json_schema": schema}
        return shape

    def _body(self, sample: Sample) -> dict[str, Any]:
        variables = {
            one.name: sample.row[column]
            for one in self._version.body.variables
            if (column := self._columns.get(one.name, one.name)) in sample.row
        }
        with self._home.read() as uow:
            made: Rendered = prompts.render(
                uow, self._actor, name=self._name, variables=variables, version=self._version.number
            )
        messages = made.messages or ({"role": "user", "content": made.text},)
        return self._endpoint.body(messages)

    def request(self, sample: Sample) -> Mapping[str, Any]:
        """Return the address and the rendered call."""
        return {"base_url": self._base, **self._body(sample)}

    async def answer(self, sample: Sample, key: str) -> Output:
        """Return the model's answer; what fails is the output's error."""
        return replace(await self._endpoint.chat(self._body(sample), key), sample_id=sample.id)

    async def close(self) -> None:
        """Close the connections."""
        await self._endpoint.close()
