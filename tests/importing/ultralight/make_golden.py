"""Writes faces.png, slim.safetensors and rfb.safetensors from the published ONNX models and their picture 1.jpg.

usage: make_golden.py MODELS MODULES

MODELS holds version-slim-320_simplified.onnx, version-RFB-320_simplified.onnx and imgs/1.jpg of
Linzaer/Ultra-Light-Fast-Generic-Face-Detector-1MB (commit dffdddd); MODULES the folder whose node_modules
hold onnxruntime-node (tests/export installs one). Needs numpy and PIL. Made with ONNX Runtime 1.30.
"""
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image

HERE = pathlib.Path(__file__).resolve().parent
WIDTH, HEIGHT = 320, 240
SIZES = [[10, 16, 24], [32, 48], [64, 96], [128, 192, 256]]
STRIDES = [8, 16, 32, 64]
SCORE, IOU = 0.7, 0.3


def default_boxes():
    """Centre form, [4420, 4], in fractions of the picture."""
    boxes = []
    for sizes, stride in zip(SIZES, STRIDES):
        rows, columns = -(-HEIGHT // stride), -(-WIDTH // stride)
        for row in range(rows):
            for column in range(columns):
                centre = ((column + 0.5) * stride / WIDTH, (row + 0.5) * stride / HEIGHT)
                boxes += [centre + (size / WIDTH, size / HEIGHT) for size in sizes]
    return np.clip(np.array(boxes), 0, 1)


def run(model, modules, image):
    with tempfile.TemporaryDirectory() as folder:
        image.astype("<f4").tofile(f"{folder}/input.f32")
        script = HERE.parents[1] / "export" / "run_onnx.js"
        subprocess.run(["node", script, modules, model, folder, f"1,3,{HEIGHT},{WIDTH}"], check=True)
        return [np.fromfile(f"{folder}/0.{name}.f32", "<f4").reshape(-1, values)
                for name, values in (("boxes", 4), ("scores", 2))]


def iou(a, b):
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    common = np.prod(np.clip(sides, 0, None))
    return common / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - common)


def detections(locations, scores):
    """[K, 5]: corners in pixels and score, best first, after greedy suppression."""
    defaults = default_boxes()
    centre = locations[:, :2] * 0.1 * defaults[:, 2:] + defaults[:, :2]
    side = np.exp(locations[:, 2:] * 0.2) * defaults[:, 2:]
    corners = np.hstack([centre - side / 2, centre + side / 2]) * [WIDTH, HEIGHT, WIDTH, HEIGHT]
    kept = []
    for i in np.argsort(-scores[:, 1], kind="stable"):
        if scores[i, 1] > SCORE and all(iou(corners[i], corners[k]) <= IOU for k in kept):
            kept.append(i)
    clipped = np.clip(corners[kept], 0, [WIDTH, HEIGHT, WIDTH, HEIGHT])
    return np.hstack([clipped, scores[kept, 1:]])


def write_safetensors(path, tensors):
    header, data = {}, b""
    for name, tensor in tensors.items():
        block = tensor.astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": tensor.shape, "data_offsets": [len(data), len(data) + len(block)]}
        data += block
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def main():
    models, modules = pathlib.Path(sys.argv[1]), sys.argv[2]
    picture = Image.open(models / "imgs" / "1.jpg").convert("RGB").resize((WIDTH, HEIGHT), Image.BILINEAR)
    picture.save(HERE / "faces.png", optimize=True)
    image = (np.asarray(picture, np.float32).transpose(2, 0, 1) - 127) / 128
    for name, file in (("slim", "version-slim-320"), ("rfb", "version-RFB-320")):
        boxes, scores = run(models / f"{file}_simplified.onnx", modules, image)
        found = detections(boxes.astype(np.float64), scores.astype(np.float64))
        write_safetensors(HERE / f"{name}.safetensors", {"boxes": boxes, "scores": scores, "detections": found})
        print(name, len(found), "faces")


main()
