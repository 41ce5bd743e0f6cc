"""Every stage of the training on the smallest model, a few steps each, and what comes out of them.

Nothing is learned in so few steps. What must hold all the same: a stage gives the same weights again, goes on
where it was stopped, and the checkpoint of its weights means the same to torch, to the exporter and to
onnxruntime.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx_oracle
import pytest
import torch
from few_scenes import FewScenes

from kleinbild.bundle import Bundle
from kleinbild.checkpoint.checkpoint import Checkpoint
from kleinbild.export import export_bundle
from training.checkpoint import load_parts, write_checkpoint
from training.config import SMOKE
from training.distil import train_distil
from training.files import load_state
from training.flow import train_flow
from training.latents import Bucket, make_buckets
from training.model.text_encoder import TextEncoder
from training.model.transformer import Transformer
from training.model.vae import Vae
from training.prompts import Prompts
from training.run import Budget, Log
from training.sampler import generate, noise_of
from training.stored import read_checkpoint, take_bundle
from training.tokenizer import write_tokenizer
from training.vae import train_vae

CPU = torch.device("cpu")
STEPS = 3
SIZE = (128, 96)
PROMPT = "a red circle on a white background"


@dataclass(frozen=True)
class Run:
    """The folder of a run whose stages have all ended, and what they shared."""

    folder: Path
    prompts: Prompts
    buckets: list[Bucket]


def flow(
    run: Path, prompts: Prompts, buckets: list[Bucket], budget: Budget
) -> tuple[TextEncoder, Transformer]:
    return train_flow(
        SMOKE, buckets, prompts, run=run, device=CPU, budget=budget, log=Log(None), compiled=False, batch=2
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("run")
    write_tokenizer(SMOKE.text_encoder, folder / "tokenizer", captions=300)
    prompts = Prompts(folder / "tokenizer", SMOKE.text_seq_len)
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as monkeypatch:
        scenes = FewScenes(folder / "tokenizer", SMOKE.text_seq_len, 3, monkeypatch)
    budget, log = Budget(0, STEPS), Log(folder / "log.txt")
    vae = train_vae(SMOKE, scenes, run=folder, device=CPU, budget=budget, log=log, compiled=False, batch=2)
    buckets = make_buckets(scenes, vae, CPU, log)
    text_encoder, transformer = flow(folder, prompts, buckets, Budget(0, STEPS))
    train_distil(
        SMOKE,
        (text_encoder, transformer, vae),
        buckets,
        prompts,
        run=folder,
        device=CPU,
        budget=Budget(0, STEPS),
        log=log,
        compiled=False,
        batch=1,
    )
    return Run(folder, prompts, buckets)


@pytest.fixture(scope="module")
def checkpoint(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That of the run, with noise on its matrices: gates start at zero, and would hide an error for long."""
    folder = tmp_path_factory.mktemp("checkpoint")
    parts = load_parts(SMOKE, run.folder)
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in parts["transformer"].parameters():
            if parameter.ndim == 2:
                parameter.add_(torch.randn_like(parameter), alpha=parameter.shape[1] ** -0.5)
    write_checkpoint(SMOKE, parts, run.folder / "tokenizer", folder)
    return folder


def same(one: Path, other: Path, key: str) -> bool:
    """Whether two files of a run hold the same tensors."""
    a, b = (load_state(path)[key] for path in (one, other))
    return all(torch.equal(a[part][name], b[part][name]) for part in a for name in a[part])


def picture(folder: Path, bundle: Path | None, prompts: Prompts) -> np.ndarray:
    """[3, H, W] of PROMPT, by torch."""
    parts = read_checkpoint(SMOKE, folder)
    if bundle is not None:
        take_bundle(parts, bundle)
    text_encoder, transformer, vae = (parts[name] for name in ("text_encoder", "transformer", "vae"))
    assert isinstance(text_encoder, TextEncoder)
    assert isinstance(transformer, Transformer)
    assert isinstance(vae, Vae)
    made = generate(text_encoder, transformer, vae, prompts, [PROMPT], seeds=[1], size=SIZE, device=CPU)
    found: np.ndarray = made[0].numpy()
    return found


def test_stages_change_what_they_train_and_nothing_else(run: Run) -> None:
    before, after = (load_state(run.folder / name)["ema"] for name in ("flow.pt", "distil.pt"))
    for name, tensor in before["text_encoder"].items():
        assert torch.equal(tensor, after["text_encoder"][name]), name
    changed = [n for n, t in before["transformer"].items() if not torch.equal(t, after["transformer"][n])]
    assert len(changed) == len(before["transformer"])
    assert all(torch.isfinite(t).all() for t in after["transformer"].values())
    assert {bucket.size for bucket in run.buckets} == {(256, 256), (128, 128)}
    assert not list(run.folder.glob("*_state.pt"))


def test_a_stage_gives_the_same_again_and_another_seed_does_not(run: Run, tmp_path: Path) -> None:
    torch.manual_seed(0)
    flow(tmp_path / "a", run.prompts, run.buckets, Budget(0, 2))
    torch.manual_seed(0)
    flow(tmp_path / "b", run.prompts, run.buckets, Budget(0, 2))
    torch.manual_seed(1)
    flow(tmp_path / "c", run.prompts, run.buckets, Budget(0, 2))
    assert same(tmp_path / "a" / "flow.pt", tmp_path / "b" / "flow.pt", "ema")
    assert not same(tmp_path / "a" / "flow.pt", tmp_path / "c" / "flow.pt", "ema")


def test_a_stopped_stage_goes_on(run: Run, tmp_path: Path) -> None:
    late = Budget(0, STEPS)
    late.deadline = 0.0
    with pytest.raises(SystemExit) as ended:
        flow(tmp_path, run.prompts, run.buckets, late)
    assert ended.value.code == 0
    assert load_state(tmp_path / "flow_state.pt")["step"] == 1
    assert not (tmp_path / "flow.pt").exists()
    rest = Budget(0, STEPS)
    flow(tmp_path, run.prompts, run.buckets, rest)
    assert (tmp_path / "flow.pt").exists()
    assert not (tmp_path / "flow_state.pt").exists()


@pytest.mark.parametrize(("weights", "tolerance"), [("f32", 1e-4), ("q4", 1e-3)])
def test_torch_and_onnxruntime_draw_the_same(
    run: Run, checkpoint: Path, tmp_path: Path, weights: str, tolerance: float
) -> None:
    source = Checkpoint.open(checkpoint)
    source.check()
    bundle = tmp_path / "bundle"
    assert weights in ("f32", "q4")
    export_bundle(source, bundle, weights="q4" if weights == "q4" else "f32", block_size=16)
    assert Bundle.open(bundle).config.prompt.text_seq_len == SMOKE.text_seq_len
    ids, lengths, _ = run.prompts.encode([PROMPT])
    rows, columns = SIZE[1] // 16, SIZE[0] // 16
    noise = noise_of([1], SMOKE.transformer.in_channels, rows, columns)[0].numpy()
    found = onnx_oracle.run_pipeline(
        bundle,
        ids[0].astype(np.int64),
        (np.arange(SMOKE.text_seq_len) < lengths[0]).astype(np.int64),
        noise.T.reshape(-1, rows, columns),
        steps=4,
        height=SIZE[1],
        width=SIZE[0],
    )["decoded"]
    made = picture(checkpoint, bundle, run.prompts)
    assert made.shape == found.shape == (3, SIZE[1], SIZE[0])
    assert np.abs(made - found).max() < tolerance * np.abs(found).max()
    if weights == "q4":
        assert np.abs(picture(checkpoint, None, run.prompts) - made).max() > 10 * tolerance
