"""Networks that answer for every pixel: segmentation, detection, super-resolution."""

from .architecture import architecture, imitate


def segment(torch, net, x):
    """Cross entropy of every pixel, of which the first row is left out."""
    y = net(x)
    labels = torch.arange(y[:, 0].numel()).view(y[:, 0].shape) % y.shape[1]
    labels[:, 0] = 255
    return torch.nn.functional.cross_entropy(y, labels, ignore_index=255), y


@architecture((2, 2, 12, 12), loss=segment, lr=0.05, momentum=0.9)
def unet(torch):
    """Ronneberger et al. 2015, with padded convolutions."""
    nn = torch.nn

    class DoubleConv(nn.Module):
        def __init__(self, cin, cout):
            super().__init__()
            self.double_conv = nn.Sequential(
                nn.Conv2d(cin, cout, kernel_size=3, padding=1, bias=False),
                nn.BatchNorm2d(cout),
                nn.ReLU(inplace=True),
                nn.Conv2d(cout, cout, kernel_size=3, padding=1, bias=False),
                nn.BatchNorm2d(cout),
                nn.ReLU(inplace=True),
            )

        def forward(self, x):
            return self.double_conv(x)

    class UNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.inc, self.down1 = DoubleConv(2, 4), DoubleConv(4, 6)
            self.down2 = DoubleConv(6, 8)
            self.pool = nn.MaxPool2d(2)
            self.up1 = nn.ConvTranspose2d(8, 6, kernel_size=2, stride=2)
            self.conv1 = DoubleConv(12, 6)
            self.up2 = nn.ConvTranspose2d(6, 4, kernel_size=2, stride=2)
            self.conv2 = DoubleConv(8, 4)
            self.outc = nn.Conv2d(4, 3, kernel_size=1)

        def forward(self, x):
            x1 = self.inc(x)
            x2 = self.down1(self.pool(x1))
            x3 = self.down2(self.pool(x2))
            x = self.conv1(torch.cat([x2, self.up1(x3)], dim=1))
            x = self.conv2(torch.cat([x1, self.up2(x)], dim=1))
            return self.outc(x)

    return UNet()


@architecture((2, 3, 13, 13), loss=segment, lr=0.02, momentum=0.9)
def fcn(torch):
    """Long et al. 2014: fully convolutional, with a skip, cropped, and bilinear upsampling."""
    nn, F = torch.nn, torch.nn.functional

    class FCN(nn.Module):
        def __init__(self, classes=3):
            super().__init__()
            self.conv1 = nn.Conv2d(3, 6, 3, padding=4)
            self.conv2 = nn.Conv2d(6, 8, 3, padding=1)
            self.score = nn.Conv2d(8, classes, 1)
            self.score_pool = nn.Conv2d(6, classes, 1)
            self.upscore2 = nn.ConvTranspose2d(classes, classes, 4, stride=2, bias=False)
            self.upscore = nn.ConvTranspose2d(classes, classes, 4, stride=2, bias=False)
            filt = torch.tensor([0.25, 0.75, 0.75, 0.25])
            for up in (self.upscore2, self.upscore):
                up.weight.data.zero_()
                for i in range(classes):
                    up.weight.data[i, i] = filt[:, None] * filt[None, :]

        def forward(self, x):
            pool1 = F.max_pool2d(F.relu(self.conv1(x)), 2, stride=2, ceil_mode=True)
            pool2 = F.max_pool2d(F.relu(self.conv2(pool1)), 2, stride=2, ceil_mode=True)
            up = self.upscore2(self.score(pool2))
            skip = self.score_pool(pool1)
            up = up[:, :, 1 : 1 + skip.size(2), 1 : 1 + skip.size(3)] + skip
            up = self.upscore(up)
            return up[:, :, 3 : 3 + x.size(2), 3 : 3 + x.size(3)].contiguous()

    return FCN()


@architecture((2, 3, 12, 12), loss=segment, lr=0.05, momentum=0.9)
def segnet(torch):
    """Badrinarayanan et al. 2015: the decoder puts maxima back where they were."""
    nn, F = torch.nn, torch.nn.functional

    class SegNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.enc1, self.bn1 = nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6)
            self.enc2, self.bn2 = nn.Conv2d(6, 8, 3, padding=1), nn.BatchNorm2d(8)
            self.dec2, self.dec1 = nn.Conv2d(8, 6, 3, padding=1), nn.Conv2d(6, 3, 3, padding=1)
            self.pool = nn.MaxPool2d(2, 2, return_indices=True)
            self.unpool = nn.MaxUnpool2d(2, stride=2)

        def forward(self, x):
            x1, id1 = self.pool(F.relu(self.bn1(self.enc1(x))))
            x2, id2 = F.max_pool2d(
                F.relu(self.bn2(self.enc2(x1))), kernel_size=2, stride=2, return_indices=True
            )
            x = F.relu(self.dec2(self.unpool(x2, id2)))
            return self.dec1(F.max_unpool2d(x, id1, kernel_size=2, stride=2))

    return SegNet()


