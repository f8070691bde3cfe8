"""Calls that may cost money: known by their content, stored before anything else, held to rates and a cap."""
