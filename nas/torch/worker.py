"""Trains and measures subnets of an elastic supernet with PyTorch, as Eyrie's runner tells it to.

usage: python3 -I -u worker.py JOB.json

A process is one rank. Rank 0 gets orders from the runner over a connection and passes them on, so that all ranks do
the same; each has a feeder, a process that sends it images. The worker draws nothing at random and writes no file.
"""
# mypy: allow-untyped-calls
from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import math
import os
import platform
import queue
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback
import warnings
from collections import deque
from datetime import timedelta
from typing import Any, Callable, Deque, Dict, Iterator, List, NamedTuple, Optional, Tuple

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

Json = Dict[str, Any]

EPS = 1e-5  # added to a variance before its root is taken
LEAST = 1e-15  # the least step of what is rounded to integers
KEPT = 512 << 20  # bytes of images that a rank keeps for the next measurement
LOST = timedelta(minutes=10)  # a rank that lets the others wait this long is taken for lost
BEAT = 60.0  # seconds between signs of life while there are no orders; well below LOST
STOP, FAILED, CORRECT, LOSS, TAIL = 0, 1, 2, 3, 64  # what stands behind the gradients; from LOSS on one for each pass
CODES = {"job": 2, "diverged": 70, "gone": 75}  # exit codes by the kind of a failure; others are 1


