"""What programs ask of the libraries beneath PyTorch, or tell them: none of these is here.

    import minitorch_cnn.backends.cudnn as cudnn

    cudnn.benchmark = True

So what is available is told truly, and settings can be made, as without a GPU they can in PyTorch,
and have nothing to act on.
"""

from __future__ import annotations

from . import cuda as cuda
from . import cudnn as cudnn
from . import mps as mps

_deterministic = False
_matmul_precision = "highest"


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Ask for algorithms that give equal bits in equal runs. All here do, asked for or not.

    https://docs.pytorch.org/docs/stable/generated/torch.use_deterministic_algorithms.html
    """
    global _deterministic
    _deterministic = bool(mode)


def are_deterministic_algorithms_enabled() -> bool:
    """Whether `use_deterministic_algorithms` asked for them."""
    return _deterministic


def set_float32_matmul_precision(precision: str) -> None:
    """Allow products of float32 matrices less than float32's precision: "highest" does not, "high"
    and "medium" do. Here they have float32's precision whatever is allowed.

    https://docs.pytorch.org/docs/stable/generated/torch.set_float32_matmul_precision.html
    """
    global _matmul_precision
    if precision not in ("highest", "high", "medium"):
        raise RuntimeError(f"{precision!r} is not one of 'highest', 'high' and 'medium'")
    _matmul_precision = precision


def get_float32_matmul_precision() -> str:
    """What `set_float32_matmul_precision` allowed."""
    return _matmul_precision
