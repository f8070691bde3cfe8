"""The guards that come with Penstock, one file each; chosen by name like anybody's plug-in."""
