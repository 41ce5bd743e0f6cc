"""Writes a checkpoint as an ONNX bundle in the format of the published q4 bundle."""

from kleinbild.export.export import export_bundle
from kleinbild.export.losses import Losses
from kleinbild.export.source import Variant, WeightSource

__all__ = ["Losses", "Variant", "WeightSource", "export_bundle"]
