"""Traces: spans from the gateway and from OpenTelemetry, their cost, usage and latency."""
