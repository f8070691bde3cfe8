"""Three providers with one model that does what it is asked: calls the tool, keeps to the schema, or says `TEXT`.

Unlike tests/fakes, it answers in words once it has a tool's result, so that whole agents come to an end.
"""

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from tests.fakes import anthropic, gemini, openai
from tests.fakes.server import END, Received, ScriptedServer, Step, answer, chunk, stream_head

TEXT = "It is cold in Oslo."
ARGUMENTS = '{"city": "Oslo"}'
MARKED = "[[ ## answer ## ]]\nOslo\n\n[[ ## completed ## ]]"
"""What DSPy's prompts ask for."""


def said(body: dict[str, Any], schema: Any) -> str:
    """Return the model's words."""
    if schema:
        return ARGUMENTS
    return MARKED if b"[[ ## completed ## ]]" in msgspec.json.encode(body) else TEXT


def parts(text: str) -> list[str]:
    """Return `text` in the pieces that a stream brings."""
    return re.findall(r".{1,6}", text, re.DOTALL)


def _openai_tool(body: dict[str, Any]) -> str | None:
    tools = [tool["function"]["name"] for tool in body.get("tools") or ()]
    choice = body.get("tool_choice")
    if not tools or choice == "none" or (body["messages"][-1]["role"] == "tool" and choice != "required"):
        return None
    return choice["function"]["name"] if isinstance(choice, dict) else tools[0]


def openai_script(request: Received) -> Iterable[Step]:
    """Answer chat completions and leave the rest to tests/fakes."""
    if not request.path.endswith("/chat/completions") or request.json["model"] != "client":
        yield from openai.script(request)
        return
    body = request.json
    tool = _openai_tool(body)
    call = {"id": "call_1", "type": "function", "function": {"name": tool, "arguments": ARGUMENTS}}
    text = said(body, (body.get("response_format") or {}).get("type", "text") != "text")
    if not body.get("stream"):
        message = {"role": "assistant", "content": None if tool else text, "refusal": None}
        message |= {"tool_calls": [call]} if tool else {}
        yield answer(openai.completion("client-2026", message, "tool_calls" if tool else "stop"))
        return
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": None if tool else ""}]
    if tool:
        begun = call | {"index": 0, "function": {"name": tool, "arguments": ""}}
        deltas.append({"tool_calls": [begun]})
        deltas += [
            {"tool_calls": [{"index": 0, "function": {"arguments": part}}]} for part in parts(ARGUMENTS)
        ]
    else:
        deltas += [{"content": part} for part in parts(text)]
    yield stream_head()
    for delta in deltas:
        yield chunk(openai.event("client-2026", delta))
    yield chunk(openai.event("client-2026", {}, "tool_calls" if tool else "stop"))
    if (body.get("stream_options") or {}).get("include_usage"):
        yield chunk(openai.event("client-2026", None, usage=openai.USAGE))
    yield chunk(b"data: [DONE]\n\n")
    yield END


def _anthropic_tool(body: dict[str, Any]) -> str | None:
    tools = [tool["name"] for tool in body.get("tools") or ()]
    choice = body.get("tool_choice") or {"type": "auto"}
    content = body["messages"][-1]["content"]
    answered = isinstance(content, list) and any(part["type"] == "tool_result" for part in content)
    if not tools or choice["type"] == "none" or (answered and choice["type"] == "auto"):
        return None
    return choice.get("name") or tools[0]


def _anthropic_block(body: dict[str, Any]) -> dict[str, Any]:
    tool = _anthropic_tool(body)
    if tool:
        return {"type": "tool_use", "id": "toolu_1", "name": tool, "input": {"city": "Oslo"}}
    schema = (body.get("output_config") or {}).get("format")
    return {"type": "text", "text": said(body, schema)}


def anthropic_script(request: Received) -> Iterable[Step]:
    """Answer messages and leave the rest to tests/fakes."""
    body = request.json
    if request.path.endswith("/count_tokens") or body["model"] != "client" or "max_tokens" not in body:
        yield from anthropic.script(request)
        return
    block = _anthropic_block(body)
    stop = "tool_use" if block["type"] == "tool_use" else "end_turn"
    if not body.get("stream"):
        yield answer(anthropic.message("client-2026", [block], stop))
        return
    begun, deltas = (
        block | {"text": ""},
        [{"type": "text_delta", "text": part} for part in parts(block.get("text", ""))],
    )
    if stop == "tool_use":
        begun = block | {"input": {}}
        deltas = [{"type": "input_json_delta", "partial_json": part} for part in parts(ARGUMENTS)]
    yield stream_head()
    start = anthropic.message("client-2026", [], "") | {"stop_reason": None}
    yield chunk(anthropic.event("message_start", message=start))
    yield chunk(anthropic.event("content_block_start", index=0, content_block=begun))
    for delta in deltas:
        yield chunk(anthropic.event("content_block_delta", index=0, delta=delta))
    yield chunk(anthropic.event("content_block_stop", index=0))
    ended = {"stop_reason": stop, "stop_sequence": None}
    yield chunk(anthropic.event("message_delta", delta=ended, usage={"output_tokens": 11}))
    yield chunk(anthropic.event("message_stop"))
    yield END


def _gemini_parts(body: dict[str, Any]) -> list[dict[str, Any]]:
    declared = [
        each["name"] for tool in body.get("tools") or () for each in tool.get("functionDeclarations", ())
    ]
    rule = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    answered = any("functionResponse" in part for part in body["contents"][-1]["parts"])
    mode = rule.get("mode", "AUTO").replace("VALIDATED", "AUTO")
    if declared and mode != "NONE" and not (answered and mode == "AUTO"):
        name = (rule.get("allowedFunctionNames") or declared)[0]
        call = {"name": name, "args": {"city": "Oslo"}}
        return [{"functionCall": call, "thoughtSignature": gemini.SIGNATURE}]
    schema = (body.get("generationConfig") or {}).get("responseMimeType") == "application/json"
    return [{"text": part} for part in parts(said(body, schema))]


def gemini_script(request: Received) -> Iterable[Step]:
    """Answer generateContent, checked as tests/fakes does, and leave the rest to it."""
    found = re.fullmatch(
        r"/v1beta/models/gemini-3-client:(generateContent|streamGenerateContent)(\?alt=sse)?", request.path
    )
    if found is None or gemini.complaint(request.json):
        yield from gemini.script(request)
        return
    made = _gemini_parts(request.json)
    if found[1] == "generateContent":
        yield answer(gemini.response(made))
        return
    yield stream_head()
    for part in made[:-1]:
        yield chunk(gemini.sse(gemini.response([part], None)))
    yield chunk(gemini.sse(gemini.response(made[-1:])))
    yield END


def providers() -> dict[str, ScriptedServer]:
    """Return the providers by the name of their route, not started yet."""
    scripts = {"oa": openai_script, "an": anthropic_script, "ge": gemini_script}
    return {name: ScriptedServer(script) for name, script in scripts.items()}
