#!/usr/bin/env bats
# What scripts around the programs rely on: flags, exit codes, the listening
# lines, signals, folders, logs.
load helper

setup() {
	W=$BATS_TEST_TMPDIR
}

teardown() {
	servers_clean
}

# program_run ARGUMENT...: registryd that ends by itself; sets code, out (both
# streams).
program_run() {
	code=0
	out=$(timeout 60 "$REGISTRYD" "$@" 2>&1 </dev/null) || code=$?
}

config() { # LINE...
	printf '%s\n' "$@" >"$W/registryd.yml"
}

# --- flags and exit codes -----------------------------------------------------

@test "--version prints the version and exits 0" {
	program_run --version
	assert_eq "$code" 0
	[[ $out =~ registryd\ [0-9]+\.[0-9]+ ]] || fail "$out"
}

@test "--help names every flag and exits 0" {
	local flag
	program_run --help
	assert_eq "$code" 0
	for flag in --config --data --listen --auth --tls-cert --tls-key \
	    --log-level --check-config --version --help; do
		assert_in "$out" "$flag"
	done
}

@test "an unknown flag, a missing value and an extra word are usage errors: exit 2" {
	program_run --no-such-flag
	assert_eq "$code" 2
	assert_in "$out" no-such-flag
	program_run --data
	assert_eq "$code" 2
	program_run extra
	assert_eq "$code" 2
	assert_in "$out" extra
}

@test "a wrong value in a flag is exit 2 and names the flag or key" {
	program_run --data "$W/d" --log-level loud
	assert_eq "$code" 2
	assert_in "$out" loud
	assert_in "$out" log
	program_run --data "$W/d" --listen nonsense
	assert_eq "$code" 2
	assert_in "$out" nonsense
	program_run --data "$W/d" --listen 127.0.0.1:99999
	assert_eq "$code" 2
	assert_in "$out" 99999
	program_run --data "$W/d" --auth maybe
	assert_eq "$code" 2
	assert_in "$out" maybe
	program_run --data "$W/d" --listen 127.0.0.1:0 --tls-cert "$W/cert"
	assert_eq "$code" 2
	assert_in "$out" tls
}

@test "a wrong key or value in the file is exit 2 and named, with what is allowed" {
	config 'limits:' '  manifest-bytes: 64M'
	program_run --config "$W/registryd.yml" --data "$W/d"
	assert_eq "$code" 2
	assert_in "$out" limits.manifest-bytes
	assert_in "$out" 64M
	config 'shutdown-timeout: 010s'
	program_run --config "$W/registryd.yml" --data "$W/d"
	assert_eq "$code" 2
	assert_in "$out" shutdown-timeout
	config 'manifests:' '  sparse: maybe'
	program_run --config "$W/registryd.yml" --data "$W/d"
	assert_eq "$code" 2
	assert_in "$out" manifests.sparse
	assert_in "$out" index
	config 'no-such-key: 1'
	program_run --config "$W/registryd.yml" --data "$W/d"
	assert_eq "$code" 2
	assert_in "$out" no-such-key
	config 'log:' '  level: info' '  level: debug'
	program_run --config "$W/registryd.yml" --data "$W/d"
	assert_eq "$code" 2
	config '{'
	program_run --config "$W/registryd.yml" --data "$W/d"
	assert_eq "$code" 2
}

@test "a wrong value in the environment is exit 2 and names the variable" {
	REGISTRYD_LIMITS_CONNECTIONS=many program_run --data "$W/d" \
		--check-config
	assert_eq "$code" 2
	assert_in "$out" REGISTRYD_LIMITS_CONNECTIONS
}

@test "a configuration file that is not there is exit 2 and named" {
	program_run --config "$W/none.yml" --data "$W/d"
	[ "$code" = 2 ] || [ "$code" = 1 ] || fail "exit $code"
	assert_in "$out" none.yml
}

