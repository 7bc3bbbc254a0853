# Shared by the bats files: servers of their own, private stores for clients,
# small words for HTTP.  Source it with `load helper`.
#
#   REGISTRYD, REGISTRYCTL   the programs under test (default: build/)
#   SERVER_PREFIX         words to put before registryd (setarch -R)
#   E2E_HOST                 test this HOST:PORT instead of own servers

# The bats of Ubuntu 22.04 (1.2) makes no folders by itself.
if [ -z "${BATS_FILE_TMPDIR:-}" ]; then
	export BATS_FILE_TMPDIR=$BATS_RUN_TMPDIR/${BATS_TEST_FILENAME##*/}.d
fi
mkdir -p "$BATS_FILE_TMPDIR"
if [ -z "${BATS_TEST_TMPDIR:-}" ] && ! type bats_require_minimum_version \
	>/dev/null 2>&1; then
	BATS_TEST_TMPDIR=$(mktemp -d "$BATS_FILE_TMPDIR/test.XXXXXX")
fi

TOP=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
REGISTRYD=${REGISTRYD:-$TOP/build/registryd}
REGISTRYCTL=${REGISTRYCTL:-$TOP/build/registryctl}
export TOP REGISTRYD REGISTRYCTL

# The one that belongs to the system starts fastest and has no surprises.
if [ -x /usr/bin/python3 ]; then
	PYTHON=/usr/bin/python3
else
	PYTHON=python3
fi
export PYTHON

export PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
# A proxy of the machine is no business of servers on 127.0.0.1.
export NO_PROXY=127.0.0.1,localhost,::1 no_proxy=127.0.0.1,localhost,::1

EMPTY_DIGEST=sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a
OCI_MANIFEST=application/vnd.oci.image.manifest.v1+json
OCI_INDEX=application/vnd.oci.image.index.v1+json
OCI_EMPTY=application/vnd.oci.empty.v1+json
DOCKER_MANIFEST=application/vnd.docker.distribution.manifest.v2+json
DOCKER_LIST=application/vnd.docker.distribution.manifest.list.v2+json

# --- saying what went wrong ---------------------------------------------------

fail() {
	printf '%s\n' "$*" >&2
	return 1
}

# assert_eq ACTUAL EXPECTED [WHAT]
assert_eq() {
	[ "$1" = "$2" ] || fail "${3:-value}: got \"$1\", want \"$2\""
}

# assert_in TEXT PART [WHAT]
assert_in() {
	case $1 in
	*"$2"*) ;;
	*) fail "${3:-text}: no \"$2\" in: $1" ;;
	esac
}

# wait_for SECONDS COMMAND...: until the command succeeds.
wait_for() {
	local tries=$(($1 * 20))
	shift
	until "$@"; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || return 1
		sleep 0.05
	done
}

# --- a server -----------------------------------------------------------------

# server_start [FLAG...]: with --listen 127.0.0.1:0, --auth none and a folder of
# its own unless the flags say otherwise.  Sets SERVER_PID, SERVER_LOG, DATA,
# and from the listening line URL and HOST.
server_start() {
	local where=${BATS_TEST_TMPDIR:-$BATS_FILE_TMPDIR} flags=() have=" $* "
	if [ -n "${E2E_HOST:-}" ]; then
		export HOST=$E2E_HOST URL=http://$E2E_HOST SERVER_PID=
		return 0
	fi
	[ -x "$REGISTRYD" ] || fail "$REGISTRYD is not built"
	mkdir -p "$where"
	case $have in
	*' --data '*)
		DATA=${have#* --data }
		DATA=${DATA%% *} ;;
	*)
		DATA=$(mktemp -d "$where/data.XXXXXX")
		flags+=(--data "$DATA") ;;
	esac
	case $have in
	*' --listen '*) ;;
	*) flags+=(--listen 127.0.0.1:0) ;;
	esac
	case $have in
	*' --auth '*) ;;
	*) flags+=(--auth none) ;;
	esac
	SERVER_LOG=$(mktemp "$where/log.XXXXXX")
	# bats waits for whoever holds its descriptor 3.
	# shellcheck disable=SC2086
	${SERVER_WRAP:-} ${SERVER_PREFIX:-} "$REGISTRYD" "${flags[@]}" "$@" \
		</dev/null >"$SERVER_LOG.out" 2>"$SERVER_LOG" 3>&- &
	SERVER_PID=$!
	printf '%s %s\n' "$SERVER_PID" "$SERVER_LOG" >>"$where/servers"
	if ! wait_for 10 server_listens; then
		server_show
		fail "the server did not come up"
	fi
	server_address
	export SERVER_PID SERVER_LOG DATA URL HOST
}

