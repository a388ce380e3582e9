"""KubeNAS: neural architecture search on Kubernetes."""

__version__ = "0.1.0"  # as in pyproject.toml, which the images do not hold
