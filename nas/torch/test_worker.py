"""Tests of worker.py: real workers, real collectives, and a runner and feeders that are a few lines of Python.

The interpreter of the workers is PYTHON, or the one that runs the tests.
"""
from __future__ import annotations

import copy
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / "testdata")]

import feeder  # noqa: E402
import worker  # noqa: E402

PYTHON = os.environ.get("PYTHON") or sys.executable
SPACE = {
    "backbone": {
        "input": 3,
        "stem": {"channels": 8, "kernel": 3, "stride": 2},
        "groups": [{"t": 1, "c": 8, "n": 1, "s": 1}, {"t": 6, "c": 8, "n": 2, "s": 2}, {"t": 6, "c": 16, "n": 2, "s": 1}],
        "head": 24,
        "classes": 5,
    },
    "widths": [1, 1, 1, 1, 1],
    "resolutions": [13, 16],
    "expansions": [2, 3],
    "depths": [1, 2],
    "kernels": [3, 5, 7],
}
FEED = {"batch": 12, "channels": 3, "classes": 5}
SGD = {"rate": 0.05, "momentum": 0.9, "nesterov": True, "decay": 1e-3}
CALIBRATION, TEST = {"part": "train", "count": 28}, {"part": "test", "count": 43}
torch.set_num_threads(1)


def subnet(*groups, resolution=16):
    """Returns a subnet from strings such as "3x7 2x5", one for each elastic group."""
    elastic = [[{"t": int(b[0]), "k": int(b[2])} for b in g.split()] for g in groups]
    return {"resolution": resolution, "groups": [[{"t": 1, "k": 3}], *elastic]}


LARGEST = subnet("3x7 3x7", "3x7 3x7")
SMALLEST = subnet("2x3", "2x3")
MIXED = subnet("2x5 3x3", "3x5")


def one(net, **changes):
    """Returns a pass."""
    return {"subnet": net, "hard": 1.0, "smoothing": 0.1, "soft": 0.0, "from": "", **changes}


def sandwich(step, teacher=None):
    soft = one(SMALLEST, hard=0.5, soft=0.5, **{"from": "teacher" if teacher else "first"})
    return {"step": step, "resolution": 16, "sgd": SGD, "teacher": teacher, "passes": [one(LARGEST), soft, one(MIXED)]}


def alone(step, net=LARGEST, **sgd):
    return {"step": step, "resolution": 16, "sgd": {**SGD, **sgd}, "teacher": None, "passes": [one(net)]}


def first_weights(seed=1):
    """Returns weights that no symmetry hides mistakes of."""
    g = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, shape, _ in worker.Space(SPACE).tensors():
        t = torch.randn(shape, generator=g)
        if name.endswith("bn.weight"):
            t = 1 + 0.2 * t
        elif "transform" in name:
            t = torch.eye(shape[0]) + 0.05 * t
        elif name.endswith("bias"):
            t = 0.2 * t
        else:
            t = t * (2 / t[0].numel()) ** 0.5
        tensors[name] = t
    return tensors


class Ranks:
    """A job: its ranks, and the runner's end of the connection."""

    def __init__(self, path, ranks=1, command=("worker.py",), environ=None, token="secret", **job):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(60)
        address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        feeders = [sys.executable, str(HERE / "testdata" / "feeder.py"), str(path / "job.json")]
        job = {
            "space": SPACE, "device": "cpu", "precision": "float32", "ranks": ranks, "connect": address, "token": token,
            "feeder": feeders, "feed": FEED, **job,
        }  # fmt: skip
        (path / "job.json").write_text(json.dumps(job))
        with socket.create_server(("127.0.0.1", 0)) as s:
            port = s.getsockname()[1]
        env = {**os.environ, "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo"}
        self.errors = path / "stderr"
        self.processes = []
        for r in range(ranks):
            mine = {**env, "RANK": str(r), "LOCAL_RANK": str(r), "WORLD_SIZE": str(ranks), **(environ or {})}
            with open(self.errors, "ab") as f:
                args = [PYTHON, "-I", "-u", str(HERE / command[0]), *command[1:], str(path / "job.json")]
                self.processes.append(subprocess.Popen(args, env=mine, stdout=subprocess.DEVNULL, stderr=f))
        self.connection = None

    def __enter__(self):
        try:
            self.connection, _ = self.listener.accept()
        except OSError:
            self.end()
            raise AssertionError("rank 0 did not connect:\n" + self.errors.read_text()) from None
        self.connection.settimeout(60)
        self.file = self.connection.makefile("rb")
        self.hello = json.loads(self.file.readline())
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        self.listener.close()
        if self.connection:
            self.hang_up()
        for p in self.processes:
            p.kill()
            p.wait()

    def hang_up(self):
        """Ends the connection, as a runner that is killed."""
        self.file.close()
        self.connection.close()

    def send(self, name, payload=b"", **order):
        if payload:
            order["bytes"] = len(payload)
        self.connection.sendall(json.dumps({"order": name, **order}).encode() + b"\n" + payload)

    def line(self):
        """Returns the next line of an answer; None at the end."""
        line = self.file.readline()
        return json.loads(line) if line else None

    def order(self, name, payload=b"", **order):
        """Returns all lines of the answer, and its tensors where there are any."""
        self.send(name, payload, **order)
        lines = [self.line()]
        while lines[-1] and not {"done", "error"} & set(lines[-1]):
            lines.append(self.line())
        assert lines[-1], self.errors.read_text()
        return lines, worker.decode(self.file.read(lines[-1]["bytes"])) if "bytes" in lines[-1] else {}

    def load(self, weights):
        return self.order("load", worker.encode(weights))

    def train(self, *steps):
        """Returns the steps' lines."""
        lines, _ = self.order("train", steps=list(steps))
        assert lines[-1] == {"done": True}, lines[-1]
        return lines[:-1]

    def state(self):
        return self.order("state")[1]

    def codes(self, timeout=60):
        """Returns the exit codes of the ranks, which are about to end."""
        return [p.wait(timeout) for p in self.processes]


