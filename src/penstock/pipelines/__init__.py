"""Pipelines: named steps in plain Python that are checkpointed, resumed after a crash, and recorded."""
