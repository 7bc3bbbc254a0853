#!/usr/bin/env bats
# The pull through cache: rules, cold and warm pulls, and upstreams that fail.
# The upstream is docker-registry on loopback, behind a proxy that writes down
# what it is asked and misbehaves on demand (upstream_proxy.py).
load helper
load far

setup_file() {
	export IMAGES=$BATS_FILE_TMPDIR/images
	local mk=$TOP/tests/e2e/mkimage.py
	mkdir -p "$IMAGES"
	type -P docker-registry >/dev/null || return 0
	far_start
	SMALL=$("$PYTHON" "$mk" "$IMAGES/oci" small)
	INDEX=$("$PYTHON" "$mk" --archs amd64,arm64,s390x "$IMAGES/oci" index)
	export SMALL INDEX
	aws_find
}

teardown_file() {
	far_stop
}

setup() {
	need docker-registry skopeo
	[ -z "${E2E_HOST:-}" ] || skip 'needs servers of its own'
	W=$BATS_TEST_TMPDIR
	NAME=t$BATS_TEST_NUMBER/app
	client_home "$W/client"
	aws_env
	# A server without users asks for none, but AWS's tools have to.
	export KEY_ID=anybody KEY_SECRET=anything KEY_TOKEN=
}

teardown() {
	proxies_stop
	client_gone
	servers_clean
}

# --- the upstream -------------------------------------------------------------

far_push() { # TAG [NAME:TAG]: one of the prepared images
	skopeo copy -q --all --dest-tls-verify=false "oci:$IMAGES/oci:$1" \
		"docker://$FAR/${2:-$NAME:$1}"
}

# far_blob BYTES: an image v1 with one layer of random bytes, which is the file
# $W/layer; sets LAYER and DIGEST.
far_blob() {
	random_file "$W/layer" "$1"
	printf '{"architecture":"amd64","os":"linux","seed":"%s"}' \
		"$(digest_of "$W/layer")" >"$W/config"
	URL=http://$FAR blob_push "$NAME" "$W/config" || return
	URL=http://$FAR blob_push "$NAME" "$W/layer" || return
	LAYER=$(digest_of "$W/layer")
	printf '{"schemaVersion":2,"mediaType":"%s","config":%s,"layers":[%s]}' \
		"$OCI_MANIFEST" \
		"$(descriptor application/vnd.oci.image.config.v1+json \
			"$W/config")" \
		"$(descriptor application/vnd.oci.image.layer.v1.tar \
			"$W/layer")" >"$W/manifest"
	DIGEST=$(digest_of "$W/manifest")
	URL=http://$FAR manifest_put "$NAME" v1 "$W/manifest"
	expect 201
}

# --- this registry ------------------------------------------------------------

# rule PREFIX [HOST:PORT [MORE]]: MORE are further members.
rule() {
	ecr CreatePullThroughCacheRule "{\"ecrRepositoryPrefix\":\"$1\",
		\"upstreamRegistryUrl\":\"http://${2:-$PROXY}\"${3:+,$3}}"
	expect 200
}

# cached: a server with the rule "far".
cached() {
	proxy_start
	server_start
	rule far
}

pull() { # REPOSITORY:TAG [FOLDER [OPTION...]]
	rm -rf "${2:-$W/pulled}"
	skopeo copy -q --src-tls-verify=false "${@:3}" "docker://$HOST/$1" \
		"oci:${2:-$W/pulled}:v1"
}

ACCEPT=(-H "Accept: $OCI_MANIFEST" -H "Accept: $OCI_INDEX"
	-H "Accept: $DOCKER_MANIFEST" -H "Accept: $DOCKER_LIST")

manifest() { # REPOSITORY REFERENCE [CURL ARGUMENT...]
	http GET "/v2/$1/manifests/$2" "${ACCEPT[@]}" "${@:3}"
}

gives() { # REPOSITORY REFERENCE DIGEST
	manifest "$1" "$2"
	expect 200 || return
	assert_eq "$(header Docker-Content-Digest)" "$3" 'digest given' &&
		assert_eq "$(digest_of "$BODY")" "$3" 'digest of what is given'
}

blob_is() { # REPOSITORY DIGEST FILE
	http GET "/v2/$1/blobs/$2"
	expect 200 || return
	cmp "$BODY" "$3"
}

# fsck finds nothing wrong.
sound() {
	server_stop
	"$REGISTRYCTL" --data "$DATA" fsck >"$W/fsck" 2>&1 ||
		fail "fsck: $(cat "$W/fsck")"
}

# --- warm and cold ------------------------------------------------------------

