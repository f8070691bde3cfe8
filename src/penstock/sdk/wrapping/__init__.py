"""`penstock.wrap`: model clients of other libraries, recorded call by call. Knows them by their shape, imports none."""
