#!/usr/bin/env python3
"""Serves the packaged site, or makes one picture or measures the GPU with a headless Chromium."""

import sys
from pathlib import Path

from kleinbild.server.cli import main


def write_page(root: Path) -> None:
    """Writes the benchmark's page of this source tree below `root`, for a benchmark without a site."""
    from kleinbild.package.shell import ShellSource, write_bench_page  # noqa: PLC0415

    write_bench_page(ShellSource(), root)


if __name__ == "__main__":
    sys.exit(main(write_page=write_page))