server_listens() {
	grep -q 'listening on ' "$SERVER_LOG" || {
		kill -0 "$SERVER_PID" 2>/dev/null || return 1
		return 1
	}
}

server_address() {
	URL=$(sed -n 's/.*listening on \([^ "]*\).*/\1/p' "$SERVER_LOG" |
		head -n 1)
	HOST=${URL#*://}
}

# server_listening N: the address in the Nth listening line.
server_listening() {
	sed -n 's/.*listening on \([^ "]*\).*/\1/p' "$SERVER_LOG" | sed -n "$1p"
}

server_show() {
	echo "--- log of the server:"
	tail -n 60 "$SERVER_LOG"
}

# server_stop: SIGTERM; it must exit 0.
server_stop() {
	local status=0
	[ -n "${SERVER_PID:-}" ] || return 0
	kill -TERM "$SERVER_PID"
	wait "$SERVER_PID" || status=$?
	if [ "$status" -ne 0 ]; then
		server_show
		fail "the server exited with $status after SIGTERM"
	fi
}

server_kill() {
	kill -KILL "$SERVER_PID"
	wait "$SERVER_PID" 2>/dev/null || true
}

# In teardown: whatever a test of this scope has left.  A sanitizer's report
# in a log fails the test even when all answers were right.
servers_clean() {
	local where=${BATS_TEST_TMPDIR:-$BATS_FILE_TMPDIR} pid log bad=0
	[ -f "$where/servers" ] || return 0
	while read -r pid log; do
		if kill -0 "$pid" 2>/dev/null; then
			kill -TERM "$pid" 2>/dev/null || true
			wait_for 12 not_running "$pid" ||
				kill -KILL "$pid" 2>/dev/null || true
		fi
		if grep -qE 'ERROR: (Address|Leak|Thread)Sanitizer|runtime error:' \
			"$log"; then
			cat "$log"
			bad=1
		fi
	done <"$where/servers"
	rm -f "$where/servers"
	return "$bad"
}

not_running() {
	! kill -0 "$1" 2>/dev/null ||
		[ "$(cut -d ' ' -f 3 "/proc/$1/stat" 2>/dev/null)" = Z ]
}

# --- HTTP ---------------------------------------------------------------------

# http METHOD PATH [CURL ARGUMENT...]: sets STATUS, HEADERS (a file), BODY (a
# file).  Never fails by itself.
http() {
	local method=$1 path=$2 how=()
	shift 2
	HEADERS=$BATS_TEST_TMPDIR/headers BODY=$BATS_TEST_TMPDIR/body
	: >"$HEADERS"
	: >"$BODY"
	case $method in
	HEAD) how=(--head) ;;
	*) how=(-X "$method") ;;
	esac
	case $path in
	http*://*) ;;
	*) path=$URL$path ;;
	esac
	STATUS=$(curl -sS --path-as-is -g "${how[@]}" -D "$HEADERS" -o "$BODY" \
		-w '%{http_code}' --max-time 60 "$@" "$path") || true
	[ "$method" != HEAD ] || : >"$BODY"
}

# header NAME: its value in the last answer.
header() {
	tr -d '\r' <"$HEADERS" | awk -v name="$1" '
		BEGIN { name = tolower(name) ":" }
		/^HTTP\// { value = ""; next }
		tolower(substr($0, 1, length(name))) == name {
			value = substr($0, length(name) + 1)
			sub(/^[ \t]+/, "", value)
		}
		END { print value }'
}

