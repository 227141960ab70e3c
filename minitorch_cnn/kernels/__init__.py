"""Kernels: functions that write into buffers they are given. One folder a device, equal names."""
