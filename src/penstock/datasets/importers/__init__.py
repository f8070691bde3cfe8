"""Readers that need an optional library; reached by name through the entry-point group `penstock.importers`."""
