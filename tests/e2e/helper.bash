# Shared by the bats files: servers of their own, private stores for clients,
# small words for HTTP.  Source it with `load helper`.
#
#   REGISTRYD, REGISTRYCTL   the programs under test (default: build/)
#   SERVER_PREFIX         words to put before registryd (setarch -R)
#   E2E_HOST                 test this HOST:PORT instead of own servers
#
# Daemons of other origin (docker_start, containerd_start) can be had by any
# file; who needs a server with users calls auth_server_start.

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

# wait_for SECONDS COMMAND...: until the command succeeds.  Only what is broken
# takes so long: on a busy machine everything takes longer than one thinks.
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
	if ! wait_for 60 server_listens_or_ended || ! server_listens; then
		server_show
		fail "the server did not come up"
	fi
	server_address
	export SERVER_PID SERVER_LOG DATA URL HOST
}

server_listens() {
	grep -q 'listening on ' "$SERVER_LOG"
}

server_listens_or_ended() {
	server_listens || not_running "$SERVER_PID"
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

# In teardown: whatever a test of this scope has left.  A sanitizer's report or
# a secret in a log fails the test even when all answers were right.
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
		secrets_absent "$log" "$log.out" || bad=1
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
# file).  Never fails by itself.  HTTP_OPTIONS are arguments of curl for every
# request, such as -u USER:PASSWORD.
http() {
	local method=$1 path=$2 how=()
	shift 2
	HEADERS=${BATS_TEST_TMPDIR:-$BATS_FILE_TMPDIR}/headers
	BODY=${HEADERS%headers}body
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
		-w '%{http_code}' --max-time 60 \
		${HTTP_OPTIONS[@]+"${HTTP_OPTIONS[@]}"} "$@" "$path") || true
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
	local dir=${BATS_TEST_TMPDIR:-$BATS_FILE_TMPDIR}/image
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

# --- daemons ------------------------------------------------------------------

# A docker engine of its own.  When it does not come up DOCKER_WHY says why and
# its tests are skipped.  DOCKER_WRAP: words to put before dockerd.
docker_start() {
	local dir=$BATS_FILE_TMPDIR/docker
	export DOCKER_SOCKET=unix://$dir/docker.sock DOCKER_WHY='' DOCKER_PID=''
	if [ "$(id -u)" -ne 0 ]; then
		DOCKER_WHY='dockerd needs root'
	elif ! type -P dockerd >/dev/null || ! type -P docker >/dev/null; then
		DOCKER_WHY='docker is not installed'
	fi
	[ -z "$DOCKER_WHY" ] || return 0
	mkdir -p "$dir"
	# shellcheck disable=SC2086
	${DOCKER_WRAP:-} dockerd --storage-driver=vfs --iptables=false --ip6tables=false \
		--bridge=none --data-root="$dir/data" --exec-root="$dir/exec" \
		-H "$DOCKER_SOCKET" --pidfile "$dir/pid" \
		>"$dir/log" 2>&1 </dev/null 3>&- &
	DOCKER_PID=$!
	docker_up() {
		command docker -H "$DOCKER_SOCKET" info >/dev/null 2>&1
	}
	docker_up_or_ended() {
		docker_up || not_running "$DOCKER_PID"
	}
	if ! wait_for 60 docker_up_or_ended || ! docker_up; then
		DOCKER_WHY="dockerd does not start here: $(tail -n 1 "$dir/log")"
	elif ! tar -C "$TOP" -c Makefile | command docker -H "$DOCKER_SOCKET" \
		import - probe:probe >"$dir/probe" 2>&1; then
		# In a bare chroot, for one, whose root is no mount point.
		DOCKER_WHY="dockerd cannot unpack here: $(tail -n 1 "$dir/probe")"
	fi
}

docker_stop() {
	[ -n "${DOCKER_PID:-}" ] || return 0
	kill -TERM "$DOCKER_PID" 2>/dev/null || true
	wait_for 15 not_running "$DOCKER_PID" || kill -KILL "$DOCKER_PID" || true
	umount "$BATS_FILE_TMPDIR/docker/exec/netns/default" 2>/dev/null || true
}

need_docker() {
	[ -z "$DOCKER_WHY" ] || skip "$DOCKER_WHY"
}

docker() {
	command docker -H "$DOCKER_SOCKET" "$@"
}

containerd_start() {
	local dir=$BATS_FILE_TMPDIR/containerd
	export CTR_SOCKET=$dir/sock CTR_WHY='' CTR_PID=''
	if [ "$(id -u)" -ne 0 ]; then
		CTR_WHY='containerd needs root'
	elif ! type -P containerd >/dev/null || ! type -P ctr >/dev/null; then
		CTR_WHY='containerd is not installed'
	fi
	[ -z "$CTR_WHY" ] || return 0
	mkdir -p "$dir"
	cat >"$dir/config.toml" <<-CONF
	version = 2
	root = "$dir/root"
	state = "$dir/state"
	disabled_plugins = ["io.containerd.grpc.v1.cri"]
	[grpc]
	  address = "$CTR_SOCKET"
	[ttrpc]
	  address = "$CTR_SOCKET.ttrpc"
	[plugins]
	  [plugins."io.containerd.internal.v1.opt"]
	    path = "$dir/opt"
	CONF
	containerd -c "$dir/config.toml" >"$dir/log" 2>&1 </dev/null 3>&- &
	CTR_PID=$!
	ctr_up() {
		ctr version >/dev/null 2>&1
	}
	ctr_up_or_ended() {
		ctr_up || not_running "$CTR_PID"
	}
	{ wait_for 60 ctr_up_or_ended && ctr_up; } ||
		CTR_WHY="containerd does not start here: $(tail -n 1 "$dir/log")"
}

containerd_stop() {
	[ -n "${CTR_PID:-}" ] || return 0
	kill -TERM "$CTR_PID" 2>/dev/null || true
	wait_for 10 not_running "$CTR_PID" || kill -KILL "$CTR_PID" || true
}

need_ctr() {
	[ -z "$CTR_WHY" ] || skip "$CTR_WHY"
}

ctr() {
	command ctr -a "$CTR_SOCKET" -n "t${BATS_TEST_NUMBER:-0}" "$@"
}

# --- secrets ------------------------------------------------------------------

# Every secret a test comes to know is noted, and no server may have written it
# anywhere: servers_clean looks.
secret_note() { # TEXT...
	local text
	for text; do
		# Too short ones would be found by chance, and "" everywhere.
		[ ${#text} -ge 8 ] || fail "too short a secret for a test: $text"
		printf '%s\n' "$text" >>"$BATS_FILE_TMPDIR/secrets"
	done
}

# As a header has it: base64 of USER:PASSWORD.
secret_note_basic() { # USER PASSWORD
	secret_note "$2" "$(printf '%s:%s' "$1" "$2" | base64 -w 0)"
}

secrets_absent() { # FILE...
	local file status=0
	[ -s "$BATS_FILE_TMPDIR/secrets" ] || return 0
	for file; do
		[ -f "$file" ] || continue
		! grep -nFf "$BATS_FILE_TMPDIR/secrets" "$file" || {
			echo "--- a secret was written to $file, see above"
			status=1
		}
	done
	return "$status"
}

# --- users --------------------------------------------------------------------

ACCOUNT=000000000000
REGION=us-east-1
# What a pull and a push take.
PULL='ecr:BatchGetImage ecr:GetDownloadUrlForLayer'
PUSH='ecr:InitiateLayerUpload ecr:UploadLayerPart ecr:CompleteLayerUpload'
PUSH+=' ecr:PutImage'

# auth_server_start [FLAG...]: a server with users.  admin is who asks.
auth_server_start() {
	[ -z "${E2E_HOST:-}" ] || skip 'needs servers of its own'
	server_start --auth token "$@"
	auth_server_learn
}

auth_server_learn() {
	[ ! -f "$DATA/master.key" ] ||
		secret_note "$(grep -v '^#' "$DATA/master.key" | head -n 1)"
	[ -s "$DATA/admin-credentials" ] || fail 'no admin-credentials'
	mkdir -p "$DATA.users"
	cp "$DATA/admin-credentials" "$(credentials_of admin)"
	aws_env
	as admin
}

# One server for all tests of a file that ask for nothing wrong: shared_start in
# setup_file, shared in the test, shared_stop in teardown_file.
shared_start() {
	[ -z "${E2E_HOST:-}" ] || skip 'needs servers of its own'
	auth_server_start "$@"
	repository_make base/app
	export SHARED_DATA=$DATA SHARED_URL=$URL SHARED_HOST=$HOST
	export SHARED_LOG=$SERVER_LOG SHARED_PID=$SERVER_PID
}

shared() {
	DATA=$SHARED_DATA URL=$SHARED_URL HOST=$SHARED_HOST
	SERVER_LOG=$SHARED_LOG SERVER_PID=$SHARED_PID
	as admin
	logout
}

shared_stop() {
	[ -n "${SHARED_PID:-}" ] || return 0
	SERVER_PID=$SHARED_PID SERVER_LOG=$SHARED_LOG
	server_stop
	servers_clean
}

# Where the key of a user of the server is kept, in the AWS tools' form.
credentials_of() { # USER
	printf '%s.users/%s' "${DATA%/}" "${1//\//-}"
}

ctl() {
	"$REGISTRYCTL" --data "$DATA" "$@"
}

# ctl_run ARGUMENT...: sets code and out (both streams).
ctl_run() {
	code=0
	out=$(ctl "$@" 2>&1 </dev/null) || code=$?
}

# aws_env: nothing of the machine's own settings, nor of its trust, reaches the
# AWS tools and curl.
aws_env() {
	local name
	for name in SSL_CERT_FILE SSL_CERT_DIR AWS_CA_BUNDLE CURL_CA_BUNDLE \
	    REQUESTS_CA_BUNDLE $(compgen -e AWS_ || true); do
		unset "$name"
	done
	export AWS_DEFAULT_REGION=$REGION AWS_EC2_METADATA_DISABLED=true
	export AWS_PAGER='' AWS_CONFIG_FILE=$BATS_FILE_TMPDIR/no-aws-config
	# A refusal is not to be asked for five times.
	export AWS_MAX_ATTEMPTS=1
}

# admin_env: the AWS tools act as the administrator of the first start.
admin_env() {
	aws_env
	export AWS_SHARED_CREDENTIALS_FILE=$DATA/admin-credentials
}

# as USER: whose key signs from here on; sets KEY_ID and KEY_SECRET too.
as() {
	local file
	file=$(credentials_of "$1")
	[ -s "$file" ] || fail "no credentials of $1"
	AWS_SHARED_CREDENTIALS_FILE=$file
	KEY_ID=$(sed -n 's/^aws_access_key_id *= *//p' "$file")
	KEY_SECRET=$(sed -n 's/^aws_secret_access_key *= *//p' "$file")
	KEY_TOKEN=
	[ -n "$KEY_ID" ] && [ -n "$KEY_SECRET" ] || fail "$(cat "$file")"
	secret_note "$KEY_SECRET"
	export AWS_SHARED_CREDENTIALS_FILE KEY_ID KEY_SECRET KEY_TOKEN
}

# user_make [ACCOUNT/]NAME [POLICY...]: with an access key.  A policy is the
# name of a managed one, or a document.
user_make() {
	local user=$1 policy
	ctl user create "$user" >/dev/null || return
	shift
	for policy; do
		user_allow "$user" "$policy" || return
	done
	user_key "$user"
}

# user_key USER: a further access key, which is the one of "as USER" now.
user_key() {
	local key
	key=$(ctl access-key create "$1") || return
	jq -er '"[default]\naws_access_key_id = " + .AccessKeyId +
	    "\naws_secret_access_key = " + .SecretAccessKey' <<<"$key" \
		>"$(credentials_of "$1")"
	secret_note "$(jq -r .SecretAccessKey <<<"$key")"
}

# For users whose policies are about something else.
may_login() { # USER
	ctl policy put token --user "$1" \
		--file <(allow ecr:GetAuthorizationToken) >/dev/null
}

user_allow() { # USER POLICY
	case $2 in
	\{*) printf '%s' "$2" |
		ctl policy put test --user "$1" --file - >/dev/null ;;
	*) ctl policy attach "$1" "$2" >/dev/null ;;
	esac
}

# allow ACTIONS [RESOURCE [MORE]]: a policy; "allow 'ecr:A ecr:B'".  MORE are
# further members of the statement.
allow() {
	printf '{"Version":"2012-10-17","Statement":[{"Effect":"Allow",'
	printf '"Action":%s,"Resource":"%s"%s}]}' \
		"$(jq -cn --arg a "$1" '$a | split(" ")')" "${2:-*}" \
		"${3:+,$3}"
}

# allow_all_but ACTION
allow_all_but() {
	printf '{"Version":"2012-10-17","Statement":[{"Effect":"Allow",'
	printf '"NotAction":"%s","Resource":"*"}]}' "$1"
}

# repository_policy PRINCIPAL ACTIONS [MORE]: a policy of a repository that
# allows; PRINCIPAL is JSON.
repository_policy() {
	printf '{"Version":"2012-10-17","Statement":[{"Effect":"Allow",'
	printf '"Principal":%s,"Action":%s%s}]}' "$1" \
		"$(jq -cn --arg a "$2" '$a | split(" ")')" "${3:+,$3}"
}

user_arn() { # USER [ACCOUNT]
	printf 'arn:aws:iam::%s:user/%s' "${2:-$ACCOUNT}" "$1"
}

repository_arn() {
	printf 'arn:aws:ecr:%s:%s:repository/%s' "$REGION" "$ACCOUNT" "$1"
}

# not_authorized USER ACTION REPOSITORY: what who may not is told.
not_authorized() {
	printf 'User: %s is not authorized to perform: %s on resource: %s ' \
		"$(user_arn "$1")" "$2" "$(repository_arn "$3")"
	printf 'because no identity-based policy allows the %s action' "$2"
}

# --- the ECR endpoint ---------------------------------------------------------

# ecr OPERATION [JSON [OPTION...]]: signed with the key of "as"; sets STATUS,
# HEADERS and BODY like http.  The options are those of sign.py.
ecr() {
	local operation=$1 body=${2:-"{}"}
	shift
	[ $# -eq 0 ] || shift
	signed --target "${TARGET:-AmazonEC2ContainerRegistry_V20150921}.$operation" \
		--body "$body" "$@"
}

sts() { # OPERATION [PARAMETERS [OPTION...]]
	local body="Action=$1&Version=2011-06-15${2:+&$2}"
	shift
	[ $# -eq 0 ] || shift
	signed --service sts --type application/x-www-form-urlencoded \
		--body "$body" "$@"
}

signed() {
	HEADERS=${BATS_TEST_TMPDIR:-$BATS_FILE_TMPDIR}/headers
	BODY=${HEADERS%headers}body
	: >"$HEADERS"
	: >"$BODY"
	STATUS=$("$PYTHON" -E -S "$TOP/tests/e2e/sign.py" --headers "$HEADERS" \
		--answer "$BODY" --region "$REGION" "$@" "$URL/") || true
}

# expect_aws TYPE [PART OF THE MESSAGE]: the last answer of ecr is this error.
expect_aws() {
	if [ "$STATUS" != 400 ] ||
		[ "$(jq -r .__type "$BODY")" != "$1" ]; then
		cat "$HEADERS" "$BODY" >&2
		fail "status $STATUS, want 400 and $1"
		return
	fi
	[ -n "$(header x-amzn-RequestId)" ] || fail 'no x-amzn-RequestId'
	assert_in "$(jq -r .message "$BODY")" "${2:-}" message
}

repository_make() { # NAME, as whoever asks
	ecr CreateRepository "{\"repositoryName\":\"$1\"}"
	expect 200
}

policy_set() { # REPOSITORY POLICY, as whoever asks
	ecr SetRepositoryPolicy "$(jq -cn --arg r "$1" --arg p "$2" \
		'{repositoryName: $r, policyText: $p}')"
}

# login_password: a token for the user AWS, of the key of "as": sets TOKEN.
login_password() {
	ecr GetAuthorizationToken
	expect 200 || return
	TOKEN=$(jq -r '.authorizationData[0].authorizationToken' "$BODY" |
		base64 -d)
	TOKEN=${TOKEN#AWS:}
	secret_note_basic AWS "$TOKEN"
}

# login USER: http() comes with a token of that user from here on.
login() {
	as "$1" && login_password || return
	HTTP_OPTIONS=(-u "AWS:$TOKEN")
}

logout() {
	HTTP_OPTIONS=()
}

# --- AWS's own tools ----------------------------------------------------------

# Both generations of the CLI, and every Python with boto3, wherever they stand
# in the PATH: sets AWS1, AWS2 and BOTO_PYTHONS.
aws_find() {
	local program seen=' '
	AWS1='' AWS2='' BOTO_PYTHONS=''
	for program in $(type -ap aws); do
		case $("$program" --version 2>&1) in
		aws-cli/1.*) : "${AWS1:=$program}" ;;
		aws-cli/2.*) : "${AWS2:=$program}" ;;
		esac
	done
	for program in $(type -ap python3); do
		case $seen in
		*" $(readlink -f "$program") "*) continue ;;
		esac
		seen+="$(readlink -f "$program") "
		! "$program" -c 'import boto3' 2>/dev/null ||
			BOTO_PYTHONS+="$program "
	done
	export AWS1 AWS2 BOTO_PYTHONS
}

# need_aws 1|2
need_aws() {
	local which=AWS$1
	[ -n "${!which}" ] || skip "no AWS CLI of generation $1 is installed"
}

need_boto() {
	[ -n "$BOTO_PYTHONS" ] || skip 'boto3 is not installed'
}

aws1() {
	"$AWS1" --endpoint-url "$URL" "$@"
}

aws2() {
	"$AWS2" --endpoint-url "$URL" "$@"
}

# cli GENERATION ARGUMENT...
cli() {
	local n=$1
	shift
	"aws$n" "$@"
}

# cli_fails GENERATION NAME ARGUMENT...: a refusal by the service, of that name;
# $W/out and $W/err are what it said.
cli_fails() {
	local n=$1 name=$2 code=0
	shift 2
	cli "$n" "$@" >"$W/out" 2>"$W/err" || code=$?
	# The older generation has had 255 for everything.
	[ "$code" = 254 ] || { [ "$n" = 1 ] && [ "$code" = 255 ]; } ||
		fail "exit $code of $*: $(cat "$W/err")"
	assert_in "$(cat "$W/err")" "An error occurred ($name) when calling the"
}

# --- another time -------------------------------------------------------------

# fake_time OFFSET: words to put before a program (SERVER_WRAP, for one), or a
# skip.  faketime(1) itself would stand between us and the program's signals.
fake_time() {
	local lib
	for lib in /usr/lib/*/faketime/libfaketimeMT.so.1; do
		[ ! -e "$lib" ] || break
	done
	[ -e "$lib" ] || skip 'libfaketime is not installed'
	FAKE_TIME="env LD_PRELOAD=$lib FAKETIME=$1"
	FAKE_TIME+=" FAKETIME_DONT_FAKE_MONOTONIC=1 NO_FAKE_STAT=1"
	# Or timed waits, which are by that clock, would not wait.
	FAKE_TIME+=" FAKETIME_FORCE_MONOTONIC_FIX=0"
}

# Nothing can be preloaded into a program that was built with ASan.
need_preload() {
	! grep -q __asan_init "$REGISTRYD" ||
		skip 'a server with ASan takes no libfaketime'
}
