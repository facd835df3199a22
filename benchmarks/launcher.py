"""Runs a command and prints its seconds, its peak memory in MiB and its exit code, as JSON on the last line.

    python launcher.py COMMAND ARGUMENT ...

The peak that the system reports of a process begins at that of the process that started it: whoever measures
has to be small itself, so this file imports next to nothing.
"""

import os
import sys
import time


def main() -> None:
    begin = time.perf_counter()
    child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - begin
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 2**20
    sys.stdout.flush()
    print(f'\n{{"seconds": {seconds}, "peak": {peak}, "code": {os.waitstatus_to_exitcode(status)}}}')


main()
