"""Several scores of the same candidates: put together, and compared by rank."""
