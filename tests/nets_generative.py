"""Networks that make images, or that judge, compress and change them."""

from .architecture import architecture, imitate


def look_real(torch, net, x):
    """Binary cross entropy with "real" for every second image."""
    y = net(x).view(-1)
    targets = (torch.arange(len(y)) % 2).to(y.dtype)
    return torch.nn.functional.binary_cross_entropy(y, targets), y


@architecture((2, 6, 1, 1), loss=imitate, optimizer="Adam", lr=2e-4, betas=(0.5, 0.999))
def dcgan_generator(torch):
    """Radford et al. 2015."""
    nn = torch.nn

    def weights_init(m):
        classname = m.__class__.__name__
        if classname.find("Conv") != -1:
            m.weight.data.normal_(0.0, 0.02)
        elif classname.find("BatchNorm") != -1:
            m.weight.data.normal_(1.0, 0.02)
            m.bias.data.fill_(0)

    class Generator(nn.Module):
        def __init__(self, nz=6, ngf=4, nc=3):
            super().__init__()
            self.main = nn.Sequential(
                nn.ConvTranspose2d(nz, ngf * 2, 4, 1, 0, bias=False),
                nn.BatchNorm2d(ngf * 2),
                nn.ReLU(True),
                nn.ConvTranspose2d(ngf * 2, ngf, 4, 2, 1, bias=False),
                nn.BatchNorm2d(ngf),
                nn.ReLU(True),
                nn.ConvTranspose2d(ngf, nc, 4, 2, 1, bias=False),
                nn.Tanh(),
            )

        def forward(self, input):
            return self.main(input)

    return Generator().apply(weights_init)


@architecture((4, 3, 16, 16), loss=look_real, optimizer="Adam", lr=2e-4, betas=(0.5, 0.999))
def dcgan_discriminator(torch):
    """Radford et al. 2015."""
    nn = torch.nn
    ndf = 4
    return nn.Sequential(
        nn.Conv2d(3, ndf, 4, 2, 1, bias=False),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(ndf, ndf * 2, 4, 2, 1, bias=False),
        nn.BatchNorm2d(ndf * 2),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(ndf * 2, 1, 4, 1, 0, bias=False),
        nn.Sigmoid(),
    )


def penalised(torch, net, real, fake):
    """Wasserstein's distance, and the penalty on gradients: second derivatives of everything."""
    alpha = torch.linspace(0.2, 0.8, len(real), dtype=real.dtype).view(-1, 1, 1, 1)
    between = (alpha * real + (1 - alpha) * fake).requires_grad_(True)
    critic = net(between)
    (gradients,) = torch.autograd.grad(
        outputs=critic,
        inputs=between,
        grad_outputs=torch.ones_like(critic),
        create_graph=True,
        retain_graph=True,
    )
    norms = gradients.view(gradients.size(0), -1).norm(2, dim=1)
    penalty = ((norms - 1) ** 2).mean()
    return net(fake).mean() - net(real).mean() + 10 * penalty, norms


@architecture(
    (2, 2, 8, 8), (2, 2, 8, 8), loss=penalised, optimizer="Adam", lr=1e-3, betas=(0.0, 0.9)
)
def wgan_critic(torch):
    """Gulrajani et al. 2017."""
    nn = torch.nn
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(6, 8, 3, 2, 1),
        nn.SiLU(),
        nn.Flatten(),
        nn.Linear(32, 1),
    )


def reconstruct(torch, net, x):
    """Mean squared distance from the input."""
    y = net(x)
    return torch.nn.MSELoss()(y, x), y


@architecture((2, 1, 12, 12), loss=reconstruct, optimizer="Adam", lr=1e-3)
def autoencoder(torch):
    """A convolutional autoencoder (Masci et al. 2011)."""
    nn = torch.nn
    net = nn.Sequential()
    net.add_module(
        "encoder",
        nn.Sequential(
            nn.Conv2d(1, 6, 3, stride=3, padding=1),
            nn.ReLU(True),
            nn.MaxPool2d(2, stride=2),
            nn.Conv2d(6, 4, 3, stride=2, padding=1),
        ),
    )
    net.add_module(
        "decoder",
        nn.Sequential(
            nn.ConvTranspose2d(4, 6, 3, stride=2),
            nn.ReLU(True),
            nn.ConvTranspose2d(6, 6, 3, stride=2, padding=1, output_padding=1),
            nn.ReLU(True),
            nn.ConvTranspose2d(6, 1, 2, stride=2),
            nn.Tanh(),
        ),
    )
    return net


