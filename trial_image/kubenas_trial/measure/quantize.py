"""Dynamic quantization to 8 bits."""

from __future__ import annotations

import logging
from pathlib import Path

from onnxruntime.quantization import QuantType, quantize_dynamic


def quantize(path: Path, quantized: Path) -> None:
    """Write the network of the ONNX file `path` with 8-bit weights to `quantized`.

    Weights of convolutions and matrix products are rounded once, activations as they come (dynamic quantization), so
    that no data are needed to calibrate.
    """
    # It advises a preparation that our exports do not need, as the log's root.
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        # Unsigned, as onnxruntime's integer convolution on CPUs takes no other everywhere.
        quantize_dynamic(path, quantized, weight_type=QuantType.QUInt8)
    finally:
        root.setLevel(level)
