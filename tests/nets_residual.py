"""Networks of blocks with shortcuts, and of blocks that attend to channels or places."""

from .architecture import architecture


def conv3x3(nn, cin, cout, stride=1, groups=1):
    return nn.Conv2d(cin, cout, 3, stride=stride, padding=1, groups=groups, bias=False)


@architecture((4, 3, 12, 12), lr=0.05, momentum=0.9, weight_decay=1e-4)
def resnet_basic(torch):
    """He et al. 2015, with projection shortcuts (option B)."""
    nn, F = torch.nn, torch.nn.functional

    class BasicBlock(nn.Module):
        expansion = 1

        def __init__(self, in_planes, planes, stride=1):
            super().__init__()
            self.conv1 = conv3x3(nn, in_planes, planes, stride)
            self.bn1 = nn.BatchNorm2d(planes)
            self.conv2 = conv3x3(nn, planes, planes)
            self.bn2 = nn.BatchNorm2d(planes)
            self.shortcut = nn.Sequential()
            if stride != 1 or in_planes != self.expansion * planes:
                self.shortcut = nn.Sequential(
                    nn.Conv2d(in_planes, planes, kernel_size=1, stride=stride, bias=False),
                    nn.BatchNorm2d(self.expansion * planes),
                )

        def forward(self, x):
            out = F.relu(self.bn1(self.conv1(x)))
            out = self.bn2(self.conv2(out))
            out += self.shortcut(x)
            return F.relu(out)

    class ResNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = conv3x3(nn, 3, 4)
            self.bn1 = nn.BatchNorm2d(4)
            self.layer1 = nn.Sequential(BasicBlock(4, 4), BasicBlock(4, 4))
            self.layer2 = nn.Sequential(BasicBlock(4, 8, 2), BasicBlock(8, 8))
            self.linear = nn.Linear(8, 5)

        def forward(self, x):
            out = F.relu(self.bn1(self.conv1(x)))
            out = F.avg_pool2d(self.layer2(self.layer1(out)), 4)
            return self.linear(out.view(out.size(0), -1))

    return ResNet()


