"""The input items of a Responses request as chat messages. Pure functions over decoded JSON.

From https://platform.openai.com/docs/api-reference/responses/create to
https://platform.openai.com/docs/api-reference/chat/create.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from penstock.core.errors import Invalid
from penstock.gateway.dialects.chat_reading import bad
from penstock.gateway.dialects.responses_sealing import unseal

Item = Mapping[str, Any]
_encode = msgspec.json.Encoder().encode


def unsupported(message: str, param: str, hint: str = "") -> Invalid:
    """Return the error for what only a provider with the Responses API itself can do."""
    return Invalid(
        message,
        hint=hint or "Route this model to a provider that has the Responses API itself.",
        details={"param": param, "code": "unsupported_parameter"},
    )


def messages_of(given: Any, *, extensions: bool) -> list[dict[str, Any]]:
    """Return the chat messages for `input`; raises Invalid for what has no counterpart.

    `extensions` says whether the provider's side knows the members beside OpenAI's: thoughts, signatures, media in
    the results of tools, and addresses of files.
    """
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    if not isinstance(given, list) or not given:
        raise bad("input must be a string or a list of items.", "input")
    turns = _Turns(extensions)
    for index, item in enumerate(given):
        where = f"input[{index}]"
        if not isinstance(item, dict):
            raise bad(f"{where} must be an object.", where)
        turns.take(item, where)
    return turns.done()


class _Turns:
    """Chat messages being made of items: what a model says in one turn becomes one message."""

    def __init__(self, extensions: bool) -> None:
        self._extensions = extensions
        self._out: list[dict[str, Any]] = []
        self._open: dict[str, Any] | None = None
        """The assistant's message that items still go into."""
        self._media: list[dict[str, Any]] = []
        """Parts of results that chat's tool messages cannot hold: the user shows them afterwards."""

    def take(self, item: Item, where: str) -> None:
        """Add an item; raises Invalid."""
        kind = item.get("type") or ("message" if "role" in item else None)
        taker = _TAKERS.get(kind) if isinstance(kind, str) else None
        if taker is None:
            raise unsupported(
                f"{where} has the type {kind!r}, which this model's provider does not take.", f"{where}.type"
            )
        taker(self, item, where)

    def done(self) -> list[dict[str, Any]]:
        """Return the messages."""
        self._close()
        self._show()
        return self._out

    def _close(self) -> None:
        if self._open is not None:
            content = self._open["content"]
            if content is None and "tool_calls" not in self._open:
                self._open["content"] = ""
            elif isinstance(content, list) and len(content) == 1 and content[0]["type"] == "text":
                self._open["content"] = content[0]["text"]
        self._open = None

    def _show(self) -> None:
        if self._media:
            self._out.append({"role": "user", "content": self._media})
            self._media = []

    def _assistant(self) -> dict[str, Any]:
        self._show()
        if self._open is None:
            self._open = {"role": "assistant", "content": None}
            self._out.append(self._open)
        return self._open

    def message(self, item: Item, where: str) -> None:
        """Add a message of any role."""
        role = item.get("role")
        if role not in ("user", "assistant", "system", "developer"):
            raise bad(f"{where} has the role {role!r}, which is not known here.", f"{where}.role")
        parts = parts_of(item.get("content"), f"{where}.content", extensions=self._extensions)
        if role != "assistant":
            self._close()
            self._show()
            plain = len(parts) == 1 and parts[0] == {"type": "text", "text": parts[0].get("text")}
            self._out.append({"role": role, "content": parts[0]["text"] if plain else parts})
            return
        if self._open is not None and self._open["content"] and "tool_calls" not in self._open:
            self._close()  # two messages in a row stay two
        message = self._assistant()
        message["content"] = [*(message["content"] or []), *parts]
        if self._extensions and item.get("extra_content") is not None:
            message["extra_content"] = item["extra_content"]

    def call(self, item: Item, where: str) -> None:
        """Add a call of a function, or of a custom tool."""
        if not isinstance(item.get("name"), str) or not isinstance(item.get("call_id"), str):
            raise bad(f"{where} needs name and call_id.", where)
        arguments = item.get("arguments")
        if item["type"] == "custom_tool_call":
            arguments = _encode({"input": item.get("input") or ""}).decode()
        if not isinstance(arguments, str):
            raise bad(f"{where}.arguments must be a string.", f"{where}.arguments")
        function = {"name": item["name"], "arguments": arguments}
        made: dict[str, Any] = {"id": item["call_id"], "type": "function", "function": function}
        if self._extensions and item.get("extra_content") is not None:
            made["extra_content"] = item["extra_content"]
        self._assistant().setdefault("tool_calls", []).append(made)

    def result(self, item: Item, where: str) -> None:
        """Add what a tool gave back."""
        if not isinstance(item.get("call_id"), str):
            raise bad(f"{where} needs call_id.", f"{where}.call_id")
        self._close()
        output = item.get("output")
        if not isinstance(output, str):
            output = self._result(output, item["call_id"], f"{where}.output")
        self._out.append({"role": "tool", "tool_call_id": item["call_id"], "content": output})

    def _result(self, output: Any, call: str, where: str) -> Any:
        parts = parts_of(output, where, extensions=self._extensions)
        media = [part for part in parts if part["type"] != "text"]
        if media and self._extensions:
            return parts
        text = "".join(part["text"] for part in parts if part["type"] == "text")
        if media:
            self._media += [{"type": "text", "text": f"What the call {call} gave back:"}, *media]
            text = text or "The user shows the result next."
        return text

    def reasoning(self, item: Item, where: str) -> None:
        """Add thoughts, for providers that want them back."""
        texts = []
        for name in ("summary", "content"):
            parts = item.get(name) or []
            if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
                raise bad(f"{where}.{name} must be a list of parts.", f"{where}.{name}")
            texts += [str(part.get("text") or "") for part in parts]
        if not self._extensions:
            return  # chat completions take no thoughts back: the model thinks anew
        message = self._assistant()
        if text := "\n\n".join(texts):
            message["reasoning_content"] = message.get("reasoning_content", "") + text
        if blocks := unseal(item.get("encrypted_content")):
            message["thinking_blocks"] = [*message.get("thinking_blocks", ()), *blocks]

    def image(self, item: Item, where: str) -> None:
        """Add an image that the model made."""
        result = item.get("result")
        if not isinstance(result, str):
            raise bad(f"{where} needs the image itself, as result.", f"{where}.result")
        if not self._extensions:
            raise unsupported(f"{where} is an image by the model, which its provider does not take.", where)
        message = self._assistant()
        media = item.get("output_format") or "png"
        url = {"url": result if result.startswith("data:") else f"data:image/{media};base64,{result}"}
        message["content"] = [*(message["content"] or []), {"type": "image_url", "image_url": url}]

    def reference(self, item: Item, where: str) -> None:
        """Refuse a reference to what is stored elsewhere."""
        raise unsupported(
            f"{where} refers to the item {item.get('id')!r}, which is not stored here.",
            f"{where}.id",
            "Send the item itself, or previous_response_id.",
        )


