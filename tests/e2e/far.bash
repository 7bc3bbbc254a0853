# A registry far away for tests of what talks to others: docker-registry on
# loopback, and in front of it a proxy that writes down what it is asked and
# misbehaves on demand (upstream_proxy.py).  `load far` behind `load helper`.
#
#   far_start            in setup_file; FAR is its HOST:PORT; what it is asked
#                        stands in $FAR_DIR/log
#   far_stop             in teardown_file
#   proxy_start          sets PROXY, PROXY_DIR; proxies_stop in teardown

far_start() {
	export FAR_DIR=$BATS_FILE_TMPDIR/far
	mkdir -p "$FAR_DIR"
	cat >"$FAR_DIR/config.yml" <<-CONF
	version: 0.1
	log:
	  level: info
	storage:
	  filesystem:
	    rootdirectory: $FAR_DIR/data
	  delete:
	    enabled: true
	http:
	  addr: 127.0.0.1:0
	CONF
	docker-registry serve "$FAR_DIR/config.yml" >"$FAR_DIR/log" 2>&1 \
		</dev/null 3>&- &
	printf '%s' $! >"$FAR_DIR/pid"
	wait_for 60 grep -q 'listening on ' "$FAR_DIR/log" ||
		fail "$(cat "$FAR_DIR/log")"
	FAR=$(sed -n 's/.*listening on \([0-9.:]*\).*/\1/p' "$FAR_DIR/log" |
		head -n 1)
	export FAR
}

far_stop() {
	[ ! -s "${FAR_DIR:-/none}/pid" ] || kill "$(cat "$FAR_DIR/pid")"
}

proxy_start() { # [HOST:PORT [PORT]]: in front of it, on that port
	PROXY_DIR=$(mktemp -d "$W/proxy.XXXXXX")
	proxy_again "${1:-$FAR}" "${2:-}"
}

proxy_again() { # HOST:PORT [PORT]
	: >"$PROXY_DIR/port"
	# shellcheck disable=SC2086
	"$PYTHON" "$TOP/tests/e2e/upstream_proxy.py" "$1" "$PROXY_DIR" \
		${2:-} >"$PROXY_DIR/port" 2>"$PROXY_DIR/err" </dev/null 3>&- &
	PROXY_PID=$!
	printf '%s\n' "$PROXY_PID" >>"$W/proxies"
	wait_for 60 test -s "$PROXY_DIR/port" || fail "$(cat "$PROXY_DIR/err")"
	export PROXY
	PROXY=127.0.0.1:$(cat "$PROXY_DIR/port")
	touch "$PROXY_DIR/requests"
}

proxy_stop() {
	kill -KILL "$PROXY_PID"
	wait "$PROXY_PID" 2>/dev/null || true
}

proxies_stop() {
	local pid
	[ -f "${W:-/none}/proxies" ] || return 0
	while read -r pid; do
		kill -KILL "$pid" 2>/dev/null || true
	done <"$W/proxies"
}

faults() { # JSON
	printf '%s' "$1" >"$PROXY_DIR/faults.new"
	mv "$PROXY_DIR/faults.new" "$PROXY_DIR/faults"
}

# asked METHOD PATTERN: how often it was asked for such a path, by such a
# method; "." is any.
asked() {
	jq -s --arg m "$1" --arg p "$2" \
		'[.[] | select((.method | test($m)) and (.path | test($p)))] |
		    length' \
		"$PROXY_DIR/requests"
}

# far_image TAG [TEXT [NAME]]: a tiny image there; sets what image_push does.
far_image() {
	URL=http://$FAR image_push "${3:-$NAME}" "$1" "${2:-$1}"
}

far_delete() { # DIGEST [NAME]
	http DELETE "http://$FAR/v2/${2:-$NAME}/manifests/$1"
	expect 202
}
