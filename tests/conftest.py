"""Settings of all tests."""

from hypothesis import HealthCheck, settings

# The first example compiles kernels, so time says nothing; equal runs draw equal examples.
settings.register_profile(
    "minitorch_cnn",
    deadline=None,
    derandomize=True,
    max_examples=20,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("minitorch_cnn")