_TAKERS: dict[str, Callable[[_Turns, Item, str], None]] = {
    "message": _Turns.message,
    "function_call": _Turns.call,
    "custom_tool_call": _Turns.call,
    "function_call_output": _Turns.result,
    "custom_tool_call_output": _Turns.result,
    "reasoning": _Turns.reasoning,
    "image_generation_call": _Turns.image,
    "item_reference": _Turns.reference,
}


def parts_of(content: Any, where: str, *, extensions: bool) -> list[dict[str, Any]]:
    """Return a content's parts as chat's; raises Invalid for what chat has no counterpart of."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not isinstance(content, list):
        raise bad(f"{where} must be a string or a list of parts.", where)
    return [_part(part, f"{where}[{index}]", extensions) for index, part in enumerate(content)]


def _part(part: Any, where: str, extensions: bool) -> dict[str, Any]:
    if not isinstance(part, dict):
        raise bad(f"{where} must be an object.", where)
    kind = part.get("type")
    if kind in ("input_text", "output_text", "text"):
        made: dict[str, Any] = {"type": "text", "text": str(part.get("text") or "")}
    elif kind == "refusal":
        made = {"type": "refusal", "refusal": str(part.get("refusal") or "")}
    elif kind == "input_image":
        made = _image(part, where)
    elif kind == "input_file":
        made = _file(part, where, extensions)
    elif kind == "input_audio":
        made = {"type": "input_audio", "input_audio": part.get("input_audio")}
    else:
        raise unsupported(f"{where} has the type {kind!r}, which this model's provider does not take.", where)
    if extensions and part.get("cache_control") is not None:
        made["cache_control"] = part["cache_control"]
    return made


def _image(part: Item, where: str) -> dict[str, Any]:
    url = part.get("image_url")
    if not isinstance(url, str) or not url:
        raise unsupported(
            f"{where} has no image_url, and this model's provider does not take images by file_id.",
            f"{where}.image_url",
            "Send the image as a URL or a data URL.",
        )
    image = {"url": url}
    if isinstance(part.get("detail"), str):
        image["detail"] = part["detail"]
    return {"type": "image_url", "image_url": image}


def _file(part: Item, where: str, extensions: bool) -> dict[str, Any]:
    file = {name: part[name] for name in ("file_id", "file_data", "filename") if part.get(name) is not None}
    url = part.get("file_url")
    if isinstance(url, str) and url:
        if not extensions:
            raise unsupported(
                f"{where} is a file by address, which chat completions do not take.",
                f"{where}.file_url",
                "Send the file itself, as file_data.",
            )
        file["file_data"] = url
    if "file_id" not in file and "file_data" not in file:
        raise bad(f"{where} needs file_data, file_url or file_id.", where)
    return {"type": "file", "file": file}
