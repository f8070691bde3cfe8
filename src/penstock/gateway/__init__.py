"""The gateway: one endpoint in front of every model, with keys, routes and a trace of each call."""
