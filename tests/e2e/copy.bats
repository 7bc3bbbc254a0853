#!/usr/bin/env bats
# registryctl copy: between other registries and this one.  The other side is
# docker-registry on loopback, which knows no referrers and writes down what it
# is asked, or a registryd with users.
load helper
load far

setup_file() {
	export IMAGES=$BATS_FILE_TMPDIR/images
	local mk=$TOP/tests/e2e/mkimage.py
	mkdir -p "$IMAGES"
	type -P docker-registry >/dev/null || return 0
	far_start
	SMALL=$("$PYTHON" "$mk" --layers 2 --bytes 300000 "$IMAGES/oci" small)
	INDEX=$("$PYTHON" "$mk" --archs amd64,arm64,s390x "$IMAGES/oci" index)
	export SMALL INDEX
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
}

teardown() {
	client_gone
	servers_clean
}

# far_asked PATTERN: how often it was asked so, "METHOD /v2/...".
far_asked() {
	grep -cE "\"$1" "$FAR_DIR/log" || true
}

far_push() { # TAG [NAME:TAG]: one of the prepared images
	skopeo copy -q --all --dest-tls-verify=false "oci:$IMAGES/oci:$1" \
		"docker://$FAR/${2:-$NAME:$1}"
}

copies() { # ARGUMENT...: succeeds; out is what it said
	ctl_run copy "$@"
	assert_eq "$code" 0 "status of copy $*: $out"
}

# copy_json ARGUMENT...: sets doc
copy_json() {
	doc=$(ctl --output json copy "$@" </dev/null 2>"$W/err") ||
		fail "$(cat "$W/err")$doc"
}

says() { # JQ FILTER EXPECTED
	assert_eq "$(jq -r "$1" <<<"$doc")" "$2" "$1 of $doc"
}

# The digest that a registry gives for a tag.
digest_at() { # HOST NAME TAG
	curl -sSI -H "Accept: $OCI_INDEX" -H "Accept: $OCI_MANIFEST" \
		"http://$1/v2/$2/manifests/$3" | tr -d '\r' |
		sed -n 's/^docker-content-digest: //Ip'
}

@test "an image comes here through the running server, and a second copy moves nothing" {
	server_start
	far_push small
	copy_json "$FAR/$NAME:small" "$NAME"
	says '.images[0].outcome' copied
	says '.images[0].digest' "$SMALL"
	says '.images[0].bytes > 600000' true
	assert_eq "$(digest_at "$HOST" "$NAME" small)" "$SMALL"
	skopeo copy -q --src-tls-verify=false "docker://$HOST/$NAME:small" \
		"dir:$W/out"
	local gets heads
	gets=$(far_asked "GET /v2/$NAME/")
	heads=$(far_asked "HEAD /v2/$NAME/manifests/small")
	copy_json --no-referrers "$FAR/$NAME:small" "$NAME"
	says '.images[0].outcome' same
	says '.images[0].bytes' 0
	assert_eq "$(far_asked "GET /v2/$NAME/")" "$gets" 'GETs of the source'
	assert_eq "$(far_asked "HEAD /v2/$NAME/manifests/small")" \
		"$((heads + 1))" 'HEADs of the source'
}

@test "what people see: a line for each image" {
	server_start
	far_push small
	copies "$FAR/$NAME:small" "$NAME:v1"
	assert_in "$out" "copied  $NAME:v1 $SMALL, 1 manifest, 4 blobs"
	copies "$FAR/$NAME:small" "$NAME:v1"
	assert_eq "$out" "same    $NAME:v1 $SMALL"
}

@test "where no server runs the folder is opened" {
	server_start
	far_push index
	copies "$FAR/$NAME:index" "$NAME"
	server_stop
	copy_json "$FAR/$NAME:index" "other/$NAME"
	says '.images[0].outcome' copied
	says '.images[0].manifests' 4
	# The store has all of it already.
	says '.images[0].bytes' 0
	copies "other/$NAME:index" "$FAR/back/$NAME:index"
	assert_eq "$(digest_at "$FAR" "back/$NAME" index)" "$INDEX"
	server_start --data "$DATA"
	assert_eq "$(digest_at "$HOST" "other/$NAME" index)" "$INDEX"
}

@test "all tags, and a second run moves zero bytes" {
	local i
	server_start
	far_push small
	far_push index
	for i in 1 2 3 4 5; do
		far_push small "$NAME:v$i"
	done
	copy_json --all-tags "$FAR/$NAME" "$NAME"
	says '.images | length' 7
	says '[.images[].outcome] | unique | join(" ")' copied
	copy_json --all-tags "$FAR/$NAME" "$NAME"
	says '[.images[].outcome] | unique | join(" ")' same
	says '[.images[].bytes] | add' 0
	copies --all-tags "$FAR/$NAME" "$NAME"
	assert_in "$out" '7 tags: 0 copied, 7 the same, 0 failed; 0 blobs, 0 B'
}

