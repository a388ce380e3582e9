# A Kubernetes cluster on this machine: cluster-up leaves it running, cluster-down ends it.
.PHONY: cluster-up cluster-down
cluster-up:
	uv run python -m tests.cluster up
cluster-down:
	uv run python -m tests.cluster down
