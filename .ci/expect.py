"""Checks a summary.json of `cargo xtask tutorial` on real MNIST against what the tutorial promises."""

import json
import sys

# Name: most bytes, largest distance of the accuracy from the float model's, least agreement with it.
EXPECTED = {
    "float32": (84_668, 0.0, 1.0),
    "16x8": (25_144, 0.0005, 0.9990),
    "16x8-int16-io": (25_144, 0.0005, 0.9990),
    "int8": (24_500, 0.002, 0.99),
    "int8-int8-io": (24_500, 0.002, 0.99),
}

with open(sys.argv[1], encoding="utf-8") as file:
    summary = json.load(file)
assert summary["dataset"] == "mnist", summary["dataset"]
assert [model["name"] for model in summary["models"]] == list(EXPECTED)
accuracy = summary["models"][0]["accuracy"]
assert accuracy >= 0.955, accuracy
for model in summary["models"]:
    most_bytes, drift, agreement = EXPECTED[model["name"]]
    assert model["bytes"] <= most_bytes, model
    assert abs(model["accuracy"] - accuracy) <= drift, model
    assert model["agreement"] >= agreement, model
print(f"{sys.argv[1]}: as expected, float accuracy {accuracy}")
