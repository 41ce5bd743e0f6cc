"""Lets every test import the package and the helpers of this folder (checkpoint_factory and the like)."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

sys.path[:0] = [str(HERE), str(HERE.parents[1])]
