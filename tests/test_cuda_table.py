"""Every function of the table on the device "cuda" against the CPU, without a GPU.

The kernels run as PTX in a machine of this project's, or, with NUMBA_ENABLE_CUDASIM=1, in the
simulator of numba-cuda.
"""

import re

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import minitorch_cnn as torch
from minitorch_cnn.device import observe

from .cuda_device import needs_numba_cuda, stand_in
from .op_table import normal
from .ptx_program import PTXError
from .rows import ROWS
from .strategies import LAYOUTS, in_layout
from .test_cuda_kernels import NOT_ON_CUDA

pytestmark = [
    needs_numba_cuda,
    # In the simulator kernels are Python, and infinity and NaN results like others.
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]

EXAMPLES = 2


def evaluate(row, case, dtype, layout, device):
    """The outputs and gradients of a row's call on a device, as arrays; and which kernels ran."""

    def place(array):
        real = np.asarray(array).dtype == np.float64
        array = in_layout(np.asarray(array), layout)
        return torch.from_numpy(array.astype(dtype) if real else array).to(device), real

    inputs = [place(array) for array in case.arrays]
    leaves = [x.requires_grad_(real) for x, real in inputs]
    options = {
        name: place(value)[0] if isinstance(value, np.ndarray) else value
        for name, value in case.options.items()
    }
    found = row.call(torch, *leaves, **options)
    outputs = list(found) if isinstance(found, (tuple, list)) else [found]
    assert all(y.device == torch.device(device) for y in outputs)
    recorded = [y for y in outputs if y.requires_grad]
    wanted = [x for x in leaves if x.requires_grad]
    slopes = []
    if recorded and wanted:
        weights = [
            torch.from_numpy(normal(np.random.default_rng(i), tuple(y.shape))).to(device, y.dtype)
            for i, y in enumerate(recorded)
        ]
        slopes = torch.autograd.grad(recorded, wanted, weights, allow_unused=True)
    return [None if t is None else t.detach().cpu().numpy() for t in (*outputs, *slopes)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_as_on_the_cpu(row):
    ran = []

    @settings(max_examples=EXAMPLES, phases=[Phase.generate], database=None)
    @given(case=row.cases, layout=st.sampled_from(LAYOUTS))
    def compare(case, layout):
        dtype = np.float32
        expected = evaluate(row, case, dtype, layout, "cpu")
        before = observe(lambda device, name, *_: ran.append((device.type, name)))
        try:
            actual = evaluate(row, case, dtype, layout, "cuda:0")
        except RuntimeError as error:
            found = re.fullmatch(r"device 'cuda:0' has no kernel (\S+)", str(error))
            # A row may make tensors of its own, on the CPU.
            mixed = "expected all tensors on one device" in str(error)
            if not mixed and (found is None or found[1] not in NOT_ON_CUDA):
                raise
            pytest.skip(str(error))
        except PTXError as error:  # powers of float64 are a function that kernels call
            if str(error) != "functions are not known here":
                raise
            pytest.skip(f"the machine can't run it: {error}")
        finally:
            observe(before)
        terms = max([a.size for a in case.arrays], default=0) + 1
        tolerance = 8 * float(np.finfo(dtype).eps) * terms * row.condition
        for a, e in zip(actual, expected, strict=True):
            if e is None:
                assert a is None
                continue
            assert a.shape == e.shape
            assert a.dtype == e.dtype
            if e.dtype.kind != "f":
                np.testing.assert_array_equal(a, e)
                continue
            size = max(np.abs(e[np.isfinite(e)]).max(initial=0.0), 1.0)
            np.testing.assert_allclose(a, e, rtol=tolerance, atol=tolerance * size)

    with stand_in():
        compare()
    assert ran
