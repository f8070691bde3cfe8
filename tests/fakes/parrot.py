"""A provider of the OpenAI, Anthropic and Gemini families that says what it was told to say, in pieces."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from tests.fakes import anthropic, gemini, openai
from tests.fakes.server import END, Received, ScriptedServer, Step, answer, chunk, stream_head


class Parrot(ScriptedServer):
    """`pieces` are what it says, `tool` what it calls instead."""

    def __init__(self) -> None:
        super().__init__(self._script)
        self.pieces: Sequence[str] = ("Hello", " there")
        self.tool: tuple[str, str] | None = None
        """Name and JSON arguments (chat completions only)."""
        self.pause = 0.0
        """Seconds between pieces of a stream."""

    @property
    def providers(self) -> dict[str, Any]:
        """Configuration of a provider per family: `oa`, `an` and `ge`."""
        return {
            "oa": {"kind": "openai", "base_url": f"{self.url}/v1", "api_key": openai.KEY},
            "an": {"kind": "anthropic", "base_url": self.url, "api_key": anthropic.KEY},
            "ge": {"kind": "gemini", "base_url": self.url, "api_key": gemini.KEY},
        }

    @property
    def heard(self) -> str:
        """The last request, as text."""
        return self.requests[-1].body.decode()

    def _script(self, request: Received) -> Iterable[Step]:
        if request.path.endswith("/chat/completions"):
            yield from self._chat(request.json)
        elif request.path.endswith("/messages"):
            yield from self._messages(request.json)
        else:
            yield from self._generate(request.path)

    def _chat(self, body: dict[str, Any]) -> Iterable[Step]:
        model = body["model"]
        message: dict[str, Any] = {"role": "assistant", "content": "".join(self.pieces), "refusal": None}
        end = "stop"
        if self.tool is not None:
            name, arguments = self.tool
            call = {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}
            message |= {"content": None, "tool_calls": [call]}
            end = "tool_calls"
        if not body.get("stream"):
            yield answer(openai.completion(model, message, end))
            return
        yield stream_head()
        yield chunk(openai.event(model, {"role": "assistant", "content": ""}))
        if self.tool is None:
            for piece in self.pieces:
                yield chunk(openai.event(model, {"content": piece}))
                yield self.pause
        else:
            calls = [{"index": 0, **message["tool_calls"][0]}]
            yield chunk(openai.event(model, {"tool_calls": calls}))
        yield chunk(openai.event(model, {}, end))
        yield chunk(openai.event(model, None, usage=openai.USAGE))
        yield chunk(b"data: [DONE]\n\n") + END

    def _messages(self, body: dict[str, Any]) -> Iterable[Step]:
        text = {"type": "text", "text": "".join(self.pieces)}
        if not body.get("stream"):
            yield answer(anthropic.message(body["model"], [text], "end_turn"))
            return
        event = anthropic.event
        start = anthropic.message(body["model"], [], "") | {"stop_reason": None}
        yield stream_head()
        yield chunk(event("message_start", message=start))
        yield chunk(event("content_block_start", index=0, content_block=text | {"text": ""}))
        for piece in self.pieces:
            yield chunk(event("content_block_delta", index=0, delta={"type": "text_delta", "text": piece}))
            yield self.pause
        yield chunk(event("content_block_stop", index=0))
        end = {"stop_reason": "end_turn", "stop_sequence": None}
        yield chunk(event("message_delta", delta=end, usage={"output_tokens": 11}))
        yield chunk(event("message_stop")) + END

    def _generate(self, path: str) -> Iterable[Step]:
        if "streamGenerateContent" not in path:
            yield answer(msgspec.json.encode(gemini.response([{"text": "".join(self.pieces)}])))
            return
        yield stream_head()
        for at, piece in enumerate(self.pieces, 1):
            last = "STOP" if at == len(self.pieces) else None
            yield chunk(gemini.sse(gemini.response([{"text": piece}], last)))
            yield self.pause
        yield END
