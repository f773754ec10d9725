#!/usr/bin/env python3
"""Writes the pytorch_*.pth files with PyTorch 1.13 (Debian's python3-torch; run /usr/bin/python3).

Run in this folder. Element i of a tensor, counted row by row, is (7 i + 3 n) modulo 61, n being its
number in the file (for bool, whether that is odd); the test computes the same.
"""
import argparse
import collections
import io
import struct
import sys
import types
import zipfile

import numpy
import torch

DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int8, torch.uint8,
          torch.int16, torch.int32, torch.int64, torch.bool]
SHAPES = [(2, 3), (4,), (), (0, 3), (1, 2, 1, 3), (5,), (2, 2), (7,), (3, 1), (6,)]


def values(shape, number, dtype=torch.float32):
    count = 1
    for size in shape:
        count *= size
    flat = [(7 * i + 3 * number) % 61 for i in range(count)]
    if dtype == torch.bool:
        return torch.tensor([v % 2 == 1 for v in flat], dtype=dtype).reshape(shape)
    return torch.tensor(flat, dtype=torch.float64).to(dtype).reshape(shape)


def every_type():
    return collections.OrderedDict(
        (f"t{n}", values(shape, n, dtype)) for n, (dtype, shape) in enumerate(zip(DTYPES, SHAPES)))


def strided():
    base = values((4, 6), 0)
    state = collections.OrderedDict()
    state["base"] = base
    state["transposed"] = base.t()
    state["slice"] = base[1:, 1::2]
    state["expanded"] = base[0, :1].expand(3, 2)
    state["overlapping"] = base.reshape(-1).as_strided((3, 4), (2, 1), 5)
    state["channels_last"] = values((1, 2, 2, 3), 1).contiguous(memory_format=torch.channels_last)
    state["parameter"] = torch.nn.Parameter(base[2])
    return state


def nested():
    weights = collections.OrderedDict((f"module.{n}", values((2,), i)) for i, n in enumerate("ab"))
    optimizer = {"state": {0: {"momentum": values((2,), 5)}}, "param_groups": [{"lr": 0.1}]}
    return {"epoch": 12, "best_map": numpy.float64(0.7625), "arch": "ssd", "resumed": True,
            "args": argparse.Namespace(lr=0.01), "device": torch.device("cpu"),
            "size": torch.Size([3, 4]), "type": torch.float32, "optimizer": optimizer,
            "state_dict": weights}


def lists():
    return [values((2,), 0), {"x": (values((2,), 1), None, "text"), 3: values((2,), 2)}]


class Head(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(values((2,), 0))
        self.register_parameter("nothing", None)
        self.register_buffer("hidden", values((2,), 9), persistent=False)
        self.register_buffer("mean", values((3,), 1))


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.head = Head()
        self.layers = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.BatchNorm2d(2))
        self.again = self.head
        self.scale = torch.nn.Parameter(values((1,), 2))
        for tensor, n in zip(self.layers.state_dict().values(), range(3, 9)):
            tensor.copy_(values(tensor.shape, n))


def quantized():
    tensor = values((2, 3), 0)
    scales, points = torch.tensor([0.5, 0.25], dtype=torch.float64), torch.tensor([1, -2])
    state = collections.OrderedDict()
    state["tensor"] = torch.quantize_per_tensor(tensor, 0.5, 3, torch.quint8)
    state["wide"] = torch.quantize_per_tensor(tensor, 0.125, -7, torch.qint32)
    state["channel"] = torch.quantize_per_channel(tensor - 20, scales, points, 0, torch.qint8)
    state["plain"] = tensor
    for name in ("tensor", "wide", "channel"):
        state[name + ".expected"] = state[name].dequantize()
    return state


def big_endian(data):
    """The same archive as a big-endian machine writes it: elements swapped, and it says so."""
    sizes = {f"{n}": torch.empty((), dtype=dtype).element_size() for n, dtype in enumerate(DTYPES)}
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            size = sizes.get(name.split("/data/")[-1], 1)
            new.writestr(zipfile.ZipInfo(name), b"".join(content[i:i + size][::-1]
                                        for i in range(0, len(content), size)))
        new.writestr(zipfile.ZipInfo("archive/byteorder"), "big")
    return out.getvalue()


def typed_v3():
    """_rebuild_tensor_v3 and UntypedStorage, which PyTorch has from 2.1 on, by hand."""
    def text(value):
        return b"X" + struct.pack("<I", len(value)) + value.encode()
    storage = b"(" + text("storage") + b"ctorch.storage\nUntypedStorage\n" + text("0") + text("cpu")
    tensor = (b"ctorch._utils\n_rebuild_tensor_v3\n(" + storage + b"K\x0ctQK\x01K\x02\x85K\x01\x85\x89"
              b"ccollections\nOrderedDict\n)Rctorch\nint32\n}tR")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(zipfile.ZipInfo("any name/data.pkl"), b"\x80\x02}" + text("a") + tensor + b"s.")
        archive.writestr(zipfile.ZipInfo("any name/data/0"), struct.pack("<3i", 1, -2, 3))
    return out.getvalue()


def save(name, value, **options):
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    with open(f"pytorch_{name}.pth", "wb") as file:
        file.write(buffer.getvalue())
    return buffer.getvalue()


def write(name, data):
    with open(f"pytorch_{name}.pth", "wb") as file:
        file.write(data)


# The classes belong to a module that no reader has.
module = types.ModuleType("a_project")
for cls in (Head, Net):
    cls.__module__ = "a_project"
    setattr(module, cls.__name__, cls)
sys.modules["a_project"] = module

for protocol in (2, 3, 4):
    data = save(f"zip{protocol}", every_type(), pickle_protocol=protocol)
    save(f"legacy{protocol}", every_type(), pickle_protocol=protocol,
         _use_new_zipfile_serialization=False)
write("big_endian", big_endian(data))
write("v3", typed_v3())
save("strided", strided())
save("strided_legacy", strided(), _use_new_zipfile_serialization=False)
for protocol in (2, 4):
    save(f"nested{protocol}", nested(), pickle_protocol=protocol)
    save(f"module{protocol}", Net(), pickle_protocol=protocol)
save("state_dict", Head().state_dict())  # with the attribute _metadata
save("lists", lists())
save("module_inside", {"epoch": 3, "model": Head()}, _use_new_zipfile_serialization=False)
save("quantized", quantized())
save("quantized_legacy", quantized(), _use_new_zipfile_serialization=False)
save("nested_legacy", nested(), _use_new_zipfile_serialization=False)
save("tensor", values((2, 2), 0))
script = io.BytesIO()
torch.jit.save(torch.jit.script(torch.nn.ReLU()), script)
write("script", script.getvalue())
