#!/usr/bin/env python3
"""The peer: ModelOpt's INT4 weight quantizer for ONNX, block 128: modelopt_int4.py MODEL.onnx OUT.onnx"""
import sys

import numpy as np
from modelopt.onnx.quantization import quantize

if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    # round to nearest looks at no data, but the function asks for some
    quantize(sys.argv[1], quantize_mode="int4", calibration_method="rtn_dq", output_path=sys.argv[2],
             calibration_eps=["cpu"], log_level="ERROR", use_external_data_format=True,
             calibration_data={"x": np.zeros((1, 4096), np.float16)})
