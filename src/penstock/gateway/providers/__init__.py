"""Built-in providers, one file each; a stranger's plug-in looks just like them."""