@test "the first pull fetches and keeps; later ones need no upstream" {
	far_push small "$NAME:v1"
	far_push index "$NAME:all"
	cached
	pull "far/$NAME:v1"
	pull "far/$NAME:all" "$W/all" --all
	proxy_stop
	pull "far/$NAME:v1" "$W/again"
	diff -r "$W/pulled/blobs" "$W/again/blobs"
	pull "far/$NAME@$SMALL" "$W/again"
	pull "far/$NAME:all" "$W/again" --all
	diff -r "$W/all/blobs" "$W/again/blobs"
	# Also after a restart.
	server_stop
	server_start --data "$DATA"
	pull "far/$NAME:all" "$W/again" --all
	diff -r "$W/all/blobs" "$W/again/blobs"
	sound
}

@test "each thing is fetched once, and a tag is asked for once" {
	far_push small "$NAME:v1"
	cached
	pull "far/$NAME:v1"
	cp "$PROXY_DIR/requests" "$W/before"
	pull "far/$NAME:v1" "$W/again"
	cmp "$PROXY_DIR/requests" "$W/before"
	assert_eq "$(asked GET "/manifests/")" 1 'manifests fetched'
	assert_eq "$(asked GET "/blobs/" )" \
		"$(jq '[.config, .layers[]] | unique | length' \
		"$W/pulled/blobs/sha256/${SMALL#sha256:}")" 'blobs fetched'
}

@test "rules are made with the AWS CLI, and podman and docker pull by them" {
	local n=1
	[ -n "$AWS1$AWS2" ] || skip 'no AWS CLI is installed'
	[ -n "$AWS1" ] || n=2
	need podman
	far_push small "$NAME:v1"
	proxy_start
	server_start
	export AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=anything
	# The older generation fetches what a parameter of http:// names.
	cli "$n" ecr create-pull-through-cache-rule --cli-input-json \
		"{\"ecrRepositoryPrefix\":\"far\",
		\"upstreamRegistryUrl\":\"http://$PROXY\"}" >"$W/out"
	assert_eq "$(jq -r .ecrRepositoryPrefix "$W/out")" far
	cli "$n" ecr validate-pull-through-cache-rule \
		--ecr-repository-prefix far >"$W/out"
	assert_eq "$(jq -r .isValid "$W/out")" true
	podman pull -q --tls-verify=false "$HOST/far/$NAME:v1" >"$W/out"
	assert_eq "$(podman image inspect --format '{{.Digest}}' \
		"$HOST/far/$NAME:v1")" "$SMALL"
	cli "$n" ecr delete-pull-through-cache-rule \
		--ecr-repository-prefix far >/dev/null
	manifest "far/$NAME" v2
	expect 404 MANIFEST_UNKNOWN
	assert_eq "$(asked . manifests/v2)" 0 'asked after the rule had gone'
}

@test "a rule whose upstream does not answer is not valid, and says why" {
	proxy_start
	server_start
	rule far
	rule sealed "$PROXY" '"credentialArn":"arn:aws:secretsmanager:us-east-1:000000000000:secret:ecr-pullthroughcache/far-AbC123"'
	ecr ValidatePullThroughCacheRule '{"ecrRepositoryPrefix":"sealed"}'
	expect 200
	assert_eq "$(jq -r .isValid "$BODY")" false
	assert_in "$(jq -r .failure "$BODY")" ecr-pullthroughcache/far
	ecr ValidatePullThroughCacheRule '{"ecrRepositoryPrefix":"far"}'
	assert_eq "$(jq -r .isValid "$BODY")" true
	faults '[{"match": "/v2/", "status": 403}]'
	ecr ValidatePullThroughCacheRule '{"ecrRepositoryPrefix":"far"}'
	assert_eq "$(jq -r .isValid "$BODY")" false
	assert_in "$(jq -r .failure "$BODY")" "$PROXY"
	proxy_stop
	ecr ValidatePullThroughCacheRule '{"ecrRepositoryPrefix":"far"}'
	assert_eq "$(jq -r .isValid "$BODY")" false
	assert_in "$(jq -r .failure "$BODY")" "$PROXY"
}

# --- freshness ----------------------------------------------------------------

at_time() { # OFFSET
	server_stop
	fake_time "$1"
	SERVER_WRAP=$FAKE_TIME REGISTRYD_CACHE_PATIENCE=3s \
		server_start --data "$DATA"
}

@test "a tag that moved is seen after the interval, and not before" {
	local first second
	need_preload
	fake_time +0
	far_image v1 first
	first=$DIGEST
	cached
	gives "far/$NAME" v1 "$first"
	far_image v1 second
	second=$DIGEST
	gives "far/$NAME" v1 "$first"
	at_time +23h
	gives "far/$NAME" v1 "$first"
	assert_eq "$(asked HEAD "/manifests/v1$")" 0
	at_time +25h
	gives "far/$NAME" v1 "$second"
	assert_eq "$(header Warning)" '' Warning
	# What it was is not gone by that.
	gives "far/$NAME" "$first" "$first"
	# One that has not moved is not fetched again.
	: >"$PROXY_DIR/requests"
	at_time +50h
	gives "far/$NAME" v1 "$second"
	assert_eq "$(asked HEAD "/manifests/v1$") $(asked GET /manifests/)" \
		'1 0' 'asked and fetched'
	gives "far/$NAME" v1 "$second"
	assert_eq "$(asked HEAD "/manifests/v1$")" 1
}

@test "what is here is served when the upstream fails, with a warning" {
	need_preload
	fake_time +0
	far_image v1
	cached
	gives "far/$NAME" v1 "$DIGEST"
	at_time +25h
	faults '[{"match": "manifests", "status": 500}]'
	gives "far/$NAME" v1 "$DIGEST"
	assert_in "$(header Warning)" '110 - "Response is Stale' Warning
	assert_in "$(header Warning)" "$PROXY" Warning
	faults '[{"match": "manifests", "status": 404}]'
	at_time +25h
	gives "far/$NAME" v1 "$DIGEST"
	assert_in "$(header Warning)" '110 - "Response is Stale' Warning
	proxy_stop
	at_time +25h
	gives "far/$NAME" v1 "$DIGEST"
	assert_in "$(header Warning)" '110 - "Response is Stale' Warning
	http HEAD "/v2/far/$NAME/manifests/v1" "${ACCEPT[@]}"
	expect 200
	assert_in "$(header Warning)" '110 - ' Warning
	# What a digest names cannot be stale.
	gives "far/$NAME" "$DIGEST" "$DIGEST"
	assert_eq "$(header Warning)" '' Warning
	http GET /metrics
	expect 200
	grep -E '^registryd_cache_requests_total\{outcome="stale"\} [1-9]' \
		"$BODY"
}

@test "cache.mode: always asked, or never" {
	local first second
	far_image v1 first
	first=$DIGEST
	proxy_start
	REGISTRYD_CACHE_MODE=upstream server_start
	rule far
	gives "far/$NAME" v1 "$first"
	far_image v1 second
	gives "far/$NAME" v1 "$DIGEST"
	server_stop
	REGISTRYD_CACHE_MODE=local-first REGISTRYD_CACHE_FRESHNESS=0 \
		server_start --data "$DATA"
	second=$DIGEST
	far_image v1 third
	gives "far/$NAME" v1 "$second"
	# What is not here is asked for all the same.
	gives "far/$NAME" "$DIGEST" "$DIGEST"
}

# --- cold blobs ---------------------------------------------------------------

# get NUMBER [CURL ARGUMENT...]: the layer, in the background; $W/got.N is what
# has come.
get() {
	local n=$1
	shift
	: >"$W/got.$n"
	curl -sS -N --max-time 120 -D "$W/head.$n" -o "$W/got.$n" "$@" \
		"$URL/v2/far/$NAME/blobs/$LAYER" >/dev/null 2>"$W/err.$n" \
		</dev/null 3>&- &
	gets[n]=$!
}

got_at_least() { # NUMBER BYTES
	[ "$(size_of "$W/got.$1")" -ge "$2" ]
}

going_on() { # NUMBER
	! not_running "${gets[$1]}"
}

# get_end NUMBER: waits; sets code, how curl ended.
get_end() {
	code=0
	wait "${gets[$1]}" || code=$?
}

# whole NUMBER [FILE]: it ended well, with that.
whole() {
	get_end "$1"
	assert_eq "$code" 0 "curl: $(cat "$W/err.$1")" &&
		cmp "$W/got.$1" "${2:-$W/layer}"
}

@test "a cold layer reaches the client while it is on its way" {
	far_blob 3000000
	cached
	gives "far/$NAME" v1 "$DIGEST"
	faults "[{\"match\": \"$LAYER\", \"hold\": 1500000,
	    \"until\": \"$W/go\"}]"
	http HEAD "/v2/far/$NAME/blobs/$LAYER"
	expect 200
	assert_eq "$(header Content-Length)" 3000000
	get 1
	# All that has come, but for what is held back.
	wait_for 60 got_at_least 1 1400000
	assert_in "$(tr -d '\r' <"$W/head.1")" 'Content-Length: 3000000'
	assert_in "$(tr -d '\r' <"$W/head.1")" "Docker-Content-Digest: $LAYER"
	assert_in "$(tr -d '\r' <"$W/head.1")" "ETag: \"$LAYER\""
	get 2 -r 1000-1999
	whole 2 <(tail -c +1001 "$W/layer" | head -c 1000)
	assert_in "$(cat "$W/head.2")" 'Content-Range: bytes 1000-1999/3000000'
	get 3 -r 2000000-2000099
	# A client that leaves takes nothing from the others.
	get 4
	wait_for 60 got_at_least 4 1400000
	kill "${gets[4]}"
	going_on 1 || fail 'it ended early'
	going_on 3 || fail 'it ended early'
	touch "$W/go"
	whole 1
	whole 3 <(tail -c +2000001 "$W/layer" | head -c 100)
	assert_eq "$(asked GET "$LAYER")" 1 'fetched'
	proxy_stop
	blob_is "far/$NAME" "$LAYER" "$W/layer"
	sound
}

@test "a hundred clients that want a cold image cause one download" {
	local i pids=()
	far_blob 5000000
	cached
	faults '[{"match": "GET .*/blobs/", "rate": 5000000},
	    {"match": "manifests", "delay": 0.3}]'
	for i in $(seq 100); do
		(
			curl -sS --max-time 120 "${ACCEPT[@]}" -o "$W/m.$i" \
				"$URL/v2/far/$NAME/manifests/v1" &&
			curl -sS --max-time 120 -o "$W/l.$i" \
				"$URL/v2/far/$NAME/blobs/$LAYER" &&
			cmp "$W/m.$i" "$W/manifest" &&
			cmp "$W/l.$i" "$W/layer" && touch "$W/ok.$i"
		) >"$W/out.$i" 2>&1 3>&- &
		pids[i]=$!
	done
	wait "${pids[@]}" || true
	for i in $(seq 100); do
		[ -e "$W/ok.$i" ] || fail "client $i: $(cat "$W/out.$i")"
	done
	assert_eq "$(asked GET "$LAYER")" 1 'the layer was fetched'
	assert_eq "$(asked GET /manifests/)" 1 'the manifest was fetched'
	sound
}

