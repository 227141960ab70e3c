"""Kernels for the CPU. A file holds one family of ops; `device.launch` imports it at first use."""
