"""Checks a summary.json of `cargo xtask applications` against what the applications are to show."""

import json
import sys

# Name: the float model's least gain over doing without a network, in dB.
GAINS = {"super-resolution": 2.0, "audio": 3.0, "denoise": 3.0, "hdr": 2.0}
# What 16x8 may lose against the truth, in dB; and a mixture, of which the search knows that it loses 0.05 on other samples.
LOST = {"float32": 0.0, "16x8": 0.1, "mixed": 0.2}
# What int8 loses in two applications at least.
LOST_INT8 = 1.0

with open(sys.argv[1], encoding="utf-8") as file:
    applications = json.load(file)["applications"]
assert [application["name"] for application in applications] == list(GAINS)
lost = []
for application in applications:
    quality = {model["name"]: model["quality"] for model in application["models"]}
    assert quality["float32"] >= application["baseline"] + GAINS[application["name"]], application
    assert all(quality[name] >= quality["float32"] - LOST[name] for name in quality if name != "int8"), application
    lost.append(quality["float32"] - quality["int8"])
assert sum(loss >= LOST_INT8 for loss in lost) >= 2, lost
print(f"{sys.argv[1]}: as expected; int8 loses {', '.join(f'{loss:.2f}' for loss in lost)} dB")