def elbo(torch, net, x, noise):
    """Reconstruction, and Kullback and Leibler's distance from the normal distribution."""
    F = torch.nn.functional
    x = torch.sigmoid(x)
    recon_x, mu, logvar = net(x, noise)
    bce = F.binary_cross_entropy(recon_x, x, reduction="sum")
    kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return bce + kld, recon_x


@architecture((2, 1, 8, 8), (2, 3), loss=elbo, optimizer="Adam", lr=1e-3)
def vae(torch):
    """Kingma, Welling 2013, with the noise given."""
    nn, F = torch.nn, torch.nn.functional

    class VAE(nn.Module):
        def __init__(self, latent=3):
            super().__init__()
            self.conv = nn.Conv2d(1, 4, 4, 2, 1)
            self.fc_mu, self.fc_var = nn.Linear(64, latent), nn.Linear(64, latent)
            self.fc = nn.Linear(latent, 64)
            self.deconv = nn.ConvTranspose2d(4, 1, 4, 2, 1)

        def encode(self, x):
            h = F.relu(self.conv(x)).view(len(x), -1)
            return self.fc_mu(h), self.fc_var(h)

        def forward(self, x, eps):
            mu, logvar = self.encode(x)
            z = mu + eps * torch.exp(0.5 * logvar)
            h = F.relu(self.fc(z)).view(-1, 4, 4, 4)
            return torch.sigmoid(self.deconv(h)), mu, logvar

    return VAE()


def quantise(torch, net, x):
    """VQ-VAE's three terms, of which two move the codes and the encoder alone."""
    F = torch.nn.functional
    y, z, q = net(x)
    commitment = F.mse_loss(z, q.detach()) * 0.25
    return F.mse_loss(y, x) + F.mse_loss(q, z.detach()) + commitment, y


@architecture((2, 2, 8, 8), loss=quantise, optimizer="Adam", lr=1e-3)
def vq_vae(torch):
    """van den Oord et al. 2017: the nearest code, and gradients passed straight through."""
    nn = torch.nn

    class VQVAE(nn.Module):
        def __init__(self, codes=7, dim=4):
            super().__init__()
            self.encoder = nn.Conv2d(2, dim, 4, 2, 1)
            self.embedding = nn.Embedding(codes, dim)
            self.embedding.weight.data.uniform_(-1 / codes, 1 / codes)
            self.decoder = nn.ConvTranspose2d(dim, 2, 4, 2, 1)

        def forward(self, x):
            z = self.encoder(x).permute(0, 2, 3, 1).contiguous()
            flat = z.view(-1, z.shape[-1])
            codes = self.embedding.weight
            distances = (
                torch.sum(flat**2, dim=1, keepdim=True)
                + torch.sum(codes**2, dim=1)
                - 2 * torch.matmul(flat, codes.t())
            )
            q = self.embedding(torch.argmin(distances, dim=1)).view(z.shape)
            through = z + (q - z).detach()
            return self.decoder(through.permute(0, 3, 1, 2)), z, q

    return VQVAE()


@architecture((2, 3, 8, 8), loss=imitate, optimizer="Adam", lr=2e-4, betas=(0.5, 0.999))
def cyclegan_generator(torch):
    """Zhu et al. 2017: reflected borders, instance normalisation."""
    nn = torch.nn

    class ResnetBlock(nn.Module):
        def __init__(self, dim):
            super().__init__()
            self.conv_block = nn.Sequential(
                nn.ReflectionPad2d(1),
                nn.Conv2d(dim, dim, kernel_size=3, padding=0, bias=False),
                nn.InstanceNorm2d(dim),
                nn.ReLU(True),
            )

        def forward(self, x):
            return x + self.conv_block(x)

    return nn.Sequential(
        nn.ReflectionPad2d(3),
        nn.Conv2d(3, 4, kernel_size=7, padding=0, bias=False),
        nn.InstanceNorm2d(4, affine=True),
        nn.ReLU(True),
        nn.Conv2d(4, 6, kernel_size=3, stride=2, padding=1, bias=False),
        nn.ReLU(True),
        ResnetBlock(6),
        nn.ConvTranspose2d(6, 4, 3, stride=2, padding=1, output_padding=1, bias=False),
        nn.InstanceNorm2d(4),
        nn.ReLU(True),
        nn.ReplicationPad2d(3),
        nn.Conv2d(4, 3, kernel_size=7, padding=0),
        nn.Tanh(),
    )