@test "a download that breaks off is resumed where it broke" {
	far_blob 3000000
	cached
	faults "[{\"match\": \"GET .*$LAYER\", \"cut\": 1000000, \"times\": 1},
	    {\"match\": \"GET .*$LAYER\", \"status\": 503, \"times\": 1}]"
	gives "far/$NAME" v1 "$DIGEST"
	blob_is "far/$NAME" "$LAYER" "$W/layer"
	assert_eq "$(jq -r 'select(.range != "") | .range' \
		"$PROXY_DIR/requests" | head -n 1)" 'bytes=1000000-'
	sound
}

@test "an upstream that dies in the middle of a layer and comes back" {
	far_blob 3000000
	cached
	gives "far/$NAME" v1 "$DIGEST"
	faults "[{\"match\": \"$LAYER\", \"hold\": 1500000, \"times\": 1,
	    \"until\": \"$W/never\"}]"
	get 1
	wait_for 60 got_at_least 1 1400000
	proxy_stop
	sleep 0.5
	proxy_again "$FAR" "${PROXY##*:}"
	whole 1
	sound
}

@test "wrong bytes are neither passed on whole nor kept" {
	far_blob 1000000
	REGISTRYD_CACHE_PATIENCE=3s cached
	gives "far/$NAME" v1 "$DIGEST"
	faults "[{\"match\": \"GET .*$LAYER\", \"wrong\": 100}]"
	get 1
	get 2
	for n in 1 2; do
		get_end "$n"
		# Either it was cut short, or it came too late for that.
		[ "$code" = 18 ] || grep -q '^HTTP/1.1 502' "$W/head.$n" ||
			fail "curl: $code $(cat "$W/err.$n" "$W/head.$n")"
		[ "$(size_of "$W/got.$n")" -le $((1000000 - 65536)) ] ||
			fail "$(size_of "$W/got.$n") bytes came"
	done
	proxy_stop
	http GET "/v2/far/$NAME/blobs/$LAYER"
	expect 502 UNAVAILABLE
	proxy_again "$FAR" "${PROXY##*:}"
	faults '[]'
	blob_again() {
		blob_is "far/$NAME" "$LAYER" "$W/layer" 2>/dev/null
	}
	wait_for 60 blob_again
	sound
}

@test "a layer of which the upstream does not say the size comes whole" {
	far_blob 300000
	cached
	gives "far/$NAME" v1 "$DIGEST"
	faults "[{\"match\": \"$LAYER\", \"nolength\": true}]"
	blob_is "far/$NAME" "$LAYER" "$W/layer"
	assert_eq "$(header Content-Length)" 300000
}

@test "slow layers keep neither manifests nor each other from coming" {
	far_image other
	far_blob 600000
	proxy_start
	REGISTRYD_CACHE_PATIENCE=2s REGISTRYD_UPSTREAM_CONNECTIONS=2 \
		server_start
	rule far
	gives "far/$NAME" v1 "$DIGEST"
	faults "[{\"match\": \"$LAYER\", \"rate\": 100000}]"
	get 1
	wait_for 60 got_at_least 1 16384
	curl -sS --max-time 120 -o "$W/config.got" "$URL/v2/far/$NAME/blobs/$(
		digest_of "$W/config")" 2>"$W/err" </dev/null 3>&- &
	gets[2]=$!
	manifest "far/$NAME" other
	expect 200
	# For longer than there is patience with an upstream.
	sleep 3
	going_on 2 || ! going_on 1 || fail 'it did not wait'
	whole 1
	get_end 2
	cmp "$W/config.got" "$W/config"
}

