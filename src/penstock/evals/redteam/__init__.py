"""Attacks on a target: suites, mutators, detection rules and reports."""
