"""Stage 2: trains the VAE on drawn scenes: `python -m training.vae --run DIR --minutes 5`.

The loss is L1, L1 of finite differences on several scales (edges; no pretrained network is needed) and a
slight pull towards normal latents. Noise on the latents makes the decoder forgive what a sampler leaves. At
the end the packed channels' statistics are measured; they become the batch norm of the checkpoint.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from training.config import Sizes
from training.data import CHUNK, Scenes
from training.files import load_state, save_state
from training.model.vae import Vae, pack
from training.pictures import draw, held_out_pictures
from training.run import Average, Budget, Log, autocast, parser, prepare, rate_at, sizes_of

LEARNING_RATE = 2e-3
KL_WEIGHT = 2e-4  # of the divergence of one latent
LATENT_NOISE = 0.05  # of a latent's own deviation, which the KL term keeps near 1
EDGE_WEIGHT = 1.0
EDGE_SCALES = 3
CROP = 128
BATCH = 192  # crops; whole pictures of 256 come in a quarter of it
WHOLE_EVERY = 3
STATISTICS_CHUNKS = 16  # fewer on a CPU, where only tests run
SAVE_SECONDS = 120.0


def edge_loss(found: Tensor, target: Tensor) -> Tensor:
    """L1 of horizontal and vertical differences, at full size and halved twice."""
    total = found.new_zeros(())
    for _ in range(EDGE_SCALES):
        for axis in (2, 3):
            total = total + (found.diff(dim=axis) - target.diff(dim=axis)).abs().mean()
        found, target = F.avg_pool2d(found, 2), F.avg_pool2d(target, 2)
    return total / EDGE_SCALES


def vae_losses(vae: Vae, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The whole loss, its L1 and its edge term, of pictures in [-1, 1]."""
    mean, log_variance = vae.moments(pictures)
    mean, log_variance = mean.float(), log_variance.float().clamp(-20, 10)
    noise = torch.randn_like(mean)
    sampled = mean + noise * (
        torch.exp(0.5 * log_variance) + LATENT_NOISE * torch.rand_like(mean[:, :1, :1, :1])
    )
    found = vae.decode(sampled).float()
    kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).mean()
    l1 = (found - pictures).abs().mean()
    edges = edge_loss(found, pictures)
    return l1 + EDGE_WEIGHT * edges + KL_WEIGHT * kl, l1, edges


