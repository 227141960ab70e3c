"""Chains of layers, and layers side by side: from LeNet to capsules."""

from .architecture import architecture


@architecture((3, 1, 28, 28), lr=0.05, momentum=0.9)
def lenet5(torch):
    """LeCun et al. 1998."""
    nn = torch.nn

    class LeNet5(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
            self.conv2 = nn.Conv2d(6, 16, 5)
            self.pool = nn.AvgPool2d(2, 2)
            self.fc1 = nn.Linear(16 * 5 * 5, 32)
            self.fc2 = nn.Linear(32, 10)

        def forward(self, x):
            x = self.pool(torch.tanh(self.conv1(x)))
            x = self.pool(torch.tanh(self.conv2(x)))
            x = x.view(x.size(0), -1)
            return self.fc2(torch.tanh(self.fc1(x)))

    return LeNet5()


@architecture((2, 3, 33, 33), lr=0.01, momentum=0.9, weight_decay=5e-4)
def alexnet(torch):
    """Krizhevsky et al. 2012, with its local response normalisation and its groups."""
    nn = torch.nn

    class AlexNet(nn.Module):
        def __init__(self, num_classes=5):
            super().__init__()
            self.features = nn.Sequential(
                nn.Conv2d(3, 8, kernel_size=7, stride=2, padding=2),
                nn.ReLU(inplace=True),
                nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=2.0),
                nn.MaxPool2d(kernel_size=3, stride=2),
                nn.Conv2d(8, 12, kernel_size=5, padding=2, groups=2),
                nn.ReLU(inplace=True),
                nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=2.0),
                nn.MaxPool2d(kernel_size=3, stride=2),
                nn.Conv2d(12, 8, kernel_size=3, padding=1),
                nn.ReLU(inplace=True),
            )
            self.classifier = nn.Sequential(
                nn.Dropout(p=0.0),
                nn.Linear(8 * 3 * 3, 16),
                nn.ReLU(inplace=True),
                nn.Linear(16, num_classes),
            )

        def forward(self, x):
            x = self.features(x)
            x = torch.flatten(x, 1)
            return self.classifier(x)

    return AlexNet()


@architecture((2, 3, 16, 16), lr=0.02, momentum=0.9, nesterov=True)
def vgg(torch):
    """Simonyan, Zisserman 2014, with batch normalisation and the usual initialisation."""
    nn = torch.nn

    class VGG(nn.Module):
        def __init__(self, cfg, num_classes=4):
            super().__init__()
            layers, channels = [], 3
            for v in cfg:
                if v == "M":
                    layers += [nn.MaxPool2d(kernel_size=2, stride=2)]
                else:
                    conv = nn.Conv2d(channels, v, kernel_size=3, padding=1)
                    layers += [conv, nn.BatchNorm2d(v), nn.ReLU(inplace=True)]
                    channels = v
            self.features = nn.Sequential(*layers)
            self.classifier = nn.Linear(channels, num_classes)
            for m in self.modules():
                if isinstance(m, nn.Conv2d):
                    nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
                    if m.bias is not None:
                        nn.init.constant_(m.bias, 0)
                elif isinstance(m, nn.BatchNorm2d):
                    nn.init.constant_(m.weight, 1)
                    nn.init.constant_(m.bias, 0)

        def forward(self, x):
            return self.classifier(self.features(x).mean([2, 3]))

    return VGG([6, "M", 8, 8, "M", 12, "M"])


@architecture((2, 3, 16, 16), optimizer="Adam", lr=1e-3)
def network_in_network(torch):
    """Lin, Chen, Yan 2013."""
    nn = torch.nn

    def mlpconv(cin, cout, k, **kwargs):
        return nn.Sequential(
            nn.Conv2d(cin, cout, k, **kwargs),
            nn.ReLU(),
            nn.Conv2d(cout, cout, 1),
            nn.ReLU(),
            nn.Conv2d(cout, cout, 1),
            nn.ReLU(),
        )

    return nn.Sequential(
        mlpconv(3, 8, 5, padding=2),
        nn.MaxPool2d(3, stride=2, ceil_mode=True),
        mlpconv(8, 10, 3, padding=1),
        nn.AvgPool2d(3, stride=2, ceil_mode=True),
        mlpconv(10, 6, 3, padding=1),
        nn.AdaptiveAvgPool2d((1, 1)),
        nn.Flatten(),
    )


