"""Experiments and their runs: parameters, metrics over steps, tags, artifacts, logged models."""
