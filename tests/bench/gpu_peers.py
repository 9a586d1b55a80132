#!/usr/bin/env python3
"""What PyTorch (eager and torch.compile) and NVIDIA's ModelOpt make of the same weight transforms.

bfloat16 [16384, 16384], in device memory; each function and a copy of the tensor take turns. Prints
the bytes that the transform must read and write over its time, as a fraction of the copy's rate:
what peers read and write in between is theirs to avoid. Rows that cannot run say why.
"""
import statistics

import torch

SIZE, ROUNDS, WARM = 16384, 12, 3


def elapsed(function):
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    function()
    end.record()
    torch.cuda.synchronize()
    return begin.elapsed_time(end) * 1e-3


def row(name, function, written, weight, room):
    """`written` bytes are the least that its results take."""
    def copy():
        room.copy_(weight)
    try:
        for _ in range(WARM):
            function(weight)
            copy()
        times = [(elapsed(lambda: function(weight)), elapsed(copy)) for _ in range(ROUNDS)]
    except Exception as error:  # a peer that cannot run is a line of the table, not the end
        print(f"skip {name}: {type(error).__name__}: {str(error).splitlines()[0][:120]}", flush=True)
        return
    seconds, copied = (statistics.median(column) for column in zip(*times))
    size = weight.numel() * weight.element_size()
    print(f"{name:34}{seconds * 1e6:10.1f} us{(size + written) / seconds * 1e-9:7.0f} GB/s"
          f"{(size + written) / seconds / (2 * size / copied):8.3f}", flush=True)


def channel_scale(weight, largest):
    return weight.abs().amax(dim=1, keepdim=True).float() / largest


def fp8(weight):
    scale = channel_scale(weight, 448.0)
    return (weight / scale).clamp(-448, 448).to(torch.float8_e4m3fn), scale


def int8(weight):
    scale = channel_scale(weight, 127.0)
    return torch.round(weight / scale).clamp(-128, 127).to(torch.int8), scale


def int4(weight):
    blocks = weight.view(weight.shape[0], -1, 128)
    scale = blocks.abs().amax(dim=2, keepdim=True).float() / 7
    codes = torch.round(blocks / scale).clamp(-8, 7).to(torch.int8).view_as(weight)
    return codes[:, 0::2] & 15 | codes[:, 1::2] << 4, scale


def keep_two_of_four(weight):
    groups = weight.view(-1, 4)
    kept = groups.abs().topk(2, dim=1).indices
    mask = torch.zeros_like(groups, dtype=torch.bool).scatter_(1, kept, True)
    return (groups * mask).view_as(weight)


def modelopt_rows():
    try:
        from modelopt.torch.quantization.qtensor import INT4QTensor, NVFP4QTensor
        from modelopt.torch.sparsity.weight_sparsity.magnitude import create_asp_mask
    except ImportError as error:
        print(f"skip ModelOpt: {error}")
        return
    count = SIZE * SIZE
    yield "ModelOpt nvfp4", lambda w: NVFP4QTensor.quantize(w, 16), count // 2 + count // 16
    yield "ModelOpt int4 block(128)", lambda w: INT4QTensor.quantize(w, 128), count // 2
    yield "ModelOpt 2:4 mask", lambda w: create_asp_mask(w, "2:4 sparsity"), count


def main():
    torch.manual_seed(0)
    weight = torch.randn(SIZE, SIZE, device="cuda", dtype=torch.bfloat16)
    room, count = torch.empty_like(weight), weight.numel()
    print(f"PyTorch {torch.__version__}, {torch.cuda.get_device_name()}, medians of {ROUNDS}\n"
          f"{'':34}{'':>13}{'needed':>12}  of a copy")
    plain = (("fp8 per channel", fp8, count), ("int8 per channel", int8, count),
             ("int4 block(128)", int4, count // 2))
    for name, function, written in plain:
        row("eager " + name, function, written, weight, room)
    row("eager 2:4, fp8 per channel", lambda w: fp8(keep_two_of_four(w)), count, weight, room)
    row("eager 2:4, int4 block(128)", lambda w: int4(keep_two_of_four(w)), count // 2, weight, room)
    for name, function, written in plain:
        row("torch.compile " + name, torch.compile(function), written, weight, room)
    for name, function, written in modelopt_rows():
        row(name, function, written, weight, room)


if __name__ == "__main__":
    main()
