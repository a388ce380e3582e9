"""Published spaces: one file each, whose function of the file's name gives the space."""
