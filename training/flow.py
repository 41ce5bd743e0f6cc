"""Stage 3: trains text encoder and transformer by flow matching: `python -m training.flow --run DIR`.

x = (1 - sigma) data + sigma noise, and the velocity that is learned is noise - data, as the scheduler's step
has it. A tenth of the captions is dropped for guidance. Sizes are mixed, a size a batch.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from training.config import Sizes
from training.data import Scenes
from training.files import load_state, save_state
from training.latents import Bucket, make_buckets, shares
from training.model.text_encoder import TextEncoder
from training.model.transformer import Table, Transformer
from training.model.vae import Vae
from training.optimiser import Optimiser
from training.prompts import Prompts
from training.run import Average, Budget, Log, autocast, compile_blocks, parser, prepare, rate_at, sizes_of

MUON_RATE = 0.012
ADAM_RATE = 1.5e-3
CAPTION_DROPOUT = 0.1
TIME_SHIFT = 3.0  # towards noise; the scheduler's own is 7 at 256x256, but the last steps draw the edges
UNIFORM_SHARE = 0.2
AVERAGE_DECAY = 0.999
BATCH = 1024  # pictures of 256x256
SAVE_SECONDS = 150.0


def sample_sigmas(count: int, device: torch.device) -> Tensor:
    """Logit-normal times, shifted, and a share of uniform ones, [count] f32."""
    times = torch.sigmoid(torch.randn(count, device=device))
    times = TIME_SHIFT * times / (1 + (TIME_SHIFT - 1) * times)
    uniform = torch.rand(count, device=device)
    return torch.where(torch.rand(count, device=device) < UNIFORM_SHARE, uniform, times)


def new_models(sizes: Sizes, device: torch.device, compiled: bool) -> tuple[TextEncoder, Transformer]:
    """Untrained text encoder and transformer whose blocks compile on their first use."""
    text_encoder = TextEncoder(sizes.text_encoder, sizes.text_seq_len).to(device)
    transformer = Transformer(sizes.transformer).to(device)
    for blocks in (
        text_encoder.model.layers,
        transformer.transformer_blocks,
        transformer.single_transformer_blocks,
    ):
        compile_blocks(blocks, compiled)
    return text_encoder, transformer


def load_models(
    sizes: Sizes, stage: Path, device: torch.device, compiled: bool
) -> tuple[TextEncoder, Transformer]:
    """Text encoder and transformer of a stage's result, the averaged ones."""
    text_encoder, transformer = new_models(sizes, device, compiled)
    state = load_state(stage, device)["ema"]
    text_encoder.load_state_dict(state["text_encoder"])
    transformer.load_state_dict(state["transformer"])
    return text_encoder, transformer


def tables(
    transformer: Transformer, buckets: list[Bucket], text_seq_len: int, device: torch.device
) -> list[Table]:
    """The rotary table of every bucket, on the device."""
    found = []
    for bucket in buckets:
        cos, sin = transformer.table(text_seq_len, *bucket.grid)
        found.append((cos.to(device), sin.to(device)))
    return found


def batch_of(bucket: Bucket, batch: int, text_seq_len: int) -> int:
    """Pictures of the bucket's size that take about as much work as `batch` of 256x256."""
    rows, columns = bucket.grid
    return max(1, round(batch * (text_seq_len + 256) / (text_seq_len + rows * columns)))


class Captions:
    """Captions for training, of which a share is empty."""

    def __init__(self, prompts: Prompts, device: torch.device) -> None:
        ids, lengths, _ = prompts.encode([""])
        self.ids = torch.as_tensor(ids).to(device).long()
        self.lengths = torch.as_tensor(lengths).to(device).long()

    def of(self, bucket: Bucket, index: Tensor) -> tuple[Tensor, Tensor]:
        """ids [B, S] and lengths [B], int64, of the scenes `index`."""
        ids, lengths = bucket.captions(index)
        dropped = torch.rand(index.shape, device=index.device) < CAPTION_DROPOUT
        return torch.where(dropped[:, None], self.ids, ids), torch.where(dropped, self.lengths, lengths)


def flow_loss(transformer: Transformer, embeds: Tensor, data: Tensor, table: Table) -> Tensor:
    """Mean squared error of the velocity at random times; data [B, N, C] f32."""
    noise = torch.randn_like(data)
    sigma = sample_sigmas(len(data), data.device)
    x = data + sigma[:, None, None] * (noise - data)
    with autocast(data.device):
        velocity = transformer(x, embeds, sigma, table)
    return ((velocity.float() - (noise - data)) ** 2).mean()  # type: ignore[no-any-return]


