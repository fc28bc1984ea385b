#!/usr/bin/env python3
"""Times `.tflite` models in LiteRT as its users run them (default resolver, XNNPACK), on one thread.

`cargo xtask bench` starts this process and talks with it on standard input and output, as `xtask/src/bench/rival.rs`
describes.

Needs only `ai-edge-litert` and `numpy` (versions in tests/fixtures/requirements.txt).
"""

import gc
import json
import platform
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import litert
import numpy as np

Answer = dict[str, Any]


class Timer:
    """The loaded models."""

    def __init__(self) -> None:
        self.models: list[litert.Interpreter] = []

    def answer(self, request: Answer) -> Answer:
        """Does what one line asks."""
        if "load" in request:
            return self.load(Path(request["load"]), request["input"])
        return {"nanoseconds": list(nanoseconds(self.models[request["model"]], request["runs"]))}

    def load(self, path: Path, reals: list[float]) -> Answer:
        """Loads a model, sets its input and runs it once."""
        interpreter = litert.load(path.read_bytes(), "default")
        detail = interpreter.get_input_details()[0]
        interpreter.set_tensor(detail["index"], quantized(np.array(reals, np.float32), detail))
        interpreter.invoke()
        detail = interpreter.get_output_details()[0]
        output = dequantized(interpreter.get_tensor(detail["index"]), detail)
        self.models.append(interpreter)
        return {"model": len(self.models) - 1, "output": output.ravel().tolist()}


def nanoseconds(interpreter: litert.Interpreter, runs: int) -> Iterator[int]:
    """The time of each of some runs."""
    clock, invoke = time.perf_counter_ns, interpreter.invoke
    for _ in range(runs):
        start = clock()
        invoke()
        yield clock() - start


def quantized(reals: np.ndarray, detail: litert.Details) -> np.ndarray:
    """Real numbers as an input takes them."""
    reals = reals.reshape(detail["shape"])
    if detail["dtype"] == np.float32:
        return reals
    scale, zero_point = detail["quantization"]
    limits = np.iinfo(detail["dtype"])
    return np.clip(np.rint(reals / scale) + zero_point, limits.min, limits.max).astype(detail["dtype"])


def dequantized(values: np.ndarray, detail: litert.Details) -> np.ndarray:
    """An output as real numbers."""
    if values.dtype == np.float32:
        return values
    scale, zero_point = detail["quantization"]
    return (values.astype(np.float32) - zero_point) * np.float32(scale)


def say(answer: Answer) -> None:
    """Writes one line."""
    print(json.dumps(answer), flush=True)


def main() -> None:
    """Answers requests until the input ends."""
    # A collection in the middle of a run would be counted as LiteRT's time.
    gc.disable()
    timer = Timer()
    say({"litert": version("ai-edge-litert"), "python": platform.python_version()})
    for line in sys.stdin:
        try:
            say(timer.answer(json.loads(line)))
        except (litert.Failure, OSError, ValueError, RuntimeError) as error:
            say({"error": litert.one_line(error)})


if __name__ == "__main__":
    main()
