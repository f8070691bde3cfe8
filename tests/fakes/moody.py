"""An OpenAI-family provider whose moods a test sets while it runs: one per model, good by default."""

from collections import Counter
from collections.abc import Callable, Iterable

from tests.fakes import openai
from tests.fakes.server import END, Received, ScriptedServer, Step, chunk, stream_head

Mood = Callable[[Received], Iterable[Step]]


def good(request: Received) -> Iterable[Step]:
    """Answer well."""
    if request.path.endswith("/embeddings"):
        return openai._embeddings(request)
    return openai._chat(request, "good")


def failing(status: int = 500, retry_after: str | None = None) -> Mood:
    """Answer with an error status."""
    headers = {"retry-after": retry_after} if retry_after is not None else None
    return lambda _: [openai.error(status, "Not now.", None, headers)]


def hanging(seconds: float = 30.0) -> Mood:
    """Say nothing for so long, then answer well."""

    def mood(request: Received) -> Iterable[Step]:
        yield seconds
        yield from good(request)

    return mood


def resetting(_: Received) -> Iterable[Step]:
    """Reset the connection before a byte of the answer."""
    return ["cut"]


def breaking(request: Received) -> Iterable[Step]:
    """Begin a stream and reset the connection in the middle."""
    yield stream_head()
    yield from (chunk(each) for each in openai.chat_events(request.json)[:3])
    yield 0.1
    yield "cut"


def dawdling(seconds: float, at: int) -> Mood:
    """Send a stream's head at once, and fall silent before event number `at`."""

    def mood(request: Received) -> Iterable[Step]:
        yield stream_head()
        for index, event in enumerate(openai.chat_events(request.json)):
            if index == at:
                yield seconds
            yield chunk(event)
        yield END

    return mood


class MoodyUpstream(ScriptedServer):
    """`moods` maps a model to what it does next; `calls` counts the calls of each."""

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.moods: dict[str, Mood] = {}
        self.calls: Counter[str] = Counter()

    def _answer(self, request: Received) -> Iterable[Step]:
        model = request.json["model"]
        self.calls[model] += 1
        return self.moods.get(model, good)(request)

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def to(self, model: str) -> list[Received]:
        """Return the requests for `model`."""
        return [request for request in self.requests if request.json["model"] == model]
