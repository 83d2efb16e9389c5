#!/usr/bin/env bash
# bench/run.sh NAME...: measures, and adds one JSON line a figure to bench/results/NAME.json. Names: steps http waiting restart idle
# gateway functions queues, or all. See README.md for what each measures and for the environment variables.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
[ -x "$BIN" ] || { echo "no program at $BIN: build it with ./dev build release, or set BIN" >&2; exit 1; }
need() { command -v "$1" >/dev/null || { echo "$1 is missing (Debian package ${2:-$1})" >&2; exit 1; }; }
STEPS=11

# Runs a second per number of connections, beside the peers in $PEERS (one round of each after the other, REPS times).
bench_steps() {
  need wrk
  local c cpu disk
  for ((rep = 1; rep <= REPS; rep++)); do
    rm -rf "$WORK/data"
    emit steps fsync_4k_p50 "$(fsync_us)" us
    serve
    export METHOD=POST BODY='{"input":"work"}' HEADERS=$'Prefer: wait=60\nAuthorization: Bearer '"$MAYFLY_API_KEY"
    load "$URL/v1/agents/bench/runs" 16 1
    for c in $CONNECTIONS; do
      quiet
      cpu="$(cpu_ticks "$PID_mayfly")"; disk="$(written_bytes "$PID_mayfly")"
      load "$URL/v1/agents/bench/runs" "$c" "$DUR"
      emit steps runs_per_s "$rps" run/s "$c" "\"steps_per_s\":$(awk -v r="$rps" -v s=$STEPS 'BEGIN {printf "%.0f", r * s}'),\"p50_ms\":$p50,\"p99_ms\":$p99,\"errors\":$errors,\"cpu_us_per_run\":$(divide $((($(cpu_ticks "$PID_mayfly") - cpu) * 10000)) "$requests" 0),\"written_bytes_per_run\":$(divide $(($(written_bytes "$PID_mayfly") - disk)) "$requests" 0)"
    done
    emit steps rss_loaded "$(rss_kb "$PID_mayfly")" KB "$c"
    stop_server
    peers_round
  done
}

# PEERS names a folder with restate/run.sh and proto_wal/run.sh, which print JSON lines themselves.
peers_round() {
  [ -n "${PEERS:-}" ] || return 0
  local peer
  for peer in restate proto_wal; do
    [ -x "$PEERS/$peer/run.sh" ] || [ -f "$PEERS/$peer/run.sh" ] || continue
    env -u METHOD -u BODY -u HEADERS WORK="$WORK/peers" REPS=1 DUR="$DUR" ONLY=tput bash "$PEERS/$peer/run.sh" | tee -a "$OUT/steps_peers.json" || true
  done
}

# Requests a second of the HTTP server alone, beside nginx (one worker) when it is installed; server on CPU 0, load on CPU 1.
bench_http() {
  need wrk; need taskset util-linux
  local nginx="${NGINX:-$(command -v nginx || true)}" c
  rm -rf "$WORK/data"
  unset METHOD BODY HEADERS
  PIN="taskset -c 0" serve
  [ -z "$nginx" ] || start_nginx "$nginx"
  export LOAD_PIN="taskset -c 1"
  for ((rep = 1; rep <= REPS; rep++)); do
    for c in 1 64 256; do
      quiet; load "$URL/healthz" "$c" "$DUR"
      emit http healthz "$rps" req/s "$c" "\"p50_ms\":$p50,\"p99_ms\":$p99,\"errors\":$errors"
      [ -n "$nginx" ] || continue
      quiet; load "http://127.0.0.1:$((PORT + 2))/" "$c" "$DUR"
      emit http nginx "$rps" req/s "$c" "\"p50_ms\":$p50,\"p99_ms\":$p99,\"errors\":$errors"
    done
  done
  unset LOAD_PIN
  stop_server
  [ -z "$nginx" ] || stop_one "$PID_nginx"
}

start_nginx() {
  mkdir -p "$WORK/nginx"
  cat >"$WORK/nginx/nginx.conf" <<C
worker_processes 1; worker_cpu_affinity 01; pid $WORK/nginx/pid; error_log $WORK/nginx/error.log; daemon off;
events { worker_connections 4096; }
http { access_log off; keepalive_requests 100000000; client_body_temp_path $WORK/nginx; proxy_temp_path $WORK/nginx;
  fastcgi_temp_path $WORK/nginx; uwsgi_temp_path $WORK/nginx; scgi_temp_path $WORK/nginx;
  server { listen 127.0.0.1:$((PORT + 2)) backlog=1024; location / { default_type application/json; return 200 '{"status":"ok"}'; } } }
C
  background nginx "$1" -p "$WORK/nginx" -c "$WORK/nginx/nginx.conf"
  wait_for "http://127.0.0.1:$((PORT + 2))/"
}

