"""A hand-made dist/ for tests of the server: every kind of file, and a page with a stand-in for the model.

The page runs the real src_js/app/headless.js, so `serve.py generate` can be tried from end to end in seconds
and without WebGPU. What the stand-in does is named by the prompt (see MAIN_JS).
"""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[3]
BUILD = "b1"
CHANNELS, TEXT_ROWS, PROMPT_WIDTH = 128, 512, 96
CONFIG: dict[str, Any] = {
    "transformer": {"in_channels": CHANNELS, "joint_attention_dim": PROMPT_WIDTH},
    "prompt": {"text_seq_len": TEXT_ROWS},
    "default_width": 64,
    "default_height": 64,
    "default_steps": 2,
}

MAIN_JS = """
import { runHeadless } from "./headless.js";
import { KleinbildError } from "../errors.js";

class StandIn {
  async start({ precision }, onProgress) {
    onProgress({ stage: "loading", step: 1, steps: 2, fraction: 0.5 });
    await fetch("/w/SHARD.bin");
    return { vendor: "stand-in", architecture: "", description: "", precision };
  }
  async generate(s, { onProgress, onTrace, onPreview, memoryBudget }) {
    if (s.prompt === "budget") throw new KleinbildError("too-large", `the budget is ${memoryBudget}`);
    if (s.prompt === "no gpu") throw new KleinbildError("no-adapter", "requestAdapter gave null");
    if (s.prompt === "bad type") throw new TypeError("line one\\nline two");
    if (s.prompt === "fault") {
      queueMicrotask(() => { throw new Error("stray"); });
      await new Promise(() => {});
    }
    if (s.prompt === "lost") throw new KleinbildError("device-lost", "The GPU was lost.");
    if (s.prompt === "slow") await new Promise((resolve) => setTimeout(resolve, 300));
    if (s.prompt === "hang" || s.prompt === "deaf") {
      onProgress({ stage: "transformer", step: 0, steps: s.steps, fraction: 0.1 });
      await new Promise((_, reject) => { if (s.prompt === "hang") this.stop = reject; });
    }
    const n = (s.width / 16) * (s.height / 16);
    const prompt_rows = TEXT_ROWS * PROMPT_WIDTH;
    const f32 = (count, shape) => ({ dtype: "float32", shape, data: new Float32Array(count).fill(0.5) });
    const ids = Int32Array.from({ length: TEXT_ROWS }, (_, i) => i);
    const i32 = () => ({ dtype: "int32", shape: [TEXT_ROWS], data: ids });
    if (onTrace) {
      onTrace("input_ids", i32());
      onTrace("attention_mask", i32());
      onTrace("prompt_embeds", f32(prompt_rows, [TEXT_ROWS, PROMPT_WIDTH]));
      onTrace("sigmas", f32(s.steps + 1, [s.steps + 1]));
    }
    for (let i = 0; i < s.steps; i++) {
      onProgress({ stage: "transformer", step: i + 1, steps: s.steps, fraction: (i + 1) / s.steps });
      const latents = s.latents ?? new Float32Array(n * 128);
      if (onTrace) onTrace(`latents_${i}`, { dtype: "float32", shape: [n, 128], data: latents });
    }
    if (onTrace && s.prompt !== "short trace") {
      onTrace("decoded", f32(3 * s.width * s.height, [3, s.height, s.width]));
      onTrace("image", { dtype: "uint8", shape: [s.height, s.width, 3],
        data: new Uint8Array(3 * s.width * s.height).fill(Number(s.seed % 251n)) });
    }
    onPreview?.({ step: 1, width: 2, height: 1, rgba: new Uint8ClampedArray(8).fill(255) });
    const png = await (await fetch("/v/b1/picture.png")).arrayBuffer();
    return { width: s.width, height: s.height, png, seconds: { transformer: 0.25 } };
  }
  cancel() { this.stop?.(new KleinbildError("cancelled", "The picture was cancelled.")); }
  terminate() {}
}
const token = /^#headless=(.+)$/.exec(location.hash)?.[1];
if (token) runHeadless(token, { client: new StandIn(), manifestUrl: "/models/fake.json" });
"""


def png(width: int, height: int) -> bytes:
    """A black RGB picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(bytes(height * (1 + 3 * width)))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def weight_file(folder: Path, data: bytes, suffix: str) -> dict[str, Any]:
    """Write a content-addressed file and return its manifest entry."""
    digest = hashlib.sha256(data).hexdigest()
    (folder / f"{digest}.{suffix}").write_bytes(data)
    size = len(data)
    path = f"w/{digest}.{suffix}"
    return {"path": path, "sha256": digest, "bytes": size, "encoding": "", "transfer_bytes": size}


def write_fake_site(root: Path) -> Path:
    """Write the site to `root` (created) and return it."""
    for folder in (
        "w",
        "models",
        "icons",
        f"v/{BUILD}/css",
        f"v/{BUILD}/src_js/app",
        f"v/{BUILD}/src_js/kernels",
    ):
        (root / folder).mkdir(parents=True)
    source = root / "v" / BUILD / "src_js"
    page = json.dumps({"manifest": "/models/fake.json", "build": BUILD})
    (root / "index.html").write_text(
        f'<!doctype html><script type="application/json" id="kleinbild">{page}</script>'
        f'<script type="module" src="/v/{BUILD}/src_js/app/main.js"></script>'
    )
    (root / "sw.js").write_text("// service worker\n")
    (root / "app.webmanifest").write_text("{}")
    (root / "icons" / "icon.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (root / "v" / BUILD / "css" / "app.css").write_text("body{}")
    (root / "v" / BUILD / "picture.png").write_bytes(png(64, 64))
    (source / "kernels" / "add.wgsl").write_text("// wgsl")
    for name in ("app/channel.js", "app/headless.js", "errors.js"):
        shutil.copy(ROOT / "src_js" / name, source / name)
    shutil.copytree(ROOT / "src_js" / "image", source / "image")
    shard = weight_file(root / "w", np.arange(1000, dtype=np.uint16).tobytes(), "bin")
    tokenizer = weight_file(root / "w", b"{}", "json")
    script = MAIN_JS.replace("SHARD", shard["sha256"])
    script = script.replace("TEXT_ROWS", str(TEXT_ROWS)).replace("PROMPT_WIDTH", str(PROMPT_WIDTH))
    (source / "app" / "main.js").write_text(script)
    manifest = {"schema": 4, "id": "fake", "config": CONFIG, "tokenizer": tokenizer, "shards": [shard]}
    (root / "models" / "fake.json").write_text(json.dumps(manifest))
    (root / "models" / "index.json").write_text("the page's list, which is no model")
    return root
