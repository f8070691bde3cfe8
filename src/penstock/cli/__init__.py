"""The command line, and the processes that `penstock up` starts."""
