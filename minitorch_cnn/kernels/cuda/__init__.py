"""Kernels for NVIDIA GPUs, a family a file, named as in `kernels/cpu`."""
