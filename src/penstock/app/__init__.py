"""The composition root: `server` for the web processes, `work` for the background process."""
