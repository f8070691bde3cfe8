"""The one place that states Penstock's version."""

__version__ = "0.1.0"
