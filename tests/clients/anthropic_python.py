"""anthropic, Anthropic's own client for Python."""

import anthropic
from checks import CITY, TEXT, Checks, equal, raised, true
from pydantic import BaseModel

WEATHER = {"name": "weather", "description": "The weather.", "input_schema": CITY}
ASKED = [{"role": "user", "content": "How cold is Oslo?"}]


class City(BaseModel):
    city: str


with Checks("anthropic") as checks:
    client = anthropic.Anthropic(base_url=checks.url, api_key=checks.key, max_retries=0)
    messages = client.messages

    def plain(model: str) -> None:
        answer = messages.create(model=model, messages=ASKED, max_tokens=50, system="Be brief.")
        equal((answer.content[0].text, answer.model, answer.stop_reason), (TEXT, model, "end_turn"))
        true(answer.usage.input_tokens and answer.usage.output_tokens and answer._request_id)

    def stream(model: str) -> None:
        with messages.stream(model=model, messages=ASKED, max_tokens=50) as events:
            equal("".join(events.text_stream), TEXT)
            true(events.get_final_message().usage.output_tokens)

    def tools(model: str) -> None:
        first = messages.create(model=model, messages=ASKED, max_tokens=50, tools=[WEATHER])
        call = next(block for block in first.content if block.type == "tool_use")
        equal((call.name, call.input, first.stop_reason), ("weather", {"city": "Oslo"}, "tool_use"))
        result = {"type": "tool_result", "tool_use_id": call.id, "content": "-4"}
        back = [
            *ASKED,
            {"role": "assistant", "content": first.content},
            {"role": "user", "content": [result]},
        ]
        equal(
            messages.create(model=model, messages=back, max_tokens=50, tools=[WEATHER]).content[0].text, TEXT
        )

    def streamed_tools(model: str) -> None:
        with messages.stream(model=model, messages=ASKED, max_tokens=50, tools=[WEATHER]) as events:
            content = events.get_final_message().content
        equal([block.input for block in content if block.type == "tool_use"], [{"city": "Oslo"}])

    def structured(model: str) -> None:
        answer = messages.parse(model=model, messages=ASKED, max_tokens=50, output_format=City)
        equal(answer.parsed_output, City(city="Oslo"))

    def counting(model: str) -> None:
        true(messages.count_tokens(model=model, messages=ASKED).input_tokens)

    def models(model: str) -> None:
        listed = {each.id: each for each in client.models.list()}
        equal(listed[model].type, "model")

    def wrong_key(model: str) -> None:
        other = anthropic.Anthropic(base_url=checks.url, api_key="psk_wrong", max_retries=0)
        error = raised(
            anthropic.AuthenticationError,
            lambda: other.messages.create(model=model, messages=ASKED, max_tokens=5),
        )
        equal(error.body["error"]["type"], "authentication_error")

    def no_model(model: str) -> None:
        error = raised(
            anthropic.NotFoundError, lambda: messages.create(model="nothing", messages=ASKED, max_tokens=5)
        )
        equal(error.body["error"]["type"], "not_found_error")

    def limited(model: str) -> None:
        error = raised(
            anthropic.RateLimitError, lambda: messages.create(model=model, messages=ASKED, max_tokens=5)
        )
        equal((error.body["error"]["type"], error.response.headers["retry-after"]), ("rate_limit_error", "7"))

    checks.each("chat", plain)
    checks.each("stream", stream)
    checks.each("tools", tools)
    checks.each("streamed tools", streamed_tools)
    checks.each("structured", structured)
    checks.each("counting", counting)
    checks.each("models", models)
    checks.once("401", wrong_key)
    checks.once("404", no_model)
    checks.once("429", limited, "limited")