@test "a push that refers to a layer on its way waits for it" {
	far_blob 1000000
	cached
	gives "far/$NAME" v1 "$DIGEST"
	faults "[{\"match\": \"$LAYER\", \"hold\": 500000,
	    \"until\": \"$W/go\"}]"
	http HEAD "/v2/far/$NAME/blobs/$LAYER"
	expect 200
	http HEAD "/v2/far/$NAME/blobs/$(digest_of "$W/config")"
	expect 200
	jq -c '.annotations = {"of": "mine"}' "$W/manifest" >"$W/mine"
	curl -sS --max-time 120 -o "$W/answer" -w '%{http_code}' -X PUT \
		-H "Content-Type: $OCI_MANIFEST" --data-binary "@$W/mine" \
		"$URL/v2/far/$NAME/manifests/mine" >"$W/status" \
		</dev/null 3>&- &
	gets[1]=$!
	sleep 0.5
	going_on 1 || fail "$(cat "$W/status" "$W/answer")"
	touch "$W/go"
	get_end 1
	assert_eq "$(cat "$W/status")" 201 "$(cat "$W/answer")"
	sound
}

@test "no upstream is asked about a layer that is about to be pushed" {
	far_image v1
	cached
	gives "far/$NAME" v1 "$DIGEST"
	: >"$PROXY_DIR/requests"
	faults '[{"match": "/blobs/", "status": 500}]'
	http HEAD "/v2/far/$NAME/blobs/sha256:$(printf '%064d' 7)"
	expect 404
	assert_eq "$(cat "$PROXY_DIR/requests")" '' 'asked upstream'
}