@architecture((2, 4, 12, 12), loss=imitate, optimizer="Adam", lr=2e-4, betas=(0.5, 0.999))
def patchgan(torch):
    """Isola et al. 2016: a judgement for every patch."""
    nn = torch.nn
    return nn.Sequential(
        nn.Conv2d(4, 4, kernel_size=4, stride=2, padding=1),
        nn.LeakyReLU(0.2, True),
        nn.Conv2d(4, 8, kernel_size=4, stride=1, padding=1, bias=False),
        nn.InstanceNorm2d(8),
        nn.LeakyReLU(0.2, True),
        nn.Conv2d(8, 1, kernel_size=4, stride=1, padding=1),
    )


@architecture((2, 3, 10, 10), loss=look_real, optimizer="Adam", lr=1e-3, betas=(0.0, 0.9))
def spectral_discriminator(torch):
    """Miyato et al. 2018: weights divided by their largest singular value."""
    nn = torch.nn
    spectral_norm = nn.utils.parametrizations.spectral_norm
    return nn.Sequential(
        spectral_norm(nn.Conv2d(3, 4, 3, stride=2)),
        nn.LeakyReLU(0.1),
        nn.Flatten(),
        spectral_norm(nn.Linear(64, 1)),
        nn.Sigmoid(),
    )


def style(torch, net, content, style):
    """Gatys et al. 2015: the content's maps, and the style's Gram matrices."""
    F = torch.nn.functional

    def gram_matrix(y):
        b, ch, h, w = y.size()
        features = y.view(b, ch, w * h)
        return features.bmm(features.transpose(1, 2)) / (ch * h * w)

    y = net(content)
    loss = F.mse_loss(y, content) + 5 * F.mse_loss(gram_matrix(y), gram_matrix(style))
    tv = (y[:, :, 1:, :] - y[:, :, :-1, :]).abs().mean()
    tv = tv + torch.mean(torch.abs(y[..., :, 1:] - y[..., :, :-1]))
    return loss + 0.1 * tv, y


