"""Exporters: each module's `run(spec, report)` turns one model folder into another and runs in a child process."""
