"""Measures the worker beside a plain loop of PyTorch that does the same work: images/s, in turn, the best counts.

usage: PYTHON plain.py [THREADS [STEPS [ROUNDS]]]

The plain loop is what one would write for one network: modules, torch.optim.SGD, images that are there already.
"alone" is a step of the largest subnet; "sandwich" one of it, the smallest and two others, of which the loop
slices the weights as Once-for-All does.
"""
import json
import os
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "worker")]
threads, steps, rounds = [int(v) for v in sys.argv[1:]] + [2, 20, 5][len(sys.argv) - 1 :]
os.environ["OMP_NUM_THREADS"] = str(threads)

import torch  # noqa: E402
import torch.nn as nn  # noqa: E402
import torch.nn.functional as F  # noqa: E402

import test_worker  # noqa: E402
from supernet import Space, middle  # noqa: E402

BATCH, SIZE = 64, 28
SPACE = {
    "backbone": {
        "input": 1,
        "stem": {"channels": 16, "kernel": 3, "stride": 1},
        "groups": [
            {"t": 1, "c": 16, "n": 1, "s": 1},
            {"t": 6, "c": 24, "n": 2, "s": 2},
            {"t": 6, "c": 40, "n": 2, "s": 2},
            {"t": 6, "c": 80, "n": 2, "s": 1},
        ],
        "head": 256,
        "classes": 10,
    },
    "widths": [1] * 6,
    "resolutions": [28],
    "expansions": [3, 4, 6],
    "depths": [1, 2],
    "kernels": [3, 5],
}
FEEDER = """
import array, json, random, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
n = %d * %d * %d
body = array.array("i", (random.randrange(10) for _ in range(%d))).tobytes() + array.array("f", (random.gauss(0, 1) for _ in range(n))).tobytes()
for line in sys.stdin:
    sys.stdout.buffer.write(b'{"n": %d, "h": %d, "w": %d, "c": 1}\\n' + body)
    sys.stdout.buffer.flush()
""" % (BATCH, SIZE, SIZE, BATCH, BATCH, SIZE, SIZE)  # fmt: skip


def net(t, k, depth):
    return {"resolution": SIZE, "groups": [[{"t": 1, "k": 3}]] + [[{"t": t, "k": k}] * depth] * 3}


NETS = [net(6, 5, 2), net(3, 3, 1), net(4, 3, 2), net(4, 5, 1)]


