"""What an architecture is: spaces, their canonical forms, mutation."""
