"""Differentiable operations, a family a file; importing them binds Tensor's methods."""
