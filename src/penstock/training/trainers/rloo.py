"""REINFORCE leave-one-out (arXiv:2402.14740): each answer is compared with the mean of the others."""

from typing import Any

from trl import RLOOConfig, RLOOTrainer

from penstock.training.trainers import online
from penstock.training.trainers.runtime import Report


def run(spec: dict[str, Any], report: Report) -> dict[str, Any]:
    """Train on prompts with rewards; see `trainers.online`."""
    return online.run(RLOOTrainer, RLOOConfig, spec, report)
