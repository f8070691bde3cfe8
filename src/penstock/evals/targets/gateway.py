"""Any OpenAI-compatible server as a target: the gateway by default."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from penstock.evals.calls.endpoint import Endpoint
from penstock.evals.model import Output, Sample
from penstock.evals.ports import TargetContext


class GatewayTarget:
    """Sends each sample as a chat completion. Options are those of `calls.endpoint.Endpoint`."""

    def __init__(self, options: Mapping[str, Any], context: TargetContext) -> None:
        self._base = str(options.get("base_url") or "") if context.foreign else ""
        self._endpoint = Endpoint(options, context)

    def request(self, sample: Sample) -> Mapping[str, Any]:
        """Return the address and the body of the call."""
        return {"base_url": self._base, **self._endpoint.body(sample.messages)}

    async def answer(self, sample: Sample, key: str) -> Output:
        """Return the model's answer; what fails is the output's error."""
        output = await self._endpoint.chat(self._endpoint.body(sample.messages), key)
        return replace(output, sample_id=sample.id)

    async def close(self) -> None:
        """Close the connections."""
        await self._endpoint.close()
