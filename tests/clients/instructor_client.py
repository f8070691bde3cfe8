"""instructor, over openai and over anthropic."""

import anthropic
import instructor
import openai
from checks import Checks, equal
from pydantic import BaseModel

ASKED = [{"role": "user", "content": "Which city?"}]


class City(BaseModel):
    city: str


with Checks("instructor") as checks:
    base = openai.OpenAI(base_url=checks.v1, api_key=checks.key, max_retries=0)
    other = anthropic.Anthropic(base_url=checks.url, api_key=checks.key, max_retries=0)

    def over(mode: instructor.Mode):
        def check(model: str) -> None:
            client = instructor.from_openai(base, mode=mode)
            made = client.chat.completions.create(
                model=model, response_model=City, messages=ASKED, max_retries=0
            )
            equal(made.city, "Oslo")

        return check

    def partial(model: str) -> None:
        client = instructor.from_openai(base, mode=instructor.Mode.TOOLS)
        made = list(client.chat.completions.create_partial(model=model, response_model=City, messages=ASKED))
        equal(made[-1].city, "Oslo")

    def messages(model: str) -> None:
        client = instructor.from_anthropic(other)
        made = client.messages.create(
            model=model, response_model=City, messages=ASKED, max_tokens=50, max_retries=0
        )
        equal(made.city, "Oslo")

    checks.each("tools", over(instructor.Mode.TOOLS))
    checks.each("json_schema", over(instructor.Mode.JSON_SCHEMA))
    checks.each("json", over(instructor.Mode.JSON))
    checks.each("partial", partial)
    checks.each("anthropic", messages)
