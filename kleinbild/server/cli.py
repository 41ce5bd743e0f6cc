"""Command line of serve.py: what may be asked, and how an answer or a refusal is told."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kleinbild.errors import KleinbildError
from kleinbild.server.bench import options as bench_options
from kleinbild.server.bench.command import WritePage, bench
from kleinbild.server.bench.options import BenchOptions
from kleinbild.server.generate.options import DEFAULT_SEED, GenerateOptions
from kleinbild.server.generate.profile import cache_folder
from kleinbild.server.kiosk.options import add_kiosk, kiosk_options
from kleinbild.server.listen import serve
from kleinbild.server.make.model_dir import Packager, site_of
from kleinbild.server.site import open_site

if TYPE_CHECKING:
    from kleinbild.server.api.options import ApiArguments

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8080
DEFAULT_SITE = Path("dist")
EXIT_SIGNALLED = 130
PRECISIONS = ("auto", "f16", "f32")
ADAPTERS = ("auto", "hardware", "software")
API_OPTIONS: dict[str, Any] = {  # option's dest -> default
    "public_name": None,
    "key_file": None,
    "tls_cert": None,
    "tls_key": None,
    "tls_self_signed": False,
    "cors": (),
    "max_waiting": 32,
    "keep_seconds": 600,
    "keep_mb": 256,
    "grace": 20,
    "api_precision": "auto",
    "api_adapter": "auto",
    "api_budget": None,
    "attach": False,
    "page_wait": 60,
}

OF_OUR_BROWSER = ("api_precision", "api_adapter", "api_budget")


def build_parser() -> argparse.ArgumentParser:
    """The parser of serve.py."""
    parser = argparse.ArgumentParser(
        prog="serve.py",
        description="Serve the site, or make one picture or measure the GPU with a headless Chromium.",
    )
    parser.add_argument("--site", type=Path, default=DEFAULT_SITE, help="the packaged site (default: dist)")
    parser.add_argument("--host", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", help="port to listen on, 0 for any free one (default: 8080)")
    parser.add_argument("--verbose", action="store_true", help="one line a request on stderr")
    _add_api(parser)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    _add_generate(commands.add_parser("generate", help="make one picture and write it as PNG"))
    _add_bench(commands.add_parser("bench", help="measure this GPU; needs no model"))
    _add_kiosk(
        commands.add_parser("kiosk", help="a public screen: server and full-screen browser, kept running")
    )
    return parser


def _add_api(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "picture server",
        "with --api: OpenAI's, A1111's and a native API on one queue before one headless Chromium",
    )
    group.add_argument("--api", action="store_true", help="offer the API beside the site")
    group.add_argument("--public-name", metavar="HOST", help="the host that clients know (default: --host)")
    group.add_argument(
        "--key-file",
        type=Path,
        metavar="FILE",
        help="the key that all must bring (default: $KLEINBILD_API_KEY)",
    )
    group.add_argument("--tls-cert", type=Path, metavar="PEM", help="certificate, for https")
    group.add_argument(
        "--tls-self-signed",
        action="store_true",
        default=None,
        help="https with a certificate that is made here, once, and whose fingerprint is told",
    )
    group.add_argument("--tls-key", type=Path, metavar="PEM", help="key of the certificate")
    group.add_argument(
        "--cors", action="append", metavar="ORIGIN", help="a site whose pages may ask, too; may be repeated"
    )
    group.add_argument("--max-waiting", type=int, metavar="N", help="pictures that may wait (default: 32)")
    group.add_argument("--keep-seconds", type=int, metavar="N", help="results are kept (default: 600)")
    group.add_argument("--keep-mb", type=int, metavar="N", help="room for results kept (default: 256)")
    group.add_argument(
        "--grace", type=int, metavar="SECONDS", help="for the picture in hand at the end (default: 20)"
    )
    group.add_argument(
        "--attach",
        action="store_true",
        default=None,
        help="the page that you open at the printed address makes the pictures, in place of a headless one",
    )
    group.add_argument(
        "--page-wait",
        type=int,
        metavar="SECONDS",
        help="a picture waits for a page of --attach (default: 60)",
    )
    # Not --precision's and its like's own names: those belong to the commands, and their defaults.
    group.add_argument("--precision", dest="api_precision", choices=PRECISIONS, help="arithmetic on the GPU")
    group.add_argument("--adapter", dest="api_adapter", choices=ADAPTERS, help="as of generate")
    group.add_argument("--memory-budget", dest="api_budget", type=float, metavar="GB", help="as of generate")


def _add_generate(parser: argparse.ArgumentParser) -> None:
    _add_common(parser)
    parser.add_argument(
        "--model-dir",
        type=Path,
        metavar="DIR",
        help="a checkpoint, bundle or site folder in place of --site; packaged once, into the cache folder",
    )
    parser.add_argument("--prompt", help="what the picture shows")
    parser.add_argument("--output", type=Path, metavar="PNG", help="the picture to write")
    parser.add_argument(
        "--batch",
        type=Path,
        metavar="JSONL",
        help='many pictures: a line each, {"prompt": ..., "width", "height", "seed", "steps"}',
    )
    parser.add_argument(
        "--output-dir",
        type=Path,
        metavar="DIR",
        help="the batch's pictures; those that are there are not made again",
    )
    parser.add_argument("--json", action="store_true", help="a JSON line on stdout for every picture")
    parser.add_argument(
        "--preview", action="store_true", help="show what the picture looks like so far, in the terminal"
    )
    parser.add_argument(
        "--no-server", action="store_true", help="an own browser, even when an API server runs"
    )
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
        "--memory-budget",
        type=float,
        metavar="GB",
        help="GPU memory it may use (default: 8.25, or what the GPU has where the browser tells)",
    )
    parser.add_argument(
        "--dump", type=Path, metavar="DIR", help="write the intermediate tensors as .npy files"
    )


def _add_bench(parser: argparse.ArgumentParser) -> None:
    o = bench_options
    _add_common(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the whole result as JSON")
    parser.add_argument(
        "--sizes", help="sides of the pictures in pixels, as 256,512,1024 (default: the model's usual ones)"
    )
    parser.add_argument("--steps", type=int, metavar="N", help="denoising steps (default: the model's)")
    parser.add_argument(
        "--model",
        choices=o.MODELS,
        default="auto",
        help="whose shapes; auto is klein4b on a GPU and small on the CPU (default: %(default)s)",
    )
    parser.add_argument(
        "--family",
        choices=o.FAMILIES,
        default="auto",
        help="kernels with subgroup matrices, without, or both",
    )
    parser.add_argument("--weights", choices=o.FORMATS, default="q4", help="format (default: %(default)s)")
    parser.add_argument(
        "--block-size",
        type=int,
        choices=o.BLOCK_SIZES,
        default=o.DEFAULT_BLOCK_SIZE,
        help="of q4 weights (default: %(default)s)",
    )
    parser.add_argument("--zero-points", action="store_true", help="q4 weights with zero points")
    parser.add_argument("--quick", action="store_true", help="one size and the main kernels only")


def _add_kiosk(parser: argparse.ArgumentParser) -> None:
    _add_shared(parser)
    add_kiosk(parser)


def _add_shared(parser: argparse.ArgumentParser) -> None:
    # --site and --verbose may stand before or after the command's word: SUPPRESS keeps what stood before.
    parser.add_argument(
        "--site", type=Path, default=argparse.SUPPRESS, help="the packaged site (default: dist)"
    )
    parser.add_argument(
        "--verbose", action="store_true", default=argparse.SUPPRESS, help="one line a request on stderr"
    )


def _add_common(parser: argparse.ArgumentParser) -> None:
    _add_shared(parser)
    parser.add_argument("--precision", choices=PRECISIONS, default="auto", help="arithmetic on the GPU")
    parser.add_argument(
        "--adapter",
        choices=ADAPTERS,
        default="auto",
        help="the GPU, or SwiftShader on the CPU; auto takes the GPU when the machine has one",
    )


def _port(text: str | None) -> int:
    if text is None:
        return DEFAULT_PORT
    if not text.isascii() or not text.isdigit() or int(text[:6]) > 65535:
        raise KleinbildError(f"--port {text}: no port (0 to 65535)")
    return int(text)


def main(
    argv: Sequence[str] | None = None,
    *,
    write_page: WritePage,
    build_site: Callable[[Path, Path, Callable[[str], None]], object],
    page_folders: tuple[Path, ...] = (),
    own_model: Path | None = None,
) -> int:
    """Run serve.py with `argv`; returns the exit status.

    `write_page` writes the benchmark's page into a folder; `build_site` packages a model's folder, with the
    page that is in `page_folders`. `generate` takes the folder `own_model` where no site was built or named.
    """
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.command and (args.host is not None or args.port is not None):
        parser.error(f"--host and --port belong to the server, not to {args.command}")
    if args.command and args.api:
        parser.error(f"--api belongs to the server, not to {args.command}")
    if not args.api and (given := [dest for dest in API_OPTIONS if getattr(args, dest) is not None]):
        parser.error(f"--{_option(given[0])} goes with --api only")
    if args.attach and (given := [dest for dest in OF_OUR_BROWSER if getattr(args, dest) is not None]):
        parser.error(f"--{_option(given[0])} is of a browser of ours: with --attach the page decides")
    if args.page_wait is not None and not args.attach:
        parser.error("--page-wait goes with --attach only")
    if args.command == "generate":
        _check_generate(parser, args)
    try:
        if args.command == "generate":
            model = args.model_dir or _model_without_site(args.site, own_model)
            if model is not None:
                args.site = _packaged(model, Packager(build_site, page_folders))
        asyncio.run(_work(args, write_page))
    except KleinbildError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("stopped", file=sys.stderr)
        return EXIT_SIGNALLED
    return 0


def _option(dest: str) -> str:
    """The option's name on the command line, without its dashes."""
    return dest.removeprefix("api_").replace("_", "-").replace("budget", "memory-budget")


