"""pydantic-ai: agents over chat completions and over responses."""

import asyncio

from checks import TEXT, Checks, equal, raised, true
from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider


class City(BaseModel):
    city: str


def weather(city: str) -> str:
    """Return the weather."""
    return f"-4 in {city}"


with Checks("pydantic-ai-slim") as checks:

    def llm(model: str, kind: type = OpenAIChatModel):
        return kind(model, provider=OpenAIProvider(base_url=checks.v1, api_key=checks.key))

    def plain(model: str) -> None:
        result = Agent(llm(model)).run_sync("How cold is Oslo?")
        equal(result.output, TEXT)
        true(result.usage.input_tokens if not callable(result.usage) else result.usage().input_tokens)

    def stream(model: str) -> None:
        async def ask() -> list[str]:
            async with Agent(llm(model)).run_stream("How cold is Oslo?") as result:
                return [part async for part in result.stream_text(delta=True, debounce_by=None)]

        equal("".join(asyncio.run(ask())), TEXT)

    def tools(model: str) -> None:
        equal(Agent(llm(model), tools=[weather]).run_sync("How cold is Oslo?").output, TEXT)

    def structured(model: str) -> None:
        for kind in (City, NativeOutput(City)):
            equal(Agent(llm(model), output_type=kind).run_sync("Where?").output, City(city="Oslo"))

    def responses(model: str) -> None:
        agent = Agent(llm(model, OpenAIResponsesModel), tools=[weather])
        equal(agent.run_sync("How cold is Oslo?").output, TEXT)

    def status(model: str) -> int:
        return raised(ModelHTTPError, lambda: Agent(llm(model)).run_sync("Hello")).status_code

    checks.each("chat", plain)
    checks.each("stream", stream)
    checks.each("tools", tools)
    checks.each("structured", structured)
    checks.each("responses with tools", responses)
    checks.once("404", lambda model: equal(status("nothing"), 404))
    checks.once("429", lambda model: equal(status(model), 429), "limited")
