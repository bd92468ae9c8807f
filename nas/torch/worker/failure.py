"""What ends the worker, as the runner is told."""
# mypy: allow-untyped-calls
from __future__ import annotations

import traceback
from typing import Any, Dict

import torch

Json = Dict[str, Any]

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
