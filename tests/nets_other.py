"""Networks for text, sound and points, for comparing images, and with unusual training."""

from .architecture import architecture, classify, imitate, tokens


@architecture(tokens(20, 3, 12), optimizer="Adam", lr=1e-3)
def text_cnn(torch):
    """Kim 2014: windows of words, and the strongest answer of each filter."""
    nn, F = torch.nn, torch.nn.functional

    class TextCNN(nn.Module):
        def __init__(self, vocab=20, dim=5, kernels=(2, 3, 4)):
            super().__init__()
            self.embedding = nn.Embedding(vocab, dim, padding_idx=0)
            self.convs = nn.ModuleList([nn.Conv1d(dim, 4, k) for k in kernels])
            self.fc = nn.Linear(4 * len(kernels), 3)

        def forward(self, x):
            x = self.embedding(x).transpose(1, 2)
            x = [F.relu(conv(x)) for conv in self.convs]
            x = [F.max_pool1d(i, i.size(2)).squeeze(2) for i in x]
            return self.fc(torch.cat(x, 1))

    return TextCNN()


@architecture(tokens(11, 2, 24), optimizer="SGD", lr=0.05, momentum=0.9)
def char_cnn(torch):
    """Zhang et al. 2015: letters as one-hot channels."""
    nn, F = torch.nn, torch.nn.functional

    class CharCNN(nn.Module):
        def __init__(self, letters=11):
            super().__init__()
            self.letters = letters
            self.conv1 = nn.Sequential(nn.Conv1d(letters, 6, 5), nn.ReLU(), nn.MaxPool1d(2))
            self.conv2 = nn.Sequential(nn.Conv1d(6, 6, 3), nn.ReLU(), nn.AvgPool1d(2, 2))
            self.norm = nn.BatchNorm1d(6)
            self.fc = nn.Linear(24, 3)

        def forward(self, x):
            x = F.one_hot(x, self.letters).transpose(1, 2).to(self.fc.weight.dtype)
            x = self.norm(self.conv2(self.conv1(x)))
            return self.fc(x.reshape(x.size(0), -1))

    return CharCNN()


@architecture((2, 2, 20), loss=imitate, optimizer="Adam", lr=1e-3)
def wavenet(torch):
    """van den Oord et al. 2016: dilated causal convolutions, gates, skips."""
    nn, F = torch.nn, torch.nn.functional

    class CausalConv1d(nn.Conv1d):
        def __init__(self, cin, cout, kernel_size, dilation=1):
            self.left = (kernel_size - 1) * dilation
            super().__init__(cin, cout, kernel_size, padding=self.left, dilation=dilation)

        def forward(self, x):
            result = super().forward(x)
            return result[:, :, : -self.left] if self.left else result

    class WaveNet(nn.Module):
        def __init__(self, c=4, dilations=(1, 2, 4)):
            super().__init__()
            self.causal = CausalConv1d(2, c, 2)
            self.filters = nn.ModuleList([CausalConv1d(c, c, 2, d) for d in dilations])
            self.gates = nn.ModuleList([CausalConv1d(c, c, 2, d) for d in dilations])
            self.skips = nn.ModuleList([nn.Conv1d(c, 3, 1) for _ in dilations])
            self.residuals = nn.ModuleList([nn.Conv1d(c, c, 1) for _ in dilations])
            self.end = nn.Conv1d(3, 2, 1)

        def forward(self, x):
            x, skip = self.causal(x), 0
            layers = zip(self.filters, self.gates, self.skips, self.residuals)
            for to_filter, to_gate, to_skip, to_residual in layers:
                h = torch.tanh(to_filter(x)) * torch.sigmoid(to_gate(x))
                skip = skip + to_skip(h)
                x = x + to_residual(h)
            return self.end(F.relu(skip))

    return WaveNet()


