"""Tensors as bytes: their memory, and the safetensors format."""
from __future__ import annotations

import ctypes
import json
import struct
from typing import Dict

import torch
from torch import Tensor

from failure import Failure, Json


def window(t: Tensor) -> memoryview:
    """Returns the bytes of a contiguous tensor in main memory, to read and to write."""
    return memoryview((ctypes.c_char * (t.numel() * t.element_size())).from_address(t.data_ptr())).cast("B")


def encode(tensors: Dict[str, Tensor]) -> bytes:
    """Returns tensors as a file in the safetensors format."""
    head: Json = {}
    at = 0
    for name, t in tensors.items():
        head[name] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [at, at + 4 * t.numel()]}
        at += 4 * t.numel()
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([struct.pack("<Q", len(text)), text, *(bytes(window(t.contiguous())) for t in tensors.values())])


def decode(data: bytes) -> Dict[str, Tensor]:
    """Returns the tensors of a file in the safetensors format."""
    try:
        start = 8 + struct.unpack_from("<Q", data)[0]
        tensors = {}
        for name, h in json.loads(data[8:start]).items():
            if name != "__metadata__":
                if h["dtype"] != "F32":
                    raise Failure("job", "tensor %s is of type %s, expected F32" % (name, h["dtype"]))
                at = start + h["data_offsets"][0]
                tensors[name] = torch.frombuffer(bytearray(data[at : start + h["data_offsets"][1]]), dtype=torch.float32).view(h["shape"])
        return tensors
    except (struct.error, ValueError, KeyError, TypeError, RuntimeError) as e:
        raise Failure("job", "the tensors of the order are not in the safetensors format: %s" % e) from None
