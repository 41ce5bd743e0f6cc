"""The stages in one process, with sheets to look at: `python -m training.all --run DIR --out DIR`.

`--stages` picks those to run; a stage whose result lies in `--run` already can be left out. Everything worth
keeping goes to `--out`, in a few small files: a sheet and the weights after each stage, the log, the figures.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

import torch

from training.checkpoint import final_state, new_parts, parameter_table
from training.config import MODELS, Sizes
from training.contact_sheet import contact_sheet
from training.data import Scenes
from training.distil import BATCH as DISTIL_BATCH
from training.distil import GUIDANCE, train_distil
from training.evaluate import evaluate, test_set
from training.files import load_state, save_state, write_json
from training.flow import load_models, load_vae, train_flow
from training.latents import Bucket, load_buckets, make_buckets, save_buckets
from training.model.vae import Vae
from training.pictures import held_out_pictures, to_bytes
from training.prompts import Prompts
from training.qat import BATCH as QAT_BATCH
from training.qat import train_qat
from training.run import Budget, Log, autocast, prepare
from training.sampler import generate
from training.scenes.render import compile_paint
from training.tokenizer import write_tokenizer
from training.vae import held_out_psnr, reconstruct, train_vae

STAGES = ("vae", "flow", "distil", "qat", "evaluate")
SHEET_PICTURES = 64
SHEET_SEED = 1_000_000


class Pipeline:
    """The run: what stages share, loaded when a stage asks for it."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.run: Path = arguments.run
        self.out: Path = arguments.out
        self.sizes: Sizes = MODELS[arguments.model]
        self.device = prepare(arguments.device, arguments.seed)
        self.compiled = not arguments.no_compile
        self.out.mkdir(parents=True, exist_ok=True)
        self.log = Log(self.out / "log.txt")
        if arguments.tokenizer is not None:
            shutil.copytree(arguments.tokenizer, self.run / "tokenizer", dirs_exist_ok=True)
        elif not (self.run / "tokenizer" / "tokenizer.json").exists():
            write_tokenizer(self.sizes.text_encoder, self.run / "tokenizer", arguments.captions)
        self.prompts = Prompts(self.run / "tokenizer", self.sizes.text_seq_len)
        self.scenes = Scenes(
            self.run / "tokenizer", self.sizes.text_seq_len, arguments.scenes, arguments.workers
        )
        self.buckets: list[Bucket] = []
        self.figures: dict[str, object] = {}
        if self.compiled:
            compile_paint()

    def budget(self, stage: str) -> Budget:
        budget = Budget(getattr(self.arguments, f"minutes_{stage}"), self.arguments.steps)
        if self.arguments.stop_minutes:
            budget.deadline = self.log.start + self.arguments.stop_minutes * 60
        return budget

    def keep(self, name: str) -> None:
        """Copies a stage's weights, halved to bf16, to the results."""
        state = load_state(self.run / f"{name}.pt")
        save_state(self.out / f"{name}.pt", _halved(state))

    def vae(self) -> None:
        """Stage 2 and a sheet of held-out scenes over their reconstructions."""
        arguments = self.arguments
        vae = train_vae(
            self.sizes,
            self.scenes,
            run=self.run,
            device=self.device,
            budget=self.budget("vae"),
            log=self.log,
            compiled=self.compiled,
            batch=arguments.batch,
            start=None
            if arguments.start_vae is None
            else load_state(arguments.start_vae, self.device)["model"],
            rate=arguments.rate,
        )
        self.keep("vae")
        count = self.arguments.pictures // 2
        pictures = held_out_pictures(count, (256, 256), self.device)
        found = reconstruct(vae, pictures)
        both = torch.stack([pictures, found], 1).flatten(0, 1)
        contact_sheet(list(to_bytes(both)), ["scene", "reconstruction"] * count, self.out / "vae.png")
        self.figures["vae_psnr"] = held_out_psnr(vae, self.device, 4 * count)

    def make_buckets(self, vae: Vae | None) -> None:
        """Encodes the scenes; waits for the workers."""
        if not self.buckets or (vae is not None and self.buckets[0].tokens is None):
            kept = self.run / "latents.pt"
            if self.arguments.keep_latents and vae is not None and kept.exists():
                self.buckets = load_buckets(kept, self.device)
                return
            self.buckets = make_buckets(
                self.scenes, vae, self.device, self.log, self.arguments.latent_seconds
            )
            if self.arguments.keep_latents and vae is not None:
                save_buckets(kept, self.buckets)
                self.log.line("latents: kept")

    def flow(self) -> None:
        """Stage 3 and a sheet of the guided teacher on a fine grid."""
        arguments = self.arguments
        vae = load_vae(self.sizes, self.run, self.device)
        self.make_buckets(vae)
        start = None
        if arguments.start is not None:
            start = load_state(arguments.start, self.device)["ema"]
        train_flow(
            self.sizes,
            self.buckets,
            self.prompts,
            run=self.run,
            device=self.device,
            budget=self.budget("flow"),
            log=self.log,
            compiled=self.compiled,
            batch=arguments.batch,
            seed=arguments.seed,
            start=start,
            rate=arguments.rate,
        )
        self.buckets = [Bucket(b.size, None, b.ids, b.lengths) for b in self.buckets]
        self.keep("flow")
        self.sheet("flow.png", arguments.guidance, 3)
        self.judge("flow", arguments.guidance, 3)

    def distil(self) -> None:
        """Stage 4 and a sheet of the student."""
        arguments = self.arguments
        self.make_buckets(None)
        text_encoder, teacher = load_models(self.sizes, self.run / "flow.pt", self.device, self.compiled)
        train_distil(
            self.sizes,
            (text_encoder, teacher, load_vae(self.sizes, self.run, self.device)),
            self.buckets,
            self.prompts,
            run=self.run,
            device=self.device,
            budget=self.budget("distil"),
            log=self.log,
            compiled=self.compiled,
            guidance=arguments.guidance,
            batch=min(arguments.batch or DISTIL_BATCH, DISTIL_BATCH),
            seed=arguments.seed,
        )
        self.keep("distil")
        self.sheet("distil.png", 1.0, 0)
        self.judge("distil", 1.0, 0)

    def qat(self) -> None:
        """Stage 5 and a sheet of the student, its weights as they are."""
        arguments = self.arguments
        self.make_buckets(None)
        train_qat(
            self.sizes,
            load_models(self.sizes, self.run / "distil.pt", self.device, compiled=False),
            self.buckets,
            run=self.run,
            device=self.device,
            budget=self.budget("qat"),
            log=self.log,
            batch=min(arguments.batch or QAT_BATCH, QAT_BATCH),
            seed=arguments.seed,
        )
        self.keep("qat")
        self.sheet("qat.png", 1.0, 0)
        self.judge("qat", 1.0, 0)

    def sheet(self, name: str, guidance: float, per_step: int) -> None:
        """64 held-out prompts, drawn."""
        texts = test_set(self.arguments.pictures)[1]
        seeds = [SHEET_SEED + n for n in range(len(texts))]
        pictures = self._generate(texts, seeds, guidance, per_step)
        contact_sheet(list(to_bytes(pictures)), texts, self.out / name)

    def judge(self, name: str, guidance: float, per_step: int) -> None:
        """The figures of `--prompts` held-out prompts."""
        if self.arguments.prompts:
            self.figures[name] = evaluate(
                lambda texts, seeds, size: self._generate(texts, seeds, guidance, per_step, size),
                self.arguments.prompts,
            )
            self.log.line(f"{name}: {self.figures[name]}")
            write_json(self.out / "figures.json", self.figures)

    def _generate(
        self,
        texts: list[str],
        seeds: list[int],
        guidance: float,
        per_step: int,
        size: tuple[int, int] = (256, 256),
    ) -> torch.Tensor:
        text_encoder, transformer = load_models(self.sizes, self.run / "flow.pt", self.device, False)
        if not per_step:
            transformer.load_state_dict(final_state(self.run, self.device)["transformer"])
        vae = load_vae(self.sizes, self.run, self.device)
        with autocast(self.device):
            return generate(
                text_encoder,
                transformer,
                vae,
                self.prompts,
                texts,
                seeds=seeds,
                size=size,
                device=self.device,
                guidance=guidance,
                per_step=per_step,
            )

    def evaluate(self) -> None:
        """Nothing but the figures of the last stage."""
        self.sheet("final.png", 1.0, 0)
        self.judge("final", 1.0, 0)


