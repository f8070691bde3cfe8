"""The server's edge: one worker's connections, from accepting them to draining them."""
