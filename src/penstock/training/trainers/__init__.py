"""Built-in trainers; each module has `run(spec, report) -> dict` and runs in a child process."""
