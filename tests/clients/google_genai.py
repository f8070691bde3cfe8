"""google-genai, Google's own client for Python."""

from checks import CITY, EMBEDDERS, TEXT, Checks, equal, raised, true
from google import genai
from google.genai import errors, types
from pydantic import BaseModel

DECLARED = types.FunctionDeclaration(name="weather", description="The weather.", parameters_json_schema=CITY)
WEATHER = types.GenerateContentConfig(tools=[types.Tool(function_declarations=[DECLARED])])
ASKED = types.Content(role="user", parts=[types.Part(text="How cold is Oslo?")])


class City(BaseModel):
    city: str


with Checks("google-genai") as checks:
    client = genai.Client(api_key=checks.key, http_options={"base_url": checks.url})
    models = client.models

    def plain(model: str) -> None:
        answer = models.generate_content(model=model, contents=[ASKED])
        equal((answer.text, answer.model_version), (TEXT, model))
        true(answer.usage_metadata.prompt_token_count and answer.usage_metadata.candidates_token_count)

    def stream(model: str) -> None:
        parts = models.generate_content_stream(model=model, contents=[ASKED])
        equal("".join(each.text or "" for each in parts), TEXT)

    def tools(model: str) -> None:
        first = models.generate_content(model=model, contents=[ASKED], config=WEATHER)
        call = first.function_calls[0]
        equal((call.name, call.args), ("weather", {"city": "Oslo"}))
        result = types.Part(
            function_response=types.FunctionResponse(name="weather", id=call.id, response={"result": -4})
        )
        back = [ASKED, first.candidates[0].content, types.Content(role="user", parts=[result])]
        equal(models.generate_content(model=model, contents=back, config=WEATHER).text, TEXT)

    def automatic(model: str) -> None:
        asked = []

        def weather(city: str) -> str:
            """Return the weather."""
            asked.append(city)
            return "-4"

        config = types.GenerateContentConfig(tools=[weather])
        answer = models.generate_content(model=model, contents="How cold is Oslo?", config=config)
        equal((answer.text, asked), (TEXT, ["Oslo"]))

    def structured(model: str) -> None:
        config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=City)
        equal(
            models.generate_content(model=model, contents="Where?", config=config).parsed, City(city="Oslo")
        )

    def counting(model: str) -> None:
        true(models.count_tokens(model=model, contents="How cold is Oslo?").total_tokens)

    def embeddings(model: str) -> None:
        made = models.embed_content(model=model, contents=["a", "b"]).embeddings
        equal([each.values[0] for each in made], [0.25, 0.5])

    def failing(key: str, model: str) -> errors.APIError:
        other = genai.Client(api_key=key, http_options={"base_url": checks.url})
        call = lambda: other.models.generate_content(model=model, contents="Hello")  # noqa: E731
        return raised(errors.APIError, call)

    checks.each("chat", plain)
    checks.each("stream", stream)
    checks.each("tools", tools)
    checks.each("automatic tools", automatic)
    checks.each("structured", structured)
    checks.each("counting", counting)
    checks.each("embeddings", embeddings, EMBEDDERS)
    checks.once("401", lambda model: equal(failing("psk_wrong", model).code, 401))
    checks.once("404", lambda model: equal(failing(checks.key, "nothing").status, "NOT_FOUND"))
    checks.once(
        "429", lambda model: equal(failing(checks.key, model).status, "RESOURCE_EXHAUSTED"), "limited"
    )
