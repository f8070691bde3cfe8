"""Runs and tasks of other programs, read and written."""