@test "--check-config says yes to the shipped sample, without serving or touching the folder" {
	program_run --check-config --config "$TOP/configs/registryd.yml" \
		--data "$W/d"
	assert_eq "$code" 0 "exit of: $out"
	[ ! -e "$W/d" ] || fail 'it made the folder'
	config 'log:' '  level: loud'
	program_run --check-config --config "$W/registryd.yml"
	assert_eq "$code" 2
	assert_in "$out" log.level
}

@test "flags win over the environment, the environment over the file" {
	config 'log:' '  level: warn' "data: $W/file" 'listen: 127.0.0.1:0'
	REGISTRYD_DATA=$W/env server_start --config "$W/registryd.yml" \
		--data "$W/flag"
	[ -e "$W/flag/meta.mdb" ] || fail 'the flag did not win'
	server_stop
	[ ! -e "$W/env" ] && [ ! -e "$W/file" ] || fail 'others were used'
	REGISTRYD_LOG_LEVEL=info REGISTRYD_DATA=$W/env "$REGISTRYD" \
		--config "$W/registryd.yml" >"$W/out" 2>&1 3>&- &
	SERVER_PID=$! SERVER_LOG=$W/out
	wait_for 30 server_listens || { cat "$W/out"; fail 'not up'; }
	[ -e "$W/env/meta.mdb" ] || fail 'the environment did not win'
	server_stop
}

# --- listening ----------------------------------------------------------------

