"""Which handler answers which request."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from penstock.mlflow.call import Answer, Call, Stream

Handler = Callable[[Call], Answer | Stream | str | bytes | None]


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint; `body` says how its request body arrives: as JSON arguments, as bytes, or as a file."""

    method: str
    path: str
    pattern: re.Pattern[str]
    handler: Handler
    body: str = "json"


class Routes:
    """A list of endpoints, written by the decorator `on`."""

    def __init__(self) -> None:
        self.routes: list[Route] = []

    def on(self, *endpoints: str, body: str = "json") -> Callable[[Handler], Handler]:
        """Register a handler for endpoints such as `POST /runs/create` or `GET 3 /traces/{trace_id}`.

        A number is the only version of the API that has it; `!` in front of a path is a path outside the API.
        """

        def register(handler: Handler) -> Handler:
            for endpoint in endpoints:
                method, *version, path = endpoint.split()
                number = version[0] if version else "[23]"
                prefix = "" if path[0] == "!" else rf"/api/{number}\.0/mlflow"
                path = path.removeprefix("!")
                pattern = re.sub(r"\{(\w+):path\}", r"(?P<\1>.+)", path)
                pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern)
                self.routes.append(Route(method, path, re.compile(prefix + pattern), handler, body))
            return handler

        return register


def find(routes: list[Route], method: str, path: str) -> tuple[Route, dict[str, Any]] | None:
    """Return the endpoint for a path and what its pattern holds; longer literal paths were registered first."""
    for route in routes:
        if route.method == method and (match := route.pattern.fullmatch(path)):
            return route, match.groupdict()
    return None
