"""Matrix products, attention and convolutions for a numpy reference, on an NVIDIA GPU where torch finds one.

The numpy reference of a 4B model would take minutes a step; torch in float32 (no TF32) takes seconds. Without
torch or such a GPU everything stays as it is.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def use_gpu(reference: ModuleType) -> str:
    """Puts torch's products in place of those of `reference` (klein_numpy); says what computes."""
    try:
        import torch  # noqa: PLC0415 (an optional tool of this machine)
    except ImportError:
        return "numpy, float32"
    if not torch.cuda.is_available():
        return "numpy, float32"
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    products = _TorchProducts(torch)
    for name in ("lin", "attend", "conv"):
        setattr(reference, name, getattr(products, name))
    return f"torch {torch.__version__}, float32, {torch.cuda.get_device_name()}"


class _TorchProducts:
    """klein_numpy's functions of the same names."""

    def __init__(self, torch: Any) -> None:
        self._torch = torch
        self._weights: dict[int, tuple[Array, Any]] = {}

    def _upload(self, array: Array) -> Any:
        return self._torch.from_numpy(np.ascontiguousarray(array)).cuda()

    def _weight(self, array: Array) -> Any:
        """`array` on the GPU, uploaded once; it is kept, so that its identity stays its own."""
        if id(array) not in self._weights:
            self._weights[id(array)] = (array, self._upload(array))
        return self._weights[id(array)][1]

    def lin(self, x: Array, w: Array, b: Array | None = None) -> Array:
        """x w^T + b."""
        weight = self._weight(w) if w.base is None else self._upload(w)
        y: Array = (self._upload(x) @ weight.T).cpu().numpy()
        return y if b is None else y + b

    def attend(self, q: Array, k: Array, v: Array, bias: Array | None = None) -> Array:
        """softmax(q k^T / sqrt(d) + bias) v for each head."""
        scores = self._upload(q) @ self._upload(k).transpose(1, 2) / math.sqrt(q.shape[-1])
        if bias is not None:
            scores += self._upload(bias)
        result: Array = (self._torch.softmax(scores, -1) @ self._upload(v)).cpu().numpy()
        return result

    def conv(
        self,
        x: Array,
        w: Array,
        b: Array,
        stride: int = 1,
        pad: tuple[int, int, int, int] = (1, 1, 1, 1),
    ) -> Array:
        """x [C, H, W]; pad top, bottom, left, right, of kernels beyond 1 x 1."""
        top, bottom, left, right = pad if w.shape[2] > 1 else (0, 0, 0, 0)
        functional = self._torch.nn.functional
        padded = functional.pad(self._upload(x), (left, right, top, bottom))
        result = functional.conv2d(padded[None], self._weight(w), self._weight(b), stride)[0]
        array: Array = result.cpu().numpy()
        return array