@architecture((2, 3, 16, 16), optimizer="Adadelta", lr=1.0)
def all_cnn(torch):
    """Springenberg et al. 2014: strides instead of pooling."""
    nn, F = torch.nn, torch.nn.functional

    class AllConvNet(nn.Module):
        def __init__(self, input_size=3, n_classes=5):
            super().__init__()
            self.conv1 = nn.Conv2d(input_size, 6, 3, padding=1)
            self.conv2 = nn.Conv2d(6, 6, 3, padding=1, stride=2)
            self.conv3 = nn.Conv2d(6, 8, 3, padding=1)
            self.conv4 = nn.Conv2d(8, 8, 3, padding=1, stride=2)
            self.conv5 = nn.Conv2d(8, 8, 1)
            self.class_conv = nn.Conv2d(8, n_classes, 1)

        def forward(self, x):
            x = F.relu(self.conv2(F.relu(self.conv1(x))))
            x_drop = F.dropout(x, 0.0, self.training)
            x = F.relu(self.conv4(F.relu(self.conv3(x_drop))))
            x = self.class_conv(F.relu(self.conv5(x)))
            pool_out = F.adaptive_avg_pool2d(x, 1)
            pool_out.squeeze_(-1)
            pool_out.squeeze_(-1)
            return pool_out

    return AllConvNet()


@architecture((2, 3, 15, 15), optimizer="SGD", lr=0.02, momentum=0.9)
def inception_v1(torch):
    """Szegedy et al. 2014: figure 2b, with a classifier on the way."""
    nn, F = torch.nn, torch.nn.functional

    class Inception(nn.Module):
        def __init__(self, in_planes, n1x1, n3x3red, n3x3, n5x5red, n5x5, pool_planes):
            super().__init__()
            self.b1 = nn.Conv2d(in_planes, n1x1, kernel_size=1)
            self.b2 = nn.Sequential(
                nn.Conv2d(in_planes, n3x3red, kernel_size=1),
                nn.ReLU(True),
                nn.Conv2d(n3x3red, n3x3, kernel_size=3, padding=1),
            )
            self.b3 = nn.Sequential(
                nn.Conv2d(in_planes, n5x5red, kernel_size=1),
                nn.ReLU(True),
                nn.Conv2d(n5x5red, n5x5, kernel_size=5, padding=2),
            )
            self.b4 = nn.Sequential(
                nn.MaxPool2d(3, stride=1, padding=1),
                nn.Conv2d(in_planes, pool_planes, kernel_size=1),
            )

        def forward(self, x):
            return F.relu(torch.cat([self.b1(x), self.b2(x), self.b3(x), self.b4(x)], 1))

    class GoogLeNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.pre = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(True))
            self.a3 = Inception(8, 4, 3, 4, 2, 3, 3)
            self.b3 = Inception(14, 4, 3, 4, 2, 3, 3)
            self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
            self.aux = nn.Linear(14, 4)
            self.linear = nn.Linear(14 * 9, 4)

        def forward(self, x):
            out = self.a3(self.pre(x))
            aux = self.aux(F.adaptive_avg_pool2d(out, 1).flatten(1))
            out = F.avg_pool2d(self.b3(self.maxpool(out)), 3, stride=3, padding=1)
            return self.linear(out.reshape(len(out), -1)) + 0.3 * aux

    return GoogLeNet()


@architecture((2, 3, 14, 14), optimizer="RMSprop", lr=1e-3, momentum=0.9, eps=0.1)
def inception_v3(torch):
    """Szegedy et al. 2015: figures 6 and 10, of factorised convolutions."""
    nn, F = torch.nn, torch.nn.functional

    class BasicConv2d(nn.Module):
        def __init__(self, in_channels, out_channels, **kwargs):
            super().__init__()
            self.conv = nn.Conv2d(in_channels, out_channels, bias=False, **kwargs)
            self.bn = nn.BatchNorm2d(out_channels, eps=0.001)

        def forward(self, x):
            return F.relu(self.bn(self.conv(x)), inplace=True)

    class InceptionC(nn.Module):
        def __init__(self, cin, c7):
            super().__init__()
            self.branch1x1 = BasicConv2d(cin, 4, kernel_size=1)
            self.branch7x7_1 = BasicConv2d(cin, c7, kernel_size=1)
            self.branch7x7_2 = BasicConv2d(c7, c7, kernel_size=(1, 7), padding=(0, 3))
            self.branch7x7_3 = BasicConv2d(c7, 4, kernel_size=(7, 1), padding=(3, 0))
            self.branch_pool = BasicConv2d(cin, 4, kernel_size=1)

        def forward(self, x):
            branch7x7 = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
            branch_pool = F.avg_pool2d(x, kernel_size=3, stride=1, padding=1)
            outputs = [self.branch1x1(x), branch7x7, self.branch_pool(branch_pool)]
            return torch.cat(outputs, 1)

    class InceptionB(nn.Module):
        def __init__(self, cin):
            super().__init__()
            self.branch3x3 = BasicConv2d(cin, 6, kernel_size=3, stride=2)

        def forward(self, x):
            return torch.cat([self.branch3x3(x), F.max_pool2d(x, kernel_size=3, stride=2)], 1)

    return nn.Sequential(
        BasicConv2d(3, 6, kernel_size=3, padding=1),
        InceptionC(6, 3),
        InceptionB(12),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(1),
        nn.Linear(18, 4),
    )


