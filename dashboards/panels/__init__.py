"""The panels, a file for each theme and a function for each panel."""