@architecture((4, 3, 10, 10), lr=0.05, momentum=0.9)
def resnet_option_a(torch):
    """He et al. 2015, section 4.2: shortcuts padded with channels of zeros."""
    nn, F = torch.nn, torch.nn.functional

    class LambdaLayer(nn.Module):
        def __init__(self, lambd):
            super().__init__()
            self.lambd = lambd

        def forward(self, x):
            return self.lambd(x)

    class Block(nn.Module):
        def __init__(self, in_planes, planes, stride):
            super().__init__()
            self.conv1 = conv3x3(nn, in_planes, planes, stride)
            self.bn1 = nn.BatchNorm2d(planes)
            self.shortcut = LambdaLayer(
                lambda x: F.pad(
                    x[:, :, ::2, ::2], (0, 0, 0, 0, planes // 4, planes // 4), "constant", 0
                )
            )

        def forward(self, x):
            return F.relu(self.bn1(self.conv1(x)) + self.shortcut(x))

    return nn.Sequential(
        conv3x3(nn, 3, 4),
        Block(4, 8, 2),
        Block(8, 16, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 4),
    )


@architecture((4, 3, 12, 12), optimizer="NAdam", lr=1e-3, eps=1e-3)
def resnet_bottleneck(torch):
    """He et al. 2015, bottlenecks, with the last normalisation of each block 0 at the start."""
    nn = torch.nn

    class Bottleneck(nn.Module):
        expansion = 4

        def __init__(self, inplanes, planes, stride=1, downsample=None):
            super().__init__()
            self.conv1 = nn.Conv2d(inplanes, planes, kernel_size=1, bias=False)
            self.bn1 = nn.BatchNorm2d(planes)
            self.conv2 = conv3x3(nn, planes, planes, stride)
            self.bn2 = nn.BatchNorm2d(planes)
            self.conv3 = nn.Conv2d(planes, planes * self.expansion, kernel_size=1, bias=False)
            self.bn3 = nn.BatchNorm2d(planes * self.expansion)
            self.relu = nn.ReLU(inplace=True)
            self.downsample = downsample
            nn.init.constant_(self.bn3.weight, 0.2)

        def forward(self, x):
            identity = x
            out = self.relu(self.bn1(self.conv1(x)))
            out = self.relu(self.bn2(self.conv2(out)))
            out = self.bn3(self.conv3(out))
            if self.downsample is not None:
                identity = self.downsample(x)
            out += identity
            return self.relu(out)

    def stage(cin, planes, stride):
        down = nn.Sequential(
            nn.Conv2d(cin, 4 * planes, kernel_size=1, stride=stride, bias=False),
            nn.BatchNorm2d(4 * planes),
        )
        return [Bottleneck(cin, planes, stride, down), Bottleneck(4 * planes, planes)]

    return nn.Sequential(
        nn.Conv2d(3, 4, kernel_size=7, stride=2, padding=3, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
        *stage(4, 2, 1),
        *stage(8, 3, 2),
        nn.AdaptiveAvgPool2d((1, 1)),
        nn.Flatten(1),
        nn.Linear(12, 4),
    )


@architecture((4, 3, 8, 8), optimizer="RAdam", lr=1e-3)
def resnet_preactivation(torch):
    """He et al. 2016: normalisation and ReLU before each convolution."""
    nn, F = torch.nn, torch.nn.functional

    class PreActBlock(nn.Module):
        def __init__(self, in_planes, planes, stride=1):
            super().__init__()
            self.bn1 = nn.BatchNorm2d(in_planes)
            self.conv1 = conv3x3(nn, in_planes, planes, stride)
            self.bn2 = nn.BatchNorm2d(planes)
            self.conv2 = conv3x3(nn, planes, planes)
            if stride != 1 or in_planes != planes:
                self.shortcut = nn.Sequential(
                    nn.Conv2d(in_planes, planes, kernel_size=1, stride=stride, bias=False)
                )

        def forward(self, x):
            out = F.relu(self.bn1(x))
            shortcut = self.shortcut(out) if hasattr(self, "shortcut") else x
            out = self.conv1(out)
            out = self.conv2(F.relu(self.bn2(out)))
            return out + shortcut

    return nn.Sequential(
        conv3x3(nn, 3, 4),
        PreActBlock(4, 4),
        PreActBlock(4, 6, 2),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 3),
    )


@architecture((4, 3, 8, 8), lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)
def wide_resnet(torch):
    """Zagoruyko, Komodakis 2016, with dropout inside a block."""
    nn, F = torch.nn, torch.nn.functional

    class WideBasic(nn.Module):
        def __init__(self, in_planes, planes, dropout_rate, stride=1):
            super().__init__()
            self.bn1 = nn.BatchNorm2d(in_planes, momentum=0.9)
            self.conv1 = nn.Conv2d(in_planes, planes, kernel_size=3, padding=1, bias=True)
            self.dropout = nn.Dropout(p=dropout_rate)
            self.bn2 = nn.BatchNorm2d(planes, momentum=0.9)
            self.conv2 = nn.Conv2d(planes, planes, 3, stride=stride, padding=1, bias=True)
            self.shortcut = nn.Sequential()
            if stride != 1 or in_planes != planes:
                self.shortcut = nn.Sequential(nn.Conv2d(in_planes, planes, 1, stride=stride))
            nn.init.xavier_uniform_(self.conv1.weight, gain=2**0.5)

        def forward(self, x):
            out = self.dropout(self.conv1(F.relu(self.bn1(x))))
            out = self.conv2(F.relu(self.bn2(out)))
            out += self.shortcut(x)
            return out

    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        WideBasic(4, 8, 0.0),
        WideBasic(8, 12, 0.0, 2),
        nn.AvgPool2d(4),
        nn.Flatten(),
        nn.Linear(12, 3),
    )


@architecture((4, 3, 8, 8), optimizer="Adam", lr=1e-3, weight_decay=1e-2)
def resnext(torch):
    """Xie et al. 2017: convolutions in groups."""
    nn, F = torch.nn, torch.nn.functional

    class ResNeXtBlock(nn.Module):
        def __init__(self, cin, cardinality, width, cout, stride):
            super().__init__()
            d = cardinality * width
            self.conv_reduce = nn.Conv2d(cin, d, 1, bias=False)
            self.bn_reduce = nn.BatchNorm2d(d)
            self.conv_conv = conv3x3(nn, d, d, stride, groups=cardinality)
            self.bn = nn.BatchNorm2d(d)
            self.conv_expand = nn.Conv2d(d, cout, 1, bias=False)
            self.bn_expand = nn.BatchNorm2d(cout)
            self.shortcut = nn.Sequential()
            if cin != cout:
                self.shortcut.add_module(
                    "shortcut_conv", nn.Conv2d(cin, cout, 1, stride=stride, bias=False)
                )
                self.shortcut.add_module("shortcut_bn", nn.BatchNorm2d(cout))

        def forward(self, x):
            y = F.relu(self.bn_reduce(self.conv_reduce(x)), inplace=True)
            y = F.relu(self.bn(self.conv_conv(y)), inplace=True)
            y = self.bn_expand(self.conv_expand(y))
            return F.relu(self.shortcut(x) + y, inplace=True)

    return nn.Sequential(
        conv3x3(nn, 3, 4),
        ResNeXtBlock(4, 4, 2, 8, 1),
        ResNeXtBlock(8, 2, 4, 8, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 3),
    )


