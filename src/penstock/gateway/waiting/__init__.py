"""Callers who wait for a deployment that sleeps."""
