"""langchain-openai."""

import openai
from checks import TEXT, Checks, equal, raised, true
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel


class City(BaseModel):
    """Where it is."""

    city: str


@tool
def weather(city: str) -> str:
    """Return the weather."""
    return f"-4 in {city}"


with Checks("langchain-openai", "langchain-core") as checks:

    def llm(model: str, **more: object) -> ChatOpenAI:
        return ChatOpenAI(model=model, base_url=checks.v1, api_key=checks.key, max_retries=0, **more)

    def plain(model: str) -> None:
        answer = llm(model).invoke("How cold is Oslo?")
        equal(answer.content, TEXT)
        true(answer.usage_metadata["input_tokens"])

    def stream(model: str) -> None:
        chunks = list(llm(model, stream_usage=True).stream("How cold is Oslo?"))
        equal("".join(each.content for each in chunks), TEXT)
        true(any(each.usage_metadata for each in chunks))

    def tools(model: str) -> None:
        bound = llm(model).bind_tools([weather])
        asked = [HumanMessage("How cold is Oslo?")]
        first = bound.invoke(asked)
        equal(first.tool_calls[0]["args"], {"city": "Oslo"})
        back = [*asked, first, ToolMessage("-4", tool_call_id=first.tool_calls[0]["id"])]
        equal(bound.invoke(back).content, TEXT)

    def streamed_tools(model: str) -> None:
        bound = llm(model).bind_tools([weather], tool_choice="any")
        whole = None
        for each in bound.stream("How cold is Oslo?"):
            whole = each if whole is None else whole + each
        equal(whole.tool_calls[0]["args"], {"city": "Oslo"})

    def structured(model: str) -> None:
        for method in ("json_schema", "function_calling"):
            equal(llm(model).with_structured_output(City, method=method).invoke("Where?"), City(city="Oslo"))

    def responses(model: str) -> None:
        answer = llm(model, use_responses_api=True, store=False).invoke("How cold is Oslo?")
        equal(answer.text if isinstance(answer.text, str) else answer.text(), TEXT)

    def embeddings(model: str) -> None:
        made = OpenAIEmbeddings(
            model=model, base_url=checks.v1, api_key=checks.key, check_embedding_ctx_length=False
        )
        equal(made.embed_documents(["a", "b"])[1][:3], [0.5, -1.5, 3.0])

    checks.each("chat", plain)
    checks.each("stream", stream)
    checks.each("tools", tools)
    checks.each("streamed tools", streamed_tools)
    checks.each("structured", structured)
    checks.each("responses", responses)
    checks.each("embeddings", embeddings, ("embed-oa", "embed-ge"))
    checks.once("404", lambda model: raised(openai.NotFoundError, lambda: llm("nothing").invoke("Hello")))
    checks.once(
        "429", lambda model: raised(openai.RateLimitError, lambda: llm(model).invoke("Hello")), "limited"
    )
