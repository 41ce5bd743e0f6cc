"""The command line of build.py: export, site, check.

It turns arguments into calls, and KleinbildErrors and interrupts into one line on stderr; it decides nothing
else.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from kleinbild import __version__
from kleinbild.errors import KleinbildError
from kleinbild.package.check import check
from kleinbild.package.locate import locate
from kleinbild.package.site import build_site
from kleinbild.package.source import DEFAULT_BLOCK_SIZE, DEFAULT_WEIGHTS, MINI, ExportOptions, export
from kleinbild.package.termination import Terminated, sigterm_as_interrupt
from kleinbild.part_folder import part_path
from kleinbild.weights import BLOCK_SIZES

PROBLEMS_SHOWN = 20
HUB = "hf:owner/name[@revision]"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit status: 0, 1 after an error, 130 after Ctrl-C, 143 after SIGTERM
    (argparse exits 2 on misuse).
    """
    options = _parser().parse_args(arguments)
    try:
        with sigterm_as_interrupt():
            status: int = options.run(options)
    except KleinbildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as interrupt:
        print(_interrupted(options), file=sys.stderr)
        return 128 + (signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT)
    return status


def _interrupted(options: argparse.Namespace) -> str:
    part = part_path(options.out) if "out" in options else None
    if part is None or not part.exists():
        return "interrupted"
    return f"interrupted; {part} keeps what is finished: run the same command again to go on, or remove it"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="build.py", description="Packages FLUX.2 Klein into a site that runs it in the browser."
    )
    parser.add_argument("--version", action="version", version=f"kleinbild {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("export", help="checkpoint -> ONNX bundle folder")
    command.add_argument(
        "checkpoint",
        help="a whole FLUX.2 Klein folder in diffusers layout or with the transformer as a single file, "
        f"or {HUB}",
    )
    command.add_argument("--out", type=Path, required=True, metavar="BUNDLE", help="folder to write")
    _add_export_options(command)
    command.set_defaults(run=_run_export)

    command = commands.add_parser("site", help="bundle or checkpoint folders -> site folder")
    command.add_argument(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help=f"bundle folder, checkpoint folder, {HUB}, or {MINI!r}: the model that comes with the project; "
        "the page opens the first",
    )
    command.add_argument("--out", type=Path, default=Path("dist"), metavar="DIST", help="folder to write")
    command.add_argument(
        "--add",
        action="store_true",
        help="keep the models of the site in DIST; one that SOURCE is another revision of is replaced",
    )
    _add_export_options(command)
    command.set_defaults(run=_run_site)

    command = commands.add_parser("check", help="say what a folder is and whether it is whole")
    command.add_argument("source", help=f"checkpoint, bundle or site folder, or {HUB}")
    command.set_defaults(run=_run_check)
    return parser


def _add_export_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--weights", choices=("q4", "f16", "f32"), help=f"format of a checkpoint's export ({DEFAULT_WEIGHTS})"
    )
    command.add_argument(
        "--block-size",
        type=int,
        choices=BLOCK_SIZES,
        help=f"weights that share a scale in q4 ({DEFAULT_BLOCK_SIZE})",
    )
    command.add_argument("--symmetric", action="store_true", help="q4 without zero points")
    command.add_argument(
        "--all-q4",
        action="store_true",
        help="q4 for the transformer's embedders, modulation and output projection too (f16 without it)",
    )
    command.add_argument(
        "--context-clip",
        type=float,
        metavar="LIMIT",
        help="largest magnitude of the text encoder's output, 0 for any (0)",
    )


def _export_options(options: argparse.Namespace) -> ExportOptions:
    return ExportOptions(
        options.weights, options.block_size, options.symmetric, options.all_q4, options.context_clip
    )


def _run_export(options: argparse.Namespace) -> int:
    export_options = _export_options(options)
    export_options.check()
    losses = export(locate(options.checkpoint, _log), options.out, export_options, _log)
    for line in losses.lines():
        _log(line)
    return 0


def _run_site(options: argparse.Namespace) -> int:
    build_site(options.sources, options.out, options=_export_options(options), log=_log, add=options.add)
    return 0


def _run_check(options: argparse.Namespace) -> int:
    report = check(locate(options.source, _log))
    for line in report.lines:
        print(line)
    for problem in report.problems[:PROBLEMS_SHOWN]:
        print(f"error: {problem}", file=sys.stderr)
    hidden = len(report.problems) - PROBLEMS_SHOWN
    if hidden > 0:
        print(f"error: and {hidden} more", file=sys.stderr)
    if not report.problems:
        print("whole")
    return 1 if report.problems else 0


def _log(line: str) -> None:
    print(line, flush=True)
