"""Guardrails: versioned policies of guards over what goes into a model and what comes out of it."""
