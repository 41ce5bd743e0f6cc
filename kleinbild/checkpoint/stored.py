"""The names and shapes of a whole diffusers folder, as its config files imply them.

kleinbild.canonical lists what the page uses; a folder that diffusers can open holds more: later text
layers, the final norm, the VAE encoder, the raw batch norm statistics. Only the writers of small
checkpoints need this; reading never does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from kleinbild.canonical import expected_tensors, mid_block_tensors, resnet_tensors
from kleinbild.checkpoint.configs import MAX_LAYERS, MAX_WIDTH, VAE_BLOCKS, read_model_config
from kleinbild.checkpoint.json_file import ConfigFile
from kleinbild.config import VaeDecoderConfig

Shapes = dict[str, tuple[int, ...]]

BATCH_COUNT = "bn.num_batches_tracked"  # the one integer among them, shape ()


def stored_shapes(folder: Path) -> dict[str, Shapes]:
    """Stage -> name as stored -> shape, for the config files of the diffusers folder `folder`.

    Raises KleinbildError as read_model_config does.
    """
    config = read_model_config(folder)
    text_layers = ConfigFile.read(folder / "text_encoder" / "config.json").integer(
        "num_hidden_layers", 1, MAX_LAYERS
    )
    encoder_widths = ConfigFile.read(folder / "vae" / "config.json").integers(
        "block_out_channels", 1, MAX_WIDTH
    )
    text_encoder = replace(config.text_encoder, num_layers=text_layers)
    tensors = expected_tensors(replace(config, text_encoder=text_encoder))
    shapes = {stage: {name: spec.shape for name, spec in specs.items()} for stage, specs in tensors.items()}
    shapes["text_encoder"]["model.norm.weight"] = (text_encoder.hidden_size,)
    vae = shapes["vae_decoder"]
    vae["bn.running_var"] = vae.pop("bn.scale")
    vae["bn.running_mean"] = vae.pop("bn.mean")
    vae[BATCH_COUNT] = ()
    vae.update(_vae_encoder(config.vae_decoder, encoder_widths))
    return shapes


def _vae_encoder(vae: VaeDecoderConfig, widths: tuple[int, ...]) -> Iterator[tuple[str, tuple[int, ...]]]:
    moments = 2 * vae.latent_channels
    yield from _conv("encoder.conv_in", widths[0], vae.out_channels, 3)
    for i, (before, width) in enumerate(pairwise((widths[0], *widths))):
        block = f"encoder.down_blocks.{i}"
        for j in range(vae.layers_per_block):
            for name, spec in resnet_tensors(f"{block}.resnets.{j}", before if j == 0 else width, width):
                yield name, spec.shape
        if i < VAE_BLOCKS - 1:
            yield from _conv(f"{block}.downsamplers.0.conv", width, width, 3)
    for name, spec in mid_block_tensors("encoder.mid_block", widths[-1]):
        yield name, spec.shape
    for part in ("weight", "bias"):
        yield f"encoder.conv_norm_out.{part}", (widths[-1],)
    yield from _conv("encoder.conv_out", moments, widths[-1], 3)
    yield from _conv("quant_conv", moments, moments, 1)


def _conv(name: str, rows: int, channels: int, kernel: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", (rows, channels, kernel, kernel)
    yield f"{name}.bias", (rows,)
