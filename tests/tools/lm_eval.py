#!/usr/bin/env python3
"""Perplexity of a language model in ONNX: lm_eval.py MODEL.onnx DATA.npz [SEQUENCES]

DATA holds `input_ids`, int64 [n, length]; MODEL turns a batch of them into logits. Each token but
the first of a sequence is predicted from those before it; the result is exp of the mean negative
log-likelihood in nats over the first SEQUENCES (default 64) sequences.

ONNX Runtime runs the model on the CPU with its 'basic' graph optimizations only: these keep every
bit, while the higher levels turn 4-bit weights into kernels that also round the activations.
"""
import sys
import time

import numpy as np
import onnxruntime

BATCH = 8


def open_session(path, threads=0):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def negative_log_likelihood(logits, tokens):
    """Summed over all predictions of a batch: logits [b, t, v] against tokens [b, t]."""
    scores = logits[:, :-1].astype(np.float64)
    scores -= scores.max(axis=-1, keepdims=True)
    normalizer = np.log(np.exp(scores).sum(axis=-1))
    chosen = np.take_along_axis(scores, tokens[:, 1:, None], axis=-1)[..., 0]
    return float((normalizer - chosen).sum())


def perplexity(model, data, sequences=64, threads=0):
    session = open_session(model, threads)
    name = session.get_inputs()[0].name
    tokens = np.load(data)["input_ids"][:sequences]
    total = 0.0
    for start in range(0, len(tokens), BATCH):
        batch = tokens[start:start + BATCH]
        total += negative_log_likelihood(session.run(None, {name: batch})[0], batch)
    return float(np.exp(total / (tokens.shape[0] * (tokens.shape[1] - 1)))), len(tokens)


def main(model, data, sequences="64"):
    begin = time.monotonic()
    value, count = perplexity(model, data, int(sequences))
    print(f"perplexity {value:.4f}  sequences {count}  seconds {time.monotonic() - begin:.1f}")


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    main(*sys.argv[1:])