def psnr(found: Tensor, target: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of every picture, dB, of values in [-1, 1]."""
    error = ((found.clamp(-1, 1) - target) ** 2).flatten(1).mean(1) / 4
    return -10 * torch.log10(error.clamp_min(1e-10))


@torch.no_grad()
def measure_statistics(vae: Vae, scenes: Scenes, device: torch.device) -> None:
    """Sets the mean and variance of the packed channels from pictures of several sizes."""
    sums = torch.zeros(2, len(vae.bn.running_mean), device=device, dtype=torch.float64)
    count = 0
    chunks, each = (STATISTICS_CHUNKS, CHUNK) if device.type == "cuda" else (2, 2)
    for number in range(min(chunks, scenes.chunks)):
        size = (128, 128) if number % 4 == 3 else (256, 256)
        for packed in torch.split(torch.as_tensor(scenes[number].packed[:each]), 128):
            tokens = pack(vae.moments(draw(packed, size, device))[0]).flatten(0, 1).double()
            sums[0] += tokens.sum(0)
            sums[1] += (tokens**2).sum(0)
            count += len(tokens)
    mean = sums[0] / count
    vae.bn.running_mean.copy_(mean)
    vae.bn.running_var.copy_(sums[1] / count - mean**2)


@torch.no_grad()
def reconstruct(vae: Vae, pictures: Tensor) -> Tensor:
    """Encoder's mean through the decoder, a few pictures at a time."""
    return torch.cat([vae.decode(vae.moments(part)[0]) for part in torch.split(pictures, 32)])


def train_vae(
    sizes: Sizes,
    scenes: Scenes,
    *,
    run: Path,
    device: torch.device,
    budget: Budget,
    log: Log,
    compiled: bool,
    batch: int = 0,
    start: dict[str, Tensor] | None = None,
    rate: float = 1.0,
) -> Vae:
    """Trains, or goes on, and leaves vae.pt in `run`; returns the averaged model.

    `start` is a state dict to begin with, `rate` a factor on the learning rate.
    """
    batch = batch or BATCH
    vae = Vae(sizes.vae).on(device)
    if start is not None:
        vae.load_state_dict(start)
    optimiser = torch.optim.AdamW(
        vae.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=1e-4, fused=device.type == "cuda"
    )
    average = Average({"vae": vae}, 0.998)
    state_file = run / "vae_state.pt"
    if state_file.exists():
        state = load_state(state_file, device)
        vae.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        average.mean, average.count = state["average"], state["step"]
        budget = Budget(budget.seconds / 60, budget.steps, state["spent"], state["step"])
    losses = torch.compile(vae_losses, dynamic=False) if compiled else vae_losses
    generator = torch.Generator().manual_seed(1 + budget.step)
    samples, saved = 0, budget.spent
    log.restart_rate()
    while budget.fraction() < 1:
        whole = budget.step % WHOLE_EVERY == WHOLE_EVERY - 1
        pictures = _batch(
            scenes, batch, whole=whole, crop=budget.step % 2 == 0, generator=generator, device=device
        )
        for group in optimiser.param_groups:
            group["lr"] = LEARNING_RATE * rate * rate_at(budget.fraction())
        with autocast(device):
            loss, l1, edges = losses(vae, pictures)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        average.update()
        budget.step += 1
        samples += len(pictures)
        if budget.step == 2 * WHOLE_EVERY and compiled and not state_file.exists():
            budget.restart_clock(device)
            log.line("vae: compiled")
        if log.due():
            log.progress("vae", budget, samples, {"loss": loss, "l1": l1, "edges": edges})
        if budget.spent - saved > SAVE_SECONDS:
            saved = budget.spent
            _save_state(state_file, vae, optimiser, average, budget)
    average.swap()
    vae.eval()
    measure_statistics(vae, scenes, device)
    save_state(run / "vae.pt", {"model": vae.state_dict()})
    state_file.unlink(missing_ok=True)
    log.line(
        f"vae: {budget.step} steps, held-out psnr "
        f"{held_out_psnr(vae, device, 256 if device.type == 'cuda' else 2):.2f} dB"
    )
    return vae


def held_out_psnr(vae: Vae, device: torch.device, count: int) -> float:
    """Mean PSNR over held-out scenes of 256x256, dB, f32."""
    pictures = held_out_pictures(count, (256, 256), device)
    return float(psnr(reconstruct(vae, pictures), pictures).mean())


def _save_state(
    path: Path, vae: Vae, optimiser: torch.optim.Optimizer, average: Average, budget: Budget
) -> None:
    state = {"model": vae.state_dict(), "optimiser": optimiser.state_dict(), "average": average.mean}
    save_state(path, state | {"spent": budget.spent, "step": budget.step})


def _batch(
    scenes: Scenes, batch: int, *, whole: bool, crop: bool, generator: torch.Generator, device: torch.device
) -> Tensor:
    """Pictures of 256x256, or crops of such, or pictures of 128x128, from the chunks that exist already."""
    ready = max(1, scenes.ready())
    number = int(torch.randint(ready, (1,), generator=generator))
    packed = torch.as_tensor(scenes[number].packed)
    count = max(1, batch // 4) if whole else batch
    packed = packed[torch.randperm(len(packed), generator=generator)[:count]]
    if whole:
        return draw(packed, (256, 256), device)
    if not crop:
        return draw(packed, (CROP, CROP), device)
    left, top = (int(v) for v in torch.randint(0, 256 - CROP + 1, (2,), generator=generator))
    pictures = draw(packed, (256, 256), device)[:, :, top : top + CROP, left : left + CROP]
    return pictures.contiguous(memory_format=torch.channels_last)


def main() -> None:
    """The command."""
    arguments = parser(__doc__.splitlines()[0], 5.0).parse_args()
    device, sizes = prepare(arguments.device, arguments.seed), sizes_of(arguments.model)
    scenes = Scenes(arguments.run / "tokenizer", sizes.text_seq_len, arguments.scenes, arguments.workers)
    budget, log = Budget(arguments.minutes, arguments.steps), Log(arguments.run / "log.txt")
    train_vae(
        sizes,
        scenes,
        run=arguments.run,
        device=device,
        budget=budget,
        log=log,
        compiled=not arguments.no_compile,
        batch=arguments.batch,
    )
    scenes.close()


if __name__ == "__main__":
    main()
