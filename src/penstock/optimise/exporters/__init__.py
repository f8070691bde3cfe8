"""Built-in ways to make a variant, one file each; registered under the entry-point group `penstock.exporters`."""
