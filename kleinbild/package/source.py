"""What a user may name as SOURCE, and how it becomes a bundle.

A bundle is used as it is; a checkpoint is exported first, into a folder that the caller gives and removes;
the word `tiny` means the small model that comes with the project; models of the hub are fetched (locate.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kleinbild.bundle import Bundle
from kleinbild.checkpoint.checkpoint import Checkpoint
from kleinbild.checkpoint.tiny import write_tiny_checkpoint
from kleinbild.errors import KleinbildError
from kleinbild.export import Variant, export_bundle
from kleinbild.package.locate import locate
from kleinbild.package.model import Log

TINY = "tiny"
DEFAULT_WEIGHTS: Variant = "q4"
TINY_WEIGHTS: Variant = "f16"
DEFAULT_BLOCK_SIZE = 16
CHECKPOINT_MARK = "model_index.json"
BUNDLE_MARK = "flux2-config.json"


@dataclass(frozen=True)
class ExportOptions:
    """How a checkpoint is exported; None where the user said nothing."""

    weights: Variant | None = None
    block_size: int | None = None
    symmetric: bool = False

    @property
    def given(self) -> bool:
        """Whether the user asked for anything."""
        return self != ExportOptions()

    def check(self) -> None:
        """Raises KleinbildError for a combination without meaning."""
        if self.weights not in (None, "q4") and (self.block_size is not None or self.symmetric):
            raise KleinbildError(
                f"--block-size and --symmetric go with --weights q4, not with --weights {self.weights}"
            )


def identify(folder: Path) -> str:
    """ "checkpoint", "bundle" or "site"; raises KleinbildError when `folder` is none of them."""
    if not folder.is_dir():
        raise KleinbildError(f"{folder}: no such folder")
    if (folder / CHECKPOINT_MARK).is_file():
        return "checkpoint"
    if (folder / BUNDLE_MARK).is_file():
        return "bundle"
    if (folder / "models").is_dir() and any((folder / n).is_file() for n in ("index.html", "SHA256SUMS")):
        return "site"
    raise KleinbildError(
        f"{folder}: neither a checkpoint ({CHECKPOINT_MARK}), nor a bundle ({BUNDLE_MARK}), nor a site"
    )


def export(checkpoint_folder: Path, out: Path, options: ExportOptions, log: Log) -> None:
    """Exports the checkpoint in `checkpoint_folder` to the bundle folder `out`."""
    options.check()
    if identify(checkpoint_folder) != "checkpoint":
        raise KleinbildError(f"{checkpoint_folder}: not a checkpoint (no {CHECKPOINT_MARK} in it)")
    checkpoint = Checkpoint.open(checkpoint_folder)
    checkpoint.check()
    weights = options.weights or DEFAULT_WEIGHTS
    log(f"exporting {checkpoint.name} with {weights} weights")
    export_bundle(
        checkpoint,
        out,
        weights=weights,
        block_size=options.block_size or DEFAULT_BLOCK_SIZE,
        symmetric=options.symmetric,
    )


def open_source(source: str, work: Path, options: ExportOptions, log: Log) -> Bundle:
    """The bundle that SOURCE names; what has to be made on the way is written below `work`.

    Raises KleinbildError when it is no model, or when export options are given for a finished bundle.
    """
    options.check()
    folder = work / "checkpoint" if source == TINY else locate(source, log)
    if source == TINY:
        write_tiny_checkpoint(folder)
        if not options.given:
            options = ExportOptions(TINY_WEIGHTS)
    kind = identify(folder)
    if kind == "site":
        raise KleinbildError(f"{folder}: already a site; give the bundle or checkpoint it was made from")
    if kind == "bundle":
        if options.given:
            raise KleinbildError(
                f"{folder}: a bundle is packaged as it is; "
                "--weights, --block-size and --symmetric go with a checkpoint"
            )
        return Bundle.open(folder)
    export(folder, work / "bundle", options, log)
    return Bundle.open(work / "bundle")
