"""The operators that the text encoder and the transformer share, each with its weights.

Types: the residual streams, norms, rotary embedding, softmax and modulation are float32; what enters a
matmul, and what leaves it, has the activations' type. So a residual far beyond float16's range survives
without clipping. Weights keep their canonical names: dense [K, N] under the name itself, 4 bits as `_Q4`,
`_scales`, `_zero_points`.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from kleinbild.errors import KleinbildError
from kleinbild.export.builder import CONTRIB_DOMAIN, GraphBuilder
from kleinbild.export.conversion import ConvertedWeights
from kleinbild.export.losses import Losses
from kleinbild.export.source import Options, TensorSource
from kleinbild.quantise import quantise_measured

BITS = 4
# ONNX Runtime's fp16-accumulate path on WebGPU, the level of the published bundle.
ACCURACY_LEVEL = 4


class Layers:
    """Operators on `graph` whose weights come from one stage of `source`; `losses` counts what they lose."""

    def __init__(
        self, graph: GraphBuilder, source: TensorSource, stage: str, options: Options, losses: Losses
    ) -> None:
        self.graph = graph
        self.options = options
        dtype = np.dtype(np.float16 if graph.activation == TensorProto.FLOAT16 else np.float32)
        self._weights = ConvertedWeights(source, stage, dtype, losses)

    def dense(self, name: str, shape: tuple[int, ...] | None = None) -> str:
        """The canonical tensor `name` in the activations' type, reshaped to `shape` if given."""
        array = self._weights.stored(name)
        if shape is None:
            return self.graph.weight(name, array)
        assert isinstance(array, np.ndarray), name
        return self.graph.weight(name, array.reshape(shape))

    def vector(self, name: str) -> str:
        """The canonical vector `name` in float32, [n]."""
        return self.graph.weight(name, self._weights.vector(name))

    def linear(self, x: str, name: str) -> str:
        """x [..., K] W^T -> [..., N], dense, W = `name`.weight [N, K]."""
        return self.graph.node("MatMul", x, self._transposed(f"{name}.weight"))

    def float32_linear(self, x: str, name: str) -> str:
        """As `outer_linear`, x float32 and the result too; a dense one is computed in float32."""
        g = self.graph
        if self.options.all_q4:
            return g.to_float32(self._q4_linear(g.to_activation(x), f"{name}.weight"))
        return g.node("MatMul", x, g.to_float32(self._transposed(f"{name}.weight")))

    def outer_linear(self, x: str, name: str) -> str:
        """As `linear`, for a layer outside the transformer's blocks: in 4 bits only when all are."""
        return self._q4_linear(x, f"{name}.weight") if self.options.all_q4 else self.linear(x, name)

    def block_linear(self, x: str, name: str) -> str:
        """As `linear`, in 4 bits when the bundle is q4."""
        return self._q4_linear(x, f"{name}.weight") if self.options.weights == "q4" else self.linear(x, name)

    def _q4_linear(self, x: str, name: str) -> str:
        array = self._weights.float32(name)
        try:
            quantised = quantise_measured(array, self.options.block_size, self.options.symmetric)
        except KleinbildError as error:
            raise KleinbildError(f"{self._weights.stage}: tensor {name!r}: {error}") from error
        self._weights.count_q4(name, quantised)
        weight = quantised.weight
        inputs = [
            x,
            self.graph.weight(f"{name}_Q4", weight.codes),
            self.graph.weight(f"{name}_scales", weight.scales.reshape(-1)),
        ]
        if weight.zero_points is not None:
            inputs.append(self.graph.weight(f"{name}_zero_points", weight.zero_points.reshape(-1)))
        rows, columns = weight.shape
        return self.graph.node(
            "MatMulNBits",
            *inputs,
            domain=CONTRIB_DOMAIN,
            K=columns,
            N=rows,
            bits=BITS,
            block_size=weight.block_size,
            accuracy_level=ACCURACY_LEVEL,
        )

    def rms_norm(self, x: str, name: str, eps: float) -> str:
        """x / sqrt(mean(x^2) + eps) * weight over the last axis, float32; the weight is the vector `name`."""
        g = self.graph
        square = g.node("ReduceMean", g.node("Mul", x, x), g.integers([-1]), keepdims=1)
        root = g.node("Sqrt", g.node("Add", square, g.scalar(eps)))
        return g.node("Mul", g.node("Div", x, root), self.vector(name))

    def silu(self, x: str) -> str:
        """x * sigmoid(x)."""
        return self.graph.node("Mul", x, self.graph.node("Sigmoid", x))

    def rotate(self, first: str, second: str, cos: str, sin: str) -> tuple[str, str]:
        """The pairs (first, second) turned by an angle, float32."""
        g = self.graph
        return (
            g.node("Sub", g.node("Mul", first, cos), g.node("Mul", second, sin)),
            g.node("Add", g.node("Mul", second, cos), g.node("Mul", first, sin)),
        )

    def attention(self, q: str, kt: str, v: str, head_dim: int, bias: str = "") -> str:
        """softmax(q k^T / sqrt(head_dim) + bias) v -> [1, S, heads * head_dim] in the activations' type.

        q float32 [1, S, heads, d]; kt float32 [1, heads, d, S]; v [1, heads, S, d] in the activations' type.
        """
        g = self.graph
        # The scale is split over both factors and fixed (not computed in the graph): ONNX Runtime's WebGPU
        # backend miscompiles the scalar chain that exporters emit.
        scale = g.scalar(head_dim**-0.25)
        q = g.node("Mul", g.node("Transpose", q, perm=[0, 2, 1, 3]), scale)
        scores = g.node("MatMul", q, g.node("Mul", kt, scale))
        if bias:
            scores = g.node("Add", scores, bias)
        weights = g.to_activation(g.node("Softmax", scores, axis=-1))
        heads = g.node("Transpose", g.node("MatMul", weights, v), perm=[0, 2, 1, 3])
        return g.reshape(heads, [0, 0, -1])

    def _transposed(self, name: str) -> str:
        """A linear [N, K] as the [K, N] that MatMul takes."""
        return self.graph.weight(name, self._weights.transposed(name))
