"""Which architecture next: history in, candidates out; one file a strategy."""
