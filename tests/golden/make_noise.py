"""Makes noise_torch.json: what torch.randn gives on the CPU. Needs torch (made with 2.13.0, x86-64 with AVX2).

Usage: python make_noise.py > noise_torch.json
"""

import hashlib
import json

import torch

SEEDS = (0, 1, 123, 42_000_000_000, 2**32 + 5, 2**63, 2**64 - 1)
COUNTS = (1, 2, 7, 15, 16, 17, 31, 32, 33, 100, 1000, 2048)  # below, at and beside torch's blocks of 16
LARGE = ((0, 524_288), (2**32 + 5, 1_000_003))


def case(seed, count):
    values = torch.randn(count, generator=torch.Generator("cpu").manual_seed(seed)).numpy()
    return {
        "seed": str(seed),
        "count": count,
        "sha256": hashlib.sha256(values.astype("<f4").tobytes()).hexdigest(),
        "first": [float(v) for v in values[:4]],
        "last": [float(v) for v in values[-4:]],
    }


cases = [case(seed, count) for seed in SEEDS for count in COUNTS] + [case(*pair) for pair in LARGE]
print(json.dumps({"torch": torch.__version__, "cases": cases}, indent=0))
