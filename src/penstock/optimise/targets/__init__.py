"""Exported folders as targets of evaluations; registered under the entry-point group `penstock.targets`."""
