"""haystack-ai: generators and embedders."""

import openai
from checks import CITY, TEXT, Checks, equal, raised
from haystack.components.embedders import OpenAIDocumentEmbedder, OpenAITextEmbedder
from haystack.components.generators.chat import OpenAIChatGenerator
from haystack.dataclasses import ChatMessage, Document
from haystack.tools import Tool
from haystack.utils import Secret

ASKED = ChatMessage.from_user("How cold is Oslo?")
WEATHER = Tool(
    name="weather", description="The weather.", parameters=CITY, function=lambda city: f"-4 in {city}"
)

with Checks("haystack-ai") as checks:
    key = Secret.from_token(checks.key)

    def llm(model: str, **more: object) -> OpenAIChatGenerator:
        return OpenAIChatGenerator(model=model, api_base_url=checks.v1, api_key=key, max_retries=0, **more)

    def plain(model: str) -> None:
        equal(llm(model).run([ASKED])["replies"][0].text, TEXT)

    def stream(model: str) -> None:
        parts = []
        llm(model, streaming_callback=lambda part: parts.append(part.content)).run([ASKED])
        equal("".join(parts), TEXT)

    def tools(model: str) -> None:
        generator = llm(model, tools=[WEATHER])
        first = generator.run([ASKED])["replies"][0]
        equal(first.tool_calls[0].arguments, {"city": "Oslo"})
        result = ChatMessage.from_tool("-4", origin=first.tool_calls[0])
        equal(generator.run([ASKED, first, result])["replies"][0].text, TEXT)

    def embeddings(model: str) -> None:
        made = OpenAITextEmbedder(model=model, api_base_url=checks.v1, api_key=key).run("a")
        equal(made["embedding"][:3], [0.25, -1.5, 3.0])
        documents = OpenAIDocumentEmbedder(
            model=model, api_base_url=checks.v1, api_key=key, progress_bar=False
        )
        made = documents.run([Document(content="a"), Document(content="b")])["documents"]
        equal(made[1].embedding[:3], [0.5, -1.5, 3.0])

    checks.each("chat", plain)
    checks.each("stream", stream)
    checks.each("tools", tools)
    checks.each("embeddings", embeddings, ("embed-oa", "embed-ge"))
    checks.once("404", lambda model: raised(openai.NotFoundError, lambda: llm("nothing").run([ASKED])))
    checks.once(
        "429", lambda model: raised(openai.RateLimitError, lambda: llm(model).run([ASKED])), "limited"
    )
