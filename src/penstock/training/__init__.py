"""Training: recipes in, registered model versions out, each run in a child process."""