@architecture((2, 3, 12, 12), optimizer="AdamW", lr=1e-3)
def inception_resnet(torch):
    """Szegedy et al. 2016: a scaled residual of branches."""
    nn, F = torch.nn, torch.nn.functional

    class Block35(nn.Module):
        def __init__(self, scale=0.17):
            super().__init__()
            self.scale = scale
            self.branch0 = nn.Conv2d(8, 4, 1)
            self.branch1 = nn.Sequential(nn.Conv2d(8, 4, 1), nn.Conv2d(4, 4, 3, padding=1))
            self.conv2d = nn.Conv2d(8, 8, 1)
            self.relu = nn.ReLU(inplace=False)

        def forward(self, x):
            out = torch.cat((self.branch0(x), self.branch1(x)), 1)
            return self.relu(self.conv2d(out) * self.scale + x)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(3, 8, 3, stride=2)
            self.repeat = nn.Sequential(*[Block35() for _ in range(3)])
            self.last_linear = nn.Linear(8, 4)

        def forward(self, x):
            x = self.repeat(F.relu(self.stem(x)))
            return self.last_linear(x.mean(3).mean(2))

    return Net()


@architecture((3, 1, 14, 14), lr=0.05)
def maxout(torch):
    """Goodfellow et al. 2013: the largest of k linear maps."""
    nn = torch.nn

    class Maxout(nn.Module):
        def __init__(self, cin, cout, pieces, **kwargs):
            super().__init__()
            self.pieces = pieces
            self.conv = nn.Conv2d(cin, cout * pieces, **kwargs)

        def forward(self, x):
            x = self.conv(x)
            n, c, h, w = x.size()
            m, _ = x.view(n, c // self.pieces, self.pieces, h, w).max(2)
            return m

    return nn.Sequential(
        Maxout(1, 4, 3, kernel_size=5, padding=2),
        nn.MaxPool2d(2),
        Maxout(4, 4, 2, kernel_size=3),
        nn.Flatten(),
        nn.Linear(100, 3),
    )


@architecture((3, 2, 10, 10), lr=0.05, momentum=0.5)
def highway(torch):
    """Srivastava et al. 2015: gates decide what a layer changes."""
    nn, F = torch.nn, torch.nn.functional

    class Highway(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.transform = nn.Conv2d(channels, channels, 3, padding=1)
            self.gate = nn.Conv2d(channels, channels, 3, padding=1)
            self.gate.bias.data.fill_(-1.0)

        def forward(self, x):
            t = torch.sigmoid(self.gate(x))
            return F.relu(self.transform(x)) * t + x * (1 - t)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.plain = nn.Conv2d(2, 6, 3)
            self.layers = nn.ModuleList([Highway(6) for _ in range(4)])
            self.fc = nn.Linear(6, 3)

        def forward(self, x):
            x = F.relu(self.plain(x))
            for layer in self.layers:
                x = layer(x)
            return F.log_softmax(self.fc(x.amax(dim=(2, 3))), dim=1)

    return Net()


@architecture((2, 3, 20, 20), optimizer="Adagrad", lr=0.01)
def squeezenet(torch):
    """Iandola et al. 2016."""
    nn = torch.nn

    class Fire(nn.Module):
        def __init__(self, inplanes, squeeze, expand):
            super().__init__()
            self.squeeze = nn.Conv2d(inplanes, squeeze, kernel_size=1)
            self.relu = nn.ReLU(inplace=True)
            self.expand1x1 = nn.Conv2d(squeeze, expand, kernel_size=1)
            self.expand3x3 = nn.Conv2d(squeeze, expand, kernel_size=3, padding=1)

        def forward(self, x):
            x = self.relu(self.squeeze(x))
            return torch.cat([self.relu(self.expand1x1(x)), self.relu(self.expand3x3(x))], 1)

    return nn.Sequential(
        nn.Conv2d(3, 8, kernel_size=3, stride=2),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True),
        Fire(8, 3, 6),
        Fire(12, 3, 6),
        nn.Conv2d(12, 4, kernel_size=1),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d((1, 1)),
        nn.Flatten(),
    )


@architecture((2, 3, 8, 8), optimizer="Adamax", lr=1e-3)
def fractalnet(torch):
    """Larsson et al. 2016: paths of 1, 2 and 4 convolutions, joined by means."""
    nn, F = torch.nn, torch.nn.functional

    class Fractal(nn.Module):
        def __init__(self, cin, cout, depth):
            super().__init__()
            self.short = nn.Conv2d(cin, cout, 3, padding=1)
            self.long = None
            if depth > 1:
                self.long = nn.Sequential(
                    Fractal(cin, cout, depth - 1), Fractal(cout, cout, depth - 1)
                )

        def forward(self, x):
            y = F.relu(self.short(x))
            return y if self.long is None else torch.stack([y, self.long(x)]).mean(dim=0)

    return nn.Sequential(Fractal(3, 5, 3), nn.AvgPool2d(8), nn.Flatten(), nn.Linear(5, 3))


@architecture((3, 1, 12, 12), optimizer="Adam", lr=1e-3)
def capsnet(torch):
    """Sabour et al. 2017: capsules, and routing by agreement."""
    nn, F = torch.nn, torch.nn.functional

    def squash(s, dim=-1):
        squared = (s**2).sum(dim=dim, keepdim=True)
        return squared / (1 + squared) * s / torch.sqrt(squared + 1e-9)

    class CapsNet(nn.Module):
        def __init__(self, classes=3):
            super().__init__()
            self.conv = nn.Conv2d(1, 8, 5)
            self.primary = nn.Conv2d(8, 8, 3, stride=2)
            self.W = nn.Parameter(0.1 * torch.randn(18, classes, 6, 4))

        def forward(self, x):
            u = self.primary(F.relu(self.conv(x)))
            u = squash(u.view(len(x), 4, -1).transpose(1, 2))
            u_hat = torch.einsum("nik,ijdk->nijd", u, self.W)
            b = u_hat.new_zeros(u_hat.shape[:3])
            for _ in range(3):
                c = F.softmax(b, dim=2)
                v = squash((c.unsqueeze(-1) * u_hat).sum(dim=1))
                b = b + (u_hat * v[:, None]).sum(-1)
            return (v**2).sum(dim=-1) ** 0.5

    return CapsNet()


@architecture((2, 2, 13, 13), lr=0.05)
def spp_net(torch):
    """He et al. 2014: pyramids of pooling make any image a vector."""
    nn, F = torch.nn, torch.nn.functional

    class SPPNet(nn.Module):
        def __init__(self, levels=(1, 2, 4)):
            super().__init__()
            self.levels = levels
            self.conv = nn.Conv2d(2, 5, 3)
            self.fc = nn.Linear(5 * sum(n * n for n in levels), 3)

        def forward(self, x):
            x = F.relu(self.conv(x))
            pyramid = [F.adaptive_max_pool2d(x, n).flatten(1) for n in self.levels]
            return self.fc(torch.cat(pyramid, dim=1))

    return SPPNet()


@architecture((2, 3, 14, 14), optimizer="SGD", lr=0.01, momentum=0.9, weight_decay=1e-4)
def darknet(torch):
    """Redmon, Farhadi 2018: YOLO's backbone, and its head of boxes."""
    nn = torch.nn

    def conv(cin, cout, k, stride=1):
        return nn.Sequential(
            nn.Conv2d(cin, cout, k, stride, k // 2, bias=False),
            nn.BatchNorm2d(cout, momentum=0.03, eps=1e-4),
            nn.LeakyReLU(0.1, inplace=True),
        )

    class Residual(nn.Module):
        def __init__(self, c):
            super().__init__()
            self.layer1, self.layer2 = conv(c, c // 2, 1), conv(c // 2, c, 3)

        def forward(self, x):
            return self.layer2(self.layer1(x)) + x

    class YOLO(nn.Module):
        def __init__(self, anchors=((1.0, 2.0), (3.0, 1.5)), classes=3):
            super().__init__()
            self.register_buffer("anchors", torch.tensor(anchors))
            self.body = nn.Sequential(conv(3, 6, 3, 2), Residual(6), conv(6, 8, 3, 2), Residual(8))
            self.head = nn.Conv2d(8, len(anchors) * (5 + classes), 1)

        def forward(self, x):
            p = self.head(self.body(x))
            n, _, h, w = p.shape
            p = p.view(n, len(self.anchors), -1, h, w).permute(0, 1, 3, 4, 2).contiguous()
            y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
            grid = torch.stack((x, y), -1).to(p.dtype)
            xy = (torch.sigmoid(p[..., 0:2]) + grid) / w
            wh = torch.exp(p[..., 2:4]) * self.anchors.to(p.dtype)[None, :, None, None]
            scores = torch.sigmoid(p[..., 4:5]) * p[..., 5:].softmax(-1)
            boxes = torch.cat((xy, wh, scores), -1).flatten(1, 3)
            return boxes.mean(1)

    return YOLO()
