"""Writing a Response, whole or as its stream of events, out of what a model says piece by piece.

Shapes: https://platform.openai.com/docs/api-reference/responses/object and …/responses-streaming. Thoughts become
summaries, for that is what callers show; see `responses_sealing` for those that only their provider can read.
"""

from typing import Any

import msgspec

from penstock.core import clock
from penstock.core.errors import Upstream
from penstock.core.ids import new_id
from penstock.gateway.dialects.base import Fault
from penstock.gateway.dialects.responses_pieces import Item, custom_call, usage_json
from penstock.gateway.dialects.responses_sealing import seal
from penstock.gateway.model import Usage

MAX_CHARACTERS = 16 * 1024 * 1024
INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Chat's finish_reason → why a Response is incomplete; with any other it is complete."""
ERROR_CODES = ("rate_limit_exceeded", "invalid_prompt")
"""Codes of failed Responses that are more than `server_error`; those about images belong to OpenAI's own tools."""
_encode = msgspec.json.Encoder().encode


def seconds() -> int:
    """Return the time as OpenAI writes it."""
    return clock.now_ns() // 1_000_000_000


class _Part:
    """A part of a message, or of a summary, being written."""

    __slots__ = ("body", "index", "text")

    def __init__(self, body: Item, index: int) -> None:
        self.body = body
        self.index = index
        self.text: list[str] = []


class _Open:
    """An item being written."""

    __slots__ = ("blocks", "fresh", "index", "item", "part", "shown", "text")

    def __init__(self, item: Item, index: int) -> None:
        self.item = item
        self.index = index
        self.part: _Part | None = None
        self.text: list[str] = []
        """Arguments of a call."""
        self.shown = False
        """Whether callers know of it."""
        self.fresh: list[str] = []
        """What was thought since the last block."""
        self.blocks: list[dict[str, Any]] = []


