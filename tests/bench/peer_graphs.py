"""ONNX graphs for the peer, with random weights made on the spot: single operators, and a whole denoise step.

The step is Kleinbild's own export of the transformer with three changes: every linear is 4-bit, as in the
published bundle; weights are drawn as codes, not quantised; and all blocks of a kind share one block's
weights, so that the true width needs 0.4 GB instead of 2.6.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper

from kleinbild.canonical import TensorSpec, expected_tensors
from kleinbild.config import ModelConfig
from kleinbild.errors import KleinbildError
from kleinbild.export.builder import CONTRIB_DOMAIN, GraphBuilder
from kleinbild.export.layers import BITS, Layers
from kleinbild.export.losses import Losses
from kleinbild.export.source import Options, Variant
from kleinbild.export.tensor_store import ShardStore
from kleinbild.export.transformer import STAGE, build_transformer

SEED = 20
_BLOCK = re.compile(r"^((?:single_)?transformer_blocks)\.\d+\.")
# Uniform codes minus uniform zero points have this variance in units of the scale.
_CODE_VARIANCE = {False: 2 * (16**2 - 1) / 12, True: (16**2 - 1) / 12 + 0.25}


@dataclass(frozen=True)
class Format:
    """How MatMulNBits stores a weight and what it may accumulate in (accuracy level 4: int8 or fp16)."""

    block_size: int
    symmetric: bool
    accuracy_level: int

    @property
    def label(self) -> str:
        """A short name for people and files."""
        return f"b{self.block_size}{'' if self.symmetric else 'z'}-a{self.accuracy_level}"


SEED_FORMAT = Format(16, symmetric=False, accuracy_level=4)


class RandomLinears:
    """MatMulNBits nodes on `graph` whose weights are random codes, scaled to keep the activations' size."""

    def __init__(self, graph: GraphBuilder, weight_format: Format, seed: int) -> None:
        self._graph = graph
        self._format = weight_format
        self._rng = np.random.default_rng(seed)
        self._float = helper.tensor_dtype_to_np_dtype(graph.activation)
        self._stored: dict[str, list[str]] = {}

    def linear(self, x: str, name: str, rows: int, columns: int) -> str:
        """x [..., columns] W^T -> [..., rows]; the same `name` is the same weight."""
        if name not in self._stored:
            self._stored[name] = self._store(name, rows, columns)
        weight_format = self._format
        return self._graph.node(
            "MatMulNBits",
            x,
            *self._stored[name],
            domain=CONTRIB_DOMAIN,
            K=columns,
            N=rows,
            bits=BITS,
            block_size=weight_format.block_size,
            accuracy_level=weight_format.accuracy_level,
        )

    def _store(self, name: str, rows: int, columns: int) -> list[str]:
        block_size, symmetric = self._format.block_size, self._format.symmetric
        if columns % block_size:
            raise KleinbildError(f"{name}: {columns} columns are no whole number of blocks of {block_size}")
        blocks = columns // block_size
        scale = 1 / np.sqrt(columns * _CODE_VARIANCE[symmetric])
        scales = (self._rng.random(rows * blocks, np.float32) + np.float32(0.5)) * np.float32(scale)
        stored = [
            self._graph.weight(f"{name}_Q4", self._bytes(rows, blocks, block_size // 2)),
            self._graph.weight(f"{name}_scales", scales.astype(self._float)),
        ]
        if not symmetric:
            zero_points = self._bytes(rows * ((blocks + 1) // 2))
            stored.append(self._graph.weight(f"{name}_zero_points", zero_points))
        return stored

    def _bytes(self, *shape: int) -> npt.NDArray[np.uint8]:
        return np.frombuffer(self._rng.bytes(int(np.prod(shape))), np.uint8).reshape(shape)


class _RandomVectors:
    """The part of a checkpoint that `Layers` reads here: norm weights, near one."""

    def __init__(self, config: ModelConfig, seed: int) -> None:
        self.config = config
        self._rng = np.random.default_rng(seed)
        self._specs = expected_tensors(config)

    def spec(self, stage: str, name: str) -> TensorSpec:
        """The canonical kind and shape of a tensor."""
        return self._specs[stage][name]

    def tensor(self, stage: str, name: str) -> npt.NDArray[np.float32]:
        """Random values around one."""
        return self._rng.uniform(0.8, 1.2, self.spec(stage, name).shape).astype(np.float32)

    def rows(self, stage: str, name: str, first: int, count: int) -> npt.NDArray[np.float32]:
        """Some rows of a tensor."""
        return self.tensor(stage, name)[first : first + count]


class _SharedLayers(Layers):
    """Layers in which every linear is 4-bit and block i has the weights of block 0."""

    def __init__(self, graph: GraphBuilder, source: _RandomVectors, weight_format: Format, seed: int) -> None:
        weights: Variant = "q4" if graph.activation == TensorProto.FLOAT16 else "f32"
        options = Options(weights, weight_format.block_size, weight_format.symmetric)
        super().__init__(graph, source, STAGE, options, Losses())
        self._vectors = source
        self._linears = RandomLinears(graph, weight_format, seed)
        self._stored_vectors: dict[str, str] = {}

    def linear(self, x: str, name: str) -> str:
        """x [..., K] W^T -> [..., N], 4-bit."""
        name = shared_name(f"{name}.weight")
        rows, columns = self._vectors.spec(STAGE, name).shape
        return self._linears.linear(x, name, rows, columns)

    def block_linear(self, x: str, name: str) -> str:
        """As `linear`."""
        return self.linear(x, name)

    def float32_linear(self, x: str, name: str) -> str:
        """As `linear` from and to float32: the published bundle has 4 bits here, too."""
        return self.graph.to_float32(self.linear(self.graph.to_activation(x), name))

    def vector(self, name: str) -> str:
        """A norm weight, float32."""
        name = shared_name(name)
        if name not in self._stored_vectors:
            self._stored_vectors[name] = super().vector(name)
        return self._stored_vectors[name]


def shared_name(name: str) -> str:
    """The tensor that stands for `name` when all blocks of a kind share the first one's weights."""
    return _BLOCK.sub(r"\1.0.", name)


@dataclass(frozen=True)
class Graph:
    """The files of a written graph, all in one folder: `file`, and its shards of external data."""

    file: str
    shards: tuple[str, ...]


def write_step(folder: Path, name: str, config: ModelConfig, weight_format: Format, element: int) -> Graph:
    """The denoise step of build_transformer. `element` is TensorProto.FLOAT16 or FLOAT."""
    with _new_graph(folder, name, element) as new:
        source = _RandomVectors(config, SEED)
        build_transformer(_SharedLayers(new.graph, source, weight_format, SEED + 1), config)
    return new.written


def write_chain(folder: Path, name: str, widths: Sequence[int], weight_format: Format, element: int) -> Graph:
    """x [1, M, widths[0]] through linears -> [1, M, widths[-1]]; linears of one shape share weights."""
    with _new_graph(folder, name, element) as new:
        linears = RandomLinears(new.graph, weight_format, SEED)
        value = new.graph.input("x", element, [1, "M", widths[0]])
        for columns, rows in pairwise(widths):
            value = linears.linear(value, f"w{rows}x{columns}", rows, columns)
        new.graph.output(value, element, [1, "M", widths[-1]])
    return new.written


def write_attention(folder: Path, name: str, config: ModelConfig, element: int, *, fused: bool) -> Graph:
    """q, k, v [1, S, heads * head_dim] -> like them, with the transformer's heads.

    Fused: one MultiHeadAttention node. Otherwise the published graph's own nodes, scores and softmax float32.
    """
    c = config.transformer
    with _new_graph(folder, name, element) as new:
        graph = new.graph
        q, k, v = (graph.input(part, element, [1, "S", c.hidden_size]) for part in "qkv")
        if fused:
            heads = c.num_attention_heads
            result = graph.node("MultiHeadAttention", q, k, v, domain=CONTRIB_DOMAIN, num_heads=heads)
        else:
            q, k, v = (
                graph.reshape(x, [0, 0, c.num_attention_heads, c.attention_head_dim]) for x in (q, k, v)
            )
            kt = graph.node("Transpose", graph.to_float32(k), perm=[0, 2, 3, 1])
            v = graph.node("Transpose", v, perm=[0, 2, 1, 3])
            layers = _SharedLayers(graph, _RandomVectors(config, SEED), SEED_FORMAT, SEED)
            result = layers.attention(graph.to_float32(q), kt, v, c.attention_head_dim)
        graph.output(result, element, [1, "S", c.hidden_size])
    return new.written


class _NewGraph:
    """A graph that is being built in `folder`; `written` once it is saved."""

    def __init__(self, folder: Path, name: str, element: int) -> None:
        self._path = folder / f"{name}.onnx"
        self._store = ShardStore(folder, name)
        self.graph = GraphBuilder(name, element, self._store)

    @property
    def written(self) -> Graph:
        """The files."""
        return Graph(self._path.name, tuple(self._store.names))

    def save(self) -> None:
        """Writes the graph; its weights are written already."""
        self.graph.save(self._path)

    def close(self) -> None:
        """Closes the shard that is open."""
        self._store.close()


@contextmanager
def _new_graph(folder: Path, name: str, element: int) -> Iterator[_NewGraph]:
    new = _NewGraph(folder, name, element)
    try:
        yield new
        new.save()
    finally:
        new.close()
