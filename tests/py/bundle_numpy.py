"""The model in plain numpy on a bundle's own weights, 4-bit ones dequantised: what its graphs must compute.

Independent of onnxruntime and of the exported graphs: only Bundle.tensor and tests/golden/klein_numpy.py.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import klein_numpy as klein
import numpy as np
import numpy.typing as npt
from checkpoint_factory import make_checkpoint

from kleinbild.bundle import Bundle
from kleinbild.weights import Dense, Weight, dequantise

Array = npt.NDArray[Any]


def make_small_checkpoint(folder: Path, **overrides: Any) -> Path:
    """A checkpoint in which no linear's K is a multiple of 16, three text layers, one block of each kind."""
    return make_checkpoint(
        folder,
        te={
            "hidden_size": 40,
            "intermediate_size": 72,
            "num_hidden_layers": 4,
            "num_attention_heads": 5,
            "num_key_value_heads": 5,
            "head_dim": 8,
        },
        transformer={
            "attention_head_dim": 8,
            "num_attention_heads": 5,
            "num_layers": 1,
            "num_single_layers": 1,
        },
        model_index={"text_encoder_out_layers": [1, 2, 3]},
        **overrides,
    )


def small_inputs() -> dict[str, Array]:
    """Arguments for run_pipeline: seven tokens and a 32x48 picture."""
    mask = np.arange(512) < 7
    return {
        "input_ids": np.where(mask, np.arange(512) * 37 % 1900 + 3, 0),
        "attention_mask": mask.astype(np.int64),
        "latents": np.random.default_rng(5).standard_normal((128, 2, 3)).astype(np.float32),
    }


def run_numpy(
    bundle: Bundle,
    input_ids: Array,
    attention_mask: Array,
    latents: Array,
    *,
    steps: int,
    height: int,
    width: int,
    trace: dict[str, Array] | None = None,
) -> dict[str, npt.NDArray[np.float32]]:
    """The boundaries that onnx_oracle.run_pipeline gives, by the same names.

    `trace` receives the residual streams after each transformer block of the last step.
    """
    config = bundle.config
    text = asdict(config.text_encoder) | {"num_hidden_layers": config.text_encoder.num_layers + 1}
    embeds = klein.qwen3_prompt_embeds(
        text, _weights(bundle, "text_encoder"), input_ids, attention_mask, config.text_encoder.tapped_layers
    )
    if limit := config.prompt.context_clip:
        embeds = np.clip(embeds, -limit, limit)
    result = {"prompt_embeds": embeds}

    rows, columns = height // 16, width // 16
    tr, weights = config.transformer, _weights(bundle, "transformer")
    context = klein.lin(embeds, weights["context_embedder.weight"])
    ids = np.concatenate([klein.text_ids(len(embeds)), klein.grid_ids(rows, columns)])
    table = klein.rope_table(ids, tr.axes_dims_rope, tr.rope_theta)
    sigmas = result["sigmas"] = klein.sigmas(rows * columns, steps)
    x = klein.pack(latents.reshape(-1, rows, columns).astype(np.float32))
    for i in range(steps):
        modulation = klein.modulation(weights, sigmas[i])
        x = x + (sigmas[i + 1] - sigmas[i]) * klein.transformer(
            asdict(tr), weights, x, context, modulation, table, trace
        )
        result[f"latents_{i}"] = x

    weights = _weights(bundle, "vae_decoder")
    z = (
        klein.unpack(x, rows, columns) * weights["bn.scale"][:, None, None]
        + weights["bn.mean"][:, None, None]
    )
    vae = klein.VAE(asdict(config.vae_decoder), weights)
    result["decoded"] = vae.decode(klein.unpatchify(z))
    return result


class _Weights(dict[str, Array]):
    def has(self, name: str) -> bool:
        return name in self


def _weights(bundle: Bundle, stage: str) -> _Weights:
    return _Weights({name: float32(bundle.tensor(stage, name)) for name in bundle.expected[stage]})


def float32(weight: Weight) -> npt.NDArray[np.float32]:
    """The weight's values."""
    return weight.array.astype(np.float32) if isinstance(weight, Dense) else dequantise(weight)
