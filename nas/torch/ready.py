# Says what this interpreter is and has, for ready.go. It begins as any Python can read it.
import json
import sys

sys.path = [p for p in sys.path if p]  # the ranks do not see modules in the current directory
found = {"python": "%d.%d" % sys.version_info[:2], "torch": None, "gpus": 0}
if sys.version_info >= (3, 8):
    from importlib import metadata, util

    if util.find_spec("torch"):
        try:
            found["torch"] = metadata.version("torch")
        except metadata.PackageNotFoundError:
            found["torch"] = ""
    if found["torch"] is not None and "cuda" in sys.argv:  # importing it takes seconds
        import torch

        found["torch"] = str(torch.__version__)
        found["gpus"] = torch.cuda.device_count() if torch.cuda.is_available() else 0
print(json.dumps(found))
