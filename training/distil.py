"""Stage 4: distils the flow model to the scheduler's 4 steps: `python -m training.distil --run DIR`.

Teacher: the flow model with guidance, on a fine grid. Student: the same weights, without guidance, one Euler
step for each of the scheduler's. A pool holds pairs (state before a step, state after it by the teacher);
first the states are the teacher's own, later those that the student itself runs into, from which the teacher
goes on. The last step is compared as pictures too, through the decoder, for edges. The text encoder stays as
it is.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from training.config import Sizes
from training.data import Scenes
from training.flow import batch_of, load_models, load_vae, tables
from training.latents import Bucket, make_buckets, shares
from training.model.schedule import sigmas
from training.model.text_encoder import TextEncoder
from training.model.transformer import Table, Transformer
from training.model.vae import Vae
from training.prompts import Prompts
from training.run import Budget, Log, autocast, parser, prepare, sizes_of
from training.sampler import Velocity, fine_sigmas, midpoint
from training.student import Student
from training.vae import edge_loss

STEPS = 4
PER_STEP = 3  # midpoint steps of the teacher in one of the student's
GUIDANCE = 2.0
MUON_RATE = 0.004
ADAM_RATE = 5e-4
AVERAGE_DECAY = 0.998
BATCH = 512  # pictures of 256x256 for which the teacher makes pairs at a time
POOL_BATCHES = 24  # of them that are kept for each size
STUDENT_STEPS = 10  # of BATCH pairs each, for each new batch of pairs
ON_POLICY_FROM, ON_POLICY_TO = (
    0.15,
    0.5,
)  # fractions of the budget between which the student's own states take over
STEP_SHARES = (0.2, 0.2, 0.25, 0.35)
PIXEL_WEIGHT = 0.5
PIXEL_SHARE = 8  # one in so many of a batch's pairs of the last step is decoded
SAVE_SECONDS = 150.0


@dataclass
class Pool:
    """The pairs of one size, a ring of batches: before, after [STEPS, B, N, C], embeds [B, S, J]."""

    before: list[Tensor]
    after: list[Tensor]
    embeds: list[Tensor]
    next: int = 0

    def add(self, before: Tensor, after: Tensor, embeds: Tensor) -> None:
        """Takes a batch in, in place of the oldest when the ring is full."""
        if len(self.before) < POOL_BATCHES:
            self.before.append(before)
            self.after.append(after)
            self.embeds.append(embeds)
        else:
            self.before[self.next], self.after[self.next], self.embeds[self.next] = before, after, embeds
        self.next = (self.next + 1) % POOL_BATCHES


class Distillation:
    """Teacher, student and their pools."""

    def __init__(
        self,
        sizes: Sizes,
        parts: tuple[TextEncoder, Transformer, Vae],
        student: Transformer,
        buckets: list[Bucket],
        prompts: Prompts,
        *,
        device: torch.device,
        guidance: float,
        batch: int,
    ) -> None:
        self.text_encoder, self.teacher, self.vae = parts
        self.student, self.buckets, self.device = student, buckets, device
        self.guidance, self.batch, self.sizes = guidance, batch, sizes
        self.rotary: list[Table] = tables(student, buckets, sizes.text_seq_len, device)
        self.pools = [Pool([], [], []) for _ in buckets]
        ids, lengths, _ = prompts.encode([""])
        with torch.no_grad(), autocast(device):
            self.empty = self.text_encoder(
                torch.as_tensor(ids).to(device).long(), torch.as_tensor(lengths).to(device).long()
            )

    @torch.no_grad()
    def make_pairs(self, number: int, on_policy: bool) -> None:
        """Adds one batch of pairs of bucket `number` to its pool."""
        bucket = self.buckets[number]
        rows, columns = bucket.grid
        count = batch_of(bucket, self.batch, self.sizes.text_seq_len)
        index = torch.randint(len(bucket.ids), (count,), device=self.device)
        shape = (count, rows * columns, self.sizes.transformer.in_channels)
        x = torch.randn(shape, device=self.device)
        coarse, fine = sigmas(rows * columns, STEPS), fine_sigmas(rows * columns, PER_STEP, STEPS)
        before, after = [], []
        with autocast(self.device):
            embeds = self.text_encoder(*bucket.captions(index))
            teacher = Velocity(self.teacher, embeds, self.rotary[number], self.guidance, self.empty)
            student = Velocity(self.student, embeds, self.rotary[number])
            for step in range(STEPS):
                target = midpoint(teacher, x, fine[step * PER_STEP : (step + 1) * PER_STEP + 1])
                before.append(x)
                after.append(target)
                if on_policy and step + 1 < STEPS:
                    sigma = x.new_full((count,), coarse[step])
                    x = x + (coarse[step + 1] - coarse[step]) * student(x, sigma)
                else:
                    x = target
        kind = torch.bfloat16 if self.device.type == "cuda" else torch.float32
        self.pools[number].add(torch.stack(before).to(kind), torch.stack(after).to(kind), embeds.to(kind))

    def losses(self, number: int, choices: random.Random) -> tuple[Tensor, Tensor]:
        """The velocity loss and the picture loss of a batch from the pool of bucket `number`."""
        pool, bucket = self.pools[number], self.buckets[number]
        grid = sigmas(bucket.grid[0] * bucket.grid[1], STEPS)
        step = choices.choices(range(STEPS), STEP_SHARES)[0]
        place = choices.randrange(len(pool.before))
        x, target, embeds = (
            pool.before[place][step].float(),
            pool.after[place][step].float(),
            pool.embeds[place],
        )
        now, then = grid[step], grid[step + 1]
        with autocast(self.device):
            velocity = self.student(x, embeds, x.new_full((len(x),), now), self.rotary[number]).float()
        loss = ((velocity - (x - target) / (now - then)) ** 2).mean()
        if step + 1 < STEPS or not PIXEL_WEIGHT:
            return loss, loss.new_zeros(())
        shown = max(1, len(x) // PIXEL_SHARE)
        first = choices.randrange(len(x) - shown + 1)
        rows = slice(first, first + shown)
        found = x[rows] + (then - now) * velocity[rows]
        with autocast(self.device):
            picture = self.vae.decode_tokens(found, *bucket.grid).float()
            with torch.no_grad():
                wanted = self.vae.decode_tokens(target[rows], *bucket.grid).float()
        return loss, (picture - wanted).abs().mean() + edge_loss(picture, wanted)


def train_distil(
    sizes: Sizes,
    parts: tuple[TextEncoder, Transformer, Vae],
    buckets: list[Bucket],
    prompts: Prompts,
    *,
    run: Path,
    device: torch.device,
    budget: Budget,
    log: Log,
    compiled: bool,
    guidance: float = GUIDANCE,
    batch: int = 0,
    seed: int = 0,
) -> Transformer:
    """Distils, or goes on, and leaves distil.pt in `run`; returns the averaged student."""
    text_encoder, teacher, _ = parts
    for part in parts:
        part.requires_grad_(False)
    student = Student(
        "distil",
        run,
        sizes,
        teacher,
        budget,
        device=device,
        compiled=compiled,
        rates=(MUON_RATE, ADAM_RATE),
        decay=AVERAGE_DECAY,
    )
    budget = student.budget
    work = Distillation(
        sizes,
        parts,
        student.transformer,
        buckets,
        prompts,
        device=device,
        guidance=guidance,
        batch=batch or BATCH,
    )
    choices = random.Random(seed + budget.step)
    torch.manual_seed(seed + 2 + budget.step)
    weights = shares(buckets)
    for number in range(len(buckets)):  # every pool begins with something
        work.make_pairs(number, on_policy=False)
    if not student.resumed and not budget.steps:
        budget.restart_clock(device)
    samples = 0
    log.restart_rate()
    while budget.fraction() < 1:
        fraction = budget.fraction()
        chance = (fraction - ON_POLICY_FROM) / (ON_POLICY_TO - ON_POLICY_FROM)
        work.make_pairs(choices.choices(range(len(buckets)), weights)[0], choices.random() < chance)
        for _ in range(STUDENT_STEPS):
            number = choices.choices(range(len(buckets)), weights)[0]
            loss, pixels = work.losses(number, choices)
            (loss + PIXEL_WEIGHT * pixels).backward()  # type: ignore[no-untyped-call]
            student.step()
            samples += work.pools[number].before[0].shape[1]
            if log.due():
                log.progress("distil", budget, samples, {"loss": loss, "pixels": pixels})
            if budget.fraction() >= 1:
                break
        student.save_now_and_then(SAVE_SECONDS)
    log.line(f"distil: {budget.step} steps, {samples:,} pairs")
    return student.finish(text_encoder)


def main() -> None:
    """The command."""
    options = parser(__doc__.splitlines()[0], 6.0)
    options.add_argument("--guidance", type=float, default=GUIDANCE)
    arguments = options.parse_args()
    device, sizes = prepare(arguments.device, arguments.seed), sizes_of(arguments.model)
    log, tokenizer = Log(arguments.run / "log.txt"), arguments.run / "tokenizer"
    scenes = Scenes(tokenizer, sizes.text_seq_len, arguments.scenes, arguments.workers)
    buckets = make_buckets(scenes, None, device, log)
    scenes.close()
    compiled = not arguments.no_compile
    text_encoder, teacher = load_models(sizes, arguments.run / "flow.pt", device, compiled)
    train_distil(
        sizes,
        (text_encoder, teacher, load_vae(sizes, arguments.run, device)),
        buckets,
        Prompts(tokenizer, sizes.text_seq_len),
        run=arguments.run,
        device=device,
        budget=Budget(arguments.minutes, arguments.steps),
        log=log,
        compiled=compiled,
        guidance=arguments.guidance,
        batch=arguments.batch,
        seed=arguments.seed,
    )


if __name__ == "__main__":
    main()
