#!/usr/bin/env bash
# unasync converts the code in f-strings on Python 3.12 and later only.
#
# Versions: unasync 0.6.0. Seen with CPython 3.10, 3.11, 3.12 and 3.13.
# One would guess: the generated code does not depend on the Python that runs the generator.
# What happens: before 3.12 an f-string is one token and stays as it is; from 3.12 on the tokens in
#   its braces are converted like any others.
# It matters because a generated tree would differ between the machines that generate it. The script
#   tries python3, and every python3.10 … python3.13 that is installed.
# Output seen:
#   3.11: f"{await value}"
#   3.10: f"{await value}"
#   3.12: f"{value}"
#   3.13: f"{value}"
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --target "$folder/packages" \
    unasync==0.6.0 setuptools==80.9.0
tried=""
for python in python3 python3.10 python3.11 python3.12 python3.13; do
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2> /dev/null) || continue
    [[ $tried != *" $version "* ]] || continue
    tried="$tried $version "
    FOLDER=$folder PYTHONPATH="$folder/packages" "$python" - <<'PYTHON'
import os
import pathlib
import sys

import unasync

root = pathlib.Path(os.environ["FOLDER"]) / f"run-{os.getpid()}"
source, target = root / "source", root / "target"
source.mkdir(parents=True)
(source / "module.py").write_text('async def f(value):\n    return f"{await value}"\n')
rule = unasync.Rule(fromdir=f"{source}/", todir=f"{target}/")
unasync.unasync_files([str(source / "module.py")], rules=[rule])
(written,) = target.rglob("module.py")
text = written.read_text().split("return ")[1].strip()
expected = 'f"{value}"' if sys.version_info >= (3, 12) else 'f"{await value}"'
print(f"{sys.version_info.major}.{sys.version_info.minor}: {text}")
assert text == expected, (text, expected)
PYTHON
done
