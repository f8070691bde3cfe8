"""Built-in scorers, one file each; registered under the entry-point group `penstock.scorers`."""
