"""Where models come from, one file each; loaded by name in a child process (group `penstock.model_importers`)."""
