"""Measures how long this machine takes to run a network: python3 measure.py SECONDS

It reads model.onnx and writes result.json: the median of many runs on one thread, the least, and the spread, which is the distance between
the quartiles as a share of the median. A board of your own is another program that writes the same.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable

import numpy
import onnxruntime


def session(model: str) -> onnxruntime.InferenceSession:
    """One thread, one operation after the other, as on a small device."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def times(run: Callable[[], object], seconds: float, least: int) -> list[float]:
    """The seconds that each run took: at least `least` runs, for at least `seconds` in all."""
    taken: list[float] = []
    end = time.perf_counter() + seconds
    while len(taken) < least or time.perf_counter() < end:
        begin = time.perf_counter()
        run()
        taken.append(time.perf_counter() - begin)
    return taken


def main() -> None:
    seconds = float(sys.argv[1])
    network = session("model.onnx")
    image = network.get_inputs()[0]
    values = numpy.random.default_rng(1).standard_normal(image.shape, dtype=numpy.float32)

    def run() -> None:
        network.run(None, {image.name: values})

    times(run, seconds / 4, 5)  # warm-up: caches, clock, the allocator
    taken = times(run, seconds, 20)
    quarter, median, three_quarters = statistics.quantiles(taken, n=4)
    with open("result.json", "w", encoding="utf-8") as f:
        json.dump({"latency": median, "least": min(taken), "spread": (three_quarters - quarter) / median, "runs": len(taken)}, f)


if __name__ == "__main__":
    main()