@architecture((4, 3, 8, 8), lr=0.05, momentum=0.9, dampening=0.1)
def densenet(torch):
    """Huang et al. 2016."""
    nn, F = torch.nn, torch.nn.functional
    growth = 3

    class Layer(nn.Module):
        def __init__(self, cin):
            super().__init__()
            self.bn1 = nn.BatchNorm2d(cin)
            self.conv1 = nn.Conv2d(cin, 2 * growth, kernel_size=1, bias=False)
            self.bn2 = nn.BatchNorm2d(2 * growth)
            self.conv2 = conv3x3(nn, 2 * growth, growth)

        def forward(self, x):
            out = self.conv1(F.relu(self.bn1(x)))
            out = self.conv2(F.relu(self.bn2(out)))
            return torch.cat([out, x], 1)

    class Transition(nn.Module):
        def __init__(self, cin, cout):
            super().__init__()
            self.bn = nn.BatchNorm2d(cin)
            self.conv = nn.Conv2d(cin, cout, kernel_size=1, bias=False)

        def forward(self, x):
            return F.avg_pool2d(self.conv(F.relu(self.bn(x))), 2)

    return nn.Sequential(
        conv3x3(nn, 3, 6),
        *[Layer(6 + growth * i) for i in range(3)],
        Transition(15, 7),
        *[Layer(7 + growth * i) for i in range(3)],
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.AvgPool2d(4),
        nn.Flatten(),
        nn.Linear(16, 3),
    )


@architecture((4, 3, 8, 8), lr=0.05, momentum=0.9)
def dual_path_network(torch):
    """Chen et al. 2017: some channels are added, others joined."""
    nn, F = torch.nn, torch.nn.functional

    class DualPath(nn.Module):
        def __init__(self, cin, planes, out_planes, dense, first):
            super().__init__()
            self.out_planes, self.dense = out_planes, dense
            self.conv1 = nn.Conv2d(cin, planes, kernel_size=1, bias=False)
            self.bn1 = nn.BatchNorm2d(planes)
            self.conv2 = conv3x3(nn, planes, planes, groups=2)
            self.bn2 = nn.BatchNorm2d(planes)
            self.conv3 = nn.Conv2d(planes, out_planes + dense, kernel_size=1, bias=False)
            self.bn3 = nn.BatchNorm2d(out_planes + dense)
            self.shortcut = nn.Sequential()
            if first:
                self.shortcut = nn.Conv2d(cin, out_planes + dense, kernel_size=1, bias=False)

        def forward(self, x):
            out = F.relu(self.bn1(self.conv1(x)))
            out = F.relu(self.bn2(self.conv2(out)))
            out = self.bn3(self.conv3(out))
            x, d = self.shortcut(x), self.out_planes
            out = torch.cat(
                [x[:, :d, :, :] + out[:, :d, :, :], x[:, d:, :, :], out[:, d:, :, :]], 1
            )
            return F.relu(out)

    return nn.Sequential(
        conv3x3(nn, 3, 4),
        DualPath(4, 4, 6, 2, True),
        DualPath(10, 4, 6, 2, False),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(12, 3),
    )


