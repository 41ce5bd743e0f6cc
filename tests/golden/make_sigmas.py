"""Makes sigmas_numpy.json: the float32 noise levels of klein_numpy.sigmas.

Usage: python make_sigmas.py > sigmas_numpy.json
"""

import hashlib
import json

from klein_numpy import sigmas

TOKENS = (1, 16, 255, 256, 1024, 2304, 3600, 4096, 4299, 4300, 4301, 5000, 9216, 16384)
MAX_STEPS = 100

cases = []
for tokens in TOKENS:
    rows = [sigmas(tokens, steps) for steps in range(1, MAX_STEPS + 1)]
    digest = hashlib.sha256(b"".join(row.astype("<f4").tobytes() for row in rows)).hexdigest()
    few = {steps: [float(v) for v in rows[steps - 1]] for steps in (1, 2, 4)}
    cases.append({"tokens": tokens, "max_steps": MAX_STEPS, "sha256_of_all_steps": digest, "sigmas": few})
print(json.dumps({"cases": cases}, indent=0))
