"""Trains and measures subnets of an elastic supernet with PyTorch, as Eyrie's runner tells it to.

A process is one rank. Rank 0 gets orders from the runner over a connection and passes them on, so that all ranks do
the same; each has a feeder, a process that sends it images. The worker draws nothing at random and writes no file.
"""
# mypy: allow-untyped-calls
from __future__ import annotations

import contextlib
import ctypes
import json
import math
import os
import platform
import sys
import time
import traceback
import warnings
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

import torch
import torch.distributed as dist
from torch import Tensor

from failure import CODES, Failure, Json, foreseen
from ranks import Batch, Feeder, Group, Runner, Stop
from supernet import Arena, Rounding, Runs, Space, Unit, Weights, common, features, folded, loss_of, observed, trained
from tensors import decode, encode

KEPT = 512 << 20  # bytes of images that a rank keeps for the next measurement
STOP, FAILED, CORRECT, LOSS, TAIL = 0, 1, 2, 3, 64  # what stands behind the gradients; from LOSS on one for each pass


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
                message = "the loss of step %d, pass %d is %s" % (number + 1, i + 1, loss)
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
