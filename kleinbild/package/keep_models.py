"""Taking the models of an earlier site over into one that is being built, so that a model can be added.

Nothing damaged is taken over: the new SHA256SUMS would vouch for it.
"""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kleinbild.errors import KleinbildError
from kleinbild.package.files import sha256_of
from kleinbild.package.manifest import FileRef, Manifest
from kleinbild.package.model import Log
from kleinbild.package.model_index import read_manifests
from kleinbild.package.output import SHARDS, SUMS, read_sums


def keep_models(out: Path, root: Path, log: Log) -> list[Manifest]:
    """Links (or copies) the files of the models of the site `out` into `root`; their manifests in order.

    Raises KleinbildError when `out` is no site, or a file of a model is missing or not what SHA256SUMS says.
    """
    if not (out / SUMS).is_file():
        raise KleinbildError(f"{out}: no site to add a model to; build it without --add first")
    manifests = read_manifests(out)
    sums = read_sums(out)
    files = {file.path: file for manifest in manifests for file in manifest.files}
    (root / SHARDS).mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor() as pool:  # hashing lets go of the interpreter
        for _ in pool.map(lambda file: _keep(out, root, file, sums), files.values()):
            pass
    for manifest in manifests:
        log(f"keeping {manifest.id}")
    return manifests


def _keep(out: Path, root: Path, file: FileRef, sums: dict[str, str]) -> None:
    source, target = out / file.path, root / file.path
    if not source.is_file() or source.is_symlink() or sha256_of(source) != sums.get(file.path):
        raise KleinbildError(f"{source}: missing or damaged; build the site again without --add")
    if target.exists():
        return
    try:
        os.link(source, target)
    except OSError:  # a file system without links
        shutil.copyfile(source, target)
