"""Stage 6: real HTTP calls with the unmodified OpenAI client, through the gateway."""

import time
from collections.abc import Iterable
from typing import Any

from penstock.core import clock
from penstock.core.children import run_child
from penstock.core.errors import Unavailable
from penstock.datasets import service as datasets
from penstock.pipelines.demo.models import MAX_TOKENS
from penstock.pipelines.demo.recipes import MODEL
from penstock.pipelines.demo.server import Server
from penstock.pipelines.model import StepContext
from penstock.traces import service as traces

TRACED_SECONDS = 60.0


def send(context: StepContext, server: Server, first: int, count: int) -> list[dict[str, Any]]:
    """Send `count` mails of the inbox, from the `first`, to the gateway; return the answers with their trace ids.

    Raises ChildFailed when a call fails, Unavailable when a trace does not arrive.
    """
    inbox = context.results["data"]["inbox"]["ref"]
    rows = datasets.rows(context.home, context.actor, inbox, offset=first, limit=count)
    mails = [
        {"id": row["id"], "number": number, "text": row["text"]} for number, row in enumerate(rows, first)
    ]
    result = run_child(
        "demo",
        "ticket_app",
        {"model": MODEL, "mails": mails, "max_tokens": MAX_TOKENS},
        workdir=context.home.folder("work", "ticket-app"),
        on_progress=lambda report: context.say(f"{report['answered']} of {report['of']} calls answered"),
        environment={"OPENAI_BASE_URL": f"{server.url}/v1", "OPENAI_API_KEY": server.key},
    )
    answers: list[dict[str, Any]] = result["answers"]
    await_traces(context, [answer["trace_id"] for answer in answers])
    return answers


def await_traces(context: StepContext, trace_ids: Iterable[str]) -> None:
    """Wait until every trace is stored; raises Unavailable after a minute."""
    missing, deadline = set(trace_ids), clock.monotonic() + TRACED_SECONDS
    while missing:
        with context.home.read() as uow:
            missing -= traces.known(uow, context.actor, trace_ids=sorted(missing))
        if missing and clock.monotonic() > deadline:
            raise Unavailable(f"{len(missing)} traces did not arrive in {TRACED_SECONDS:.0f} seconds.")
        if missing:
            time.sleep(0.1)


def stage(context: StepContext, server: Server) -> dict[str, Any]:
    """Let the ticket application work for a while."""
    answers = send(context, server, 0, context.inputs["calls"])
    streamed = sum(answer["streamed"] for answer in answers)
    context.say(f"{len(answers)} calls answered ({streamed} streamed), every one traced")
    return {"calls": len(answers), "streamed": streamed, "answers": answers}
