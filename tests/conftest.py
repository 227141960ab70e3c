"""Settings of all tests."""

import os

from hypothesis import HealthCheck, settings

# Tests may run beside each other, so threads that wait for work had better sleep at once.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Of tests that run beside each other each would start another process to compile for it.
os.environ.setdefault("MINITORCH_CNN_COMPILE_AHEAD", "0")

# The first example compiles kernels, so time says nothing; equal runs draw equal examples.
settings.register_profile(
    "minitorch_cnn",
    deadline=None,
    derandomize=True,
    max_examples=20,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("minitorch_cnn")
