"""Runs a subnet of a supernet's weights file in PyTorch.

usage: parity.py WEIGHTS BATCH SUBNET OUT

WEIGHTS is what Supernet.Save wrote, BATCH holds x [n,h,w,c], labels [n] and
teacher [n,classes], SUBNET is an arch.Subnet in JSON. OUT receives the logits
and, as grad.<name>, the gradient of
    0.7 · cross-entropy(labels smoothed by 0.1) + 0.3 · cross-entropy(teacher)
by every tensor. Works with torch 1.13 and 2.x; reads safetensors by itself.
"""
import json
import struct
import sys

import numpy as np
import torch
import torch.nn.functional as F


def read(path):
    b = open(path, "rb").read()
    (n,) = struct.unpack("<Q", b[:8])
    head, data = json.loads(b[8 : 8 + n]), b[8 + n :]
    meta = head.pop("__metadata__", {})
    tensors = {}
    for name, h in head.items():
        lo, hi = h["data_offsets"]
        v = np.frombuffer(data[lo:hi], dtype="<f4").reshape(h["shape"])
        tensors[name] = torch.from_numpy(v.copy())
    return meta, tensors


def write(path, tensors):
    head, data = {}, b""
    for name, t in tensors.items():
        v = t.detach().contiguous().numpy().astype("<f4").tobytes()
        head[name] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [len(data), len(data) + len(v)]}
        data += v
    h = json.dumps(head).encode()
    open(path, "wb").write(struct.pack("<Q", len(h)) + h + data)


def divisible(v, d=8):
    n = max(d, int(v + d / 2) // d * d)
    return n + d if n < 0.9 * v else n


class Subnet:
    def __init__(self, weights, space, subnet):
        self.w, self.space, self.subnet = weights, space, subnet

    def unit(self, x, name, weight, stride=1, groups=1, relu=True):
        o = weight.shape[0]
        y = F.conv2d(x, weight, None, stride, weight.shape[-1] // 2, 1, groups)
        y = F.batch_norm(y, None, None, self.w[name + ".bn.weight"][:o], self.w[name + ".bn.bias"][:o], True, 0.1, 1e-5)
        return F.relu6(y) if relu else y

    def kernel(self, name, channels, k):
        w = self.w[name + ".weight"]
        sizes = [s for s in reversed(self.space["kernels"]) if s < w.shape[-1]]
        for size in sizes:
            if w.shape[-1] == k:
                break
            big = w.shape[-1]
            d = (big - size) // 2
            centre = w[:, :, d : d + size, d : d + size].reshape(-1, size * size)
            w = F.linear(centre, self.w["%s.transform.%dto%d" % (name, big, size)]).reshape(-1, 1, size, size)
        return w[:channels]

    def block(self, x, name, choice, stride):
        t, k = choice["t"], choice["k"]
        cin, y = x.shape[1], x
        mid = cin if t == 1 else divisible(cin * t)
        if t != 1:
            y = self.unit(y, name + ".expand", self.w[name + ".expand.weight"][:mid])
        y = self.unit(y, name + ".depthwise", self.kernel(name + ".depthwise", mid, k), stride, mid)
        y = self.unit(y, name + ".project", self.w[name + ".project.weight"][:, :mid], relu=False)
        return x + y if stride == 1 and cin == y.shape[1] else y

    def logits(self, x):
        b = self.space["backbone"]
        x = self.unit(x, "stem", self.w["stem.weight"], b["stem"]["stride"])
        for i, group in enumerate(self.subnet["groups"]):
            for j, choice in enumerate(group):
                x = self.block(x, "g%d.b%d" % (i + 1, j + 1), choice, b["groups"][i]["s"] if j == 0 else 1)
        x = self.unit(x, "head", self.w["head.weight"])
        return F.linear(x.mean((2, 3)), self.w["classifier.weight"], self.w["classifier.bias"])


def main(weights, batch, subnet, out):
    meta, w = read(weights)
    _, b = read(batch)
    trained = {n: t.requires_grad_() for n, t in w.items() if "running" not in n}
    z = Subnet(w, json.loads(meta["space"]), json.loads(subnet)).logits(b["x"].permute(0, 3, 1, 2).contiguous())
    hard = F.cross_entropy(z, b["labels"].long(), label_smoothing=0.1)
    soft = -(b["teacher"] * F.log_softmax(z, 1)).sum(1).mean()
    (0.7 * hard + 0.3 * soft).backward()
    result = {"logits": z}
    for n, t in trained.items():
        result["grad." + n] = t.grad if t.grad is not None else torch.zeros_like(t)
    write(out, result)


main(*sys.argv[1:])
