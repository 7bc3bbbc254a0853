#!/usr/bin/env bats
# Mirrors: repositories of docker-registry that are kept in step here, as
# registryctl and the configuration describe them.
load helper
load far

setup_file() {
	type -P docker-registry >/dev/null || return 0
	far_start
	many_make
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
	proxies_stop
	client_gone
	servers_clean
}

# many/app has 50 tags, each of an image of its own: v1.0.0 to v1.48.0, edge and
# v2.0.0-rc1.
many_make() {
	local i
	for i in $(seq 0 47); do
		far_image "v1.$i.0" "many $i" many/app
	done
	far_image edge edge many/app
	far_image v2.0.0-rc1 rc many/app
}

# --- words --------------------------------------------------------------------

# mirror_add NAME SOURCE DESTINATION [OPTION...]: one that runs only when it is
# asked to.
mirror_add() {
	ctl mirror add "$1" "http://$2" "$3" --interval 0 "${@:4}" >/dev/null
}

mirror_run() { # NAME; sets code and out, what was said on both streams
	ctl_run mirror run "$1"
}

# What ctl_run sets.
code='' out=''

tags_here() { # REPOSITORY
	http GET "/v2/$1/tags/list?n=1000"
	jq -r '.tags[]' "$BODY" | sort -V | tr '\n' ' ' | sed 's/ $//'
}

digest_here() { # REPOSITORY REFERENCE
	http HEAD "/v2/$1/manifests/$2" -H "Accept: $OCI_MANIFEST" \
		-H "Accept: $OCI_INDEX"
	header Docker-Content-Digest
}

totals() { # JOB KEY
	jq -r ".totals.$2" <<<"$1"
}

status_of() { # NAME
	ctl --output json mirror status "$1"
}

tags_are() { # REPOSITORY TAGS
	[ "$(tags_here "$1")" = "$2" ]
}

runs_are() { # NAME NUMBER
	[ "$(status_of "$1" | jq '.runs | length')" = "$2" ]
}

last_is() { # NAME OUTCOME
	[ "$(status_of "$1" | jq -r '.runs[0].outcome')" = "$2" ]
}

was_asked() { # PATTERN
	[ "$(asked . "$1")" -ge 1 ]
}

# --- what moves ---------------------------------------------------------------

@test "a mirror of 50 tags; the second run moves nothing" {
	local job
	proxy_start
	server_start
	mirror_add many "$PROXY/many/app" mirror/many
	job=$(ctl --output json mirror run many)
	assert_eq "$(totals "$job" tags) $(totals "$job" copied)" '50 50'
	assert_eq "$(jq '.images | length' <<<"$job")" 50
	assert_eq "$(tags_here mirror/many | wc -w)" 50
	assert_eq "$(digest_here mirror/many edge)" \
		"$(URL=http://$FAR digest_here many/app edge)"
	: >"$PROXY_DIR/requests"
	job=$(ctl --output json mirror run many)
	assert_eq "$(totals "$job" same) $(totals "$job" copied)" '50 0'
	assert_eq "$(totals "$job" manifests) $(totals "$job" bytes)" '0 0'
	# By what the upstream saw: its list, and a HEAD for each tag.
	assert_eq "$(asked GET /blobs/)" 0 'blobs fetched'
	assert_eq "$(asked GET '/manifests/(v|edge)')" 0 'manifests fetched'
	assert_eq "$(asked HEAD '/manifests/(v|edge)')" 50 'tags asked for'
	# One that moved there costs itself.
	far_image edge 'another edge' many/app
	job=$(ctl --output json mirror run many)
	assert_eq "$(totals "$job" copied) $(totals "$job" manifests)" '1 1'
	assert_eq "$(totals "$job" blobs)" 2 'a config and a layer'
	assert_eq "$(digest_here mirror/many edge)" "$DIGEST"
	server_stop
	"$REGISTRYCTL" --data "$DATA" fsck
}

@test "one line for each image, and totals" {
	server_start
	far_image 1.0
	far_image 1.1
	mirror_add one "$FAR/$NAME" mirror/one
	mirror_run one
	assert_eq "$code" 0
	assert_in "$out" "copied   1.0 sha256:"
	assert_in "$out" "copied   1.1 $DIGEST: 2 layers"
	assert_in "$out" 'one: 2 of 2 tags, 0 the same, 2 copied (4 layers'
	mirror_run one
	assert_in "$out" 'same     1.1'
	assert_in "$out" '2 the same, 0 copied (0 layers, 0 B)'
}

