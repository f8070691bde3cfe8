"""From messages to tokens and back, with the files of a Hugging Face folder and without loading torch."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from penstock.core import clock
from penstock.serving.engines.generation import Cutter, Job, Outcome, Refused


class _Generation(Extension):
    """`{% generation %}` marks what a model answered, for training; here its content simply stands."""

    tags = {"generation"}  # noqa: RUF012 - Jinja's own declaration of it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """Return the nodes between the tags."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class ChatTemplate:
    """The template of `chat_template.jinja` or `tokenizer_config.json`, rendered as Transformers does."""

    def __init__(self, folder: Path) -> None:
        config = _config(folder)
        source = _source(folder, config)
        self._special = {name: _content(config.get(name)) for name in ("bos_token", "eos_token", "pad_token")}
        # The template comes with the model: it may compute text and nothing else.
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", _Generation]
        )
        environment.globals["raise_exception"] = _raise
        environment.globals["strftime_now"] = lambda form: clock.now().strftime(form)
        environment.filters["tojson"] = _tojson
        self._template = None if source is None else environment.from_string(source)

    def render(self, messages: Sequence[dict[str, str]]) -> str:
        """Return the prompt for the next answer; raises Refused without a template or when it refuses."""
        if self._template is None:
            raise Refused("This model has no chat template; use /v1/completions.")
        try:
            return self._template.render(
                messages=list(messages),
                tools=None,
                documents=None,
                add_generation_prompt=True,
                **self._special,
            )
        except jinja2.TemplateError as error:
            raise Refused(f"The model's chat template refused the messages: {error}") from error


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "tokenizer_config.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def _source(folder: Path, config: dict[str, Any]) -> str | None:
    own = folder / "chat_template.jinja"
    if own.exists():
        return own.read_text()
    found = config.get("chat_template")
    if isinstance(found, list):
        found = next((entry["template"] for entry in found if entry["name"] == "default"), None)
    return found


def _content(token: Any) -> str:
    return str(token["content"]) if isinstance(token, dict) else str(token or "")


def _raise(message: str) -> None:
    raise jinja2.TemplateError(message)


def _tojson(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


class Text:
    """Tokenizer and chat template of one folder."""

    def __init__(self, folder: Path, tokenizer: Any = None) -> None:
        """Read the folder; `tokenizer` (of the package `tokenizers`) stands in for a missing tokenizer.json."""
        import tokenizers

        self._tokenizers = tokenizers
        self.tokenizer = tokenizer or tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.template = ChatTemplate(folder)
        self._starts = bool(self.tokenizer.encode("", add_special_tokens=True).ids)

    def encode(self, prompt: str) -> list[int]:
        """Return token ids; the beginning-of-text token is added unless the prompt brings it. Raises Refused."""
        ids: list[int] = self.tokenizer.encode(prompt, add_special_tokens=True).ids
        if self._starts and len(ids) > 1 and ids[0] == ids[1]:
            ids = ids[1:]
        if not ids:
            raise Refused("The prompt is empty.")
        return ids

    def answer(
        self, job: Job, prompt_tokens: int, emit: Callable[[str], None], ends: frozenset[int]
    ) -> "Answer":
        """Return what turns the tokens of an answer into text."""
        stream = self._tokenizers.decoders.DecodeStream(skip_special_tokens=True)
        return Answer(job, prompt_tokens, Cutter(job.sampling.stop, emit), self.tokenizer, stream, ends)


class Answer:
    """Takes the tokens of one answer in turn."""

    def __init__(
        self, job: Job, prompt_tokens: int, cutter: Cutter, tokenizer: Any, stream: Any, ends: frozenset[int]
    ) -> None:
        self._job = job
        self._prompt_tokens = prompt_tokens
        self._cutter = cutter
        self._tokenizer = tokenizer
        self._stream = stream
        self._ends = ends
        self._tokens = 0
        self._stopped = False

    def take(self, token: int) -> bool:
        """Take a token; returns whether another one is wanted."""
        if token in self._ends:
            self._stopped = True
            return False
        self._tokens += 1
        piece = self._stream.step(self._tokenizer, token)
        if piece:
            self._cutter.feed(piece)
        self._stopped = self._cutter.hit
        enough = self._tokens >= self._job.sampling.max_tokens
        return not (self._stopped or enough or self._job.cancelled.is_set())

    def finish(self) -> Outcome:
        """Hand out the rest and say how it ended."""
        self._cutter.finish()
        return Outcome(
            finish="stop" if self._stopped else "length",
            prompt_tokens=self._prompt_tokens,
            completion_tokens=self._tokens,
        )
