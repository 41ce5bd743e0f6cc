"""What the page should have computed on made-up weights: kernels in float64, all else in float32."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import klein_numpy
import numpy as np
import numpy.typing as npt
from made_up import embedding_rows, random_inputs, stage_weights

Array = npt.NDArray[Any]
Weights = dict[str, Array]
Case = dict[str, Any]

# Rows of a kernel's result that are compared: any error of a tile shows in them.
SAMPLED_ROWS = 96
MODULATION = (
    "double_stream_modulation_img",
    "double_stream_modulation_txt",
    "single_stream_modulation",
    "norm_out",
)


class Reference:
    """The reference model of one manifest."""

    def __init__(self, manifest: dict[str, Any]) -> None:
        self._manifest = manifest
        self._config = manifest["config"]
        self._stages: dict[str, Weights] = {}

    def case(self, case: Case, result: Array) -> tuple[Array, Array]:
        """The rows of `result` that are compared, and what they should be; `case`: accuracy_page/cases.js."""
        rows = np.linspace(0, len(result) - 1, min(SAMPLED_ROWS, len(result))).astype(int)
        match case["kind"]:
            case "linear":
                weight = self._weights("transformer")[case["weight"]].astype(np.float64)
                expected = random_inputs((len(result), weight.shape[1]), 0)[rows] @ weight.T
                return result[rows], expected
            case "attention":
                return result[rows], _attention(result.shape, case["headDim"], rows)
            case _:
                return result, self._block(case, result.shape)

    def picture(self, ids: Array, mask: Array, noise: Array, sigmas: Array) -> Iterator[tuple[str, Array]]:
        """Boundary by boundary; `noise` [channels, H/16, W/16]."""
        text, transformer = self._config["text_encoder"], self._transformer_config()
        encoder = self._weights("text_encoder")
        table = np.zeros((int(ids.max()) + 1, text["hidden_size"]), np.float32)
        table[np.unique(ids)] = embedding_rows(self._manifest, np.unique(ids))
        # no layer follows the last tap, so no final norm can
        config = text | {"num_hidden_layers": text["num_layers"] + 1}
        embeds = klein_numpy.qwen3_prompt_embeds(
            config, encoder | {"model.embed_tokens.weight": table}, ids, mask, tuple(text["tapped_layers"])
        )
        yield "prompt_embeds", embeds
        del encoder, self._stages["text_encoder"]
        weights = self._weights("transformer") | self._weights("modulation")
        context = klein_numpy.lin(embeds, weights["context_embedder.weight"])
        rope = self._rope(*noise.shape[1:])
        latents = klein_numpy.pack(noise)
        for i, sigma in enumerate(sigmas[:-1]):
            time = np.float32(sigma * np.float32(1000)) / np.float32(1000)
            modulation = klein_numpy.modulation(weights, time)
            velocity = klein_numpy.transformer(transformer, weights, latents, context, modulation, rope)
            latents = latents + (sigmas[i + 1] - sigma) * velocity
            yield f"latents_{i}", latents
        vae = _Vae(self._config["vae_decoder"], _Named(self._weights("vae_decoder")))
        yield "decoded", vae.decode(vae.latents_to_decoder_input(latents, *noise.shape[1:]))

    def _weights(self, stage: str) -> Weights:
        if stage not in self._stages:
            self._stages[stage] = stage_weights(self._manifest, stage)
        return self._stages[stage]

    def _transformer_config(self) -> dict[str, Any]:
        config: dict[str, Any] = self._config["transformer"]
        return config

    def _rope(self, rows: int, columns: int) -> tuple[Array, Array]:
        config = self._transformer_config()
        text = klein_numpy.text_ids(self._config["prompt"]["text_seq_len"])
        ids = np.concatenate([text, klein_numpy.grid_ids(rows, columns)])
        axes, theta = config["axes_dims_rope"], config["rope_theta"]
        table: tuple[Array, Array] = klein_numpy.rope_table(ids, axes, theta)
        return table

    def _block(self, case: Case, shape: tuple[int, int]) -> Array:
        """The first block of the kind, on random h and modulation, by a transformer that has no other."""
        config, weights = self._transformer_config(), self._weights("transformer")
        hidden, text = config["hidden_size"], self._config["prompt"]["text_seq_len"]
        h, vectors = random_inputs(shape, 0), random_inputs((17, hidden), 1).reshape(-1)
        parts = np.split(vectors, np.cumsum([6, 6, 3]) * hidden)
        modulation = dict(zip(MODULATION, parts, strict=True))
        double = case["kind"] == "double block"
        only = config | {"num_layers": int(double), "num_single_layers": int(not double)}
        trace: dict[str, Array] = {}
        # the embedder is passed by: what enters the blocks is given
        identity = weights | {"x_embedder.weight": np.eye(hidden, dtype=np.float32)}
        rope = self._rope(case["rows"], case["columns"])
        klein_numpy.transformer(only, identity, h[text:], h[:text], modulation, rope, trace)
        return np.concatenate([trace["double0_txt"], trace["double0_img"]]) if double else trace["single0"]


def _attention(shape: tuple[int, int], head_dim: int, rows: Array) -> Array:
    q, k, v = (
        random_inputs(shape, seed).astype(np.float64).reshape(shape[0], -1, head_dim).transpose(1, 0, 2)
        for seed in range(3)
    )
    scores = q[:, rows] @ k.transpose(0, 2, 1) / math.sqrt(head_dim)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    attended: Array = (weights / weights.sum(-1, keepdims=True)) @ v
    joined: Array = attended.transpose(1, 0, 2).reshape(len(rows), -1)
    return joined


class _Named:
    """Weights as klein_numpy's VAE asks for them."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights

    def __getitem__(self, name: str) -> Array:
        return self._weights[name]

    def has(self, name: str) -> bool:
        return name in self._weights


class _Vae(klein_numpy.VAE):  # type: ignore[misc]
    """With the batch norm's scale and mean as the manifest has them."""

    def bn(self) -> tuple[Array, Array]:
        return self.w["bn.mean"][:, None, None], self.w["bn.scale"][:, None, None]