@test "content that is here for another reason is not fetched" {
	local job
	proxy_start
	server_start
	far_image 1.0 shared
	image_push other/app 1.0 shared
	mirror_add shared "$PROXY/$NAME" mirror/shared
	job=$(ctl --output json mirror run shared)
	assert_eq "$(totals "$job" copied)" 1
	assert_eq "$(digest_here mirror/shared 1.0)" "$DIGEST"
}

# --- which --------------------------------------------------------------------

@test "tags are chosen by pattern, expression, exclusion, range and number" {
	server_start
	mirror_add globs "$FAR/many/app" m/globs --tag 'v1.4?.0' --tag edge \
		--exclude 'v1.4[0-5].0'
	mirror_add regex "$FAR/many/app" m/regex --regex 'v1\.(1|2)\.0'
	mirror_add range "$FAR/many/app" m/range --semver '>=1.45 <3'
	mirror_add newest "$FAR/many/app" m/newest --tag 'v*' \
		--exclude '*-rc*' --newest 3
	ctl_run mirror run --all
	assert_eq "$code" 0
	assert_eq "$(tags_here m/globs)" 'edge v1.46.0 v1.47.0'
	assert_eq "$(tags_here m/regex)" 'v1.1.0 v1.2.0'
	assert_eq "$(tags_here m/range)" 'v1.45.0 v1.46.0 v1.47.0'
	assert_eq "$(tags_here m/newest)" 'v1.45.0 v1.46.0 v1.47.0'
}

@test "of an index only the platforms that were asked for" {
	local index child
	index=$("$PYTHON" "$TOP/tests/e2e/mkimage.py" \
		--archs amd64,arm64,s390x "$W/oci" all)
	skopeo copy -q --all --dest-tls-verify=false "oci:$W/oci:all" \
		"docker://$FAR/$NAME:all"
	server_start
	mirror_add two "$FAR/$NAME" mirror/two --platform linux/amd64 \
		--platform linux/arm64
	mirror_run two
	assert_eq "$code" 0 "exit of: $out"
	# The index is the index, byte for byte.
	assert_eq "$(digest_here mirror/two all)" "$index"
	for child in amd64 arm64; do
		skopeo copy -q --src-tls-verify=false --override-arch "$child" \
			"docker://$HOST/mirror/two:all" "oci:$W/$child:x"
	done
	child=$(jq -r '.manifests[] | select(.platform.architecture ==
	    "s390x") | .digest' "$W/oci/blobs/sha256/${index#sha256:}")
	http GET "/v2/mirror/two/manifests/$child"
	expect 404
	mirror_add none "$FAR/$NAME" mirror/none --platform windows/amd64
	mirror_run none
	assert_eq "$code" 3 "exit of: $out"
}

@test "signatures come with an image, unless they are not wanted" {
	local subject
	server_start
	FAR_HOST=$HOST
	image_push src/app v1
	subject=$DIGEST
	cp "$MANIFEST" "$W/subject"
	artifact_push src/app digest "$W/subject"
	server_start
	mirror_add with "$FAR_HOST/src/app" m/with
	mirror_add without "$FAR_HOST/src/app" m/without --no-referrers
	ctl_run mirror run --all
	assert_eq "$code" 0
	http GET "/v2/m/with/referrers/$subject"
	assert_eq "$(jq -r '.manifests[0].digest' "$BODY")" "$DIGEST"
	http GET "/v2/m/without/referrers/$subject"
	assert_eq "$(jq '.manifests | length' "$BODY")" 0
}

# --- what is gone there -------------------------------------------------------

@test "tags that the source has no more stay, or go, but not too many" {
	local i first
	server_start
	for i in 1 2 3 4 5 6 7 8; do
		far_image "$i"
		eval "d$i=\$DIGEST"
	done
	mirror_add keep "$FAR/$NAME" m/keep
	mirror_add missing "$FAR/$NAME" m/missing --delete missing
	mirror_add force "$FAR/$NAME" m/force --delete force
	ctl_run mirror run --all
	assert_eq "$code" 0
	# One of eight is gone there.
	# shellcheck disable=SC2154
	far_delete "$d1"
	mirror_run missing
	assert_eq "$code" 0 "exit of: $out"
	assert_in "$out" 'deleted  1'
	assert_eq "$(tags_here m/keep)" '1 2 3 4 5 6 7 8'
	# Six of seven are too many.
	# shellcheck disable=SC2154
	for first in "$d2" "$d3" "$d4" "$d5" "$d6" "$d7"; do
		far_delete "$first"
	done
	mirror_run missing
	assert_eq "$code" 3 "exit of: $out"
	assert_in "$out" 'failed   no tag is removed: 6 of 7 would be'
	assert_in "$(tags_here m/missing)" '2 3 4 5 6 7 8'
	mirror_run force
	assert_eq "$code" 0 "exit of: $out"
	assert_eq "$(tags_here m/force)" 8
	# With --delete keep nothing ever goes.
	mirror_run keep
	assert_eq "$code" 0
	assert_eq "$(tags_here m/keep)" '1 2 3 4 5 6 7 8'
	assert_in "$(cat "$DATA/audit.log")" '"event":"mirror-delete"'
}

