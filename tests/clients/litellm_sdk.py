"""litellm as a library, by its OpenAI and its Anthropic side."""

import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm
from checks import CITY, TEXT, Checks, equal, raised, true

WEATHER = {
    "type": "function",
    "function": {"name": "weather", "description": "The weather.", "parameters": CITY},
}
ASKED = [{"role": "user", "content": "How cold is Oslo?"}]
FORMAT = {"type": "json_schema", "json_schema": {"name": "city", "schema": CITY, "strict": True}}

with Checks("litellm") as checks:

    def ask(model: str, side: str = "openai", messages: list = ASKED, **more: object):
        base = checks.v1 if side == "openai" else checks.url
        return litellm.completion(
            model=f"{side}/{model}",
            messages=messages,
            api_base=base,
            api_key=checks.key,
            num_retries=0,
            **more,
        )

    def plain(side: str):
        def check(model: str) -> None:
            answer = ask(model, side)
            equal(answer.choices[0].message.content, TEXT)
            true(answer.usage.prompt_tokens)

        return check

    def stream(side: str):
        def check(model: str) -> None:
            chunks = ask(model, side, stream=True)
            equal("".join(each.choices[0].delta.content or "" for each in chunks), TEXT)

        return check

    def tools(side: str):
        def check(model: str) -> None:
            message = ask(model, side, tools=[WEATHER]).choices[0].message
            call = message.tool_calls[0]
            equal(call.function.arguments.replace(" ", ""), '{"city":"Oslo"}')
            back = [*ASKED, message.model_dump(), {"role": "tool", "tool_call_id": call.id, "content": "-4"}]
            equal(ask(model, side, back, tools=[WEATHER]).choices[0].message.content, TEXT)

        return check

    def structured(model: str) -> None:
        equal(
            ask(model, response_format=FORMAT).choices[0].message.content.replace(" ", ""), '{"city":"Oslo"}'
        )

    def embeddings(model: str) -> None:
        made = litellm.embedding(
            model=f"openai/{model}", input=["a", "b"], api_base=checks.v1, api_key=checks.key
        )
        equal(made.data[1]["embedding"][:3], [0.5, -1.5, 3.0])

    for side in ("openai", "anthropic"):
        checks.each(f"{side}: chat", plain(side))
        checks.each(f"{side}: stream", stream(side))
        checks.each(f"{side}: tools", tools(side))
        checks.once(
            f"{side}: 404", lambda model, side=side: raised(litellm.NotFoundError, lambda: ask("no", side))
        )
        checks.once(
            f"{side}: 429",
            lambda model, side=side: raised(litellm.RateLimitError, lambda: ask(model, side)),
            "limited",
        )
    checks.each("openai: structured", structured)
    checks.each("openai: embeddings", embeddings, ("embed-oa", "embed-ge"))
