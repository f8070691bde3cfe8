"""Built-in runners, one file per format; registered under the entry-point group `penstock.runners`."""
