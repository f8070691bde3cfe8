"""Ways to start the processes of a run that need a library of their own."""
