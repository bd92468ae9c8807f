"""Measures PyTorch on the network of a recipe line; see speed_test.go.

usage: speed.py THREADS BACKBONE   (an arch.Backbone in JSON; t and n of its groups, 3×3 kernels)

Reads lines from standard input: "train BATCH SIZE STEPS", "infer BATCH SIZE STEPS",
the same with "compiled-" before it, by torch.compile, or "onnxruntime BATCH SIZE
STEPS"; answers each with images/s, 0 where that is not installed. channels_last; for
inference also folded by torch.jit's freezing: the faster of the two counts.
"""
import json
import sys
import tempfile
import time

import torch
import torch.nn as nn
import torch.nn.functional as F


def unit(i, o, k, stride, groups, relu=True):
    layers = [nn.Conv2d(i, o, k, stride, k // 2, groups=groups, bias=False), nn.BatchNorm2d(o)]
    return nn.Sequential(*layers, nn.ReLU6(inplace=True)) if relu else nn.Sequential(*layers)


class Block(nn.Module):
    def __init__(self, i, o, stride, t):
        super().__init__()
        mid = i * t
        layers = [unit(i, mid, 1, 1, 1)] if t != 1 else []
        layers += [unit(mid, mid, 3, stride, mid), unit(mid, o, 1, 1, 1, False)]
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and i == o

    def forward(self, x):
        return x + self.layers(x) if self.residual else self.layers(x)


class Net(nn.Module):
    def __init__(self, b):
        super().__init__()
        c = b["stem"]["channels"]
        layers = [unit(b["input"], c, b["stem"]["kernel"], b["stem"]["stride"], 1)]
        for g in b["groups"]:
            for j in range(g["n"]):
                layers.append(Block(c, g["c"], g["s"] if j == 0 else 1, g["t"]))
                c = g["c"]
        self.features = nn.Sequential(*layers, unit(c, b["head"], 1, 1, 1))
        self.classifier = nn.Linear(b["head"], b["classes"])

    def forward(self, x):
        return self.classifier(self.features(x).mean((2, 3)))


def onnxruntime_session(net, x, threads):
    import onnxruntime

    net.eval()
    with tempfile.TemporaryDirectory() as d:
        path = d + "/net.onnx"
        torch.onnx.export(net, (x,), path, **({"dynamo": False} if torch.__version__ >= "2" else {}))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def candidates(what, net, x, y, opt, threads):
    """What can do it, to be called again and again."""
    if what == "onnxruntime":
        try:
            session, images = onnxruntime_session(net, x, threads), x.numpy()
        except ImportError:
            return []
        return [lambda: session.run(None, {session.get_inputs()[0].name: images})]
    run = net
    if what.startswith("compiled-"):
        if not hasattr(torch, "compile"):
            return []
        run = torch.compile(net)
    if what.endswith("train"):

        def step():
            opt.zero_grad()
            F.cross_entropy(run(x), y).backward()
            opt.step()

        return [step]
    frozen = [] if run is not net else [torch.jit.freeze(torch.jit.trace(net, x))]
    return [lambda f=f: f(x) for f in [run, *frozen]]


def main(threads, backbone):
    threads = int(threads)
    torch.set_num_threads(threads)
    b = json.loads(backbone)
    net = Net(b).to(memory_format=torch.channels_last)
    opt = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9, nesterov=True, weight_decay=3e-5)
    print("torch", torch.__version__, flush=True)
    kept = {}  # compiled and exported once
    for line in sys.stdin:
        what, batch, size, steps = line.split()
        batch, size, steps = int(batch), int(size), int(steps)
        net.train(what.endswith("train"))
        if (what, batch, size) not in kept:
            x = torch.randn(batch, b["input"], size, size).to(memory_format=torch.channels_last)
            y = torch.randint(0, b["classes"], (batch,))
            kept[what, batch, size] = candidates(what, net, x, y, opt, threads)
        best = 0
        with torch.set_grad_enabled(what.endswith("train")):
            for f in kept[what, batch, size]:
                for _ in range(3):
                    f()
                start = time.perf_counter()
                for _ in range(steps):
                    f()
                best = max(best, batch * steps / (time.perf_counter() - start))
        print(best, flush=True)


main(*sys.argv[1:])
