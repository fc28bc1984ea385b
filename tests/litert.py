#!/usr/bin/env python3
"""Runs `.tflite` models in the real LiteRT interpreter, for tests written in Rust.

    python tests/litert.py --resolver reference MODEL.tflite INPUTS.npz OUTPUTS.npz...
    python tests/litert.py --check [--resolver optimized] MODEL.tflite...

INPUTS.npz holds `input_0`, `input_1`, ... in the order of the model's inputs and in its types; the first axis of each
counts samples, the rest is the model's whole input shape, batch included. OUTPUTS.npz gets `output_0`, ... in the same
layout. A sample shape other than the model's resizes the model's inputs first, so a dynamic batch can have any size.

`--check` loads, allocates and invokes each model with the resolver or with every one, and prints its inputs and outputs.

Needs only `ai-edge-litert` and `numpy` (versions in tests/fixtures/requirements.txt).
"""

import argparse
import io
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

try:
    import numpy as np
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.interpreter import Interpreter, OpResolverType
except ImportError as error:
    sys.exit(f"litert.py: error: {error}; install the versions of tests/fixtures/requirements.txt")

RESOLVERS = {
    # The reference kernels: what Burnlite is compared with, bit for bit.
    "reference": OpResolverType.BUILTIN_REF,
    # The kernels of the default, without delegates: they know operators that the reference lacks.
    "optimized": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    # What a user gets: optimized kernels and the XNNPACK delegate.
    "default": OpResolverType.AUTO,
}

# The reference resolver refuses greater versions of these, which converters stamp. The number has no other effect.
GREATEST_VERSIONS = {"DEPTH_TO_SPACE": 1, "TILE": 1, "RANGE": 1, "STRIDED_SLICE": 4}

# Where the table of an operator code keeps the place of its version.
VERSION_SLOT = 8

Details = dict[str, Any]


class Failure(Exception):
    """A problem with the caller's files, told in one line."""


def load(model: bytes, resolver: str) -> Interpreter:
    """The interpreter of a model with its tensors allocated, on one thread."""
    kernels = RESOLVERS[resolver]
    if resolver == "reference":
        model = with_known_versions(model)
    interpreter = Interpreter(model_content=model, experimental_op_resolver_type=kernels, num_threads=1)
    interpreter.allocate_tensors()
    return interpreter


def with_known_versions(model: bytes) -> bytes:
    """A model whose operators have no greater versions than the reference resolver knows."""
    lowered = bytearray(model)
    tables = schema.Model.GetRootAs(lowered, 0)
    codes = [tables.OperatorCodes(number) for number in range(tables.OperatorCodesLength())]
    greatest = {getattr(schema.BuiltinOperator, name): version for name, version in GREATEST_VERSIONS.items()}
    for code in codes:
        builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        if code.Version() > greatest.get(builtin, code.Version()):
            place = code._tab.Pos + code._tab.Offset(VERSION_SLOT)
            lowered[place : place + 4] = greatest[builtin].to_bytes(4, "little")
    return bytes(lowered)


