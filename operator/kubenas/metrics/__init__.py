"""What is read for trials: from Prometheus, or from the trials themselves."""
