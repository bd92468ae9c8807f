"""A feeder of made-up images for the tests of the worker: feeder.py JOB.json --rank R --world W."""
import json
import os
import random
import signal
import sys
from array import array


def image(key, label, h, c):
    """Returns noise around a mean that tells the label, h × h × c."""
    rng = random.Random(key)
    return array("f", (rng.gauss(label / 2 - 1, 1.0) for _ in range(h * h * c)))


def pick(feed, keys, h):
    """Returns labels and images."""
    labels = array("i", (random.Random("label " + k).randrange(feed["classes"]) for k in keys))
    images = array("f")
    for k, label in zip(keys, labels):
        images.extend(image(k, label, h, feed["channels"]))
    return labels, images


def keys(feed, request, rank, world):
    """Returns what is asked for, and its size: an image is known by a key."""
    if "train" in request:
        share = feed["batch"] // world
        step = request["train"]["step"]
        return ["train %d %d" % (step, i) for i in range(rank * share, (rank + 1) * share)], request["train"]["resolution"]
    first = request["from"]
    return ["%s %d" % (request["images"]["part"], i) for i in range(first, first + request["count"])], request["resolution"]


def main(job, rank, world):
    feed = json.load(open(job))["feed"]
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    out = sys.stdout.buffer
    for line in sys.stdin.buffer:
        request = json.loads(line)
        if rank == feed.get("ill_rank") and request.get("train", {}).get("step") == feed["ill_step"]:
            if not feed["illness"]:
                os.kill(os.getpid(), 9)
            out.write(json.dumps({"error": feed["illness"]}).encode() + b"\n")
            out.flush()
            return
        wanted, h = keys(feed, request, rank, world)
        labels, images = pick(feed, wanted, h)
        head = {"n": len(labels), "h": h, "w": h, "c": feed["channels"]}
        out.write(json.dumps(head).encode() + b"\n" + labels.tobytes() + images.tobytes())
        out.flush()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[3]), int(sys.argv[5]))