class ResponseWriter:
    """Takes what a model says, piece by piece. Each method returns the events for it, none when not `streamed`."""

    def __init__(
        self,
        model: str,
        *,
        echo: dict[str, Any],
        customs: frozenset[str] = frozenset(),
        streamed: bool = True,
    ) -> None:
        """`echo` are the members that repeat the request, `customs` the names of its custom tools."""
        self._streamed = streamed
        self._customs = customs
        self._number = 0
        self._room = MAX_CHARACTERS
        self._items: list[Item] = []
        self._open: _Open | None = None
        """The message or the thoughts being written."""
        self._calls: dict[int, _Open] = {}
        self.response: dict[str, Any] = {
            "id": new_id("resp"),
            "object": "response",
            "created_at": seconds(),
            "status": "in_progress",
            "completed_at": None,
            "error": None,
            "incomplete_details": None,
            "model": model,
            "output": [],
            "usage": None,
            **echo,
        }
        self.started = False
        self.ended = False

    # -- events --------------------------------------------------------------------------------------------

    def _event(self, kind: str, **members: Any) -> bytes:
        if not self._streamed:
            return b""
        body = {"type": kind, "sequence_number": self._number, **members}
        self._number += 1
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), _encode(body))

    def start(self) -> bytes:
        """Begin the Response."""
        self.started = True
        created = self._event("response.created", response=self.response)
        return created + self._event("response.in_progress", response=self.response)

    def finish(self, reason: str | None, usage: Usage | None) -> bytes:
        """End the Response for chat's finish_reason `reason`."""
        cut = INCOMPLETE.get(reason or "")
        status = "completed" if cut is None else "incomplete"
        out = self._close(status) + b"".join(
            [self._close_call(call, status) for call in self._calls.values()]
        )
        self._calls = {}
        self.ended = True
        self.response |= {
            "status": status,
            "completed_at": seconds() if cut is None else None,
            "incomplete_details": None if cut is None else {"reason": cut},
            "output": self._items,
            "usage": None if usage is None else usage_json(usage),
        }
        return out + self._event(f"response.{status}", response=self.response)

    def fail(self, fault: Fault, usage: Usage | None) -> bytes:
        """End the Response with an error; nothing when it has not begun, or has ended."""
        if self.ended or not self.started:
            return b""
        self.response = self.so_far() | {
            "status": "failed",
            "error": {
                "code": fault.code if fault.code in ERROR_CODES else "server_error",
                "message": fault.message,
            },
            "usage": None if usage is None else usage_json(usage),
        }
        self.ended = True
        return self._event("response.failed", response=self.response)

    def so_far(self) -> dict[str, Any]:
        """Return the Response with everything said until now."""
        if self.ended:
            return self.response
        opened = [*([self._open] if self._open else ()), *self._calls.values()]
        unfinished = {each.index: self._filled(each, "incomplete") for each in opened}
        items = [unfinished.get(index, item) for index, item in enumerate(self._items)]
        return self.response | {"output": items}

    # -- items ---------------------------------------------------------------------------------------------

    def _add(self, prefix: str, item: Item) -> _Open:
        index = len(self._items)
        identity = f"{prefix}_{self.response['id'].removeprefix('resp_')}{index:02x}"
        made = _Open({"id": identity, **item}, index)
        self._items.append(made.item)
        return made

    def _show(self, opened: _Open) -> bytes:
        opened.shown = True
        return self._event("response.output_item.added", output_index=opened.index, item=opened.item)

    def _opened(self, kind: str) -> tuple[_Open, bytes]:
        """Return the open item of a kind: the one being written, or a new one."""
        if self._open is not None and self._open.item["type"] == kind:
            return self._open, b""
        out = self._close("completed")
        if kind == "message":
            item: Item = {"type": kind, "status": "in_progress", "role": "assistant", "content": []}
            self._open = self._add("msg", item)
        else:
            self._open = self._add("rs", {"type": kind, "summary": []})
        return self._open, out + self._show(self._open)

    def _fits(self, text: str) -> None:
        self._room -= len(text)
        if self._room < 0:
            raise Upstream("The provider's answer is longer than 16 Mi characters.")

    @staticmethod
    def _place(opened: _Open) -> dict[str, Any]:
        return {"item_id": opened.item["id"], "output_index": opened.index}

    def _part_place(self, opened: _Open, part: _Part) -> dict[str, Any]:
        name = "summary_index" if opened.item["type"] == "reasoning" else "content_index"
        return self._place(opened) | {name: part.index}

    def _part(self, opened: _Open, empty: Item) -> tuple[_Part, bytes]:
        """Return the open part of a type: the one being written, or a new one."""
        if opened.part is not None and opened.part.body["type"] == empty["type"]:
            return opened.part, b""
        out = self._close_part(opened)
        reasoning = opened.item["type"] == "reasoning"
        parts = opened.item["summary" if reasoning else "content"]
        opened.part = _Part(empty, len(parts))
        kind = "reasoning_summary_part" if reasoning else "content_part"
        place = self._part_place(opened, opened.part)
        return opened.part, out + self._event(f"response.{kind}.added", **place, part=empty)

    # -- what is said --------------------------------------------------------------------------------------

    def thought(self, text: str) -> bytes:
        """Add to the thoughts."""
        self._fits(text)
        opened, out = self._opened("reasoning")
        part, begun = self._part(opened, {"type": "summary_text", "text": ""})
        part.text.append(text)
        opened.fresh.append(text)
        place = self._part_place(opened, part)
        return out + begun + self._event("response.reasoning_summary_text.delta", **place, delta=text)

    def block(self, block: dict[str, Any]) -> bytes:
        """Add a block of thoughts with its signature, or a sealed one. One without text signs what came before."""
        opened, out = self._opened("reasoning")
        if block.get("type") == "thinking":
            block = block | {"thinking": block.get("thinking") or "".join(opened.fresh)}
            opened.fresh = []
        opened.blocks.append(block)
        return out

    def text(self, text: str, logprobs: list[Any] | None = None) -> bytes:
        """Add to the text."""
        self._fits(text)
        opened, out = self._opened("message")
        empty: Item = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        part, begun = self._part(opened, empty)
        part.text.append(text)
        part.body["logprobs"] = [*part.body["logprobs"], *logprobs] if logprobs else part.body["logprobs"]
        if not text:
            return out + begun
        place = self._part_place(opened, part)
        return (
            out
            + begun
            + self._event("response.output_text.delta", **place, delta=text, logprobs=logprobs or [])
        )

    def annotate(self, annotations: list[Any]) -> bytes:
        """Add annotations to the text."""
        out = self.text("")
        opened = self._open
        assert opened is not None and opened.part is not None
        place, known = self._part_place(opened, opened.part), opened.part.body["annotations"]
        for annotation in annotations:
            number = {"annotation_index": len(known), "annotation": annotation}
            known = opened.part.body["annotations"] = [*known, annotation]
            out += self._event("response.output_text.annotation.added", **place, **number)
        return out

    def refuse(self, text: str) -> bytes:
        """Add to the refusal."""
        self._fits(text)
        opened, out = self._opened("message")
        part, begun = self._part(opened, {"type": "refusal", "refusal": ""})
        part.text.append(text)
        place = self._part_place(opened, part)
        return out + begun + self._event("response.refusal.delta", **place, delta=text)

    def carry(self, name: str, value: Any) -> bytes:
        """Have the message carry a member that OpenAI does not know."""
        opened, out = self._opened("message")
        opened.item[name] = value
        return out

    def image(self, data: str, media: str) -> bytes:
        """Add an image (base64) that the model made."""
        self._fits(data)
        out = self._close("completed")
        item = {
            "type": "image_generation_call",
            "status": "completed",
            "result": data,
            "output_format": media,
        }
        made = self._add("ig", item)
        return out + self._show(made) + self._done(made)

    def call(self, index: int, call: dict[str, Any]) -> bytes:
        """Add to the tool call that chat counts as `index`."""
        function = call.get("function") or {}
        name, arguments = function.get("name") or "", function.get("arguments") or ""
        self._fits(arguments)
        out = b""
        opened = self._calls.get(index)
        if opened is None:
            out = self._close("completed")
            opened = self._calls[index] = self._add("fc", {"type": "function_call", "status": "in_progress"})
            opened.item |= {"call_id": call.get("id") or new_id("call"), "name": "", "arguments": ""}
        opened.item["name"] += name
        if call.get("extra_content") is not None:
            opened.item["extra_content"] = call["extra_content"]
        if not opened.shown and opened.item["name"] and opened.item["name"] not in self._customs:
            out += self._show(opened) + self._argue(opened, "".join(opened.text))
        opened.text.append(arguments)
        return out + (self._argue(opened, arguments) if opened.shown else b"")

    def _argue(self, opened: _Open, text: str) -> bytes:
        if not text:
            return b""
        return self._event("response.function_call_arguments.delta", **self._place(opened), delta=text)

    # -- ends ----------------------------------------------------------------------------------------------

    def _done(self, opened: _Open) -> bytes:
        return self._event("response.output_item.done", output_index=opened.index, item=opened.item)

    def _close(self, status: str) -> bytes:
        opened, self._open = self._open, None
        if opened is None:
            return b""
        out = self._close_part(opened)
        opened.item = self._items[opened.index] = self._filled(opened, status)
        return out + self._done(opened)

    def _filled(self, opened: _Open, status: str) -> Item:
        """Return the item as far as it has come."""
        item = dict(opened.item)
        if item["type"] == "reasoning":
            item["summary"] = [*item["summary"], *self._last(opened)]
            return item | ({"encrypted_content": seal(opened.blocks)} if opened.blocks else {})
        if item["type"] == "message":
            return item | {"status": status, "content": [*item["content"], *self._last(opened)]}
        item |= {"status": status, "arguments": "".join(opened.text)}
        return custom_call(item) if item["name"] in self._customs else item

    @staticmethod
    def _last(opened: _Open) -> list[Item]:
        part = opened.part
        if part is None:
            return []
        name = "refusal" if part.body["type"] == "refusal" else "text"
        return [part.body | {name: "".join(part.text)}]

    def _close_part(self, opened: _Open) -> bytes:
        part = opened.part
        if part is None:
            return b""
        whole = self._last(opened)[0]
        place, kind = self._part_place(opened, part), whole["type"]
        reasoning = kind == "summary_text"
        name = "summary" if reasoning else "content"
        opened.item[name] = [*opened.item[name], whole]
        opened.part = None
        if kind == "refusal":
            out = self._event("response.refusal.done", **place, refusal=whole["refusal"])
        elif reasoning:
            out = self._event("response.reasoning_summary_text.done", **place, text=whole["text"])
        else:
            logprobs = whole["logprobs"]
            out = self._event("response.output_text.done", **place, text=whole["text"], logprobs=logprobs)
        ended = "reasoning_summary_part" if reasoning else "content_part"
        return out + self._event(f"response.{ended}.done", **place, part=whole)

    def _close_call(self, opened: _Open, status: str) -> bytes:
        item = self._items[opened.index] = self._filled(opened, status)
        if item["type"] == "function_call":
            out = b"" if opened.shown else self._show(opened) + self._argue(opened, item["arguments"])
            opened.item, place = item, self._place(opened)
            told = {"name": item["name"], "arguments": item["arguments"]}
            return (
                out
                + self._event("response.function_call_arguments.done", **place, **told)
                + self._done(opened)
            )
        opened.item = item | {"status": "in_progress", "input": ""}
        out, place, text = self._show(opened), self._place(opened), item["input"]
        opened.item = item
        out += self._event("response.custom_tool_call_input.delta", **place, delta=text)
        return (
            out
            + self._event("response.custom_tool_call_input.done", **place, input=text)
            + self._done(opened)
        )
