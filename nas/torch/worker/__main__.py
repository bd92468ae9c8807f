"""One rank of the worker.

usage: python3 -B -u worker JOB.json
"""
from worker import main

main()
