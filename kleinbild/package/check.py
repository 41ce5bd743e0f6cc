"""`build.py check PATH`: what a folder is, whether it is whole, and how large it is.

A checkpoint or bundle is checked against the tensors that its config asks for, its tokenizer against what
the page implements. A bundle is read whole; of a checkpoint only the vectors are, since exporting reads the
rest and refuses the same. What a site must be is site_check.py's.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

from kleinbild.bundle import Bundle
from kleinbild.canonical import expected_tensors
from kleinbild.checkpoint.checkpoint import Checkpoint
from kleinbild.package.manifest_checks import check_config
from kleinbild.package.report import Report, size_text
from kleinbild.package.site_check import check_site
from kleinbild.package.source import identify
from kleinbild.package.vocabulary import read_vocabulary


def check(folder: Path) -> Report:
    """Everything there is to say about `folder`; raises KleinbildError when it is nothing of ours."""
    kind = identify(folder)
    report = Report()
    report.say(f"{folder}: {kind}, {size_text(_bytes_below(folder))}")
    if kind == "site":
        check_site(folder, report)
    else:
        with report.collecting():
            _check_model(Checkpoint.open(folder) if kind == "checkpoint" else Bundle.open(folder), report)
    return report


def _check_model(model: Checkpoint | Bundle, report: Report) -> None:
    check_config(model.config)
    weights = f", {model.weights_kind} weights" if isinstance(model, Bundle) else ""
    report.say(f"model {model.name}{weights}")
    expected = expected_tensors(model.config)
    for stage, specs in expected.items():
        parameters = sum(math.prod(spec.shape) for spec in specs.values())
        report.say(f"  {stage}: {len(specs)} tensors, {parameters:,} parameters")
    with report.collecting():
        read_vocabulary(model.tokenizer_folder, model.config)
    model.check()
    if isinstance(model, Checkpoint):
        for line in model.assumed:
            report.say(line)
        for stage, specs in expected.items():
            for name, spec in specs.items():
                if spec.kind == "vector":
                    with report.collecting():
                        model.tensor(stage, name)


def _bytes_below(folder: Path) -> int:
    if folder.is_file():
        return folder.stat().st_size
    paths = [Path(base) / name for base, _, names in os.walk(folder) for name in names]
    # the hub's cache links every file, so a link counts as what it points to
    return sum((path.stat() if path.exists() else path.lstat()).st_size for path in paths)
