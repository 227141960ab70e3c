"""On a GPU: what the other tests of the device "cuda" compare without one. It has not been run yet.

python -m pytest -m gpu tests/test_cuda_gpu.py
"""

import copy

import numpy as np
import pytest

import minitorch_cnn as torch
import minitorch_cnn.nn.functional as F
from minitorch_cnn import optim
from minitorch_cnn.kernels.cuda import driver
from minitorch_cnn.vision import models

from . import test_cuda_calls as calls
from . import test_cuda_training as training

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        bool(driver.missing()) or driver.SIMULATED, reason="there is no GPU that can be used"
    ),
]

# What other files compare on a stand-in, here on the GPU.
test_pooling_in_pairs = calls.test_pooling_in_pairs
test_images = calls.test_images_on_their_way_into_a_batch
test_streams = calls.test_streams_of_random_numbers
test_choices = calls.test_choices_in_proportion_to_weights
test_a_seed_chooses_the_same = calls.test_a_seed_chooses_the_same_on_both_devices
test_optimizers_step_alike = training.test_optimizers_step_alike

SHAPES = [
    # batch, in, out, size, kernel, stride, padding, dilation, groups
    (2, 3, 6, 32, 5, 1, 0, 1, 1),
    (3, 64, 128, 28, 3, 1, 1, 1, 1),
    (64, 128, 512, 28, 3, 1, 1, 1, 1),
    (2, 8, 8, 15, 3, 2, 1, 2, 4),
    (2, 32, 32, 14, 3, 1, 1, 1, 32),
    (2, 5, 7, 9, 1, 1, 0, 1, 1),
]


@pytest.mark.parametrize("shape", SHAPES)
def test_convolution_and_its_gradients(shape):
    n, c, o, size, kernel, stride, padding, dilation, groups = shape
    torch.manual_seed(0)
    x, w = torch.randn(n, c, size, size), torch.randn(o, c // groups, kernel, kernel)
    b = torch.randn(o)
    found = []
    for device in ("cpu", "cuda"):
        leaves = [t.to(device).requires_grad_() for t in (x, w, b)]
        y = F.conv2d(*leaves, stride, padding, dilation, groups)
        y.sin().sum().backward()
        found.append([y.detach(), *[t.grad for t in leaves]])
    for here, there in zip(*found, strict=True):
        a = here.numpy()
        np.testing.assert_allclose(there.cpu().numpy(), a, rtol=1e-4, atol=1e-4 * np.abs(a).max())


def test_the_notebook_net_learns_alike_and_in_equal_bits():
    torch.manual_seed(0)
    net, x, labels = models.NotebookNet(), torch.randn(8, 3, 32, 32), torch.arange(8)
    twins = [copy.deepcopy(net).to("cuda") for _ in range(2)]
    for model in (net, *twins):
        optimizer, device = optim.Adam(model.parameters(), lr=1e-3), model.fc1.weight.device
        for _ in range(3):
            optimizer.zero_grad()
            F.cross_entropy(model(x.to(device)), labels.to(device)).backward()
            optimizer.step()
    for p, q, again in zip(net.parameters(), *[t.parameters() for t in twins], strict=True):
        np.testing.assert_allclose(q.detach().cpu().numpy(), p.detach().numpy(), atol=1e-4)
        np.testing.assert_array_equal(q.detach().cpu().numpy(), again.detach().cpu().numpy())


def test_memory_returns_to_the_driver():
    x = torch.ones(1 << 20, device="cuda")
    assert float(x.sum()) == 1 << 20
    del x
    torch.cuda.empty_cache()
    assert torch.cuda.memory_reserved() == torch.cuda.memory_allocated()
    free, total = torch.cuda.mem_get_info()
    assert 0 < free <= total


def test_a_compiled_step_equals_the_step_to_the_bit():
    torch.manual_seed(0)
    x, labels = torch.randn(8, 3, 32, 32).to("cuda"), torch.arange(8).to("cuda")
    net, found = models.NotebookNet().to("cuda"), []
    for compiled in (False, True):
        twin = copy.deepcopy(net)
        optimizer = optim.Adam(twin.parameters(), lr=1e-3)

        def step(x, labels, twin=twin, optimizer=optimizer):
            optimizer.zero_grad()
            loss = F.cross_entropy(twin(x), labels)
            loss.backward()
            optimizer.step()
            return loss

        run = torch.compile(step) if compiled else step
        losses = [run(x, labels).item() for _ in range(5)]
        found.append([losses, *[p.detach().cpu().tolist() for p in twin.parameters()]])
    assert found[0] == found[1]


def test_copies_from_pinned_memory():
    for size in (5, 1 << 22):
        x = torch.arange(size).pin_memory()
        assert x.is_pinned()
        there = [x.to("cuda", non_blocking=True) + i for i in range(3)]
        del x
        for i, y in enumerate(there):
            np.testing.assert_array_equal(y.cpu().numpy(), np.arange(size) + i)


def test_memory_is_shared_with_pytorch():
    pytorch = pytest.importorskip("torch")
    if not pytorch.cuda.is_available():
        pytest.skip("this PyTorch has no CUDA")
    x = torch.arange(6.0, device="cuda").reshape(2, 3)
    theirs = pytorch.from_dlpack(x.t())
    theirs += 1
    pytorch.cuda.synchronize()
    assert x.cpu().tolist() == [[1, 2, 3], [4, 5, 6]]
    for ours in (torch.from_dlpack(theirs), torch.as_tensor(theirs)):
        assert ours.data_ptr() == x.data_ptr()
        assert ours.shape == (3, 2)


def test_products_are_cublas_where_cupy_is_installed():
    pytest.importorskip("cupy")
    assert driver.cublas() is not None
    a, b = torch.randn(3, 65, 33), torch.randn(3, 33, 17)
    found = torch.matmul(a.to("cuda"), b.to("cuda")).cpu().numpy()
    np.testing.assert_allclose(found, np.matmul(a.numpy(), b.numpy()), rtol=1e-4, atol=1e-5)