# --- when ---------------------------------------------------------------------

@test "a mirror runs by itself: soon after it was made, and on its interval" {
	far_image 1.0
	proxy_start
	server_start
	ctl mirror add often "http://$PROXY/$NAME" mirror/often --interval 1s
	has_run() {
		[ "$(status_of often | jq '.runs | length')" -ge "$1" ]
	}
	wait_for 60 has_run 2
	assert_eq "$(status_of often | jq -r '.runs[0].by')" schedule
	assert_eq "$(status_of often | jq -r '.runs[0].outcome')" 'done'
	assert_eq "$(tags_here mirror/often)" 1.0
	far_image 1.1
	wait_for 60 tags_are mirror/often '1.0 1.1'
	ctl mirror remove often
	# What was mirrored stays; its run has ended with it.
	assert_eq "$(tags_here mirror/often)" '1.0 1.1'
	ctl_run mirror status often
	assert_eq "$code" 1
	assert_in "$out" 'there is no mirror "often"'
}

@test "history, last and next run can be read, also after a restart" {
	local before
	far_image 1.0
	server_start
	ctl mirror add daily "http://$FAR/$NAME" mirror/daily
	wait_for 60 runs_are daily 1
	before=$(status_of daily | jq -c .runs)
	assert_eq "$(jq -r '.[0] | "\(.outcome) \(.copied) \(.by)"' \
		<<<"$before")" 'done 1 schedule'
	server_stop
	server_start --data "$DATA"
	assert_eq "$(status_of daily | jq -c .runs)" "$before"
	# In a day, and a tenth of one at most.
	status_of daily | jq -e '(.next[0:19] + "Z" | fromdate) as $next |
	    (.runs[0].started[0:19] + "Z" | fromdate) as $last |
	    $next - $last >= 86399 and $next - $last <= 95041'
	ctl_run mirror list
	assert_in "$out" daily
	assert_in "$out" '24 h'
	ctl_run mirror status
	assert_in "$out" 'done'
}

@test "mirrors of the configuration: run, shown, changed by a reload" {
	far_image 1.0
	server_start
	server_stop
	cat >"$W/registryd.yml" <<-CONF
	mirrors:
	  - name: fixed
	    source: http://$FAR/$NAME
	    destination: mirror/fixed
	    tags: ["1.*"]
	CONF
	server_start --data "$DATA" --config "$W/registryd.yml"
	wait_for 60 tags_are mirror/fixed 1.0
	ctl_run mirror remove fixed
	assert_eq "$code" 1
	assert_in "$out" 'stands in the configuration file'
	ctl_run mirror add fixed "http://$FAR/$NAME" other
	assert_eq "$code" 1
	assert_in "$out" already
	sed -i 's/fixed$/moved/' "$W/registryd.yml"
	kill -HUP "$SERVER_PID"
	wait_for 60 tags_are mirror/moved 1.0
	ctl_run mirror list
	assert_in "$out" configuration
	# What is wrong is told with its line, and the old settings stay.
	sed -i 's/source: .*/source: nowhere/' "$W/registryd.yml"
	kill -HUP "$SERVER_PID"
	wait_for 60 grep -q 'mirrors: entry 1 ("moved"): source: "nowhere"' \
		"$SERVER_LOG"
	ctl_run mirror run moved
	assert_eq "$code" 0 "exit of: $out"
}

# --- what goes wrong ----------------------------------------------------------

