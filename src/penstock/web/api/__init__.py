"""HTTP of what belongs to no slice: account, work, records, operations."""