@test "a server that stops does not wait for an upstream" {
	far_blob 3000000
	REGISTRYD_SHUTDOWN_TIMEOUT=2s cached
	gives "far/$NAME" v1 "$DIGEST"
	faults "[{\"match\": \"$LAYER\", \"hold\": 1500000,
	    \"until\": \"$W/never\"},
	    {\"match\": \"manifests/slow\", \"hang\": 60}]"
	get 1
	wait_for 60 got_at_least 1 1400000
	curl -sS -o "$W/slow" "$URL/v2/far/$NAME/manifests/slow" \
		2>/dev/null 3>&- &
	server_stop
	get_end 1
	[ "$code" != 0 ] || fail 'it came whole'
	server_start --data "$DATA"
	sound
}

# --- troubles -----------------------------------------------------------------

@test "an upstream's troubles are told as what they are" {
	far_image v1
	REGISTRYD_CACHE_PATIENCE=2s cached
	faults '[{"match": "manifests/denied", "status": 403},
	    {"match": "manifests/broken", "status": 500},
	    {"match": "manifests/slow", "hang": 60},
	    {"match": "manifests/page", "status": 200, "body": "<html>"}]'
	manifest "far/$NAME" none
	expect 404 NAME_UNKNOWN
	manifest "far/$NAME" v1
	expect 200
	manifest "far/$NAME" none
	expect 404 MANIFEST_UNKNOWN
	manifest "far/$NAME" denied
	expect 403 DENIED
	expect_names "$PROXY"
	manifest "far/$NAME" broken
	expect 502 UNAVAILABLE
	expect_names "$PROXY"
	manifest "far/$NAME" page
	expect 502 UNAVAILABLE
	http GET "/v2/far/$NAME/blobs/sha256:$(printf '%064d' 7)"
	expect 404
	manifest "far/$NAME" slow
	expect 504 UNAVAILABLE
	expect_names "$PROXY"
	proxy_stop
	# That it did not answer is remembered for a moment.
	not_reached() {
		manifest "far/$NAME" new
		expect 502 UNAVAILABLE 2>/dev/null
	}
	wait_for 60 not_reached
}