@test "each listener has its line: IPv4, IPv6, UNIX socket; /healthz answers on each" {
	local n=2 flags=(--listen 127.0.0.1:0)
	if [ -e /proc/net/if_inet6 ] && grep -q ' lo$' /proc/net/if_inet6; then
		flags+=(--listen '[::1]:0')
		n=3
	fi
	server_start "${flags[@]}" --listen "unix:$W/sock"
	assert_eq "$(grep -c 'listening on ' "$SERVER_LOG")" "$n"
	[[ $(server_listening 1) =~ ^http://127\.0\.0\.1:[1-9][0-9]*$ ]] ||
		fail "$(server_listening 1)"
	if [ "$n" = 3 ]; then
		[[ $(server_listening 2) =~ ^http://\[::1\]:[1-9][0-9]*$ ]] ||
			fail "$(server_listening 2)"
		http GET "$(server_listening 2)/healthz"
		expect 200
	fi
	assert_eq "$(server_listening "$n")" "unix:$W/sock"
	http GET /healthz
	expect 200
	assert_eq "$(curl -sS -o /dev/null -w '%{http_code}' \
		--unix-socket "$W/sock" http://x/healthz)" 200
	# As open as a port; the control socket is not.
	assert_eq "$(stat -c %a "$W/sock")" 666
	assert_eq "$(stat -c %a "$DATA/control.sock")" 600
	server_stop
	[ ! -e "$W/sock" ] || fail 'the socket was left behind'
}

@test "the listening line is there at every log level" {
	local level
	for level in debug warn error; do
		server_start --log-level "$level"
		http GET /healthz
		expect 200
		server_stop
	done
}

@test "an address in use is a clear error, exit 1 or 2, and nothing is served" {
	server_start
	program_run --data "$W/other" --listen "$HOST"
	[ "$code" = 1 ] || [ "$code" = 2 ] || fail "exit $code"
	assert_in "$out" "$HOST"
	server_stop
}

@test "/healthz, /readyz and /metrics answer 200" {
	server_start
	http GET /healthz
	expect 200
	http GET /readyz
	expect 200
	http GET /metrics
	expect 200
	assert_in "$(header Content-Type)" text/plain
	grep -q '^# TYPE registryd_' "$BODY" || fail 'no metrics'
	server_stop
}

@test "the metrics hold what an operator asks for, and count" {
	local what before after
	server_start
	image_push m/app v1
	http GET "/v2/m/app/manifests/v1"
	http GET /metrics
	for what in request latency\|duration bytes connections upload blobs \
	    page\|map queue; do
		grep -qE "^registryd_[a-z_]*($what)" "$BODY" ||
			fail "nothing of $what: $(grep -o '^registryd_[a-z_]*' \
				"$BODY" | sort -u | xargs)"
	done
	grep -qE '_bucket\{.*le="\+Inf"' "$BODY" || fail 'no histogram'
	before=$(grep -E '^registryd_[a-z_]*requests?_total' "$BODY" |
		awk '{ n += $NF } END { print n }')
	http GET "/v2/m/app/manifests/v1"
	http GET /metrics
	after=$(grep -E '^registryd_[a-z_]*requests?_total' "$BODY" |
		awk '{ n += $NF } END { print n }')
	[ "$after" -gt "$before" ] || fail "$before, then $after"
	server_stop
}

@test "metrics.listen gives /metrics an address of its own; off serves it nowhere" {
	REGISTRYD_METRICS_LISTEN=127.0.0.1:0 server_start
	http GET /metrics
	expect 404
	assert_eq "$(grep -c 'listening on ' "$SERVER_LOG")" 2
	http GET "$(server_listening 2)/metrics"
	if [ "$STATUS" != 200 ]; then
		http GET "$(server_listening 1)/metrics"
	fi
	expect 200
	server_stop
	REGISTRYD_METRICS_LISTEN=off server_start
	http GET /metrics
	expect 404
	server_stop
}

@test "readiness is told to systemd" {
	"$PYTHON" - "$W/notify" >"$W/told" <<-'PY' 3>&- &
	import socket, sys
	s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
	s.bind(sys.argv[1])
	s.settimeout(60)
	while True:
	    told = s.recv(4096).decode()
	    print(told, flush=True)
	    if "STOPPING=1" in told:
	        break
	PY
	wait_for 30 test -S "$W/notify"
	NOTIFY_SOCKET=$W/notify server_start
	wait_for 30 grep -q 'READY=1' "$W/told" || fail "$(cat "$W/told")"
	server_stop
	wait_for 30 grep -q 'STOPPING=1' "$W/told" || fail "$(cat "$W/told")"
}

# --- stopping -----------------------------------------------------------------

@test "SIGTERM and SIGINT end with 0, at once, idle connections notwithstanding" {
	local start signal status
	for signal in TERM INT; do
		REGISTRYD_SHUTDOWN_TIMEOUT=60s server_start
		rm -f "$W/idle"
		(printf 'GET /v2/ HTTP/1.1\r\nHost: h\r\n\r\n' |
			raw --wait 120 --heard "$W/idle") >"$W/out" 3>&- &
		wait_for 30 grep -q ' 200 ' "$W/idle" || fail 'no answer'
		start=$(date +%s%N)
		status=0
		kill "-$signal" "$SERVER_PID"
		wait "$SERVER_PID" || status=$?
		assert_eq "$status" 0 "exit after SIG$signal"
		# Who waited for the connection would take a minute.
		[ $((($(date +%s%N) - start) / 1000000)) -lt 20000 ] ||
			fail "SIG$signal took long"
	done
}

@test "a request under way is finished before the server ends" {
	local pid
	REGISTRYD_SHUTDOWN_TIMEOUT=60s server_start
	random_file "$W/b" 3000000
	http POST /v2/a/blobs/uploads/
	location=$(header Location)
	curl -sS -o /dev/null -w '%{http_code}' -X PATCH --limit-rate 1500000 \
		-H 'Expect:' --data-binary "@$W/b" "$URL$location" \
		>"$W/code" 3>&- &
	pid=$!
	some_came() {
		[ -n "$(find "$DATA/uploads" -type f -size +0)" ]
	}
	wait_for 30 some_came || fail 'nothing came'
	server_stop
	wait "$pid" || true
	assert_eq "$(cat "$W/code")" 202
}

@test "requests that do not end are cut off after shutdown-timeout" {
	local start took
	REGISTRYD_SHUTDOWN_TIMEOUT=1s REGISTRYD_TIMEOUTS_BODY=60s server_start
	printf '%s' 'PUT /v2/h/manifests/v1 HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n|||{' |
		raw --escapes --await --heard "$W/heard" --wait 120 >"$W/out" \
			3>&- &
	wait_for 30 grep -q '100 Continue' "$W/heard" || fail 'not begun'
	start=$(date +%s%N)
	server_stop
	took=$((($(date +%s%N) - start) / 1000000))
	[ "$took" -lt 20000 ] || fail "too long: $took ms"
	[ "$took" -gt 900 ] || fail "too early: $took ms"
}

@test "no new connection is taken while requests under way finish" {
	REGISTRYD_SHUTDOWN_TIMEOUT=60s REGISTRYD_TIMEOUTS_BODY=60s server_start
	printf '%s' 'PUT /v2/h/manifests/v1 HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n|||{}' |
		raw --escapes --await --gate "$W/gate" --heard "$W/heard" \
			--summary --answers 2 --quiet 3 >"$W/out" 3>&- &
	wait_for 30 grep -q '100 Continue' "$W/heard" || fail 'not begun'
	kill -TERM "$SERVER_PID"
	wait_for 30 grep -q 'SIGTERM: stopping' "$SERVER_LOG" ||
		fail 'not heard of'
	# The log is a moment ahead.
	not_served() {
		http GET /healthz --max-time 2
		[ "$STATUS" != 200 ]
	}
	wait_for 5 not_served || fail 'a new connection was served'
	! not_running "$SERVER_PID" || fail 'it did not wait for the request'
	touch "$W/gate"
	wait "$SERVER_PID"
	wait_for 30 grep -q '^400' "$W/out" || fail "$(cat "$W/out")"
}

# --- the folder ---------------------------------------------------------------

@test "a second server on the same folder refuses with a clear message and exit 1" {
	server_start
	image_push a/b v1
	program_run --data "$DATA" --listen 127.0.0.1:0 --auth none
	assert_eq "$code" 1
	assert_in "$out" "$DATA"
	http GET /v2/a/b/manifests/v1
	expect 200
	server_stop
}

@test "what a kill -9 left is taken over: lock, control socket, UNIX socket" {
	server_start --listen 127.0.0.1:0 --listen "unix:$W/sock"
	image_push a/b v1
	server_kill
	server_start --data "$DATA" --listen 127.0.0.1:0 --listen "unix:$W/sock"
	http GET /v2/a/b/manifests/v1
	expect 200
	assert_eq "$(curl -sS -o /dev/null -w '%{http_code}' \
		--unix-socket "$W/sock" http://x/healthz)" 200
	"$REGISTRYCTL" --data "$DATA" stats
	server_stop
}

@test "a UNIX socket that another process serves is not taken over" {
	server_start --listen "unix:$W/sock"
	program_run --data "$W/other" --listen "unix:$W/sock"
	[ "$code" = 1 ] || [ "$code" = 2 ] || fail "exit $code"
	assert_eq "$(curl -sS -o /dev/null -w '%{http_code}' \
		--unix-socket "$W/sock" http://x/healthz)" 200
	server_stop
}

@test "a folder of a newer format is refused with a clear message" {
	server_start
	server_stop
	printf 'registryd-format 999\n' >"$DATA/format"
	program_run --data "$DATA" --listen 127.0.0.1:0
	assert_eq "$code" 1
	assert_in "$out" 999
}

@test "the folder is closed to others, and metadata files are *.mdb" {
	server_start --data "$W/new"
	assert_eq "$(stat -c %a "$W/new")" 700
	ls "$W"/new/*.mdb >/dev/null
	server_stop
}

# --- reload -------------------------------------------------------------------

@test "SIGHUP takes over what may change, keeps serving, and survives a broken file" {
	config 'limits:' '  manifest-bytes: 1MiB'
	server_start --config "$W/registryd.yml"
	image_push a v1
	head -c 100000 /dev/zero | tr '\0' ' ' >"$W/m"
	cat "$MANIFEST" >>"$W/m"
	manifest_put a v2 "$W/m"
	expect 201
	config 'limits:' '  manifest-bytes: 16KiB'
	kill -HUP "$SERVER_PID"
	reloaded() {
		manifest_put a v2 "$W/m"
		[ "$STATUS" = 413 ]
	}
	wait_for 30 reloaded || fail "$STATUS"
	config 'limits:' '  manifest-bytes: rubbish'
	kill -HUP "$SERVER_PID"
	wait_for 30 grep -q 'rubbish' "$SERVER_LOG" || fail 'not said'
	manifest_put a v2 "$W/m"
	expect 413
	http GET /v2/a/manifests/v1
	expect 200
	server_stop
}

# --- logs ---------------------------------------------------------------------

@test "the access log as JSON has every field" {
	local id line
	REGISTRYD_ACCESS_LOG=json server_start
	http GET '/v2/none/manifests/x?y=1' -H 'User-Agent: test'
	id=$(header X-Request-Id)
	wait_for 30 grep -q "$id" "$SERVER_LOG" || fail 'no line'
	line=$(grep "$id" "$SERVER_LOG")
	jq -e --arg id "$id" '
	    any(.[]; . == $id) and any(.[]; . == "GET") and
	    any(.[]; . == 404) and any(.[]; . == "anonymous") and
	    any(.[]; type == "string" and startswith("127.0.0.1")) and
	    any(.[]; type == "string" and startswith("/v2/none/manifests/x"))' \
	    <<<"$line" >/dev/null || fail "$line"
	jq -e 'keys | map(ascii_downcase) | (any(test("byte")) and
	    any(test("duration|_ms|_us|seconds")))' <<<"$line" >/dev/null ||
		fail "$line"
	server_stop
}

@test "the access log as text is one line a request, and can be off" {
	local id
	REGISTRYD_ACCESS_LOG=text server_start
	http GET /v2/none/manifests/x
	id=$(header X-Request-Id)
	wait_for 30 grep -q "$id" "$SERVER_LOG" || fail 'no line'
	assert_in "$(grep "$id" "$SERVER_LOG")" 404
	assert_in "$(grep "$id" "$SERVER_LOG")" GET
	server_stop
	REGISTRYD_ACCESS_LOG=off server_start
	http GET /v2/none/manifests/x
	id=$(header X-Request-Id)
	server_stop
	! grep -q "$id" "$SERVER_LOG" || fail 'logged'
}

@test "no client can forge a line of the log" {
	server_start
	printf 'GET /v2/a%%0Alistening%%20on%%20x/tags/list HTTP/1.1\r\nHost: h\r\nUser-Agent: a\x1b[31m\r\nConnection: close\r\n\r\n' |
		raw --quiet 0.5 >/dev/null
	server_stop
	! grep -q '^listening on x' "$SERVER_LOG" || fail 'a line of its own'
	! grep -q $'\x1b' "$SERVER_LOG" || fail 'an escape sequence'
}

@test "log.format json makes every line JSON" {
	REGISTRYD_LOG_FORMAT=json REGISTRYD_ACCESS_LOG=json server_start
	http GET /v2/
	server_stop
	jq -e . "$SERVER_LOG" >/dev/null || fail "$(cat "$SERVER_LOG")"
}

# --- registryctl --------------------------------------------------------------

@test "registryctl: usage errors are exit 2, --help and --version exit 0" {
	local status=0
	"$REGISTRYCTL" --help >/dev/null
	"$REGISTRYCTL" --version >/dev/null
	"$REGISTRYCTL" no-such-command >"$W/out" 2>&1 || status=$?
	assert_eq "$status" 2
	assert_in "$(cat "$W/out")" no-such-command
	status=0
	"$REGISTRYCTL" --no-such-flag stats >"$W/out" 2>&1 || status=$?
	assert_eq "$status" 2
	status=0
	"$REGISTRYCTL" >"$W/out" 2>&1 || status=$?
	assert_eq "$status" 2
}

@test "registryctl on a folder that is none fails with its name" {
	local status=0
	"$REGISTRYCTL" --data "$W/none" stats >"$W/out" 2>&1 || status=$?
	assert_eq "$status" 1
	assert_in "$(cat "$W/out")" "$W/none"
	[ ! -e "$W/none" ] || fail 'it made the folder'
}