@architecture((2, 2, 16), optimizer="Adam", lr=1e-3)
def temporal_convolution(torch):
    """Bai et al. 2018: padded, trimmed, with weights as length times direction."""
    nn = torch.nn
    weight_norm = nn.utils.parametrizations.weight_norm

    class Chomp1d(nn.Module):
        def __init__(self, chomp_size):
            super().__init__()
            self.chomp_size = chomp_size

        def forward(self, x):
            return x[:, :, : -self.chomp_size].contiguous()

    class TemporalBlock(nn.Module):
        def __init__(self, cin, cout, k, dilation):
            super().__init__()
            padding = (k - 1) * dilation
            conv = nn.Conv1d(cin, cout, k, padding=padding, dilation=dilation)
            self.net = nn.Sequential(weight_norm(conv), Chomp1d(padding), nn.ReLU())
            self.downsample = nn.Conv1d(cin, cout, 1) if cin != cout else None

        def forward(self, x):
            out = self.net(x)
            return torch.relu(out + (x if self.downsample is None else self.downsample(x)))

    return nn.Sequential(
        TemporalBlock(2, 4, 3, 1), TemporalBlock(4, 4, 3, 2), nn.Flatten(), nn.Linear(64, 3)
    )


@architecture((2, 3, 20), optimizer="Adam", lr=1e-3)
def pointnet(torch):
    """Qi et al. 2016: a learnt rotation, the same layers for every point, and the maximum."""
    nn, F = torch.nn, torch.nn.functional

    class TNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.fc = nn.Conv1d(3, 6, 1), nn.Linear(6, 9)

        def forward(self, x):
            x = torch.max(F.relu(self.conv1(x)), 2, keepdim=True)[0].view(-1, 6)
            iden = torch.eye(3, dtype=x.dtype).view(1, 9).repeat(len(x), 1)
            return (self.fc(x) + iden).view(-1, 3, 3)

    class PointNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.stn = TNet()
            self.conv1, self.conv2 = nn.Conv1d(3, 6, 1), nn.Conv1d(6, 10, 1)
            self.fc = nn.Linear(10, 3)

        def forward(self, x):
            x = torch.bmm(x.transpose(2, 1), self.stn(x)).transpose(2, 1)
            x = F.elu(self.conv1(x))
            return self.fc(self.conv2(x).max(dim=2).values)

    return PointNet()


def contrastive(torch, net, first, second):
    """Hadsell et al. 2006: equal pairs near, others at least a margin apart."""
    F = torch.nn.functional
    a, b = net(first), net(second)
    label = (torch.arange(len(a)) % 2).to(a.dtype)
    d = F.pairwise_distance(a, b, keepdim=True).squeeze(1)
    loss = (1 - label) * d.pow(2) + label * torch.clamp(2.0 - d, min=0.0).pow(2)
    return torch.mean(loss), d


@architecture((4, 1, 10, 10), (4, 1, 10, 10), loss=contrastive, optimizer="Adam", lr=1e-3, eps=1e-3)
def siamese(torch):
    """Bromley et al. 1993, Hadsell et al. 2006: one net sees both images."""
    nn = torch.nn
    return nn.Sequential(
        nn.ReflectionPad2d(1),
        nn.Conv2d(1, 4, kernel_size=3),
        nn.ReLU(inplace=True),
        nn.BatchNorm2d(4),
        nn.MaxPool2d(3, 3),
        nn.Flatten(),
        nn.Linear(36, 5),
    )


def triplet(torch, net, anchor, positive, negative):
    """Schroff et al. 2015: the anchor nearer to the positive than to the negative."""
    nn = torch.nn
    a, p, n = net(anchor), net(positive), net(negative)
    similar = nn.functional.cosine_similarity(a, p)
    return nn.TripletMarginLoss(margin=1.0, p=2)(a, p, n) - 0.1 * similar.mean(), a


@architecture((3, 1, 8, 8), (3, 1, 8, 8), (3, 1, 8, 8), loss=triplet, optimizer="Adagrad", lr=0.01)
def facenet(torch):
    """Schroff et al. 2015: embeddings on the unit sphere."""
    nn, F = torch.nn, torch.nn.functional

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.fc = nn.Conv2d(1, 4, 3, stride=2), nn.Linear(36, 4)

        def forward(self, x):
            return F.normalize(self.fc(F.relu(self.conv(x)).flatten(1)), p=2, dim=1)

    return Net()


