"""What a control plane without nodes lacks: a kubelet that makes Pods ready, and a gateway that takes routes."""
