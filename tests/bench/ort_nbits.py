#!/usr/bin/env python3
"""The peer: ONNX Runtime's 4-bit weight quantizer, block 128, symmetric: ort_nbits.py MODEL.onnx OUT.onnx"""
import sys

import onnx
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    quantizer = MatMulNBitsQuantizer(onnx.load(sys.argv[1]), block_size=128, is_symmetric=True)
    quantizer.process()
    quantizer.model.save_model_to_file(sys.argv[2], True)
