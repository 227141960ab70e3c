"""Settings of CUDA's libraries, which are not used here: they have no effect."""

from types import SimpleNamespace

matmul = SimpleNamespace(allow_tf32=False)
