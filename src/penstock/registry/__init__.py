"""Models: immutable versions of weights with checksums, lineage, aliases and a generated card."""
