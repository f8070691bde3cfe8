"""The part of the composition root that erasing and exporting a person or session needs."""

from penstock.core.subjects import Handler
from penstock.feedback.subjects import HANDLER as FEEDBACK
from penstock.gateway.subjects import HANDLER as GATEWAY
from penstock.mlflow.subjects import HANDLER as MLFLOW
from penstock.traces.subjects import HANDLER as TRACES

HANDLERS: tuple[Handler, ...] = (MLFLOW, FEEDBACK, GATEWAY, TRACES)
"""Every slice that keeps something about a person, upper slices first: they find their part by the traces."""
