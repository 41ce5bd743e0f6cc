"""How exact the page is on this GPU at the model's true width and depth, on weights made up on the spot.

    accuracy.py [--model klein4b] [--side 512] [--family plain|matrix] [--json FILE]

A headless Chromium ($CHROMIUM, else the one on PATH) computes kernels, one block of each kind, and a whole
picture with every boundary, twice; the reference (tests/golden/klein_numpy.py, its products on an NVIDIA GPU
where torch finds one) computes the same from the same numbers. Each line is rms(difference) / rms(reference);
the exit status is 0 when every bar holds and the second picture is the first, bit for bit.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
from aiohttp import web

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "golden")]

import klein_numpy  # noqa: E402
from accuracy_reference import Reference  # noqa: E402
from bench_browser import ADAPTERS, show  # noqa: E402
from products import use_gpu  # noqa: E402

from kleinbild.errors import KleinbildError  # noqa: E402
from kleinbild.server.static import static_files  # noqa: E402

PAGE = "/tests/bench/accuracy_page/index.html"
PROMPT = "a lighthouse at dusk"
SEED = 7
MOST_ARRAY_BYTES = 1 << 30
DTYPES = ("<f4", "<i4", "|u1")
# What each kind of result may be off by. In f16 a picture's boundaries, where errors add up, are only told.
BARS: dict[str, dict[str, float]] = {
    "f16": {"linear": 1e-3, "attention": 2e-3, "block": 3e-3, "boundary": math.inf},
    "f32": {"linear": 1e-4, "attention": 1e-4, "block": 1e-4, "boundary": 1e-4},
}

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Line:
    """One comparison."""

    name: str
    kind: str
    error: float
    bar: float
    kernels: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether the error is within the bar."""
        return self.error <= self.bar

    def __str__(self) -> str:
        bar = "" if math.isinf(self.bar) else f"  at most {self.bar:.0e}{'' if self.holds else '  EXCEEDED'}"
        return f"{self.name:<58} {self.error:9.2e}{bar}  {', '.join(self.kernels)}".rstrip()


class Results:
    """What the page sends; `ended` is done when it has sent everything."""

    def __init__(self) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.begin: dict[str, Any] = {}
        self.cases: list[dict[str, Any]] = []
        self.arrays: dict[str, Array] = {}

    def routes(self) -> tuple[web.RouteDef, ...]:
        """Where the page reports and sends arrays."""
        return web.post("/bench/report", self._take), web.post("/bench/array", self._take_array)

    async def _take(self, request: web.Request) -> web.Response:
        message = await request.json()
        match message["type"]:
            case "begin":
                self.begin = message
                print(f"{message['model']} in {message['precision']} on {message['adapter']}", flush=True)
            case "case":
                self.cases.append(message)
            case "end":
                self.ended.set_result(None)
            case "error":
                self.ended.set_exception(KleinbildError(f"the page failed: {message['message']}"))
        return web.Response()

    async def _take_array(self, request: web.Request) -> web.Response:
        name, dtype = request.query["name"], request.query["dtype"]
        if dtype not in DTYPES:
            return web.Response(status=400)
        shape = json.loads(request.query["shape"])
        self.arrays[name] = np.frombuffer(await request.read(), np.dtype(dtype)).reshape(shape)
        return web.Response()


async def compute(options: argparse.Namespace) -> Results:
    """Everything that the page computes."""
    results = Results()
    app = web.Application(client_max_size=MOST_ARRAY_BYTES)
    app.add_routes(results.routes())
    app.router.add_get("/{path:.*}", static_files(ROOT))
    bench = {
        "model": options.model,
        "precision": options.precision,
        "family": options.family,
        "blockSize": options.block_size,
        "zeroPoints": options.zero_points,
    }
    wanted = {"bench": bench, "side": options.side, "prompt": PROMPT, "seed": str(SEED)}
    with tempfile.TemporaryDirectory(prefix="kleinbild-accuracy-", ignore_cleanup_errors=True) as folder:
        address = f"{PAGE}#{quote(json.dumps(wanted))}"
        await show(app, address, results.ended, Path(folder), options.adapter)
    return results


def compare(results: Results) -> list[Line]:
    """One line for each case and boundary, printed as it comes."""
    manifest = results.begin["manifest"]
    bars = BARS[results.begin["precision"]]
    reference = Reference(manifest)
    lines: list[Line] = []

    def add(name: str, kind: str, actual: Array, expected: Array, kernels: list[str]) -> None:
        bar = next(bars[known] for known in bars if kind.endswith(known))
        lines.append(Line(name, kind, relative_rms(actual, expected), bar, kernels))
        print(lines[-1], flush=True)

    for case in results.cases:
        actual, expected = reference.case(case, results.arrays[case["name"]])
        add(case["name"], case["kind"], actual, expected, case["kernels"])
    traced = {name[2:]: array for name, array in results.arrays.items() if name.startswith("0 ")}
    _, height, width = traced["decoded"].shape
    channels = manifest["config"]["transformer"]["in_channels"]
    tokens = len(traced["latents_0"])
    rows = round(math.sqrt(tokens * height / width))
    noise = klein_numpy.torch_randn(SEED, channels * tokens).reshape(channels, rows, tokens // rows)
    sigmas = klein_numpy.sigmas(tokens, len(traced["sigmas"]) - 1)
    for name, expected in reference.picture(traced["input_ids"], traced["attention_mask"], noise, sigmas):
        add(f"picture {width} x {height}: {name}", "boundary", traced[name], expected, [])
    return lines


def relative_rms(actual: Array, expected: Array) -> float:
    """rms(actual - expected) / rms(expected)."""
    wide = expected.astype(np.float64)
    return float(np.sqrt(((actual - wide) ** 2).mean() / (wide**2).mean()))


def changed(arrays: dict[str, Array]) -> list[str]:
    """Boundaries of the second picture that are not the first one's, bit for bit."""
    first = [name[2:] for name in arrays if name.startswith("0 ")]
    return [name for name in first if arrays[f"0 {name}"].tobytes() != arrays[f"1 {name}"].tobytes()]


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", choices=("klein4b", "small"), default="klein4b")
    parser.add_argument("--side", type=int, default=512, help="pixels of the picture's sides (default 512)")
    parser.add_argument("--precision", choices=("auto", "f16", "f32"), default="auto")
    parser.add_argument("--family", choices=("auto", "plain", "matrix"), default="auto", help="of kernels")
    parser.add_argument("--block-size", type=int, choices=(16, 32, 64, 128), default=32)
    parser.add_argument("--zero-points", action="store_true")
    parser.add_argument("--adapter", choices=ADAPTERS, default="auto")
    parser.add_argument("--json", type=Path, help="write the lines to this file, too")
    options = parser.parse_args()
    try:
        results = asyncio.run(compute(options))
    except KleinbildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"reference: {use_gpu(klein_numpy)}", flush=True)
    lines = compare(results)
    different = changed(results.arrays)
    print(f"the same picture again: {', '.join(different) or 'nothing'} changed")
    if options.json:
        report = {name: results.begin[name] for name in ("adapter", "precision", "model")}
        report |= {"side": options.side, "family": options.family, "changed": different}
        report["lines"] = [asdict(line) for line in lines]
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0 if not different and all(line.holds for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
