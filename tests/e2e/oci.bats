#!/usr/bin/env bats
# The distribution API, endpoint by endpoint, with curl.
load helper

setup_file() {
	server_start
}

teardown_file() {
	server_stop
	servers_clean
}

teardown() {
	servers_clean
}

setup() {
	# Repositories of one test do not meet those of another.
	REPO=t$BATS_TEST_NUMBER/app
	W=$BATS_TEST_TMPDIR
}

# --- version check, routes ----------------------------------------------------

@test "GET /v2/ answers 200 and names the API" {
	http GET /v2/
	expect 200
	assert_eq "$(header Docker-Distribution-Api-Version)" registry/2.0
	http HEAD /v2/
	expect 200
}

@test "every answer below /v2/ names the API, errors too" {
	local path
	for path in "/v2/$REPO/manifests/v1" /v2/UPPER/tags/list /v2/_catalog \
	    "/v2/$REPO/blobs/sha256:bad" /v2/a/nothing; do
		http GET "$path"
		assert_eq "$(header Docker-Distribution-Api-Version)" \
			registry/2.0 "$path"
	done
	http POST "/v2/$REPO/blobs/uploads/"
	expect 202
	assert_eq "$(header Docker-Distribution-Api-Version)" registry/2.0
	http PUT /v2/
	expect 405
	assert_eq "$(header Docker-Distribution-Api-Version)" registry/2.0
	http GET /healthz
	assert_eq "$(header Docker-Distribution-Api-Version)" ''
}

@test "an unknown route answers 404 in the shape of the specification" {
	local path
	for path in /v1/ /v2/app /v2/app/nothing /v2/app/manifests \
	    /v2/app/blobs/ /v2/app/tags/list/more /favicon.ico; do
		http GET "$path"
		[ "$STATUS" = 404 ] || [ "$STATUS" = 400 ] ||
			fail "$path: $STATUS"
		jq -e '.errors[0].code' "$BODY" >/dev/null ||
			fail "$path: $(cat "$BODY")"
	done
	http GET /no/such/route
	expect 404
}

@test "a method that a route lacks answers 405 with Allow" {
	http PUT /v2/
	expect 405 UNSUPPORTED
	assert_in "$(header Allow)" GET
	http POST "/v2/$REPO/manifests/v1"
	expect 405 UNSUPPORTED
	assert_in "$(header Allow)" PUT
	assert_in "$(header Allow)" DELETE
	http PATCH "/v2/$REPO/tags/list"
	expect 405 UNSUPPORTED
	http BREW "/v2/$REPO/tags/list"
	[ "$STATUS" = 405 ] || [ "$STATUS" = 501 ] || fail "BREW: $STATUS"
}

@test "every answer carries X-Request-Id, and no two are the same" {
	local first
	http GET /v2/
	first=$(header X-Request-Id)
	[ -n "$first" ] || fail 'no X-Request-Id'
	http GET /v2/none/manifests/x
	[ -n "$(header X-Request-Id)" ] || fail 'none on an error'
	[ "$(header X-Request-Id)" != "$first" ] || fail 'twice the same'
}

# --- names --------------------------------------------------------------------

@test "a malformed repository name is NAME_INVALID and named" {
	local name
	for name in UPPER a..b -a a- .a 'a_' a___b 'a/-b' 'a/B'; do
		http GET "/v2/$name/tags/list"
		expect 400 NAME_INVALID
		expect_names "$name"
	done
}

