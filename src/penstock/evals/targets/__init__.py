"""Built-in targets, one file each; registered under the entry-point group `penstock.targets`."""
