"""Tests of the worker: real workers, real collectives, and a runner and feeders that are a few lines of Python.

The interpreter of the workers is PYTHON, or the one that runs the tests.
"""
from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "worker"), str(HERE / "testdata")]

import feeder  # noqa: E402
from failure import foreseen  # noqa: E402
from supernet import Rounding, Space, Weights, features, trained  # noqa: E402
from tensors import decode, encode  # noqa: E402

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
SGD = {"rate": 0.02, "momentum": 0.9, "nesterov": True, "decay": 1e-3}
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
    for name, shape, _ in Space(SPACE).tensors():
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

    def __init__(self, path, ranks=1, command=("worker",), environ=None, token="secret", **job):
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
        self.path, self.errors = path, path / "stderr"
        self.processes = []
        for r in range(ranks):
            mine = {**env, "RANK": str(r), "LOCAL_RANK": str(r), "WORLD_SIZE": str(ranks), **(environ or {})}
            with open(self.errors, "ab") as f:
                args = [PYTHON, "-B", "-u", str(HERE / command[0]), *command[1:], str(path / "job.json")]
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
        until = time.monotonic() + 20
        while orphans := self.left():
            assert time.monotonic() < until, "left behind: %s" % orphans
            time.sleep(0.01)

    def left(self):
        """Returns the processes of the job that still run, feeders included."""
        found = []
        for f in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if str(self.path / "job.json").encode() in f.read_bytes():
                    found.append(f.parent.name)
            except OSError:
                pass  # it has just ended
        return found

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
        return lines, decode(self.file.read(lines[-1]["bytes"])) if "bytes" in lines[-1] else {}

    def load(self, weights):
        return self.order("load", encode(weights))

    def train(self, *steps):
        """Returns the steps' lines."""
        lines, _ = self.order("train", steps=list(steps))
        assert lines[-1] == {"done": True}, lines[-1]
        return lines[:-1]

    def state(self):
        return self.order("state")[1]

    def states(self):
        """Returns the states that the ranks had at the end, where spy.py has seen them."""
        return [decode((self.path / ("state%d" % i)).read_bytes()) for i in range(len(self.processes))]

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


