"""Judges pictures of scenes by their pixels alone; numpy only, trained by nobody."""

from training.judge.verdict import Verdict, judge

__all__ = ["Verdict", "judge"]
