"""Runs the calls of a script in a client's environment and prints what became of each, as a line of JSON."""

import asyncio
import inspect
import json
import sys
import traceback
from collections.abc import Mapping
from types import ModuleType


def run(script: ModuleType) -> None:
    """Each function whose name begins with `call_` is a call; the models' addresses are the program's argument."""
    addresses: Mapping[str, str] = json.loads(sys.argv[1])
    for name, call in vars(script).items():
        if not name.startswith("call_"):
            continue
        try:
            result = call(addresses)
            if inspect.iscoroutine(result):
                asyncio.run(result)
        except BaseException:
            print(json.dumps({"call": name, "error": traceback.format_exc()}), flush=True)
        else:
            print(json.dumps({"call": name, "error": ""}), flush=True)
