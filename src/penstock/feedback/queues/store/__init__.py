"""SQL of annotation queues."""