@test "an upstream that asks to be left alone is, and clients are told so" {
	cached
	faults '[{"match": "manifests/limited", "status": 429,
	    "headers": {"Retry-After": "77"}}]'
	manifest "far/$NAME" limited
	expect 429 TOOMANYREQUESTS
	expect_names "$PROXY"
	[ "$(header Retry-After)" -ge 1 ] || fail 'no Retry-After'
	[ "$(header Retry-After)" -le 77 ] || fail 'too late'
	manifest "far/$NAME" other
	expect 429 TOOMANYREQUESTS
	assert_eq "$(asked . /manifests/)" 1 'asked'
}

@test "what the upstream does not have is not asked for again at once" {
	far_image v1
	cached
	for _ in 1 2 3; do
		manifest "far/$NAME" none
		expect 404
	done
	assert_eq "$(asked . manifests/none)" 1
	# No repository comes to be by that.
	manifest far/no/such latest
	expect 404 NAME_UNKNOWN
}

# upstreams_config USER FILE: how to log in to the upstream.
upstreams_config() {
	cat >"$W/registryd.yml" <<-CONF
	upstreams:
	  - registry: http://$PROXY
	    username: $1
	    password-file: $2
	CONF
}

# Another registryd, with users, is the upstream: two proxies in front, of which
# the one sends clients to the other for content.
@test "credentials go to the registry, and never to where it redirects to" {
	local secret=upstream-password-of-this-test there
	far_push small "$NAME:v1"
	auth_server_start
	user_make puller "$(allow "ecr:GetAuthorizationToken $PULL")"
	secret_note_basic puller "$secret"
	printf '%s\n' "$secret" | ctl user passwd puller --password-stdin
	repository_make "$NAME"
	login_password
	skopeo copy -q --dest-tls-verify=false --dest-creds "AWS:$TOKEN" \
		"oci:$IMAGES/oci:small" "docker://$HOST/$NAME:v1"
	# docker-registry has the same content, for everybody.
	proxy_start
	there=$PROXY_DIR
	local content=$PROXY
	proxy_start "$HOST"
	faults "[{\"match\": \"/blobs/\", \"redirect\": \"http://$content\"}]"
	printf '%s\n' "$secret" >"$W/password"
	chmod 600 "$W/password"
	upstreams_config puller "$W/password"
	server_start --config "$W/registryd.yml"
	rule far
	pull "far/$NAME:v1"
	jq -es 'any(.path | test("/manifests/")) and
	    any(.authorization != "")' "$PROXY_DIR/requests" >/dev/null ||
		fail "$(cat "$PROXY_DIR/requests")"
	jq -es 'any(.path | test("/blobs/")) and
	    all(.authorization == "")' "$there/requests" >/dev/null ||
		fail "$(cat "$there/requests")"
	# Without them there is nothing to be had.
	printf 'something-else-entirely\n' >"$W/password"
	server_stop
	server_start --config "$W/registryd.yml"
	rule far
	manifest "far/$NAME" v1
	expect 403 DENIED
	expect_names "$PROXY"
}

# --- names --------------------------------------------------------------------

@test "?ns= finds the copy, and says so" {
	far_image v1
	cached
	manifest "$NAME" "v1?ns=$PROXY"
	expect 200
	assert_eq "$(header OCI-Namespace)" "$PROXY"
	gives "far/$NAME" v1 "$DIGEST"
	assert_eq "$(header OCI-Namespace)" ''
	http GET "/v2/$NAME/blobs/$LAYER_DIGEST?ns=$PROXY"
	expect 200
	assert_eq "$(header OCI-Namespace)" "$PROXY"
	manifest "$NAME" v1
	expect 404 NAME_UNKNOWN
	manifest "$NAME" 'v1?ns=other.example'
	expect 404 NAME_UNKNOWN
	expect_names other.example
	# That is us.
	manifest "far/$NAME" "v1?ns=$HOST"
	expect 200
	manifest "$NAME" "v1?ns=$HOST"
	expect 404 NAME_UNKNOWN
}