class Failure(Exception):
    """What ends the worker, as it is told to the runner."""

    def __init__(self, kind: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.fields: Json = {"kind": kind, "message": message, **more}


def foreseen(e: Exception, rank: int) -> Failure:
    """Returns the failure that e is; of what nobody foresaw the trace goes to stderr."""
    if isinstance(e, Failure):
        return e
    if isinstance(e, MemoryError) or "out of memory" in str(e) or "can't allocate memory" in str(e):
        used = ""
        if torch.cuda.is_initialized():
            name, total = torch.cuda.get_device_name(), torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory
            used = " (%s: %d of %d bytes allocated)" % (name, torch.cuda.memory_allocated(), total)
        return Failure("memory", "out of memory" + used + ": " + str(e).split("\n")[0], rank=rank)
    traceback.print_exception(type(e), e, e.__traceback__)
    return Failure("failed", "%s: %s" % (type(e).__name__, e), rank=rank)


# The space


class Unit(NamedTuple):
    """A convolution and its batch normalisation, at the extents at which a subnet uses it."""

    name: str
    inputs: int  # channels that each filter reads
    outputs: int
    kernel: int
    stride: int
    depthwise: bool
    relu: bool  # it ends with ReLU6
    elastic: bool = False  # smaller kernels are made of larger ones
    first: bool = False  # of its block
    adds: bool = False  # what its block read is added to its output


def middle(channels: int, expansion: int) -> int:
    """Returns the middle channels of a bottleneck."""
    return channels if expansion == 1 else rounded(channels * expansion, 8, False)


def rounded(v: float, divisor: int, up: bool) -> int:
    """Returns a width as a multiple of divisor: the next, or the nearest that is at least 90 % of it."""
    if up:
        return max(divisor, math.ceil(v / divisor - 1e-9) * divisor)
    n = max(divisor, int(v + divisor / 2) // divisor * divisor)
    return n + divisor if n < 0.9 * v else n


class Space:
    """An elastic space: the layers of its subnets and the tensors that they share."""

    def __init__(self, space: Json) -> None:
        self.backbone: Json = space["backbone"]
        self.kernels: List[int] = space["kernels"]
        self.expansions: List[int] = space["expansions"]
        self.depths: List[int] = space["depths"]
        rounding = space.get("rounding") or {}
        rows = [self.backbone["stem"]["channels"], *(g["c"] for g in self.backbone["groups"]), self.backbone["head"]]
        divisor, up = rounding.get("divisor") or 8, rounding.get("mode") == "up"
        self.widths = [rounded(c * w, divisor, up) for c, w in zip(rows, space["widths"])]
        self.largest: Json = {"groups": [self._largest(g) for g in self.backbone["groups"]]}

    def _largest(self, g: Json) -> List[Json]:
        if g["t"] == 1:
            return [{"t": 1, "k": 3}] * int(g["n"])
        return [{"t": self.expansions[-1], "k": self.kernels[-1]}] * (1 if g["n"] == 1 else self.depths[-1])

    def units(self, subnet: Json) -> List[Unit]:
        """Returns a subnet's layers, in order."""
        stem, channels = self.backbone["stem"], self.widths[0]
        units = [Unit("stem", self.backbone["input"], channels, stem["kernel"], stem["stride"], False, True)]
        for i, (group, blocks) in enumerate(zip(self.backbone["groups"], subnet["groups"])):
            for j, choice in enumerate(blocks):
                if j >= len(self.largest["groups"][i]) or choice not in self._choices(i):
                    raise Failure("job", "group %d, block %d: the space has no such block %s" % (i + 1, j + 1, choice))
                units += self._block("g%d.b%d" % (i + 1, j + 1), channels, self.widths[i + 1], choice, 1 if j else group["s"])
                channels = self.widths[i + 1]
        return units + [Unit("head", channels, self.widths[-1], 1, 1, False, True)]

    def _choices(self, group: int) -> List[Json]:
        if self.backbone["groups"][group]["t"] == 1:
            return [{"t": 1, "k": 3}]
        return [{"t": t, "k": k} for t in self.expansions for k in self.kernels]

    @staticmethod
    def _block(name: str, inputs: int, outputs: int, choice: Json, stride: int) -> List[Unit]:
        mid, expands = middle(inputs, choice["t"]), choice["t"] != 1
        units = [Unit(name + ".expand", inputs, mid, 1, 1, False, True, first=True)] if expands else []
        units.append(Unit(name + ".depthwise", 1, mid, choice["k"], stride, True, True, elastic=expands, first=not expands))
        units.append(Unit(name + ".project", mid, outputs, 1, 1, False, False, adds=stride == 1 and inputs == outputs))
        return units

    def transforms(self, unit: Unit, kernel: int) -> List[Tuple[str, int, int]]:
        """Returns the matrices that make the unit's kernel of its largest one: name, size before, size after."""
        sizes = [k for k in reversed(self.kernels) if unit.kernel <= k <= kernel] if unit.elastic else []
        return [("%s.transform.%dto%d" % (unit.name, a, b), a, b) for a, b in zip(sizes, sizes[1:])]

    def tensors(self) -> List[Tuple[str, Tuple[int, ...], bool]]:
        """Returns the trained tensors: name, shape, and whether weight decay holds for it."""
        found: List[Tuple[str, Tuple[int, ...], bool]] = []
        for u in self.units(self.largest):
            found.append((u.name + ".weight", (u.outputs, u.inputs, u.kernel, u.kernel), True))
            found += [(u.name + ".bn.weight", (u.outputs,), False), (u.name + ".bn.bias", (u.outputs,), False)]
            found += [(n, (k * k, k * k), True) for n, _, k in self.transforms(u._replace(kernel=self.kernels[0]), u.kernel)]
        classes = self.backbone["classes"]
        return found + [("classifier.weight", (classes, self.widths[-1]), True), ("classifier.bias", (classes,), False)]


# Tensors


class Arena:
    """Tensors that are views of one flat buffer, so that to copy, reduce and update all of them is one operation each.

    Those with weight decay come first.
    """

    def __init__(self, space: Space, device: torch.device, room: int = 0) -> None:
        places: Dict[str, Tuple[int, Tuple[int, ...]]] = {}
        at = self.decayed = 0
        for decays in (True, False):
            for name, shape, decay in space.tensors():
                if decay == decays:
                    places[name] = at, shape
                    at += -(-math.prod(shape) // 16) * 16  # each begins at a line of the cache
            self.decayed = self.decayed or at
        self.flat = torch.zeros(at + room, device=device)
        self.body, self.tail = self.flat[:at], self.flat[at:]
        self.views = {n: self.flat[i : i + math.prod(s)].view(s) for n, (i, s) in sorted(places.items())}

    def export(self, prefix: str = "") -> Dict[str, Tensor]:
        """Returns the tensors by name, in main memory."""
        return {prefix + n: v.to("cpu") for n, v in self.views.items()}

    def load(self, tensors: Dict[str, Tensor], prefix: str = "") -> None:
        """Sets all tensors to those of the same names."""
        for name, view in self.views.items():
            t = tensors.get(prefix + name)
            if t is None or t.shape != view.shape:
                found = "missing" if t is None else "of shape %s" % list(t.shape)
                raise Failure("job", "tensor %s%s is %s, expected shape %s" % (prefix, name, found, list(view.shape)))
            view.copy_(t)


class Weights(Arena):
    """A supernet's weights, of which subnets use parts."""

    def __init__(self, space: Space, device: torch.device, gradient: Optional[Arena] = None) -> None:
        super().__init__(space, device)
        self.space, self.gradient = space, gradient
        self.parts: Dict[Tuple[Any, ...], Tensor] = {}

    def part(self, name: str, *extents: int) -> Tensor:
        """Returns the first rows and columns of a tensor, as a leaf whose gradient is added up where it belongs.

        A slice that autograd knows would go backward through a tensor of the whole size, once for each use.
        """
        key = (name, *extents)
        if key not in self.parts:
            index = tuple(slice(e) for e in extents)
            part = self.views[name][index].detach()
            if self.gradient:
                part.requires_grad_()
                part.grad = self.gradient.views[name][index]
            self.parts[key] = part
        return self.parts[key]

    def filters(self, u: Unit) -> Tensor:
        """Returns a unit's filters; a smaller kernel is the centre of the next larger one, transformed."""
        w = self.part(u.name + ".weight", u.outputs, u.inputs)
        for name, size, k in self.space.transforms(u, w.shape[-1]):
            d = (size - k) // 2
            centre = w[:, :, d : d + k, d : d + k].reshape(-1, k * k)
            w = F.linear(centre, self.part(name)).reshape(-1, 1, k, k)
        return w

    def scale(self, u: Unit) -> Tuple[Tensor, Tensor]:
        """Returns what a unit's normalised output is multiplied by, and what is added then."""
        return self.part(u.name + ".bn.weight", u.outputs), self.part(u.name + ".bn.bias", u.outputs)

    def classify(self, x: Tensor, rounding: Rounding) -> Tensor:
        """Returns the logits of the head's output."""
        weight, bias = rounding.filters(self.part("classifier.weight")), self.part("classifier.bias")
        return F.linear(rounding.map(x.mean((2, 3))), weight, bias).float()

    def sort(self, expansions: List[int], momentum: Arena) -> None:
        """Puts the most important middle channels of each elastic block first, within the bands of the expansions.

        The importance is the L1 norm of the projection's weights. Subnets of these expansions stay what they are.
        """
        units = self.space.units(self.space.largest)
        for expand, depthwise, project in zip(units, units[1:], units[2:]):
            if not expand.name.endswith(".expand"):
                continue
            norm = self.views[project.name + ".weight"].to("cpu", torch.float64).abs().sum((0, 2, 3))
            ends = [min(middle(expand.inputs, t), project.inputs) for t in expansions] + [project.inputs]
            order, at = torch.arange(project.inputs), 0
            for end in ends:
                if end > at:
                    order[at:end] = at + torch.sort(norm[at:end], descending=True, stable=True)[1]
                    at = end
            order = order.to(self.flat.device)
            for arena in (self, momentum):
                for name in (n + s for n in (expand.name, depthwise.name) for s in (".weight", ".bn.weight", ".bn.bias")):
                    arena.views[name].copy_(arena.views[name][order])
                arena.views[project.name + ".weight"].copy_(arena.views[project.name + ".weight"][:, order])


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


# Forward


class Rounding(NamedTuple):
    """How a pass rounds: as a network in int8 with weights up to ±largest, or, where that is 0, not at all.

    Gradients pass as if nothing were rounded.
    """

    largest: int = 0

    def map(self, x: Tensor) -> Tensor:
        """Returns a map in 256 steps from its least value to its greatest, or to 0, which is one of the steps."""
        if not self.largest:
            return x
        low, high = torch.aminmax(x.detach().float())
        low, high = low.clamp(max=0), high.clamp(min=0)
        size = (high - low) / 255
        size = torch.where(size < LEAST, torch.ones_like(size), size)
        zero = (-128 - torch.round(low / size)).clamp(-128, 127).nan_to_num()
        return torch.fake_quantize_per_tensor_affine(x.float(), size, zero.int(), -128, 127)

    def filters(self, w: Tensor) -> Tensor:
        """Returns weights in steps of their own for each output channel.

        Batch normalisation scales channels: what it does to steps and weights alike may as well be done afterwards.
        """
        if not self.largest:
            return w
        size = w.detach().flatten(1).abs().amax(1) / self.largest
        size = torch.where(size < LEAST, torch.ones_like(size), size)
        zero = torch.zeros_like(size, dtype=torch.int32)
        return torch.fake_quantize_per_channel_affine(w, size, zero, 0, -self.largest, self.largest)


Runs = Callable[[Unit, Tensor], Tensor]


def features(units: List[Unit], x: Tensor, run: Runs, rounding: Rounding = Rounding()) -> Tensor:
    """Runs units one after the other."""
    read = x
    for u in units:
        if u.first:
            read = x
        x = run(u, x)
        if u.adds:
            x = rounding.map(x.add_(read))
    return x


def common(lists: List[List[Unit]]) -> int:
    """Returns how many units all lists begin with, in whole blocks."""
    n = next((i for i, units in enumerate(zip(*lists)) if len(set(units)) > 1), min(len(units) for units in lists))
    while n < len(lists[0]) and not (lists[0][n].first or lists[0][n].name == "head"):
        n -= 1
    return n


def loss_of(p: Json, z: Tensor, labels: Tensor, taught: Dict[str, Tensor]) -> Tensor:
    """Returns a pass's loss: against the labels, and against the probabilities of a teacher."""
    loss = torch.zeros((), device=z.device)
    if p["hard"]:
        loss = p["hard"] * F.cross_entropy(z, labels, label_smoothing=p["smoothing"])
    if p["soft"]:
        loss = loss - p["soft"] * (taught[p["from"]] * z.log_softmax(1)).sum(1).mean()
    return loss


def convolve(u: Unit, x: Tensor, filters: Tensor, bias: Optional[Tensor] = None) -> Tensor:
    return F.conv2d(x, filters, bias, u.stride, u.kernel // 2, 1, u.outputs if u.depthwise else 1)


def clamp(u: Unit, y: Tensor) -> Tensor:
    return F.relu6(y, inplace=True) if u.relu else y


def trained(weights: Weights, rounding: Rounding = Rounding()) -> Runs:
    """Normalises by the batch's own statistics."""

    def run(u: Unit, x: Tensor) -> Tensor:
        y = convolve(u, x, rounding.filters(weights.filters(u)))
        return rounding.map(clamp(u, torch.batch_norm(y, *weights.scale(u), None, None, True, 0.0, EPS, torch.backends.cudnn.enabled)))

    return run


def observed(weights: Weights, statistics: List[Tensor]) -> Runs:
    """As trained, and appends mean and biased variance of each unit's output."""

    def run(u: Unit, x: Tensor) -> Tensor:
        y = convolve(u, x, weights.filters(u))
        y, mean, inverse = torch.native_batch_norm(y, *weights.scale(u), None, None, True, 0.0, EPS)
        statistics.extend([mean.float(), (inverse.double() ** -2 - EPS).clamp_(min=0).float()])
        return clamp(u, y)

    return run


def folded(weights: Weights, units: List[Unit], statistics: Tensor) -> Runs:
    """Normalises by given statistics, which become part of the filters."""
    made: Dict[str, Tuple[Tensor, Tensor]] = {}
    parts = statistics.split([u.outputs for u in units for _ in range(2)])
    for u, mean, variance in zip(units, parts[::2], parts[1::2]):
        gamma, beta = weights.scale(u)
        scale = gamma.double() / (variance.double() + EPS).sqrt()
        shift = beta.double() - scale * mean.double()
        made[u.name] = weights.filters(u) * scale.float().view(-1, 1, 1, 1), shift.float()

    def run(u: Unit, x: Tensor) -> Tensor:
        return clamp(u, convolve(u, x, *made[u.name]))

    return run


# Other processes


class Stop:
    """Whether this rank was told to stop."""

    def __init__(self) -> None:
        self.asked = False
        for s in (signal.SIGTERM, signal.SIGINT):
            signal.signal(s, self.ask)

    def ask(self, *_: Any) -> None:
        self.asked = True


class Runner:
    """The connection to the runner: orders come in, answers go out."""

    def __init__(self, address: str, stop: Stop) -> None:
        host, _, port = address.rpartition(":")
        try:
            self.socket = socket.create_connection((host.strip("[]"), int(port)), timeout=60)
        except (OSError, ValueError) as e:
            raise Failure("gone", "the runner at %s cannot be reached: %s" % (address, e)) from None
        self.socket.settimeout(None)
        self.stop = stop
        self.orders: queue.Queue[bytes] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        """Takes orders in. At the end of the connection training stops, whatever was ordered."""
        try:
            with self.socket.makefile("rb") as f:
                for line in f:
                    size = int(json.loads(line).get("bytes", 0))
                    payload = f.read(size)
                    if len(payload) == size:
                        self.orders.put(line + payload)
        except (OSError, ValueError, AttributeError) as e:
            print("orders: %s" % e, file=sys.stderr)
        self.orders.put(b'{"order":"gone"}\n')
        self.stop.ask()

    def next(self) -> bytes:
        """Returns the next order, or one to go on waiting."""
        try:
            return self.orders.get(timeout=BEAT)
        except queue.Empty:
            return b'{"order":"wait"}\n'

    def send(self, line: Json, payload: bytes = b"") -> None:
        """Sends an answer. That nobody reads it any more is seen by _read."""
        with contextlib.suppress(OSError):
            self.socket.sendall(json.dumps(line).encode() + b"\n" + payload)


class Group:
    """The ranks of a job. What is called here, all ranks call."""

    def __init__(self, cuda: bool, ranks: int) -> None:
        def find(*names: str) -> int:
            return int(next((os.environ[n] for n in names if n in os.environ), names[-1]))

        self.rank, self.world = find("RANK", "SLURM_PROCID", "0"), find("WORLD_SIZE", "SLURM_NTASKS", "1")
        self.local, self.cuda, self.ranks = find("LOCAL_RANK", "SLURM_LOCALID", "0"), cuda, ranks
        self.reducers: Any = None  # the group of the gradients

    def join(self) -> None:
        """Finds the other ranks."""
        if self.ranks != self.world:
            raise Failure("job", "the job is for %d ranks, but %d were started" % (self.ranks, self.world), rank=self.rank)
        if self.world > 1:
            for name in ("MASTER_ADDR", "MASTER_PORT"):
                if name not in os.environ:
                    raise Failure("job", "%s is not set: the ranks cannot find each other" % name, rank=self.rank)
            with self.attentive():
                dist.init_process_group("gloo", rank=self.rank, world_size=self.world, timeout=LOST)
                self.reducers = dist.new_group(backend="nccl", timeout=LOST) if self.cuda else dist.group.WORLD

    @contextlib.contextmanager
    def attentive(self) -> Iterator[None]:
        """Says what it means that a collective fails."""
        try:
            yield
        except RuntimeError as e:
            if "CUDA error" in str(e) or "out of memory" in str(e):
                raise  # it is this rank that failed, perhaps before
            raise Failure("lost", "another rank has ended or cannot be reached: %s" % str(e).split("\n")[0], rank=self.rank) from None

    def add(self, t: Tensor, op: Any = dist.ReduceOp.SUM) -> Tensor:
        """Replaces t, in main memory, by its sum over the ranks."""
        if self.world > 1:
            with self.attentive():
                dist.all_reduce(t, op)
        return t

    def add_gradients(self, t: Tensor) -> None:
        """Replaces t by its sum over the ranks."""
        if self.world > 1:
            with self.attentive():
                dist.all_reduce(t, group=self.reducers)

    def share(self, data: bytes, source: int) -> bytes:
        """Returns the source's data."""
        if self.world == 1:
            return data
        size = torch.tensor([len(data)])
        with self.attentive():
            dist.broadcast(size, source)
            t = torch.empty(int(size), dtype=torch.uint8)
            if self.rank == source:
                window(t)[:] = data
            dist.broadcast(t, source)
        return bytes(window(t))


class Batch(NamedTuple):
    images: Tensor
    labels: Tensor


class Feeder:
    """A process that sends images. A thread receives them while the last ones are at work."""

    def __init__(self, command: List[str], device: torch.device, rank: int) -> None:
        self.device, self.rank = device, rank
        self.asked: Deque[Json] = deque()
        self.received: queue.Queue[Any] = queue.Queue(2)
        self.waited = 0.0  # seconds
        try:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        except OSError as e:
            raise Failure("data", "the feeder cannot be started: %s" % e, rank=rank) from None
        assert self.process.stdin and self.process.stdout
        self.requests, self.answers = self.process.stdin, self.process.stdout
        with contextlib.suppress(OSError, AttributeError):  # fewer and larger reads, where it can be had
            fcntl.fcntl(self.answers, fcntl.F_SETPIPE_SZ, 1 << 20)
        threading.Thread(target=self._receive, daemon=True).start()

    def _receive(self) -> None:
        try:
            stream = torch.cuda.Stream(self.device) if self.device.type == "cuda" else None
            while True:
                with torch.cuda.stream(stream):
                    batch = self._read()
                if stream:
                    stream.synchronize()
                self.received.put(batch)
        except Exception as e:
            self.received.put(foreseen(e, self.rank))

    def _read(self) -> Batch:
        line = self.answers.readline()
        head = json.loads(line or b'{"error": "the feeder has ended"}')
        if "error" in head:
            raise Failure("data", head["error"], rank=self.rank)
        labels = self._tensor((head["n"],), torch.int32)
        return Batch(self._tensor((head["n"], head["h"], head["w"], head["c"]), torch.float32), labels)

    def _tensor(self, shape: Tuple[int, ...], dtype: torch.dtype) -> Tensor:
        cuda = self.device.type == "cuda"
        t = torch.empty(shape, dtype=dtype, pin_memory=cuda)
        if self.answers.readinto(window(t)) != t.numel() * t.element_size():  # type: ignore[attr-defined]
            raise Failure("data", "the feeder has ended within an answer", rank=self.rank)
        return t.to(self.device, non_blocking=True)

    def ask(self, requests: List[Json]) -> None:
        """Asks for what is needed next, so that it is there when it is taken."""
        try:
            for r in requests:
                if r not in self.asked:
                    self.asked.append(r)
                    self.requests.write(json.dumps(r).encode() + b"\n")
            self.requests.flush()
        except OSError:
            pass  # its last answer says why

    def take(self, request: Json) -> Batch:
        """Returns what was requested. What was asked for before it and never taken is dropped."""
        self.ask([request])
        began = time.perf_counter()
        while True:
            answer = self.received.get()
            if isinstance(answer, Failure):
                raise answer
            if self.asked.popleft() == request:
                break
        self.waited += time.perf_counter() - began
        if self.device.type == "cuda":
            for t in answer:
                t.record_stream(torch.cuda.current_stream())
        return Batch(answer.images.permute(0, 3, 1, 2), answer.labels.long())  # channels_last: faster on CPUs, too

    def close(self) -> None:
        """Ends the feeder, which has nothing to lose."""
        self.process.kill()
        self.process.wait()


# Work


class Running(NamedTuple):
    """A step that is applied to the weights, though a device may still be computing it."""

    step: Json
    images: int
    waited: float  # seconds for images
    events: Tuple[Any, ...]  # on CUDA: begin and end on the device


class Worker:
    """One rank: weights, and what each order does with them."""

    def __init__(self, job: Json, group: Group, runner: Optional[Runner], stop: Stop) -> None:
        self.group, self.runner, self.stop = group, runner, stop
        self.failure: Optional[Failure] = None  # of this rank, until the others know
        self.stopped = False  # what all ranks know
        self.device = torch.device("cpu")
        with self.guard():
            self._open(job)
        self.agree()

    def _open(self, job: Json) -> None:
        if job["device"] == "cuda":
            self.device = open_cuda(self.group.local)
        self.overlaps = self.device.type == "cuda"  # operations return before they are computed
        self.half = job["precision"] == "bfloat16"
        self.space = Space(job["space"])
        self.gradient = Arena(self.space, self.device, room=TAIL)
        self.momentum = Arena(self.space, self.device)
        self.weights = Weights(self.space, self.device, self.gradient)
        self.teacher: Optional[Weights] = None
        self.running: Optional[Running] = None
        self.last: Any = None
        self.told = torch.zeros(TAIL, pin_memory=self.overlaps)  # the tail of the last step's gradients
        self.kept: Dict[str, Dict[int, Batch]] = {}
        self.room = KEPT
        ranks = ["--rank", str(self.group.rank), "--world", str(self.group.world)]
        self.feeder = Feeder([*job["feeder"], *ranks], self.device, self.group.rank)

    @contextlib.contextmanager
    def guard(self) -> Iterator[None]:
        """Keeps what goes wrong on this rank until the next agreement: leaving alone would hang the others."""
        try:
            yield
        except Exception as e:
            self.failure = foreseen(e, self.group.rank)

    def agree(self) -> bool:
        """Returns whether any rank was told to stop; raises the failure of any."""
        flags = self.group.add(torch.tensor([self.stop.asked, self.failure is not None], dtype=torch.int64))
        if flags[1]:
            raise self.shared_failure()
        self.stopped = self.stopped or bool(flags[0])
        return self.stopped

    def shared_failure(self) -> Failure:
        """Returns the failure of the first rank that has one."""
        mine = self.group.rank if self.failure else self.group.world
        source = int(self.group.add(torch.tensor(mine), dist.ReduceOp.MIN))
        fields = self.group.share(json.dumps(self.failure.fields if self.failure else {}).encode(), source)
        return Failure(**json.loads(fields))

    def answer(self, line: Json, payload: bytes = b"") -> None:
        if self.runner:
            self.runner.send(line, payload)

    def serve(self) -> int:
        """Obeys orders up to the last and returns the exit code."""
        while True:
            line, _, payload = self.group.share(self.runner.next() if self.runner else b"", 0).partition(b"\n")
            order = json.loads(line)
            name = order.pop("order", None)
            if name == "gone":
                return CODES["gone"]
            if name == "wait":
                continue
            try:
                answer, data = self.obey(name, order, payload)
            except (KeyError, TypeError, AttributeError) as e:
                traceback.print_exc()
                raise Failure("job", "order %s: %s: %s" % (name, type(e).__name__, e)) from None
            if self.agree():
                answer["stopped"] = True
            self.answer({**answer, **({"bytes": len(data)} if data else {}), "done": True}, data)
            if name == "exit":
                return 0

    def obey(self, name: str, order: Json, payload: bytes) -> Tuple[Json, bytes]:
        """Does what is ordered and returns the answer."""
        if name == "load":
            self.load(decode(payload))
        elif name == "train":
            return self.train(order["steps"], order.get("next", [])), b""
        elif name == "keep_teacher":
            self.teacher = Weights(self.space, self.device)
            self.teacher.flat.copy_(self.weights.flat)
        elif name == "sort":
            self.weights.sort(order["expansions"], self.momentum)
        elif name == "weights":
            return {}, encode(self.weights.export())
        elif name == "state":
            return {}, encode({n: t for p, a in self.state() for n, t in a.export(p).items()})
        elif name == "set_state":
            self.set_state(decode(payload))
        elif name == "statistics":
            return self.statistics(order)
        elif name == "measure":
            return self.measure(order), b""
        elif name != "exit":
            raise Failure("job", "there is no order %s" % json.dumps(name))
        return {}, b""

    def load(self, tensors: Dict[str, Tensor]) -> None:
        """Begins anew with given weights."""
        self.weights.load(tensors)
        self.momentum.flat.zero_()
        self.teacher = None

    def state(self) -> List[Tuple[str, Arena]]:
        """Returns all that training changes."""
        return [("w.", self.weights), ("m.", self.momentum)] + ([("t.", self.teacher)] if self.teacher else [])

    def set_state(self, tensors: Dict[str, Tensor]) -> None:
        self.teacher = Weights(self.space, self.device) if any(n.startswith("t.") for n in tensors) else None
        for prefix, arena in self.state():
            arena.load(tensors, prefix)

    # Training

    def train(self, steps: List[Json], following: List[Json]) -> Json:
        """Trains step by step, until all are done or any rank was told to stop.

        What a step came to is read while the next one computes, so that a CUDA device never waits for it. If it says
        to stop, the next one's gradients are dropped: the weights are those after the last step that is answered.
        """
        self.mark, self.last = time.perf_counter(), None  # the end of the last step: here, and on a CUDA device
        self.feeder.ask([request(s) for s in steps + following])
        for step in steps:
            if not self.overlaps and not self.settle():
                break
            running = self.accumulate(step)
            if not self.settle():
                break
            self.apply(step["sgd"], running)
        self.settle()
        return {"peak": torch.cuda.max_memory_allocated()} if self.device.type == "cuda" else {}

    def accumulate(self, step: Json) -> Running:
        """Adds up the gradients of a step's passes."""
        images, waited, events = 0, self.feeder.waited, self.events()
        self.gradient.flat.zero_()
        with self.guard():
            batch = self.feeder.take(request(step))
            images = len(batch.labels)
            if events:
                events[0].record()
            self.passes(step, batch)
        return Running(step, images, self.feeder.waited - waited, events)

    def events(self) -> Tuple[Any, ...]:
        if self.device.type != "cuda":
            return ()
        return torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)

    def precision(self) -> Any:
        return torch.autocast(self.device.type, torch.bfloat16, self.half)  # type: ignore[attr-defined]

    def logits(self, weights: Weights, units: List[Unit], x: Tensor, run: Runs, rounding: Rounding = Rounding()) -> Tensor:
        with self.precision():
            return weights.classify(features(units, x, run, rounding), rounding)

    def passes(self, step: Json, batch: Batch) -> None:
        """Adds the gradients of a step's passes. The layers that all of them begin with run once, there and back."""
        number, passes = step["step"], step["passes"]
        if not 0 < len(passes) <= TAIL - LOSS:
            raise Failure("job", "step %d has %d passes, expected 1 to %d" % (number, len(passes), TAIL - LOSS))
        taught: Dict[str, Tensor] = {}
        if step.get("teacher"):
            taught["teacher"] = self.predict(step["teacher"], batch)
        rounding = Rounding(passes[0].get("quantise", 0))
        if any(p.get("quantise", 0) != rounding.largest for p in passes):
            raise Failure("job", "step %d has passes that round and passes that do not" % number)
        run, rests = trained(self.weights, rounding), [self.space.units(p["subnet"]) for p in passes]
        n = common(rests)
        with self.precision():
            begin = features(rests[0][:n], rounding.map(batch.images), run, rounding)
        x = begin.detach().requires_grad_()
        for i, p in enumerate(passes):
            z = self.logits(self.weights, rests[i][n:], x, run, rounding)
            loss = loss_of(p, z, batch.labels, taught)
            loss.backward()
            self.gradient.tail[LOSS + i] = loss.detach()
            if i == 0:
                self.gradient.tail[CORRECT] = (z.argmax(1) == batch.labels).sum()
                taught["first"] = z.detach().softmax(1)
        begin.backward(x.grad)

    def predict(self, subnet: Json, batch: Batch) -> Tensor:
        """Returns the probabilities that the teacher gives."""
        if not self.teacher:
            raise Failure("job", "a step has a teacher, but none was kept")
        with torch.no_grad():
            return self.logits(self.teacher, self.space.units(subnet), batch.images, trained(self.teacher)).softmax(1)

    def apply(self, sgd: Json, running: Running) -> None:
        """Updates the weights by the gradients of all ranks: as torch.optim.SGD, but all tensors at once."""
        tail, w, d, m = self.gradient.tail, self.weights.body, self.gradient.body, self.momentum.body
        tail[STOP], tail[FAILED] = float(self.stop.asked), float(self.failure is not None)
        self.group.add_gradients(self.gradient.flat)
        self.told.copy_(tail, non_blocking=True)
        if self.group.world > 1:
            d.mul_(1 / self.group.world)
        n = self.weights.decayed
        d[:n].add_(w[:n], alpha=sgd["decay"])
        m.mul_(sgd["momentum"]).add_(d)
        w.sub_(d.add_(m, alpha=sgd["momentum"]) if sgd["nesterov"] else m, alpha=sgd["rate"])
        if running.events:
            running.events[1].record()
        self.running = running

    def settle(self) -> bool:
        """Answers for the step that was applied last, if it was not yet, and returns whether to go on."""
        done, self.running = self.running, None
        if done is None:
            return not self.stopped
        if done.events:
            done.events[1].synchronize()
        told, waited = self.told.tolist(), done.waited
        if told[FAILED]:
            raise self.shared_failure()
        if done.events:
            waited = max(0.0, self.last.elapsed_time(done.events[0]) / 1e3) if self.last else waited
            self.last = done.events[1]
        number, world, now = done.step["step"], self.group.world, time.perf_counter()
        for i, loss in enumerate(told[LOSS : LOSS + len(done.step["passes"])]):
            if not math.isfinite(loss):
                message = "the loss of step %d, pass %d is %s" % (number, i, loss)
                raise Failure("diverged", message, step=number, **{"pass": i, "loss": str(loss)})
        line = {"step": number, "loss": told[LOSS] / world, "correct": int(told[CORRECT]), "images": done.images * world}
        self.answer({**line, "wait": round(waited, 6), "wall": round(now - self.mark, 6)})
        self.mark = now
        self.stopped = self.stopped or told[STOP] > 0
        return not self.stopped

    # Measuring

    def each(self, images: Json, resolution: int, size: int, use: Callable[[int, Batch], None]) -> None:
        """Calls use with this rank's batches of images and their numbers, unless the worker is stopped.

        Rank r takes batches r, r + world, …; all ranks go through the same rounds, since each ends with an agreement.
        """
        count, rank, world = int(images["count"]), self.group.rank, self.group.world
        asks = [
            {"images": images, "from": at, "count": min(size, count - at), "resolution": resolution}
            for at in range(rank * size, count, world * size)
        ]
        key = json.dumps([images, resolution, size], sort_keys=True)
        kept = self.kept.setdefault(key, {})
        for i in range(-(-count // (size * world))):
            with self.guard():
                if i < len(asks):
                    batch = kept.get(i)
                    if batch is None:
                        self.feeder.ask([a for j, a in enumerate(asks[i : i + 4], i) if j not in kept])
                        batch = self.feeder.take(asks[i])
                        need = 4 * batch.images.numel()
                        if need <= self.room:
                            kept[i], self.room = batch, self.room - need
                    use(i * world + rank, batch)
            if self.agree():
                return

    def observe(self, subnet: Json, order: Json) -> Tensor:
        """Returns mean and variance of each unit's output: the means of those of the calibration batches.

        Every rank adds up the batches of all ranks in the same order, so that any number of ranks gets the same bits.
        """
        units = self.space.units(subnet)
        size, images = int(order["batch"]), order["calibration"]
        rows = torch.zeros(-(-int(images["count"]) // size), 2 * sum(u.outputs for u in units))

        def use(i: int, batch: Batch) -> None:
            found: List[Tensor] = []
            with torch.no_grad(), self.precision():
                features(units, batch.images, observed(self.weights, found))
            rows[i] = torch.cat(found).cpu()

        self.each(images, subnet["resolution"], size, use)
        total = torch.zeros(rows.shape[1], dtype=torch.float64)
        for row in self.group.add(rows):
            total += row
        return (total / len(rows)).float().to(self.device)

    def statistics(self, order: Json) -> Tuple[Json, bytes]:
        """Returns the re-estimated statistics of a subnet by layer."""
        found, units = self.observe(order["subnet"], order).cpu(), self.space.units(order["subnet"])
        if self.stopped:
            return {}, b""
        names = [u.name + s for u in units for s in (".mean", ".var")]
        return {}, encode(dict(zip(names, found.split([u.outputs for u in units for _ in range(2)]))))

    def measure(self, order: Json) -> Json:
        """Returns how many images each subnet classifies correctly, or -1 where a logit is not finite."""
        correct = []
        for subnet in order["subnets"]:
            statistics = self.observe(subnet, order)
            if not self.stopped:
                correct.append(self.correct(subnet, statistics, order))
            if self.stopped:
                return {}
        return {"correct": correct}

    @torch.no_grad()
    def correct(self, subnet: Json, statistics: Tensor, order: Json) -> int:
        units = self.space.units(subnet)
        run = folded(self.weights, units, statistics)
        counts = torch.zeros(2, dtype=torch.int64, device=self.device)  # correct ones, and those without an answer

        def use(_: int, batch: Batch) -> None:
            z = self.logits(self.weights, units, batch.images, run)
            counts.add_(torch.stack([(z.argmax(1) == batch.labels).sum(), (~z.isfinite()).any(1).sum()]))

        self.each(order["images"], subnet["resolution"], int(order["batch"]), use)
        found, bad = self.group.add(counts.cpu()).tolist()
        return -1 if bad else int(found)


def request(step: Json) -> Json:
    """Returns what the feeder is asked for a step's images."""
    return {"train": {"step": step["step"], "resolution": step["resolution"]}}


def open_cuda(local: int) -> torch.device:
    """Returns the rank's device, on which the same operations give the same bits each time."""
    if not torch.cuda.is_available():
        raise Failure("job", "device is cuda, but torch %s finds no CUDA device here" % torch.__version__)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    if hasattr(torch.utils, "deterministic"):  # else all new memory is filled, which only what is wrong would see
        torch.utils.deterministic.fill_uninitialized_memory = False
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    device = torch.device("cuda", local % torch.cuda.device_count())
    torch.cuda.set_device(device)
    return device


def hello(job: Json, local: int) -> Json:
    """Returns the first line to the runner: what this is."""
    versions = {"python": platform.python_version(), "torch": str(torch.__version__), "cuda": None, "device": None}
    if job["device"] == "cuda" and torch.cuda.is_available():
        versions["cuda"], versions["device"] = torch.version.cuda, torch.cuda.get_device_name(local % torch.cuda.device_count())
    return {"hello": job["token"], "versions": versions}


def keep_memory() -> None:
    """Has glibc keep what is freed: to get a step's maps anew from the system was a fifth of its time."""
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        for option, value in ((-1, (1 << 31) - 1), (-3, 1 << 25)):  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
            libc.mallopt(option, value)


def work(path: str) -> int:
    """Does a job and returns the exit code."""
    keep_memory()
    warnings.filterwarnings("ignore", message="grad and param do not obey")  # gradients of parts of matrices have gaps
    stop, runner, group, worker = Stop(), None, None, None
    try:
        try:
            with open(path, encoding="utf-8") as f:
                job: Json = json.load(f)
            group = Group(job["device"] == "cuda", job["ranks"])
            if group.rank == 0:
                runner = Runner(job["connect"], stop)
                runner.send(hello(job, group.local))
        except (OSError, ValueError, KeyError, TypeError) as e:
            raise Failure("job", "%s: not a job: %s %s" % (path, type(e).__name__, e)) from None
        group.join()
        worker = Worker(job, group, runner, stop)
        code = worker.serve()
        worker.feeder.close()
        return code
    except Exception as e:
        failure = foreseen(e, group.rank if group else -1)
        print("rank %d: %s" % (group.rank if group else -1, failure), file=sys.stderr)
        if runner:
            runner.send({"error": failure.fields})
        return CODES.get(failure.fields["kind"], 1)


def main() -> None:
    code = work(sys.argv[-1])
    sys.stderr.flush()
    os._exit(code)  # what is left of a failed group may wait for ever in its destructors


if __name__ == "__main__":
    main()
