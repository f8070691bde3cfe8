"""Tokenizers for calls whose usage nobody reported: plug-ins of the group `penstock.tokenizers`."""
