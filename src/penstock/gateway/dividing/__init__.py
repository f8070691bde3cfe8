"""Calls that a release divides: which arm each belongs to, and noting what became of it."""
