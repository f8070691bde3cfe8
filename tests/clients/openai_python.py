"""openai, OpenAI's own client for Python."""

import openai
from checks import CITY, EMBEDDERS, FAMILIES, TEXT, Checks, equal, raised, true
from pydantic import BaseModel

WEATHER = {
    "type": "function",
    "function": {"name": "weather", "description": "The weather.", "parameters": CITY},
}
ASKED = [{"role": "user", "content": "How cold is Oslo?"}]


class City(BaseModel):
    city: str


with Checks("openai") as checks:
    client = openai.OpenAI(base_url=checks.v1, api_key=checks.key, max_retries=0)
    chat = client.chat.completions

    def plain(model: str) -> None:
        answer = chat.create(
            model=model, messages=ASKED, max_completion_tokens=50, user="u", metadata={"a": "b"}
        )
        equal((answer.choices[0].message.content, answer.model), (TEXT, model))
        true(answer.usage.prompt_tokens and answer.usage.completion_tokens and answer._request_id)

    def stream(model: str) -> None:
        chunks = list(chat.create(model=model, messages=ASKED, stream=True))
        equal("".join(each.choices[0].delta.content or "" for each in chunks), TEXT)
        equal(chunks[-1].choices[0].finish_reason, "stop")
        options = {"include_usage": True}
        chunks = list(chat.create(model=model, messages=ASKED, stream=True, stream_options=options))
        true(chunks[-1].usage.total_tokens and not chunks[-1].choices)

    def tools(model: str) -> None:
        message = (
            chat.create(model=model, messages=ASKED, tools=[WEATHER], tool_choice="required")
            .choices[0]
            .message
        )
        call = message.tool_calls[0]
        equal((call.function.name, call.function.arguments.replace(" ", "")), ("weather", '{"city":"Oslo"}'))
        back = [*ASKED, message, {"role": "tool", "tool_call_id": call.id, "content": "-4"}]
        equal(chat.create(model=model, messages=back, tools=[WEATHER]).choices[0].message.content, TEXT)

    def streamed_tools(model: str) -> None:
        with chat.stream(model=model, messages=ASKED, tools=[WEATHER]) as events:
            message = events.get_final_completion().choices[0].message
        equal(message.tool_calls[0].function.arguments.replace(" ", ""), '{"city":"Oslo"}')

    def structured(model: str) -> None:
        answer = chat.parse(model=model, messages=ASKED, response_format=City)
        equal(answer.choices[0].message.parsed, City(city="Oslo"))

    def responses(model: str) -> None:
        answer = client.responses.create(model=model, input="How cold is Oslo?", store=False)
        equal(answer.output_text, TEXT)
        with client.responses.stream(model=model, input="How cold is Oslo?", store=False) as events:
            kinds = [event.type for event in events]
            equal(events.get_final_response().output_text, TEXT)
        equal((kinds[0], kinds[-1]), ("response.created", "response.completed"))
        parsed = client.responses.parse(model=model, input="Where?", text_format=City, store=False)
        equal(parsed.output_parsed, City(city="Oslo"))

    def responses_tools(model: str) -> None:
        tool = {"type": "function", "strict": True, **WEATHER["function"]}
        first = client.responses.create(model=model, input=ASKED, tools=[tool], store=False)
        call = next(item for item in first.output if item.type == "function_call")
        result = {"type": "function_call_output", "call_id": call.call_id, "output": "-4"}
        last = client.responses.create(
            model=model, input=[*ASKED, *first.output, result], tools=[tool], store=False
        )
        equal(last.output_text, TEXT)

    def stored(model: str) -> None:
        first = client.responses.create(model=model, input="How cold is Oslo?")
        equal(
            client.responses.create(model=model, input="Why?", previous_response_id=first.id).output_text,
            TEXT,
        )

    def embeddings(model: str) -> None:
        made = client.embeddings.create(model=model, input=["a", "b"]).data
        floats = client.embeddings.create(model=model, input=["a", "b"], encoding_format="float").data
        equal([each.embedding for each in made], [each.embedding for each in floats])
        equal([each.index for each in made], [0, 1])

    def token_ids(model: str) -> None:
        equal(len(client.embeddings.create(model=model, input=[[1, 2], [3]]).data), 2)

    def models(model: str) -> None:
        true(model in [each.id for each in client.models.list()])
        equal(client.models.retrieve(model).id, model)

    def wrong_key(model: str) -> None:
        other = openai.OpenAI(base_url=checks.v1, api_key="psk_wrong", max_retries=0)
        error = raised(openai.AuthenticationError, lambda: other.models.list())
        equal(error.code, "invalid_api_key")

    def no_model(model: str) -> None:
        error = raised(openai.NotFoundError, lambda: chat.create(model="nothing", messages=ASKED))
        equal(error.code, "model_not_found")

    def limited(model: str) -> None:
        error = raised(openai.RateLimitError, lambda: chat.create(model=model, messages=ASKED))
        equal((error.code, error.response.headers["retry-after"]), ("rate_limit_exceeded", "7"))

    def invalid(model: str) -> None:
        error = raised(openai.BadRequestError, lambda: chat.create(model=model, messages="hello"))
        true(error.body["message"] and error.body["type"])

    checks.each("chat", plain)
    checks.each("stream", stream)
    checks.each("tools", tools)
    checks.each("streamed tools", streamed_tools)
    checks.each("structured", structured)
    checks.each("responses", responses)
    checks.each("responses tools", responses_tools)
    checks.each("stored responses", stored)
    checks.each("embeddings", embeddings, EMBEDDERS)
    checks.once("embeddings of token ids", token_ids, "embed-oa")
    checks.each("models", models, FAMILIES)
    checks.once("401", wrong_key)
    checks.once("404", no_model)
    checks.once("429", limited, "limited")
    checks.each("400", invalid)