# Until every run sleeps: nothing runs and nothing is held in memory.
wait_until_asleep() {
  for _ in $(seq 1200); do
    [ "$(metric mayfly_actors)" = 0 ] && [ "$(metric mayfly_steps_running)" = 0 ] && return 0
    sleep 0.1
  done
  echo "the runs never came to rest" >&2; return 1
}

# Memory of WAITING runs that sleep for an hour.
bench_waiting() {
  local count="${WAITING:-10000}" before after
  rm -rf "$WORK/data"; serve
  python3 "$BENCH/start_runs.py" "$URL" sleeper sleep 2000 >/dev/null  # buffers and caches get their size
  wait_until_asleep; before="$(rss_kb "$PID_mayfly")"
  python3 "$BENCH/start_runs.py" "$URL" sleeper sleep "$count" >/dev/null
  wait_until_asleep; after="$(rss_kb "$PID_mayfly")"
  emit waiting rss_per_waiting_run "$(divide $(((after - before) * 1024)) "$count" 1)" B "$count" "\"rss_before_kb\":$before,\"rss_after_kb\":$after"
  emit waiting disk_per_waiting_run "$(divide "$(du -sb "$WORK/data" | cut -f1)" $((count + 2000)) 0)" B "$count"
  stop_server
}

# kill -9 with OPEN sleeping runs, ACTIVE runs in the middle of a model call and one run whose timer is due: how soon the next start is
# ready, has finished the due run, and has resumed all active ones.
bench_restart() {
  local open="${OPEN:-100000}" active="${ACTIVE:-1000}" nap begin due recovered
  rm -rf "$WORK/data"; serve
  python3 "$BENCH/start_runs.py" "$URL" sleeper sleep "$open" >/dev/null
  wait_until_asleep
  nap="$(python3 "$BENCH/start_runs.py" "$URL" sleeper nap 1)"
  due=$(($(date +%s) + 5))
  python3 "$BENCH/start_runs.py" "$URL" slow talk "$active" >/dev/null
  stop_server -KILL
  while [ "$(date +%s)" -lt "$due" ]; do sleep 0.1; done
  quiet
  begin="$(date +%s%3N)"
  background mayfly "$BIN" serve --data "$WORK/data" --project "$BENCH/project" --listen "127.0.0.1:$PORT" --log-level warn
  until curl -sf -o /dev/null "$URL/readyz"; do sleep 0.005; done
  emit restart ready $(($(date +%s%3N) - begin)) ms "$open" "\"active\":$active"
  until curl -sf -H "Authorization: Bearer $MAYFLY_API_KEY" "$URL/v1/runs/$nap" | grep -q '"status":"SUCCEEDED"'; do sleep 0.005; done
  emit restart due_timer_finished $(($(date +%s%3N) - begin)) ms "$open" "\"active\":$active"
  recovered=0
  until [ "${recovered:-0}" -ge "$active" ]; do sleep 0.01; recovered="$(metric mayfly_runs_recovered_total)"; done
  emit restart all_active_resumed $(($(date +%s%3N) - begin)) ms "$open" "\"active\":$active,\"recovered\":$recovered"
  emit restart rss "$(rss_kb "$PID_mayfly")" KB "$open"
  stop_server -KILL
}

# Start to the first answer, memory and CPU at rest.
bench_idle() {
  local ticks
  for ((rep = 1; rep <= REPS * 5; rep++)); do
    rm -rf "$WORK/data"; quiet
    emit idle first_answer_new_data "$(python3 "$BENCH/first_answer.py" "$PORT" "$BIN" serve --data "$WORK/data" --listen "127.0.0.1:$PORT")" ms
    emit idle first_answer "$(python3 "$BENCH/first_answer.py" "$PORT" "$BIN" serve --data "$WORK/data" --listen "127.0.0.1:$PORT")" ms
  done
  rm -rf "$WORK/data"; serve; sleep 2
  emit idle rss "$(rss_kb "$PID_mayfly")" KB
  ticks="$(cpu_ticks "$PID_mayfly")"; sleep 10
  emit idle cpu_ms_in_10_s $((($(cpu_ticks "$PID_mayfly") - ticks) * 10)) ms
  emit idle program_size "$(stat -c %s "$BIN")" B
  stop_server
}

