"""Times onnxruntime-web and Kleinbild's kernels on the same GPU, in the same browser, at the same shapes.

    python tests/bench/peer.py [--quick] [--only TEXT] [--ort DIR] [--json FILE]

Needs Python with aiohttp, numpy and onnx, a Chromium ($CHROMIUM, else the one on PATH), and two files of
onnxruntime-web's dist folder; no network. Graphs and weights are made on the spot in a temporary folder.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # the package need not be installed on the machine with the GPU

from onnx import TensorProto  # noqa: E402
from peer_folder import GraphFolder  # noqa: E402
from peer_plan import make_plan  # noqa: E402
from peer_run import PeerRun  # noqa: E402
from peer_server import ORT_FILES  # noqa: E402
from peer_shapes import full_shapes, quick_shapes  # noqa: E402
from peer_table import best_rows, render, table_rows  # noqa: E402

from kleinbild.errors import KleinbildError  # noqa: E402
from kleinbild.server.generate.chromium import has_gpu  # noqa: E402

ORT_FOLDER = ROOT / "node_modules" / "onnxruntime-web" / "dist"
SIGINT_STATUS = 130


def main(arguments: Sequence[str]) -> int:
    """The command line; its exit status is 0 when every row has both times."""
    options = _parser().parse_args(arguments)
    try:
        return asyncio.run(_measure(options))
    except KleinbildError as error:
        print(f"peer: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return SIGINT_STATUS


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="onnxruntime-web and Kleinbild on the same GPU and shapes")
    parser.add_argument("--quick", action="store_true", help="tiny shapes that a software adapter can run")
    parser.add_argument("--only", default="", metavar="TEXT", help="only rows whose label contains TEXT")
    parser.add_argument(
        "--ort", type=Path, default=ORT_FOLDER, metavar="DIR", help="folder of ONNX Runtime's files"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results to FILE")
    parser.add_argument("--adapter", choices=("auto", "hardware", "software"), default="auto")
    parser.add_argument(
        "--job-seconds", type=float, default=90.0, metavar="S", help="longest one job may take"
    )
    parser.add_argument(
        "--budget-seconds", type=float, default=220.0, metavar="S", help="no job begins after S"
    )
    return parser


async def _measure(options: argparse.Namespace) -> int:
    for name in ORT_FILES:
        if not (options.ort / name).is_file():
            raise KleinbildError(
                f"{options.ort / name}: no such file; run npm ci, or name its folder with --ort"
            )
    software = options.adapter == "software" or (options.adapter == "auto" and not has_gpu())
    # SwiftShader has no float16; both engines compute in float32 there.
    element, float_type = (TensorProto.FLOAT, "float32") if software else (TensorProto.FLOAT16, "float16")
    shapes = quick_shapes() if options.quick else full_shapes()
    plan = make_plan(shapes, float_type).only(lambda label: options.only in label)
    if not plan.rows:
        raise KleinbildError(f"no row's label contains {options.only!r}")
    run = PeerRun(
        plan, options.job_seconds, options.budget_seconds, lambda text: print(text, file=sys.stderr)
    )
    with tempfile.TemporaryDirectory(prefix="kleinbild-graphs-") as folder:
        await run.run(GraphFolder(Path(folder), shapes, element), options.ort, software)
    rows = table_rows(plan, run.outcomes, run.families)
    best = best_rows(rows)
    gpu = " ".join(run.adapter[key] for key in ("vendor", "architecture", "description") if run.adapter[key])
    print("\n".join([f"{gpu}, {float_type}", *sorted(run.notes), ""]))
    print(render(rows + best))
    if options.json:
        result = {
            "adapter": run.adapter,
            "engines": sorted(run.notes),
            "float": float_type,
            "rows": rows,
            "best": best,
            "rounds_ms": {f"{family}: {job}": outcome.ms for (job, family), outcome in run.outcomes.items()},
        }
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0 if all(row["ratio"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
