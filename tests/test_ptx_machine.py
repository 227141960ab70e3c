"""The machine that executes PTX: that it computes, and that it finds planted bugs."""

import math

import numpy as np
import pytest

from minitorch_cnn.kernels.cuda import registry
from minitorch_cnn.kernels.cuda.registry import Kernel, Limits, f32, i32, i64, u32, vector

from . import ptx_device
from .cuda_device import needs_compiler
from .ptx_machine import Machine, Region
from .ptx_program import PTXError, read

pytestmark = needs_compiler
cuda = registry.cuda

HEAD = ".version 8.0\n.target sm_90\n.address_size 64\n"


def run(function, arrays, *numbers, threads=32, blocks=1, kinds=None, most_steps=20_000):
    """Compile a function of arrays and int32 numbers, and execute it; the arrays are changed."""
    signature = [
        vector(registry.of(a.dtype)) if a.dtype.kind != "b" else vector(registry.boolean)
        for a in arrays
    ]
    signature += kinds or [i32] * len(numbers)
    kernel = Kernel(function, tuple(signature), threads, Limits(255, True, True, True, False))
    given = [ptx_device.HostMemory(a, a.ctypes.data) for a in arrays]
    arguments, regions = ptx_device.flatten(kernel, [*given, *numbers])
    program = read(ptx_device.compile_ptx(kernel))
    grid = blocks if isinstance(blocks, tuple) else (blocks, 1, 1)
    machine = Machine(program, arguments, threads, grid, regions, most_steps=most_steps)
    machine.run()
    return machine


def zeros(count, dtype=np.float32):
    return np.zeros(count, dtype)


# ---------------------------------------------------------------------- it computes


def test_a_grid_of_blocks():
    def body(y, n):
        i = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
        if i < n:
            y[i] = i * i

    y = zeros(70)
    run(body, [y], 67, threads=16, blocks=5)
    np.testing.assert_array_equal(y, [i * i if i < 67 else 0 for i in range(70)])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_elementary_functions(dtype):
    def body(x, y):
        i = cuda.threadIdx.x
        y[i] = math.exp(x[i]) + math.log(x[i]) * math.tanh(x[i]) - math.sqrt(x[i])

    x = np.linspace(0.1, 5, 32).astype(dtype)
    y = zeros(32, dtype)
    run(body, [x, y])
    expected = np.exp(x.astype(float)) + np.log(x) * np.tanh(x) - np.sqrt(x)
    np.testing.assert_allclose(y, expected, rtol=64 * np.finfo(dtype).eps)


def test_sines_of_large_numbers():
    def body(x, y):
        i = cuda.threadIdx.x
        y[i] = math.sin(x[i])

    x = np.array([0, 1, -3, 100, 1e5, 3e7, -2e20, 1e38], np.float32)
    y = zeros(8)
    run(body, [x, y], threads=8)
    np.testing.assert_allclose(y, np.sin(x.astype(np.float64)), atol=1e-6)


