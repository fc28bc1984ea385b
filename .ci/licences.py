"""Every dependency has a licence that a program under MIT or Apache-2.0 may be distributed with."""

import json
import re
import subprocess
import sys

# MPL-2.0 binds changes to its own files alone; CDLA-Permissive-2.0 is that of certificate data.
ALLOWED = {
    "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0",
    "CDLA-Permissive-2.0", "ISC", "MIT", "MPL-2.0", "NCSA", "Unicode-3.0", "Unlicense", "Zlib",
}  # fmt: skip

# What their licence files say, where the manifests do not.
KNOWN = {"cfg_block": "Apache-2.0"}


def is_allowed(expression: str) -> bool:
    """Whether an SPDX expression, or the older form with a slash for OR, can be met with the licences allowed."""
    tokens = re.findall(r"\(|\)|(?:[^\s()/]+(?: WITH [^\s()]+)?)|/", expression)
    words = {"(": "(", ")": ")", "/": "or", "OR": "or", "AND": "and"}
    return bool(eval(" ".join(words.get(token, str(token in ALLOWED)) for token in tokens)))  # noqa: S307


def main() -> None:
    metadata = subprocess.check_output(["cargo", "metadata", "--format-version", "1", "--locked"])
    packages = json.loads(metadata)["packages"]
    licences = {
        f"{package['name']} {package['version']}": package["license"] or KNOWN.get(package["name"], "none")
        for package in packages
    }
    refused = [f"{package}: {licence}" for package, licence in licences.items() if not is_allowed(licence)]
    if refused:
        sys.exit("licences to look at:\n" + "\n".join(refused))
    print(f"{len(packages)} packages, every licence is allowed")


main()
