"""A model behind HTTP whose answers depend on its prompt: on the instructions, and on the examples shown."""

import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tests.evals.scripted_model import completion, reply
from tests.fakes.server import Received, ScriptedServer

from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.datasets import service as datasets
from penstock.prompts import service as prompts
from penstock.prompts.model import Body, Kind

WORDS = {"charge": "billing", "parcel": "shipping", "money back": "refund"}
OWN_WORDS = {"billing": "invoice", "shipping": "delivery", "refund": "return"}
"""What the model calls a category unless its prompt tells it the name."""
Message = Mapping[str, Any]


def rows(count: int) -> list[dict[str, str]]:
    """Return tickets with the one word they should be answered by."""
    phrases = list(WORDS)
    return [
        {
            "id": f"t{index}",
            "question": f"Ticket {index}: a question about my {phrases[index % 3]}",
            "answer": WORDS[phrases[index % 3]],
        }
        for index in range(count)
    ]


def says(messages: Sequence[Message]) -> str:
    """Return the answer to a ticket: a word where the prompt asks for one or shows it, else a sentence."""
    system = " ".join(str(one["content"]) for one in messages if one["role"] == "system").lower()
    shown = [str(one["content"]) for one in messages if one["role"] == "assistant"]
    asked = str(messages[-1]["content"])
    ticket = asked.rpartition("Ticket ")[2]
    category = next(name for phrase, name in WORDS.items() if phrase in ticket)
    knows = category in system or category in shown
    knows = knows or hashlib.sha256(ticket.encode()).digest()[0] < 100
    word = category if knows else OWN_WORDS[category]
    terse = "one word" in system or (shown and all(" " not in one for one in shown))
    terse = terse or hashlib.sha256(ticket.encode()).digest()[1] < 60
    return word if terse else f"I think this is about {word}."


def rewrites(messages: Sequence[Message]) -> str:
    """Return better instructions, as far as the rows shown to it teach them."""
    shown = str(messages[1]["content"])
    present = shown.partition("<present_instructions>\n")[2].partition("\n</present_instructions>")[0]
    said = [part.partition("\n</answer>")[0] for part in shown.split("<answer>\n")[1:]]
    wanted = [part.partition("\n</expected>")[0] for part in shown.split("<expected>\n")[1:]]
    learnt = []
    if any(" " in answer for answer in said) and "one word" not in present:
        learnt.append("Answer with one word.")
    names = sorted({want for want, answer in zip(wanted, said, strict=True) if want not in answer})
    learnt += [f"Call it {name}." for name in names if name not in present]
    return f"Better:\n<instruction>\n{' '.join([present, *learnt])}\n</instruction>"


class PromptedModel:
    """Use as a context manager; `paid` counts answered calls by their idempotency key."""

    def __init__(
        self, before: Callable[[int], None] = lambda _number: None, rewriter: Callable[..., str] = rewrites
    ) -> None:
        self._before, self._rewriter = before, rewriter
        self._lock = threading.Lock()
        self.calls = 0
        self.broken = False
        self.paid: Counter[str] = Counter()
        self.rewritten = 0
        self._server = ScriptedServer(self._script)

    def plan(self, **changes: Any) -> dict[str, Any]:
        """Return a plan that leads here."""
        return {
            "prompt": "triage",
            "dataset": "tickets@latest",
            "metric": "exact",
            "scorers": ["exact"],
            "models": ["scripted"],
            "target": {"base_url": f"{self._server.url}/v1", "variables": {"ticket": "question"}},
            "rows": 24,
            "held_out": 0.5,
            "rewrites": 4,
            "demo_sets": 2,
            "shots": 3,
            "minibatch": 4,
            "max_calls": 600,
            **changes,
        }

    def _script(self, request: Received) -> Iterable[bytes | float | str]:
        with self._lock:
            self.calls += 1
            number = self.calls
        self._before(number)
        if self.broken:
            yield reply("400 Bad Request", {"error": {"message": "no such model"}})
            return
        messages = request.json["messages"]
        with self._lock:
            self.paid[request.headers["idempotency-key"]] += 1
        reflecting = str(messages[0]["content"]).startswith("You improve the instructions")
        self.rewritten += reflecting
        size = sum(len(str(one["content"])) for one in messages)
        text = self._rewriter(messages) if reflecting else says(messages)
        yield completion(text, f"x-penstock-cost-usd: {size * 1e-6:.9f}")

    def __enter__(self) -> "PromptedModel":
        self._server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.__exit__()


def prepare(home: Home, actor: Actor, count: int = 72, body: Body | None = None) -> None:
    """Store the prompt `triage` and the dataset `tickets`."""
    body = body or Body(
        kind=Kind.CHAT,
        messages=(
            {"role": "system", "content": "Say what the ticket is about."},
            {"role": "user", "content": "{{ ticket }}"},
        ),
        settings={"temperature": 0},
    )
    with home.begin() as uow:
        prompts.add_version(uow, actor, name="triage", body=body)
    datasets.ingest(home, actor, name="tickets", source=rows(count), key="id")
