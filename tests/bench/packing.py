"""Packages a model of FLUX.2 Klein 4B's true shapes from memory: how fast it goes, and what a page downloads.

    python tests/bench/packing.py [--block-size 32] [--zero-points] [--distribution gauss] [--json FILE]

Weights are random (packing_source.py), so nothing but the packager's own work is measured: laying out,
hashing, compressing and writing. It writes about 4 GB to a temporary folder and removes it. Each part is also
measured alone on one core, beside a plain copy of as many bytes to the same disk. The tokenizer is the small
model's; the true one adds about 2 MB.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
from packing_source import DISTRIBUTIONS, PackingSource  # noqa: E402

from kleinbild.canonical import expected_tensors  # noqa: E402
from kleinbild.config import ModelConfig, config_from_json  # noqa: E402
from kleinbild.package.compression import WEIGHTS_HISTORY_BITS, compressed  # noqa: E402
from kleinbild.package.files import write_bytes  # noqa: E402
from kleinbild.package.layout import Storage, encode_part  # noqa: E402
from kleinbild.package.model import package_model  # noqa: E402
from kleinbild.package.model_index import write_models  # noqa: E402
from kleinbild.package.output import staged_folder  # noqa: E402
from kleinbild.package.report import Report  # noqa: E402
from kleinbild.package.shell import ShellSource, write_shell  # noqa: E402
from kleinbild.package.site_check import check_site  # noqa: E402
from kleinbild.package.vocabulary import read_vocabulary  # noqa: E402
from kleinbild.weights import BLOCK_SIZES  # noqa: E402

TOKENIZER = ROOT / "models" / "tiny" / "tokenizer"
MODELS = ROOT / "src_js" / "bench"
MEGA = 1e6
PARTS_SECONDS = 0.5


def main(arguments: Sequence[str]) -> int:
    """The command line; its exit status is 0 when the site that was packaged is whole."""
    options = _parser().parse_args(arguments)
    config = config_from_json(json.loads((MODELS / f"{options.model}.json").read_text()))
    source = PackingSource(
        config, TOKENIZER, options.distribution, options.block_size, symmetric=not options.zero_points
    )
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        speeds = measure_parts(source, Path(folder) / "copy")
        report, result = package_and_check(source, Path(folder) / "dist")
    result["parts_mb_per_second"] = speeds
    for part, speed in speeds.items():
        print(f"{part:<12} {speed:>7.0f} MB/s on one core")
    print(
        f"packaging    {result['mb_per_second']:>7.0f} MB/s: {source.read_bytes / 1e9:.2f} GB in "
        f"{result['seconds']:.1f} s on {result['cpu_seconds']:.1f} s of cores, at most "
        f"{result['peak_mb']:.0f} MB of memory; then {result['sums_seconds']:.1f} s of digests"
    )
    print(f"check        {result['check_seconds']:>7.1f} s")
    print("\n".join(report.lines + report.problems))
    if options.json:
        write_bytes(options.json, json.dumps(result, indent=1).encode())
    return 1 if report.problems else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="how fast weights are packaged, and how small they become")
    parser.add_argument("--model", choices=("klein4b", "small"), default="klein4b")
    parser.add_argument("--block-size", type=int, choices=BLOCK_SIZES, default=32)
    parser.add_argument("--zero-points", action="store_true", help="asymmetric 4-bit blocks")
    parser.add_argument("--distribution", choices=DISTRIBUTIONS, default="gauss")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="where to make the temporary folder")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the numbers to FILE")
    return parser


def package_and_check(source: PackingSource, out: Path) -> tuple[Report, dict[str, object]]:
    """Packages `source` as the site `out` and checks it: what check says, and the numbers."""
    read_vocabulary(source.tokenizer_folder, source.config)  # finds the Unicode classes, once in a process
    with staged_folder(out) as root:
        source.read_bytes = 0
        start, cores = time.perf_counter(), time.process_time()
        manifest = package_model(source, root, previous=None, log=lambda _: None)
        seconds, cpu = time.perf_counter() - start, time.process_time() - cores
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        write_models(root, [manifest])
        write_shell(ShellSource(), root, [manifest])
        sums = time.perf_counter()
    checked = time.perf_counter()
    report = Report()
    check_site(out, report)
    return report, {
        "block_size": source.block_size,
        "symmetric": source.symmetric,
        "distribution": source.distribution,
        "bundle_bytes": source.read_bytes,
        "seconds": seconds,
        "cpu_seconds": cpu,
        "mb_per_second": source.read_bytes / seconds / MEGA,
        "peak_mb": peak / MEGA,
        "sums_seconds": checked - sums,
        "check_seconds": time.perf_counter() - checked,
        "report": report.lines,
    }


def measure_parts(source: PackingSource, copy: Path) -> dict[str, float]:
    """MB/s of each part of the work alone on one core, and of writing as many bytes to the file `copy`."""
    weight = source.tensor("transformer", _a_large_linear(source.config))
    rows = weight.shape[0]
    out = np.zeros(Storage.of("linear", weight).part_bytes(rows), np.uint8)
    encode_part("linear", weight, 0, rows, out)
    jobs: dict[str, Callable[[], object]] = {
        "lay out": lambda: encode_part("linear", weight, 0, rows, out),
        "sha256": lambda: hashlib.sha256(out.data).digest(),
        "gzip": lambda: compressed(out.data, WEIGHTS_HISTORY_BITS),
        "plain copy": lambda: copy.write_bytes(out.data),
    }
    return {name: len(out) / _seconds(job) / MEGA for name, job in jobs.items()}


def _a_large_linear(config: ModelConfig) -> str:
    """The transformer's largest linear of a block."""
    specs = expected_tensors(config)["transformer"]
    return max((name for name in specs if "blocks." in name), key=lambda name: specs[name].shape)


def _seconds(job: Callable[[], object]) -> float:
    """Seconds that a core works on `job`: the least of several runs."""
    times: list[float] = []
    while not times or sum(times) < PARTS_SECONDS:
        start = time.thread_time()
        job()
        times.append(time.thread_time() - start)
    return min(times)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
