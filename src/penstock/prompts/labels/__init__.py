"""What points at versions: labels, and who may move them."""