@test "a repository name of 256 bytes is taken, of 257 is refused" {
	local name
	name=${REPO%%/*}/$(printf 'a%.0s' $(seq 255))
	name=${name:0:256}
	http POST "/v2/$name/blobs/uploads/"
	expect 202
	http POST "/v2/${name}a/blobs/uploads/"
	expect 400 NAME_INVALID
}

@test "a repository may be called after a keyword of the API" {
	image_push "$REPO/manifests/blobs" v1
	http GET "/v2/$REPO/manifests/blobs/manifests/v1"
	expect 200
	http GET "/v2/$REPO/manifests/blobs/tags/list"
	expect 200
	assert_eq "$(jq -r .name "$BODY")" "$REPO/manifests/blobs"
}

@test "a malformed tag is refused and named" {
	printf '{}' >"$W/m"
	http GET "/v2/$REPO/manifests/-bad"
	[ "$STATUS" = 400 ] || [ "$STATUS" = 404 ] || fail "$STATUS"
	manifest_put "$REPO" .bad "$W/m"
	[ "$STATUS" = 400 ] || fail "PUT: $STATUS"
	expect_names .bad
	manifest_put "$REPO" "$(printf 'a%.0s' $(seq 129))" "$W/m"
	[ "$STATUS" = 400 ] || fail "PUT of 129 bytes: $STATUS"
}

# --- digests ------------------------------------------------------------------

@test "a malformed digest is DIGEST_INVALID and named" {
	local digest
	for digest in sha256:short sha256: "sha256:${EMPTY_DIGEST#*:}0" \
	    "sha256:$(printf 'A%.0s' $(seq 64))" sha256:xyz; do
		http GET "/v2/$REPO/blobs/$digest"
		expect 400 DIGEST_INVALID
		expect_names "$digest"
	done
	http GET "/v2/$REPO/manifests/sha256:baddigeststring"
	[ "$STATUS" = 400 ] || [ "$STATUS" = 404 ] || fail "GET: $STATUS"
	printf '{}' >"$W/m"
	manifest_put "$REPO" sha256:baddigeststring "$W/m"
	expect 400 DIGEST_INVALID
}

@test "an unknown digest algorithm is refused with 400, on blobs, manifests and uploads" {
	local digest=md5:d41d8cd98f00b204e9800998ecf8427e
	http GET "/v2/$REPO/blobs/$digest"
	[ "$STATUS" = 400 ] || [ "$STATUS" = 404 ] || fail "GET: $STATUS"
	http POST "/v2/$REPO/blobs/uploads/"
	upload_put "$(header Location)" "$digest"
	[ "$STATUS" = 400 ] || fail "PUT: $STATUS"
	expect_names md5
	http POST "/v2/$REPO/blobs/uploads/?digest-algorithm=md5"
	[ "$STATUS" = 400 ] || fail "POST: $STATUS"
	printf '{}' >"$W/m"
	manifest_put "$REPO" "$digest" "$W/m"
	[ "$STATUS" = 400 ] || fail "manifest: $STATUS"
}

# --- blobs: the ways of pushing -----------------------------------------------

@test "a blob goes up in one POST" {
	random_file "$W/b" 100000
	http POST "/v2/$REPO/blobs/uploads/?digest=$(digest_of "$W/b")" \
		-H 'Content-Type: application/octet-stream' \
		--data-binary "@$W/b"
	expect 201
	assert_eq "$(header Docker-Content-Digest)" "$(digest_of "$W/b")"
	http GET "$(header Location)"
	expect 200
	cmp "$BODY" "$W/b"
}

@test "a blob goes up in POST and PUT" {
	random_file "$W/b" 300000
	blob_push "$REPO" "$W/b"
	assert_eq "$(header Docker-Content-Digest)" "$DIGEST"
	assert_in "$(header Location)" "/v2/$REPO/blobs/$DIGEST"
	http GET "/v2/$REPO/blobs/$DIGEST"
	expect 200
	cmp "$BODY" "$W/b"
	assert_eq "$(header Content-Length)" 300000
	assert_eq "$(header Docker-Content-Digest)" "$DIGEST"
	http HEAD "/v2/$REPO/blobs/$DIGEST"
	expect 200
	assert_eq "$(header Content-Length)" 300000
	assert_eq "$(header Accept-Ranges)" bytes
}

@test "the session lies in the path of Location, which is relative" {
	http POST "/v2/$REPO/blobs/uploads/"
	expect 202
	case $(header Location) in
	/v2/"$REPO"/blobs/uploads/?*) ;;
	*) fail "Location: $(header Location)" ;;
	esac
	case $(header Location) in
	*\?*) fail "a query in $(header Location)" ;;
	esac
	assert_eq "$(header Range)" 0-0
	[ -n "$(header Docker-Upload-UUID)" ] || fail 'no Docker-Upload-UUID'
}

@test "a blob goes up in chunks, the last of them in the PUT" {
	random_file "$W/b" 30000
	split -b 10000 "$W/b" "$W/part."
	http POST "/v2/$REPO/blobs/uploads/"
	http PATCH "$(header Location)" -H 'Content-Range: 0-9999' \
		-H 'Content-Type: application/octet-stream' \
		--data-binary "@$W/part.aa"
	expect 202
	assert_eq "$(header Range)" 0-9999
	http PATCH "$(header Location)" -H 'Content-Range: 10000-19999' \
		-H 'Content-Type: application/octet-stream' \
		--data-binary "@$W/part.ab"
	expect 202
	assert_eq "$(header Range)" 0-19999
	upload_put "$(header Location)" "$(digest_of "$W/b")" "$W/part.ac" \
		-H 'Content-Range: 20000-29999'
	expect 201
	http GET "/v2/$REPO/blobs/$(digest_of "$W/b")"
	cmp "$BODY" "$W/b"
}

@test "a blob is streamed in one PATCH with chunked transfer coding and no content type" {
	random_file "$W/b" 3000000
	http POST "/v2/$REPO/blobs/uploads/"
	http PATCH "$(header Location)" -H 'Transfer-Encoding: chunked' \
		-H 'Content-Type:' -H 'Expect:' --data-binary "@$W/b"
	expect 202
	assert_eq "$(header Range)" 0-2999999
	upload_put "$(header Location)" "$(digest_of "$W/b")"
	expect 201
	http GET "/v2/$REPO/blobs/$(digest_of "$W/b")"
	cmp "$BODY" "$W/b"
}

@test "a PATCH without content, and one to an earlier Location of the session, work" {
	local first
	random_file "$W/b" 2000
	head -c 1000 "$W/b" >"$W/1"
	tail -c 1000 "$W/b" >"$W/2"
	http POST "/v2/$REPO/blobs/uploads/"
	first=$(header Location)
	http PATCH "$first" --data-binary "@$W/1"
	expect 202
	http PATCH "$first" --data-binary ''
	expect 202
	assert_eq "$(header Range)" 0-999
	http PATCH "$first" --data-binary "@$W/2"
	expect 202
	upload_put "$first" "$(digest_of "$W/b")"
	expect 201
}

@test "a colon in the digest parameter may be percent-encoded" {
	random_file "$W/b" 1000
	http POST "/v2/$REPO/blobs/uploads/"
	http PUT "$(header Location)?digest=sha256%3A$(digest_of "$W/b" |
		cut -d : -f 2)" --data-binary "@$W/b"
	expect 201
}

@test "content that does not match its digest is DIGEST_INVALID, in each way of pushing" {
	local wrong
	random_file "$W/b" 5000
	wrong=sha256:$(printf '0%.0s' $(seq 64))
	http POST "/v2/$REPO/blobs/uploads/?digest=$wrong" \
		--data-binary "@$W/b"
	expect 400 DIGEST_INVALID
	http POST "/v2/$REPO/blobs/uploads/"
	upload_put "$(header Location)" "$wrong" "$W/b"
	expect 400 DIGEST_INVALID
	expect_names "$wrong"
	http POST "/v2/$REPO/blobs/uploads/"
	http PATCH "$(header Location)" --data-binary "@$W/b"
	expect 202
	upload_put "$(header Location)" "$wrong"
	expect 400 DIGEST_INVALID
	http HEAD "/v2/$REPO/blobs/$wrong"
	expect 404
}

@test "a PUT without a digest is refused" {
	http POST "/v2/$REPO/blobs/uploads/"
	http PUT "$(header Location)" --data-binary abc
	expect 400 DIGEST_INVALID
}

@test "a sha512 blob may be announced by digest-algorithm, or only at the end" {
	local digest
	random_file "$W/b" 200000
	digest=$(digest_of "$W/b" sha512)
	http POST "/v2/$REPO/blobs/uploads/?digest-algorithm=sha512"
	expect 202
	http PATCH "$(header Location)" --data-binary "@$W/b"
	expect 202
	upload_put "$(header Location)" "$digest"
	expect 201
	assert_eq "$(header Docker-Content-Digest)" "$digest"
	http GET "/v2/$REPO/blobs/$digest"
	expect 200
	cmp "$BODY" "$W/b"
	assert_eq "$(header Docker-Content-Digest)" "$digest"

	random_file "$W/b" 200000
	digest=$(digest_of "$W/b" sha512)
	http POST "/v2/$REPO/blobs/uploads/"
	http PATCH "$(header Location)" --data-binary "@$W/b"
	upload_put "$(header Location)" "$digest"
	expect 201
	http GET "/v2/$REPO/blobs/$digest"
	cmp "$BODY" "$W/b"
}

@test "an announced sha512 that ends as sha256 is read once more and is right" {
	random_file "$W/b" 200000
	http POST "/v2/$REPO/blobs/uploads/?digest-algorithm=sha512"
	http PATCH "$(header Location)" --data-binary "@$W/b"
	upload_put "$(header Location)" "$(digest_of "$W/b")"
	expect 201
	http GET "/v2/$REPO/blobs/$(digest_of "$W/b")"
	cmp "$BODY" "$W/b"
}

@test "the empty blob and the two-byte blob come back" {
	: >"$W/empty"
	blob_push "$REPO" "$W/empty"
	http GET "/v2/$REPO/blobs/$DIGEST"
	expect 200
	assert_eq "$(header Content-Length)" 0
	http HEAD "/v2/$REPO/blobs/$DIGEST"
	expect 200
	assert_eq "$(header Content-Length)" 0
	printf '{}' >"$W/two"
	blob_push "$REPO" "$W/two"
	http GET "/v2/$REPO/blobs/$DIGEST"
	assert_eq "$(cat "$BODY")" '{}'
}

@test "a blob is in the repository that it was pushed to, and in no other" {
	random_file "$W/b" 1000
	blob_push "$REPO" "$W/b"
	http HEAD "/v2/$REPO-other/blobs/$DIGEST"
	expect 404
	http GET "/v2/$REPO-other/blobs/$DIGEST"
	[ "$STATUS" = 404 ]
}

@test "pushing a blob twice is fine" {
	random_file "$W/b" 70000
	blob_push "$REPO" "$W/b"
	blob_push "$REPO" "$W/b"
	blob_push "$REPO-2" "$W/b"
	http GET "/v2/$REPO-2/blobs/$DIGEST"
	cmp "$BODY" "$W/b"
}

# --- blobs: sessions ----------------------------------------------------------

@test "a chunk out of order is refused with 416 and the session stays as it was" {
	local location
	random_file "$W/b" 4000
	head -c 2000 "$W/b" >"$W/1"
	tail -c 2000 "$W/b" >"$W/2"
	http POST "/v2/$REPO/blobs/uploads/"
	location=$(header Location)
	http PATCH "$location" -H 'Content-Range: 2000-3999' \
		--data-binary "@$W/2"
	expect 416
	http GET "$location"
	expect 204
	assert_eq "$(header Range)" 0-0
	http PATCH "$location" -H 'Content-Range: 0-1999' \
		--data-binary "@$W/1"
	expect 202
	http PATCH "$location" -H 'Content-Range: 1000-2999' \
		--data-binary "@$W/2"
	expect 416
	upload_put "$location" "$(digest_of "$W/b")" "$W/2" \
		-H 'Content-Range: 3000-4999'
	expect 416
	http GET "$location"
	expect 204
	assert_eq "$(header Range)" 0-1999
	assert_in "$(header Location)" /blobs/uploads/
	upload_put "$location" "$(digest_of "$W/b")" "$W/2" \
		-H 'Content-Range: 2000-3999'
	expect 201
}

@test "a malformed Content-Range is refused, and so is one that lies about the length" {
	local range
	for range in 'bytes 0-4/5' 0-4-5 5-0 -4 a-b 0- '0-4 ' 0-99; do
		http POST "/v2/$REPO/blobs/uploads/"
		http PATCH "$(header Location)" -H "Content-Range: $range" \
			--data-binary hello
		case $range:$STATUS in
		'0-4 :202') ;; # white space around a value means nothing
		*:400 | *:416) ;;
		*) fail "$range: $STATUS" ;;
		esac
	done
}

@test "the status of a session tells how much has arrived" {
	local location
	http POST "/v2/$REPO/blobs/uploads/"
	location=$(header Location)
	http GET "$location"
	expect 204
	assert_eq "$(header Range)" 0-0
	http PATCH "$location" --data-binary hello
	http GET "$location"
	expect 204
	assert_eq "$(header Range)" 0-4
	[ -n "$(header Location)" ] || fail 'no Location'
	[ -n "$(header Docker-Upload-UUID)" ] || fail 'no Docker-Upload-UUID'
	# As a client asks that was about to finish it.
	http GET "$location?digest=$EMPTY_DIGEST"
	expect 204
}

@test "a cancelled session is gone" {
	local location
	http POST "/v2/$REPO/blobs/uploads/"
	location=$(header Location)
	http PATCH "$location" --data-binary hello
	http DELETE "$location"
	expect 204
	http GET "$location"
	expect 404 BLOB_UPLOAD_UNKNOWN
	http PATCH "$location" --data-binary hello
	expect 404 BLOB_UPLOAD_UNKNOWN
	http DELETE "$location"
	expect 404 BLOB_UPLOAD_UNKNOWN
}

@test "a session that was finished, never was, or belongs to another repository is BLOB_UPLOAD_UNKNOWN" {
	local location
	printf hello >"$W/b"
	http POST "/v2/$REPO/blobs/uploads/"
	location=$(header Location)
	upload_put "$location" "$(digest_of "$W/b")" "$W/b"
	expect 201
	http GET "$location"
	expect 404 BLOB_UPLOAD_UNKNOWN
	http GET "/v2/$REPO/blobs/uploads/0123456789abcdef"
	expect 404 BLOB_UPLOAD_UNKNOWN
	http POST "/v2/$REPO/blobs/uploads/"
	location=$(header Location)
	http PATCH "/v2/$REPO-other${location#/v2/"$REPO"}" --data-binary x
	expect 404 BLOB_UPLOAD_UNKNOWN
}

# upload_came LOCATION: some of it has been written.
upload_came() {
	local range
	http GET "$1"
	range=$(header Range)
	[ "$STATUS" = 204 ] && [ "${range#0-}" -gt 0 ]
}

# patch_begin LOCATION FILE BYTES: in the background send a PATCH of FILE, which
# holds nothing but letters; behind so many bytes it waits for $W/gate.  Sets
# pid; $W/code is the answer.
patch_begin() {
	{
		printf 'PATCH %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %s\r\n' \
			"${1#"$URL"}" "$HOST" "$(size_of "$2")"
		printf 'Content-Type: application/octet-stream\r\n\r\n'
		head -c "$3" "$2"
		printf '|||'
		tail -c +$(($3 + 1)) "$2"
	} >"$W/request"
	"$PYTHON" "$TOP/tests/e2e/raw.py" --gate "$W/gate" --summary \
		--quiet 0.2 "$HOST" <"$W/request" >"$W/code" 3>&- &
	pid=$!
}

letters_file() { # FILE BYTES
	head -c "$2" /dev/urandom | base64 -w 0 | head -c "$2" >"$1"
}

@test "two clients on one session: the second is turned away, the first is not harmed" {
	local location pid status=0
	letters_file "$W/b" 100000
	http POST "/v2/$REPO/blobs/uploads/"
	location=$(header Location)
	patch_begin "$location" "$W/b" 60000
	wait_for 20 upload_came "$location" || fail 'nothing came'
	http PATCH "$location" --data-binary intruder
	[ "$STATUS" -ge 400 ] && [ "$STATUS" -lt 504 ] ||
		fail "the second got $STATUS"
	[ "$STATUS" != 500 ] || fail 'the second got 500'
	touch "$W/gate"
	wait "$pid" || status=$?
	assert_eq "$status" 0 'the first client'
	assert_in "$(cat "$W/code")" '202 0'
	upload_put "$location" "$(digest_of "$W/b")"
	expect 201
}

@test "an upload resumes where its killed client left it" {
	local location pid range
	letters_file "$W/b" 4000000
	http POST "/v2/$REPO/blobs/uploads/"
	location=$(header Location)
	patch_begin "$location" "$W/b" 1500000
	wait_for 20 upload_came "$location" || fail 'nothing came'
	kill -KILL "$pid"
	wait "$pid" || true
	# What the killed client had sent is being written for a moment.
	resumed() {
		http GET "$location"
		[ "$STATUS" = 204 ] || return
		range=$(header Range)
		range=${range#0-}
		tail -c +$((range + 2)) "$W/b" >"$W/rest"
		http PATCH "$location" -H 'Expect:' \
			-H "Content-Range: $((range + 1))-3999999" \
			--data-binary "@$W/rest"
		[ "$STATUS" = 202 ]
	}
	wait_for 20 resumed || fail "$STATUS: $(cat "$BODY")"
	[ "$range" -gt 0 ] || fail "nothing was kept: $range"
	[ "$range" -lt 3999999 ] || fail 'the client was not killed early'
	assert_eq "$(header Range)" 0-3999999
	upload_put "$location" "$(digest_of "$W/b")"
	expect 201
	http GET "/v2/$REPO/blobs/$(digest_of "$W/b")"
	cmp "$BODY" "$W/b"
}

@test "an upload resumes after the server was restarted, and after it was killed" {
	local location range how
	random_file "$W/b" 3000000
	server_start
	http POST "/v2/$REPO/blobs/uploads/"
	location=$(header Location)
	head -c 1000000 "$W/b" >"$W/1"
	http PATCH "$location" -H 'Expect:' --data-binary "@$W/1"
	expect 202
	for how in server_stop server_kill; do
		"$how"
		server_start --data "$DATA"
		http GET "$location"
		expect 204
		range=$(header Range)
		range=${range#0-}
		[ "$how" = server_kill ] || assert_eq "$range" 999999
		if [ "$range" = 0 ]; then
			range=-1
		fi
		[ "$how" = server_stop ] || break
	done
	tail -c +$((range + 2)) "$W/b" >"$W/rest"
	http PATCH "$location" -H 'Expect:' \
		-H "Content-Range: $((range + 1))-2999999" \
		--data-binary "@$W/rest"
	expect 202
	upload_put "$location" "$(digest_of "$W/b")"
	expect 201
	http GET "/v2/$REPO/blobs/$(digest_of "$W/b")"
	cmp "$BODY" "$W/b"
	server_stop
}

# --- blobs: mount -------------------------------------------------------------

@test "a blob is mounted from another repository, the name encoded or not" {
	random_file "$W/b" 1000
	blob_push "$REPO" "$W/b"
	http POST "/v2/$REPO-a/blobs/uploads/?mount=$DIGEST&from=$REPO"
	expect 201
	assert_in "$(header Location)" "/v2/$REPO-a/blobs/$DIGEST"
	assert_eq "$(header Docker-Content-Digest)" "$DIGEST"
	http GET "/v2/$REPO-a/blobs/$DIGEST"
	cmp "$BODY" "$W/b"
	http POST "/v2/$REPO-b/blobs/uploads/?from=${REPO//\//%2F}&mount=${DIGEST/:/%3A}"
	expect 201
}

@test "an anonymous mount finds the blob wherever it is" {
	random_file "$W/b" 1000
	blob_push "$REPO" "$W/b"
	http POST "/v2/$REPO-a/blobs/uploads/?mount=$DIGEST"
	expect 201
	http HEAD "/v2/$REPO-a/blobs/$DIGEST"
	expect 200
}

@test "a mount that cannot be is an upload" {
	local digest
	random_file "$W/b" 1000
	digest=$(digest_of "$W/b")
	http POST "/v2/$REPO/blobs/uploads/?mount=$digest&from=$REPO-none"
	expect 202
	upload_put "$(header Location)" "$digest" "$W/b"
	expect 201
	http POST "/v2/$REPO/blobs/uploads/?mount=sha256:$(printf '1%.0s' \
		$(seq 64))"
	expect 202
	http POST "/v2/$REPO/blobs/uploads/?mount=nonsense&from=$REPO-none"
	[ "$STATUS" = 400 ] || [ "$STATUS" = 202 ] || fail "$STATUS"
}

# --- blobs: reading -----------------------------------------------------------

range_of() { # RANGE
	http GET "/v2/$REPO/blobs/$DIGEST" -H "Range: $1" "${@:2}"
}

@test "ranges of a blob: inner, open, suffix, clipped, one byte" {
	local size
	for size in 2048 500000; do
		random_file "$W/b" "$size"
		blob_push "$REPO" "$W/b"
		range_of bytes=500-1499
		expect 206
		assert_eq "$(header Content-Range)" "bytes 500-1499/$size"
		assert_eq "$(header Content-Length)" 1000
		cmp "$BODY" <(tail -c +501 "$W/b" | head -c 1000)
		range_of bytes=500-
		expect 206
		assert_eq "$(header Content-Range)" \
			"bytes 500-$((size - 1))/$size"
		cmp "$BODY" <(tail -c +501 "$W/b")
		range_of bytes=-500
		expect 206
		cmp "$BODY" <(tail -c 500 "$W/b")
		range_of "bytes=2000-$((size * 2))"
		expect 206
		assert_eq "$(header Content-Range)" \
			"bytes 2000-$((size - 1))/$size"
		range_of bytes=0-0
		expect 206
		assert_eq "$(header Content-Length)" 1
		range_of "bytes=-$((size * 2))"
		expect 206
		cmp "$BODY" "$W/b"
	done
}

@test "a range behind the end or backwards is 416 with the size" {
	random_file "$W/b" 2048
	blob_push "$REPO" "$W/b"
	range_of bytes=5000-10000
	expect 416
	assert_eq "$(header Content-Range)" 'bytes */2048'
	range_of bytes=2048-
	expect 416
	range_of bytes=-0
	expect 416
	range_of bytes=500-0
	expect 416
}

@test "what is no byte range is ignored, and HEAD has no ranges" {
	random_file "$W/b" 2048
	blob_push "$REPO" "$W/b"
	range_of items=0-1
	expect 200
	range_of bytes=0-1,5-6
	[ "$STATUS" = 200 ] || [ "$STATUS" = 206 ] || [ "$STATUS" = 416 ] ||
		fail "several: $STATUS"
	http HEAD "/v2/$REPO/blobs/$DIGEST" -H 'Range: bytes=0-9'
	[ "$STATUS" = 200 ] || [ "$STATUS" = 206 ] || fail "HEAD: $STATUS"
}

@test "If-Range: the range when the tag matches, all of it when not" {
	random_file "$W/b" 2048
	blob_push "$REPO" "$W/b"
	http HEAD "/v2/$REPO/blobs/$DIGEST"
	range_of bytes=0-9 -H "If-Range: $(header ETag)"
	expect 206
	range_of bytes=0-9 -H 'If-Range: "other"'
	expect 200
	cmp "$BODY" "$W/b"
	range_of bytes=0-9 -H "If-Range: W/\"$DIGEST\""
	expect 200
}

@test "If-None-Match with the ETag answers 304 without a body" {
	local etag path
	image_push "$REPO" v1
	for path in "blobs/$LAYER_DIGEST" manifests/v1 "manifests/$DIGEST"; do
		http GET "/v2/$REPO/$path"
		expect 200
		etag=$(header ETag)
		[ -n "$etag" ] || fail "$path: no ETag"
		http GET "/v2/$REPO/$path" -H "If-None-Match: $etag"
		expect 304
		assert_eq "$(size_of "$BODY")" 0
		assert_eq "$(header ETag)" "$etag"
		http GET "/v2/$REPO/$path" \
			-H "If-None-Match: \"x\", W/$etag"
		expect 304
		http GET "/v2/$REPO/$path" -H 'If-None-Match: *'
		expect 304
		http GET "/v2/$REPO/$path" -H 'If-None-Match: "x"'
		expect 200
	done
}

@test "an unknown blob is BLOB_UNKNOWN and named" {
	local digest
	digest=sha256:$(printf '2%.0s' $(seq 64))
	image_push "$REPO" v1
	http GET "/v2/$REPO/blobs/$digest"
	expect 404 BLOB_UNKNOWN
	expect_names "$digest"
	http HEAD "/v2/$REPO/blobs/$digest"
	expect 404
	http DELETE "/v2/$REPO/blobs/$digest"
	expect 404 BLOB_UNKNOWN
}

# --- manifests ----------------------------------------------------------------

@test "a manifest comes back byte for byte by tag and by digest, with its type and digest" {
	local reference
	image_push "$REPO" v1
	assert_eq "$(header Docker-Content-Digest)" "$DIGEST"
	assert_in "$(header Location)" "/v2/$REPO/manifests/"
	for reference in v1 "$DIGEST"; do
		http GET "/v2/$REPO/manifests/$reference"
		expect 200
		cmp "$BODY" "$MANIFEST"
		assert_eq "$(header Content-Type)" "$OCI_MANIFEST"
		assert_eq "$(header Docker-Content-Digest)" "$DIGEST"
		assert_eq "$(header Content-Length)" "$(size_of "$MANIFEST")"
		http HEAD "/v2/$REPO/manifests/$reference"
		expect 200
		assert_eq "$(header Content-Type)" "$OCI_MANIFEST"
		assert_eq "$(header Content-Length)" "$(size_of "$MANIFEST")"
		assert_eq "$(header Docker-Content-Digest)" "$DIGEST"
	done
}

@test "docker's Accept headers, each on a line of its own and in any order, are understood" {
	image_push "$REPO" v1
	http GET "/v2/$REPO/manifests/v1" \
		-H 'Accept: application/vnd.docker.distribution.manifest.v1+prettyjws' \
		-H "Accept: $DOCKER_LIST" -H 'Accept: application/json' \
		-H "Accept: $OCI_INDEX" -H "Accept: $DOCKER_MANIFEST" \
		-H "Accept: $OCI_MANIFEST"
	expect 200
	http GET "/v2/$REPO/manifests/v1" \
		-H "Accept: $DOCKER_MANIFEST, $DOCKER_LIST, $OCI_MANIFEST, $OCI_INDEX, */*"
	expect 200
	http GET "/v2/$REPO/manifests/v1" -H 'Accept: */*'
	expect 200
}

@test "a manifest by a digest of sha512 is answered with that digest" {
	local digest
	image_push "$REPO" v1
	digest=$(digest_of "$MANIFEST" sha512)
	manifest_put "$REPO" "$digest" "$MANIFEST"
	expect 201
	assert_eq "$(header Docker-Content-Digest)" "$digest"
	http GET "/v2/$REPO/manifests/$digest"
	expect 200
	assert_eq "$(header Docker-Content-Digest)" "$digest"
	cmp "$BODY" "$MANIFEST"
	http GET "/v2/$REPO/manifests/v1"
	assert_eq "$(header Docker-Content-Digest)" "$DIGEST"
}

@test "a manifest whose digest is not its content's is DIGEST_INVALID" {
	image_push "$REPO" v1
	manifest_put "$REPO" "sha256:$(printf '3%.0s' $(seq 64))" "$MANIFEST"
	expect 400 DIGEST_INVALID
}

@test "an unknown manifest is MANIFEST_UNKNOWN and named" {
	local digest
	digest=sha256:$(printf '4%.0s' $(seq 64))
	image_push "$REPO" v1
	http GET "/v2/$REPO/manifests/none"
	expect 404 MANIFEST_UNKNOWN
	expect_names none
	http GET "/v2/$REPO/manifests/$digest"
	expect 404 MANIFEST_UNKNOWN
	expect_names "$digest"
	http HEAD "/v2/$REPO/manifests/none"
	expect 404
	http DELETE "/v2/$REPO/manifests/none"
	expect 404 MANIFEST_UNKNOWN
	http DELETE "/v2/$REPO/manifests/$digest"
	expect 404 MANIFEST_UNKNOWN
}

@test "a manifest that references a missing blob or manifest is MANIFEST_BLOB_UNKNOWN and names it" {
	local digest
	image_push "$REPO" v1
	digest=sha256:$(printf '5%.0s' $(seq 64))
	jq -c --arg d "$digest" '.layers[0].digest = $d' "$MANIFEST" >"$W/m"
	manifest_put "$REPO" v2 "$W/m"
	expect 404 MANIFEST_BLOB_UNKNOWN
	expect_names "$digest"
	http GET "/v2/$REPO/manifests/v2"
	expect 404
	printf '{"schemaVersion":2,"mediaType":"%s","manifests":[%s]}' \
		"$OCI_INDEX" "$(descriptor "$OCI_MANIFEST" "$W/m")" >"$W/i"
	manifest_put "$REPO" idx "$W/i" "$OCI_INDEX"
	[ "$STATUS" = 404 ] || [ "$STATUS" = 400 ] || fail "$STATUS"
	expect_names "$(digest_of "$W/m")"
	# A blob of another repository is not here.
	manifest_put "$REPO-other" v1 "$MANIFEST"
	expect 404 MANIFEST_BLOB_UNKNOWN
}

@test "malformed manifests are MANIFEST_INVALID with the reason" {
	local text
	image_push "$REPO" v1
	for text in '' '{' '[]' '"x"' '{}' '{"schemaVersion":2}' \
	    '{"schemaVersion":2,"layers":[]}' \
	    '{"schemaVersion":2,"config":{},"layers":[]}' \
	    '{"schemaVersion":2,"config":{"mediaType":"a/b","digest":"sha256:x","size":1},"layers":[]}' \
	    "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"a/b\",\"digest\":\"$EMPTY_DIGEST\",\"size\":-1},\"layers\":[]}" \
	    "{\"schemaVersion\":2,\"schemaVersion\":2,\"config\":{\"mediaType\":\"a/b\",\"digest\":\"$EMPTY_DIGEST\",\"size\":2},\"layers\":[]}"; do
		printf '%s' "$text" >"$W/m"
		manifest_put "$REPO" bad "$W/m"
		[ "$STATUS" = 400 ] || [ "$STATUS" = 404 ] ||
			fail "$text: $STATUS"
		jq -e '.errors[0].message | length > 8' "$BODY" >/dev/null ||
			fail "$text: no reason"
	done
	printf 'no JSON' >"$W/m"
	manifest_put "$REPO" bad "$W/m"
	expect 400 MANIFEST_INVALID
	jq -c '.mediaType = "application/vnd.oci.image.index.v1+json"' \
		"$MANIFEST" >"$W/m"
	manifest_put "$REPO" bad "$W/m"
	expect 400 MANIFEST_INVALID
	http GET "/v2/$REPO/manifests/bad"
	expect 404
}

@test "an unknown media type of a manifest is refused and named" {
	image_push "$REPO" v1
	jq -c 'del(.mediaType)' "$MANIFEST" >"$W/m"
	manifest_put "$REPO" bad "$W/m" application/vnd.example.unknown+json
	[ "$STATUS" -ge 400 ] && [ "$STATUS" -lt 500 ] || fail "$STATUS"
	expect_names application/vnd.example.unknown+json
}

@test "a docker schema 1 manifest is refused in every form with a clear error" {
	local type
	printf '{"schemaVersion":1,"name":"%s","tag":"v1","architecture":"amd64",' \
		"$REPO" >"$W/m"
	printf '"fsLayers":[],"history":[],"signatures":[]}' >>"$W/m"
	for type in application/vnd.docker.distribution.manifest.v1+prettyjws \
	    application/vnd.docker.distribution.manifest.v1+json \
	    application/json "$OCI_MANIFEST" "$DOCKER_MANIFEST"; do
		manifest_put "$REPO" v1 "$W/m" "$type"
		[ "$STATUS" -ge 400 ] && [ "$STATUS" -lt 500 ] ||
			fail "$type: $STATUS"
		jq -r '.errors[0].message' "$BODY" | grep -qi 'schema' ||
			fail "$type: $(cat "$BODY")"
	done
}

@test "docker schema 2 manifests and lists come back with their types" {
	image_push "$REPO" oci
	jq -c --arg t "$DOCKER_MANIFEST" '.mediaType = $t |
		.config.mediaType = "application/vnd.docker.container.image.v1+json" |
		.layers[0].mediaType =
		"application/vnd.docker.image.rootfs.diff.tar.gzip"' \
		"$MANIFEST" >"$W/m"
	manifest_put "$REPO" docker "$W/m" "$DOCKER_MANIFEST"
	expect 201
	http GET "/v2/$REPO/manifests/docker"
	assert_eq "$(header Content-Type)" "$DOCKER_MANIFEST"
	cmp "$BODY" "$W/m"
	printf '{"schemaVersion":2,"mediaType":"%s","manifests":[%s]}' \
		"$DOCKER_LIST" "$(descriptor "$DOCKER_MANIFEST" "$W/m")" >"$W/l"
	manifest_put "$REPO" list "$W/l" "$DOCKER_LIST"
	expect 201
	http GET "/v2/$REPO/manifests/list"
	assert_eq "$(header Content-Type)" "$DOCKER_LIST"
	cmp "$BODY" "$W/l"
}

@test "indexes: empty, of images, nested; children by digest" {
	image_push "$REPO" v1
	printf '{"schemaVersion":2,"mediaType":"%s","manifests":[%s]}' \
		"$OCI_INDEX" "$(descriptor "$OCI_MANIFEST" "$MANIFEST")" >"$W/i"
	manifest_put "$REPO" idx "$W/i" "$OCI_INDEX"
	expect 201
	printf '{"schemaVersion":2,"mediaType":"%s","manifests":[%s]}' \
		"$OCI_INDEX" "$(descriptor "$OCI_INDEX" "$W/i")" >"$W/n"
	manifest_put "$REPO" nested "$W/n" "$OCI_INDEX"
	expect 201
	printf '{"schemaVersion":2,"mediaType":"%s","manifests":[]}' \
		"$OCI_INDEX" >"$W/e"
	manifest_put "$REPO" empty "$W/e" "$OCI_INDEX"
	expect 201
	http GET "/v2/$REPO/manifests/nested"
	assert_eq "$(header Content-Type)" "$OCI_INDEX"
	cmp "$BODY" "$W/n"
}

@test "unknown fields, white space and data fields survive" {
	image_push "$REPO" v1
	jq --arg data "$(base64 -w 0 "$W/image/layer")" '
		. + {"org.example": {"x": [1, 2.50, null]}} |
		.layers[0].data = $data | .config.unknown = "ü"' \
		"$MANIFEST" >"$W/m"
	printf '\n \n' >>"$W/m"
	manifest_put "$REPO" v2 "$W/m"
	expect 201
	http GET "/v2/$REPO/manifests/v2"
	cmp "$BODY" "$W/m"
}

@test "a nondistributable layer need not be there" {
	image_push "$REPO" v1
	jq -c '.layers += [{"mediaType":
		"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
		"digest": ("sha256:" + ("6" * 64)), "size": 123,
		"urls": ["https://example.com/layer"]}]' "$MANIFEST" >"$W/m"
	manifest_put "$REPO" v2 "$W/m"
	expect 201
}

