"""Reads an ONNX bundle folder as canonical weights."""

from kleinbild.bundle.bundle import Bundle

__all__ = ["Bundle"]
