"""KubeNAS: neural architecture search on Kubernetes."""