@test "a manifest of just under 4 MiB is taken; a larger one is 413 and the answer arrives" {
	image_push "$REPO" v1
	"$PYTHON" - "$MANIFEST" "$W/big" "$W/huge" <<-'PY'
	import json, sys
	m = json.load(open(sys.argv[1]))
	for path, size in ((sys.argv[2], 4 << 20), (sys.argv[3], (4 << 20) + 1)):
	    m["annotations"] = {"a": ""}
	    m["annotations"]["a"] = "x" * (size - len(json.dumps(m)))
	    open(path, "w").write(json.dumps(m))
	PY
	assert_eq "$(size_of "$W/big")" 4194304
	manifest_put "$REPO" big "$W/big"
	expect 201
	http GET "/v2/$REPO/manifests/big"
	cmp "$BODY" "$W/big"
	manifest_put "$REPO" huge "$W/huge"
	expect 413
	jq -e '.errors[0].code' "$BODY" >/dev/null
	expect_names 4194304
	http PUT "/v2/$REPO/manifests/huge" -H "Content-Type: $OCI_MANIFEST" \
		-H 'Expect:' -H 'Transfer-Encoding: chunked' \
		--data-binary "@$W/huge"
	expect 413
}

@test "tag parameters on a push by digest set all the tags and are told in OCI-Tag" {
	local query='' tag
	image_push "$REPO" v1
	for tag in one two three four five six seven eight nine ten; do
		query=$query${query:+&}tag=$tag
	done
	http PUT "/v2/$REPO/manifests/$DIGEST?$query" \
		-H "Content-Type: $OCI_MANIFEST" --data-binary "@$MANIFEST"
	expect 201
	for tag in one ten; do
		tr -d '\r' <"$HEADERS" | grep -i '^oci-tag:' | grep -qw "$tag" ||
			fail "no OCI-Tag $tag: $(cat "$HEADERS")"
		http HEAD "/v2/$REPO/manifests/$tag"
		expect 200
		assert_eq "$(header Docker-Content-Digest)" "$DIGEST"
		http PUT "/v2/$REPO/manifests/$DIGEST?$query" \
			-H "Content-Type: $OCI_MANIFEST" \
			--data-binary "@$MANIFEST"
	done
	http PUT "/v2/$REPO/manifests/$DIGEST?tag=fine&tag=-bad" \
		-H "Content-Type: $OCI_MANIFEST" --data-binary "@$MANIFEST"
	[ "$STATUS" = 400 ] || fail "$STATUS"
	http HEAD "/v2/$REPO/manifests/fine"
	expect 404
}

