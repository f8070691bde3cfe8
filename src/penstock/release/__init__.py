"""Releases: a change of a model, prompt, route or parameters, let in step by step and judged as it goes."""