@architecture((4, 3, 8, 8), lr=0.05, momentum=0.9)
def res2net(torch):
    """Gao et al. 2019: a hierarchy of small residuals inside a block."""
    nn, F = torch.nn, torch.nn.functional

    class Bottle2neck(nn.Module):
        def __init__(self, cin, width, scale):
            super().__init__()
            self.width, self.nums = width, scale - 1
            self.conv1 = nn.Conv2d(cin, width * scale, kernel_size=1, bias=False)
            self.bn1 = nn.BatchNorm2d(width * scale)
            self.convs = nn.ModuleList([conv3x3(nn, width, width) for _ in range(self.nums)])
            self.bns = nn.ModuleList([nn.BatchNorm2d(width) for _ in range(self.nums)])
            self.conv3 = nn.Conv2d(width * scale, cin, kernel_size=1, bias=False)

        def forward(self, x):
            spx = torch.split(F.relu(self.bn1(self.conv1(x))), self.width, 1)
            sp, out = 0, []
            for i in range(self.nums):
                sp = F.relu(self.bns[i](self.convs[i](sp + spx[i])))
                out.append(sp)
            return F.relu(self.conv3(torch.cat((*out, spx[self.nums]), 1)) + x)

    return nn.Sequential(
        conv3x3(nn, 3, 6),
        Bottle2neck(6, 2, 4),
        Bottle2neck(6, 3, 3),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 3),
    )


