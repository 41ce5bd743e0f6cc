"""What a user may name as SOURCE, and how it becomes a bundle.

A bundle is used as it is; a checkpoint is exported first, into a folder that the caller gives and removes;
the words `mini` and `tiny` mean the trained model that comes with the project and the one of its tests;
models of the hub are fetched (locate.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kleinbild.bundle import Bundle
from kleinbild.checkpoint.checkpoint import Checkpoint, is_checkpoint
from kleinbild.checkpoint.configs import INDEX_FILE
from kleinbild.checkpoint.synthetic import MODELS
from kleinbild.checkpoint.tiny import write_tiny_checkpoint
from kleinbild.errors import KleinbildError
from kleinbild.export import Losses, Variant, export_bundle
from kleinbild.export.export import input_bytes
from kleinbild.export.source import Options
from kleinbild.package.locate import locate
from kleinbild.package.model import Log
from kleinbild.part_folder import part_path
from kleinbild.progress import Progress

MINI, TINY = "mini", "tiny"
MINI_FOLDER = MODELS / MINI
DEFAULT_WEIGHTS: Variant = "q4"
OWN_WEIGHTS: Variant = "f16"  # of the project's own models, too small for 4 bits to be worth their loss
DEFAULT_BLOCK_SIZE = 16
BUNDLE = "bundle"
BUNDLE_MARK = "flux2-config.json"


@dataclass(frozen=True)
class ExportOptions:
    """How a checkpoint is exported; None where the user said nothing."""

    weights: Variant | None = None
    block_size: int | None = None
    symmetric: bool = False
    all_q4: bool = False
    context_clip: float | None = None

    @property
    def given(self) -> bool:
        """Whether the user asked for anything."""
        return self != ExportOptions()

    def check(self) -> None:
        """Raises KleinbildError for a combination without meaning."""
        of_q4 = self.block_size is not None or self.symmetric or self.all_q4
        if self.weights not in (None, "q4") and of_q4:
            raise KleinbildError(
                "--block-size, --symmetric and --all-q4 go with --weights q4, "
                f"not with --weights {self.weights}"
            )

    def resolved(self) -> Options:
        """The options of the export, defaults filled in; raises KleinbildError as `check` does."""
        self.check()
        return Options(
            self.weights or DEFAULT_WEIGHTS,
            self.block_size or DEFAULT_BLOCK_SIZE,
            self.symmetric,
            self.all_q4,
            self.context_clip or 0.0,
        )


def identify(folder: Path) -> str:
    """ "checkpoint", "bundle" or "site"; raises KleinbildError when `folder` is none of them.

    A .safetensors file may stand for the folder of a checkpoint.
    """
    if not folder.is_dir() and not (folder.is_file() and folder.suffix == ".safetensors"):
        raise KleinbildError(f"{folder}: no such folder")
    if is_checkpoint(folder):
        return "checkpoint"
    if (folder / BUNDLE_MARK).is_file():
        return "bundle"
    if (folder / "models").is_dir() and any((folder / n).is_file() for n in ("index.html", "SHA256SUMS")):
        return "site"
    raise KleinbildError(
        f"{folder}: neither a checkpoint ({INDEX_FILE}, or a transformer in one file), "
        f"nor a bundle ({BUNDLE_MARK}), nor a site"
    )


def export(path: Path, out: Path, options: ExportOptions, log: Log) -> Losses:
    """Exports the checkpoint `path` to the bundle folder `out`; what its weights lost."""
    return _export(_open_checkpoint(path), out, options.resolved(), log)


def _open_checkpoint(path: Path) -> Checkpoint:
    if identify(path) != "checkpoint":
        raise KleinbildError(f"{path}: not a checkpoint (no {INDEX_FILE} in it)")
    checkpoint = Checkpoint.open(path)
    checkpoint.check()
    return checkpoint


def _export(
    checkpoint: Checkpoint, out: Path, options: Options, log: Log, *, resumable: bool = False
) -> Losses:
    for line in checkpoint.assumed:
        log(line)
    log(f"exporting {checkpoint.name} with {options.weights} weights")
    with Progress(input_bytes(checkpoint), "exporting") as progress:
        return export_bundle(
            checkpoint,
            out,
            weights=options.weights,
            block_size=options.block_size,
            symmetric=options.symmetric,
            all_q4=options.all_q4,
            context_clip=options.context_clip,
            advance=progress.advance,
            resumable=resumable,
        )


def _exported(checkpoint: Checkpoint, bundle: Path, options: Options, log: Log) -> Path:
    """The bundle of `checkpoint` in the folder `bundle`; stages of an interrupted run are taken over."""
    if bundle.exists():
        bundle.rename(part_path(bundle))
    _export(checkpoint, bundle, options, log, resumable=True)
    return bundle


def open_source(source: str, work: Path, options: ExportOptions, log: Log, *, name: str = BUNDLE) -> Bundle:
    """The bundle that SOURCE names; what has to be made on the way is written below `work`.

    `name`: of the folder there that a checkpoint is exported to.

    Raises KleinbildError when it is no model, or when export options are given for a finished bundle.
    """
    options.check()
    if source == TINY:
        folder = work / "checkpoint"
        write_tiny_checkpoint(folder)
    else:
        folder = MINI_FOLDER if source == MINI else locate(source, log)
    if not options.given and (source == TINY or folder.resolve() == MINI_FOLDER):
        options = ExportOptions(OWN_WEIGHTS)
    kind = identify(folder)
    if kind == "site":
        raise KleinbildError(f"{folder}: already a site; give the bundle or checkpoint it was made from")
    if kind == "bundle":
        if options.given:
            raise KleinbildError(
                f"{folder}: a bundle is packaged as it is; "
                "--weights, --block-size, --symmetric, --all-q4 and --context-clip go with a checkpoint"
            )
        return Bundle.open(folder)
    return Bundle.open(_exported(_open_checkpoint(folder), work / name, options.resolved(), log))
