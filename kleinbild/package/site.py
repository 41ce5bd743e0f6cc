"""A whole site from one SOURCE: the model's shards and manifest, the page's shell, and the list of digests.

The same source gives the same bytes; no time, path or machine enters any file, so SOURCE_DATE_EPOCH has
nothing left to fix.
"""

from __future__ import annotations

from pathlib import Path

from kleinbild.export.export import remove_shards
from kleinbild.package.manifest import Manifest
from kleinbild.package.model import Log, package_model
from kleinbild.package.output import WORK, reusable, staged_folder
from kleinbild.package.shell import ShellSource, write_shell
from kleinbild.package.source import ExportOptions, open_source
from kleinbild.package.watched_source import WatchedSource, bundle_bytes
from kleinbild.progress import Progress


def build_site(
    source: str, out: Path, *, options: ExportOptions, log: Log, shell: ShellSource | None = None
) -> Manifest:
    """Builds the site of `source` in the folder `out`, replacing an earlier site there.

    Raises KleinbildError (the earlier site is then untouched) when the source is no model, damaged or not
    implemented, or when `out` cannot be written or holds somebody's files.
    """
    shell = shell or ShellSource()
    shell.check()
    with staged_folder(out) as root:
        bundle = open_source(source, root / WORK, options, log)
        with Progress(bundle_bytes(bundle.folder), "packaging") as progress:

            def say(line: str) -> None:
                progress.clear()
                log(line)

            def left(stage: str) -> None:
                if bundle.folder.is_relative_to(root / WORK):
                    remove_shards(bundle.folder, stage)

            watched = WatchedSource(bundle, progress.advance, left)
            manifest = package_model(watched, root, previous=reusable(root, out), log=say)
        build = write_shell(shell, root, manifest)
    log(f"{out}: model {manifest.id}, build {build}")
    return manifest
