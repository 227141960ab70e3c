"""Memory shared with other libraries, by PyTorch's names.

See https://docs.pytorch.org/docs/stable/dlpack.html.

>>> import numpy as np
>>> import minitorch_cnn as torch
>>> from minitorch_cnn.utils.dlpack import from_dlpack, to_dlpack
>>> x = torch.zeros(2)
>>> from_dlpack(to_dlpack(x))[0] = 1
>>> np.from_dlpack(x)
array([1., 0.], dtype=float32)
"""

from ..dlpack import DLDeviceType as DLDeviceType
from ..ops.creation import from_dlpack as from_dlpack
from ..ops.creation import to_dlpack as to_dlpack

__all__ = ["DLDeviceType", "from_dlpack", "to_dlpack"]