def train_flow(
    sizes: Sizes,
    buckets: list[Bucket],
    prompts: Prompts,
    *,
    run: Path,
    device: torch.device,
    budget: Budget,
    log: Log,
    compiled: bool,
    batch: int = 0,
    seed: int = 0,
    start: dict[str, dict[str, Tensor]] | None = None,
    rate: float = 1.0,
) -> tuple[TextEncoder, Transformer]:
    """Trains, or goes on, and leaves flow.pt in `run`; returns the averaged models.

    `start` are state dicts to begin with, `rate` a factor on the learning rates.
    """
    batch = batch or BATCH
    text_encoder, transformer = new_models(sizes, device, compiled)
    parts: dict[str, nn.Module] = {"text_encoder": text_encoder, "transformer": transformer}
    for name, state in (start or {}).items():
        parts[name].load_state_dict(state)
    optimiser = Optimiser(parts, MUON_RATE * rate, ADAM_RATE * rate)
    average = Average(parts, AVERAGE_DECAY)
    state_file = run / "flow_state.pt"
    goes_on = state_file.exists()
    if goes_on:
        budget = _restore(load_state(state_file, device), parts, optimiser, average, budget)
    captions = Captions(prompts, device)
    rotary = tables(transformer, buckets, sizes.text_seq_len, device)
    choices = random.Random(seed + budget.step)
    torch.manual_seed(seed + 1 + budget.step)
    warm = len(buckets) if compiled and not goes_on else 0
    weights = shares(buckets)
    samples, saved = 0, budget.spent
    log.restart_rate()
    while budget.fraction() < 1:
        # The first steps visit every size, so that compiling is over when the clock starts.
        number = budget.step if budget.step < warm else choices.choices(range(len(buckets)), weights)[0]
        bucket = buckets[number]
        assert bucket.tokens is not None
        count = batch_of(bucket, batch, sizes.text_seq_len)
        index = torch.randint(len(bucket.ids), (count,), device=device)
        ids, lengths = captions.of(bucket, index)
        with autocast(device):
            embeds = text_encoder(ids, lengths)
        loss = flow_loss(transformer, embeds, bucket.tokens[index].float(), rotary[number])
        loss.backward()  # type: ignore[no-untyped-call]
        norm = optimiser.step(rate_at(budget.fraction()))
        average.update()
        budget.step += 1
        samples += count
        if budget.step == warm:
            budget.restart_clock(device)
            log.line("flow: compiled")
        if log.due():
            log.progress("flow", budget, samples, {"loss": loss, "norm": norm})
        if budget.spent - saved > SAVE_SECONDS or budget.late():
            saved = budget.spent
            _save_state(state_file, parts, optimiser, average, budget)
            if budget.late():
                log.line(f"flow: stopped at {budget.fraction():.0%}; the same command goes on")
                raise SystemExit(0)
    save_state(run / "flow.pt", {"ema": average.state()})
    state_file.unlink(missing_ok=True)
    average.swap()
    log.line(f"flow: {budget.step} steps, {samples:,} pictures")
    return text_encoder, transformer


def _save_state(
    path: Path, parts: dict[str, nn.Module], optimiser: Optimiser, average: Average, budget: Budget
) -> None:
    state = {name: part.state_dict() for name, part in parts.items()}
    progress = {"spent": budget.spent, "step": budget.step}
    save_state(path, {"parts": state, "optimiser": optimiser.state(), "average": average.mean} | progress)


def _restore(
    state: dict[str, Any],
    parts: dict[str, nn.Module],
    optimiser: Optimiser,
    average: Average,
    budget: Budget,
) -> Budget:
    """Puts what _save_state saved in its places; the budget with what is spent of it."""
    for name, part in parts.items():
        part.load_state_dict(state["parts"][name])
    optimiser.load(state["optimiser"])
    average.mean, average.count = state["average"], state["step"]
    left = Budget(budget.seconds / 60, budget.steps, state["spent"], state["step"])
    left.deadline = budget.deadline
    return left


def load_vae(sizes: Sizes, run: Path, device: torch.device) -> Vae:
    """The VAE of stage 2, for use."""
    vae = Vae(sizes.vae)
    vae.load_state_dict(load_state(run / "vae.pt")["model"])
    return vae.on(device).eval()


def main() -> None:
    """The command."""
    arguments = parser(__doc__.splitlines()[0], 10.0).parse_args()
    device, sizes = prepare(arguments.device, arguments.seed), sizes_of(arguments.model)
    log = Log(arguments.run / "log.txt")
    tokenizer = arguments.run / "tokenizer"
    scenes = Scenes(tokenizer, sizes.text_seq_len, arguments.scenes, arguments.workers)
    buckets = make_buckets(scenes, load_vae(sizes, arguments.run, device), device, log)
    scenes.close()
    train_flow(
        sizes,
        buckets,
        Prompts(tokenizer, sizes.text_seq_len),
        run=arguments.run,
        device=device,
        budget=Budget(arguments.minutes, arguments.steps),
        log=log,
        compiled=not arguments.no_compile,
        batch=arguments.batch,
        seed=arguments.seed,
    )


if __name__ == "__main__":
    main()