@test "images and indexes all in sha512, tagged by parameters, mounted, deleted" {
	local config image index
	image_push "$REPO" v1
	blob_push "$REPO" "$W/image/config" sha512
	config=$DIGEST
	blob_push "$REPO" "$W/image/layer" sha512
	jq -c --arg c "$config" --arg l "$DIGEST" \
		'.config.digest = $c | .layers[0].digest = $l' "$MANIFEST" >"$W/m"
	image=$(digest_of "$W/m" sha512)
	http PUT "/v2/$REPO/manifests/$image?tag=a&tag=b" \
		-H "Content-Type: $OCI_MANIFEST" --data-binary "@$W/m"
	expect 201
	assert_eq "$(header Docker-Content-Digest)" "$image"
	http HEAD "/v2/$REPO/manifests/a"
	expect 200
	assert_eq "$(header Docker-Content-Digest)" "$image"
	printf '{"schemaVersion":2,"mediaType":"%s","manifests":[' \
		"$OCI_INDEX" >"$W/i"
	printf '{"mediaType":"%s","digest":"%s","size":%s}]}' \
		"$OCI_MANIFEST" "$image" "$(size_of "$W/m")" >>"$W/i"
	index=$(digest_of "$W/i" sha512)
	http PUT "/v2/$REPO/manifests/$index?tag=i" \
		-H "Content-Type: $OCI_INDEX" --data-binary "@$W/i"
	expect 201
	http GET "/v2/$REPO/manifests/i"
	assert_eq "$(header Docker-Content-Digest)" "$index"
	http POST "/v2/$REPO-2/blobs/uploads/?mount=$config&from=$REPO"
	expect 201
	assert_eq "$(header Docker-Content-Digest)" "$config"
	http DELETE "/v2/$REPO/manifests/$index"
	expect 202
	http DELETE "/v2/$REPO/manifests/$image"
	expect 202
	http HEAD "/v2/$REPO/manifests/a"
	expect 404
	http DELETE "/v2/$REPO/blobs/$config"
	expect 202
	http HEAD "/v2/$REPO/blobs/$config"
	expect 404
}

