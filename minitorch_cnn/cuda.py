"""What code that chooses a device asks: `torch.cuda.is_available()`. Here it is not."""


def is_available() -> bool:
    """Whether tensors can live on a CUDA device: in this version they can't."""
    return False


def device_count() -> int:
    """How many CUDA devices tensors can live on: in this version none."""
    return 0