@architecture((4, 3, 8, 8), lr=0.05, momentum=0.9)
def repvgg(torch):
    """Ding et al. 2021: a 3x3, a 1x1 and an identity branch, which could be merged."""
    nn = torch.nn

    def conv_bn(cin, cout, k, stride):
        result = nn.Sequential()
        result.add_module("conv", nn.Conv2d(cin, cout, k, stride, k // 2, bias=False))
        result.add_module("bn", nn.BatchNorm2d(num_features=cout))
        return result

    class RepVGGBlock(nn.Module):
        def __init__(self, cin, cout, stride=1):
            super().__init__()
            same = cin == cout and stride == 1
            self.rbr_identity = nn.BatchNorm2d(num_features=cin) if same else None
            self.rbr_dense = conv_bn(cin, cout, 3, stride)
            self.rbr_1x1 = conv_bn(cin, cout, 1, stride)
            self.nonlinearity = nn.ReLU()

        def forward(self, inputs):
            id_out = 0 if self.rbr_identity is None else self.rbr_identity(inputs)
            return self.nonlinearity(self.rbr_dense(inputs) + self.rbr_1x1(inputs) + id_out)

    return nn.Sequential(
        RepVGGBlock(3, 6, 2),
        RepVGGBlock(6, 6),
        RepVGGBlock(6, 6),
        nn.AdaptiveAvgPool2d(output_size=1),
        nn.Flatten(),
        nn.Linear(6, 3),
    )


@architecture((2, 3, 8, 8), optimizer="AdamW", lr=1e-3)
def weight_standardised(torch):
    """Qiao et al. 2019: standardised weights, group normalisation."""
    nn, F = torch.nn, torch.nn.functional

    class WSConv2d(nn.Conv2d):
        def forward(self, x):
            weight = self.weight
            mean = weight.mean(dim=1, keepdim=True).mean(dim=2, keepdim=True)
            weight = weight - mean.mean(dim=3, keepdim=True)
            std = weight.view(weight.size(0), -1).std(dim=1).view(-1, 1, 1, 1) + 1e-5
            weight = weight / std.expand_as(weight)
            return F.conv2d(
                x, weight, self.bias, self.stride, self.padding, self.dilation, self.groups
            )

    class Block(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.conv1 = WSConv2d(channels, channels, 3, padding=1)
            self.gn1 = nn.GroupNorm(2, channels)
            self.conv2 = WSConv2d(channels, channels, 3, padding=1, groups=2)
            self.gn2 = nn.GroupNorm(channels, channels)

        def forward(self, x):
            out = F.relu(self.gn1(self.conv1(x)))
            return F.relu(self.gn2(self.conv2(out)) + x)

    return nn.Sequential(
        WSConv2d(3, 6, 3, stride=2), Block(6), Block(6), nn.Flatten(), nn.Linear(54, 3)
    )


@architecture((4, 3, 8, 8), lr=0.05, momentum=0.9)
def hrnet(torch):
    """Sun et al. 2019: two resolutions side by side, which exchange what they see."""
    nn, F = torch.nn, torch.nn.functional

    class HighResolutionModule(nn.Module):
        def __init__(self, high, low):
            super().__init__()
            self.branch_high = nn.Sequential(conv3x3(nn, high, high), nn.BatchNorm2d(high))
            self.branch_low = nn.Sequential(conv3x3(nn, low, low), nn.BatchNorm2d(low))
            self.up = nn.Sequential(
                nn.Conv2d(low, high, 1, bias=False), nn.Upsample(scale_factor=2, mode="nearest")
            )
            self.down = nn.Conv2d(high, low, 3, 2, 1, bias=False)

        def forward(self, x):
            high, low = self.branch_high(x[0]), self.branch_low(x[1])
            return [F.relu(high + self.up(low)), F.relu(low + self.down(high))]

    class HRNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = conv3x3(nn, 3, 4)
            self.transition = nn.Conv2d(4, 6, 3, 2, 1)
            self.stage = nn.Sequential(HighResolutionModule(4, 6), HighResolutionModule(4, 6))
            self.head = nn.Linear(10, 3)

        def forward(self, x):
            x = F.relu(self.stem(x))
            high, low = self.stage([x, self.transition(x)])
            low = F.interpolate(low, size=high.shape[2:], mode="bilinear", align_corners=False)
            return self.head(torch.cat([high, low], 1).mean((-2, -1)))

    return HRNet()


@architecture((3, 3, 8, 8), lr=0.05, momentum=0.9)
def senet(torch):
    """Hu et al. 2018: squeeze and excitation."""
    nn = torch.nn

    class SELayer(nn.Module):
        def __init__(self, channel, reduction=2):
            super().__init__()
            self.avg_pool = nn.AdaptiveAvgPool2d(1)
            self.fc = nn.Sequential(
                nn.Linear(channel, channel // reduction, bias=False),
                nn.ReLU(inplace=True),
                nn.Linear(channel // reduction, channel, bias=False),
                nn.Sigmoid(),
            )

        def forward(self, x):
            b, c, _, _ = x.size()
            y = self.avg_pool(x).view(b, c)
            y = self.fc(y).view(b, c, 1, 1)
            return x * y.expand_as(x)

    class SEBlock(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.conv = conv3x3(nn, channels, channels)
            self.bn = nn.BatchNorm2d(channels)
            self.se = SELayer(channels)

        def forward(self, x):
            return torch.relu(self.se(self.bn(self.conv(x))) + x)

    return nn.Sequential(
        conv3x3(nn, 3, 6), SEBlock(6), SEBlock(6), nn.AvgPool2d(8), nn.Flatten(), nn.Linear(6, 3)
    )


@architecture((3, 3, 8, 8), lr=0.05, momentum=0.9)
def sknet(torch):
    """Li et al. 2019: attention chooses between kernel sizes."""
    nn, F = torch.nn, torch.nn.functional

    class SKConv(nn.Module):
        def __init__(self, features, branches=2, hidden=4):
            super().__init__()
            self.convs = nn.ModuleList(
                [
                    nn.Conv2d(features, features, 3, padding=1 + i, dilation=1 + i, groups=2)
                    for i in range(branches)
                ]
            )
            self.fc = nn.Linear(features, hidden)
            self.fcs = nn.ModuleList([nn.Linear(hidden, features) for _ in range(branches)])
            self.softmax = nn.Softmax(dim=1)

        def forward(self, x):
            feas = torch.cat([F.relu(conv(x)).unsqueeze(dim=1) for conv in self.convs], dim=1)
            fea_z = self.fc(torch.sum(feas, dim=1).mean(-1).mean(-1))
            vectors = torch.stack([fc(fea_z) for fc in self.fcs], dim=1)
            attention = self.softmax(vectors).unsqueeze(-1).unsqueeze(-1)
            return (feas * attention).sum(dim=1)

    return nn.Sequential(
        nn.Conv2d(3, 6, 3),
        SKConv(6),
        SKConv(6),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(1),
        nn.Linear(6, 3),
    )


@architecture((3, 3, 8, 8), lr=0.05, momentum=0.9)
def cbam(torch):
    """Woo et al. 2018: attention to channels, then to places."""
    nn, F = torch.nn, torch.nn.functional

    class ChannelAttention(nn.Module):
        def __init__(self, channels, ratio=2):
            super().__init__()
            self.avg_pool, self.max_pool = nn.AdaptiveAvgPool2d(1), nn.AdaptiveMaxPool2d(1)
            self.fc1 = nn.Conv2d(channels, channels // ratio, 1, bias=False)
            self.fc2 = nn.Conv2d(channels // ratio, channels, 1, bias=False)

        def forward(self, x):
            avg_out = self.fc2(F.relu(self.fc1(self.avg_pool(x))))
            max_out = self.fc2(F.relu(self.fc1(self.max_pool(x))))
            return torch.sigmoid(avg_out + max_out)

    class SpatialAttention(nn.Module):
        def __init__(self, kernel_size=7):
            super().__init__()
            self.conv1 = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False)

        def forward(self, x):
            avg_out = torch.mean(x, dim=1, keepdim=True)
            max_out, _ = torch.max(x, dim=1, keepdim=True)
            return torch.sigmoid(self.conv1(torch.cat([avg_out, max_out], dim=1)))

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 6, 3)
            self.ca, self.sa = ChannelAttention(6), SpatialAttention()
            self.fc = nn.Linear(6 * 36, 3)

        def forward(self, x):
            x = F.relu(self.conv(x))
            x = self.ca(x) * x
            x = self.sa(x) * x
            return self.fc(x.flatten(start_dim=1))

    return Net()


@architecture((3, 3, 8, 8), lr=0.05, momentum=0.9)
def eca_net(torch):
    """Wang et al. 2020: a convolution along the channels makes the weights of attention."""
    nn = torch.nn

    class ECALayer(nn.Module):
        def __init__(self, k_size=3):
            super().__init__()
            self.avg_pool = nn.AdaptiveAvgPool2d(1)
            self.conv = nn.Conv1d(1, 1, k_size, padding=(k_size - 1) // 2, bias=False)
            self.sigmoid = nn.Sigmoid()

        def forward(self, x):
            y = self.avg_pool(x)
            y = self.conv(y.squeeze(-1).transpose(-1, -2)).transpose(-1, -2).unsqueeze(-1)
            return x * self.sigmoid(y).expand_as(x)

    return nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.ReLU(), ECALayer(), nn.Flatten(), nn.Linear(6 * 36, 3)
    )


@architecture((2, 3, 8, 8), optimizer="Adam", lr=1e-3, amsgrad=True)
def nonlocal_net(torch):
    """Wang et al. 2018: every place looks at all others (embedded Gaussian)."""
    nn, F = torch.nn, torch.nn.functional

    class NonLocal(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.inter = channels // 2
            self.g = nn.Conv2d(channels, self.inter, 1)
            self.theta = nn.Conv2d(channels, self.inter, 1)
            self.phi = nn.Sequential(nn.Conv2d(channels, self.inter, 1), nn.MaxPool2d(2))
            self.pool = nn.MaxPool2d(2)
            self.W = nn.Conv2d(self.inter, channels, 1)

        def forward(self, x):
            n = x.size(0)
            g_x = self.pool(self.g(x)).view(n, self.inter, -1).permute(0, 2, 1)
            theta_x = self.theta(x).view(n, self.inter, -1).permute(0, 2, 1)
            phi_x = self.phi(x).view(n, self.inter, -1)
            f = F.softmax(torch.matmul(theta_x, phi_x), dim=-1)
            y = torch.matmul(f, g_x).permute(0, 2, 1).contiguous()
            return self.W(y.view(n, self.inter, *x.size()[2:])) + x

    return nn.Sequential(
        nn.Conv2d(3, 6, 3), NonLocal(6), nn.GELU(), nn.Flatten(), nn.Linear(6 * 36, 3)
    )


@architecture((2, 3, 8, 8), optimizer="Adam", lr=1e-3)
def bottleneck_attention(torch):
    """Srinivas et al. 2021: self-attention of several heads in a convolution's place."""
    nn = torch.nn

    class MHSA(nn.Module):
        def __init__(self, dim, size, heads=2):
            super().__init__()
            self.heads = heads
            self.query, self.key, self.value = (nn.Conv2d(dim, dim, 1) for _ in range(3))
            self.rel_h = nn.Parameter(torch.randn(1, heads, dim // heads, 1, size))
            self.rel_w = nn.Parameter(torch.randn(1, heads, dim // heads, size, 1))

        def forward(self, x):
            n, c, h, w = x.size()
            q = self.query(x).view(n, self.heads, c // self.heads, -1)
            k = self.key(x).view(n, self.heads, c // self.heads, -1)
            v = self.value(x).view(n, self.heads, c // self.heads, -1)
            content = torch.matmul(q.permute(0, 1, 3, 2), k)
            place = (self.rel_h + self.rel_w).view(1, self.heads, c // self.heads, -1)
            attention = (content + torch.matmul(place.permute(0, 1, 3, 2), q)).softmax(dim=-1)
            return torch.matmul(v, attention.permute(0, 1, 3, 2)).view(n, c, h, w)

    return nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2), MHSA(6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(54, 3)
    )
