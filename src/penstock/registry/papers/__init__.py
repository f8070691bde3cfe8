"""What travels with a version: licence, use, signature, scan, signed manifest, edited card."""