class Unit(nn.Module):
    """An elastic unit, as it is written where nothing else is in the way."""

    def __init__(self, i, o, k=1, stride=1, groups=1, relu=True, smaller=None):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(i, o, k, stride, k // 2, groups=groups, bias=False), nn.BatchNorm2d(o, track_running_stats=False)
        self.stride, self.depthwise, self.relu = stride, groups > 1, relu
        self.transform = nn.Parameter(torch.eye(smaller * smaller)) if smaller else None

    def forward(self, x, out=None, k=None):
        w, gamma, beta = self.conv.weight, self.bn.weight, self.bn.bias
        if out or x.shape[1] != w.shape[1]:
            w, gamma, beta = w[:out, : 1 if self.depthwise else x.shape[1]], gamma[:out], beta[:out]
        if k and k < w.shape[-1]:
            w = F.linear(w[:, :, 1:-1, 1:-1].reshape(-1, k * k), self.transform).reshape(-1, 1, k, k)
        y = F.conv2d(x, w, None, self.stride, w.shape[-1] // 2, 1, w.shape[0] if self.depthwise else 1)
        y = F.batch_norm(y, None, None, gamma, beta, True, 0.1, 1e-5)
        return F.relu6(y, inplace=True) if self.relu else y


class Block(nn.Module):
    def __init__(self, i, o, stride, t):
        super().__init__()
        mid = i * t
        self.expand = Unit(i, mid) if t > 1 else None
        self.depthwise = Unit(mid, mid, 5 if t > 1 else 3, stride, mid, smaller=3 if t > 1 else None)
        self.project = Unit(mid, o, relu=False)
        self.residual = stride == 1 and i == o

    def forward(self, x, choice):
        mid = middle(x.shape[1], choice["t"])
        y = self.expand(x, mid) if self.expand else x
        y = self.project(self.depthwise(y, mid, choice["k"]))
        return x + y if self.residual else y


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        b = SPACE["backbone"]
        c = b["stem"]["channels"]
        self.stem, self.groups = Unit(1, c, 3), nn.ModuleList()
        for g in b["groups"]:
            self.groups.append(nn.ModuleList())
            for j in range(g["n"]):
                self.groups[-1].append(Block(c, g["c"], 1 if j else g["s"], g["t"]))
                c = g["c"]
        self.head, self.classifier = Unit(c, b["head"]), nn.Linear(b["head"], b["classes"])

    def forward(self, x, subnet):
        x = self.stem(x)
        for blocks, choices in zip(self.groups, subnet["groups"]):
            for block, choice in zip(blocks, choices):
                x = block(x, choice)
        return self.classifier(self.head(x).mean((2, 3)))


class Plain:
    def __init__(self):
        self.net = Net().to(memory_format=torch.channels_last)
        self.optimiser = torch.optim.SGD(self.net.parameters(), 0.01, momentum=0.9, nesterov=True, weight_decay=3e-5)
        self.x, self.y = torch.randn(BATCH, SIZE, SIZE, 1).permute(0, 3, 1, 2), torch.randint(0, 10, (BATCH,))

    def run(self, nets, steps):
        for _ in range(steps):
            self.optimiser.zero_grad()
            teacher = None
            for n in nets:
                z = self.net(self.x, n)
                if teacher is None:
                    teacher = z.detach().softmax(1)
                    loss = F.cross_entropy(z, self.y)
                else:
                    loss = -(teacher * z.log_softmax(1)).sum(1).mean()
                loss.backward()
                float(loss.detach())
            self.optimiser.step()


def step(i, nets):
    passes = [test_worker.one(n, hard=float(j == 0), soft=float(j > 0), **{"from": "first" if j else ""}) for j, n in enumerate(nets)]
    sgd = {"rate": 0.01, "momentum": 0.9, "nesterov": True, "decay": 3e-5}
    return {"step": i, "resolution": SIZE, "sgd": sgd, "teacher": None, "passes": passes}


def timed(f, pid):
    """Returns seconds, and those of the processor that the process has used."""

    def used():
        fields = Path("/proc/%d/stat" % pid).read_text().split()
        return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")

    began, cpu = time.perf_counter(), used()
    f()
    return time.perf_counter() - began, used() - cpu


def weights():
    tensors = {}
    for name, shape, _ in Space(SPACE).tensors():
        t = torch.randn(shape)
        tensors[name] = torch.ones(shape) if name.endswith("bn.weight") else t * (2 / t[0].numel()) ** 0.5 if len(shape) == 4 else t * 0.1
    return tensors


def main():
    plain = Plain()
    with tempfile.TemporaryDirectory() as d:
        Path(d, "feeder.py").write_text(FEEDER)
        env = {"OMP_NUM_THREADS": str(threads)}
        job = {"space": SPACE, "feeder": [sys.executable, d + "/feeder.py"]}
        os.environ.setdefault("PYTHON", sys.executable)
        test_worker.PYTHON = os.environ["PYTHON"]
        torch.set_num_threads(threads)
        with test_worker.Ranks(Path(d), environ=env, **job) as ranks:
            ranks.load(weights())
            best = {}
            for r in range(rounds + 1):
                for what, nets in (("alone", NETS[:1]), ("sandwich", NETS)):
                    a = timed(lambda: ranks.train(*[step(i, nets) for i in range(steps)]), ranks.processes[0].pid)
                    b = timed(lambda: plain.run(nets, steps), os.getpid())
                    if r:  # the first round is to warm up
                        for key, t in (("worker", a), ("plain", b)):
                            rates = [BATCH * steps / v for v in t]
                            best[what, key] = [max(v) for v in zip(best.get((what, key), rates), rates)]
            print("torch %s, %d threads" % (torch.__version__, threads))
            for what in ("alone", "sandwich"):
                for i, unit in enumerate(("second", "processor second")):
                    a, b = best[what, "worker"][i], best[what, "plain"][i]
                    print("%-8s images per %s: worker %.0f, plain loop %.0f: %.3f" % (what, unit, a, b, a / b))


if __name__ == "__main__":
    main()
