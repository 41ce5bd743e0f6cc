#!/usr/bin/env python3
"""Serves the packaged site and an API, or makes pictures or measures the GPU with a headless Chromium."""

import sys
from collections.abc import Callable
from pathlib import Path

from kleinbild.server.cli import main


def write_page(root: Path) -> None:
    """Writes the benchmark's page of this source tree below `root`, for a benchmark without a site."""
    from kleinbild.package.shell import ShellSource, write_bench_page  # noqa: PLC0415

    write_bench_page(ShellSource(), root)


def build_site(source: Path, out: Path, log: Callable[[str], None]) -> None:
    """Packages the model in the folder `source` as the site `out`."""
    from kleinbild.package import site  # noqa: PLC0415
    from kleinbild.package.source import ExportOptions  # noqa: PLC0415

    site.build_site([str(source)], out, options=ExportOptions(), log=log)


if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    sys.exit(
        main(
            write_page=write_page,
            build_site=build_site,
            page_folders=(here / "src_js", here / "site"),
            own_model=here / "models" / "mini",
        )
    )
