"""The models of the literature: torchvision's sizes and names, and the same sources in PyTorch."""

import importlib
import inspect
import sys
import types

import numpy as np
import pytest

import minitorch_cnn as torch
from minitorch_cnn import nn
from minitorch_cnn.vision import models, ops

# What torchvision's documentation says of its models for ImageNet's 1,000 classes.
PARAMETERS = {
    "alexnet": 61_100_840,
    "densenet121": 7_978_856,
    "densenet161": 28_681_000,
    "densenet169": 14_149_480,
    "densenet201": 20_013_928,
    "efficientnet_b0": 5_288_548,
    "efficientnet_b1": 7_794_184,
    "efficientnet_b2": 9_109_994,
    "efficientnet_b3": 12_233_232,
    "efficientnet_b4": 19_341_616,
    "googlenet": 13_004_888,
    "mobilenet_v2": 3_504_872,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "resnext50_32x4d": 25_028_904,
    "resnext101_32x8d": 88_791_336,
    "resnext101_64x4d": 83_455_272,
    "shufflenet_v2_x0_5": 1_366_792,
    "shufflenet_v2_x1_0": 2_278_604,
    "shufflenet_v2_x1_5": 3_503_624,
    "shufflenet_v2_x2_0": 7_393_996,
    "squeezenet1_0": 1_248_424,
    "squeezenet1_1": 1_235_496,
    "vgg11": 132_863_336,
    "vgg11_bn": 132_868_840,
    "vgg13": 133_047_848,
    "vgg13_bn": 133_053_736,
    "vgg16": 138_357_544,
    "vgg16_bn": 138_365_992,
    "vgg19": 143_667_240,
    "vgg19_bn": 143_678_248,
    "wide_resnet50_2": 68_883_240,
    "wide_resnet101_2": 126_886_696,
}
# Of the networks for CIFAR-10, section 4.2 of He et al.: 0.27, 0.46, 0.66, 0.85 and 1.7 million.
CIFAR_PARAMETERS = {
    "resnet20": 269_722,
    "resnet32": 464_154,
    "resnet44": 658_586,
    "resnet56": 853_018,
    "resnet110": 1_727_962,
}


@pytest.fixture
def undrawn(monkeypatch):
    """Weights are left as they are allocated: drawing 138 million numbers takes seconds."""
    for name in ("kaiming_normal_", "kaiming_uniform_", "normal_", "trunc_normal_", "uniform_"):
        monkeypatch.setattr(nn.init, name, lambda tensor, *args, **kwargs: tensor)


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(("name", "expected"), (PARAMETERS | CIFAR_PARAMETERS).items())
def test_as_many_parameters_as_published(name, expected, undrawn):
    assert count(getattr(models, name)()) == expected


def test_every_builder_is_counted():
    builders = {name for name in models.__all__ if name.islower()}
    assert builders == set(PARAMETERS) | set(CIFAR_PARAMETERS)


def test_googlenet_without_classifiers_on_the_way(undrawn):
    model = models.googlenet(aux_logits=False)
    assert count(model) == 6_624_904
    assert not [name for name in model.state_dict() if name.startswith("aux")]
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 1000)


