"""Built-in searchers, reached by name (`penstock.searchers`)."""
