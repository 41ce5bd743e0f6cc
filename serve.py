#!/usr/bin/env python3
"""Serves the packaged site, or makes one picture with a headless Chromium. See kleinbild/server/."""

import sys

from kleinbild.server.cli import main

if __name__ == "__main__":
    sys.exit(main())
