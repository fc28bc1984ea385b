#!/usr/bin/env python3
"""Writes `digits.safetensors`, what `safetensors.torch.save_file(network.state_dict(), ...)` writes for the network

    nn.Sequential(OrderedDict(
        conv1=nn.Conv2d(1, 4, 3, padding=1), norm1=nn.BatchNorm2d(4), relu1=nn.ReLU(), pool1=nn.MaxPool2d(2),
        conv2=nn.Conv2d(4, 8, 3, padding=1), norm2=nn.BatchNorm2d(8), relu2=nn.ReLU(), pool2=nn.MaxPool2d(2),
        flatten=nn.Flatten(), dense=nn.Linear(128, 10),
    ))

with its names and shapes, of seeded random numbers, and prints what the network computes for an image of which pixel `i` is
`i % 17 / 16`, from PyTorch's definitions of its layers. Needs numpy and safetensors, not PyTorch.
"""

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

EPSILON = 1e-5


def weights() -> dict[str, np.ndarray]:
    """The state of the network."""
    rng = np.random.default_rng(1)
    normal = lambda *shape: (rng.normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)
    uniform = lambda low, high, size: rng.uniform(low, high, size).astype(np.float32)
    state = {}
    for number, (inputs, outputs) in enumerate([(1, 4), (4, 8)], 1):
        state[f"conv{number}.weight"] = normal(outputs, inputs, 3, 3)
        state[f"conv{number}.bias"] = uniform(-0.1, 0.1, outputs)
        state[f"norm{number}.weight"] = uniform(0.5, 1.5, outputs)
        state[f"norm{number}.bias"] = uniform(-0.3, 0.3, outputs)
        state[f"norm{number}.running_mean"] = uniform(-0.3, 0.3, outputs)
        state[f"norm{number}.running_var"] = uniform(0.5, 1.5, outputs)
        state[f"norm{number}.num_batches_tracked"] = np.array(1000, np.int64)
    state["dense.weight"] = normal(10, 128)
    state["dense.bias"] = uniform(-0.1, 0.1, 10)
    return state


def conv(x: np.ndarray, filters: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """`Conv2d` with a border of one: `[I, H, W]` to `[O, H, W]`."""
    _, height, width = x.shape
    x = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    windows = [x[:, row : row + height, column : column + width] for row in range(3) for column in range(3)]
    taps = filters.reshape(*filters.shape[:2], 9)
    return np.einsum("oit,tihw->ohw", taps, np.stack(windows)) + bias[:, None, None]


def layer(x: np.ndarray, state: dict[str, np.ndarray], number: int) -> np.ndarray:
    """A convolution, normalized, without what is negative, halved."""
    x = conv(x, state[f"conv{number}.weight"], state[f"conv{number}.bias"])
    gamma, beta, mean, variance = (
        state[f"norm{number}.{name}"][:, None, None] for name in ("weight", "bias", "running_mean", "running_var")
    )
    x = np.maximum((x - mean) / np.sqrt(variance + EPSILON) * gamma + beta, 0.0)
    channels, height, width = x.shape
    return x.reshape(channels, height // 2, 2, width // 2, 2).max((2, 4))


def main() -> None:
    """Writes the file and prints the scores."""
    state = weights()
    save_file(state, Path(__file__).with_name("digits.safetensors"))
    state = {name: values.astype(np.float64) for name, values in state.items()}
    image = (np.arange(256) % 17 / 16).reshape(1, 16, 16)
    features = layer(layer(image, state, 1), state, 2)
    scores = state["dense.weight"] @ features.ravel() + state["dense.bias"]
    print(", ".join(f"{score:.5f}" for score in scores))


if __name__ == "__main__":
    main()
