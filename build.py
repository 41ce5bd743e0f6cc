#!/usr/bin/env python3
"""Command line of the packager; see `python build.py --help`."""

import sys

from kleinbild.package.cli import main

if __name__ == "__main__":
    sys.exit(main())
