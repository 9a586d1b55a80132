#!/usr/bin/env python3
"""Lines of text as PP-OCRv4's recognizer reads them: ocr_lines.py OUT.npz SEED [COUNT]

OUT holds `x`, float32 [COUNT, 3, 48, 320]: rendered words and numbers in several sizes, colours and
slants, on plain, shaded and noisy grounds, scaled to 48 rows, (value / 255 - 0.5) / 0.5, filled up
with zeros on the right. The font is the one inside Pillow, so that any machine draws the same text.

agreement(MODEL, OTHER, X) compares the decoded steps of two models.
"""
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageDraw, ImageFilter, ImageFont

ROWS, COLUMNS = 48, 320
BLANK = 0  # the class that means: no new character
WORDS = """invoice total amount due Street Avenue payment receipt north river garden window yellow
number quick brown fox jumps over lazy dog packed my box with five dozen liquor jugs Customer Order
quantity price exit entrance platform station Monday Friday October coffee sugar kitchen hotel room
open closed daily until service charge table London Madrid Vienna street market fresh bread""".split()


def text_of(random):
    """Words, prices, dates and codes: one to three of them."""
    parts = []
    for _ in range(random.integers(1, 4)):
        kind = random.integers(6)
        if kind < 3:
            word = WORDS[random.integers(len(WORDS))]
            parts.append((word, word.upper(), word.title())[kind])
        elif kind == 3:
            parts.append(f"${random.integers(1, 999)}.{random.integers(100):02}")
        elif kind == 4:
            parts.append(f"{random.integers(1, 29):02}/{random.integers(1, 13):02}/{random.integers(1990, 2030)}")
        else:
            parts.append("".join(random.choice(list("ABCDEFGHKLMNPQRSTUVWXYZ0123456789-#"), 6)))
    return " ".join(parts)


def ground(random, height, width):
    """A light or dark area, plain, shaded from left to right, or noisy; and a colour to write in."""
    dark = random.random() < 0.25
    base = random.uniform(0, 70, 3) if dark else random.uniform(180, 255, 3)
    area = np.broadcast_to(base, (height, width, 3)).copy()
    kind = random.integers(3)
    if kind == 1:
        area += np.linspace(-30, 30, width)[None, :, None]
    elif kind == 2:
        area += random.normal(0, 8, area.shape)
    ink = random.uniform(190, 255, 3) if dark else random.uniform(0, 90, 3)
    return Image.fromarray(area.clip(0, 255).astype(np.uint8)), tuple(int(v) for v in ink)


def line(random):
    size = int(random.integers(18, 56))
    font = ImageFont.load_default(size)
    text = text_of(random)
    left, top, right, bottom = font.getbbox(text)
    margin = int(random.integers(2, 2 + size // 3))
    picture, ink = ground(random, bottom - top + 2 * margin, right - left + 2 * margin)
    ImageDraw.Draw(picture).text((margin - left, margin - top), text, fill=ink, font=font)
    if random.random() < 0.3:
        slant = random.uniform(-0.2, 0.2)
        picture = picture.transform(picture.size, Image.Transform.AFFINE, (1, slant, 0, 0, 1, 0),
                                    Image.Resampling.BILINEAR, fillcolor=picture.getpixel((0, 0)))
    if random.random() < 0.3:
        picture = picture.filter(ImageFilter.GaussianBlur(random.uniform(0.3, 1.0)))
    return picture


def prepare(picture):
    """[3, 48, 320], channels in the order blue, green, red."""
    width = max(1, round(picture.width * ROWS / picture.height))
    scaled = np.asarray(picture.resize((width, ROWS), Image.Resampling.BILINEAR), np.float32)
    out = np.zeros((3, ROWS, COLUMNS), np.float32)
    out[:, :, :width] = ((scaled[:, :, ::-1] / 255 - 0.5) / 0.5).transpose(2, 0, 1)
    return out


def lines(seed, count):
    """Text that would have to be squeezed is drawn again: the model reads wider pictures for it."""
    random = np.random.Generator(np.random.PCG64(seed))
    out = []
    while len(out) < count:
        picture = line(random)
        if picture.width * ROWS <= COLUMNS * picture.height:
            out.append(prepare(picture))
    return np.stack(out)


def steps(path, x, batch=8):
    """The class chosen at each step: [n, steps]."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: x[i:i + batch]})[0].argmax(-1)
                           for i in range(0, len(x), batch)])


def decoded(row):
    """A line's classes without repetitions and blanks."""
    return [c for i, c in enumerate(row) if c != BLANK and (i == 0 or c != row[i - 1])]


def agreement(model, other, x):
    """Shares that agree: of all steps, of steps where `model` sees a character, of whole lines."""
    a, b = steps(model, x), steps(other, x)
    seen = a != BLANK
    whole = np.mean([decoded(p) == decoded(q) for p, q in zip(a, b)])
    return float((a == b).mean()), float((a == b)[seen].mean()), float(whole)


def main(out, seed, count="64"):
    np.savez(out, x=lines(int(seed), int(count)))


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    main(*sys.argv[1:])
