"""The Python client of a Penstock server: management API, tracing, prompts and feedback over HTTP alone.

Stands alone: standard library only, nothing of the server. The names people use are offered by `penstock`
itself (`penstock.Client`, `penstock.trace`, ...), each loaded on first use.
"""
