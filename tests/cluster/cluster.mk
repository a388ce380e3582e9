# A Kubernetes cluster on this machine, kept up to try things on; RUN comes from the Makefile that includes this.
.PHONY: cluster-up cluster-down
cluster-up: setup ## start two real nodes with fake GPUs, and leave them running (root and Go)
	$(RUN) python -m tests.cluster up

cluster-down: setup ## end them, and leave nothing behind
	$(RUN) python -m tests.cluster down