def test_whole_numbers():
    def body(a, b, y):
        i = cuda.threadIdx.x
        y[5 * i] = a[i] // b[i]
        y[5 * i + 1] = a[i] % b[i]
        y[5 * i + 2] = (a[i] << 3) ^ b[i]
        y[5 * i + 3] = a[i] >> 2
        y[5 * i + 4] = a[i] * b[i]

    a = np.array([7, -7, 7, -7, 2**40, -(2**62)], np.int64)
    b = np.array([2, 2, -2, -2, 3, 7], np.int64)
    y = zeros(30, np.int64)
    run(body, [a, b, y], threads=6)
    expected = np.stack([a // b, a % b, (a << 3) ^ b, a >> 2, a * b], 1).reshape(-1)
    np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_products_of_bytes(dtype):
    def body(a, b, y, n):
        i = cuda.threadIdx.x
        total = i64(0)
        for k in range(n):
            total += a[k] * b[k + i]
        y[i] = total

    limits = np.iinfo(dtype)
    a, b = np.random.default_rng(0).integers(limits.min, limits.max + 1, (2, 32)).astype(dtype)
    y = zeros(8, np.int64)
    run(body, [a, b, y], 23, threads=8)
    expected = [np.dot(a[:23].astype(int), b[i : i + 23].astype(int)) for i in range(8)]
    np.testing.assert_array_equal(y, expected)


def test_bytes_are_permuted():
    text = """.visible .entry permute(.param .u64 out) {
        .reg .b32 %r<3>;
        .reg .b64 %rd<2>;
        ld.param.u64 %rd0, [out];
        mov.u32 %r0, 0x83020100; mov.u32 %r1, 0x07060584;
        prmt.b32 %r2, %r0, %r1, 0xB743;
        st.global.u32 [%rd0], %r2; ret; }"""
    y = zeros(1, np.uint32)
    region = Region(y.ctypes.data, y.view(np.uint8), y.ctypes.data)
    Machine(read(HEAD + text), [y.ctypes.data], 1, (1, 1, 1), [region]).run()
    assert y[0] == 0xFF078483


def test_branches_meet_again_and_loops_end():
    def body(x, y):
        i = cuda.threadIdx.x
        total, k = i64(0), i64(x[i])
        while k > 0:
            total += k if k % 2 == 0 else -k
            k -= 1
        y[i] = total

    x = np.arange(32)
    y = zeros(32, np.int64)
    run(body, [x, y])
    expected = [sum(k if k % 2 == 0 else -k for k in range(n + 1)) for n in x]
    np.testing.assert_array_equal(y, expected)


def reversal(x, y):
    shared = cuda.shared.array(64, f32)
    t = cuda.threadIdx.x
    shared[t] = x[t]
    cuda.syncthreads()
    y[t] = shared[63 - t]


def test_shared_memory_and_barriers():
    x, y = np.arange(64, dtype=np.float32), zeros(64)
    run(reversal, [x, y], threads=64)
    np.testing.assert_array_equal(y, x[::-1])


def test_shuffles():
    def body(x, y):
        value = x[cuda.threadIdx.x]
        step = 16
        while step > 0:
            value += cuda.shfl_down_sync(0xFFFFFFFF, value, step)
            step //= 2
        y[cuda.threadIdx.x] = value

    x, y = np.arange(32, dtype=np.float32), zeros(32)
    run(body, [x, y])
    assert y[0] == x.sum()


def test_nan_and_infinity():
    def body(x, y):
        i = cuda.threadIdx.x
        y[3 * i] = 1 if x[i] < f32(0) else 0
        y[3 * i + 1] = 1 if x[i] != x[i] else 0
        y[3 * i + 2] = 1 if not (x[i] <= f32(0)) else 0

    x, y = np.array([np.nan, np.inf, -np.inf, 0], np.float32), zeros(12)
    run(body, [x, y], threads=4)
    np.testing.assert_array_equal(y.reshape(4, 3), [[0, 1, 1], [0, 0, 1], [1, 0, 0], [0, 0, 0]])


# ---------------------------------------------------------------------- it finds bugs


def past_the_end(x, y):
    i = cuda.threadIdx.x
    y[i + 1] = x[i]


def before_the_start(x, y):
    i = cuda.threadIdx.x
    y[u32(i)] = x[u32(u32(i) - u32(1))]


def beyond_shared_memory(x, y):
    shared = cuda.shared.array(32, f32)
    t = cuda.threadIdx.x
    shared[t + 1] = x[t]
    cuda.syncthreads()
    y[t] = shared[t]


def no_barrier(x, y):
    shared = cuda.shared.array(32, f32)
    t = cuda.threadIdx.x
    shared[t] = x[t]
    y[t] = shared[31 - t]


def no_second_barrier(x, y):
    shared = cuda.shared.array(32, f32)
    t = cuda.threadIdx.x
    total = f32(0)
    for k in range(4):
        shared[t] = x[t] + f32(k)
        cuda.syncthreads()
        total += shared[31 - t]
    y[t] = total


def two_writers_of_one_shared_place(x, y):
    shared = cuda.shared.array(32, f32)
    t = cuda.threadIdx.x
    shared[t // 2] = x[t]
    cuda.syncthreads()
    y[t] = shared[t // 2]


def never_written(x, y):
    shared = cuda.shared.array(32, f32)
    t = cuda.threadIdx.x
    if t < 16:
        shared[t] = x[t]
    cuda.syncthreads()
    y[t] = shared[t]


def barrier_in_a_branch(x, y):
    shared = cuda.shared.array(32, f32)
    t = cuda.threadIdx.x
    shared[t] = x[t]
    if t < 16:
        cuda.syncthreads()
        y[t] = shared[31 - t]


def barrier_after_a_return(x, y):
    shared = cuda.shared.array(32, f32)
    t = cuda.threadIdx.x
    if t >= 30:
        return
    shared[t] = x[t]
    cuda.syncthreads()
    y[t] = shared[29 - t]


def two_barriers(x, y):
    shared = cuda.shared.array(32, f32)
    t = cuda.threadIdx.x
    shared[t] = x[t]
    if t < 16:
        cuda.syncthreads()
        y[t] = shared[31 - t]
    else:
        cuda.syncthreads()
        y[t] = shared[31 - t] + f32(1)


def lonely_shuffle(x, y):
    t = cuda.threadIdx.x
    if t < 16:
        y[t] = cuda.shfl_down_sync(0xFFFFFFFF, x[t], 16)


def no_end(x, y):
    t = cuda.threadIdx.x
    while x[t] < f32(1):
        y[t] += f32(1)


def one_place_of_a_buffer(x, y):
    y[cuda.threadIdx.x // 2] = x[cuda.threadIdx.x]


def sum_without_atomics(x, y):
    y[0] += x[cuda.threadIdx.x]


def neighbours_in_place(x, y):
    t = cuda.threadIdx.x
    y[t] = y[31 - t] + x[t]


PLANTED = {
    past_the_end: "outside the buffers",
    before_the_start: "outside the buffers",
    beyond_shared_memory: "outside shared memory",
    no_barrier: "race in shared memory: a read after another's write",
    no_second_barrier: "race in shared memory",
    two_writers_of_one_shared_place: "race in shared memory: two threads write",
    never_written: "nobody wrote",
    barrier_in_a_branch: "never reach",
    barrier_after_a_return: "never reach",
    two_barriers: "divergent barriers",
    lonely_shuffle: "takes no part",
    no_end: "without end",
    one_place_of_a_buffer: "race in a buffer: two threads write",
    sum_without_atomics: "race in a buffer",
    neighbours_in_place: "race in a buffer",
}


@pytest.mark.parametrize(
    ("function", "found"), PLANTED.items(), ids=lambda v: getattr(v, "__name__", "")
)
def test_a_planted_bug_is_found(function, found):
    with pytest.raises(PTXError, match=found):
        run(function, [zeros(32), zeros(32)])


def test_a_race_between_blocks_is_found():
    def body(x, y):
        i = cuda.blockIdx.x
        if cuda.threadIdx.x == 0:
            y[i] = x[i]
        cuda.syncthreads()
        y[i] += y[1 - i]

    with pytest.raises(PTXError, match="race in a buffer"):
        run(body, [zeros(2), zeros(2)], threads=1, blocks=2)


def test_a_barrier_orders_a_block_in_a_buffer():
    def body(x, y):
        t = cuda.threadIdx.x
        y[t] = x[t]
        cuda.syncthreads()
        x[t] = y[31 - t]

    x, y = np.arange(32, dtype=np.float32), zeros(32)
    run(body, [x, y])
    np.testing.assert_array_equal(x, np.arange(32)[::-1])


def module(body, parameters=".param .u64 p"):
    return read(f"{HEAD}.visible .entry k({parameters})\n{{\n.reg .b64 %rd<9>;\n{body}\nret;\n}}")


def test_a_misaligned_access_is_found():
    array = zeros(8)
    program = module("ld.param.u64 %rd1, [p];\n.reg .f32 %f<3>;\nld.global.f32 %f1, [%rd1+2];")
    start = array.ctypes.data
    machine = Machine(program, [start], 1, (1, 1, 1), [Region(start, array.view(np.uint8), start)])
    with pytest.raises(PTXError, match="misaligned"):
        machine.run()


def test_what_is_not_known_is_refused():
    with pytest.raises(PTXError, match=r"not known here: wgmma\.fence"):
        Machine(module("wgmma.fence;"), [0], 1, (1, 1, 1), [])
    with pytest.raises(PTXError, match="functions"):
        read(f"{HEAD}.func f()\n{{ret;}}\n.visible .entry k()\n{{ret;}}")
    with pytest.raises(PTXError, match="2 arguments for 1 parameters"):
        Machine(module(""), [0, 1], 1, (1, 1, 1), [])
    with pytest.raises(PTXError, match=r"no \.entry"):
        read(HEAD)
