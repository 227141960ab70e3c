"""The models' parameters and outputs, compared with the same networks in PyTorch."""

import numpy as np
import pytest

import minitorch_cnn as torch
from minitorch_cnn.vision import models


def parameter_shapes(model):
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


def test_notebook_net_has_the_notebooks_parameters():
    assert parameter_shapes(models.NotebookNet()) == {
        "conv1.weight": (6, 3, 5, 5),
        "conv1.bias": (6,),
        "conv2.weight": (16, 6, 5, 5),
        "conv2.bias": (16,),
        "fc1.weight": (120, 400),
        "fc1.bias": (120,),
        "fc2.weight": (84, 120),
        "fc2.bias": (84,),
        "fc3.weight": (10, 84),
        "fc3.bias": (10,),
    }


def test_lenet_has_the_papers_sizes():
    shapes = parameter_shapes(models.LeNet5())
    assert shapes["conv1.weight"] == (6, 1, 5, 5)
    assert shapes["conv2.weight"] == (16, 6, 5, 5)
    assert [shapes[f"fc{number}.weight"] for number in (1, 2, 3)] == [
        (120, 400),
        (84, 120),
        (10, 84),
    ]
    # The paper's layers C1, C5 and F6 have 156, 48,120 and 10,164 weights.
    counts = {name: int(np.prod(shape)) for name, shape in shapes.items()}
    assert counts["conv1.weight"] + counts["conv1.bias"] == 156
    assert counts["fc1.weight"] + counts["fc1.bias"] == 48_120
    assert counts["fc2.weight"] + counts["fc2.bias"] == 10_164


def test_lenet_for_other_images_and_classes():
    model = models.LeNet5(num_classes=7, in_channels=3)
    assert model(torch.zeros(2, 3, 28, 28)).shape == (2, 7)


def notebook_forward(peer, w, x):
    f = peer.nn.functional
    x = f.max_pool2d(f.relu(f.conv2d(x, w["conv1.weight"], w["conv1.bias"])), 2, 2)
    x = f.max_pool2d(f.relu(f.conv2d(x, w["conv2.weight"], w["conv2.bias"])), 2, 2)
    x = x.reshape(len(x), -1)
    x = f.gelu(f.linear(x, w["fc1.weight"], w["fc1.bias"]))
    x = f.gelu(f.linear(x, w["fc2.weight"], w["fc2.bias"]))
    return f.linear(x, w["fc3.weight"], w["fc3.bias"])


def lenet_forward(peer, w, x):
    f = peer.nn.functional
    x = f.pad(x, (2, 2, 2, 2))
    x = f.avg_pool2d(peer.tanh(f.conv2d(x, w["conv1.weight"], w["conv1.bias"])), 2)
    x = f.avg_pool2d(peer.tanh(f.conv2d(x, w["conv2.weight"], w["conv2.bias"])), 2)
    x = x.reshape(len(x), -1)
    x = peer.tanh(f.linear(x, w["fc1.weight"], w["fc1.bias"]))
    x = peer.tanh(f.linear(x, w["fc2.weight"], w["fc2.bias"]))
    return f.linear(x, w["fc3.weight"], w["fc3.bias"])


@pytest.mark.parametrize(
    ("make", "forward", "shape"),
    [
        (models.NotebookNet, notebook_forward, (3, 3, 32, 32)),
        (models.LeNet5, lenet_forward, (3, 1, 28, 28)),
    ],
    ids=["NotebookNet", "LeNet5"],
)
def test_outputs_and_gradients_as_in_pytorch(make, forward, shape):
    peer = pytest.importorskip("torch")
    torch.manual_seed(0)
    model = make()
    images = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    weights = {
        name: peer.tensor(value.tolist(), requires_grad=True)
        for name, value in model.state_dict().items()
    }
    expected = forward(peer, weights, peer.from_numpy(images))
    logits = model(torch.from_numpy(images))
    np.testing.assert_allclose(
        logits.detach().numpy(), expected.detach().numpy(), rtol=1e-4, atol=1e-5
    )
    logits.square().sum().backward()
    expected.square().sum().backward()
    for name, parameter in model.named_parameters():
        np.testing.assert_allclose(
            parameter.grad.numpy(), weights[name].grad.numpy(), rtol=1e-3, atol=1e-5, err_msg=name
        )
