"""Apple's Metal, on which nothing runs here."""


def is_available() -> bool:
    """Whether tensors can live on Apple's GPUs: they can't."""
    return False


def is_built() -> bool:
    """Whether there are kernels for Apple's GPUs: there are none."""
    return False
