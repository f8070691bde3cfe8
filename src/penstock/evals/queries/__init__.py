"""Queries that somebody else wrote, on a database that nobody needs."""
