"""The group of a `Client` for experiment runs: any trainer is tracked by a few lines around its loop."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from penstock.sdk import code, environment, ids
from penstock.sdk.quiet import fault, warn_once
from penstock.sdk.resources import Calls, Record, segment
from penstock.sdk.run_acts import KEY, Telling
from penstock.sdk.run_files import passing
from penstock.sdk.run_outbox import Outbox
from penstock.sdk.run_spool import Act, folder_for
from penstock.sdk.tracked_run import TrackedRun
from penstock.sdk.transport import HttpTransport

TIMEOUT = 10.0
"""Seconds for connecting and for each read of what a tracked run sends; what fails is sent again later."""


class Runs:
    """Experiment runs."""

    def __init__(self, client: Calls) -> None:
        self._client = client

    def list(self, **filters: Any) -> Iterator[Record]:
        """Yield runs, newest first; filters as in `GET /runs`."""
        return self._client.pages("/runs", **filters)

    def get(self, run_id: str) -> Record:
        """Return one run with the last value of each metric."""
        return self._client.get(f"/runs/{segment(run_id)}")

    def start(
        self,
        experiment: str = "Default",
        *,
        name: str = "",
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
        capture: bool = True,
        program: code.Program | None = None,
    ) -> TrackedRun:
        """Start a run in the experiment of that name, which is made if there is none.

        Tags name the program and its Git commit as MLflow's client does; yours come before them. A moment later, from a
        thread, come whether the checkout holds changes that are not committed, and the artifact `environment.json`:
        Python, packages, machine. `capture=False` leaves all of that out, `program` is another one than this.

        Never raises: where the server is away the run has no id yet, and everything it logs waits.
        """
        program = program or code.this_program()
        own = _told(program) if capture else {}
        own |= {key: str(value) for key, value in (tags or {}).items()}
        key = ids.new_trace_id()
        act = {"do": "create", "experiment": experiment, "name": name, "tags": {**own, KEY: key}}
        outbox = self._begun(act, key)
        run = TrackedRun(outbox, name)
        if capture:
            run.later(lambda: _surroundings(program))
        if params:
            run.params(**params)
        outbox.begin()
        return run

    def _begun(self, create: Act, key: str) -> Outbox:
        """Return the outbox of a run that the server knows now, or will be told of."""
        server: Any = self._client
        if type(server.transport) is HttpTransport:
            quick = dataclasses.replace(server.config, max_retries=0, timeout=TIMEOUT)
            server = type(server)(config=quick)
        telling = Telling(server)
        outbox = Outbox(server, telling, folder_for(server.config), key)
        try:
            telling.do(create)
        except Exception as error:  # noqa: BLE001 - tracking never raises into the tracked program
            if passing(error):
                warn_once("run-away", "runs wait for the server: %s", error)
                outbox.put(create)
            else:
                warn_once("run-refused", "the run is not tracked: %s", error)
                outbox.refuse()
        return outbox


def _told(program: code.Program) -> dict[str, str]:
    try:
        return code.tags(program)
    except Exception as error:  # noqa: BLE001 - tracking never raises into the tracked program
        fault("code", error)
        return {}


def _surroundings(program: code.Program) -> "list[Act]":
    """Return what takes a while to find out: changes in the checkout, and the environment."""
    found = environment.describe()
    tags = {**code.changes(program), **environment.tags_of(found)}
    return [
        {"do": "change", "tags": tags},
        {"do": "text", "path": environment.FILE, "text": environment.text_of(found)},
    ]
