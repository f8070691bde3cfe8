"""Suites that are kept under a name, and suites in files."""