# Some names and shapes from files of weights that torchvision publishes, of every part of a model.
NAMES = {
    "alexnet": {
        "features.0.weight": (64, 3, 11, 11),
        "features.10.bias": (256,),
        "classifier.1.weight": (4096, 9216),
        "classifier.6.bias": (1000,),
    },
    "vgg16": {
        "features.0.weight": (64, 3, 3, 3),
        "features.28.weight": (512, 512, 3, 3),
        "classifier.0.weight": (4096, 25088),
        "classifier.6.weight": (1000, 4096),
    },
    "vgg11_bn": {
        "features.1.running_mean": (64,),
        "features.25.weight": (512, 512, 3, 3),
        "features.26.num_batches_tracked": (),
    },
    "resnet18": {
        "conv1.weight": (64, 3, 7, 7),
        "bn1.running_var": (64,),
        "layer1.1.conv2.weight": (64, 64, 3, 3),
        "layer2.0.downsample.0.weight": (128, 64, 1, 1),
        "layer2.0.downsample.1.bias": (128,),
        "fc.weight": (1000, 512),
    },
    "resnet50": {
        "layer1.0.conv1.weight": (64, 64, 1, 1),
        "layer1.0.downsample.0.weight": (256, 64, 1, 1),
        "layer4.2.bn3.weight": (2048,),
        "fc.bias": (1000,),
    },
    "resnext50_32x4d": {"layer1.0.conv2.weight": (128, 4, 3, 3)},
    "wide_resnet50_2": {"layer1.0.conv2.weight": (128, 128, 3, 3)},
    "squeezenet1_0": {
        "features.0.weight": (96, 3, 7, 7),
        "features.3.squeeze.weight": (16, 96, 1, 1),
        "features.12.expand3x3.bias": (256,),
        "classifier.1.weight": (1000, 512, 1, 1),
    },
    "squeezenet1_1": {"features.3.expand1x1.weight": (64, 16, 1, 1)},
    "mobilenet_v2": {
        "features.0.0.weight": (32, 3, 3, 3),
        "features.1.conv.0.0.weight": (32, 1, 3, 3),
        "features.1.conv.1.weight": (16, 32, 1, 1),
        "features.1.conv.2.running_mean": (16,),
        "features.17.conv.2.weight": (320, 960, 1, 1),
        "features.18.1.bias": (1280,),
        "classifier.1.weight": (1000, 1280),
    },
    "shufflenet_v2_x1_0": {
        "conv1.0.weight": (24, 3, 3, 3),
        "stage2.0.branch1.0.weight": (24, 1, 3, 3),
        "stage2.0.branch1.2.weight": (58, 24, 1, 1),
        "stage3.7.branch2.5.weight": (116, 116, 1, 1),
        "conv5.1.running_var": (1024,),
        "fc.weight": (1000, 1024),
    },
    "densenet121": {
        "features.conv0.weight": (64, 3, 7, 7),
        "features.denseblock1.denselayer1.norm1.weight": (64,),
        "features.denseblock3.denselayer24.conv2.weight": (32, 128, 3, 3),
        "features.transition3.conv.weight": (512, 1024, 1, 1),
        "features.norm5.running_mean": (1024,),
        "classifier.weight": (1000, 1024),
    },
    "googlenet": {
        "conv1.conv.weight": (64, 3, 7, 7),
        "inception3a.branch1.bn.bias": (64,),
        "inception4b.branch3.1.conv.weight": (64, 24, 3, 3),
        "inception5b.branch4.1.conv.weight": (128, 832, 1, 1),
        "aux1.conv.conv.weight": (128, 512, 1, 1),
        "aux2.fc1.weight": (1024, 2048),
        "fc.bias": (1000,),
    },
    "efficientnet_b0": {
        "features.0.0.weight": (32, 3, 3, 3),
        "features.1.0.block.1.fc1.weight": (8, 32, 1, 1),
        "features.2.0.block.1.0.weight": (96, 1, 3, 3),
        "features.7.0.block.3.1.bias": (320,),
        "features.8.0.weight": (1280, 320, 1, 1),
        "classifier.1.weight": (1000, 1280),
    },
}
# How many tensors a file of these weights holds.
ENTRIES = {"alexnet": 16, "vgg16": 32, "resnet18": 122, "resnet50": 320, "squeezenet1_0": 52}


@pytest.mark.parametrize("name", NAMES)
def test_parameters_and_buffers_are_named_as_in_torchvision(name, undrawn):
    state = getattr(models, name)().state_dict()
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    assert {key: shapes.get(key) for key in NAMES[name]} == NAMES[name]
    assert len(shapes) == ENTRIES.get(name, len(shapes))


# ---------------------------------------------------------------------- options


@pytest.mark.parametrize("name", PARAMETERS)
def test_weights_are_refused(name):
    with pytest.raises(ValueError, match=f"{name}: no trained weights are shipped.* not 'DEFAULT'"):
        getattr(models, name)(weights="DEFAULT")


def test_options_of_resnet():
    model = models.resnet18(num_classes=3, zero_init_residual=True)
    assert model.fc.out_features == 3
    assert not model.layer3[1].bn2.weight.any()
    dilated = models.ResNet(
        models.resnet.Bottleneck,
        [1, 1, 1, 1],
        num_classes=2,
        replace_stride_with_dilation=[False, True, True],
    )
    assert dilated.layer3[0].conv2.dilation == (1, 1)
    assert dilated.layer4[0].conv2.dilation == (2, 2)
    stages = nn.Sequential(*list(dilated.children())[:-2])
    assert stages(torch.zeros(1, 3, 32, 32)).shape == (1, 2048, 4, 4)
    made = []
    models.ResNet(
        models.resnet.BasicBlock,
        [1, 1, 1, 1],
        norm_layer=lambda channels: made.append(channels) or nn.BatchNorm2d(channels),
    )
    assert made == [64, 64, 64, 128, 128, 128, 256, 256, 256, 512, 512, 512]


