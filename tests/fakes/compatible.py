"""A server that speaks OpenAI's chat API with the quirks of one of those that resemble it; see `script`."""

from collections.abc import Iterable
from typing import Any

from tests.fakes import openai as fake_openai
from tests.fakes.server import END, Received, ScriptedServer, Step, answer, chunk, stream_head

THOUGHTS = ["Well, ", "let me see."]
FORBIDDEN = {
    "mistral": ("max_completion_tokens", "seed", "stream_options", "user", "store"),
    "groq": ("logprobs", "logit_bias", "top_logprobs"),
    "cerebras": (
        "frequency_penalty",
        "logit_bias",
        "presence_penalty",
        "parallel_tool_calls",
        "service_tier",
    ),
}
ROLES = {"deepseek": ("system", "user", "assistant", "tool")}


def complaint(model: str, asked: dict[str, Any]) -> str:
    """Return what the server named as the model would say to a request, or nothing."""
    for name in FORBIDDEN.get(model, ()):
        if name in asked:
            return f"{name}: Extra inputs are not permitted"
    for message in asked["messages"]:
        if message["role"] not in ROLES.get(model, (message["role"],)):
            return f"unknown variant `{message['role']}`"
    return ""


def script(request: Received) -> Iterable[Step]:
    """Answer as the server that the model is named after; thoughts come as `reasoning`."""
    asked = request.json
    model = asked["model"]
    why = complaint(model, asked)
    if why:
        yield fake_openai.error(422, why)
    elif asked.get("stream"):
        yield stream_head()
        made = fake_openai.chat_events(asked)
        thoughts = [fake_openai.event(f"{model}-2026", {"reasoning": each}) for each in THOUGHTS]
        yield from (chunk(each) for each in [made[0], *thoughts, *made[1:]])
        yield END
    else:
        message = {"role": "assistant", "content": "".join(fake_openai.WORDS), "reasoning": "".join(THOUGHTS)}
        yield answer(fake_openai.completion(f"{model}-2026", message))


class CompatibleUpstream(ScriptedServer):
    """A compatible server for any test; wants no key."""

    def __init__(self) -> None:
        super().__init__(script)
