"""Evaluations: run a suite against a target, put an interval on every figure, compare in pairs, and gate."""
