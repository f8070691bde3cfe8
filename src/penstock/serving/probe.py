"""Readiness by doing the real thing: one token, generated and received."""

import http.client
import json
from urllib.parse import urlsplit

from penstock.core.errors import ChildFailed


def generate_one(url: str, model: str, timeout: float) -> None:
    """Ask the engine at `url` for one token; raises ChildFailed when none comes in `timeout` seconds."""
    body = json.dumps({"model": model, "prompt": "Hello", "max_tokens": 1, "temperature": 0})
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=timeout)
    try:
        connection.request("POST", "/v1/completions", body, {"content-type": "application/json"})
        with connection.getresponse() as answer:
            text = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise ChildFailed(
            f"The engine did not generate a first token: {error or type(error).__name__}."
        ) from error
    finally:
        connection.close()
    try:
        choices = json.loads(text).get("choices") if answer.status == 200 else None
    except ValueError:
        choices = None
    if not choices:
        said = text[:300].decode(errors="replace")
        raise ChildFailed(f"The engine answered {answer.status} instead of generating a first token: {said}")
