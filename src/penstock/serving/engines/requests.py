"""Reading OpenAI-shaped requests for engines of ours. What they cannot do is refused, never ignored."""

from typing import Any

import msgspec

from penstock.serving.engines.generation import Refused, Sampling

_DEFAULT_TOKENS = {"chat": 512, "completions": 16}
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "best_of": (1,),
    "logprobs": (False,),
    "echo": (False,),
    "suffix": ("",),
    "logit_bias": ({},),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "response_format": ({"type": "text"},),
    "audio": (),
    "modalities": (["text"],),
}
"""Members that these engines do not act on → the values that ask for nothing."""


class Asked(msgspec.Struct):
    """The members that are acted on (OpenAI API reference, chat completions and completions)."""

    model: str | None = None
    messages: list[dict[str, Any]] | None = None
    prompt: str | list[str] | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None

    @property
    def include_usage(self) -> bool:
        """Whether a stream shall end with the usage."""
        return bool((self.stream_options or {}).get("include_usage"))


def read(body: bytes) -> Asked:
    """Return the request; raises Refused for what is not JSON, of a wrong type, or not supported."""
    try:
        asked = msgspec.json.decode(body, type=Asked)
        everything = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(f"The request cannot be read: {error}") from error
    for name, neutral in _NEUTRAL.items():
        value = everything.get(name)
        if value is not None and value not in neutral:
            raise Refused(f"This engine does not support {name}={msgspec.json.encode(value).decode()[:100]}.")
    return asked


def sampling(asked: Asked, shape: str, most: int) -> Sampling:
    """Return how to choose tokens; `most` is the most tokens an answer may have. Raises Refused."""
    wanted = asked.max_completion_tokens if asked.max_completion_tokens is not None else asked.max_tokens
    stops = [asked.stop] if isinstance(asked.stop, str) else asked.stop or []
    found = Sampling(
        max_tokens=min(_DEFAULT_TOKENS[shape] if wanted is None else wanted, most),
        temperature=1.0 if asked.temperature is None else asked.temperature,
        top_p=1.0 if asked.top_p is None else asked.top_p,
        top_k=0 if asked.top_k is None else max(0, asked.top_k),
        seed=asked.seed,
        stop=tuple(stops),
    )
    if found.max_tokens < 1:
        raise Refused("max_tokens must be at least 1.")
    if not 0 <= found.temperature <= 2:
        raise Refused("temperature must be between 0 and 2.")
    if not 0 < found.top_p <= 1:
        raise Refused("top_p must be above 0 and at most 1.")
    return found


def messages(asked: Asked) -> list[dict[str, str]]:
    """Return the messages with their content as text; raises Refused for images, audio and missing members."""
    if not asked.messages:
        raise Refused("messages is missing.")
    return [{**message, "role": _role(message), "content": _content(message)} for message in asked.messages]


def _role(message: dict[str, Any]) -> str:
    role = message.get("role")
    if not isinstance(role, str):
        raise Refused("Every message needs a role.")
    return role


def _content(message: dict[str, Any]) -> str:
    content = message.get("content")
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        raise Refused("content must be a string or a list of parts.")
    for part in content:
        if not isinstance(part, dict) or part.get("type") != "text":
            kind = part.get("type") if isinstance(part, dict) else type(part).__name__
            raise Refused(f"This engine reads text only, not {kind}.")
    return "".join(str(part.get("text", "")) for part in content)


def prompt(asked: Asked) -> str:
    """Return the prompt of a completion; raises Refused unless there is exactly one."""
    if isinstance(asked.prompt, list) and len(asked.prompt) == 1:
        return asked.prompt[0]
    if not isinstance(asked.prompt, str):
        raise Refused("prompt must be one string.")
    return asked.prompt
