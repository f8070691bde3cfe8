"""Anthropic's messages as a chat request's: content blocks as parts, tool results as messages. Pure.

From https://docs.anthropic.com/en/api/messages to https://platform.openai.com/docs/api-reference/chat/create.
"""

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from penstock.gateway.dialects.chat_reading import bad, refused

WHOM = "this model's provider"
ERROR = "Error: "
"""What a tool's failure begins with where there is no other way to tell it."""

Part = dict[str, Any]


class BlockReader:
    """Translates blocks. `extensions` says whether the messages go on to a dialect that knows more than OpenAI does.

    Without it, cache points (OpenAI's servers keep prompts by themselves) and thoughts of earlier turns (they take
    none back) are left out unless `takes` names `cache_control` or `reasoning_content`; failures of tools are told
    in words, and images of tools follow in a user message.
    """

    def __init__(self, *, extensions: bool, drop: bool, takes: Collection[str] = ()) -> None:
        self._extensions = extensions
        self._drop = drop
        self._cached = extensions or "cache_control" in takes
        self._thoughts = extensions or "reasoning_content" in takes

    # -- texts ---------------------------------------------------------------------------------------------

    def cached(self, part: Part, block: Mapping[str, Any]) -> Part:
        """Return the part with the block's cache point."""
        control = block.get("cache_control")
        return part if control is None or not self._cached else part | {"cache_control": control}

    def texts(self, content: Any, where: str, between: str) -> Any:
        """Return text blocks as one string, or as parts when one has a cache point."""
        if isinstance(content, str):
            return content
        parts = []
        for index, block in enumerate(self._blocks(content, where)):
            if block.get("type") != "text":
                raise _unknown(block, f"{where}[{index}]")
            parts.append(self._text(block))
        return self._joined(parts, between)

    def _text(self, block: Mapping[str, Any]) -> Part:
        return self.cached({"type": "text", "text": str(block.get("text") or "")}, block)

    @staticmethod
    def _joined(parts: list[Part], between: str) -> Any:
        if any(part["type"] != "text" or "cache_control" in part for part in parts):
            return parts
        return between.join(part["text"] for part in parts)

    @staticmethod
    def _blocks(content: Any, where: str) -> list[dict[str, Any]]:
        if not isinstance(content, list) or not all(isinstance(block, dict) for block in content):
            raise bad(f"{where} must be a string or a list of blocks.", where)
        return content

    # -- turns ---------------------------------------------------------------------------------------------

    def message(self, message: Any, where: str) -> list[dict[str, Any]]:
        """Return the chat messages for one message."""
        role = message.get("role") if isinstance(message, dict) else None
        if role not in ("user", "assistant", "system"):
            raise bad(f"{where} must have the role user, assistant or system.", f"{where}.role")
        content, place = message.get("content"), f"{where}.content"
        if role == "system":
            return [{"role": role, "content": self.texts(content, place, "\n\n")}]
        if isinstance(content, str):
            return [{"role": role, "content": content}]
        blocks = self._blocks(content, place)
        return self._assistant(blocks, place) if role == "assistant" else self._user(blocks, place)

    def _assistant(self, blocks: list[dict[str, Any]], where: str) -> list[dict[str, Any]]:
        parts: list[Part] = []
        thoughts: list[dict[str, Any]] = []
        calls: list[dict[str, Any]] = []
        for index, block in enumerate(blocks):
            kind = block.get("type")
            if kind == "text":
                parts.append(self._text(block))
            elif kind in ("thinking", "redacted_thinking"):
                thoughts.append(block)
            elif kind == "tool_use":
                calls.append(self._call(block))
            else:
                raise _unknown(block, f"{where}[{index}]")
        message: dict[str, Any] = {"role": "assistant", "content": self._joined(parts, "") or None}
        if self._thoughts and thoughts:
            message |= _thoughts(thoughts, sealed=self._extensions)
        if calls:
            message["tool_calls"] = calls
        elif message["content"] is None:
            message["content"] = ""
        return [message]

    def _call(self, block: Mapping[str, Any]) -> dict[str, Any]:
        arguments = msgspec.json.encode(block.get("input") or {}).decode()
        function = {"name": block.get("name"), "arguments": arguments}
        return self.cached({"id": block.get("id"), "type": "function", "function": function}, block)

    def _user(self, blocks: list[dict[str, Any]], where: str) -> list[dict[str, Any]]:
        results: list[dict[str, Any]] = []
        parts: list[Part] = []
        count = 0
        for index, block in enumerate(blocks):
            place = f"{where}[{index}]"
            if block.get("type") == "tool_result":
                message, beside = self._result(block, place)
                results.append(message)
                parts[count:count] = beside
                count += len(beside)
            else:
                parts += self._parts(block, place)
        if len(parts) == 1 and parts[0]["type"] == "text" and "cache_control" not in parts[0]:
            return [*results, {"role": "user", "content": parts[0]["text"]}]
        return [*results, {"role": "user", "content": parts}] if parts or not results else results

    def _result(self, block: Mapping[str, Any], where: str) -> tuple[dict[str, Any], list[Part]]:
        """Return a tool's message, and the parts of a user message for what the tool's own cannot hold."""
        given = block.get("content")
        content: Any = given or ""
        beside: list[Part] = []
        if not isinstance(content, str):
            blocks = self._blocks(content, f"{where}.content")
            parts = [
                part
                for index, inner in enumerate(blocks)
                for part in self._parts(inner, f"{where}.content[{index}]")
            ]
            if not self._extensions:
                beside = [part for part in parts if part["type"] != "text"]
                parts = [part for part in parts if part["type"] == "text"]
            content = self._joined(parts, "\n\n")
        if beside:
            beside.insert(0, {"type": "text", "text": f"What the tool call {block.get('tool_use_id')} gave:"})
            content = content or "What it gave follows."
        message = {"role": "tool", "tool_call_id": block.get("tool_use_id"), "content": content}
        if block.get("is_error") and self._extensions:
            message["is_error"] = True
        elif block.get("is_error"):
            message["content"] = (
                [{"type": "text", "text": ERROR}, *content] if isinstance(content, list) else ERROR + content
            )
        return self.cached(message, block), beside

    # -- parts ---------------------------------------------------------------------------------------------

    def _parts(self, block: Mapping[str, Any], where: str) -> list[Part]:
        kind = block.get("type")
        if kind == "text":
            return [self._text(block)] if block.get("text") else []
        if kind == "image":
            url = _url(block.get("source"), f"{where}.source")
            return [self.cached({"type": "image_url", "image_url": {"url": url}}, block)]
        if kind == "document":
            return self._document(block, where)
        if kind == "search_result":
            self._no_citations(block, where)
            text = self.texts(block.get("content") or "", f"{where}.content", "\n")
            if not isinstance(text, str):
                text = "\n".join(part["text"] for part in text)
            shown = f"{block.get('title')}\n{block.get('source')}\n\n{text}"
            return [self.cached({"type": "text", "text": shown}, block)]
        raise _unknown(block, where)

    def _no_citations(self, block: Mapping[str, Any], where: str) -> None:
        wanted = block.get("citations")
        if isinstance(wanted, dict) and wanted.get("enabled") and not self._drop:
            raise refused(f"{where}.citations", WHOM, "it cites nothing")

    def _document(self, block: Mapping[str, Any], where: str) -> list[Part]:
        self._no_citations(block, where)
        source = block.get("source")
        kind = source.get("type") if isinstance(source, dict) else None
        head = "\n".join(str(block[name]) for name in ("title", "context") if block.get(name))
        if isinstance(source, dict) and kind == "text":
            # Any model reads text, and few take it as a file.
            text = f"{head}\n\n{source.get('data') or ''}" if head else str(source.get("data") or "")
            return [self.cached({"type": "text", "text": text}, block)]
        parts: list[Part] = [{"type": "text", "text": head}] if block.get("context") else []
        if isinstance(source, dict) and kind == "content":
            return parts + self._inner(source.get("content"), f"{where}.source.content")
        if kind == "url" and not self._extensions:
            raise refused(f"{where}.source", WHOM, "it fetches no documents: send the bytes in base64")
        file = {
            "filename": block.get("title") or "document.pdf",
            "file_data": _url(source, f"{where}.source"),
        }
        return [*parts, self.cached({"type": "file", "file": file}, block)]

    def _inner(self, content: Any, where: str) -> list[Part]:
        if isinstance(content, str):
            return [{"type": "text", "text": content}]
        blocks = self._blocks(content, where)
        return [
            part for index, block in enumerate(blocks) for part in self._parts(block, f"{where}[{index}]")
        ]


def _thoughts(blocks: list[dict[str, Any]], *, sealed: bool) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if told := "".join(str(block.get("thinking") or "") for block in blocks):
        out["reasoning_content"] = told
    if sealed and any(block.get("signature") or block.get("data") for block in blocks):
        out["thinking_blocks"] = blocks
    return out


def _unknown(block: Mapping[str, Any], where: str) -> Exception:
    return bad(f"{where} has the type {block.get('type')!r}, which {WHOM} does not take.", where)


def _url(source: Any, where: str) -> str:
    kind = source.get("type") if isinstance(source, dict) else None
    if kind == "base64":
        return f"data:{source.get('media_type')};base64,{source.get('data')}"
    if kind == "url" and isinstance(source.get("url"), str):
        return str(source["url"])
    if kind == "file":
        raise bad(f"{where} is a file kept by Anthropic: send its content.", where)
    raise bad(f"{where} must be base64 or a URL.", where)
