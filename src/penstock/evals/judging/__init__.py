"""Asking a model for a verdict and reading what it says."""
