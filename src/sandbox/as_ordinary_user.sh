#!/bin/sh
# Runs a test program as "nobody"; 77 (skipped) where that cannot be done.
[ "$(id -u)" = 0 ] || { echo "not root: the plain test ran as an ordinary user already"; exit 77; }
command -v setpriv >/dev/null || { echo "setpriv (util-linux) is missing"; exit 77; }
setpriv --reuid=65534 --regid=65534 --clear-groups test -x "$1" || { echo "nobody may not read $1"; exit 77; }
exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
