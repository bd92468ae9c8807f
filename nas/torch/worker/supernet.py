"""An elastic supernet: its space, the weights that its subnets share, and how a subnet computes with them."""
# mypy: allow-untyped-calls
from __future__ import annotations

import math
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from failure import Failure, Json

EPS = 1e-5  # added to a variance before its root is taken
LEAST = 1e-15  # the least step of what is rounded to integers


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


# The weights


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


# A subnet at work


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
