"""The demo's application: the unmodified OpenAI client, pointed at Penstock.

Run in a child process (plug-in `ticket_app` of `penstock.demo`); address and key come from the client's own
environment variables OPENAI_BASE_URL and OPENAI_API_KEY.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from openai import OpenAI

THREADS = 4
STREAM_EVERY = 5
USERS = 25


def _ask(client: OpenAI, model: str, mail: dict[str, Any], max_tokens: int) -> dict[str, Any]:
    number = mail["number"]
    options: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "user", "content": mail["text"]}],
        "temperature": 0,
        "max_tokens": max_tokens,
        "user": f"agent-{number % USERS:02d}",
        "extra_headers": {"x-penstock-session": f"shift-{number // 50}", "x-penstock-tags": "demo"},
    }
    streamed = number % STREAM_EVERY == 0
    if streamed:
        options |= {"stream": True, "stream_options": {"include_usage": True}}
    raw = client.chat.completions.with_raw_response.create(**options)
    answer = raw.parse()
    if streamed:
        text = "".join(chunk.choices[0].delta.content or "" for chunk in answer if chunk.choices)
    else:
        text = answer.choices[0].message.content or ""
    return {
        "ticket": mail["id"],
        "trace_id": raw.headers["x-penstock-trace-id"],
        "answer": text.strip(),
        "streamed": streamed,
    }


def run(spec: dict[str, Any], report: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Send `spec["mails"]` (id, number, text) to `spec["model"]`; return the answers with their trace ids, in order."""
    with OpenAI() as client, ThreadPoolExecutor(THREADS) as pool:
        answers = []
        for answer in pool.map(
            lambda mail: _ask(client, spec["model"], mail, spec["max_tokens"]), spec["mails"]
        ):
            answers.append(answer)
            if len(answers) % 50 == 0:
                report({"answered": len(answers), "of": len(spec["mails"])})
    return {"answers": answers}
