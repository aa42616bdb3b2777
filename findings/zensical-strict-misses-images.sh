#!/usr/bin/env bash
# A strict build of zensical passes over an image that does not exist.
#
# Versions: zensical 0.0.73. Seen with CPython 3.11, which it needs.
# One would guess: "--strict" fails on an image without a file, as it does on a link without a page.
# What happens: the link is reported and ends the build; the image is published as it is written.
# It matters because a page with a broken picture would be built without a warning.
# Output seen:
#   missing page: page does not exist
#   missing image: No issues found
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check zensical==0.0.73
cd "$folder"
mkdir docs
printf '[project]\nsite_name = "x"\n' > zensical.toml

printf '# Page\n\n[text](missing.md)\n' > docs/index.md
if venv/bin/zensical build --strict --clean > link.log 2>&1; then
    echo "a missing page is built without a warning"
    exit 1
fi
grep -q "page does not exist" link.log
echo "missing page: page does not exist"

printf '# Page\n\n![text](missing.png)\n' > docs/index.md
venv/bin/zensical build --strict --clean > image.log 2>&1
grep -q "No issues found" image.log
grep -q 'src="missing.png"' site/index.html
echo "missing image: No issues found"