def _model_without_site(site: Path, own_model: Path | None) -> Path | None:
    """The project's own model, when nobody named a site and none was built."""
    return own_model if site == DEFAULT_SITE and not site.exists() else None


def _packaged(model_dir: Path, packager: Packager) -> Path:
    """The site of the model in `model_dir`. Raises KleinbildError."""
    return site_of(
        model_dir, cache_folder(os.environ), packager, lambda line: print(line, file=sys.stderr, flush=True)
    )


def _check_generate(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Exit with 2 unless one picture or a batch is asked for."""
    one, many = (args.prompt is not None, args.output), (args.batch, args.output_dir)
    if not (all(one) and not any(many)) and not (all(many) and not any(one)):
        parser.error("generate takes --prompt and --output, or --batch and --output-dir")
    if args.batch and (args.dump or args.latents):
        parser.error("--dump and --latents are of one picture, not of a batch")


def _work(args: argparse.Namespace, write_page: WritePage) -> Coroutine[Any, Any, None]:
    """What the command line asks for. Raises KleinbildError."""
    port = _port(args.port)
    if args.command == "bench":
        return bench(args.site, _bench_options(args), write_page)
    if args.command == "kiosk":
        return _kiosk(args)
    site = open_site(args.site)
    if args.command == "generate":
        # Its numpy is heavy, and a machine that only serves or measures may lack it.
        from kleinbild.server.make.command import generate  # noqa: PLC0415

        return generate(site, _generate_options(args))
    if args.api:
        from kleinbild.server.api.command import serve_api  # noqa: PLC0415

        return serve_api(site, _api_arguments(args, port))
    return serve(site, args.host or DEFAULT_HOST, port, args.verbose)


async def _kiosk(args: argparse.Namespace) -> None:
    from kleinbild.server.kiosk.command import hash_pin, kiosk  # noqa: PLC0415

    if args.hash_pin:
        print(hash_pin(getpass.getpass))
    else:
        await kiosk(open_site(args.site), kiosk_options(args))


def _api_arguments(args: argparse.Namespace, port: int) -> ApiArguments:
    from kleinbild.server.api.options import ApiArguments  # noqa: PLC0415

    def given(dest: str) -> Any:
        value = getattr(args, dest)
        return API_OPTIONS[dest] if value is None else value

    return ApiArguments(
        host=args.host or DEFAULT_HOST,
        port=port,
        public_name=given("public_name"),
        key_file=given("key_file"),
        tls_cert=given("tls_cert"),
        tls_key=given("tls_key"),
        tls_self_signed=given("tls_self_signed"),
        cors=tuple(given("cors")),
        max_waiting=given("max_waiting"),
        keep_seconds=given("keep_seconds"),
        keep_mb=given("keep_mb"),
        grace=given("grace"),
        precision=given("api_precision"),
        adapter=given("api_adapter"),
        memory_budget=given("api_budget"),
        attach=given("attach"),
        page_wait=given("page_wait"),
        verbose=args.verbose,
    )


def _generate_options(args: argparse.Namespace) -> GenerateOptions:
    return GenerateOptions(
        prompt=args.prompt or "",
        output=args.output,
        batch=args.batch,
        output_dir=args.output_dir,
        width=args.width,
        height=args.height,
        seed=args.seed,
        steps=args.num_steps,
        latents=args.latents,
        precision=args.precision,
        adapter=args.adapter,
        dump=args.dump,
        memory_budget=args.memory_budget,
        server=not args.no_server,
        preview=args.preview,
        json=args.json,
        verbose=args.verbose,
    )


def _bench_options(args: argparse.Namespace) -> BenchOptions:
    return BenchOptions(
        sizes=args.sizes,
        steps=args.steps,
        precision=args.precision,
        adapter=args.adapter,
        model=args.model,
        family=args.family,
        weights=args.weights,
        block_size=args.block_size,
        zero_points=args.zero_points,
        quick=args.quick,
        json=args.json,
        verbose=args.verbose,
    )