@architecture((1, 3, 8, 8), (1, 3, 8, 8), loss=style, optimizer="Adam", lr=1e-3)
def style_transfer(torch):
    """Johnson et al. 2016: the net that changes images."""
    nn, F = torch.nn, torch.nn.functional

    class UpsampleConvLayer(nn.Module):
        def __init__(self, cin, cout, kernel_size, upsample):
            super().__init__()
            self.upsample = upsample
            self.reflection_pad = nn.ReflectionPad2d(kernel_size // 2)
            self.conv2d = nn.Conv2d(cin, cout, kernel_size)

        def forward(self, x):
            x = F.interpolate(x, mode="nearest", scale_factor=self.upsample)
            return self.conv2d(self.reflection_pad(x))

    return nn.Sequential(
        nn.Conv2d(3, 6, 3, 2, 1),
        nn.InstanceNorm2d(6, affine=True),
        nn.ReLU(),
        UpsampleConvLayer(6, 3, 3, 2),
    )


@architecture((2, 1, 8, 8), loss=imitate, optimizer="RMSprop", lr=1e-3, eps=1e-2)
def pixelcnn(torch):
    """van den Oord et al. 2016: kernels masked so that no pixel sees itself or what follows."""
    nn = torch.nn

    class MaskedConv2d(nn.Conv2d):
        def __init__(self, mask_type, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.register_buffer("mask", self.weight.data.clone())
            _, _, kh, kw = self.weight.size()
            self.mask.fill_(1)
            self.mask[:, :, kh // 2, kw // 2 + (mask_type == "B") :] = 0
            self.mask[:, :, kh // 2 + 1 :] = 0

        def forward(self, x):
            self.weight.data *= self.mask
            return super().forward(x)

    return nn.Sequential(
        MaskedConv2d("A", 1, 6, 5, 1, 2, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(True),
        MaskedConv2d("B", 6, 6, 3, 1, 1, bias=False),
        nn.ReLU(True),
        nn.Conv2d(6, 1, 1),
    )


def denoise(torch, net, x, noise):
    """Ho et al. 2020: predict the noise at a step of the schedule."""
    t = torch.tensor([3, 7])
    betas = torch.linspace(1e-2, 0.2, 10, dtype=x.dtype)
    alphas_bar = torch.cumprod(1.0 - betas, dim=0)
    a = alphas_bar[t].view(-1, 1, 1, 1)
    y = net(a.sqrt() * x + (1 - a).sqrt() * noise, t)
    return torch.nn.functional.mse_loss(y, noise), y


@architecture((2, 2, 8, 8), (2, 2, 8, 8), loss=denoise, optimizer="AdamW", lr=1e-3)
def diffusion(torch):
    """Ho et al. 2020: sinusoids of the step shift every block's maps; GroupNorm and SiLU."""
    nn, F = torch.nn, torch.nn.functional

    class Block(nn.Module):
        def __init__(self, c, time):
            super().__init__()
            self.norm = nn.GroupNorm(2, c)
            self.conv = nn.Conv2d(c, c, 3, padding=1)
            self.emb = nn.Linear(time, c)

        def forward(self, x, t):
            h = self.conv(F.silu(self.norm(x)))
            return x + h + self.emb(t)[:, :, None, None]

    class Net(nn.Module):
        def __init__(self, c=4, time=6):
            super().__init__()
            self.time = time
            self.head, self.tail = nn.Conv2d(2, c, 3, padding=1), nn.Conv2d(c, 2, 3, padding=1)
            self.blocks = nn.ModuleList([Block(c, time) for _ in range(2)])

        def forward(self, x, t):
            half = self.time // 2
            freqs = torch.exp(-4.0 * torch.arange(half, dtype=x.dtype) / half)
            angles = t[:, None].to(x.dtype) * freqs[None]
            emb = torch.cat([torch.sin(angles), torch.cos(angles)], dim=-1)
            x = self.head(x)
            for block in self.blocks:
                x = block(x, emb)
            return self.tail(x)

    return Net()


def likelihood(torch, net, x):
    """The negative logarithm of the images' density."""
    z, log_det = net(x)
    prior = -0.5 * (z**2 + torch.log(torch.tensor(6.283185307179586, dtype=x.dtype)))
    return -(prior.flatten(1).sum(1) + log_det).mean(), z


@architecture((2, 2, 6, 6), loss=likelihood, optimizer="Adamax", lr=1e-3)
def real_nvp(torch):
    """Dinh et al. 2016: affine couplings on a chequerboard, which can be inverted."""
    nn = torch.nn

    class Coupling(nn.Module):
        def __init__(self, channels, parity):
            super().__init__()
            rows, columns = torch.arange(6)[:, None], torch.arange(6)[None]
            self.register_buffer("mask", ((rows + columns) % 2 == parity).float())
            self.net = nn.Sequential(
                nn.Conv2d(channels, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 2 * channels, 1)
            )
            self.scale = nn.Parameter(torch.full((channels, 1, 1), 0.5))

        def forward(self, x):
            kept = x * self.mask
            s, t = self.net(kept).chunk(2, dim=1)
            s = self.scale * torch.tanh(s) * (1 - self.mask)
            t = t * (1 - self.mask)
            return kept + (1 - self.mask) * (x * s.exp() + t), s.sum(dim=(1, 2, 3))

    class RealNVP(nn.Module):
        def __init__(self):
            super().__init__()
            self.couplings = nn.ModuleList([Coupling(2, i % 2) for i in range(3)])

        def forward(self, x):
            log_det = torch.zeros(x.shape[0], dtype=x.dtype)
            for coupling in self.couplings:
                x, change = coupling(x)
                log_det = log_det + change
            return x, log_det

    return RealNVP()
