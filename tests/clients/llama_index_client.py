"""llama-index: OpenAILike models and embeddings."""

import asyncio

import openai
from checks import TEXT, Checks, equal, raised
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel


class City(BaseModel):
    """Where it is."""

    city: str


def weather(city: str) -> str:
    """Return the weather."""
    return f"-4 in {city}"


with Checks(
    "llama-index-core", "llama-index-llms-openai-like", "llama-index-embeddings-openai-like"
) as checks:

    def llm(model: str) -> OpenAILike:
        return OpenAILike(
            model=model, api_base=checks.v1, api_key=checks.key, is_chat_model=True, max_retries=0,
            is_function_calling_model=True, context_window=8000,
        )  # fmt: skip

    asked = [ChatMessage(role="user", content="How cold is Oslo?")]

    def plain(model: str) -> None:
        equal(llm(model).chat(asked).message.content, TEXT)

    def stream(model: str) -> None:
        equal("".join(each.delta or "" for each in llm(model).stream_chat(asked)), TEXT)

    def agent(model: str) -> None:
        async def ask() -> str:
            return str(await FunctionAgent(tools=[weather], llm=llm(model)).run("How cold is Oslo?"))

        equal(asyncio.run(ask()), TEXT)

    def structured(model: str) -> None:
        equal(llm(model).as_structured_llm(City).chat(asked).raw, City(city="Oslo"))

    def embeddings(model: str) -> None:
        made = OpenAILikeEmbedding(model_name=model, api_base=checks.v1, api_key=checks.key)
        equal(made.get_text_embedding_batch(["a", "b"])[1][:3], [0.5, -1.5, 3.0])

    checks.each("chat", plain)
    checks.each("stream", stream)
    checks.each("agent", agent)
    checks.each("structured", structured)
    checks.each("embeddings", embeddings, ("embed-oa", "embed-ge"))
    checks.once("404", lambda model: raised(openai.NotFoundError, lambda: llm("nothing").chat(asked)))
    checks.once("429", lambda model: raised(openai.RateLimitError, lambda: llm(model).chat(asked)), "limited")
