"""The torch modules against the numpy reference, on random weights that went through a checkpoint."""

from __future__ import annotations

from typing import Any

import klein_numpy
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from training.checkpoint import new_parts, write_checkpoint  # noqa: E402
from training.config import MINI, Sizes  # noqa: E402
from training.model import schedule  # noqa: E402
from training.model.vae import Vae  # noqa: E402
from training.tokenizer import train_tokenizer  # noqa: E402

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def parts() -> dict[str, Any]:
    torch.manual_seed(1)
    found = new_parts(MINI)
    for part in found.values():
        for parameter in part.parameters():
            if parameter.ndim == 1:
                parameter.data += 0.1 * torch.randn_like(parameter)
            parameter.data = parameter.data.bfloat16().float()
    vae = found["vae"]
    assert isinstance(vae, Vae)
    bn = vae.bn
    bn.running_mean.copy_(torch.randn(len(bn.running_mean)).bfloat16())
    bn.running_var.copy_((torch.rand(len(bn.running_var)) + 0.5).bfloat16())
    return found


@pytest.fixture(scope="module")
def reference(parts: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("checkpoint")
    tokenizer = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(["a red circle on a white background", "two small blue squares"] * 8, 400, tokenizer)
    write_checkpoint(MINI, parts, tokenizer, folder)
    return klein_numpy.load(str(folder))


def assert_close(found: Any, expected: np.ndarray) -> None:
    difference = found.detach().numpy() - expected
    assert np.sqrt(np.mean(difference**2) / np.mean(expected**2)) < TOLERANCE


def test_text_encoder(parts: dict[str, Any], reference: Any) -> None:
    sizes: Sizes = MINI
    ids = np.random.default_rng(2).integers(0, sizes.text_encoder.vocab_size, sizes.text_seq_len)
    mask = np.arange(len(ids)) < 20
    expected = klein_numpy.qwen3_prompt_embeds(*reference["te"], ids, mask, sizes.text_encoder.tapped_layers)
    found = parts["text_encoder"](torch.tensor(ids)[None], torch.tensor([20]))
    assert_close(found[0], expected)


def test_transformer_on_a_picture_that_is_not_square(parts: dict[str, Any], reference: Any) -> None:
    cfg, weights = reference["tr"]
    rng = np.random.default_rng(3)
    rows, columns = 3, 5
    tokens = rng.standard_normal((rows * columns, cfg["in_channels"])).astype(np.float32)
    embeds = rng.standard_normal((MINI.text_seq_len, cfg["joint_attention_dim"])).astype(np.float32)
    places = np.concatenate([klein_numpy.text_ids(MINI.text_seq_len), klein_numpy.grid_ids(rows, columns)])
    expected = klein_numpy.transformer(
        cfg,
        weights,
        tokens,
        klein_numpy.lin(embeds, weights["context_embedder.weight"]),
        klein_numpy.modulation(weights, np.float32(0.7)),
        klein_numpy.rope_table(places, cfg["axes_dims_rope"], cfg["rope_theta"]),
    )
    transformer = parts["transformer"]
    found = transformer(
        torch.tensor(tokens)[None],
        torch.tensor(embeds)[None],
        torch.tensor([0.7]),
        transformer.table(MINI.text_seq_len, rows, columns),
    )
    # The sinusoids' arguments go up to 1000: their f32 rounding is most of the difference.
    difference = found[0].detach().numpy() - expected
    assert np.sqrt(np.mean(difference**2) / np.mean(expected**2)) < 2 * TOLERANCE


def test_vae_both_ways(parts: dict[str, Any], reference: Any) -> None:
    vae = klein_numpy.VAE(*reference["vae"])
    picture = np.random.default_rng(4).uniform(-1, 1, (3, 32, 48)).astype(np.float32)
    tokens, (rows, columns) = vae.ref_tokens(picture)
    assert_close(parts["vae"].encode_tokens(torch.tensor(picture)[None])[0], tokens)
    expected = vae.decode(vae.latents_to_decoder_input(tokens, rows, columns))
    assert_close(parts["vae"].decode_tokens(torch.tensor(tokens)[None], rows, columns)[0], expected)


@pytest.mark.parametrize("tokens", [64, 192, 256, 5000])
def test_sigmas(tokens: int) -> None:
    assert schedule.sigmas(tokens, 4) == klein_numpy.sigmas(tokens, 4).tolist()