# expect STATUS [ERROR CODE]: of the last answer; errors have the shape of
# the specification.
expect() {
	if [ "$STATUS" != "$1" ]; then
		cat "$HEADERS" "$BODY" >&2
		fail "status $STATUS, want $1"
		return
	fi
	[ -n "${2:-}" ] || return 0
	assert_in "$(header Content-Type)" application/json Content-Type ||
		return
	jq -e '.errors | type == "array" and length > 0 and all(
	    (.code | test("^[A-Z_]+$")) and (.message | length > 0))' \
	    "$BODY" >/dev/null || fail "not the shape of an error: $(cat "$BODY")"
	assert_eq "$(jq -r '.errors[0].code' "$BODY")" "$2" "error code"
}

# The message and detail name the offending value.
expect_names() {
	assert_in "$(jq -c '.errors[0]' "$BODY")" "$1" "the error"
}

# --- content ------------------------------------------------------------------

digest_of() { # FILE [sha256|sha512]
	printf '%s:%s' "${2:-sha256}" "$("${2:-sha256}sum" "$1" | cut -d ' ' -f 1)"
}

size_of() {
	stat -c %s "$1"
}

random_file() { # FILE BYTES
	head -c "$2" /dev/urandom >"$1"
}

# blob_push REPOSITORY FILE [ALGORITHM]: in one POST and one PUT.  Sets DIGEST.
blob_push() {
	DIGEST=$(digest_of "$2" "${3:-sha256}")
	http POST "/v2/$1/blobs/uploads/"
	expect 202 || return
	upload_put "$(header Location)" "$DIGEST" "$2"
	expect 201 || return
}

# with_query LOCATION QUERY: appended with ? or &.
with_query() {
	case $1 in
	*\?*) printf '%s&%s' "$1" "$2" ;;
	*) printf '%s?%s' "$1" "$2" ;;
	esac
}

