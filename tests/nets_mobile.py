"""Networks that save computing: depthwise convolutions, shuffled channels, cheap maps."""

from .architecture import architecture


@architecture((3, 3, 12, 12), lr=0.05, momentum=0.9)
def xception(torch):
    """Chollet 2016: separable convolutions with shortcuts."""
    nn = torch.nn

    class SeparableConv2d(nn.Module):
        def __init__(self, cin, cout, kernel_size=1, stride=1, padding=0, dilation=1, bias=False):
            super().__init__()
            self.conv1 = nn.Conv2d(
                cin, cin, kernel_size, stride, padding, dilation, groups=cin, bias=bias
            )
            self.pointwise = nn.Conv2d(cin, cout, 1, 1, 0, 1, 1, bias=bias)

        def forward(self, x):
            return self.pointwise(self.conv1(x))

    class Block(nn.Module):
        def __init__(self, cin, cout, strides):
            super().__init__()
            self.skip = nn.Conv2d(cin, cout, 1, stride=strides, bias=False)
            self.skipbn = nn.BatchNorm2d(cout)
            self.rep = nn.Sequential(
                nn.ReLU(),
                SeparableConv2d(cin, cout, 3, padding=1),
                nn.BatchNorm2d(cout),
                nn.ReLU(inplace=True),
                SeparableConv2d(cout, cout, 3, padding=1),
                nn.BatchNorm2d(cout),
                nn.MaxPool2d(3, strides, 1),
            )

        def forward(self, inp):
            x = self.rep(inp)
            x += self.skipbn(self.skip(inp))
            return x

    return nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=False),
        nn.BatchNorm2d(4),
        Block(4, 8, 2),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d((1, 1)),
        nn.Flatten(),
        nn.Linear(8, 3),
    )


@architecture((3, 3, 12, 12), optimizer="RMSprop", lr=1e-3, alpha=0.9, eps=0.1, centered=True)
def mobilenet_v1(torch):
    """Howard et al. 2017."""
    nn = torch.nn

    def conv_bn(inp, oup, stride):
        return nn.Sequential(
            nn.Conv2d(inp, oup, 3, stride, 1, bias=False),
            nn.BatchNorm2d(oup),
            nn.ReLU(inplace=True),
        )

    def conv_dw(inp, oup, stride):
        return nn.Sequential(
            nn.Conv2d(inp, inp, 3, stride, 1, groups=inp, bias=False),
            nn.BatchNorm2d(inp),
            nn.ReLU(inplace=True),
            nn.Conv2d(inp, oup, 1, 1, 0, bias=False),
            nn.BatchNorm2d(oup),
            nn.ReLU(inplace=True),
        )

    return nn.Sequential(
        conv_bn(3, 4, 2),
        conv_dw(4, 6, 1),
        conv_dw(6, 8, 2),
        nn.AvgPool2d(3),
        nn.Flatten(),
        nn.Linear(8, 3),
    )


@architecture((3, 3, 12, 12), lr=0.05, momentum=0.9)
def mobilenet_v2(torch):
    """Sandler et al. 2018."""
    nn = torch.nn

    class InvertedResidual(nn.Module):
        def __init__(self, inp, oup, stride, expand_ratio):
            super().__init__()
            hidden_dim = round(inp * expand_ratio)
            self.identity = stride == 1 and inp == oup
            self.conv = nn.Sequential(
                nn.Conv2d(inp, hidden_dim, 1, 1, 0, bias=False),
                nn.BatchNorm2d(hidden_dim),
                nn.ReLU6(inplace=True),
                nn.Conv2d(hidden_dim, hidden_dim, 3, stride, 1, groups=hidden_dim, bias=False),
                nn.BatchNorm2d(hidden_dim),
                nn.ReLU6(inplace=True),
                nn.Conv2d(hidden_dim, oup, 1, 1, 0, bias=False),
                nn.BatchNorm2d(oup),
            )

        def forward(self, x):
            return x + self.conv(x) if self.identity else self.conv(x)

    return nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, 1, bias=False),
        InvertedResidual(4, 4, 1, 2),
        InvertedResidual(4, 6, 2, 3),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.0),
        nn.Linear(6, 3),
    )


