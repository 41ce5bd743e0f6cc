"""Finds the VAE decoder's weights and numbers in what its chain of graphs computes.

It goes from the picture back to the latents: output, levels of residual blocks with a doubling between each,
the mid block around the attention, and the latents' own steps. Where the chain is cut does not matter here.
"""

from __future__ import annotations

from dataclasses import dataclass

from kleinbild.bundle import layout
from kleinbild.bundle.expression import Value
from kleinbild.bundle.match import Role, from_the_end, moved, pairs, vector, without_factors
from kleinbild.bundle.places import Place
from kleinbild.bundle.vae_layers import (
    GroupNorm,
    Layer,
    Places,
    Resnet,
    conv,
    group_norm,
    is_resnet,
    pointwise,
    prefixed,
    resnet,
    silu,
)
from kleinbild.config import VaeDecoderConfig

STAGE = "vae_decoder"
PATCH = 2
MAX_STEPS = 1 << 8
# Folded into bn.scale by whoever made the bundle; a decoder's config still has the field.
BATCH_NORM_EPS = 1e-4
SCALE_TOLERANCE = 1e-2


@dataclass(frozen=True)
class _Level:
    """Residual blocks of one size, in running order, and the convolution after doubling that ends them."""

    resnets: list[Resnet]
    upsampler: Layer | None


def find_vae_decoder(image: Value, z: Value) -> tuple[VaeDecoderConfig, Places]:
    """The numbers of the decoder that makes `image` [1, 3, H, W] of `z`, and every canonical tensor.

    Raises KleinbildError naming the role that is missing and what was found instead.
    """
    role = Role(STAGE, "decoder.conv_out")
    conv_out = conv(image, 3, role)
    norm_out = group_norm(silu(conv_out.x, role), role.of("decoder.conv_norm_out"))
    levels, mid_after, attended = _levels(norm_out.x, role)
    norms: list[GroupNorm] = [norm_out, *(n for level in levels for r in level.resnets for n in r.norms)]
    layers: dict[str, Layer] = {}
    for i, level in enumerate(levels):
        for j, block in enumerate(level.resnets):
            layers[f"decoder.up_blocks.{i}.resnets.{j}"] = block
        if level.upsampler is not None:
            layers[f"decoder.up_blocks.{i}.upsamplers.0.conv"] = level.upsampler
    attention, residual = _attention(attended, role.of("decoder.mid_block.attentions.0"))
    mid_before = resnet(residual, role.of("decoder.mid_block.resnets.0"))
    conv_in = conv(mid_before.x, 3, role.of("decoder.conv_in"))
    post_quant = conv(conv_in.x, 1, role.of("post_quant_conv"))
    layers |= {
        "decoder.mid_block.resnets.0": mid_before,
        "decoder.mid_block.resnets.1": mid_after,
        **{f"decoder.mid_block.attentions.0.{name}": layer for name, layer in attention.items()},
        "post_quant_conv": post_quant,
        "decoder.conv_in": conv_in,
        "decoder.conv_norm_out": norm_out,
        "decoder.conv_out": conv_out,
    }
    norms += [*mid_before.norms, *mid_after.norms]
    norms += [layer for layer in attention.values() if isinstance(layer, GroupNorm)]
    kinds = {(norm.groups, norm.eps) for norm in norms}
    if len(kinds) != 1:
        raise role.of("the group norms").missing("one number of groups and one eps", f"{sorted(kinds)}")
    groups, eps = kinds.pop()
    config = VaeDecoderConfig(
        latent_channels=post_quant.places["weight"].shape[1],
        out_channels=image.sizes[1],
        block_out_channels=tuple(level.resnets[-1].channels for level in reversed(levels)),
        layers_per_block=len(levels[0].resnets) - 1,
        norm_num_groups=groups,
        norm_eps=eps,
        patch_size=PATCH,
        batch_norm_eps=BATCH_NORM_EPS,
    )
    return config, prefixed(layers) | _latents(post_quant.x, z, role)