@architecture((2, 3, 12, 12), loss=segment, lr=0.05, momentum=0.9)
def deeplab(torch):
    """Chen et al. 2017: dilated convolutions side by side, and global context."""
    nn, F = torch.nn, torch.nn.functional

    class ASPPConv(nn.Sequential):
        def __init__(self, cin, cout, dilation):
            super().__init__(
                nn.Conv2d(cin, cout, 3, padding=dilation, dilation=dilation, bias=False),
                nn.BatchNorm2d(cout),
                nn.ReLU(),
            )

    class ASPPPooling(nn.Sequential):
        def __init__(self, cin, cout):
            super().__init__(nn.AdaptiveAvgPool2d(1), nn.Conv2d(cin, cout, 1), nn.ReLU())

        def forward(self, x):
            size = x.shape[-2:]
            for mod in self:
                x = mod(x)
            return F.interpolate(x, size=size, mode="bilinear", align_corners=False)

    class DeepLab(nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone = nn.Conv2d(3, 6, 3, stride=2, padding=1)
            self.convs = nn.ModuleList([ASPPConv(6, 4, r) for r in (1, 2, 3)] + [ASPPPooling(6, 4)])
            self.project = nn.Conv2d(16, 3, 1)

        def forward(self, x):
            input_shape = x.shape[-2:]
            x = F.relu(self.backbone(x))
            x = self.project(torch.cat([conv(x) for conv in self.convs], dim=1))
            return F.interpolate(x, size=input_shape, mode="bilinear", align_corners=True)

    return DeepLab()


@architecture((2, 3, 12, 12), loss=segment, optimizer="Adam", lr=1e-3)
def pspnet(torch):
    """Zhao et al. 2016: a pyramid of pooled maps, brought back to full size."""
    nn, F = torch.nn, torch.nn.functional

    class PPM(nn.Module):
        def __init__(self, cin, reduction, bins):
            super().__init__()
            self.features = nn.ModuleList(
                [
                    nn.Sequential(
                        nn.AdaptiveAvgPool2d(b), nn.Conv2d(cin, reduction, 1), nn.ReLU(True)
                    )
                    for b in bins
                ]
            )

        def forward(self, x):
            out = [x]
            for f in self.features:
                out.append(F.interpolate(f(x), x.size()[2:], mode="bilinear", align_corners=True))
            return torch.cat(out, 1)

    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.ELU(), PPM(6, 2, (1, 2, 3)), nn.Conv2d(12, 3, 1)
    )


@architecture((2, 3, 12, 12), loss=imitate, lr=0.05, momentum=0.9)
def feature_pyramid(torch):
    """Lin et al. 2016: coarse maps are enlarged and added to finer ones."""
    nn, F = torch.nn, torch.nn.functional

    class FPN(nn.Module):
        def __init__(self):
            super().__init__()
            self.c = nn.ModuleList([nn.Conv2d(3, 4, 3, 1, 1), nn.Conv2d(4, 6, 3, 2, 1)])
            self.c.append(nn.Conv2d(6, 8, 3, 2, 1))
            self.lateral = nn.ModuleList([nn.Conv2d(i, 5, 1) for i in (4, 6, 8)])
            self.smooth = nn.ModuleList([nn.Conv2d(5, 2, 3, padding=1) for _ in range(3)])

        def forward(self, x):
            maps = []
            for conv in self.c:
                x = F.relu(conv(x))
                maps.append(x)
            p = [self.lateral[2](maps[2])]
            for i in (1, 0):
                up = F.interpolate(p[0], scale_factor=2, mode="nearest")
                p.insert(0, up + self.lateral[i](maps[i]))
            return torch.cat([s(q).flatten(1) for s, q in zip(self.smooth, p)], dim=1)

    return FPN()


