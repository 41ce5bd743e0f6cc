"""The layers of a VAE decoder as expressions: convolutions, group norms, residual blocks."""

from __future__ import annotations

import math
from dataclasses import dataclass

from kleinbild.bundle import layout
from kleinbild.bundle.expression import Value
from kleinbild.bundle.match import Role, moved, pairs, vector
from kleinbild.bundle.places import Place, whole

Places = dict[str, Place]


@dataclass(frozen=True)
class Layer:
    """A layer's tensors by the ends of their canonical names, and the value that enters it."""

    places: Places
    x: Value


@dataclass(frozen=True)
class GroupNorm(Layer):
    """A group norm's numbers as well."""

    groups: int
    eps: float


@dataclass(frozen=True)
class Resnet(Layer):
    """A residual block; channels leave it."""

    channels: int
    norms: tuple[GroupNorm, GroupNorm]


def biased(x: Value) -> tuple[Value, Value] | None:
    """(convolution or linear, its bias) when `x` is their sum."""
    if x.op == "add":
        for product, bias in pairs(x):
            if product.op in ("conv", "linear") and bias.constant:
                return product, bias
    return None


def conv(x: Value, kernel: int, role: Role) -> Layer:
    """A convolution with bias, [O, I, kernel, kernel]."""
    found = biased(x)
    if found is None or found[0].op != "conv" or found[0].inputs[1].sizes[-1] != kernel:
        raise role.missing(f"a {kernel}x{kernel} convolution with bias", x)
    product, bias = found
    return Layer({"weight": whole(product.inputs[1]), "bias": vector(bias)}, product.inputs[0])


def pointwise(x: Value, role: Role) -> Layer:
    """A linear over channels with bias, [N, K]: as a matrix or as a 1x1 convolution; moved perhaps."""
    found = biased(layout.unmoved(x))
    if found is None:
        raise role.missing("a linear with bias, or a 1x1 convolution", layout.unmoved(x))
    product, bias = found
    weight = product.inputs[1]
    if product.op == "conv" and weight.sizes[2:] != (1, 1):
        raise role.missing("a linear with bias, or a 1x1 convolution", product)
    place = whole(weight, weight.sizes[:2])
    source = layout.unmoved(x)
    axis = 1 if product.op == "conv" else len(product.sizes) - 1
    if moved(x, source, [axis], role) != list(range(product.sizes[axis])):
        raise role.missing("its channels in order", source)
    return Layer({"weight": place, "bias": vector(bias)}, product.inputs[0])


def group_norm(x: Value, role: Role) -> GroupNorm:
    """An instance norm of one long row a group, times and plus a number for each channel."""
    if x.op == "add":
        for product, bias in pairs(x):
            if product.op != "multiply" or not bias.constant:
                continue
            for normed, scale in pairs(product):
                row = layout.unmoved(normed)
                if row.op == "instance_norm" and scale.constant:
                    return _group_norm(x, row, scale, bias, role)
    raise role.missing("a group norm with weights", x)


def _group_norm(x: Value, row: Value, scale: Value, bias: Value, role: Role) -> GroupNorm:
    entered = layout.unmoved(row.inputs[0])
    channels = x.sizes[1]
    if (
        len(row.sizes) != 3
        or row.inputs[0].op != "reshape"
        or entered.shape != x.shape
        or channels % row.sizes[1]
        or not math.prod(scale.sizes) == math.prod(bias.sizes) == channels
    ):
        raise role.missing("a group norm over channels", row)
    places = {"weight": vector(scale), "bias": vector(bias)}
    return GroupNorm(places, entered, row.sizes[1], row.attributes[0])


def silu(x: Value, role: Role) -> Value:
    """What enters x sigmoid(x)."""
    if x.op != "silu":
        raise role.missing("silu", x)
    return x.inputs[0]


def resnet(x: Value, role: Role) -> Resnet:
    """A residual block; the one of the sum's parts that is no shortcut is taken apart."""
    if x.op == "add":
        parts = _branches(x)
        if parts is not None:
            shortcut, branch = parts
            second = conv(branch, 3, role.of(f"{role.name}.conv2"))
            norm2 = group_norm(silu(second.x, role), role.of(f"{role.name}.norm2"))
            first = conv(norm2.x, 3, role.of(f"{role.name}.conv1"))
            norm1 = group_norm(silu(first.x, role), role.of(f"{role.name}.norm1"))
            layers: dict[str, Layer] = {"norm1": norm1, "conv1": first, "norm2": norm2, "conv2": second}
            if shortcut is not norm1.x:
                layers["conv_shortcut"] = conv(shortcut, 1, role.of(f"{role.name}.conv_shortcut"))
                if layers["conv_shortcut"].x is not norm1.x:
                    raise role.of(f"{role.name}.conv_shortcut").missing("the block's own input", shortcut)
            return Resnet(prefixed(layers), norm1.x, branch.sizes[1], (norm1, norm2))
    raise role.missing("a residual block", x)


def is_resnet(x: Value) -> bool:
    """Whether `x` looks like a residual block's output."""
    return x.op == "add" and _branches(x) is not None


def _branches(x: Value) -> tuple[Value, Value] | None:
    """(shortcut, the branch that ends in silu and a convolution) of the sum `x`."""
    for shortcut, branch in pairs(x):
        found = biased(branch)
        if found is not None and found[0].op == "conv" and found[0].inputs[0].op == "silu":
            return shortcut, branch
    return None


def prefixed(layers: dict[str, Layer]) -> Places:
    """All places of `layers`, each under its layer's name."""
    return {f"{name}.{part}": place for name, layer in layers.items() for part, place in layer.places.items()}
