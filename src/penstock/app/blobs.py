"""The part of the composition root that knows whose records name blobs: what none of them names is garbage."""

from penstock.core.garbage import Names
from penstock.datasets.service import blobs_named as of_datasets
from penstock.gateway.service import blobs_named as of_gateway
from penstock.registry.service import blobs_named as of_registry
from penstock.tracking.service import blobs_named as of_tracking
from penstock.training.service import blobs_named as of_training

NAMES: tuple[Names, ...] = (of_tracking, of_registry, of_training, of_datasets, of_gateway)
"""Every slice that stores blobs; tests/app/test_blobs.py fails when one is missing.

Tracking comes before the registry, which takes over blobs that are named there: where the two are not read at the same
instant, a blob that moves is seen in one of them.
"""
