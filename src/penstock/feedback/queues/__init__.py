"""Annotation queues: people answer the same questions about many traces, rows or pairs."""
