"""Triton's generate extension (docs.nvidia.com, Generate Extension): text in, text out, in one piece."""

import http.client
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from penstock.serving.engines.generation import Cutter, Job, NoAdapters, Outcome, Refused
from penstock.serving.engines.text import ChatTemplate


def load(folder: str, options: dict[str, Any]) -> "TritonBackend":
    """Return what asks the Triton server of the options."""
    return TritonBackend(ChatTemplate(Path(folder)), options)


class TritonBackend(NoAdapters):
    """Asks a Triton server. Messages are rendered with the template of the registered model."""

    def __init__(self, template: ChatTemplate, options: dict[str, Any]) -> None:
        self._template = template
        self._options = options
        parts = urlsplit(options["url"])
        kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
        self._connect = kinds[parts.scheme]
        self._place = parts.netloc
        self._path = f"{parts.path.rstrip('/')}/v2/models/{quote(options['model'], safe='')}/generate"
        key = os.environ.get(options["key_env"], "") if options["key_env"] else ""
        self._headers = {"content-type": "application/json"}
        if key:
            self._headers["authorization"] = f"Bearer {key}"

    def chat_prompt(self, messages: Sequence[dict[str, str]]) -> str:
        """Render messages with the chat template."""
        return self._template.render(messages)

    def generate(self, job: Job, emit: Callable[[str], None]) -> Outcome:
        """Answer a job. Triton does not count tokens, so the outcome has none."""
        connection = self._connect(self._place, timeout=self._options["timeout"])
        try:
            connection.request("POST", self._path, json.dumps(self._body(job)), self._headers)
            with connection.getresponse() as response:
                text = response.read()
        finally:
            connection.close()
        try:
            found = json.loads(text)
        except ValueError:
            found = {"error": text[:300].decode(errors="replace")}
        if response.status == 400:
            raise Refused(f"Triton refused the request: {found.get('error')}")
        if response.status != 200:
            raise RuntimeError(f"Triton answered {response.status}: {found.get('error')}")
        cutter = Cutter(job.sampling.stop, emit)
        cutter.feed(found["text_output"])
        cutter.finish()
        return Outcome(finish="stop", prompt_tokens=None, completion_tokens=None)

    def _body(self, job: Job) -> dict[str, Any]:
        sampling = job.sampling
        chosen: dict[str, Any] = {"max_tokens": sampling.max_tokens, "temperature": sampling.temperature}
        if sampling.top_p < 1:
            chosen["top_p"] = sampling.top_p
        if sampling.top_k:
            chosen["top_k"] = sampling.top_k
        if sampling.seed is not None:
            chosen["seed" if self._options["api"] == "triton-vllm" else "random_seed"] = sampling.seed
        if self._options["api"] == "triton-vllm":
            own = {"exclude_input_in_output": True}
            return {"text_input": job.prompt, **own, "parameters": {"stream": False, **chosen}}
        return {"text_input": job.prompt, "stop_words": list(sampling.stop), "bad_words": "", **chosen}
