"""Durable jobs: work that survives kill -9, with checkpointed steps, progress and cancel."""

from penstock.core.jobs.events import JobGivenUp
from penstock.core.jobs.model import Handler, Job, JobContext, JobState, Postponed
from penstock.core.jobs.runner import Worker, run_inline
from penstock.core.jobs.service import by_key, cancel, enqueue, get, list_jobs

__all__ = [
    "Handler",
    "Job",
    "JobContext",
    "JobGivenUp",
    "JobState",
    "Postponed",
    "Worker",
    "by_key",
    "cancel",
    "enqueue",
    "get",
    "list_jobs",
    "run_inline",
]