@architecture((2, 4, 8, 8), loss=imitate, optimizer="RMSprop", lr=1e-3, eps=1e-2)
def hourglass(torch):
    """Newell et al. 2016: down and up again, recursively, with shortcuts at every size."""
    nn, F = torch.nn, torch.nn.functional

    class Hourglass(nn.Module):
        def __init__(self, depth, channels):
            super().__init__()
            self.skip = nn.Conv2d(channels, channels, 3, padding=1)
            self.low1 = nn.Conv2d(channels, channels, 3, padding=1)
            self.low2 = Hourglass(depth - 1, channels) if depth > 1 else nn.Identity()
            self.low3 = nn.Conv2d(channels, channels, 3, padding=1)
            self.up = nn.Upsample(scale_factor=2)

        def forward(self, x):
            low = F.relu(self.low1(F.max_pool2d(x, 2, stride=2)))
            return self.skip(x) + self.up(self.low3(self.low2(low)))

    return Hourglass(2, 4)


@architecture((2, 1, 12, 12), loss=imitate, lr=0.05)
def srcnn(torch):
    """Dong et al. 2014."""
    nn = torch.nn

    class SRCNN(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(1, 8, kernel_size=9, padding=9 // 2)
            self.conv2 = nn.Conv2d(8, 4, kernel_size=5, padding=5 // 2)
            self.conv3 = nn.Conv2d(4, 1, kernel_size=5, padding=5 // 2)
            self.relu = nn.ReLU(inplace=True)

        def forward(self, x):
            return self.conv3(self.relu(self.conv2(self.relu(self.conv1(x)))))

    return SRCNN()


@architecture((2, 1, 7, 7), loss=imitate, optimizer="Adam", lr=1e-3)
def espcn(torch):
    """Shi et al. 2016: channels become pixels."""
    nn, F = torch.nn, torch.nn.functional

    class ESPCN(nn.Module):
        def __init__(self, upscale_factor=3):
            super().__init__()
            self.conv1 = nn.Conv2d(1, 6, (5, 5), (1, 1), (2, 2))
            self.conv2 = nn.Conv2d(6, upscale_factor**2, (3, 3), (1, 1), (1, 1))
            self.pixel_shuffle = nn.PixelShuffle(upscale_factor)
            nn.init.orthogonal_(self.conv1.weight, nn.init.calculate_gain("tanh"))

        def forward(self, x):
            x = torch.tanh(self.conv1(x))
            return F.sigmoid(self.pixel_shuffle(self.conv2(x)))

    return ESPCN()


@architecture((2, 3, 6, 6), loss=imitate, optimizer="Adam", lr=1e-3)
def srgan_generator(torch):
    """Ledig et al. 2016: PReLU, pixel shuffling, a long shortcut."""
    nn = torch.nn

    class ResidualBlock(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.conv1 = nn.Conv2d(channels, channels, kernel_size=3, padding=1, bias=False)
            self.bn1 = nn.BatchNorm2d(channels, 0.8)
            self.prelu = nn.PReLU()
            self.conv2 = nn.Conv2d(channels, channels, kernel_size=3, padding=1, bias=False)
            self.bn2 = nn.BatchNorm2d(channels, 0.8)

        def forward(self, x):
            return x + self.bn2(self.conv2(self.prelu(self.bn1(self.conv1(x)))))

    class Generator(nn.Module):
        def __init__(self):
            super().__init__()
            self.block1 = nn.Sequential(nn.Conv2d(3, 6, kernel_size=9, padding=4), nn.PReLU(6))
            self.blocks = nn.Sequential(ResidualBlock(6), ResidualBlock(6))
            self.upsample = nn.Sequential(
                nn.Conv2d(6, 8, kernel_size=3, padding=1), nn.PixelShuffle(2), nn.PReLU()
            )
            self.last = nn.Conv2d(2, 3, kernel_size=9, padding=4)

        def forward(self, x):
            block1 = self.block1(x)
            return (torch.tanh(self.last(self.upsample(block1 + self.blocks(block1)))) + 1) / 2

    return Generator()


@architecture((2, 3, 8, 8), loss=imitate, optimizer="Adam", lr=1e-3)
def edsr(torch):
    """Lim et al. 2017: no normalisation, fixed convolutions that shift the means."""
    nn = torch.nn

    class MeanShift(nn.Conv2d):
        def __init__(self, sign):
            super().__init__(3, 3, kernel_size=1)
            self.weight.data = torch.eye(3).view(3, 3, 1, 1)
            self.bias.data = sign * torch.tensor([0.4488, 0.4371, 0.4040])
            for p in self.parameters():
                p.requires_grad = False

    class ResBlock(nn.Module):
        def __init__(self, n, res_scale=0.1):
            super().__init__()
            self.body = nn.Sequential(
                nn.Conv2d(n, n, 3, padding=1), nn.ReLU(True), nn.Conv2d(n, n, 3, padding=1)
            )
            self.res_scale = res_scale

        def forward(self, x):
            return self.body(x).mul(self.res_scale) + x

    return nn.Sequential(
        MeanShift(-1),
        nn.Conv2d(3, 6, 3, padding=1, padding_mode="reflect"),
        ResBlock(6),
        ResBlock(6),
        nn.Conv2d(6, 12, 3, padding=1, padding_mode="replicate"),
        nn.PixelShuffle(2),
        MeanShift(1),
    )


@architecture((2, 1, 10, 10), loss=imitate, lr=0.05, momentum=0.9)
def dncnn(torch):
    """Zhang et al. 2016: predicts the noise, which is taken away."""
    nn = torch.nn

    class DnCNN(nn.Module):
        def __init__(self, depth=4, n=6):
            super().__init__()
            layers = [nn.Conv2d(1, n, 3, padding=1, bias=True), nn.ReLU(inplace=True)]
            for _ in range(depth - 2):
                layers.append(nn.Conv2d(n, n, 3, padding=1, bias=False))
                layers.append(nn.BatchNorm2d(n, eps=0.0001, momentum=0.95))
                layers.append(nn.ReLU(inplace=True))
            layers.append(nn.Conv2d(n, 1, 3, padding=1, bias=False))
            self.dncnn = nn.Sequential(*layers)

        def forward(self, x):
            return x - self.dncnn(x)

    return DnCNN()


def detect(torch, net, x):
    """SSD's loss: smooth L1 of the boxes of some anchors, focal loss of all classes."""
    F = torch.nn.functional
    boxes, scores = net(x)
    positive = torch.arange(boxes.shape[1]) % 3 == 0
    place = F.smooth_l1_loss(boxes[:, positive], torch.ones_like(boxes[:, positive]) * 0.3)
    targets = torch.zeros_like(scores)
    targets[:, positive, 1] = 1.0
    p = torch.sigmoid(scores)
    focal = F.binary_cross_entropy_with_logits(scores, targets, reduction="none")
    pt = torch.where(targets == 1, p, 1 - p)
    return place + ((1 - pt) ** 2 * focal).sum() / 10, torch.cat([boxes, scores], -1)


@architecture((2, 3, 12, 12), loss=detect, lr=0.02, momentum=0.9)
def ssd(torch):
    """Liu et al. 2015: boxes and classes from maps of several sizes; conv4's features scaled."""
    nn, F = torch.nn, torch.nn.functional

    class L2Norm(nn.Module):
        def __init__(self, channels, scale):
            super().__init__()
            self.weight = nn.Parameter(torch.Tensor(channels))
            nn.init.constant_(self.weight, scale)

        def forward(self, x):
            norm = x.pow(2).sum(dim=1, keepdim=True).sqrt() + 1e-10
            x = torch.div(x, norm)
            return self.weight.unsqueeze(0).unsqueeze(2).unsqueeze(3).expand_as(x) * x

    class SSD(nn.Module):
        def __init__(self, classes=3):
            super().__init__()
            self.classes = classes
            self.conv1, self.conv2 = nn.Conv2d(3, 6, 3, 2, 1), nn.Conv2d(6, 8, 3, 2, 1)
            self.norm = L2Norm(6, 2.0)
            self.loc = nn.ModuleList([nn.Conv2d(c, 2 * 4, 3, padding=1) for c in (6, 8)])
            self.conf = nn.ModuleList([nn.Conv2d(c, 2 * classes, 3, padding=1) for c in (6, 8)])

        def forward(self, x):
            first = F.relu(self.conv1(x))
            sources = [self.norm(first), F.relu(self.conv2(first))]
            loc, conf = [], []
            for source, to_loc, to_conf in zip(sources, self.loc, self.conf):
                loc.append(to_loc(source).permute(0, 2, 3, 1).contiguous())
                conf.append(to_conf(source).permute(0, 2, 3, 1).contiguous())
            loc = torch.cat([o.view(o.size(0), -1) for o in loc], 1)
            conf = torch.cat([o.view(o.size(0), -1) for o in conf], 1)
            n = x.shape[0]
            return loc.view(n, -1, 4), conf.view(n, -1, self.classes)

    return SSD()