@architecture((3, 3, 12, 12), optimizer="RMSprop", lr=1e-3, eps=0.1, weight_decay=1e-5)
def mobilenet_v3(torch):
    """Howard et al. 2019: hard swish, and squeeze and excitation."""
    nn, F = torch.nn, torch.nn.functional

    class HSigmoid(nn.Module):
        def forward(self, x):
            return F.relu6(x + 3.0, inplace=True) / 6.0

    class SeModule(nn.Module):
        def __init__(self, channels, reduction=2):
            super().__init__()
            self.se = nn.Sequential(
                nn.AdaptiveAvgPool2d(1),
                nn.Conv2d(channels, channels // reduction, kernel_size=1),
                nn.ReLU(inplace=True),
                nn.Conv2d(channels // reduction, channels, kernel_size=1),
                HSigmoid(),
            )

        def forward(self, x):
            return x * self.se(x)

    class Block(nn.Module):
        def __init__(self, k, cin, expand, cout, nonlinear, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(cin, expand, kernel_size=1, bias=False)
            self.bn1 = nn.BatchNorm2d(expand)
            self.nl = nonlinear
            self.conv2 = nn.Conv2d(expand, expand, k, stride, k // 2, groups=expand, bias=False)
            self.bn2 = nn.BatchNorm2d(expand)
            self.se = SeModule(expand)
            self.conv3 = nn.Conv2d(expand, cout, kernel_size=1, bias=False)
            self.bn3 = nn.BatchNorm2d(cout)
            self.same = stride == 1 and cin == cout

        def forward(self, x):
            out = self.nl(self.bn1(self.conv1(x)))
            out = self.se(self.nl(self.bn2(self.conv2(out))))
            out = self.bn3(self.conv3(out))
            return out + x if self.same else out

    class MobileNetV3(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False)
            self.bneck = nn.Sequential(
                Block(3, 4, 8, 4, nn.ReLU(), 1), Block(5, 4, 12, 6, nn.Hardswish(), 2)
            )
            self.linear = nn.Linear(6, 3)

        def forward(self, x):
            x = self.bneck(F.hardswish(self.conv1(x)))
            return self.linear(F.hardtanh(F.adaptive_avg_pool2d(x, 1).flatten(1), -2, 2))

    return MobileNetV3()


@architecture((3, 3, 12, 12), lr=0.05, momentum=0.9)
def shufflenet_v1(torch):
    """Zhang et al. 2017: 1x1 convolutions in groups, and shuffled channels."""
    nn, F = torch.nn, torch.nn.functional

    def shuffle(x, groups):
        n, c, h, w = x.size()
        return x.view(n, groups, c // groups, h, w).permute(0, 2, 1, 3, 4).reshape(n, c, h, w)

    class Unit(nn.Module):
        def __init__(self, cin, cout, stride, groups):
            super().__init__()
            self.stride, self.groups = stride, groups
            mid = cout // 2
            if stride == 2:
                cout = cout - cin
            self.gconv1 = nn.Conv2d(cin, mid, 1, groups=groups, bias=False)
            self.bn1 = nn.BatchNorm2d(mid)
            self.dwconv = nn.Conv2d(mid, mid, 3, stride, 1, groups=mid, bias=False)
            self.bn2 = nn.BatchNorm2d(mid)
            self.gconv2 = nn.Conv2d(mid, cout, 1, groups=groups, bias=False)
            self.bn3 = nn.BatchNorm2d(cout)

        def forward(self, x):
            out = shuffle(F.relu(self.bn1(self.gconv1(x))), self.groups)
            out = self.bn3(self.gconv2(self.bn2(self.dwconv(out))))
            if self.stride == 2:
                res = F.avg_pool2d(x, kernel_size=3, stride=2, padding=1)
                return F.relu(torch.cat((out, res), dim=1))
            return F.relu(out + x)

    return nn.Sequential(
        nn.Conv2d(3, 4, 3, 1, 1),
        Unit(4, 12, 2, 2),
        Unit(12, 12, 1, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(12, 3),
    )


@architecture((3, 3, 12, 12), lr=0.05, momentum=0.9)
def shufflenet_v2(torch):
    """Ma et al. 2018: half of the channels pass a block unchanged."""
    nn = torch.nn

    class ShuffleBlock(nn.Module):
        def __init__(self, channels):
            super().__init__()
            half = channels // 2
            self.branch = nn.Sequential(
                nn.Conv2d(half, half, 1, bias=False),
                nn.BatchNorm2d(half),
                nn.ReLU(inplace=True),
                nn.Conv2d(half, half, 3, padding=1, groups=half, bias=False),
                nn.BatchNorm2d(half),
            )

        def forward(self, x):
            n, c, h, w = x.data.size()
            x = x.reshape(n * c // 2, 2, h * w).permute(1, 0, 2)
            x = x.reshape(2, -1, c // 2, h, w)
            return torch.cat((x[0], self.branch(x[1])), 1)

    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1),
        ShuffleBlock(8),
        nn.ReLU(),
        ShuffleBlock(8),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 3),
    )


@architecture((3, 3, 12, 12), optimizer="Adam", lr=1e-3, betas=(0.8, 0.99), eps=1e-3)
def efficientnet(torch):
    """Tan, Le 2019: MBConv with swish, "same" padding by hand, stochastic depth off."""
    nn, F = torch.nn, torch.nn.functional

    class Swish(nn.Module):
        def forward(self, x):
            return x * torch.sigmoid(x)

    class Conv2dSame(nn.Conv2d):
        def forward(self, x):
            ih, iw = x.size()[-2:]
            kh, kw = self.weight.size()[-2:]
            sh, sw = self.stride
            pad_h = max((-(-ih // sh) - 1) * sh + kh - ih, 0)
            pad_w = max((-(-iw // sw) - 1) * sw + kw - iw, 0)
            x = F.pad(x, [pad_w // 2, pad_w - pad_w // 2, pad_h // 2, pad_h - pad_h // 2])
            return F.conv2d(
                x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups
            )

    def drop_connect(inputs, p, training):
        return inputs if not training or p == 0 else F.dropout(inputs, p)

    class MBConv(nn.Module):
        def __init__(self, cin, cout, k, stride, expand):
            super().__init__()
            mid = cin * expand
            self.expand_conv = Conv2dSame(cin, mid, 1, bias=False)
            self.bn0 = nn.BatchNorm2d(mid, momentum=0.01, eps=1e-3)
            self.depthwise = Conv2dSame(mid, mid, k, stride=stride, groups=mid, bias=False)
            self.bn1 = nn.BatchNorm2d(mid, momentum=0.01, eps=1e-3)
            self.se_reduce = Conv2dSame(mid, max(1, cin // 4), 1)
            self.se_expand = Conv2dSame(max(1, cin // 4), mid, 1)
            self.project = Conv2dSame(mid, cout, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(cout, momentum=0.01, eps=1e-3)
            self.swish, self.same = Swish(), stride == 1 and cin == cout

        def forward(self, inputs):
            x = self.swish(self.bn0(self.expand_conv(inputs)))
            x = F.silu(self.bn1(self.depthwise(x)))
            squeezed = self.se_reduce(F.adaptive_avg_pool2d(x, 1))
            x = torch.sigmoid(self.se_expand(self.swish(squeezed))) * x
            x = self.bn2(self.project(x))
            return drop_connect(x, 0.0, self.training) + inputs if self.same else x

    return nn.Sequential(
        Conv2dSame(3, 4, 3, stride=2, bias=False),
        MBConv(4, 4, 3, 1, 2),
        MBConv(4, 6, 5, 2, 3),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 3),
    )


@architecture((3, 3, 8, 8), lr=0.05, momentum=0.9)
def ghostnet(torch):
    """Han et al. 2020: half of the maps are made of the others, cheaply."""
    nn = torch.nn

    class GhostModule(nn.Module):
        def __init__(self, inp, oup, ratio=2, dw_size=3, relu=True):
            super().__init__()
            self.oup = oup
            init = -(-oup // ratio)
            new = init * (ratio - 1)
            self.primary_conv = nn.Sequential(
                nn.Conv2d(inp, init, 1, bias=False),
                nn.BatchNorm2d(init),
                nn.ReLU(inplace=True) if relu else nn.Sequential(),
            )
            self.cheap_operation = nn.Sequential(
                nn.Conv2d(init, new, dw_size, 1, dw_size // 2, groups=init, bias=False),
                nn.BatchNorm2d(new),
                nn.ReLU(inplace=True) if relu else nn.Sequential(),
            )

        def forward(self, x):
            x1 = self.primary_conv(x)
            x2 = self.cheap_operation(x1)
            return torch.cat([x1, x2], dim=1)[:, : self.oup, :, :]

    class Bottleneck(nn.Module):
        def __init__(self, c):
            super().__init__()
            self.ghost1, self.ghost2 = GhostModule(c, 2 * c), GhostModule(2 * c, c, relu=False)

        def forward(self, x):
            return self.ghost2(self.ghost1(x)) + x

    return nn.Sequential(
        nn.Conv2d(3, 5, 3), Bottleneck(5), Bottleneck(5), nn.Flatten(), nn.Linear(5 * 36, 3)
    )


@architecture((3, 3, 12, 12), optimizer="AdamW", lr=1e-3, weight_decay=0.05)
def convmixer(torch):
    """Trockman, Kolter 2022: patches, then mixing of places and of channels in turns."""
    nn = torch.nn

    class Residual(nn.Module):
        def __init__(self, fn):
            super().__init__()
            self.fn = fn

        def forward(self, x):
            return self.fn(x) + x

    dim, depth, kernel_size = 6, 2, 5
    return nn.Sequential(
        nn.Conv2d(3, dim, kernel_size=3, stride=3),
        nn.GELU(),
        nn.BatchNorm2d(dim),
        *[
            nn.Sequential(
                Residual(
                    nn.Sequential(
                        nn.Conv2d(dim, dim, kernel_size, groups=dim, padding="same"),
                        nn.GELU(),
                        nn.BatchNorm2d(dim),
                    )
                ),
                nn.Conv2d(dim, dim, kernel_size=1),
                nn.GELU(),
                nn.BatchNorm2d(dim),
            )
            for _ in range(depth)
        ],
        nn.AdaptiveAvgPool2d((1, 1)),
        nn.Flatten(),
        nn.Linear(dim, 3),
    )


@architecture((2, 3, 12, 12), optimizer="AdamW", lr=1e-3)
def convnext(torch):
    """Liu et al. 2022: LayerNorm, GELU, wide depthwise kernels, learnt scales of the branches."""
    nn, F = torch.nn, torch.nn.functional

    class LayerNorm2d(nn.Module):
        def __init__(self, channels, eps=1e-6):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(channels))
            self.bias = nn.Parameter(torch.zeros(channels))
            self.eps = eps

        def forward(self, x):
            u = x.mean(1, keepdim=True)
            s = (x - u).pow(2).mean(1, keepdim=True)
            x = (x - u) / torch.sqrt(s + self.eps)
            return self.weight[:, None, None] * x + self.bias[:, None, None]

    class Block(nn.Module):
        def __init__(self, dim, layer_scale_init_value=0.1):
            super().__init__()
            self.dwconv = nn.Conv2d(dim, dim, kernel_size=7, padding=3, groups=dim)
            self.norm = nn.LayerNorm(dim, eps=1e-6)
            self.pwconv1 = nn.Linear(dim, 4 * dim)
            self.act = nn.GELU()
            self.pwconv2 = nn.Linear(4 * dim, dim)
            self.gamma = nn.Parameter(layer_scale_init_value * torch.ones(dim))

        def forward(self, x):
            shortcut = x
            x = self.dwconv(x).permute(0, 2, 3, 1)
            x = self.pwconv2(self.act(self.pwconv1(self.norm(x))))
            return shortcut + (self.gamma * x).permute(0, 3, 1, 2)

    class ConvNeXt(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Sequential(nn.Conv2d(3, 6, kernel_size=4, stride=4), LayerNorm2d(6))
            self.stage = nn.Sequential(Block(6), Block(6))
            self.norm = nn.LayerNorm(6, eps=1e-6)
            self.head = nn.Linear(6, 3)
            self.apply(self._init_weights)

        def _init_weights(self, m):
            if isinstance(m, (nn.Conv2d, nn.Linear)):
                nn.init.trunc_normal_(m.weight, std=0.2)
                nn.init.constant_(m.bias, 0)

        def forward(self, x):
            x = self.stage(self.stem(x)).mean([-2, -1])
            return self.head(F.dropout(self.norm(x), 0.0, self.training))

    return ConvNeXt()


@architecture((2, 3, 12, 12), optimizer="Adam", lr=1e-3)
def mlp_mixer(torch):
    """Tolstikhin et al. 2021."""
    nn, F = torch.nn, torch.nn.functional

    class MlpBlock(nn.Module):
        def __init__(self, dim, hidden):
            super().__init__()
            self.fc1, self.fc2 = nn.Linear(dim, hidden), nn.Linear(hidden, dim)

        def forward(self, x):
            return self.fc2(F.gelu(self.fc1(x), approximate="tanh"))

    class MixerLayer(nn.Module):
        def __init__(self, tokens, dim):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm((dim,))
            self.token_mix, self.channel_mix = MlpBlock(tokens, 5), MlpBlock(dim, 7)

        def forward(self, x):
            x = x + self.token_mix(self.norm1(x).transpose(1, 2)).transpose(1, 2)
            return x + self.channel_mix(self.norm2(x))

    class Mixer(nn.Module):
        def __init__(self):
            super().__init__()
            self.patches = nn.Conv2d(3, 6, 4, 4)
            self.layers = nn.Sequential(MixerLayer(9, 6), MixerLayer(9, 6))
            self.head = nn.Linear(6, 3)

        def forward(self, x):
            x = self.patches(x).flatten(2).transpose(1, 2)
            return self.head(self.layers(x).mean(dim=1))

    return Mixer()


@architecture((3, 3, 8, 8), lr=0.05, momentum=0.9)
def cspnet(torch):
    """Wang et al. 2019: a stage computes on half of the channels; with Mish, as in YOLO v4."""
    nn = torch.nn

    class Conv(nn.Sequential):
        def __init__(self, cin, cout, k):
            super().__init__(
                nn.Conv2d(cin, cout, k, padding=k // 2, bias=False), nn.BatchNorm2d(cout), nn.Mish()
            )

    class CSPStage(nn.Module):
        def __init__(self, c):
            super().__init__()
            self.down = Conv(c, 2 * c, 1)
            self.blocks = nn.ModuleDict({"first": Conv(c, c, 3), "second": Conv(c, c, 3)})
            self.fuse = Conv(2 * c, c, 1)

        def forward(self, x):
            x1, x2 = torch.chunk(self.down(x), 2, dim=1)
            for block in self.blocks.values():
                x2 = x2 + block(x2)
            return self.fuse(torch.cat([x2, x1], dim=1))

    return nn.Sequential(
        nn.Conv2d(3, 4, 3), CSPStage(4), CSPStage(4), nn.Flatten(), nn.Linear(144, 3)
    )
