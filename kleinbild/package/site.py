"""A whole site from SOURCEs: the models' shards and manifests, the page's shell, and the list of digests.

The same sources give the same bytes, whether they come at once or are added one by one; no time, path or
machine enters any file, so SOURCE_DATE_EPOCH has nothing left to fix.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from kleinbild.bundle import Bundle
from kleinbild.errors import KleinbildError
from kleinbild.export.export import remove_shards
from kleinbild.package.keep_models import keep_models
from kleinbild.package.manifest import Manifest
from kleinbild.package.model import Log, package_model
from kleinbild.package.model_index import replaces, write_models
from kleinbild.package.output import WORK, reusable, staged_folder
from kleinbild.package.shell import ShellSource, write_shell
from kleinbild.package.source import BUNDLE, ExportOptions, open_source
from kleinbild.package.watched_source import WatchedSource, bundle_bytes
from kleinbild.progress import Progress


def build_site(
    sources: Sequence[str],
    out: Path,
    *,
    options: ExportOptions,
    log: Log,
    add: bool = False,
    shell: ShellSource | None = None,
) -> tuple[Manifest, ...]:
    """Builds the site of `sources` in the folder `out`, replacing an earlier site there.

    Returns the models' manifests; the page opens the first. With `add`, the models of the site `out` stay, in
    front of the new ones, but for those that one of `sources` is another revision of: that takes their place.
    Models share equal shards. An interrupted build of several checkpoints exports the earlier ones again.

    Raises KleinbildError (the earlier site is then untouched) when a source is no model, damaged, not
    implemented or given twice, or when `out` cannot be written, holds somebody's files or, with `add`, is no
    whole site.
    """
    shell = shell or ShellSource()
    shell.check()
    with staged_folder(out) as root:
        kept = keep_models(out, root, log) if add else []
        made: list[Manifest] = []
        for number, source in enumerate(sources, 1):
            bundle = open_source(source, root / WORK, options, log, name=f"{BUNDLE}-{number}")
            manifest = _package(bundle, root, out, log)
            if any(other.id == manifest.id for other in made):
                raise KleinbildError(f"{source}: the model {manifest.id} is given twice")
            made.append(manifest)
        manifests = _joined(kept, made)
        _drop_replaced(root, kept, manifests)
        write_models(root, manifests)
        build = write_shell(shell, root, manifests)
    for manifest in manifests:
        log(f"{out}: model {manifest.id}")
    log(f"{out}: build {build}")
    return tuple(manifests)


def _package(bundle: Bundle, root: Path, out: Path, log: Log) -> Manifest:
    """Packages one model into `root` and removes its bundle, unless that is the user's."""
    work = root / WORK
    with Progress(bundle_bytes(bundle.folder), "packaging") as progress:

        def say(line: str) -> None:
            progress.clear()
            log(line)

        def left(stage: str) -> None:
            if bundle.folder.is_relative_to(work):
                remove_shards(bundle.folder, stage)

        watched = WatchedSource(bundle, progress.advance, left)
        manifest = package_model(watched, root, previous=reusable(root, out), log=say)
    if bundle.folder.is_relative_to(work):
        shutil.rmtree(bundle.folder)
    return manifest


def _joined(kept: Sequence[Manifest], made: Sequence[Manifest]) -> list[Manifest]:
    """The models of a site, each once: those that stay or what replaces them, then the others."""
    replacements = [[new for new in made if replaces(new, old)] for old in kept]
    joined = [model for old, news in zip(kept, replacements, strict=True) for model in (news or [old])]
    joined += made
    return list({manifest.id: manifest for manifest in joined}.values())


def _drop_replaced(root: Path, kept: Sequence[Manifest], manifests: Sequence[Manifest]) -> None:
    """Removes from w/ what only models hold that were kept and are replaced."""
    used = {file.path for model in manifests for file in model.files}
    for path in {file.path for model in kept for file in model.files} - used:
        (root / path).unlink()