@test "containerd pulls by a mirror in its hosts.toml" {
	need_root
	containerd_start
	need_ctr
	far_push small "$NAME:v1"
	cached
	mkdir -p "$W/hosts/$PROXY"
	cat >"$W/hosts/$PROXY/hosts.toml" <<-CONF
	server = "http://$PROXY"
	[host."http://$HOST"]
	  capabilities = ["pull", "resolve"]
	CONF
	: >"$PROXY_DIR/requests"
	ctr content fetch --hosts-dir "$W/hosts" "$PROXY/$NAME:v1" \
		>/dev/null 2>"$W/err" ||
		{ containerd_stop; fail "$(cat "$W/err")"; }
	containerd_stop
	grep -q "/v2/$NAME/manifests/v1?ns=" "$SERVER_LOG" ||
		fail "$(cat "$SERVER_LOG")"
	gives "far/$NAME" v1 "$SMALL"
	assert_eq "$(asked GET "/manifests/")" 1 'asked by us, and nobody else'
}

@test "docker pulls by a mirror of Docker Hub" {
	need_root
	far_push small "library/t$BATS_TEST_NUMBER:v1"
	proxy_start
	server_start
	rule ROOT
	printf '#!/bin/sh\nexec "$@" --registry-mirror http://%s\n' "$HOST" \
		>"$W/with-mirror"
	chmod +x "$W/with-mirror"
	DOCKER_WRAP=$W/with-mirror docker_start
	need_docker
	docker pull -q "t$BATS_TEST_NUMBER:v1" >"$W/out" 2>&1 ||
		{ docker_stop; fail "$(cat "$W/out")"; }
	docker image inspect --format '{{.RepoDigests}}' \
		"t$BATS_TEST_NUMBER:v1" >"$W/out"
	docker_stop
	assert_in "$(cat "$W/out")" "$SMALL"
	gives "library/t$BATS_TEST_NUMBER" v1 "$SMALL"
}

@test "with a rule for ROOT all names are the upstream's, but for one's own" {
	local far
	far_image v1
	far=$DIGEST
	proxy_start
	server_start
	rule ROOT
	image_push own/app v1
	gives "$NAME" v1 "$far"
	: >"$PROXY_DIR/requests"
	gives own/app v1 "$DIGEST"
	manifest own/app v2
	expect 404 MANIFEST_UNKNOWN
	assert_eq "$(cat "$PROXY_DIR/requests")" '' 'asked upstream'
	manifest no/such v1
	expect 404 NAME_UNKNOWN
	# A tag of one's own in a copy stays what it is.
	image_push "$NAME" mine
	gives "$NAME" mine "$DIGEST"
	gives "$NAME" v1 "$far"
}

@test "a repository comes to be as its template says" {
	far_image v1
	cached
	ecr CreateRepositoryCreationTemplate '{"prefix":"far",
	    "appliedFor":["PULL_THROUGH_CACHE"],
	    "imageTagMutability":"IMMUTABLE",
	    "resourceTags":[{"Key":"from","Value":"far"}]}'
	expect 200
	gives "far/$NAME" v1 "$DIGEST"
	ecr DescribeRepositories "{\"repositoryNames\":[\"far/$NAME\"]}"
	expect 200
	assert_eq "$(jq -r '.repositories[0].imageTagMutability' "$BODY")" \
		IMMUTABLE
}

@test "of an index only what is asked for is fetched" {
	far_push index "$NAME:all"
	cached
	manifest "far/$NAME" all
	expect 200
	assert_eq "$(asked GET "/manifests/sha256:") $(asked GET /blobs/)" \
		'0 0' 'fetched with the index'
	manifest "far/$NAME" "$(jq -r '.manifests[1].digest' "$BODY")"
	expect 200
	assert_eq "$(asked GET "/manifests/sha256:")" 1
}

@test "signatures and the like are found where the image is" {
	local subject
	far_image v1
	subject=$DIGEST
	# docker-registry knows no referrers: another one does.
	server_start
	image_push "$NAME" v1
	subject=$DIGEST
	artifact_push "$NAME" digest "$MANIFEST" application/vnd.example.sig
	proxy_start "$HOST"
	server_start
	rule far
	gives "far/$NAME" v1 "$subject"
	http GET "/v2/far/$NAME/referrers/$subject"
	expect 200
	assert_eq "$(jq -r '.manifests | length' "$BODY")" 1
	assert_eq "$(jq -r '.manifests[0].digest' "$BODY")" "$DIGEST"
	assert_eq "$(jq -r '.manifests[0].artifactType' "$BODY")" \
		application/vnd.example.sig
	http GET "/v2/far/$NAME/referrers/$subject"
	assert_eq "$(asked GET /referrers/)" 1
	gives "far/$NAME" "$DIGEST" "$DIGEST"
}

