"""Penstock: self-hosted LLMOps, from data to a better model."""

from penstock.version import __version__

__all__ = ["__version__"]