@test "exit codes for cron: 1 when the source does not answer, 3 for some" {
	proxy_start
	far_image 1.0
	far_image 2.0
	server_start
	mirror_add some "$PROXY/$NAME" mirror/some
	faults '[{"match": "manifests/2.0", "status": 403}]'
	mirror_run some
	assert_eq "$code" 3 "exit of: $out"
	assert_in "$out" 'failed   2.0'
	assert_in "$out" "$PROXY"
	assert_eq "$(tags_here mirror/some)" 1.0
	assert_eq "$(status_of some | jq -r '.runs[0].outcome')" incomplete
	faults '[{"match": "tags/list", "status": 404}]'
	mirror_run some
	assert_eq "$code" 1 "exit of: $out"
	assert_eq "$(status_of some | jq -r '.runs[0].outcome')" failed
	assert_eq "$(tags_here mirror/some)" 1.0
	faults '[]'
	mirror_run some
	assert_eq "$code" 0
	assert_eq "$(tags_here mirror/some)" '1.0 2.0'
	ctl_run mirror run nobody
	assert_eq "$code" 1
	assert_in "$out" 'there is no mirror "nobody"'
	ctl_run mirror add x y z
	assert_eq "$code" 1
	ctl_run mirror run
	assert_eq "$code" 2
}

@test "a run that a crash has cut off is made good by the next one" {
	proxy_start
	far_image 1.0
	random_file "$W/big" 3000000
	URL=http://$FAR blob_push "$NAME" "$W/big"
	printf '{"schemaVersion":2,"mediaType":"%s","config":%s,"layers":[%s]}' \
		"$OCI_MANIFEST" \
		"$(descriptor application/vnd.oci.image.config.v1+json \
			"$BATS_TEST_TMPDIR/image/config")" \
		"$(descriptor application/vnd.oci.image.layer.v1.tar \
			"$W/big")" >"$W/manifest"
	URL=http://$FAR manifest_put "$NAME" 2.0 "$W/manifest"
	expect 201
	server_start
	mirror_add crash "$PROXY/$NAME" mirror/crash
	faults "[{\"match\": \"$(digest_of "$W/big")\", \"rate\": 200000}]"
	"$REGISTRYCTL" --data "$DATA" mirror run crash >"$W/run" 2>&1 &
	wait_for 60 was_asked "$(digest_of "$W/big")"
	sleep 1
	server_kill
	wait $! || true
	faults '[]'
	server_start --data "$DATA"
	mirror_run crash
	assert_eq "$code" 0 "exit of: $out"
	assert_eq "$(digest_here mirror/crash 2.0)" "$(digest_of "$W/manifest")"
	http GET "/v2/mirror/crash/blobs/$(digest_of "$W/big")"
	cmp "$BODY" "$W/big"
	server_stop
	"$REGISTRYCTL" --data "$DATA" fsck
}

@test "a run that nobody wants any more ends, and a server that stops ends it" {
	local started
	proxy_start
	far_image 1.0
	server_start
	mirror_add slow "$PROXY/$NAME" mirror/slow
	faults '[{"match": "manifests", "hang": 60}]'
	"$REGISTRYCTL" --data "$DATA" mirror run slow >"$W/run" 2>&1 &
	wait_for 60 was_asked manifests
	kill -INT $!
	wait $! || true
	assert_in "$(cat "$W/run")" cancelled
	wait_for 60 last_is slow stopped
	"$REGISTRYCTL" --data "$DATA" mirror run slow >"$W/run" 2>&1 &
	sleep 1
	started=$SECONDS
	server_stop
	wait $! || true
	[ $((SECONDS - started)) -lt 30 ] || fail 'it took too long to stop'
}

# --- credentials --------------------------------------------------------------

@test "credentials by name, and of the registry, from the store" {
	local token
	auth_server_start
	FAR_HOST=$HOST
	repository_make src/app
	login admin
	image_push src/app v1
	token=${TOKEN:?}
	logout
	server_start
	mirror_add locked "$FAR_HOST/src/app" mirror/locked --credential robot
	mirror_add own "$FAR_HOST/src/app" mirror/own
	mirror_run locked
	assert_eq "$code" 1 "exit of: $out"
	printf '%s\n' "$token" | ctl secret put robot --username AWS \
		--password-stdin
	mirror_run locked
	assert_eq "$code" 0 "exit of: $out"
	assert_eq "$(tags_here mirror/locked)" v1
	mirror_run own
	assert_eq "$code" 1 "exit of: $out"
	printf '%s' "$KEY_SECRET" >"$W/secret"
	ctl secret put "http://$FAR_HOST" --access-key-id "$KEY_ID" \
		--region "$REGION" --file "$W/secret"
	mirror_run own
	assert_eq "$code" 0 "exit of: $out"
	ctl_run secret list
	assert_in "$out" "http://$FAR_HOST"
	case $out in
	*"$KEY_SECRET"*) fail 'a secret is shown' ;;
	esac
	ctl secret remove robot
	mirror_run locked
	assert_eq "$code" 1 "exit of: $out"
	# Nothing of it stands in the folder as it is.
	! grep -rqaF "$KEY_SECRET" "$DATA" || fail 'a secret is readable'
}