@test "a tag moves to the manifest pushed last" {
	local first
	image_push "$REPO" v1 first
	first=$DIGEST
	image_push "$REPO" v1 second
	http HEAD "/v2/$REPO/manifests/v1"
	assert_eq "$(header Docker-Content-Digest)" "$DIGEST"
	http GET "/v2/$REPO/manifests/$first"
	expect 200
}

# --- tags and catalogue -------------------------------------------------------

@test "the tags of a repository that is not there are NAME_UNKNOWN" {
	http GET "/v2/$REPO/none/tags/list"
	expect 404 NAME_UNKNOWN
	expect_names "$REPO/none"
}

tags_push() { # TAG...
	local tag
	image_push "$REPO" "$1"
	for tag; do
		manifest_put "$REPO" "$tag" "$MANIFEST"
		expect 201
	done
}

@test "tags are listed in order, prefixes included" {
	tags_push b a ab abc a-b B 1 A a.b a_b
	http GET "/v2/$REPO/tags/list"
	expect 200
	assert_eq "$(jq -r .name "$BODY")" "$REPO"
	assert_eq "$(jq -c .tags "$BODY")" \
		'["1","A","B","a","a-b","a.b","a_b","ab","abc","b"]'
	assert_eq "$(header Link)" ''
}

@test "pages of tags by n, last and Link hold every tag once" {
	local path all='' pages=0
	tags_push a ab abc b c d e
	path="/v2/$REPO/tags/list?n=3"
	while [ -n "$path" ]; do
		http GET "$path"
		expect 200
		all="$all $(jq -r '.tags | join(" ")' "$BODY")"
		pages=$((pages + 1))
		path=$(header Link | sed -n 's/^<\([^>]*\)>; rel="next"$/\1/p')
		[ "$pages" -lt 9 ] || break
	done
	assert_eq "$all" ' a ab abc b c d e'
	assert_eq "$pages" 3
	http GET "/v2/$REPO/tags/list?last=abc"
	assert_eq "$(jq -c .tags "$BODY")" '["b","c","d","e"]'
	http GET "/v2/$REPO/tags/list?last=abb&n=2"
	assert_eq "$(jq -c .tags "$BODY")" '["abc","b"]'
	http GET "/v2/$REPO/tags/list?last=zzz"
	expect 200
	assert_eq "$(jq -c .tags "$BODY")" '[]'
}

