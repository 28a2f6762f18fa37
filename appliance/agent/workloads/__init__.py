"""Customers' work on this machine, as pods of its own Kubernetes (k3s, or any that a kubeconfig leads to)."""
