"""docs/kiosk.md and deploy/ say what the code does: fields, options, the example, the way through cage."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
from pathlib import Path

import pytest
from server.kiosk.test_operator_file import FULL

from kleinbild.server.kiosk.operator_file import parse_operator_file
from kleinbild.server.kiosk.options import add_kiosk

PROJECT = Path(__file__).parents[4]
DEPLOY = PROJECT / "deploy"
DOCS = (PROJECT / "docs" / "kiosk.md").read_text(encoding="utf-8")


def first_cells(heading: str) -> list[str]:
    """The code in the first cells of the table below `heading`."""
    section = DOCS.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `([^`]*)`", section, re.MULTILINE)


def test_every_field_is_documented_and_no_other() -> None:
    fields = set(FULL) | {"pin_hash"}
    fields |= {f"cards.{name}" for name in FULL["cards"][0]}
    fields |= {f"take_home.{name}" for name in FULL["take_home"]}
    assert set(first_cells("The operator file")) == fields


def test_every_option_is_documented_and_no_other() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    add_kiosk(parser)
    options = {option for action in parser._actions for option in action.option_strings}
    section = DOCS.partition("\n## The command\n")[2].partition("\n## ")[0]
    cells = [
        line.split("|")[1] for line in section.replace(r"\|", "/").splitlines() if line.startswith("| `")
    ]
    assert {option for cell in cells for option in re.findall(r"--[a-z-]+", cell)} == options


def test_the_example_is_whole() -> None:
    path = DEPLOY / "operator.json"
    operator = parse_operator_file(path.read_bytes(), path)
    assert operator.pin is not None
    assert len(operator.cards) == 3


@pytest.mark.parametrize("status", [0, 75, 78])
def test_the_way_through_cage_keeps_the_status(status: int, tmp_path: Path) -> None:
    cage = tmp_path / "cage"
    cage.write_text('#!/bin/sh\n[ "$1 $2" = "-d --" ] || exit 9\nshift 2\n"$@"\nexit 0\n')
    cage.chmod(0o755)
    environ = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = [str(DEPLOY / "kleinbild-kiosk-cage"), "sh", "-c", f"exit {status}"]
    assert subprocess.run(command, env=environ, check=False).returncode == status
    cage.write_text("#!/bin/sh\nexit 0\n")  # went down before its program
    assert subprocess.run(command, env=environ, check=False).returncode == 1