def reference_logits(w, net, x, statistics=None, rounding=Rounding()):
    """Returns the logits of a subnet of SPACE with the tensors w."""
    seen = statistics if isinstance(statistics, dict) else {}
    filters, kept = rounding.filters, rounding.map

    def unit(x, name, weight, stride=1, groups=1, relu=True):
        o = weight.shape[0]
        y = F.conv2d(x, filters(weight), None, stride, weight.shape[-1] // 2, 1, groups)
        if seen.get("use"):
            mean, var = seen[name + ".mean"], seen[name + ".var"]
        else:
            mean, var = y.mean((0, 2, 3)), y.var((0, 2, 3), unbiased=False)
            seen[name + ".mean"], seen[name + ".var"] = mean.detach(), var.detach()
        y = (y - mean.view(-1, 1, 1)) / (var.view(-1, 1, 1) + 1e-5).sqrt()
        y = y * w[name + ".bn.weight"][:o].view(-1, 1, 1) + w[name + ".bn.bias"][:o].view(-1, 1, 1)
        return kept(y.clamp(0, 6) if relu else y)

    x = unit(kept(x), "stem", w["stem.weight"], 2)
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
                x = kept(x + read)
    x = kept(unit(x, "head", w["head.weight"]).mean((2, 3)))
    return x @ filters(w["classifier.weight"]).t() + w["classifier.bias"]


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
    """Returns the largest difference, relative to the largest value of the tensor."""
    return max(float((got[n] - w).abs().max() / (w.abs().max() + 1e-2)) for n, w in want.items())


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
            sgd = {"rate": 0.005, "momentum": 0.9, "nesterov": nesterov, "decay": 0.05}
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


def job(path, *args, **kwargs):
    """Starts a job in a directory of its own."""
    path.mkdir()
    return Ranks(path, *args, **kwargs)


def test_ranks_hold_the_same_weights_and_gradients_are_the_mean_of_their_parts(tmp_path):
    w = first_weights()
    with Ranks(tmp_path, 2, ("testdata/spy.py",)) as r:
        r.load(w)
        (line,) = r.train({**sandwich(1), "sgd": {**SGD, "decay": 0.0}})
        want, losses = trainable(w), []
        for half in ((0, 6), (6, 6)):
            losses.append(reference_step(want, sandwich(1), share=half))
        got = {n[2:]: t for n, t in r.state().items() if n[:2] == "m."}
        assert far(got, {n: torch.zeros_like(t) if t.grad is None else t.grad / 2 for n, t in want.items()}) < 1e-4
        assert line["loss"] == pytest.approx((losses[0][0] + losses[1][0]) / 2, rel=1e-5)
        assert line["correct"] == losses[0][1] + losses[1][1] and line["images"] == 12
        r.train(*[sandwich(s) for s in range(2, 21)])
        r.order("exit")
        assert r.codes() == [0, 0]
    states = r.states()
    assert same(states[0], states[1]) and not same({n[2:]: t for n, t in states[0].items() if n[:2] == "w."}, w)


def test_a_rank_told_to_stop_stops_all_after_the_same_step_and_they_resume_to_the_bit(tmp_path):
    steps = [sandwich(s) for s in range(1, 25)] + [alone(s, MIXED) for s in range(25, 33)]
    with job(tmp_path / "whole", 2) as whole:
        whole.load(first_weights())
        whole.train(*steps)
        end = whole.state()
        for rank, after, overlap in ((0, 2, ""), (1, 2, ""), (1, 5, "1"), (0, 9, "1"), (1, 0, "1")):
            name = "%d-%d-%s" % (rank, after, overlap)
            with job(tmp_path / name, 2, ("testdata/spy.py",), environ={"OVERLAP": overlap}) as r:
                r.load(first_weights())
                if not after:
                    r.processes[rank].send_signal(signal.SIGTERM)
                r.send("train", steps=steps)
                lines = [r.line()]
                while "done" not in lines[-1]:
                    if len(lines) == after:
                        r.processes[rank].send_signal(signal.SIGTERM)
                    lines.append(r.line())
                done = [line["step"] for line in lines[:-1]]
                assert done == list(range(1, len(done) + 1)) and after <= len(done) <= len(steps)
                assert lines[-1] == {"stopped": True, "done": True}
                assert r.order("train", steps=steps)[0] == [{"stopped": True, "done": True}]
                state = r.state()
                r.order("exit")
                assert r.codes() == [0, 0]
            assert all(same(state, s) for s in r.states()), name
            whole.order("set_state", encode(state))
            whole.train(*steps[len(done) :])
            assert same(whole.state(), end), name


def test_a_state_is_all_there_is_with_teacher_and_after_sorting(tmp_path):
    late = [sandwich(s, teacher=LARGEST) for s in (5, 6)]
    with job(tmp_path / "a", 1) as a, job(tmp_path / "b", 1) as b:
        a.load(first_weights())
        a.train(*[sandwich(s) for s in (1, 2)])
        a.order("keep_teacher")
        a.train(*[sandwich(s, teacher=MIXED) for s in (3, 4)])
        a.order("sort", expansions=[2, 3])
        state = a.state()
        assert {n[:2] for n in state} == {"w.", "m.", "t."}
        lines = a.train(*late)
        b.order("set_state", encode(state))
        assert same(b.state(), state)
        again = b.train(*late)
        assert [line["loss"] for line in again] == [line["loss"] for line in lines]
        assert same(b.state(), a.state())
        b.load(first_weights())
        assert {n[:2] for n in b.state()} == {"w.", "m."}


def test_sorting_changes_no_subnet_and_puts_important_channels_first(tmp_path):
    w = first_weights()
    with Ranks(tmp_path) as r:
        r.order("set_state", encode({p + n: t for n, t in w.items() for p in ("w.", "m.")}))
        r.order("sort", expansions=[2])
        state = r.state()
    got = {n[2:]: t for n, t in state.items() if n[:2] == "w."}
    assert same(got, {n[2:]: t for n, t in state.items() if n[:2] == "m."}) and not same(got, w)
    x, _ = reference_batch(1)
    for net in (SMALLEST, LARGEST):
        assert torch.allclose(reference_logits(got, net, x), reference_logits(w, net, x), atol=1e-4)
    norms = got["g3.b1.project.weight"].abs().sum((0, 2, 3))
    assert all(torch.equal(band, band.sort(descending=True)[0]) for band in (norms[:16], norms[16:]))
    assert norms[:16].min() < norms[16:].max(), "bands that do not matter prove nothing"


def test_images_asked_for_too_early_are_dropped_or_taken(tmp_path):
    with Ranks(tmp_path) as r:
        found = []
        for following in ([], [alone(3), alone(4)], [alone(9)]):
            r.load(first_weights())
            r.order("train", steps=[alone(1), alone(2)], next=[{k: s[k] for k in ("step", "resolution")} for s in following])
            if following:
                r.order("measure", subnets=[MIXED], calibration=CALIBRATION, images=TEST, batch=len(following) + 10)
            r.train(alone(3), alone(4))
            found.append(r.state())
    assert same(found[0], found[1]) and same(found[0], found[2])


@pytest.mark.parametrize("killed", [0, 1])
def test_no_rank_outlives_a_killed_one(tmp_path, killed):
    with Ranks(tmp_path, 2) as r:
        r.load(first_weights())
        r.send("train", steps=[sandwich(s) for s in range(1, 1000)])
        r.line()
        r.processes[killed].kill()
        if killed != 0:
            line = r.line()
            while "error" not in line:
                line = r.line()
            assert line["error"]["kind"] == "lost" and "another rank has ended" in line["error"]["message"]
        assert sorted(r.codes()) == [-9, 1]


def test_no_rank_outlives_the_runner(tmp_path):
    for moment in ("hello", "idle", "training"):
        with job(tmp_path / moment, 2) as r:
            if moment != "hello":
                r.load(first_weights())
            if moment == "training":
                r.send("train", steps=[sandwich(s) for s in range(1, 1000)])
                r.line()
            r.hang_up()
            assert r.codes() == [75, 75], moment


@pytest.mark.parametrize("illness", ["train/0007.jpg is not what it was", ""])
def test_a_failing_feeder_of_any_rank_is_told_by_rank_0(tmp_path, illness):
    with Ranks(tmp_path, 2, feed={**FEED, "ill_rank": 1, "ill_step": 3, "illness": illness}) as r:
        r.load(first_weights())
        lines, _ = r.order("train", steps=[alone(s) for s in range(1, 6)])
        assert [line.get("step") for line in lines] == [1, 2, None]
        told = illness or "the process that reads images was ended by signal 9, often for want of memory: run again to go on from the last checkpoint"
        assert lines[-1]["error"] == {"kind": "data", "message": told, "rank": 1}
        assert r.codes() == [1, 1]
        assert "Traceback" not in r.errors.read_text()


def test_weights_that_diverged_are_told_with_step_and_pass(tmp_path):
    w = first_weights()
    w["g2.b2.expand.weight"][:] = float("nan")
    with Ranks(tmp_path, 2) as r:
        r.load(w)
        steps = [alone(1, SMALLEST), {**alone(2, SMALLEST), "passes": [one(SMALLEST), one(LARGEST)]}, alone(3)]
        lines, _ = r.order("train", steps=steps)
        assert lines[0]["step"] == 1
        error = lines[1]["error"]
        assert (error["kind"], error["step"], error["pass"], error["loss"]) == ("diverged", 2, 1, "nan")
        assert r.codes() == [70, 70]
    assert "Traceback" not in r.errors.read_text()


def test_a_subnet_without_finite_logits_has_no_accuracy(tmp_path):
    w = first_weights()
    w["g2.b2.expand.weight"][:] = float("nan")
    with Ranks(tmp_path, 2) as r:
        r.load(w)
        correct = r.order("measure", subnets=[LARGEST, SMALLEST], calibration=CALIBRATION, images=TEST, batch=10)[0][0]["correct"]
        assert correct[0] == -1 and correct[1] > 0


@pytest.mark.parametrize(
    "order, message",
    [
        ({"name": "dance"}, 'there is no order "dance"'),
        ({"name": "train"}, "order train: KeyError: 'steps'"),
        ({"name": "train", "steps": [alone(1, subnet("3x4", "3x3"))]}, "group 2, block 1: the space has no such block"),
        ({"name": "train", "steps": [{**alone(1), "passes": [one(LARGEST)] * 62}]}, "step 1 has 62 passes, expected 1 to 61"),
        ({"name": "train", "steps": [{**alone(1), "teacher": LARGEST}]}, "a step has a teacher, but none was kept"),
        ({"name": "load", "payload": b"no tensors"}, "not in the safetensors format"),
        ({"name": "load", "payload": encode({})}, "tensor classifier.bias is missing, expected shape [5]"),
    ],
)
def test_an_order_that_cannot_be_obeyed_is_told(tmp_path, order, message):
    with Ranks(tmp_path) as r:
        lines, _ = r.order(**order)
        assert lines[-1]["error"]["kind"] == "job" and message in lines[-1]["error"]["message"]
        assert r.codes() == [2]


def test_a_job_that_cannot_run_is_told(tmp_path):
    cases = {"world": ({"environ": {"WORLD_SIZE": "3"}}, "the job is for 1 ranks, but 3 were started")}
    if not torch.cuda.is_available():
        cases["cuda"] = {"device": "cuda"}, "finds no CUDA device here"
    cases["feeder"] = {"feeder": ["/nowhere/runner", "feed"]}, "the feeder cannot be started"
    for name, (change, message) in cases.items():
        with job(tmp_path / name, **change) as r:
            assert message in r.line()["error"]["message"]
            assert r.codes() == [1 if name == "feeder" else 2]
        assert "Traceback" not in r.errors.read_text()


def test_a_torch_that_is_too_old_or_broken_is_told_without_a_trace(tmp_path):
    (tmp_path / "torch").mkdir()
    for code, message in (("__version__ = '1.12.1+cu113'", "PyTorch 1.12.1+cu113: 3.8 and 1.13, or later"), ("raise OSError('libcudart.so')", "cannot be imported: libcudart.so")):
        (tmp_path / "torch" / "__init__.py").write_text(code)
        environ = {**os.environ, "PYTHONPATH": str(tmp_path)}
        done = subprocess.run([PYTHON, "-B", str(HERE / "worker"), "none.json"], env=environ, stderr=subprocess.PIPE, text=True, check=False)
        assert done.returncode == 1 and message in done.stderr and "Traceback" not in done.stderr


def test_a_worker_without_runner_ends(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as s:
        address = "127.0.0.1:%d" % s.getsockname()[1]
    (tmp_path / "job.json").write_text(json.dumps({"device": "cpu", "ranks": 1, "connect": address}))
    for path, code, message in (("job.json", 75, "cannot be reached"), ("none.json", 2, "not a job"), ("test", 2, "not a job")):
        (tmp_path / "test").write_text("[]")
        done = subprocess.run([PYTHON, "-B", str(HERE / "worker"), str(tmp_path / path)], stderr=subprocess.PIPE, text=True, check=False)
        assert done.returncode == code and message in done.stderr and "Traceback" not in done.stderr


def test_bfloat16_is_for_the_layers_and_not_for_the_loss(tmp_path):
    with Ranks(tmp_path, precision="bfloat16") as r:
        if r.hello["versions"]["torch"].startswith("1."):
            pytest.skip("torch 1 has no backward of ReLU6 in bfloat16 on CPUs")
        r.load(first_weights())
        half = [line["loss"] for line in r.train(*[sandwich(s) for s in range(1, 4)])]
        assert r.order("measure", subnets=[MIXED], calibration=CALIBRATION, images=TEST, batch=10)[0][0]["correct"][0] > 0
    want = trainable(first_weights())
    assert half[0] == pytest.approx(reference_step(want, sandwich(1))[0], rel=0.02)
    assert half[0] != torch.tensor(half[0]).bfloat16().item()


def test_rounded_weights_are_those_of_int8_whatever_normalises_them():
    g = torch.Generator().manual_seed(3)
    filters, scale = torch.randn(6, 4, 3, 3, generator=g), torch.randn(6, 1, 1, 1, generator=g)
    filters[2] = 0  # a dead channel
    filters.requires_grad_()
    for largest in (127, 64):
        rounded = Rounding(largest).filters(filters)
        steps = filters.detach().flatten(1).abs().amax(1).clamp(min=1e-30).view(-1, 1, 1, 1) / largest
        assert torch.allclose(rounded, torch.round(filters / steps) * steps, atol=1e-6)
        folded = Rounding(largest).filters(filters * scale)  # as deployment rounds, after folding
        assert torch.allclose(folded, rounded * scale, atol=1e-6)
        (gradient,) = torch.autograd.grad((rounded * scale).sum(), filters)
        assert torch.equal(gradient, scale.expand_as(gradient))
    assert Rounding().filters(filters) is filters


@pytest.mark.parametrize("low, high", [(0.0, 6.0), (-1.3, 2.1), (-3.0, -0.5), (0.0, 0.0)])
def test_rounded_maps_have_256_steps_one_of_which_is_0(low, high):
    x = torch.linspace(low, high, 4001).view(1, -1).requires_grad_()
    y = Rounding(127).map(x)
    step = (max(high, 0.0) - min(low, 0.0)) / 255
    assert (y - x).abs().max() <= step + 1e-6 and len(y.unique()) <= 256
    steps = (y / step if step else y).detach()
    assert torch.allclose(steps, steps.round(), atol=1e-3)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert gradient.mean() > 0.99
    assert Rounding().map(x) is x


class Bent:
    """Stands for a rounding, without its jumps, by which the smallest difference grows from layer to layer."""

    def map(self, x):
        return x + 0.1 * x * x

    def filters(self, w):
        return w + 0.2 * w.abs()


@pytest.mark.parametrize("net", [LARGEST, MIXED])
def test_what_int8_rounds_is_rounded(net):
    space = Space(SPACE)
    weights = Weights(space, torch.device("cpu"))
    weights.load(first_weights())
    x, _ = reference_batch(1)
    with torch.no_grad():
        y = features(space.units(net), Bent().map(x), trained(weights, Bent()), Bent())
        assert far({"z": weights.classify(y, Bent())}, {"z": reference_logits(first_weights(), net, x, rounding=Bent())}) < 1e-4


def test_passes_that_round_learn_as_others_do(tmp_path):
    losses = {}
    for largest in (0, 127, 64):
        (tmp_path / str(largest)).mkdir()
        with Ranks(tmp_path / str(largest)) as r:
            r.load(first_weights())
            steps = [{**alone(i), "passes": [one(LARGEST, quantise=largest)]} for i in range(30)]
            losses[largest] = [a["loss"] for a in r.train(*steps)]
    exact = losses.pop(0)
    for rounded in losses.values():
        assert 0 < abs(rounded[0] - exact[0]) < 0.1
        assert abs(sum(rounded[-10:]) / sum(exact[-10:]) - 1) < 0.1


def test_what_went_wrong_has_a_kind():
    for e, kind in (
        (RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB"), "memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "memory"),
        (MemoryError(), "memory"),
        (ZeroDivisionError("division by zero"), "failed"),
    ):
        assert foreseen(e, 3).fields["kind"] == kind and foreseen(e, 3).fields["rank"] == 3