@architecture((2, 1, 12, 12), optimizer="SGD", lr=0.01, momentum=0.9)
def spatial_transformer(torch):
    """Jaderberg et al. 2015."""
    nn, F = torch.nn, torch.nn.functional

    class STN(nn.Module):
        def __init__(self):
            super().__init__()
            self.localization = nn.Sequential(nn.Conv2d(1, 4, 5), nn.MaxPool2d(2), nn.ReLU(True))
            self.fc_loc = nn.Linear(64, 6)
            self.fc_loc.weight.data.mul_(0.1)
            self.fc_loc.bias.data.copy_(torch.tensor([1, 0, 0, 0, 1, 0], dtype=torch.float))
            self.conv, self.fc = nn.Conv2d(1, 4, 3), nn.Linear(100, 3)

        def forward(self, x):
            theta = self.fc_loc(self.localization(x).view(-1, 64)).view(-1, 2, 3)
            grid = F.affine_grid(theta, x.size(), align_corners=False)
            x = F.grid_sample(x, grid, align_corners=False)
            x = F.relu(F.max_pool2d(self.conv(x), 2))
            return self.fc(x.view(-1, 100))

    return STN()


@architecture((2, 1, 4, 32), optimizer="Adam", lr=1e-3, eps=1e-3)
def eegnet(torch):
    """Lawhern et al. 2016: filters in time, then across electrodes; weights kept short."""
    nn = torch.nn

    class Conv2dWithConstraint(nn.Conv2d):
        def __init__(self, *args, max_norm=1.0, **kwargs):
            self.max_norm = max_norm
            super().__init__(*args, **kwargs)

        def forward(self, x):
            with torch.no_grad():
                norm = self.weight.flatten(1).norm(dim=1).clamp(min=1e-12)
                scale = (self.max_norm / norm).clamp(max=1.0)
                self.weight.mul_(scale.view(-1, 1, 1, 1))
            return super().forward(x)

    return nn.Sequential(
        nn.Conv2d(1, 4, (1, 8), padding=(0, 4), bias=False),
        nn.BatchNorm2d(4),
        Conv2dWithConstraint(4, 8, (4, 1), groups=4, bias=False),
        nn.BatchNorm2d(8),
        nn.ELU(),
        nn.AvgPool2d((1, 4)),
        nn.Conv2d(8, 8, (1, 4), padding=(0, 2), groups=8, bias=False),
        nn.Conv2d(8, 6, (1, 1), bias=False),
        nn.BatchNorm2d(6),
        nn.ELU(alpha=0.5),
        nn.Flatten(),
        nn.Linear(54, 3),
    )


@architecture((2, 3, 8, 8), lr=0.05, momentum=0.9)
def bilinear_cnn(torch):
    """Lin et al. 2015: outer products of two nets' features, signed roots, unit length."""
    nn, F = torch.nn, torch.nn.functional

    class BilinearCNN(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 5, 3)
            self.fc = nn.Linear(20, 3)

        def forward(self, x):
            a, b = F.softplus(self.a(x)).flatten(2), F.softplus(self.b(x)).flatten(2)
            z = torch.bmm(a, b.transpose(1, 2)) / a.shape[-1]
            z = z.reshape(len(x), -1)
            z = torch.sign(z) * torch.sqrt(torch.abs(z) + 1e-5)
            return self.fc(F.normalize(z))

    return BilinearCNN()


