# Shared by run.sh: sourced, never executed. Everything on loopback; only processes started here are stopped, by their id.
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
BENCH="$ROOT/bench"
BIN="${BIN:-$ROOT/build/release/apps/mayfly}"
OUT="${OUT:-$BENCH/results}"
REPS="${REPS:-3}"
DUR="${DUR:-6}"
CONNECTIONS="${CONNECTIONS:-1 16 64 256}"
PORT="${PORT:-7461}"
URL="http://127.0.0.1:$PORT"
WORK="${WORK:-$(mktemp -d)}"
mkdir -p "$WORK" "$OUT"
PIDS=()

# emit BENCH METRIC VALUE UNIT [CONCURRENCY [extra JSON members]]: one line of bench/results/BENCH.json, also on standard output
emit() {
  printf '{"bench":"%s","metric":"%s","value":%s,"unit":"%s","concurrency":%s,"load1":%s%s}\n' \
    "$1" "$2" "$3" "$4" "${5:-1}" "$(cut -d' ' -f1 /proc/loadavg)" "${6:+,$6}" | tee -a "$OUT/$1.json"
}

# Less than 15 % busy over half a second; waits at most 10 s, since the machine may be shared.
quiet() {
  local i a b idle total k
  for i in $(seq 20); do
    read -ra a </proc/stat; sleep 0.5; read -ra b </proc/stat
    idle=$((b[4] + b[5] - a[4] - a[5])); total=0
    for k in 1 2 3 4 5 6 7 8; do total=$((total + b[k] - a[k])); done
    [ "$total" -gt 0 ] && [ $((100 * (total - idle) / total)) -lt 15 ] && return 0
  done
  return 0
}

rss_kb() { awk '/^VmRSS/ {print $2}' "/proc/$1/status"; }
# User and system time in 1/100 s.
cpu_ticks() { sed 's/.*) //' "/proc/$1/stat" | awk '{print $12 + $13}'; }
# What it handed to write(2) and its like; sockets do not count. (write_bytes counts whole page-cache folios.)
written_bytes() { awk '/^wchar/ {print $2}' "/proc/$1/io"; }
# Median of 4 KiB write + fdatasync, in microseconds: what one durable step costs at least on this disk.
fsync_us() { python3 "$BENCH/fsync.py" "$WORK/fsync.tmp"; }

background() { # NAME COMMAND...: its id in PID_NAME
  local name="$1"; shift
  "$@" >"$WORK/$name.log" 2>&1 &
  PIDS+=($!)
  eval "PID_$name=$!"
}
stop_one() {
  kill "${2:--TERM}" "$1" 2>/dev/null || true
  wait "$1" 2>/dev/null || true
}
stop_all() {
  local i
  for ((i = ${#PIDS[@]} - 1; i >= 0; i--)); do stop_one "${PIDS[i]}"; done
  PIDS=()
}
trap 'stop_all; [ -n "${KEEP:-}" ] || rm -rf "$WORK"' EXIT

wait_for() { # URL: until it answers 2xx
  local i
  for i in $(seq 1200); do curl -sf -o /dev/null "$1" && return 0; sleep 0.05; done
  echo "$1 never answered; see $WORK" >&2
  return 1
}

serve() { # starts Mayfly with the bench project; extra arguments are passed on
  background mayfly ${PIN:-} "$BIN" serve --data "$WORK/data" --project "$BENCH/project" --listen "127.0.0.1:$PORT" --log-level warn "$@"
  wait_for "$URL/readyz" || { cat "$WORK/mayfly.log" >&2; exit 1; }
  export MAYFLY_API_KEY; MAYFLY_API_KEY="$(cat "$WORK/data/admin.key")"
}
stop_server() { stop_one "$PID_mayfly" "${1:--TERM}"; }

metric() { curl -sf -H "Authorization: Bearer $MAYFLY_API_KEY" "$URL/metrics" | awk -v name="$1" '$1 == name {print $2}'; }

# load URL CONNECTIONS SECONDS: sets rps, p50, p99 (ms), requests, errors. Environment: METHOD, BODY, HEADERS ("Name: value", one a line)
load() {
  local line
  line="$(${LOAD_PIN:-} wrk -t1 -c"$2" -d"${3}s" --timeout 60s --latency -s "$BENCH/load.lua" "$1" | grep '^RESULT')" || { echo "wrk failed" >&2; exit 1; }
  eval "${line#RESULT }"
}
divide() { awk -v a="$1" -v b="$2" -v d="${3:-2}" 'BEGIN {printf "%.*f", d, b ? a / b : 0}'; }