@test "n=0 lists nothing and has no Link; a page that ends exactly has none either" {
	tags_push a b
	http GET "/v2/$REPO/tags/list?n=0"
	expect 200
	assert_eq "$(jq -c .tags "$BODY")" '[]'
	assert_eq "$(header Link)" ''
	http GET "/v2/$REPO/tags/list?n=2"
	assert_eq "$(jq -c .tags "$BODY")" '["a","b"]'
	assert_eq "$(header Link)" ''
	http GET "/v2/$REPO/tags/list?n=1000000000"
	expect 200
	assert_eq "$(jq -c .tags "$BODY")" '["a","b"]'
}

@test "a number of results that is none is refused" {
	local n
	tags_push a
	for n in -1 x 1x '' 1.5; do
		http GET "/v2/$REPO/tags/list?n=$n"
		[ "$STATUS" = 400 ] || fail "n=$n: $STATUS"
		http GET "/v2/_catalog?n=$n"
		[ "$STATUS" = 400 ] || fail "_catalog n=$n: $STATUS"
	done
}

@test "the catalogue lists repositories in order and in pages, name prefixes included" {
	local name path all='' pages=0 last
	server_start
	for name in b a/b a ab a-b a/bc; do
		image_push "$name" v1
	done
	http GET /v2/_catalog
	expect 200
	assert_eq "$(jq -c .repositories "$BODY")" \
		'["a","a-b","a/b","a/bc","ab","b"]'
	path='/v2/_catalog?n=2'
	while [ -n "$path" ]; do
		http GET "$path"
		expect 200
		all="$all $(jq -r '.repositories | join(" ")' "$BODY")"
		pages=$((pages + 1))
		path=$(header Link | sed -n 's/^<\([^>]*\)>; rel="next"$/\1/p')
		[ "$pages" -lt 9 ] || break
	done
	assert_eq "$all" ' a a-b a/b a/bc ab b'
	assert_eq "$pages" 3
	http GET '/v2/_catalog?last=a/b'
	assert_eq "$(jq -c .repositories "$BODY")" '["a/bc","ab","b"]'
	http GET '/v2/_catalog?n=0'
	assert_eq "$(jq -c .repositories "$BODY")" '[]'
	assert_eq "$(header Link)" ''
	server_stop
}

