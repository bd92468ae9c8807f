"""The other processes of a rank: the runner, the other ranks, and the feeder that sends its images."""
# mypy: allow-untyped-calls
from __future__ import annotations

import contextlib
import fcntl
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from datetime import timedelta
from typing import Any, Deque, Iterator, List, NamedTuple, Tuple

import torch
import torch.distributed as dist
from torch import Tensor

from failure import Failure, Json, foreseen
from tensors import window

LOST = timedelta(minutes=10)  # a rank that lets the others wait this long is taken for lost
BEAT = 60.0  # seconds between signs of life while there are no orders; well below LOST


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
        if not line:
            raise self._ended()
        head = json.loads(line)
        if "error" in head:
            raise Failure("data", head["error"], rank=self.rank)
        labels = self._tensor((head["n"],), torch.int32)
        return Batch(self._tensor((head["n"], head["h"], head["w"], head["c"]), torch.float32), labels)

    def _ended(self) -> Failure:
        """Says how the feeder has ended, which is for users a process that reads images."""
        code, what = self.process.wait(), "the process that reads images "
        if code < 0:
            what += "was ended by signal %d, often for want of memory: run again to go on from the last checkpoint" % -code
        else:
            what += "has ended with exit code %d: see the step's log" % code
        return Failure("data", what, rank=self.rank)

    def _tensor(self, shape: Tuple[int, ...], dtype: torch.dtype) -> Tensor:
        cuda = self.device.type == "cuda"
        t = torch.empty(shape, dtype=dtype, pin_memory=cuda)
        if self.answers.readinto(window(t)) != t.numel() * t.element_size():  # type: ignore[attr-defined]
            raise self._ended()
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
