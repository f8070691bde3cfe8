"""Personal data and secrets in text: find them, count them, mask them. Rules and checksums, no model."""

from penstock.core.pii.detector import Detector, Finding, placeholder
from penstock.core.pii.rules import PiiKind

__all__ = ["Detector", "Finding", "PiiKind", "placeholder"]
