"""Small graphs that a network repeats: what can be decided of them, and which of them compute the same."""