# --- ECR's own operations -----------------------------------------------------

layer_url() {
	ecr GetDownloadUrlForLayer "{\"repositoryName\":\"far/$NAME\",
	    \"layerDigest\":\"$LAYER\"}"
	[ "$STATUS" = 200 ]
}

@test "BatchGetImage and GetDownloadUrlForLayer import, too" {
	far_blob 500000
	REGISTRYD_CACHE_PATIENCE=3s cached
	ecr BatchGetImage "{\"repositoryName\":\"far/$NAME\",\"imageIds\":
	    [{\"imageTag\":\"v1\"},{\"imageTag\":\"none\"}]}"
	expect 200
	assert_eq "$(jq -r '.images[0].imageId.imageDigest' "$BODY")" "$DIGEST"
	assert_eq "$(jq -r '.failures[0].failureCode' "$BODY")" ImageNotFound
	faults '[{"match": "manifests/limited", "status": 429},
	    {"match": "manifests/denied", "status": 403},
	    {"match": "manifests/broken", "status": 500}]'
	ecr BatchGetImage "{\"repositoryName\":\"far/$NAME\",\"imageIds\":
	    [{\"imageTag\":\"denied\"},{\"imageTag\":\"v1\"},
	    {\"imageTag\":\"broken\"},{\"imageTag\":\"limited\"}]}"
	expect 200
	assert_eq "$(jq -r '[.failures[].failureCode] | join(" ")' "$BODY")" \
		'UpstreamAccessDenied UpstreamUnavailable UpstreamTooManyRequests'
	# The 429 has an end, which may be behind what a request waits for.
	wait_for 60 layer_url
	curl -sS -o "$W/got" "$(jq -r .downloadUrl "$BODY")"
	cmp "$W/got" "$W/layer"
	ecr DescribeImages "{\"repositoryName\":\"far/$NAME\"}"
	expect 200
	[ "$(jq -r '.imageDetails[0].lastRecordedPullTime' "$BODY")" != null ] ||
		fail 'no pull was noted'
}

# --- permissions --------------------------------------------------------------

@test "importing and creating take permissions of their own" {
	local import=ecr:BatchImportUpstreamImage
	far_image v1
	far_image v2
	proxy_start
	auth_server_start
	rule far
	user_make reader "$(allow "ecr:GetAuthorizationToken $PULL")"
	user_make importer \
		"$(allow "ecr:GetAuthorizationToken $PULL $import")"
	user_make maker "$(allow \
		"ecr:GetAuthorizationToken $PULL $import ecr:CreateRepository")"
	login reader
	manifest "far/$NAME" v1
	expect 403 DENIED
	expect_names "$(not_authorized reader "$import" "far/$NAME")"
	login importer
	manifest "far/$NAME" v1
	expect 403 DENIED
	expect_names "$(not_authorized importer ecr:CreateRepository \
		"far/$NAME")"
	assert_eq "$(cat "$PROXY_DIR/requests")" '' 'asked upstream'
	login maker
	manifest "far/$NAME" v1
	expect 200
	# What is here is for all who may pull; what is not, is not.
	login reader
	manifest "far/$NAME" v1
	expect 200
	http GET "/v2/far/$NAME/blobs/$LAYER_DIGEST"
	expect 403 DENIED
	login importer
	http GET "/v2/far/$NAME/blobs/$LAYER_DIGEST"
	expect 200
	login reader
	http GET "/v2/far/$NAME/blobs/$LAYER_DIGEST"
	expect 200
	manifest "far/$NAME" v2
	expect 403 DENIED
	login importer
	manifest "far/$NAME" v2
	expect 200
	logout
	manifest "far/$NAME" v1
	expect 401
}

@test "who pulls with a bearer token needs no other for what it imports" {
	local actions="$PULL ecr:BatchImportUpstreamImage ecr:CreateRepository"
	far_push small "$NAME:v1"
	proxy_start
	REGISTRYD_TOKEN_CHALLENGE=bearer auth_server_start
	rule far
	user_make maker "$(allow "ecr:GetAuthorizationToken $actions")"
	as maker
	login_password
	pull "far/$NAME:v1" "$W/pulled" --src-creds "AWS:$TOKEN"
	skopeo inspect --tls-verify=false --creds "AWS:$TOKEN" \
		--format '{{.Digest}}' "docker://$HOST/far/$NAME:v1" >"$W/out"
	assert_eq "$(cat "$W/out")" "$SMALL"
}
