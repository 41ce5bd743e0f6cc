"""Flux2-type VAE: picture [B, 3, H, W] in [-1, 1] <-> normalised tokens [B, H/16 * W/16, packed channels].

The state dict has the keys of AutoencoderKLFlux2, the running statistics of the packed channels among them;
those are measured after training (training/vae.py) and only applied here.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.config import VaeSizes

NORM_EPS = 1e-6


class ResnetBlock(nn.Module):
    """GroupNorm, silu, conv, twice, with a shortcut."""

    def __init__(self, inputs: int, outputs: int, groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, inputs, NORM_EPS)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, outputs, NORM_EPS)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        return (x if self.conv_shortcut is None else self.conv_shortcut(x)) + h  # type: ignore[no-any-return]


class MidAttention(nn.Module):
    """One head as wide as the picture has channels."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.group_norm = nn.GroupNorm(groups, channels, NORM_EPS)
        self.to_q = nn.Linear(channels, channels)
        self.to_k = nn.Linear(channels, channels)
        self.to_v = nn.Linear(channels, channels)
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, x: Tensor) -> Tensor:
        h = self.group_norm(x).flatten(2).transpose(1, 2)
        q, k, v = (project(h)[:, None] for project in (self.to_q, self.to_k, self.to_v))
        out = self.to_out[0](F.scaled_dot_product_attention(q, k, v)[:, 0])
        return x + out.transpose(1, 2).reshape(x.shape)  # type: ignore[no-any-return]


class MidBlock(nn.Module):
    """Residual block, attention, residual block."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(ResnetBlock(channels, channels, groups) for _ in range(2))
        self.attentions = nn.ModuleList([MidAttention(channels, groups)])

    def forward(self, x: Tensor) -> Tensor:
        return self.resnets[1](self.attentions[0](self.resnets[0](x)))  # type: ignore[no-any-return]


class Downsample(nn.Module):
    """Halves the picture; pads right and bottom only."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, (0, 1, 0, 1)))  # type: ignore[no-any-return]


class Upsample(nn.Module):
    """Doubles the picture: nearest neighbour, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))  # type: ignore[no-any-return]


class Level(nn.Module):
    """The residual blocks of one resolution, and the change to the next but after the last."""

    def __init__(self, inputs: int, outputs: int, layers: int, groups: int, sampler: str) -> None:
        super().__init__()
        widths = [inputs] + [outputs] * layers
        self.resnets = nn.ModuleList(ResnetBlock(a, b, groups) for a, b in itertools.pairwise(widths))
        if sampler == "down":
            self.downsamplers = nn.ModuleList([Downsample(outputs)])
        elif sampler == "up":
            self.upsamplers = nn.ModuleList([Upsample(outputs)])

    def forward(self, x: Tensor) -> Tensor:
        for child in self.children():
            assert isinstance(child, nn.ModuleList)
            for module in child:
                x = module(x)
        return x


class Encoder(nn.Module):
    """Picture -> moments before quant_conv."""

    def __init__(self, widths: Sequence[int], latents: int, layers: int, groups: int) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(3, widths[0], 3, padding=1)
        inputs = [widths[0], *widths]
        last = len(widths) - 1
        self.down_blocks = nn.ModuleList(
            Level(inputs[i], widths[i], layers, groups, "down" if i < last else "")
            for i in range(len(widths))
        )
        self.mid_block = MidBlock(widths[-1], groups)
        self.conv_norm_out = nn.GroupNorm(groups, widths[-1], NORM_EPS)
        self.conv_out = nn.Conv2d(widths[-1], 2 * latents, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_in(x)
        for block in self.down_blocks:
            x = block(x)
        return self.conv_out(F.silu(self.conv_norm_out(self.mid_block(x))))  # type: ignore[no-any-return]


class PictureDecoder(nn.Module):
    """Latents after post_quant_conv -> picture."""

    def __init__(self, widths: Sequence[int], latents: int, layers: int, groups: int) -> None:
        super().__init__()
        descending = list(reversed(widths))
        inputs = [descending[0], *descending]
        last = len(widths) - 1
        self.conv_in = nn.Conv2d(latents, descending[0], 3, padding=1)
        self.mid_block = MidBlock(descending[0], groups)
        self.up_blocks = nn.ModuleList(
            Level(inputs[i], descending[i], layers + 1, groups, "up" if i < last else "")
            for i in range(len(widths))
        )
        self.conv_norm_out = nn.GroupNorm(groups, widths[0], NORM_EPS)
        self.conv_out = nn.Conv2d(widths[0], 3, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        x = self.mid_block(self.conv_in(z))
        for block in self.up_blocks:
            x = block(x)
        return self.conv_out(F.silu(self.conv_norm_out(x)))  # type: ignore[no-any-return]


class PackedStatistics(nn.Module):
    """Running mean and variance of the packed latent channels."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))


class Vae(nn.Module):
    """The whole part."""

    def __init__(self, sizes: VaeSizes) -> None:
        super().__init__()
        self.sizes = sizes
        latents, layers, groups = sizes.latent_channels, sizes.layers_per_block, sizes.norm_num_groups
        self.encoder = Encoder(sizes.encoder_channels, latents, layers, groups)
        self.quant_conv = nn.Conv2d(2 * latents, 2 * latents, 1)
        self.post_quant_conv = nn.Conv2d(latents, latents, 1)
        self.decoder = PictureDecoder(sizes.decoder_channels, latents, layers, groups)
        self.bn = PackedStatistics(4 * latents)

    def on(self, device: torch.device) -> Vae:
        """Itself, moved to `device` with channels last, which its convolutions are quickest with."""
        return self.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def moments(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """mean, log variance, each [B, latent_channels, H/8, W/8]."""
        mean, log_variance = self.quant_conv(self.encoder(picture)).chunk(2, 1)
        return mean, log_variance

    def decode(self, z: Tensor) -> Tensor:
        """Latents [B, latent_channels, h, w] -> picture [B, 3, 8 h, 8 w], about [-1, 1]."""
        return self.decoder(self.post_quant_conv(z))  # type: ignore[no-any-return]

    def _deviation(self) -> Tensor:
        return torch.sqrt(self.bn.running_var + self.sizes.batch_norm_eps)

    def encode_tokens(self, picture: Tensor) -> Tensor:
        """Picture -> the mean's normalised tokens."""
        tokens = pack(self.moments(picture)[0]).float()
        return (tokens - self.bn.running_mean) / self._deviation()

    def decode_tokens(self, tokens: Tensor, rows: int, columns: int) -> Tensor:
        """Normalised tokens [B, rows * columns, packed] -> picture [B, 3, 16 rows, 16 columns]."""
        return self.decode(unpack(tokens.float() * self._deviation() + self.bn.running_mean, rows, columns))


def pack(z: Tensor) -> Tensor:
    """[B, C, 2 h, 2 w] -> [B, h * w, 4 C], channel c * 4 + dy * 2 + dx."""
    return F.pixel_unshuffle(z, 2).flatten(2).transpose(1, 2)


def unpack(tokens: Tensor, rows: int, columns: int) -> Tensor:
    """The inverse of `pack`."""
    return F.pixel_shuffle(torch.unflatten(tokens.transpose(1, 2), 2, (rows, columns)), 2)
