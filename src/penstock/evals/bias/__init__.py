"""Published bias suites: their formats and the scores they define."""
