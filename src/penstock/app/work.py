"""The background's side of the composition root: wires events, jobs and the slices' regular work.

Apart from `server`, so that the background process does not load the web framework.
"""

import threading
from collections.abc import Callable
from functools import partial

from penstock.app import policies
from penstock.app.blobs import NAMES
from penstock.core import garbage
from penstock.core.events import Dispatcher, Subscriber
from penstock.core.home import Home
from penstock.core.jobs import Handler, JobGivenUp, Worker
from penstock.datasets import jobs as datasets_jobs
from penstock.datasets import keeper as datasets_keeper
from penstock.evals import jobs as evals_jobs
from penstock.evals.events import RunFinished
from penstock.feedback import background as feedback_background
from penstock.feedback import jobs as feedback_jobs
from penstock.feedback.events import FeedbackGiven
from penstock.gateway import jobs as gateway_jobs
from penstock.optimise import jobs as optimise_jobs
from penstock.pipelines import jobs as pipelines_jobs
from penstock.registry import jobs as registry_jobs
from penstock.registry.events import VersionRegistered
from penstock.release import jobs as release_jobs
from penstock.serving.reconciler import Reconciler
from penstock.traces import background as traces_background
from penstock.traces import jobs as traces_jobs
from penstock.traces import keeper as traces_keeper
from penstock.traces.intake import Intake
from penstock.traces.recorder import Recorder
from penstock.tracking import background as tracking_background
from penstock.training import background as training_background
from penstock.training import jobs as training_jobs

JOB_HANDLERS: dict[str, Handler] = {
    **datasets_jobs.HANDLERS,
    **registry_jobs.HANDLERS,
    **evals_jobs.HANDLERS,
    **training_jobs.HANDLERS,
    **optimise_jobs.HANDLERS,
    **pipelines_jobs.HANDLERS,
    **traces_jobs.HANDLERS,
    **gateway_jobs.HANDLERS,
    **feedback_jobs.handlers(gateway_jobs.opener(Recorder)),
}
"""Job kind → handler, of every slice."""

SUBSCRIBERS: dict[str, tuple[Subscriber, ...]] = {
    **gateway_jobs.SUBSCRIBERS,
    FeedbackGiven.name: (release_jobs.take_feedback,),
    RunFinished.name: (release_jobs.take_evaluation,),
    VersionRegistered.name: (training_jobs.take_version,),
    JobGivenUp.name: (
        training_jobs.take_given_up,
        optimise_jobs.take_given_up,
        evals_jobs.take_given_up,
        pipelines_jobs.take_given_up,
    ),
}
"""Event name → what upper slices do about it."""

JOB_WORKERS = 2
ALERT_SECONDS = 2.0
"""How often the worker of alerts looks for one."""
TRACES_SECONDS = 1.0

Loop = Callable[[threading.Event], None]


def _traces(home: Home) -> Loop:
    def run(stop: threading.Event) -> None:
        while not stop.wait(TRACES_SECONDS):
            # More than a core can do in a second, and little enough that a backlog does not hold up stopping.
            traces_background.tick(home, batches=10)

    return run


def background_loops(home: Home) -> dict[str, Loop]:
    """Return name → loop for the background process; each runs until its event is set."""
    policies.install()
    loops: dict[str, Loop] = {
        "events": Dispatcher(home, SUBSCRIBERS).run,
        "recorded spans": Intake(home).run,
        "traces": _traces(home),
        "annotation queues": partial(feedback_background.run, home),
        "kept traces": partial(traces_keeper.run, home),
        "serving": Reconciler(home).run,
        "releases": partial(release_jobs.run, home),
        "judges of releases": partial(release_jobs.run_judges, home),
        "stored files": partial(garbage.run, home, NAMES),
        "files": partial(gateway_jobs.sweep, home),
        "silent runs": partial(tracking_background.run, home),
        "hosted training": partial(training_background.run, home),
        "expectations": partial(datasets_keeper.run, home),
    }
    batches = gateway_jobs.batch_handlers(Recorder)
    for number in range(1, gateway_jobs.batch_workers(home) + 1):
        loops[f"batches {number}"] = Worker(home, batches).run
    # Alerts wait for no training run, and what is trained for no webhook that hangs.
    loops["alerts"] = partial(Worker(home, gateway_jobs.HANDLERS).run, idle_seconds=ALERT_SECONDS)
    others = {kind: each for kind, each in JOB_HANDLERS.items() if kind not in gateway_jobs.HANDLERS}
    for number in range(1, JOB_WORKERS + 1):
        loops[f"jobs {number}"] = Worker(home, others).run
    return loops
