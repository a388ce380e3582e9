// Karpenter, for the definitions of its resources.
module kubenas.io/test-cluster/karpenter

go 1.26.7

require sigs.k8s.io/karpenter v1.8.0
