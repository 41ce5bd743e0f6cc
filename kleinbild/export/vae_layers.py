"""The operators of the VAE decoder, each with its weights.

All of them have the activations' type, float16 in the published bundle, statistics included: at full
resolution a float32 copy of a feature map would be half a gigabyte.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from kleinbild.config import VaeDecoderConfig
from kleinbild.export.layers import Layers


class VaeLayers:
    """The decoder's operators, all in the activations' type, as in the published bundle."""

    def __init__(self, layers: Layers, config: VaeDecoderConfig) -> None:
        self.layers = layers
        self.g = layers.graph
        self.c = config
        self.dtype = np.float16 if self.g.activation == TensorProto.FLOAT16 else np.float32

    def per_channel(self, name: str) -> str:
        """The vector `name` as [1, C, 1, 1]."""
        return self.layers.dense(name, (1, -1, 1, 1))

    def conv(self, x: str, name: str, output: str = "") -> str:
        """A convolution with bias that keeps height and width; its kernel is square, of odd size."""
        g = self.g
        with g.scope(name):
            weight, bias = self.layers.dense(f"{name}.weight"), self.layers.dense(f"{name}.bias")
            kernel = g.weight_shape(weight)[-1]
            shape, pads = [kernel] * 2, [kernel // 2] * 4
            return g.node("Conv", x, weight, bias, output=output, kernel_shape=shape, pads=pads)

    def linear(self, x: str, name: str) -> str:
        """x W^T + b."""
        return self.g.node("Add", self.layers.linear(x, name), self.layers.dense(f"{name}.bias"))

    def group_norm(self, x: str, name: str) -> str:
        """GroupNorm with weights, as the instance norm of one long row a group."""
        g, groups = self.g, self.c.norm_num_groups
        with g.scope(name):
            ones = g.constant(np.ones(groups, self.dtype))
            zeros = g.constant(np.zeros(groups, self.dtype))
            rows = g.reshape(x, [0, groups, -1])
            rows = g.node("InstanceNormalization", rows, ones, zeros, epsilon=self.c.norm_eps)
            h = g.node("Reshape", rows, g.node("Shape", x))
            h = g.node("Mul", h, self.per_channel(f"{name}.weight"))
            return g.node("Add", h, self.per_channel(f"{name}.bias"))

    def resnet(self, x: str, name: str, channels_in: int, channels_out: int, output: str) -> str:
        """shortcut(x) + conv2(silu(norm2(conv1(silu(norm1(x)))))."""
        with self.g.scope(name):
            h = self.conv(self.layers.silu(self.group_norm(x, f"{name}.norm1")), f"{name}.conv1")
            h = self.conv(self.layers.silu(self.group_norm(h, f"{name}.norm2")), f"{name}.conv2")
            if channels_in != channels_out:
                x = self.conv(x, f"{name}.conv_shortcut")
            return self.g.node("Add", x, h, output=output)

    def attention_out(self, residual: str, attended: str, name: str, channels: int) -> str:
        """residual + to_out(attended), attended [1, 1, T, C]."""
        g = self.g
        with g.scope(name):
            h = self.linear(g.reshape(attended, [1, -1, channels]), f"{name}.to_out.0")
            h = g.node("Reshape", g.node("Transpose", h, perm=[0, 2, 1]), g.node("Shape", residual))
            return g.node("Add", residual, h)
