"""Guardrails on the way of a call: requests in, answers and streams out, in every API family."""
