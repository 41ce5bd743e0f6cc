"""One thread for torch: tensors are small here, and threads waiting for each other cost more than they do."""

from __future__ import annotations

import torch

torch.set_num_threads(1)
