"""Maskers that come with traces."""
