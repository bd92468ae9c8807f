"""One rank of the worker.

usage: python3 -B -u worker JOB.json
"""
import sys

try:
    import torch
except (ImportError, OSError) as e:
    sys.exit("PyTorch cannot be imported: %s" % e)
if sys.version_info < (3, 8) or [int(n) for n in str(torch.__version__).split(".")[:2]] < [1, 13]:
    sys.exit("this is Python %s with PyTorch %s: 3.8 and 1.13, or later, are needed" % (sys.version.split()[0], torch.__version__))

from worker import main

main()
