#!/usr/bin/env python3
"""Writes tensors.safetensors from the format's description, with the standard library alone.

Run in this folder. The JSON lists the tensors in another order than the data, as the format allows.
"""
import json
import struct

floats = struct.pack("<6f", 1.5, -2, 0, float("inf"), 1e-40, 3)
longs = struct.pack("<2q", -(2**63), 2**63 - 1)
halves = struct.pack("<2e", 0.5, -65504)
bools = bytes([1, 0, 1])
data = longs + floats + halves + bools

at = {"longs": (0, 16), "floats": (16, 40), "halves": (40, 44), "bools": (44, 47)}
header = {
    "floats": {"dtype": "F32", "shape": [2, 3], "data_offsets": at["floats"]},
    "bools": {"dtype": "BOOL", "shape": [3], "data_offsets": at["bools"]},
    "__metadata__": {"made by": "make_tensors.py", "über": "\u2713"},
    "longs": {"dtype": "I64", "shape": [2], "data_offsets": at["longs"]},
    "halves": {"dtype": "F16", "shape": [2, 1], "data_offsets": at["halves"]},
    "none": {"dtype": "U8", "shape": [0, 7], "data_offsets": [16, 16]},
}
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
with open("tensors.safetensors", "wb") as file:
    file.write(struct.pack("<Q", len(text)) + text + data)