def _levels(x: Value, role: Role) -> tuple[list[_Level], Resnet, Value]:
    """(levels in running order, the mid block's second residual block, the attention's output)."""
    levels: list[_Level] = []
    resnets: list[Resnet] = []
    upsampler: Layer | None = None
    for _ in range(MAX_STEPS):
        name = f"{from_the_end('residual block', len(resnets))} of {from_the_end('level', len(levels))}"
        if is_resnet(x):
            resnets.append(resnet(x, role.of(name)))
            x = resnets[-1].x
            continue
        levels.append(_Level(resnets[::-1], upsampler))
        resnets = []
        doubled = _upsampler(x)
        if doubled is None:
            break
        upsampler = doubled
        x = doubled.x
    levels.reverse()
    if len(levels[0].resnets) < 2:
        raise role.of("the residual blocks after the attention").missing("at least two", x)
    mid, *first = levels[0].resnets
    levels[0] = _Level(first, levels[0].upsampler)
    if len({len(level.resnets) for level in levels}) != 1:
        counts = [len(level.resnets) for level in levels]
        raise role.of("the levels").missing("as many residual blocks in each", f"{counts}")
    return levels, mid, x


def _upsampler(x: Value) -> Layer | None:
    """The convolution after a doubling whose sum with its bias `x` is; x of the layer enters the doubling."""
    if x.op != "add" or not any(value.op == "conv" for value in x.inputs):
        return None
    layer = conv(x, 3, Role(STAGE, "decoder.up_blocks.upsamplers.0.conv"))
    if layer.x.op != "double":
        return None
    return Layer(layer.places, layer.x.inputs[0])


def _attention(x: Value, role: Role) -> tuple[dict[str, Layer], Value]:
    """The attention's layers, and the residual stream that enters it; x = residual + to_out(attention)."""
    if x.op != "add" or len(x.inputs) != 2:
        raise role.missing("the attention's output added to the residual", x)
    residual, added = sorted(x.inputs, key=lambda value: value.id)
    out = pointwise(added, role.of(f"{role.name}.to_out.0"))
    attended = layout.unmoved(out.x)
    if attended.op != "chunked_attention":
        raise role.missing("the output of the attention's graph", attended)
    q, kt, v = attended.inputs
    layers: dict[str, Layer] = {"to_out.0": out}
    scale = 1.0
    entered: list[Value] = []
    for name, value in (("to_q", q), ("to_k", kt), ("to_v", v)):
        inner, factor = without_factors(value)
        scale *= factor
        layers[name] = pointwise(inner, role.of(f"{role.name}.{name}"))
        entered.append(layout.unmoved(layers[name].x))
    if entered[1] is not entered[0] or entered[2] is not entered[0]:
        raise role.missing("one value entering q, k and v", entered[-1])
    expected = q.sizes[-1] ** -0.5
    if abs(scale - expected) > SCALE_TOLERANCE * expected:
        raise role.missing(f"scores scaled by {expected:g}", f"a scale of {scale:g}")
    layers["group_norm"] = group_norm(entered[0], role.of(f"{role.name}.group_norm"))
    if layers["group_norm"].x is not residual:
        raise role.missing("the norm of the residual stream", layers["group_norm"].x)
    return layers, residual


def _latents(x: Value, z: Value, role: Role) -> dict[str, Place]:
    """bn.scale and bn.mean: x is z scale + mean, each 2x2 patch spread over its pixels."""
    role = role.of("bn.scale and bn.mean")
    packed = layout.unmoved(x)
    if packed.op == "add":
        for product, mean in pairs(packed):
            if product.op != "multiply" or not mean.constant:
                continue
            for entered, scale in pairs(product):
                if entered is z and scale.constant:
                    _check_patches(x, packed, role)
                    return {"bn.scale": vector(scale), "bn.mean": vector(mean)}
    raise role.missing("the latents times and plus a number for each channel", packed)


def _check_patches(x: Value, packed: Value, role: Role) -> None:
    """Channel c * 4 + dy * 2 + dx must be pixel (dy, dx) of its patch in channel c."""
    _, channels, height, width = x.sizes
    found = moved(x, packed, [1], role)
    if found != list(range(channels * PATCH * PATCH)) or (height, width) != (
        PATCH * packed.sizes[2],
        PATCH * packed.sizes[3],
    ):
        raise role.missing("2x2 patches spread over their pixels", x)