# --- referrers ----------------------------------------------------------------

@test "referrers of what is not there are an empty index" {
	http GET "/v2/$REPO/referrers/sha256:$(printf '7%.0s' $(seq 64))"
	expect 200
	assert_eq "$(header Content-Type)" "$OCI_INDEX"
	assert_eq "$(jq -c '[.schemaVersion, .mediaType, .manifests]' \
		"$BODY")" "[2,\"$OCI_INDEX\",[]]"
	http GET "/v2/$REPO/referrers/sha256:bad"
	expect 400 DIGEST_INVALID
}

@test "an artifact with a subject is a referrer with all its fields" {
	local subject image sbom
	image_push "$REPO" v1
	subject=$DIGEST image=$W/subject
	cp "$MANIFEST" "$image"
	artifact_push "$REPO" digest "$image" application/vnd.example.sbom hello
	assert_eq "$(header OCI-Subject)" "$subject"
	sbom=$DIGEST
	http GET "/v2/$REPO/referrers/$subject"
	expect 200
	assert_eq "$(header OCI-Filters-Applied)" ''
	assert_eq "$(jq -cS '.manifests' "$BODY")" "$(jq -cnS \
		--arg d "$sbom" --arg t "$OCI_MANIFEST" \
		--argjson s "$(size_of "$MANIFEST")" '[{annotations: {note: "hello"},
		artifactType: "application/vnd.example.sbom", digest: $d,
		mediaType: $t, size: $s}]')"
}

@test "the artifactType filter gives only those and says so" {
	local subject
	image_push "$REPO" v1
	subject=$DIGEST
	cp "$MANIFEST" "$W/subject"
	artifact_push "$REPO" digest "$W/subject" application/vnd.example.sbom
	artifact_push "$REPO" signature "$W/subject" application/vnd.example.sig
	http GET "/v2/$REPO/referrers/$subject"
	assert_eq "$(jq '.manifests | length' "$BODY")" 2
	http GET "/v2/$REPO/referrers/$subject?artifactType=application/vnd.example.sig"
	expect 200
	assert_eq "$(header OCI-Filters-Applied)" artifactType
	assert_eq "$(jq -c '[.manifests[].artifactType]' "$BODY")" \
		'["application/vnd.example.sig"]'
	http GET "/v2/$REPO/referrers/$subject?artifactType=application%2Fvnd.none"
	expect 200
	assert_eq "$(jq -c .manifests "$BODY")" '[]'
}

@test "an image without artifactType refers with the media type of its config" {
	local subject
	image_push "$REPO" v1
	subject=$DIGEST
	jq -c --arg d "$subject" --argjson s "$(size_of "$MANIFEST")" \
		--arg t "$OCI_MANIFEST" \
		'.subject = {mediaType: $t, digest: $d, size: $s}' \
		"$MANIFEST" >"$W/m"
	manifest_put "$REPO" "$(digest_of "$W/m")" "$W/m"
	expect 201
	http GET "/v2/$REPO/referrers/$subject"
	assert_eq "$(jq -r '.manifests[0].artifactType' "$BODY")" \
		application/vnd.oci.image.config.v1+json
}

@test "a referrer may come before its subject, and goes with its own delete" {
	local subject artifact
	image_push "$REPO-source" v1
	subject=$DIGEST
	cp "$MANIFEST" "$W/subject"
	artifact_push "$REPO" digest "$W/subject"
	artifact=$DIGEST
	assert_eq "$(header OCI-Subject)" "$subject"
	http GET "/v2/$REPO/referrers/$subject"
	assert_eq "$(jq -r '.manifests[0].digest' "$BODY")" "$artifact"
	http DELETE "/v2/$REPO/manifests/$artifact"
	expect 202
	http GET "/v2/$REPO/referrers/$subject"
	assert_eq "$(jq -c .manifests "$BODY")" '[]'
}

