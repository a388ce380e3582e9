"""Published spaces: one file each, with a function of the file's name that returns the space."""