def same(a, b):
    """Whether two sets of tensors are the same to the bit."""
    return a.keys() == b.keys() and all(torch.equal(a[n].view(torch.int32), b[n].view(torch.int32)) for n in a)


# What is expected, from nothing of the worker's.


def reference_batch(step, first=0, count=FEED["batch"], h=16):
    labels, images = feeder.pick(FEED, ["train %d %d" % (step, i) for i in range(first, first + count)], h)
    return torch.tensor(images).view(count, h, h, 3).permute(0, 3, 1, 2).contiguous(), torch.tensor(labels).long()


def reference_logits(w, net, x, statistics=None):
    """Returns the logits of a subnet of SPACE with the tensors w."""
    seen = statistics if isinstance(statistics, dict) else {}

    def unit(x, name, weight, stride=1, groups=1, relu=True):
        o = weight.shape[0]
        y = F.conv2d(x, weight, None, stride, weight.shape[-1] // 2, 1, groups)
        if seen.get("use"):
            mean, var = seen[name + ".mean"], seen[name + ".var"]
        else:
            mean, var = y.mean((0, 2, 3)), y.var((0, 2, 3), unbiased=False)
            seen[name + ".mean"], seen[name + ".var"] = mean.detach(), var.detach()
        y = (y - mean.view(-1, 1, 1)) / (var.view(-1, 1, 1) + 1e-5).sqrt()
        y = y * w[name + ".bn.weight"][:o].view(-1, 1, 1) + w[name + ".bn.bias"][:o].view(-1, 1, 1)
        return y.clamp(0, 6) if relu else y

    x = unit(x, "stem", w["stem.weight"], 2)
    for i, blocks in enumerate(net["groups"]):
        for j, b in enumerate(blocks):
            name, read = "g%d.b%d" % (i + 1, j + 1), x
            mid, stride = x.shape[1] * b["t"], 2 if (i, j) == (1, 0) else 1
            if b["t"] > 1:
                x = unit(x, name + ".expand", w[name + ".expand.weight"][:mid])
            k = w[name + ".depthwise.weight"]
            while k.shape[-1] > b["k"]:
                n = k.shape[-1] - 2
                flat = k[:, :, 1:-1, 1:-1].reshape(-1, n * n) @ w["%s.depthwise.transform.%dto%d" % (name, n + 2, n)].t()
                k = flat.view(-1, 1, n, n)
            x = unit(x, name + ".depthwise", k[:mid], stride, mid)
            x = unit(x, name + ".project", w[name + ".project.weight"][:, :mid], relu=False)
            if stride == 1 and x.shape[1] == read.shape[1]:
                x = x + read
    x = unit(x, "head", w["head.weight"]).mean((2, 3))
    return x @ w["classifier.weight"].t() + w["classifier.bias"]


def reference_loss(z, labels, p, teacher):
    log = z.log_softmax(1)
    want = F.one_hot(labels, 5) * (1 - p["smoothing"]) + p["smoothing"] / 5
    loss = p["hard"] * -(want * log).sum(1).mean()
    return loss - p["soft"] * (teacher * log).sum(1).mean() if p["soft"] else loss


def reference_step(w, step, kept=None, share=(0, FEED["batch"])):
    """Adds a step's gradients to those of w, and returns the first pass's loss and logits."""
    x, labels = reference_batch(step["step"], *share)
    taught = {}
    if step["teacher"]:
        taught["teacher"] = reference_logits(kept, step["teacher"], x).softmax(1).detach()
    first = None
    for p in step["passes"]:
        z = reference_logits(w, p["subnet"], x)
        loss = reference_loss(z, labels, p, taught.get(p["from"]))
        loss.backward()
        if first is None:
            first = float(loss.detach()), int((z.argmax(1) == labels).sum())
            taught["first"] = z.detach().softmax(1)
    return first


def trainable(tensors):
    return {n: t.clone().requires_grad_() for n, t in tensors.items()}


def far(got, want):
    """Returns the largest difference, relative to the largest value."""
    return max(float((got[n] - w).abs().max() / (w.abs().max() + 1e-3)) for n, w in want.items())


# Tests


def test_gradients_are_those_of_plain_torch(tmp_path):
    w = first_weights()
    with Ranks(tmp_path) as r:
        assert r.hello["hello"] == "secret" and r.hello["versions"]["torch"]
        for step in [alone(1), alone(2, SMALLEST), alone(3, MIXED), sandwich(4)]:
            r.load(w)
            step["sgd"] = {**SGD, "decay": 0.0}
            (line,) = r.train(step)
            want = trainable(w)
            loss, correct = reference_step(want, step)
            assert line["step"] == step["step"] and line["images"] == 12 and line["correct"] == correct
            assert abs(line["loss"] - loss) < 1e-5
            got = {n[2:]: t for n, t in r.state().items() if n[:2] == "m."}
            assert far(got, {n: torch.zeros_like(t) if t.grad is None else t.grad for n, t in want.items()}) < 1e-4
        assert r.order("exit")[0] == [{"done": True}]
        assert r.codes() == [0]


def test_steps_are_those_of_torch_optim_sgd(tmp_path):
    w = first_weights()
    with Ranks(tmp_path) as r:
        for nesterov in (True, False):
            want = trainable(w)
            plain = [t for n, t in want.items() if ".bn." in n or n.endswith("bias")]
            decays = [t for n, t in want.items() if not (".bn." in n or n.endswith("bias"))]
            sgd = {**SGD, "nesterov": nesterov}
            groups = [{"params": decays, "weight_decay": sgd["decay"]}, {"params": plain}]
            optimiser = torch.optim.SGD(groups, lr=sgd["rate"], momentum=sgd["momentum"], nesterov=nesterov)
            steps = [{**sandwich(s), "sgd": sgd} for s in range(1, 11)]
            losses = []
            for step in steps:
                for t in want.values():
                    t.grad = torch.zeros_like(t)  # tensors that a step does not use decay, too
                losses.append(reference_step(want, step)[0])
                optimiser.step()
            r.load(w)
            lines = r.train(*steps[:3]) + r.train(*steps[3:])
            assert [line["loss"] for line in lines] == pytest.approx(losses, rel=1e-3)
            assert far(r.order("weights")[1], {n: t.detach() for n, t in want.items()}) < 1e-3


def reference_statistics(w, net, batches):
    """Returns the means of the batches' statistics by name."""
    all_of_them = []
    for x, _ in batches:
        all_of_them.append({})
        with torch.no_grad():
            reference_logits(w, net, x, all_of_them[-1])
    return {n: torch.stack([s[n].double() for s in all_of_them]).mean(0).float() for n in all_of_them[0]}


def batches_of(images, size, h):
    found = []
    for at in range(0, images["count"], size):
        n = min(size, images["count"] - at)
        labels, x = feeder.pick(FEED, ["%s %d" % (images["part"], i) for i in range(at, at + n)], h)
        found.append((torch.tensor(x).view(n, h, h, 3).permute(0, 3, 1, 2).contiguous(), torch.tensor(labels).long()))
    return found


def test_statistics_and_accuracies_are_the_same_bits_for_any_number_of_ranks(tmp_path):
    w = first_weights()
    nets = [SMALLEST, MIXED, LARGEST]
    found = []
    for ranks in (1, 2, 3):
        path = tmp_path / str(ranks)
        path.mkdir()
        with Ranks(path, ranks) as r:
            r.load(w)
            _, statistics = r.order("statistics", subnet=MIXED, calibration=CALIBRATION, batch=10)
            orders = [r.order("measure", subnets=nets, calibration=CALIBRATION, images=TEST, batch=10)[0][0] for _ in range(2)]
            assert orders[0] == orders[1], "a second time, from memory"
            found.append((statistics, orders[0]))
    want = reference_statistics(w, MIXED, batches_of(CALIBRATION, 10, 16))
    assert far(found[0][0], want) < 1e-5
    for statistics, _ in found[1:]:
        assert same(statistics, found[0][0])
    correct = []
    for net in nets:
        statistics = {**reference_statistics(w, net, batches_of(CALIBRATION, 10, 16)), "use": True}
        correct.append(sum(int((reference_logits(w, net, x, statistics).argmax(1) == y).sum()) for x, y in batches_of(TEST, 10, 16)))
    assert [line for _, line in found] == [{"correct": correct, "done": True}] * 3
