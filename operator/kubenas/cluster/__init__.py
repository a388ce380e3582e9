"""The only place that knows Kubernetes: what is watched, what is written, and the loop between."""
