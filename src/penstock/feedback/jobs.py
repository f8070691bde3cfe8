"""The durable work of feedback: suggestions by a model for annotation queues."""

from penstock.core.jobs import Handler
from penstock.feedback.queues.suggesting import OpenGateway
from penstock.feedback.queues.suggesting import handlers as _suggesting


def handlers(open_gateway: OpenGateway) -> dict[str, Handler]:
    """Return job kind → handler; calls of models go through `open_gateway`."""
    return _suggesting(open_gateway)
