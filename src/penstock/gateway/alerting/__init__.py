"""Telling people that a budget runs low or is used up: a list, the log, metrics, a webhook per project."""
