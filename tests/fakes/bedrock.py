"""AWS Bedrock's runtime. It checks signatures with AWS's own library; the model's id chooses what it does."""

import re
import struct
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote
from zlib import crc32

import msgspec
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.fakes.server import END, Received, ScriptedServer, Step, answer, chunk, stream_head

ACCESS_KEY, SECRET_KEY, TOKEN = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "session//token=="
BEARER = "bedrock-api-key-fake"
REGION = "eu-west-3"
TEXTS = ["Hola", ", ", "mundo ☃"]
USAGE = {
    "inputTokens": 20,
    "outputTokens": 11,
    "totalTokens": 39,
    "cacheReadInputTokens": 5,
    "cacheWriteInputTokens": 3,
}
TOOL = {"toolUseId": "tooluse_1", "name": "weather", "input": {"city": "Oslo"}}
THOUGHT = {"text": "Let me think.", "signature": "c2lnbmVk"}
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/bedrock/aws4_request, "
    r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})"
)
_MODEL = re.compile(r"/model/([^/]+)/(converse|converse-stream|invoke|count-tokens)")


def frame(headers: dict[str, str], payload: bytes) -> bytes:
    """Return one message of an event stream."""
    block = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value.encode())) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack(">II", 16 + len(block) + len(payload), len(block))
    message = prelude + struct.pack(">I", crc32(prelude)) + block + payload
    return message + struct.pack(">I", crc32(message))


def event(kind: str, **members: Any) -> bytes:
    """Return one event, padded as the service pads its own."""
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return frame(headers, msgspec.json.encode(members | {"p": "abcdefgh"}))


def exception(kind: str, message: str) -> bytes:
    """Return the event that ends a stream badly."""
    headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return frame(headers, msgspec.json.encode({"message": message}))


def events(request: dict[str, Any], *, thinks: bool = False) -> list[bytes]:
    """Return the events of a whole stream."""
    out = [event("messageStart", role="assistant")]
    at = 0
    if thinks:
        for part in ({"text": "Let me "}, {"text": "think."}, {"signature": THOUGHT["signature"]}):
            out.append(event("contentBlockDelta", contentBlockIndex=at, delta={"reasoningContent": part}))
        out.append(event("contentBlockStop", contentBlockIndex=at))
        at += 1
    out += [event("contentBlockDelta", contentBlockIndex=at, delta={"text": text}) for text in TEXTS]
    out.append(event("contentBlockStop", contentBlockIndex=at))
    stop = "end_turn"
    if request.get("toolConfig"):
        stop = "tool_use"
        at += 1
        start = {"toolUse": {"toolUseId": TOOL["toolUseId"], "name": TOOL["name"]}}
        out.append(event("contentBlockStart", contentBlockIndex=at, start=start))
        out += [
            event("contentBlockDelta", contentBlockIndex=at, delta={"toolUse": {"input": part}})
            for part in ("", '{"city"', ': "Oslo"}')
        ]
        out.append(event("contentBlockStop", contentBlockIndex=at))
    out.append(event("messageStop", stopReason=stop))
    return [*out, event("metadata", usage=USAGE, metrics={"latencyMs": 551})]


def message(request: dict[str, Any], *, thinks: bool = False) -> dict[str, Any]:
    """Return a whole answer."""
    content: list[dict[str, Any]] = [{"reasoningContent": {"reasoningText": THOUGHT}}] if thinks else []
    content.append({"text": "".join(TEXTS)})
    tools = bool(request.get("toolConfig"))
    if tools:
        content.append({"toolUse": TOOL})
    return {
        "metrics": {"latencyMs": 551},
        "output": {"message": {"content": content, "role": "assistant"}},
        "stopReason": "tool_use" if tools else "end_turn",
        "usage": USAGE,
    }


def error(status: int, kind: str, text: str) -> bytes:
    """Return an error as AWS words it: the kind is a header."""
    return answer({"message": text}, status, {"x-amzn-errortype": f"{kind}:"}, reason="Error")


