"""Runs a subnet of a supernet's weights file as the worker of the backend in PyTorch does.

usage: parity.py WEIGHTS BATCH SUBNET OUT

WEIGHTS is what Supernet.Save wrote, BATCH holds x [n,h,w,c], labels [n] and
teacher [n,classes], SUBNET is an arch.Subnet in JSON. OUT receives the logits
and, as grad.<name>, the gradient of
    0.7 · cross-entropy(labels smoothed by 0.1) + 0.3 · cross-entropy(teacher)
by every tensor. Works with torch 1.13 and 2.x.
"""
import json
import struct
import sys
from pathlib import Path

import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "torch" / "worker"))
from supernet import Arena, Rounding, Space, Weights, features, trained  # noqa: E402
from tensors import decode, encode  # noqa: E402


def space_of(content):
    """Returns the space that a weights file is of."""
    (n,) = struct.unpack("<Q", content[:8])
    return Space(json.loads(json.loads(content[8 : 8 + n])["__metadata__"]["space"]))


def main(weights, batch, subnet, out):
    content, device = Path(weights).read_bytes(), torch.device("cpu")
    space = space_of(content)
    gradient = Arena(space, device)
    w = Weights(space, device, gradient)
    w.load(decode(content))
    b = decode(Path(batch).read_bytes())
    x = b["x"].permute(0, 3, 1, 2).contiguous()
    z = w.classify(features(space.units(json.loads(subnet)), x, trained(w)), Rounding())
    hard = F.cross_entropy(z, b["labels"].long(), label_smoothing=0.1)
    soft = -(b["teacher"] * F.log_softmax(z, 1)).sum(1).mean()
    (0.7 * hard + 0.3 * soft).backward()
    Path(out).write_bytes(encode({"logits": z.detach(), **gradient.export("grad.")}))


main(*sys.argv[1:])