@test "between repositories of one other registry content is mounted, not moved" {
	server_start
	far_push small
	copy_json "$FAR/$NAME:small" "$FAR/promoted/$NAME:v1"
	says '.images[0].outcome' copied
	says '.images[0].bytes' 0
	assert_eq "$(digest_at "$FAR" "promoted/$NAME" v1)" "$SMALL"
}

@test "referrers go along, there and back, also where the API is not known" {
	local image sbom sig
	server_start
	image_push "$NAME" v1
	image=$MANIFEST.image
	cp "$MANIFEST" "$image"
	artifact_push "$NAME" digest "$image"
	sbom=$DIGEST
	cp "$MANIFEST" "$W/sbom"
	artifact_push "$NAME" digest "$W/sbom" application/vnd.example.sig
	sig=$DIGEST
	copies "$NAME:v1" "$FAR/$NAME:v1"
	assert_eq "$(digest_at "$FAR" "$NAME" "$sbom")" "$sbom"
	assert_eq "$(digest_at "$FAR" "$NAME" "$sig")" "$sig"
	[ -n "$(digest_at "$FAR" "$NAME" "$(digest_of "$image" | tr : -)")" ] ||
		fail 'no list of referrers under a tag'
	copy_json "$NAME:v1" "$FAR/$NAME:v1"
	says '.images[0].outcome' same
	# From there to another registryd, which knows the API.
	server_stop
	server_start
	copies "$FAR/$NAME:v1" "second/$NAME"
	http GET "/v2/second/$NAME/referrers/$(digest_of "$image")"
	expect 200
	assert_eq "$(jq -r '.manifests[].digest' "$BODY")" "$sbom" referrers
	http GET "/v2/second/$NAME/referrers/$sbom"
	assert_eq "$(jq -r '.manifests[].digest' "$BODY")" "$sig" referrers
	http GET "/v2/second/$NAME/tags/list"
	assert_eq "$(jq -c .tags "$BODY")" '["v1"]' tags
}

@test "--no-referrers leaves them where they are" {
	server_start
	image_push "$NAME" v1
	artifact_push "$NAME" digest "$MANIFEST"
	copies --no-referrers "$NAME:v1" "$FAR/$NAME:v1"
	assert_eq "$(digest_at "$FAR" "$NAME" "$DIGEST")" ''
}

@test "a signature that came later is copied though its image is there" {
	local image
	server_start
	image_push "$NAME" v1
	image=$W/image.json
	cp "$MANIFEST" "$image"
	copies "$NAME:v1" "$FAR/$NAME:v1"
	artifact_push "$NAME" digest "$image"
	copies "$NAME:v1" "$FAR/$NAME:v1"
	assert_in "$out" copied
	assert_eq "$(digest_at "$FAR" "$NAME" "$DIGEST")" "$DIGEST"
}

@test "--platform: one image of an index, where the registry takes that" {
	server_start
	far_push index
	ctl_run copy --platform linux/arm64 "$FAR/$NAME:index" "$NAME:arm"
	assert_eq "$code" 1 "$out"
	assert_in "$out" 'does not take the index'
	assert_in "$out" 'copy all platforms'
	ctl_run copy --platform linux/riscv64 "$FAR/$NAME:index" "$NAME:none"
	assert_eq "$code" 1 "$out"
	assert_in "$out" 'linux/amd64, linux/arm64, linux/s390x'
	server_stop
	REGISTRYD_MANIFESTS_SPARSE=index server_start --data "$DATA"
	copy_json --platform linux/arm64 "$FAR/$NAME:index" "$NAME:arm"
	# Its image has stayed there since the first time.
	says '.images[0].manifests' 1
	assert_eq "$(digest_at "$HOST" "$NAME" arm)" "$INDEX"
}

@test "with users: by the endpoint with AWS credentials, and as docker logged in" {
	local second
	auth_server_start
	repository_make "$NAME"
	far_push small
	# As the AWS CLI would.
	code=0
	out=$("$REGISTRYCTL" --data "$W/none" --endpoint "$URL" copy \
		"$FAR/$NAME:small" "$NAME:v1" 2>&1 </dev/null) || code=$?
	assert_eq "$code" 0 "$out"
	assert_in "$out" "copied  $HOST/$NAME:v1 $SMALL"
	# As docker login left it, by name.
	ctl get-login-password >"$W/password"
	secret_note "$(cat "$W/password")"
	skopeo login --tls-verify=false --authfile "$REGISTRY_AUTH_FILE" \
		-u AWS --password-stdin "$HOST" <"$W/password"
	second=$(REGISTRYD_DATA=$W/none "$REGISTRYCTL" --output json copy \
		"http://$HOST/$NAME:v1" "$FAR/back/$NAME:v1" </dev/null)
	assert_eq "$(jq -r '.images[0].digest' <<<"$second")" "$SMALL"
	# Nobody is not let in, and told where.
	printf '{}' >"$REGISTRY_AUTH_FILE"
	ctl_run copy "http://$HOST/$NAME:v1" "$FAR/back/$NAME:v2"
	assert_eq "$code" 1 "$out"
	assert_in "$out" "$HOST"
	# A password of standard input, and of a file.
	code=0
	out=$(ctl copy --src-username AWS --src-password-stdin \
		"http://$HOST/$NAME:v1" "$FAR/back/$NAME:v2" 2>&1 \
		<"$W/password") || code=$?
	assert_eq "$code" 0 "$out"
	ctl_run copy "$FAR/back/$NAME:v2" --dest-username AWS \
		--dest-password-file "$W/password" "http://$HOST/$NAME:v3"
	assert_eq "$code" 0 "$out"
	# A wrong one is not repeated.
	printf 'wrong-password-0123456789\n' >"$W/wrong"
	ctl_run copy --src-username AWS --src-password-file "$W/wrong" \
		"http://$HOST/$NAME:v1" "$FAR/back/$NAME:v4"
	assert_eq "$code" 1 "$out"
	case $out in
	*wrong-password*) fail "the password was shown: $out" ;;
	esac
}