upload_put() { # LOCATION DIGEST [FILE] [CURL ARGUMENT...]
	local location=$1 digest=$2 file=${3:-/dev/null}
	shift 2
	[ $# -eq 0 ] || shift
	http PUT "$(with_query "$location" "digest=$digest")" \
		-H 'Content-Type: application/octet-stream' -H 'Expect:' \
		--data-binary "@$file" "$@"
}

# manifest_put REPOSITORY REFERENCE FILE [TYPE]
manifest_put() {
	http PUT "/v2/$1/manifests/$2" -H "Content-Type: ${4:-$OCI_MANIFEST}" \
		-H 'Expect:' --data-binary "@$3"
}

descriptor() { # MEDIA-TYPE FILE
	printf '{"mediaType":"%s","digest":"%s","size":%s}' "$1" \
		"$(digest_of "$2")" "$(size_of "$2")"
}

# image_push REPOSITORY TAG [TEXT]: a tiny image; TEXT makes it one of its own.
# Sets MANIFEST (a file) and DIGEST.
image_push() {
	local dir=$BATS_TEST_TMPDIR/image
	mkdir -p "$dir"
	printf '{"architecture":"amd64","os":"linux","rootfs":{"type":"layers",' \
		>"$dir/config"
	printf '"diff_ids":[]},"comment":"%s"}' "${3:-$1:$2}" >>"$dir/config"
	printf 'layer %s' "${3:-$1:$2}" >"$dir/layer"
	blob_push "$1" "$dir/config" || return
	blob_push "$1" "$dir/layer" || return
	CONFIG_DIGEST=$(digest_of "$dir/config")
	LAYER_DIGEST=$(digest_of "$dir/layer")
	MANIFEST=$dir/manifest
	printf '{"schemaVersion":2,"mediaType":"%s","config":%s,"layers":[%s]}' \
		"$OCI_MANIFEST" \
		"$(descriptor application/vnd.oci.image.config.v1+json \
			"$dir/config")" \
		"$(descriptor application/vnd.oci.image.layer.v1.tar \
			"$dir/layer")" >"$MANIFEST"
	DIGEST=$(digest_of "$MANIFEST")
	manifest_put "$1" "$2" "$MANIFEST"
	expect 201 || return
	export CONFIG_DIGEST LAYER_DIGEST
}

# artifact_push REPOSITORY REFERENCE SUBJECT-FILE|"" [ARTIFACT TYPE]
# [ANNOTATION].  Sets MANIFEST and DIGEST.
artifact_push() {
	local dir=$BATS_TEST_TMPDIR/artifact subject= reference=$2
	mkdir -p "$dir"
	printf '{}' >"$dir/empty"
	blob_push "$1" "$dir/empty" || return
	if [ -n "$3" ]; then
		subject=",\"subject\":$(descriptor "$OCI_MANIFEST" "$3")"
	fi
	MANIFEST=$dir/manifest
	printf '{"schemaVersion":2,"mediaType":"%s","artifactType":"%s",' \
		"$OCI_MANIFEST" "${4:-application/vnd.example.sbom}" >"$MANIFEST"
	printf '"config":%s,"layers":[%s]%s,"annotations":{"note":"%s"}}' \
		"$(descriptor "$OCI_EMPTY" "$dir/empty")" \
		"$(descriptor "$OCI_EMPTY" "$dir/empty")" "$subject" \
		"${5:-none}" >>"$MANIFEST"
	DIGEST=$(digest_of "$MANIFEST")
	[ "$reference" != digest ] || reference=$DIGEST
	manifest_put "$1" "$reference" "$MANIFEST"
	expect 201 || return
}

# --- raw bytes ----------------------------------------------------------------

# raw [OPTION...]: send standard input to $HOST as it is; see raw.py.
raw() {
	"$PYTHON" "$TOP/tests/e2e/raw.py" "$@" "$HOST"
}

# --- clients ------------------------------------------------------------------

need() { # COMMAND...
	local command
	for command; do
		type -P "$command" >/dev/null || skip "$command is not installed"
	done
}

need_root() {
	[ "$(id -u)" -eq 0 ] || skip "needs root"
}

# client_home FOLDER: private stores and credentials for every image client.
client_home() {
	mkdir -p "$1"/{home,run,config,tmp,store,cache}
	export CLIENT=$1
	# podman 3 wants this path to be short.
	RUNROOT=$(mktemp -d /tmp/runroot.XXXXXX)
	export HOME=$1/home XDG_RUNTIME_DIR=$1/run XDG_CONFIG_HOME=$1/config
	export XDG_DATA_HOME=$1/home/.local DOCKER_CONFIG=$1/config/docker
	export REGISTRY_AUTH_FILE=$1/config/auth.json TMPDIR=$1/tmp
	mkdir -p "$DOCKER_CONFIG"
	printf '{"default":[{"type":"insecureAcceptAnything"}]}\n' \
		>"$1/config/policy.json"
	printf '{}\n' >"$REGISTRY_AUTH_FILE"
	cat >"$1/config/containers.conf" <<-CONF
	[engine]
	cgroup_manager = "cgroupfs"
	events_logger = "none"
	CONF
	export CONTAINERS_CONF=$1/config/containers.conf
}

client_gone() {
	[ -z "${RUNROOT:-}" ] || rm -rf "$RUNROOT"
}

# As root these clients share one cache of blob locations, which must neither
# leak into a test nor out of it: give them a folder of their own in its place.
private() {
	if [ -z "${PRIVATE:-}" ]; then
		PRIVATE=plain
		mkdir -p /var/lib/containers/cache 2>/dev/null &&
			unshare -m mount --bind "$CLIENT/cache" \
				/var/lib/containers/cache 2>/dev/null &&
			PRIVATE=unshare
		export PRIVATE
	fi
	if [ "$PRIVATE" = plain ]; then
		command "$@"
		return
	fi
	# shellcheck disable=SC2016
	unshare -m sh -c 'mount --bind "$0" /var/lib/containers/cache &&
		exec "$@"' "$CLIENT/cache" "$@"
}

skopeo() {
	private skopeo --policy "$CLIENT/config/policy.json" "$@"
}

podman() {
	private podman --root "$CLIENT/store" --runroot "$RUNROOT" \
		--storage-driver vfs "$@"
}

buildah() {
	private buildah --root "$CLIENT/store" --runroot "$RUNROOT" \
		--storage-driver vfs "$@"
}
