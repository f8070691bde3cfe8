"""Built-in engines, one file each, registered under `penstock.engines`."""
