"""Vertex AI, and the server that gives service accounts their tokens."""

import base64
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs

import msgspec
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.fakes import anthropic as fake_anthropic
from tests.fakes import gemini
from tests.fakes.server import END, Received, ScriptedServer, Step, answer, chunk, stream_head

PROJECT = "my-project"
LOCATION = "europe-west4"
EXPRESS_KEY = "AQ.express"
EMAIL = "penstock@my-project.iam.gserviceaccount.com"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_PATH = re.compile(r"/v1(/projects/([^/]+)/locations/([^/]+))?/publishers/(\w+)/models/([^/:]+):(.+)")


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class VertexUpstream(ScriptedServer):
    """Gives tokens at /token for the key file `key_file()`, and takes them at the models' paths."""

    def __init__(self) -> None:
        super().__init__(self._script)
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.issued = 0
        self.lifetime = 3600.0
        self.refuse_tokens = False

    def key_file(self, **changes: Any) -> str:
        """Return a service account's key file, as Google's console gives it."""
        pem = self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        made = {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": "key-1",
            "private_key": pem.decode(),
            "client_email": EMAIL,
            "token_uri": f"{self.url}/token",
            "universe_domain": "googleapis.com",
        }
        return msgspec.json.encode(made | changes).decode()

    def _token(self, request: Received) -> bytes:
        form = parse_qs(request.body.decode())
        head, claims, signature = form["assertion"][0].split(".")
        self.key.public_key().verify(
            _decoded(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256()
        )
        said = msgspec.json.decode(_decoded(claims))
        assert msgspec.json.decode(_decoded(head)) == {"alg": "RS256", "typ": "JWT", "kid": "key-1"}
        assert said["iss"] == EMAIL and said["aud"] == f"{self.url}/token"
        assert said["exp"] - said["iat"] == 3600 and form["grant_type"] == [GRANT]
        if self.refuse_tokens:
            refused = {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
            return answer(refused, 400, reason="Bad Request")
        self.issued += 1
        found = {
            "access_token": f"ya29.token-{self.issued}",
            "expires_in": self.lifetime,
            "token_type": "Bearer",
        }
        return answer(found)

    def _script(self, request: Received) -> Iterable[Step]:
        if request.path == "/token":
            yield self._token(request)
            return
        express = request.headers.get("x-goog-api-key") == EXPRESS_KEY
        if not express and not request.headers.get("authorization", "").startswith("Bearer ya29."):
            yield gemini.error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
            return
        if request.method == "GET":
            yield answer({"publisherModels": []})
            return
        found = _PATH.fullmatch(request.path)
        if found is None or (found[1] is None) != express:
            yield gemini.error(404, "NOT_FOUND", f"There is nothing at {request.path}.")
        elif found[1] and (found[2], found[3]) != (PROJECT, LOCATION):
            yield gemini.error(403, "PERMISSION_DENIED", f"{found[1]} is not yours.")
        elif found[4] == "anthropic":
            yield from _claude(request, found[6])
        elif found[6] == "predict":
            yield _predict(request.json)
        else:
            yield from gemini.generate(request, found[5], found[6])


def _predict(body: dict[str, Any]) -> bytes:
    size = body["parameters"].get("outputDimensionality") or 3
    made = [
        {
            "embeddings": {
                "values": [1.0, 0.5, -0.5][:size],
                "statistics": {"token_count": 4, "truncated": False},
            }
        }
        for each in body["instances"]
        if each["content"]
    ]
    return answer({"predictions": made})


def _claude(request: Received, verb: str) -> Iterable[Step]:
    body = request.json
    if "/count-tokens:" in request.path:
        named = body.pop("model", "") == "claude-fake" and body.pop("anthropic_version", "")
        yield fake_anthropic.count(body) if named else gemini.error(400, "INVALID_ARGUMENT", "model: missing")
    elif body.get("anthropic_version") != "vertex-2023-10-16" or "model" in body:
        yield gemini.error(400, "INVALID_ARGUMENT", "anthropic_version: Field required")
    elif (verb == "streamRawPredict") != bool(body.get("stream")):
        yield gemini.error(400, "INVALID_ARGUMENT", "The verb does not fit stream.")
    elif body.get("stream"):
        yield stream_head()
        for event in fake_anthropic.events(body | {"model": "claude-fake"}):
            yield chunk(event)
        yield END
    else:
        content = [{"type": "text", "text": "".join(fake_anthropic.TEXTS)}]
        yield answer(fake_anthropic.message("claude-fake", content, "end_turn"))