def run(interpreter: Interpreter, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The outputs for every sample, stacked along a new first axis."""
    inputs_of_graph = prepare(interpreter, inputs)
    outputs_of_graph = [detail["index"] for detail in interpreter.get_output_details()]
    outputs: list[np.ndarray] = []
    for sample, values in enumerate(zip(*inputs)):
        for index, value in zip(inputs_of_graph, values):
            interpreter.set_tensor(index, value)
        interpreter.invoke()
        results = [interpreter.get_tensor(index) for index in outputs_of_graph]
        # Only now are the shapes of dynamic outputs known.
        outputs = outputs or [np.empty((len(inputs[0]), *result.shape), result.dtype) for result in results]
        for output, result in zip(outputs, results):
            output[sample] = result
    return outputs


def prepare(interpreter: Interpreter, inputs: Sequence[np.ndarray]) -> list[int]:
    """Checks the samples against the model's inputs, resizes these where shapes differ; the inputs' tensor indices."""
    details = interpreter.get_input_details()
    if len(inputs) != len(details):
        raise Failure(f"the model has {len(details)} inputs, found {len(inputs)} arrays")
    if any(array.ndim == 0 or len(array) == 0 for array in inputs):
        raise Failure("found an input without samples, expected at least one along the first axis")
    resized = False
    for number, (array, detail) in enumerate(zip(inputs, details)):
        if array.dtype != detail["dtype"]:
            raise Failure(f"input_{number} is {array.dtype}, expected {np.dtype(detail['dtype'])}")
        if len(array) != len(inputs[0]):
            raise Failure(f"input_{number} has {len(array)} samples, expected {len(inputs[0])} as input_0")
        if array.ndim - 1 != len(detail["shape"]):
            raise Failure(f"input_{number} has samples of shape {list(array.shape[1:])}, expected {shape_of(detail)}")
        if array.shape[1:] != tuple(detail["shape"]):
            interpreter.resize_tensor_input(detail["index"], array.shape[1:])
            resized = True
    if resized:
        interpreter.allocate_tensors()
    return [detail["index"] for detail in details]


def read_npz(path: Path, prefix: str) -> list[np.ndarray]:
    """The arrays `<prefix>_0`, `<prefix>_1`, ... of a file."""
    if not zipfile.is_zipfile(path):
        raise Failure(f"{path} is missing or no .npz file")
    with np.load(path, allow_pickle=False) as arrays:
        names = [f"{prefix}_{number}" for number in range(len(arrays.files))]
        if not names or set(names) != set(arrays.files):
            raise Failure(f"{path} holds {', '.join(arrays.files) or 'nothing'}, expected {prefix}_0, {prefix}_1, ...")
        return [arrays[name] for name in names]


def pack_npz(arrays: Mapping[str, np.ndarray], compression: int = zipfile.ZIP_STORED) -> bytes:
    """The `.npz` file of named arrays; unlike `numpy.savez`, the same arrays always give the same bytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression, compresslevel=9) as archive:
        for name, array in arrays.items():
            entry = io.BytesIO()
            np.lib.format.write_array(entry, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system = 3
            info.compress_type = compression
            archive.writestr(info, entry.getvalue())
    return file.getvalue()


def write(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all: beside it first, then renamed."""
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    part.replace(path)


def shape_of(detail: Details) -> list[int]:
    """The shape of an input or an output as the file has it, with -1 for a free axis."""
    return list(map(int, detail["shape_signature"]))


def describe(detail: Details) -> str:
    """One line about an input or an output: type, shape, name, scale and zero point."""
    scale, zero_point = detail["quantization"]
    quantization = f" scale {scale:g} zero point {zero_point}" if scale else ""
    return f"{np.dtype(detail['dtype'])} {shape_of(detail)} {detail['name']!r}{quantization}"


def check(path: Path, resolvers: Sequence[str]) -> bool:
    """Invokes a model on zeros with some resolvers and prints its inputs and outputs; whether all went well."""
    passed = True
    for resolver in resolvers:
        try:
            interpreter = load(path.read_bytes(), resolver)
            inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
            run(interpreter, [np.zeros((1, *detail["shape"]), detail["dtype"]) for detail in inputs])
        except (OSError, ValueError, RuntimeError) as error:
            print(f"{path}: {resolver} resolver: FAILED: {one_line(error)}")
            passed = False
        else:
            print(f"{path}: {resolver} resolver: ok")
    if passed:
        for kind, details in ("input", inputs), ("output", outputs):
            for number, detail in enumerate(details):
                print(f"  {kind}_{number}: {describe(detail)}")
    return passed


def one_line(error: Exception) -> str:
    """The message of an error without line breaks."""
    return " ".join(str(error).split())


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Run .tflite models in LiteRT.")
    parser.add_argument("--resolver", choices=RESOLVERS, help="which kernels (default: reference; of --check all)")
    parser.add_argument("--check", action="store_true", help="load the named models with every resolver")
    parser.add_argument("files", nargs="+", type=Path, help="MODEL INPUTS OUTPUTS..., or with --check MODEL...")
    arguments = parser.parse_args()
    if not arguments.check and len(arguments.files) % 3:
        parser.error(f"expected MODEL.tflite INPUTS.npz OUTPUTS.npz, as often as wanted, found {len(arguments.files)} files")
    return arguments


def answer(model: Path, inputs: Path, outputs: Path, resolver: str) -> bool:
    """Runs a model on a file of inputs and writes its outputs; whether all went well."""
    try:
        samples = read_npz(inputs, "input")
        results = run(load(model.read_bytes(), resolver), samples)
        write(outputs, pack_npz({f"output_{number}": array for number, array in enumerate(results)}))
    except (Failure, OSError, ValueError, RuntimeError) as error:
        print(f"litert.py: error: {model}: {one_line(error)}", file=sys.stderr)
        return False
    return True


def main() -> int:
    """Runs the command line; the exit status."""
    arguments = parse_arguments()
    if arguments.check:
        resolvers = [arguments.resolver] if arguments.resolver else list(RESOLVERS)
        passed = [check(path, resolvers) for path in arguments.files]
    else:
        files = iter(arguments.files)
        resolver = arguments.resolver or "reference"
        passed = [answer(*triple, resolver) for triple in zip(files, files, files)]
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