def test_first_block_of_a_stage_keeps_the_order_of_draws():
    """The shortcut is made before the block, so equal seeds mean equal weights."""
    names = [name for name, _ in models.resnet18(num_classes=2).named_modules()]
    assert names.index("layer2.0.downsample") > names.index("layer2.0.conv2")


def test_options_of_the_others(undrawn):
    assert models.alexnet(num_classes=5, dropout=0.1).classifier[0].p == 0.1
    assert models.vgg11(num_classes=5, init_weights=False, dropout=0.2).classifier[2].p == 0.2
    assert models.squeezenet1_1(num_classes=5, dropout=0.3).classifier[0].p == 0.3
    net = models.mobilenet_v2(width_mult=0.5, inverted_residual_setting=[[1, 16, 1, 1]])
    assert net.features[0].out_channels == 16
    assert net.features[1].out_channels == 8
    assert len(net.features) == 3
    assert models.efficientnet_b0(dropout=0.4).classifier[0].p == 0.4
    assert models.densenet121(drop_rate=0.5).features.denseblock1.denselayer1.drop_rate == 0.5


def test_googlenet_maps_its_input():
    torch.manual_seed(0)
    model = models.googlenet(
        num_classes=2, aux_logits=False, transform_input=True, init_weights=False
    )
    seen = []
    model.conv1.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    model.eval()(torch.zeros(1, 3, 32, 32))
    expected = (np.array([0.485, 0.456, 0.406]) - 0.5) / 0.5
    np.testing.assert_allclose(seen[0][0, :, 3, 3].numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: models.SqueezeNet("2_0"), "Unsupported SqueezeNet version '2_0'"),
        (lambda: models.ShuffleNetV2([4, 8], [1, 2, 3, 4, 5]), "list of 3 positive ints"),
        (lambda: models.ShuffleNetV2([4, 8, 4], [24]), "list of 5 positive ints"),
        (lambda: models.shufflenetv2.InvertedResidual(8, 8, 0), "illegal stride value: 0"),
        (lambda: models.shufflenetv2.InvertedResidual(4, 8, 1), "4 channels must become as many"),
        (lambda: models.GoogLeNet(blocks=[1]), "blocks length should be 3 instead of 1"),
        (lambda: models.EfficientNet([], 0.2), "should not be empty"),
        (lambda: models.CifarResNet(0), "a block in each stage, not 0"),
        (lambda: models.MobileNetV2(inverted_residual_setting=[[1, 2]]), "4-element"),
        (lambda: models.mobilenetv2.InvertedResidual(4, 4, 3, 1), "instead of 3"),
        (
            lambda: models.resnet18(replace_stride_with_dilation=[True]),
            "3-element tuple, got \\[True\\]",
        ),
        (lambda: models.resnet18(groups=2), "BasicBlock only supports groups=1"),
        (lambda: ops.StochasticDepth(2.0, "row")(torch.ones(1)), "between 0 and 1, but got 2.0"),
        (lambda: ops.StochasticDepth(0.5, "all")(torch.ones(1)), "'batch' or 'row', but got 'all'"),
    ],
)
def test_bad_options_raise(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ---------------------------------------------------------------------- what they compute


def test_option_a_shortcut_pads_with_channels_of_zeros():
    block = models.resnet_cifar.CifarBlock(3, 8, stride=2)
    x = torch.randn(2, 3, 5, 5)
    shortcut = block._shortcut(x).numpy()
    np.testing.assert_array_equal(shortcut[:, 2:5], x.numpy()[:, :, ::2, ::2])
    assert not shortcut[:, :2].any()
    assert not shortcut[:, 5:].any()


@pytest.mark.parametrize("mode", ["row", "batch"])
def test_stochastic_depth_drops_samples_or_batches(mode):
    torch.manual_seed(0)
    draws = [ops.stochastic_depth(torch.ones(8, 2, 3), 0.25, mode).numpy() for _ in range(50)]
    kept = np.stack(draws)
    assert {0.0, np.float32(1 / 0.75)} == set(np.unique(kept).tolist())
    same_within = (0, 1, 2) if mode == "batch" else (1, 2)
    for y in kept:
        assert np.ptp(y, axis=same_within).max() == 0
    assert abs((kept > 0).mean() - 0.75) < 0.15
    assert (ops.stochastic_depth(torch.ones(3), 1.0, mode) == 0).all()
    assert (ops.stochastic_depth(torch.ones(3), 0.9, mode, training=False) == 1).all()


def under(peer, module):
    """The module's source, run with PyTorch in this framework's place."""
    source = inspect.getsource(module)
    twin = types.ModuleType(f"peer_{module.__name__.rpartition('.')[2]}")
    source = source.replace("from ...nn import", f"from {peer.__name__}.nn import")
    source = source.replace("from ..nn import", f"from {peer.__name__}.nn import")
    source = source.replace("from ... import", f"from {peer.__name__} import")
    source = source.replace("from .. import", f"from {peer.__name__} import")
    source = source.replace("from ..ops import", "from peer_ops import")
    source = source.replace("from .", "from minitorch_cnn.vision.models.")
    exec(compile(source, twin.__name__, "exec"), vars(twin))
    return twin


SMALL = {
    "alexnet": (lambda m: m.AlexNet(4, dropout=0.0), 64),
    "densenet": (lambda m: m.DenseNet(8, (2, 3), 16, num_classes=4), 32),
    "efficientnet": (
        lambda m: m.EfficientNet(
            [m.Stage(1, 3, 1, 8, 8, 1), m.Stage(6, 5, 2, 8, 16, 2)],
            dropout=0.0,
            stochastic_depth_prob=0.0,
            num_classes=4,
        ),
        20,
    ),
    "googlenet": (
        lambda m: m.googlenet(num_classes=4, dropout=0.0, dropout_aux=0.0, transform_input=True),
        32,
    ),
    "mobilenetv2": (
        lambda m: m.mobilenet_v2(num_classes=4, width_mult=0.25, dropout=0.0),
        32,
    ),
    "resnet": (lambda m: m.ResNet(m.Bottleneck, [1, 2, 1, 1], num_classes=4), 32),
    "resnet_cifar": (lambda m: m.CifarResNet(2, 4), 17),
    "shufflenetv2": (
        lambda m: m.ShuffleNetV2([1, 2, 1], [8, 16, 24, 32, 40], num_classes=4),
        32,
    ),
    "squeezenet": (lambda m: m.squeezenet1_0(num_classes=4, dropout=0.0), 64),
    "vgg": (
        lambda m: m.make_layers([4, 6, "M", 8, "M"], batch_norm=True),
        16,
    ),
}


@pytest.mark.parametrize("family", SMALL)
def test_the_same_source_computes_the_same_in_pytorch(family, monkeypatch):
    peer = pytest.importorskip("torch")
    make, size = SMALL[family]
    module = importlib.import_module(f"{models.__name__}.{family}")
    monkeypatch.setitem(sys.modules, "peer_ops", under(peer, ops))
    torch.manual_seed(0)
    ours, theirs = make(module).double(), make(under(peer, module)).double()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    theirs.load_state_dict(
        {name: peer.from_numpy(value.numpy()).clone() for name, value in ours.state_dict().items()}
    )
    images = np.random.default_rng(0).standard_normal((2, 3, size, size))
    for training in (True, False):
        for model in (ours, theirs):
            model.train(training)
            model.zero_grad()
        y, expected = ours(torch.from_numpy(images)), theirs(peer.from_numpy(images))
        if isinstance(y, tuple):
            y, expected = torch.cat(list(y)), peer.cat(list(expected))
        close(y.detach(), expected.detach(), "output")
        y.square().sum().backward()
        expected.square().sum().backward()
        for (name, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            assert (p.grad is None) == (q.grad is None)
            if p.grad is not None:
                close(p.grad, q.grad, f"gradient of {name}")
    for (name, b), c in zip(ours.named_buffers(), theirs.buffers(), strict=True):
        close(b, c, name)


def close(actual, expected, what):
    expected = expected.numpy()
    scale = max(np.abs(expected).max(), 1e-3)
    np.testing.assert_allclose(actual.numpy(), expected, rtol=1e-9, atol=1e-9 * scale, err_msg=what)
