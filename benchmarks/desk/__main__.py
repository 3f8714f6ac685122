"""`python -m benchmarks.desk NAME`: runs one of the measurements."""

from __future__ import annotations

import importlib
import sys

NAMES = ("echo", "talk", "drift", "path", "cuts", "cpu")


def main() -> None:
    name, arguments = (sys.argv[1:] or [""])[0], sys.argv[2:]
    if name == "capture":  # a part of others: one room, in a process of its own
        importlib.import_module("benchmarks.desk.capture").main(arguments[0])
    elif name in NAMES:
        importlib.import_module(f"benchmarks.desk.{name}").main(arguments)
    else:
        raise SystemExit(f"python -m benchmarks.desk {'|'.join(NAMES)} [--help]")


if __name__ == "__main__":
    main()
