"""ONNX graphs with weights of eight bits. Needs the package onnx."""

import logging
import tempfile
from pathlib import Path

import onnx
from onnx import TensorProto
from onnxruntime import quantization

_QUANTIZED = {"MatMulInteger", "ConvInteger", "DynamicQuantizeLSTM", "DynamicQuantizeLinear"}


class Unquantizable(Exception):
    """There is nothing in it to quantize, or the library cannot; the message says what."""


def quantized(content: bytes) -> bytes:
    """The same graph with weights of eight bits, whose inputs are quantized as they come; raises Unquantizable."""
    model = onnx.load_model_from_string(content)
    if any(tensor.data_location == TensorProto.EXTERNAL for tensor in model.graph.initializer):
        raise Unquantizable("its weights lie in files of their own")
    # It recommends a step that only matters for pictures.
    logging.getLogger().addFilter(_is_no_advice)
    try:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "model.onnx"
            quantization.quantize_dynamic(model, file, weight_type=quantization.QuantType.QInt8)
            found = file.read_bytes()
    except Exception as error:  # the library's errors have no class of their own in common
        raise Unquantizable(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}") from error
    finally:
        logging.getLogger().removeFilter(_is_no_advice)
    if not any(node.op_type in _QUANTIZED for node in onnx.load_model_from_string(found).graph.node):
        raise Unquantizable("it has no products of matrices, which are what eight bits make faster")
    return found


def _is_no_advice(record: logging.LogRecord) -> bool:
    return "pre-processing" not in record.getMessage()
