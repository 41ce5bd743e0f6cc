"""Command line of serve.py: what may be asked, and how an answer or a refusal is told."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from kleinbild.errors import KleinbildError
from kleinbild.server.generate.command import generate
from kleinbild.server.generate.request import DEFAULT_SEED, GenerateOptions
from kleinbild.server.listen import serve
from kleinbild.server.site import open_site

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8080
EXIT_SIGNALLED = 130


def build_parser() -> argparse.ArgumentParser:
    """The parser of serve.py."""
    parser = argparse.ArgumentParser(
        prog="serve.py", description="Serve the site, or make one picture with a headless Chromium."
    )
    parser.add_argument("--site", type=Path, default=Path("dist"), help="the packaged site (default: dist)")
    parser.add_argument("--host", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", help="port to listen on, 0 for any free one (default: 8080)")
    parser.add_argument("--verbose", action="store_true", help="one line a request on stderr")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    _add_generate(commands.add_parser("generate", help="make one picture and write it as PNG"))
    return parser


def _add_generate(parser: argparse.ArgumentParser) -> None:
    # --site and --verbose may stand before or after the word "generate": SUPPRESS keeps what stood before.
    parser.add_argument(
        "--site", type=Path, default=argparse.SUPPRESS, help="the packaged site (default: dist)"
    )
    parser.add_argument("--prompt", required=True, help="what the picture shows")
    parser.add_argument("--output", type=Path, required=True, metavar="PNG", help="the picture to write")
    parser.add_argument(
        "--width", type=int, help="pixels, floored to a multiple of 16 (default: the model's)"
    )
    parser.add_argument(
        "--height", type=int, help="pixels, floored to a multiple of 16 (default: the model's)"
    )
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="0 to 2^64-1 (default: %(default)s)")
    parser.add_argument(
        "--num-steps", type=int, metavar="N", help="denoising steps, 1 to 100 (default: the model's)"
    )
    parser.add_argument("--latents", type=Path, metavar="NPY", help="initial latents, f32 [128, H/16, W/16]")
    parser.add_argument(
        "--precision", choices=("auto", "f16", "f32"), default="auto", help="arithmetic on the GPU"
    )
    parser.add_argument(
        "--adapter",
        choices=("auto", "hardware", "software"),
        default="auto",
        help="the GPU, or SwiftShader on the CPU; auto takes the GPU when the machine has one",
    )
    parser.add_argument(
        "--dump", type=Path, metavar="DIR", help="write the intermediate tensors as .npy files"
    )
    parser.add_argument(
        "--verbose", action="store_true", default=argparse.SUPPRESS, help="one line a request on stderr"
    )


def _port(text: str | None) -> int:
    if text is None:
        return DEFAULT_PORT
    if not text.isascii() or not text.isdigit() or int(text[:6]) > 65535:
        raise KleinbildError(f"--port {text}: no port (0 to 65535)")
    return int(text)


def main(argv: Sequence[str] | None = None) -> int:
    """Run serve.py with `argv`; returns the exit status."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.command and (args.host is not None or args.port is not None):
        parser.error("--host and --port belong to the server, not to generate")
    try:
        port = _port(args.port)
        site = open_site(args.site)
        if args.command == "generate":
            options = GenerateOptions(
                prompt=args.prompt,
                output=args.output,
                width=args.width,
                height=args.height,
                seed=args.seed,
                steps=args.num_steps,
                latents=args.latents,
                precision=args.precision,
                adapter=args.adapter,
                dump=args.dump,
                verbose=args.verbose,
            )
            asyncio.run(generate(site, options))
        else:
            asyncio.run(serve(site, args.host or DEFAULT_HOST, port, args.verbose))
    except KleinbildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("stopped", file=sys.stderr)
        return EXIT_SIGNALLED
    return 0