@test "credentials of a helper" {
	auth_server_start
	repository_make "$NAME"
	far_push small
	mkdir -p "$W/bin"
	ctl get-login-password >"$W/password"
	secret_note "$(cat "$W/password")"
	cat >"$W/bin/docker-credential-mine" <<-'SH'
	#!/bin/sh
	read -r server
	echo "$1 $server" >>"$HELPER_LOG"
	[ "$server" = "$HELPER_HOST" ] ||
		{ echo 'credentials not found in native keychain'; exit 1; }
	printf '{"ServerURL":"%s","Username":"AWS","Secret":"%s"}' \
		"$server" "$(cat "$HELPER_PASSWORD")"
	SH
	chmod +x "$W/bin/docker-credential-mine"
	export HELPER_LOG=$W/helper.log HELPER_HOST=$HOST
	export HELPER_PASSWORD=$W/password
	PATH=$W/bin:$PATH
	unset REGISTRY_AUTH_FILE
	printf '{"credsStore":"mine"}' >"$DOCKER_CONFIG/config.json"
	copies "$FAR/$NAME:small" "http://$HOST/$NAME:v1"
	assert_in "$(cat "$HELPER_LOG")" "get $HOST"
	printf '{"credHelpers":{"%s":"mine"}}' "$HOST" \
		>"$DOCKER_CONFIG/config.json"
	copies "$FAR/$NAME:small" "http://$HOST/$NAME:v2"
	printf '{"credHelpers":{"%s":"not-there"}}' "$HOST" \
		>"$DOCKER_CONFIG/config.json"
	ctl_run copy "$FAR/$NAME:small" "http://$HOST/$NAME:v3"
	assert_eq "$code" 1 "$out"
	assert_in "$out" docker-credential-not-there
}

@test "an image that is not there, and a registry that is not there" {
	server_start
	ctl_run copy "$FAR/$NAME:none" "$NAME"
	assert_eq "$code" 1 "$out"
	assert_in "$out" "$FAR"
	assert_in "$out" 404
	ctl_run copy "127.0.0.1:1/$NAME:none" "$NAME"
	assert_eq "$code" 1 "$out"
	assert_in "$out" 127.0.0.1:1
	doc=$(ctl --output json copy "$FAR/$NAME:none" "$NAME" </dev/null) &&
		fail 'it succeeded'
	says '.images[0].outcome' failed
	assert_in "$(jq -r '.images[0].why' <<<"$doc")" 404
}

@test "by its digest" {
	server_start
	far_push small
	copies "$FAR/$NAME@$SMALL" "$NAME"
	http GET "/v2/$NAME/tags/list"
	assert_eq "$(jq -c .tags "$BODY")" '[]' tags
	assert_eq "$(digest_at "$HOST" "$NAME" "$SMALL")" "$SMALL"
	copies "$FAR/$NAME@$SMALL" "$NAME:tagged"
	assert_eq "$(digest_at "$HOST" "$NAME" tagged)" "$SMALL"
}

@test "what is wrong on the command line" {
	local words
	DATA=$W/none
	while read -r words; do
		# shellcheck disable=SC2086
		ctl_run copy $words
		assert_eq "$code" 2 "status of copy $words: $out"
	done <<-'END'

	one/app:v1
	one/app:v1 two/app three/app
	one/app:v1 Two/App
	one/app:v1:v2 two/app
	--platform linux one/app two/app
	--all-tags one/app:v1 two/app
	one/app two/app@sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a
	--src-username me one.example/app two/app
	--src-password-stdin one.example/app two/app
	--src-username me --src-password-stdin one/app two/app
	--src-username me --src-password-stdin --dest-username me --dest-password-stdin one.example/app two.example/app
	--src-username me --src-password-stdin --src-password-file x one.example/app two/app
	END
	ctl_run copy one/app:v1 two/app
	assert_eq "$code" 1 "$out"
	assert_in "$out" '--data'
	ctl copy --help | grep -q -- --all-tags
}