# --- delete -------------------------------------------------------------------

@test "deleting a tag leaves the manifest and the other tags" {
	image_push "$REPO" v1
	manifest_put "$REPO" v2 "$MANIFEST"
	http DELETE "/v2/$REPO/manifests/v1"
	expect 202
	http HEAD "/v2/$REPO/manifests/v1"
	expect 404
	http HEAD "/v2/$REPO/manifests/v2"
	expect 200
	http HEAD "/v2/$REPO/manifests/$DIGEST"
	expect 200
	http GET "/v2/$REPO/tags/list"
	assert_eq "$(jq -c .tags "$BODY")" '["v2"]'
}

@test "deleting a manifest takes its tags along, at once" {
	image_push "$REPO" v1
	manifest_put "$REPO" v2 "$MANIFEST"
	http DELETE "/v2/$REPO/manifests/$DIGEST"
	expect 202
	http HEAD "/v2/$REPO/manifests/$DIGEST"
	expect 404
	http HEAD "/v2/$REPO/manifests/v1"
	expect 404
	http GET "/v2/$REPO/tags/list"
	expect 200
	assert_eq "$(jq -c .tags "$BODY")" '[]'
	http DELETE "/v2/$REPO/manifests/$DIGEST"
	expect 404 MANIFEST_UNKNOWN
}

@test "a blob that a manifest references cannot be deleted: 405 names the manifest" {
	image_push "$REPO" v1
	http DELETE "/v2/$REPO/blobs/$LAYER_DIGEST"
	expect 405 UNSUPPORTED
	expect_names "$DIGEST"
	http HEAD "/v2/$REPO/blobs/$LAYER_DIGEST"
	expect 200
	http DELETE "/v2/$REPO/manifests/$DIGEST"
	expect 202
	http DELETE "/v2/$REPO/blobs/$LAYER_DIGEST"
	expect 202
	http HEAD "/v2/$REPO/blobs/$LAYER_DIGEST"
	expect 404
}

@test "a manifest that an index references cannot be deleted: 405 names the index" {
	local child
	image_push "$REPO" v1
	child=$DIGEST
	printf '{"schemaVersion":2,"mediaType":"%s","manifests":[%s]}' \
		"$OCI_INDEX" "$(descriptor "$OCI_MANIFEST" "$MANIFEST")" >"$W/i"
	manifest_put "$REPO" idx "$W/i" "$OCI_INDEX"
	http DELETE "/v2/$REPO/manifests/$child"
	expect 405 UNSUPPORTED
	expect_names "$(digest_of "$W/i")"
	http HEAD "/v2/$REPO/manifests/v1"
	expect 200
	http DELETE "/v2/$REPO/manifests/$(digest_of "$W/i")"
	expect 202
	http DELETE "/v2/$REPO/manifests/$child"
	expect 202
}

@test "a blob deleted in one repository stays in the others" {
	random_file "$W/b" 100000
	blob_push "$REPO-a" "$W/b"
	blob_push "$REPO-b" "$W/b"
	http DELETE "/v2/$REPO-a/blobs/$DIGEST"
	expect 202
	http GET "/v2/$REPO-a/blobs/$DIGEST"
	expect 404
	http GET "/v2/$REPO-b/blobs/$DIGEST"
	expect 200
	cmp "$BODY" "$W/b"
}

@test "what was deleted can be pushed again" {
	random_file "$W/b" 100000
	blob_push "$REPO" "$W/b"
	http DELETE "/v2/$REPO/blobs/$DIGEST"
	blob_push "$REPO" "$W/b"
	http GET "/v2/$REPO/blobs/$DIGEST"
	expect 200
	cmp "$BODY" "$W/b"
	image_push "$REPO" v1
	http DELETE "/v2/$REPO/manifests/$DIGEST"
	image_push "$REPO" v1
	http GET "/v2/$REPO/manifests/v1"
	expect 200
}

@test "parallel deletes of one manifest never give a 5xx" {
	local i
	image_push "$REPO" v1
	for i in 1 2 3 4 5 6 7 8; do
		curl -sS -o /dev/null -w '%{http_code}\n' -X DELETE \
			"$URL/v2/$REPO/manifests/$DIGEST" >"$W/code.$i" 3>&- &
	done
	wait $(jobs -p)
	[ "$(cat "$W"/code.* | grep -c 202)" -ge 1 ] ||
		fail "$(cat "$W"/code.*)"
	! grep -vE '202|404' "$W"/code.* || fail 'neither 202 nor 404'
}

# --- sparse content -----------------------------------------------------------

sparse_pair() { # sets W/m (image without its layer) and W/i (its index)
	image_push "$REPO" v1
	jq -c '.layers[0].digest = "sha256:" + ("8" * 64)' "$MANIFEST" >"$W/m"
	jq -c '.annotations = {"other": "one"}' "$MANIFEST" >"$W/child"
	printf '{"schemaVersion":2,"mediaType":"%s","manifests":[%s]}' \
		"$OCI_INDEX" "$(descriptor "$OCI_MANIFEST" "$W/child")" >"$W/i"
}

@test "manifests.sparse: index lets an index miss children, but no image its layers" {
	REGISTRYD_MANIFESTS_SPARSE=index server_start
	sparse_pair
	manifest_put "$REPO" m "$W/m"
	expect 404 MANIFEST_BLOB_UNKNOWN
	manifest_put "$REPO" i "$W/i" "$OCI_INDEX"
	expect 201
	server_stop
}

@test "manifests.sparse: all lets both miss what they reference" {
	REGISTRYD_MANIFESTS_SPARSE=all server_start
	sparse_pair
	manifest_put "$REPO" m "$W/m"
	expect 201
	manifest_put "$REPO" i "$W/i" "$OCI_INDEX"
	expect 201
	http GET "/v2/$REPO/manifests/m"
	expect 200
	server_stop
}

# --- limits -------------------------------------------------------------------

@test "rates: what comes faster gets 429 and a time to come back" {
	local i
	REGISTRYD_RATES_GET_IMAGE=1 server_start
	image_push "$REPO" v1
	for i in $(seq 100); do
		http GET "/v2/$REPO/manifests/v1"
		[ "$STATUS" = 200 ] || break
	done
	expect 429 TOOMANYREQUESTS
	assert_eq "$(jq -r '.errors[0].message' "$BODY")" 'Rate exceeded'
	assert_eq "$(header Retry-After)" 1
	http GET "/v2/$REPO/tags/list"
	expect 200
	server_stop
}

@test "quotas.repositories: one more is not made by a push" {
	REGISTRYD_QUOTAS_REPOSITORIES=1 server_start
	image_push "$REPO" v1
	manifest_put "$REPO-2" v1 "$MANIFEST"
	expect 403 DENIED
	assert_in "$(jq -r '.errors[0].message' "$BODY")" \
		'The maximum number of repositories (1)'
	server_stop
}

@test "external-url makes Locations absolute" {
	REGISTRYD_EXTERNAL_URL=https://registry.example.com server_start
	http POST "/v2/$REPO/blobs/uploads/"
	expect 202
	assert_in "$(header Location)" \
		"https://registry.example.com/v2/$REPO/blobs/uploads/"
	server_stop
}