# A streamed chat completion through the gateway, against the same from the provider's stub.
bench_gateway() {
  need node nodejs
  local stub=$((PORT + 1)) line c
  export BENCH_STUB_PORT="$stub"
  background stub node "$BENCH/llm_stub.mjs" "$stub"
  wait_for "http://127.0.0.1:$stub/"
  rm -rf "$WORK/data"; serve
  for ((rep = 1; rep <= REPS; rep++)); do
    quiet
    line="$(python3 "$BENCH/gateway_latency.py" "http://127.0.0.1:$stub" "$URL" stub/stub "${ROUNDS:-1000}")"; eval "$line"
    emit gateway first_token_overhead_p50 $((gateway_first - direct_first)) us 1 "\"direct_us\":$direct_first,\"gateway_us\":$gateway_first"
    emit gateway total_overhead_p50 $((gateway_total - direct_total)) us 1 "\"direct_us\":$direct_total,\"gateway_us\":$gateway_total"
    export METHOD=POST BODY='{"model":"stub/stub","stream":true,"messages":[{"role":"user","content":"hi"}]}' HEADERS="Authorization: Bearer $MAYFLY_API_KEY"
    for c in 16 64; do
      quiet; load "$URL/gateway/openai/v1/chat/completions" "$c" "$DUR"
      emit gateway calls_per_s "$rps" call/s "$c" "\"p50_ms\":$p50,\"p99_ms\":$p99,\"errors\":$errors"
    done
    unset METHOD BODY HEADERS
  done
  stop_server; stop_one "$PID_stub"
}

# Cold and warm starts by runtime and sandbox, a burst of 100, durable steps (DURABLE_PACKAGES: a folder with the SDKs in python/ and nodejs/).
bench_functions() {
  need cc gcc
  python3 "$BENCH/functions.py" "$BIN" "$WORK/functions" "$REPS" | tee -a "$OUT/functions.json"
}

# Jobs through a queue by a Node.js client over HTTP, and HTTP triggers accepted; beside BullMQ and pg-boss when PEERS has queues/run.sh.
bench_queues() {
  need node nodejs; need wrk
  local out c
  for ((rep = 1; rep <= REPS; rep++)); do
    rm -rf "$WORK/data"
    emit queues fsync_4k_p50 "$(fsync_us)" us
    serve
    quiet
    out="$(node "$BENCH/queues.mjs" "$URL" 10000 50 | grep '^RES')"; eval "${out#RES }"
    emit queues mayfly_add "$add" job/s 64
    emit queues mayfly_drain "$drain" job/s 50
    emit queues mayfly_e2e "$e2e" job/s 64 "\"p50_ms\":$e2e_p50,\"p99_ms\":$e2e_p99,\"ping_p50_ms\":$ping_p50,\"cpu_us_per_job\":$cpu_us,\"rss_kb\":$(rss_kb "$PID_mayfly")"
    export METHOD=POST BODY='{"body":{"s":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}}' HEADERS="Authorization: Bearer $MAYFLY_API_KEY"
    for c in $CONNECTIONS; do
      quiet; load "$URL/v1/queues/bench/messages" "$c" "$DUR"
      emit queues send_per_s "$rps" message/s "$c" "\"p50_ms\":$p50,\"p99_ms\":$p99,\"errors\":$errors"
    done
    curl -sf -o /dev/null -X PUT -H "Authorization: Bearer $MAYFLY_API_KEY" -H 'Content-Type: application/json' "$URL/v1/triggers/bench" \
      -d '{"http": {"method": "POST", "path": "/bench/accept"}, "target": {"queue": "bench"}}'
    for c in $CONNECTIONS; do
      quiet; load "$URL/bench/accept" "$c" "$DUR"
      emit queues http_trigger_accept_per_s "$rps" event/s "$c" "\"p50_ms\":$p50,\"p99_ms\":$p99,\"errors\":$errors"
    done
    unset METHOD BODY HEADERS
    stop_server
    [ -z "${PEERS:-}" ] || WORK="$WORK/peers" REPS=1 ONLY="${PEERS_ONLY:-bull tuned}" bash "$PEERS/queues/run.sh" | tee -a "$OUT/queues_peers.json" || true
  done
}

[ $# -gt 0 ] || { sed -n '2,3s/^# //p' "$0"; exit 2; }
[ "$*" != all ] || set -- steps http waiting restart idle gateway functions queues
for name in "$@"; do
  declare -F "bench_$name" >/dev/null || { echo "no bench $name; there are steps http waiting restart idle gateway functions queues" >&2; exit 2; }
  "bench_$name"
done
