"""Deployments: which model version answers under which name, and the engine processes that do it."""
