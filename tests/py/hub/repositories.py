"""Repositories of a few kilobytes: right names, and content that only fetching looks at."""

from __future__ import annotations

import json
import random

MIB = 1 << 20

NOISE = random.Random(1).randbytes(300_000)


def checkpoint_files() -> dict[str, bytes]:
    """A checkpoint: the text encoder in two shards, the rest in one file each, and much that nobody needs."""
    shards = {f"layer.{i}": f"model-0000{1 + i // 2}-of-00002.safetensors" for i in range(4)}
    needed = {
        "model_index.json": b'{"_class_name": "Flux2KleinPipeline"}',
        "scheduler/scheduler_config.json": b"{}",
        "text_encoder/config.json": b'{"part": "text"}',
        "text_encoder/model.safetensors.index.json": json.dumps({"weight_map": shards}).encode(),
        "text_encoder/model-00001-of-00002.safetensors": NOISE[:5000],
        "text_encoder/model-00002-of-00002.safetensors": NOISE[5000:9000],
        "transformer/config.json": b'{"part": "transformer"}',
        "transformer/diffusion_pytorch_model.safetensors": NOISE,
        "vae/config.json": b'{"part": "vae"}',
        "vae/diffusion_pytorch_model.safetensors": NOISE[:2000],
        "tokenizer/tokenizer.json": b'{"version": "1.0"}',
        "tokenizer/tokenizer_config.json": b"{ }",
        "tokenizer/chat_template.jinja": b"{{ messages }}",
        "tokenizer/vocab.json": b'{"a": 0}',
    }
    needless = {
        ".gitattributes": b"*.safetensors filter=lfs",
        "README.md": b"---\nlicense: apache-2.0\n---\n",
        "flux-2-klein-4b.safetensors": NOISE[:7000],
        "teaser.png": b"\x89PNG",
        "text_encoder/model.safetensors": NOISE[:6000],
        "text_encoder/pytorch_model.bin": b"pickle",
        "text_encoder/generation_config.json": b"{}",
        "tokenizer/old/merges.txt": b"a b",
        "transformer/diffusion_pytorch_model.fp16.safetensors": NOISE[:3000],
        "vae_encoder/diffusion_pytorch_model.safetensors": NOISE[:1000],
    }
    return needed | needless


CHECKPOINT_NEEDLESS = frozenset(
    {
        ".gitattributes",
        "README.md",
        "flux-2-klein-4b.safetensors",
        "teaser.png",
        "text_encoder/model.safetensors",
        "text_encoder/pytorch_model.bin",
        "text_encoder/generation_config.json",
        "tokenizer/old/merges.txt",
        "transformer/diffusion_pytorch_model.fp16.safetensors",
        "vae_encoder/diffusion_pytorch_model.safetensors",
    }
)


def bundle_files() -> dict[str, bytes]:
    """A bundle as published: no key for the tokenizer's folder, shards behind a manifest, a stray graph."""
    config = {
        "models": {
            "text_encoder": {"file": "text.onnx", "manifest": "text-manifest.json"},
            "transformer": {"file": "transformer.onnx", "manifest": "transformer-manifest.json"},
            "vae_decoder_pre": {"file": "vae.onnx", "manifest": None},
        }
    }
    return {
        "flux2-config.json": json.dumps(config).encode(),
        "text.onnx": NOISE[:100],
        "text-manifest.json": b'["text-00001.onnx_data", "text-00002.onnx_data"]\n',
        "text-00001.onnx_data": NOISE[:4000],
        "text-00002.onnx_data": NOISE[4000:6000],
        "transformer.onnx": NOISE[:200],
        "transformer-manifest.json": b'["transformer-00001.onnx_data"]\n',
        "transformer-00001.onnx_data": NOISE[:8000],
        "vae.onnx": NOISE[:300],
        "tokenizer/tokenizer.json": b"{}",
        "tokenizer/tokenizer_config.json": b"{}",
        "tokenizer/chat_template.jinja": b"{{ messages }}",
        "README.md": b"card",
        "other-quantisation.onnx": NOISE[:900],
        "other-00001.onnx_data": NOISE[:900],
    }


BUNDLE_NEEDLESS = frozenset({"README.md", "other-quantisation.onnx", "other-00001.onnx_data"})
