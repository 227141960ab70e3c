"""Calls kernels on buffers framed by garbage, and looks at all that they wrote."""

import numba
import numpy as np

from minitorch_cnn.kernels import jit

FRAME = 64


def garbage(dtype):
    """A value that spoils whatever is computed from it."""
    return np.nan if np.dtype(dtype).kind == "f" else 99 if dtype == np.uint8 else -(10**9)


def framed(values):
    """A copy between two stretches of garbage: what is read from there by mistake shows."""
    values = np.asarray(values)
    whole = np.full(values.size + 2 * FRAME, garbage(values.dtype), values.dtype)
    whole[FRAME : FRAME + values.size] = values.ravel()
    return whole[FRAME : FRAME + values.size].reshape(values.shape)


def call(kernel, inputs, outputs, *parameters):
    """The outputs, given as (shape, dtype), after a call that must write these and nothing else."""
    inputs = [framed(array) for array in inputs]
    kept = [array.copy() for array in inputs]
    outputs = [framed(np.full(shape, garbage(dtype), dtype)) for shape, dtype in outputs]
    kernel(*inputs, *outputs, *parameters)
    for array, copy in zip(inputs, kept, strict=True):
        np.testing.assert_array_equal(array, copy, err_msg="an input was written")
    for array in outputs:
        whole = array
        while whole.base is not None:
            whole = whole.base
        margins = np.concatenate([whole[:FRAME], whole[FRAME + array.size :]])
        blank = np.full(2 * FRAME, garbage(array.dtype), array.dtype)
        np.testing.assert_array_equal(margins, blank, err_msg="a kernel wrote beside its output")
    return outputs[0] if len(outputs) == 1 else outputs


def call_on_threads(kernel, inputs, outputs, *parameters):
    """The outputs of a kernel's threaded variant on one thread and on all."""
    results, threads, enough = [], numba.get_num_threads(), jit.PARALLEL_WORK
    jit.PARALLEL_WORK = 0
    try:
        for count in (1, numba.config.NUMBA_NUM_THREADS):
            numba.set_num_threads(count)
            results.append(call(kernel, inputs, outputs, *parameters))
    finally:
        numba.set_num_threads(threads)
        jit.PARALLEL_WORK = enough
    return results


def assert_close(actual, expected, terms=1, size=1.0):
    """Equal but for the rounding of sums of so many terms, each about as large as `size`."""
    tolerance = 8 * np.finfo(actual.dtype).eps * (terms + 1) * size
    np.testing.assert_allclose(actual, expected, rtol=tolerance / size, atol=tolerance)
