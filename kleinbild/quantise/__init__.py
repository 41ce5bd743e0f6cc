"""float32 linears -> 4-bit blocks (weights.Q4), with the scales that make the squared error small."""

from kleinbild.quantise.quantise import Quantised, quantise, quantise_measured

__all__ = ["Quantised", "quantise", "quantise_measured"]