def _halved(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _halved(part) for key, part in value.items()}
    return value.bfloat16() if isinstance(value, torch.Tensor) and value.is_floating_point() else value


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """The command's options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, required=True, help="folder of the run's states")
    parser.add_argument("--out", type=Path, required=True, help="folder of sheets, weights and figures")
    parser.add_argument("--stages", default=",".join(STAGES[:4]), help=f"of {', '.join(STAGES)}")
    parser.add_argument("--weights", type=Path, help="folder with vae.pt, flow.pt of an earlier run")
    parser.add_argument("--tokenizer", type=Path, help="folder of a trained one (default: train it)")
    parser.add_argument("--start", type=Path, help="a flow.pt to go on from, with a new schedule")
    parser.add_argument("--start-vae", type=Path, help="a vae.pt to go on from, with a new schedule")
    parser.add_argument(
        "--rate", type=float, default=1.0, help="factor on the learning rates of the VAE and flow stages"
    )
    parser.add_argument("--model", choices=MODELS, default="mini")
    parser.add_argument("--minutes-vae", type=float, default=5.0)
    parser.add_argument("--minutes-flow", type=float, default=10.0)
    parser.add_argument("--minutes-distil", type=float, default=6.0)
    parser.add_argument("--minutes-qat", type=float, default=2.0)
    parser.add_argument("--steps", type=int, default=0, help="steps of every stage instead of minutes")
    parser.add_argument("--scenes", type=int, default=400_000)
    parser.add_argument("--captions", type=int, default=20_000, help="that the tokenizer is trained on")
    parser.add_argument("--latent-seconds", type=float, default=120.0)
    parser.add_argument("--keep-latents", action="store_true", help="in --run, for a call that goes on")
    parser.add_argument("--stop-minutes", type=float, default=0.0, help="save the flow stage and end then")
    parser.add_argument("--batch", type=int, default=0)
    parser.add_argument("--guidance", type=float, default=GUIDANCE)
    parser.add_argument("--pictures", type=int, default=SHEET_PICTURES, help="on a sheet")
    parser.add_argument("--prompts", type=int, default=500, help="to judge")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--workers", type=int, default=0)
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> None:
    """The command."""
    arguments = parse(words)
    if arguments.weights is not None:
        for file in sorted(arguments.weights.glob("*.pt")):
            arguments.run.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, arguments.run / file.name)
    pipeline = Pipeline(arguments)
    pipeline.log.line(parameter_table_of(pipeline.sizes))
    try:
        for stage in arguments.stages.split(","):
            {
                "vae": pipeline.vae,
                "flow": pipeline.flow,
                "distil": pipeline.distil,
                "qat": pipeline.qat,
                "evaluate": pipeline.evaluate,
            }[stage]()
            write_json(pipeline.out / "figures.json", pipeline.figures)
    finally:
        pipeline.scenes.close()


def parameter_table_of(sizes: Sizes) -> str:
    """Parameters of untrained parts of these sizes."""
    return parameter_table(new_parts(sizes))


if __name__ == "__main__":
    main()