@architecture((2, 1, 9, 9), loss=imitate, optimizer="Adam", lr=1e-3)
def soft_argmax(torch):
    """Levine et al. 2015: the expected place of each map's answer."""
    nn, F = torch.nn, torch.nn.functional

    class SpatialSoftArgmax(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.temperature = nn.Parameter(torch.ones(1))
            self.conv = nn.Conv2d(1, channels, 3)

        def forward(self, x):
            x = self.conv(x)
            n, c, h, w = x.shape
            attention = F.softmax(x.view(n * c, h * w) / self.temperature, dim=1)
            ys, xs = torch.meshgrid(
                *(torch.linspace(-1.0, 1.0, size, dtype=x.dtype) for size in (h, w)), indexing="ij"
            )
            places = torch.stack([ys, xs]).reshape(2, -1)
            return (attention @ places.T).view(n, c, 2)

    return SpatialSoftArgmax(4)


@architecture((2, 2, 8, 8), optimizer="Adam", lr=1e-3)
def dynamic_convolution(torch):
    """Chen et al. 2019: every image mixes the kernels it is convolved with, in one grouped call."""
    nn, F = torch.nn, torch.nn.functional

    class DynamicConv2d(nn.Module):
        def __init__(self, cin, cout, k, experts=3):
            super().__init__()
            self.cout, self.k = cout, k
            self.attention = nn.Linear(cin, experts)
            self.weight = nn.Parameter(torch.randn(experts, cout, cin, k, k) * 0.3)
            self.bias = nn.Parameter(torch.zeros(experts, cout))

        def forward(self, x):
            n, c, h, w = x.size()
            attention = F.softmax(self.attention(x.mean((2, 3))) / 30, dim=1)
            weight = torch.mm(attention, self.weight.view(attention.size(1), -1))
            weight = weight.view(n * self.cout, c, self.k, self.k)
            bias = torch.mm(attention, self.bias).view(-1)
            y = F.conv2d(x.view(1, n * c, h, w), weight, bias, 1, self.k // 2, groups=n)
            return y.view(n, self.cout, h, w)

    return nn.Sequential(
        DynamicConv2d(2, 4, 3), nn.ReLU(), DynamicConv2d(4, 3, 3), nn.AvgPool2d(8), nn.Flatten()
    )


def adapt(torch, net, support, query):
    """Finn et al. 2017: the loss after a step of descent, differentiated through the step."""
    loss, _ = classify(torch, net, support)
    parameters = list(net.parameters())
    gradients = torch.autograd.grad(loss, parameters, create_graph=True)
    fast = [p - 0.4 * g for p, g in zip(parameters, gradients)]
    return classify(torch, lambda x: net(x, fast), query)


@architecture((3, 1, 8, 8), (3, 1, 8, 8), loss=adapt, optimizer="Adam", lr=1e-3)
def maml(torch):
    """Finn et al. 2017: a net whose weights can be given."""
    nn, F = torch.nn, torch.nn.functional

    class Learner(nn.Module):
        def __init__(self):
            super().__init__()
            self.vars = nn.ParameterList()
            for shape in ((4, 1, 3, 3), (4,), (3, 36), (3,)):
                self.vars.append(nn.Parameter(torch.ones(*shape)))
                if len(shape) > 1:
                    nn.init.kaiming_normal_(self.vars[-1])

        def forward(self, x, vars=None):
            w1, b1, w2, b2 = self.vars if vars is None else vars
            x = F.avg_pool2d(F.softplus(F.conv2d(x, w1, b1)), 2)
            return F.linear(x.view(x.size(0), -1), w2, b2)

    return Learner()


@architecture((2, 2, 8, 8), lr=0.05, momentum=0.9)
def shared_weights(torch):
    """Liang, Hu 2015: a recurrent convolution, the same weights at every step."""
    nn, F = torch.nn, torch.nn.functional

    class RecurrentConv(nn.Module):
        def __init__(self, steps=3):
            super().__init__()
            self.steps = steps
            self.first = nn.Conv2d(2, 4, 3, padding=1)
            self.again = nn.Conv2d(4, 4, 3, padding=1, bias=False)
            self.norms = nn.ModuleList([nn.BatchNorm2d(4) for _ in range(steps)])
            self.fc = nn.Linear(4, 3)

        def forward(self, x):
            start = self.first(x)
            h = F.selu(start)
            for t in range(self.steps):
                h = F.relu(self.norms[t](start + self.again(h)))
            return self.fc(torch.logsumexp(h, dim=(2, 3)) / 4)

    return RecurrentConv()


@architecture((2, 3, 12, 12), lr=0.02, momentum=0.9)
def circular_panorama(torch):
    """Schubert et al. 2019: panoramas, padded with what lies on the other side."""
    nn, F = torch.nn, torch.nn.functional

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular")
            self.conv2 = nn.Conv2d(4, 4, 3, stride=2)
            self.fc = nn.Linear(4 * 36, 3)

        def forward(self, x):
            x = torch.tanh(self.conv1(x))
            x = F.pad(F.pad(x, (1, 0, 0, 0), mode="circular"), (0, 0, 1, 0))
            return self.fc(F.hardswish(self.conv2(x)).flatten(1))

    return Net()
