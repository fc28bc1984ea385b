#!/usr/bin/env python3
"""The notebook "Post-training integer quantization with int16 activations", as a script: what `cargo xtask tutorial` replaces.

    python tests/notebook.py MNIST_FOLDER OUT_FOLDER

Reads MNIST (raw or .gz), trains the network for an epoch, converts it to float32 and 16x8, and evaluates both files on the
test images. `cargo xtask bench` times it beside the tutorial; the last line on standard output is JSON: the seconds that the
epoch took, without its validation, and the accuracies.

Needs the versions of tests/fixtures/requirements.txt.
"""

import gzip
import json
import logging
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

logging.getLogger("tensorflow").setLevel(logging.ERROR)

BATCH = 32
CALIBRATION = 100


class Epoch(keras.callbacks.Callback):
    """The time from the first step's start to the last one's end: an epoch without its validation."""

    seconds = 0.0

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        self.start = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        self.seconds = time.perf_counter() - self.start


def idx(folder: Path, name: str) -> np.ndarray:
    """The array in one of MNIST's files."""
    raw = folder / name
    content = raw.read_bytes() if raw.exists() else gzip.decompress((folder / f"{name}.gz").read_bytes())
    dimensions = content[3]
    shape = np.frombuffer(content, ">u4", dimensions, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def train(images: np.ndarray, labels: np.ndarray, test: tuple[np.ndarray, np.ndarray]) -> tuple[keras.Model, float]:
    """The network after an epoch, and the seconds that it took."""
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.InputLayer(shape=(28, 28)),
            layers.Reshape((28, 28, 1)),
            layers.Conv2D(12, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
    epoch = Epoch()
    model.fit(images, labels, BATCH, 1, validation_data=test, callbacks=[epoch], verbose=1 if sys.stderr.isatty() else 0)
    return model, epoch.seconds


def convert(model: keras.Model, calibration: np.ndarray | None = None) -> bytes:
    """The model as a float file, or as a 16x8 file where there are samples for its calibration."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if calibration is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        ]
        converter.representative_dataset = lambda: ([image[None]] for image in calibration)
    return converter.convert()


def accuracy(file: Path, images: np.ndarray, labels: np.ndarray) -> float:
    """The share of images that the file classifies as labelled."""
    interpreter = tf.lite.Interpreter(str(file))
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]["index"]
    target = interpreter.get_output_details()[0]["index"]
    correct = 0
    for image, label in zip(images, labels):
        interpreter.set_tensor(source, image[None])
        interpreter.invoke()
        correct += int(np.argmax(interpreter.get_tensor(target)) == label)
    return correct / len(labels)


def main() -> None:
    """Runs the notebook."""
    mnist, out = Path(sys.argv[1]), Path(sys.argv[2])
    names = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
    images, labels, test_images, test_labels = (idx(mnist, name) for name in names)
    images, test_images = (np.float32(pixels) / np.float32(255) for pixels in (images, test_images))
    model, seconds = train(images, labels, (test_images, test_labels))
    report = {"tensorflow": tf.__version__, "keras": keras.__version__, "epoch_seconds": seconds}
    out.mkdir(parents=True, exist_ok=True)
    for scheme, calibration in ("float32", None), ("16x8", images[:CALIBRATION]):
        file = out / f"mnist_{scheme}.tflite"
        file.write_bytes(convert(model, calibration))
        report[f"accuracy_{scheme}"] = accuracy(file, test_images, test_labels)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