def refused(request: Received) -> str:
    """Return why the request's credentials are not good, or nothing."""
    given = request.headers.get("authorization", "")
    if given == f"Bearer {BEARER}":
        return ""
    found = _AUTHORIZATION.fullmatch(given)
    if found is None:
        return "Missing Authentication Token"
    key, day, region, names, signature = found.groups()
    stamp = request.headers.get("x-amz-date", "")
    if key != ACCESS_KEY or request.headers.get("x-amz-security-token", TOKEN) != TOKEN:
        return "The security token included in the request is invalid."
    at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    if region != REGION or not stamp.startswith(day) or abs((datetime.now(UTC) - at).total_seconds()) > 300:
        return "Signature expired"
    if not {"host", "x-amz-date"} <= set(names.split(";")):
        return "'Host' must be a 'SignedHeader' in the AWS Authorization."
    if expected_signature(request, names, stamp) != signature:
        return "The request signature we calculated does not match the signature you provided."
    return ""


def expected_signature(request: Received, names: str, stamp: str) -> str:
    """Return the signature that AWS's library gives the request as it arrived."""
    headers = {name: request.headers[name] for name in names.split(";")}
    url = f"http://{request.headers['host']}{request.path}"
    made = AWSRequest(method=request.method, url=url, headers=headers, data=request.body)
    made.context["timestamp"] = stamp
    auth = SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY), "bedrock", REGION)
    return str(auth.signature(auth.string_to_sign(made, auth.canonical_request(made)), made))


def script(request: Received) -> Iterable[Step]:
    """Answer as the id says: `limited`, `invalid`, `breaks`, `late`, `corrupt`, `thinks`, else a good answer."""
    why = refused(request)
    if why:
        yield error(403, "UnrecognizedClientException", why)
        return
    found = _MODEL.fullmatch(request.path)
    if found is None:
        yield error(404, "UnknownOperationException", "")
        return
    name, verb = unquote(found[1]), found[2]
    if verb == "invoke":
        yield _embedded(name, request.json)
    elif verb == "count-tokens":
        asked = request.json["input"]["converse"]
        fine = set(asked) <= {"messages", "system", "toolConfig", "additionalModelRequestFields"}
        yield answer({"inputTokens": 17}) if fine else error(400, "ValidationException", "Unknown member.")
    elif "limited" in name:
        yield error(429, "ThrottlingException", "Too many requests, please wait before trying again.")
    elif "invalid" in name:
        yield error(400, "ValidationException", "The provided model identifier is invalid.")
    elif verb == "converse":
        yield answer(message(request.json, thinks="thinks" in name))
    else:
        yield from _stream(name, request.json)


def _embedded(name: str, asked: dict[str, Any]) -> bytes:
    if "titan" in name:
        return answer(
            {"embedding": [0.5, -1.25], "inputTextTokenCount": 3, "embeddingsByType": {"float": [0.5, -1.25]}}
        )
    vectors = [[float(len(text)), 0.5] for text in asked["texts"]]
    found = {"float": vectors} if asked.get("embedding_types") else vectors
    return answer(
        {"id": "1", "texts": asked["texts"], "embeddings": found, "response_type": "embeddings_by_type"}
    )


def _stream(name: str, asked: dict[str, Any]) -> Iterable[Step]:
    made = events(asked, thinks="thinks" in name)
    yield stream_head({"content-type": "application/vnd.amazon.eventstream"})
    if "breaks" in name:
        yield from (chunk(each) for each in made[:3])
        yield chunk(exception("throttlingException", "Too many tokens, please wait."))
    elif "late" in name:
        yield chunk(exception("modelStreamErrorException", "The model could not start."))
    elif "corrupt" in name:
        yield chunk(made[0] + made[1])
        yield 0.1
        yield chunk(made[2][:-2] + b"!!")
    elif "bytewise" in name:
        yield from (chunk(bytes([byte])) for byte in b"".join(made))
    else:
        yield from (chunk(each) for each in made)
    yield END


class BedrockUpstream(ScriptedServer):
    """A Bedrock runtime for any test; wants a signature of `ACCESS_KEY` or the key `BEARER`."""

    def __init__(self) -> None:
        super().__init__(script)
