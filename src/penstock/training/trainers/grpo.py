"""Group relative policy optimisation (arXiv:2402.03300): answers to one prompt are compared with their mean."""

from typing import Any

from trl import GRPOConfig, GRPOTrainer

from penstock.training.trainers import online
from penstock.training.trainers.runtime import Report


def run(spec: dict[str, Any], report: Report) -> dict[str, Any]:
    """Train on prompts with rewards; see `trainers.online`."""
    return online.run(GRPOTrainer, GRPOConfig, spec, report)
