#!/usr/bin/env bats
# Lifecycle policies carried out, and the disk given back, with the real clients:
# what a preview said is what happens, what should stay pulls, and what is gone
# is gone from the disk.
load helper

setup_file() {
	[ -z "${E2E_HOST:-}" ] || skip 'needs servers of its own'
	aws_find
}

setup() {
	W=$BATS_TEST_TMPDIR
	REPO=life/app
	HTTP_OPTIONS=()
	client_home "$W/client"
	aws_env
	# Anything signs; nobody looks.
	export AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x
	# Long enough for a push, also on a busy machine.
	export REGISTRYD_GC_GRACE=3s
}

teardown() {
	docker_stop
	servers_clean
	client_gone
}

# --- words --------------------------------------------------------------------

# at_day OFFSET: the same folder, at another time.
at_day() {
	[ -z "${SERVER_PID:-}" ] || not_running "$SERVER_PID" || server_stop
	if [ "$1" = 0 ]; then
		SERVER_WRAP='' server_start --data "$W/data"
	else
		fake_time "$1"
		SERVER_WRAP=$FAKE_TIME server_start --data "$W/data"
	fi
}

ask() { # OPERATION JSON
	http POST / -H "X-Amz-Target: AmazonEC2ContainerRegistry_V20150921.$1" \
		-H 'Content-Type: application/x-amz-json-1.1' --data-binary "$2"
}

policy_put() { # REPOSITORY POLICY
	ask PutLifecyclePolicy "$(jq -cn --arg r "$1" --arg p "$2" \
		'{repositoryName: $r, lifecyclePolicyText: $p}')"
	expect 200
}

rule() { # PRIORITY SELECTION [archive]
	local action='"type":"expire"'
	[ -z "${3:-}" ] ||
		action='"type":"transition","targetStorageClass":"archive"'
	printf '{"rulePriority":%s,"description":"%s","selection":{%s},"action":{%s}}' \
		"$1" 'words that make the text as long as it has to be' "$2" \
		"$action"
}

policy() { # RULE...
	local IFS=,
	printf '{"rules":[%s]}' "$*"
}

tagged() { # tagPrefixList|tagPatternList TEXT...
	local list=$1
	shift
	printf '"tagStatus":"tagged","%s":%s' "$list" \
		"$(jq -cn '$ARGS.positional' --args "$@")"
}

more_than() {
	printf '"countType":"imageCountMoreThan","countNumber":%s' "$1"
}

days() { # countType DAYS
	printf '"countType":"%s","countUnit":"days","countNumber":%s' "$1" "$2"
}

ANY='"tagStatus":"any"'
UNTAGGED='"tagStatus":"untagged"'

# big_push REPOSITORY TAG [BYTES]: an image with a layer in a file of its own;
# sets DIGEST, LAYER and MANIFEST.
big_push() {
	local dir=$W/image
	mkdir -p "$dir"
	random_file "$dir/layer" "${3:-400000}"
	printf '{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":["%s"]}}' \
		"$(digest_of "$dir/layer")" >"$dir/config"
	blob_push "$1" "$dir/layer"
	LAYER=$DIGEST
	blob_push "$1" "$dir/config"
	MANIFEST=$dir/manifest
	printf '{"schemaVersion":2,"mediaType":"%s","config":%s,"layers":[%s]}' \
		"$OCI_MANIFEST" \
		"$(descriptor application/vnd.oci.image.config.v1+json \
			"$dir/config")" \
		"$(descriptor application/vnd.oci.image.layer.v1.tar \
			"$dir/layer")" >"$MANIFEST"
	manifest_put "$1" "$2" "$MANIFEST"
	expect 201
	DIGEST=$(digest_of "$MANIFEST")
}

blob_file() { # DIGEST [FOLDER]
	find "$DATA/${2:-blobs}" -name "${1#*:}*" -type f
}

tags_are() { # REPOSITORY TAG...
	local repository=$1
	shift
	http GET "/v2/$repository/tags/list"
	expect 200
	assert_eq "$(jq -r '.tags // [] | join(" ")' "$BODY")" "$*" "the tags"
}

lifecycle_run() { # [ARGUMENT...]
	ctl_run lifecycle run "$@"
	assert_eq "$code" 0 "exit of lifecycle run: $out"
}

# Collections find nothing to do before a grace has passed since the start, and
# since the last need went.
gone_from_disk() { # DIGEST
	ctl gc >/dev/null && [ -z "$(blob_file "$1")" ]
}

fsck_clean() {
	ctl_run fsck
	assert_eq "$code" 0 "fsck: $out"
}

used() {
	du -sb "$DATA/blobs" | cut -f 1
}

# --- the two policies that every course begins with ---------------------------

@test "images expire 30 days after their push, and their bytes leave the disk" {
	local old before
	need_preload
	at_day -31d
	ask CreateRepository "{\"repositoryName\":\"$REPO\"}"
	big_push "$REPO" old
	old=$LAYER
	policy_put "$REPO" "$(policy "$(rule 1 "$ANY,$(days sinceImagePushed 30)")")"
	at_day -29d
	big_push "$REPO" young
	at_day 0
	before=$(used)
	lifecycle_run --repository "$REPO"
	assert_in "$out" 1
	tags_are "$REPO" young
	http GET "/v2/$REPO/manifests/old"
	expect 404 MANIFEST_UNKNOWN
	http GET "/v2/$REPO/manifests/young"
	expect 200
	wait_for 60 gone_from_disk "$old" || fail "still there: $(ctl gc)"
	[ $((before - $(used))) -ge 400000 ] || fail "$before, now $(used)"
	http GET "/v2/$REPO/blobs/$LAYER"
	expect 200
	fsck_clean
}

@test "only one untagged image is kept" {
	local first second
	at_day 0
	big_push "$REPO" latest
	first=$DIGEST
	big_push "$REPO" latest
	second=$DIGEST
	big_push "$REPO" latest
	policy_put "$REPO" "$(policy "$(rule 1 "$UNTAGGED,$(more_than 1)")")"
	lifecycle_run
	http GET "/v2/$REPO/manifests/$first"
	expect 404
	http GET "/v2/$REPO/manifests/$second"
	expect 200
	tags_are "$REPO" latest
	# Again: there is nothing left to do.
	lifecycle_run
	http GET "/v2/$REPO/manifests/$second"
	expect 200
	fsck_clean
}

# --- preview, then run --------------------------------------------------------

# What a preview said goes and stays, as digests.
preview_says() { # POLICY
	ask StartLifecyclePolicyPreview "$(jq -cn --arg r "$REPO" --arg p "$1" \
		'{repositoryName: $r, lifecyclePolicyText: $p}')"
	expect 200
	preview_ended() {
		ask GetLifecyclePolicyPreview "{\"repositoryName\":\"$REPO\"}"
		[ "$(jq -r .status "$BODY")" = COMPLETE ]
	}
	wait_for 60 preview_ended || fail "$(cat "$BODY")"
	jq -r '.previewResults[].imageDigest' "$BODY" | sort >"$W/says"
}

images_list() {
	ask ListImages "{\"repositoryName\":\"$REPO\",\"maxResults\":1000}"
	expect 200
	jq -r '.imageIds[].imageDigest' "$BODY" | sort -u
}

@test "what a preview says is what happens: prefixes, patterns, count and age" {
	local text tag
	need_preload
	at_day -40d
	for tag in prod-1 prod-2 dev-1 dev-2 feature-x release-1; do
		big_push "$REPO" "$tag" 1000
	done
	at_day -10d
	for tag in prod-3 dev-3 feature-y release-2 dev-4 dev-5; do
		big_push "$REPO" "$tag" 1000
	done
	big_push "$REPO" moved 1000
	big_push "$REPO" moved 1000
	text=$(policy \
		"$(rule 10 "$(tagged tagPrefixList prod release),$(more_than 9)")" \
		"$(rule 20 "$(tagged tagPrefixList prod),$(more_than 2)")" \
		"$(rule 30 "$(tagged tagPatternList 'dev-*'),$(more_than 3)")" \
		"$(rule 40 "$(tagged tagPatternList '*ature-*'),$(days sinceImagePushed 30)")" \
		"$(rule 50 "$UNTAGGED,$(days sinceImagePushed 9)")" \
		"$(rule 60 "$ANY,$(days sinceImagePushed 35)" archive)")
	at_day 0
	images_list >"$W/before"
	preview_says "$text"
	# Looking has done nothing.
	images_list | cmp - "$W/before"
	policy_put "$REPO" "$text"
	lifecycle_run --repository "$REPO"
	images_list >"$W/after"
	comm -23 "$W/before" "$W/after" | cmp - "$W/says" ||
		fail "said: $(cat "$W/says"); went: $(comm -23 "$W/before" "$W/after")"
	tags_are "$REPO" dev-3 dev-4 dev-5 feature-y moved prod-2 prod-3 \
		release-1 release-2
	# release-1 is archived: there, and not to be pulled.
	http GET "/v2/$REPO/manifests/release-1"
	expect 404 MANIFEST_UNKNOWN
	ask GetLifecyclePolicy "{\"repositoryName\":\"$REPO\"}"
	expect 200
	jq -e '.lastEvaluatedAt > 1000000000' "$BODY" || fail "$(cat "$BODY")"
	fsck_clean
}

@test "the aws CLI and registryctl agree about what a policy would do" {
	local n text
	at_day 0
	big_push "$REPO" one 1000
	big_push "$REPO" two 1000
	big_push "$REPO" three 1000
	text=$(policy "$(rule 7 "$ANY,$(more_than 1)")")
	printf '%s' "$text" >"$W/policy.json"
	ctl_run --output json lifecycle preview "$REPO" --policy "$W/policy.json"
	assert_eq "$code" 0 "$out"
	assert_eq "$(jq -c '[.lines[].tags[0]]' <<<"$out")" '["one","two"]'
	assert_eq "$(jq -c '[.lines[].rule] | unique' <<<"$out")" '[7]'
	for n in 1 2; do
		local which=AWS$n
		[ -n "${!which}" ] || continue
		cli "$n" ecr start-lifecycle-policy-preview --repository-name \
			"$REPO" --lifecycle-policy-text "$text" >/dev/null
		shown() {
			cli "$n" ecr get-lifecycle-policy-preview \
				--repository-name "$REPO" >"$W/out" &&
				[ "$(jq -r .status "$W/out")" = COMPLETE ]
		}
		wait_for 60 shown || fail "$(cat "$W/out")"
		assert_eq "$(jq -c '[.previewResults[].imageTags[0]]' "$W/out")" \
			'["one","two"]'
	done
	tags_are "$REPO" one three two
	# A comparison says what is different.
	policy_put "$REPO" "$(policy "$(rule 1 "$ANY,$(more_than 2)")")"
	ctl_run lifecycle preview "$REPO" --policy "$W/policy.json" --diff
	assert_eq "$code" 0 "$out"
	grep -q '^+.*two' <<<"$out" || fail "$out"
}

# --- when it runs -------------------------------------------------------------

@test "a policy is carried out by itself, one interval after it was set and not at start-up" {
	need_preload
	export REGISTRYD_LIFECYCLE_INTERVAL=1h REGISTRYD_LIFECYCLE_JITTER=0s
	at_day 0
	big_push "$REPO" one 1000
	big_push "$REPO" two 1000
	policy_put "$REPO" "$(policy "$(rule 1 "$ANY,$(more_than 1)")")"
	at_day 0
	sleep 2
	tags_are "$REPO" one two
	ctl_run --output json lifecycle status
	assert_eq "$(jq -c '.policies[0] | [.repository, .last, .evaluated]' \
		<<<"$out")" "[\"$REPO\",null,null]"
	jq -e '.policies[0].next' <<<"$out" || fail "$out"
	# 59 minutes later not yet; and then, though not because of the start.
	at_day +59m
	sleep 2
	tags_are "$REPO" one two
	server_stop
	export REGISTRYD_LIFECYCLE_INTERVAL=3s
	server_start --data "$W/data"
	went() {
		http GET "/v2/$REPO/tags/list"
		[ "$(jq -c .tags "$BODY")" = '["two"]' ]
	}
	tags_are "$REPO" one two
	wait_for 60 went || fail "$(cat "$BODY")"
	ctl_run lifecycle status
	assert_in "$out" "$REPO"
	ctl_run --output json lifecycle status --repository "$REPO"
	assert_eq "$(jq -r '.policies[0].last.outcome' <<<"$out")" done
	assert_eq "$(jq -r '.policies[0].last.expired' <<<"$out")" 1
}

@test "outside of its window nothing is carried out by itself" {
	export TZ=UTC REGISTRYD_LIFECYCLE_INTERVAL=1s REGISTRYD_LIFECYCLE_JITTER=0s
	REGISTRYD_LIFECYCLE_WINDOW=$(date -ud '+2 hours' +%H:%M)-$(date -ud \
		'+4 hours' +%H:%M)
	export REGISTRYD_LIFECYCLE_WINDOW
	at_day 0
	big_push "$REPO" one 1000
	big_push "$REPO" two 1000
	policy_put "$REPO" "$(policy "$(rule 1 "$ANY,$(more_than 1)")")"
	sleep 4
	tags_are "$REPO" one two
	REGISTRYD_LIFECYCLE_WINDOW=$(date -ud '-2 hours' +%H:%M)-$(date -ud \
		'+2 hours' +%H:%M)
	at_day 0
	went() {
		http GET "/v2/$REPO/tags/list"
		[ "$(jq -c .tags "$BODY")" = '["two"]' ]
	}
	wait_for 60 went || fail "$(cat "$BODY")"
}

@test "lifecycle run says with its exit what came of it" {
	at_day 0
	ctl_run lifecycle run --repository none/such
	assert_eq "$code" 1 "$out"
	assert_in "$out" none/such
	big_push "$REPO" one 1000
	ctl_run lifecycle run --repository "$REPO"
	assert_eq "$code" 1 "$out"
	assert_in "$out" policy
	# Of all repositories none has one.
	ctl_run lifecycle run
	assert_eq "$code" 0 "$out"
	policy_put "$REPO" "$(policy "$(rule 1 "$ANY,$(more_than 1)")")"
	big_push "$REPO" two 1000
	ctl_run --output json lifecycle run
	assert_eq "$code" 0 "$out"
	assert_eq "$(jq -c '.totals | [.expired, .archived, .failed]' <<<"$out")" \
		'[1,0,0]'
	server_stop
	ctl_run lifecycle run
	assert_eq "$code" 1 "$out"
	assert_in "$out" registryd
}

@test "the audit log names image, tags, rule and policy, and the bytes that went" {
	local digest
	at_day 0
	big_push "$REPO" one
	digest=$DIGEST
	big_push "$REPO" two 1000
	policy_put "$REPO" "$(policy "$(rule 42 "$ANY,$(more_than 1)")")"
	lifecycle_run
	assert_eq "$(stat -c %a "$DATA/audit.log")" 600
	jq -se --arg d "$digest" --arg r "$REPO" '.[] | select(.event ==
		"lifecycle-expire" and .digest == $d and .repository == $r and
		.tags == ["one"] and .rule == 42 and .policy_revision > 0)' \
		"$DATA/audit.log" || fail "$(cat "$DATA/audit.log")"
	reclaimed() {
		ctl gc >/dev/null
		jq -se --arg r "$REPO" '[.[] | select(.event == "gc" and
			.repository == $r) | .bytes] | add >= 400000' \
			"$DATA/audit.log" >"$W/out"
	}
	wait_for 60 reclaimed || fail "$(cat "$DATA/audit.log")"
}

# --- clients at work ----------------------------------------------------------

@test "pushes during expiry and collection all succeed and all pull" {
	local i n=0 failed=0
	need skopeo
	at_day 0
	policy_put_all() {
		ask CreateRepository "{\"repositoryName\":\"$REPO\"}"
		policy_put "$REPO" "$(policy \
			"$(rule 1 "$(tagged tagPrefixList keep),$(more_than 1000)")" \
			"$(rule 2 "$ANY,$(more_than 1)")")"
	}
	policy_put_all
	"$PYTHON" "$TOP/tests/e2e/fill.py" "$URL" "$REPO" 400
	( while [ ! -e "$W/enough" ]; do
		ctl lifecycle run >/dev/null || exit 1
		ctl gc >/dev/null || exit 1
	done ) &
	local loop=$!
	for i in 1 2 3 4 5 6 7 8; do
		"$PYTHON" "$TOP/tests/e2e/mkimage.py" "$W/oci$i" --layers 3 \
			>/dev/null 2>&1 || true
		big_push "$REPO" "keep-$i" 300000
		cp "$MANIFEST" "$W/keep-$i"
		"$PYTHON" "$TOP/tests/e2e/fill.py" "$URL" "$REPO" 40 || failed=1
	done
	: >"$W/enough"
	wait "$loop" || fail 'a run or a collection failed'
	assert_eq "$failed" 0 'failed pushes'
	for i in 1 2 3 4 5 6 7 8; do
		skopeo copy --src-tls-verify=false \
			"docker://$HOST/$REPO:keep-$i" "dir:$W/pulled-$i" >/dev/null
		cmp "$W/pulled-$i/manifest.json" "$W/keep-$i"
	done
	fsck_clean
}

@test "docker pushes, a policy expires, docker pulls what is kept and nothing else" {
	need_root
	docker_start
	[ -z "$DOCKER_WHY" ] || { docker_stop; skip "$DOCKER_WHY"; }
	at_day 0
	for i in 1 2 3; do
		head -c 200000 /dev/urandom >"$W/file"
		tar -C "$W" -c file | docker import - "$HOST/$REPO:v$i" >/dev/null
		docker push -q "$HOST/$REPO:v$i" >/dev/null
		docker rmi "$HOST/$REPO:v$i" >/dev/null
	done
	policy_put "$REPO" "$(policy "$(rule 1 "$ANY,$(more_than 1)")")"
	lifecycle_run
	! docker pull -q "$HOST/$REPO:v1" >/dev/null 2>&1 ||
		fail 'v1 can be pulled'
	docker pull -q "$HOST/$REPO:v3" >/dev/null
	docker_stop
	fsck_clean
}

@test "podman pushes, a policy expires, podman pulls what is kept and nothing else" {
	need podman
	at_day 0
	mkdir "$W/root"
	for i in 1 2 3; do
		printf 'FROM scratch\nCOPY root /\nLABEL n=%s\n' "$i" >"$W/Dockerfile"
		head -c 200000 /dev/urandom >"$W/root/file"
		buildah build -q -t "$HOST/$REPO:v$i" -f "$W/Dockerfile" "$W" \
			>/dev/null
		podman push -q --tls-verify=false "$HOST/$REPO:v$i"
		podman rmi -f "$HOST/$REPO:v$i" >/dev/null
	done
	policy_put "$REPO" "$(policy "$(rule 1 "$ANY,$(more_than 1)")")"
	lifecycle_run
	! podman pull -q --tls-verify=false "$HOST/$REPO:v1" >/dev/null 2>&1 ||
		fail 'v1 can be pulled'
	podman pull -q --tls-verify=false "$HOST/$REPO:v3" >/dev/null
	# And what is expired can be pushed again.
	buildah build -q -t "$HOST/$REPO:v1" -f "$W/Dockerfile" "$W" >/dev/null
	podman push -q --tls-verify=false "$HOST/$REPO:v1"
	podman pull -q --tls-verify=false "$HOST/$REPO:v1" >/dev/null
	fsck_clean
}

@test "an index goes first, its images in the next run" {
	local child
	at_day 0
	big_push "$REPO" child 1000
	child=$(descriptor "$OCI_MANIFEST" "$MANIFEST")
	printf '{"schemaVersion":2,"mediaType":"%s","manifests":[%s]}' \
		"$OCI_INDEX" "$child" >"$W/index"
	manifest_put "$REPO" multi "$W/index" "$OCI_INDEX"
	expect 201
	big_push "$REPO" new 1000
	policy_put "$REPO" "$(policy "$(rule 1 "$ANY,$(more_than 1)")")"
	lifecycle_run
	tags_are "$REPO" child new
	lifecycle_run
	tags_are "$REPO" new
}

# --- signatures ---------------------------------------------------------------

@test "a signature goes a grace after its image, cosign's by tag too; one without an image stays" {
	local subject hex signature alone
	at_day 0
	artifact_push "$REPO" digest '' application/vnd.example.alone
	# Whose subject was never here.
	printf '{"schemaVersion":2,"nothing":true}' >"$W/never"
	artifact_push "$REPO" digest "$W/never" application/vnd.example.sig
	alone=$DIGEST
	big_push "$REPO" app 1000
	subject=$DIGEST hex=${DIGEST#sha256:}
	artifact_push "$REPO" digest "$W/image/manifest" application/vnd.example.sig
	signature=$DIGEST
	artifact_push "$REPO" "sha256-$hex.sig" '' application/vnd.example.sig cosign
	artifact_push "$REPO" "sha256-$hex.att" '' application/vnd.example.att cosign
	http DELETE "/v2/$REPO/manifests/$subject"
	expect 202
	followed() {
		ctl gc >/dev/null
		http GET "/v2/$REPO/manifests/$signature"
		[ "$STATUS" = 404 ] || return 1
		http GET "/v2/$REPO/tags/list"
		[ "$(jq -c '.tags // []' "$BODY")" = '[]' ]
	}
	wait_for 60 followed || fail "$STATUS $(cat "$BODY")"
	http GET "/v2/$REPO/manifests/$alone"
	expect 200
	fsck_clean
}

# --- the archive --------------------------------------------------------------

status_set() { # DIGEST CLASS
	ask UpdateImageStorageClass "{\"repositoryName\":\"$REPO\",\"imageId\":{\"imageDigest\":\"$1\"},\"targetStorageClass\":\"$2\"}"
	expect 200
}

image_is() { # DIGEST STATUS
	ask DescribeImages "{\"repositoryName\":\"$REPO\",\"imageIds\":[{\"imageDigest\":\"$1\"}]}"
	[ "$(jq -r '.imageDetails[0].imageStatus' "$BODY")" = "$2" ]
}

@test "what only archived images need moves to the archive, on another disk, and comes back" {
	local digest layer shared
	export REGISTRYD_ARCHIVE_DIR=$W/slow
	at_day 0
	# A layer that compresses well, and one that another image needs too.
	mkdir -p "$W/image"
	yes 'the same line' | head -c 2000000 >"$W/image/layer"
	blob_push "$REPO" "$W/image/layer"
	layer=$DIGEST
	random_file "$W/image/shared" 300000
	blob_push "$REPO" "$W/image/shared"
	shared=$DIGEST
	printf '{}' >"$W/image/config"
	blob_push "$REPO" "$W/image/config"
	printf '{"schemaVersion":2,"mediaType":"%s","config":%s,"layers":[%s,%s]}' \
		"$OCI_MANIFEST" "$(descriptor "$OCI_EMPTY" "$W/image/config")" \
		"$(descriptor application/vnd.oci.image.layer.v1.tar "$W/image/layer")" \
		"$(descriptor application/vnd.oci.image.layer.v1.tar "$W/image/shared")" \
		>"$W/image/manifest"
	manifest_put "$REPO" cold "$W/image/manifest"
	expect 201
	digest=$(digest_of "$W/image/manifest")
	printf '{"schemaVersion":2,"mediaType":"%s","config":%s,"layers":[%s]}' \
		"$OCI_MANIFEST" "$(descriptor "$OCI_EMPTY" "$W/image/config")" \
		"$(descriptor application/vnd.oci.image.layer.v1.tar "$W/image/shared")" \
		>"$W/image/warm"
	manifest_put "$REPO" warm "$W/image/warm"
	expect 201
	status_set "$digest" ARCHIVE
	http GET "/v2/$REPO/manifests/cold"
	expect 404 MANIFEST_UNKNOWN
	moved() {
		ctl gc >/dev/null && [ -z "$(blob_file "$layer")" ]
	}
	wait_for 60 moved || fail "$(ctl gc)"
	[ -n "$(blob_file "$shared")" ] || fail 'the shared layer moved'
	[ "$(du -sb "$W/slow" | cut -f 1)" -lt 500000 ] || fail 'not compressed'
	fsck_clean
	http GET "/v2/$REPO/manifests/warm"
	expect 200
	status_set "$digest" STANDARD
	wait_for 60 image_is "$digest" ACTIVE || fail "$(cat "$BODY")"
	http GET "/v2/$REPO/manifests/cold"
	expect 200
	http GET "/v2/$REPO/blobs/$layer"
	expect 200
	cmp "$BODY" "$W/image/layer"
	assert_eq "$(find "$W/slow/sha256" -type f 2>/dev/null | wc -l)" 0 \
		'files left in the archive'
	jq -e '.imageDetails[0] | .lastArchivedAt and .lastActivatedAt' <(
		image_is "$digest" ACTIVE; cat "$BODY") || fail "$(cat "$BODY")"
	fsck_clean
}

@test "pushing an archived image again restores it, its layers too" {
	local layer digest
	need skopeo
	at_day 0
	big_push "$REPO" cold
	layer=$LAYER digest=$DIGEST
	skopeo copy --preserve-digests --src-tls-verify=false \
		"docker://$HOST/$REPO:cold" "oci:$W/kept:cold" >/dev/null
	status_set "$digest" ARCHIVE
	moved() {
		ctl gc >/dev/null && [ -z "$(blob_file "$layer")" ]
	}
	wait_for 60 moved || fail "$(ctl gc)"
	skopeo copy --preserve-digests --dest-tls-verify=false "oci:$W/kept:cold" \
		"docker://$HOST/$REPO:cold" >/dev/null
	image_is "$digest" ACTIVE || fail "$(cat "$BODY")"
	skopeo copy --src-tls-verify=false "docker://$HOST/$REPO:cold" \
		"dir:$W/again" >/dev/null
	fsck_clean
}

# --- undelete -----------------------------------------------------------------

@test "what was deleted can be had back inside of the window, and by nobody else" {
	local digest layer
	export REGISTRYD_LIFECYCLE_UNDELETE_WINDOW=1h
	at_day 0
	big_push "$REPO" v1
	digest=$DIGEST layer=$LAYER
	image_push "$REPO" v1b x
	http DELETE "/v2/$REPO/manifests/$digest"
	expect 202
	http GET "/v2/$REPO/manifests/$digest"
	expect 404
	tags_are "$REPO" v1b
	sleep 2
	ctl_run gc
	[ -n "$(blob_file "$layer")" ] || fail 'its layer is gone'
	ctl_run --output json stats
	assert_eq "$(jq -r .store.deleted_images <<<"$out")" 1
	hidden() {
		ctl gc >/dev/null
		http GET "/v2/$REPO/blobs/$layer"
		[ "$STATUS" = 404 ]
	}
	wait_for 60 hidden || fail 'the layer of a deleted image can be had'
	http POST "/v2/other/app/blobs/uploads/?mount=$layer&from=$REPO"
	expect 202
	ctl_run undelete --list "$REPO"
	assert_eq "$code" 0 "$out"
	assert_in "$out" "$digest"
	ctl_run undelete "$REPO" v1
	assert_eq "$code" 0 "$out"
	http GET "/v2/$REPO/manifests/v1"
	expect 200
	assert_eq "$(header Docker-Content-Digest)" "$digest"
	http GET "/v2/$REPO/blobs/$layer"
	expect 200
	# A whole repository.
	ask DeleteRepository "{\"repositoryName\":\"$REPO\",\"force\":true}"
	expect 200
	http GET "/v2/$REPO/tags/list"
	expect 404
	ctl_run undelete "$REPO"
	assert_eq "$code" 0 "$out"
	tags_are "$REPO" v1 v1b
	# Somebody is quicker and makes another one, which goes again.
	ask DeleteRepository "{\"repositoryName\":\"$REPO\",\"force\":true}"
	expect 200
	image_push "$REPO" junk junk
	ask DeleteRepository "{\"repositoryName\":\"$REPO\",\"force\":true}"
	expect 200
	ctl_run --output json undelete --list
	local id
	id=$(jq -r --arg r "$REPO" '[.[] | select(.name == $r) | .id] | min' \
		<<<"$out")
	ctl_run undelete --id "$id" "$REPO"
	assert_eq "$code" 0 "$out"
	tags_are "$REPO" v1 v1b
	ctl_run undelete "$REPO" none
	assert_eq "$code" 1 "$out"
	fsck_clean
	# Without a window it all goes.
	http DELETE "/v2/$REPO/manifests/$digest"
	expect 202
	unset REGISTRYD_LIFECYCLE_UNDELETE_WINDOW
	at_day 0
	wait_for 60 gone_from_disk "$layer" || fail "$(ctl gc)"
	fsck_clean
}

# --- collection ---------------------------------------------------------------

@test "what a client was told is there stays for the grace, and its manifest is taken" {
	local file=$W/layer
	export REGISTRYD_GC_GRACE=6s
	at_day 0
	sleep 7
	random_file "$file" 300000
	blob_push "$REPO" "$file"
	for i in 1 2 3 4; do
		sleep 2
		# Each HEAD is a promise anew.
		http HEAD "/v2/$REPO/blobs/$DIGEST"
		expect 200
		ctl gc >/dev/null
	done
	printf '{}' >"$W/config"
	local layer=$DIGEST
	blob_push "$REPO" "$W/config"
	printf '{"schemaVersion":2,"mediaType":"%s","config":%s,"layers":[%s]}' \
		"$OCI_MANIFEST" "$(descriptor "$OCI_EMPTY" "$W/config")" \
		"$(descriptor application/vnd.oci.image.layer.v1.tar "$file")" \
		>"$W/manifest"
	manifest_put "$REPO" late "$W/manifest"
	expect 201
	sleep 7
	ctl gc >/dev/null
	http GET "/v2/$REPO/blobs/$layer"
	expect 200
	# What nobody needs and nobody asks for goes.
	random_file "$file" 300000
	blob_push "$REPO" "$file"
	wait_for 60 gone_from_disk "$DIGEST" || fail "$(ctl gc)"
	http HEAD "/v2/$REPO/blobs/$DIGEST"
	expect 404
}

@test "after a start nothing is collected for one grace" {
	at_day 0
	big_push "$REPO" v1
	http DELETE "/v2/$REPO/manifests/$DIGEST"
	expect 202
	server_stop
	export REGISTRYD_GC_GRACE=1h
	sleep 2
	server_start --data "$W/data"
	ctl_run gc
	assert_eq "$code" 0 "$out"
	[ -n "$(blob_file "$LAYER")" ] || fail 'collected at once'
	ctl_run --output json gc
	jq -e '.totals.settles_ms > 0' <<<"$out" || fail "$out"
}

@test "a dry run says what a collection then does" {
	local would
	at_day 0
	big_push "$REPO" v1
	big_push other/app v1 500000
	http DELETE "/v2/$REPO/manifests/$(digest_of "$MANIFEST")"
	http DELETE "/v2/other/app/manifests/$(digest_of "$MANIFEST")"
	expect 202
	due() {
		ctl_run --output json gc --dry-run
		[ "$(jq -r .totals.blobs <<<"$out")" -ge 3 ]
	}
	# The server collects by itself, too: the dry run has to come first.
	server_stop
	REGISTRYD_GC_GRACE=10s server_start --data "$W/data"
	wait_for 60 due || fail "$out"
	would=$(jq -c '.totals | [.links, .blobs, .bytes]' <<<"$out")
	[ -n "$(blob_file "$LAYER")" ] || skip 'the server was faster'
	ctl_run --output json gc
	assert_eq "$(jq -c '.totals | [.links, .blobs, .bytes]' <<<"$out")" \
		"$would"
	[ -z "$(blob_file "$LAYER")" ] || fail 'still there'
	fsck_clean
}

@test "a download in flight finishes though its blob is collected" {
	local layer
	at_day 0
	big_push "$REPO" v1 30000000
	layer=$LAYER
	cp "$W/image/layer" "$W/want"
	curl -sS --limit-rate 2M -o "$W/got" "$URL/v2/$REPO/blobs/$layer" &
	local pull=$!
	wait_for 30 test -s "$W/got"
	http DELETE "/v2/$REPO/manifests/$DIGEST"
	expect 202
	wait_for 60 gone_from_disk "$layer" || fail "$(ctl gc)"
	not_running "$pull" && skip 'it was faster than the collection'
	wait "$pull"
	cmp "$W/got" "$W/want"
}

@test "what a crash leaves is found and removed: files, uploads, folders" {
	local orphan
	export REGISTRYD_UPLOAD_LIFETIME=2s
	at_day 0
	big_push "$REPO" v1
	http POST "/v2/$REPO/blobs/uploads/"
	http PATCH "$(header Location)" --data-binary "@$W/image/layer"
	server_kill
	# As if the record of a blob had not been written any more.
	random_file "$W/orphan" 200000
	orphan=$(digest_of "$W/orphan")
	mkdir -p "$DATA/blobs/sha256/$(cut -c 8-9 <<<"$orphan")"
	cp "$W/orphan" \
		"$DATA/blobs/sha256/$(cut -c 8-9 <<<"$orphan")/${orphan#*:}"
	: >"$DATA/uploads/0123456789abcdef0123456789abcdef"
	touch -d '1 hour ago' "$DATA/uploads/0123456789abcdef0123456789abcdef"
	server_start --data "$W/data"
	clean() {
		ctl gc >/dev/null
		[ -z "$(blob_file "$orphan")" ] &&
			[ -z "$(ls "$DATA/uploads")" ]
	}
	wait_for 60 clean || fail "$(ctl gc; ls "$DATA/uploads")"
	http GET "/v2/$REPO/manifests/v1"
	expect 200
	http DELETE "/v2/$REPO/manifests/$DIGEST"
	wait_for 60 gone_from_disk "$LAYER" || fail "$(ctl gc)"
	[ ! -d "$DATA/blobs/sha256/$(cut -c 8-9 <<<"$LAYER")" ] ||
		[ -n "$(ls "$DATA/blobs/sha256/$(cut -c 8-9 <<<"$LAYER")")" ] ||
		fail 'an empty folder is left'
	# And content of that folder can be pushed again.
	blob_push "$REPO" "$W/image/layer"
	http GET "/v2/$REPO/blobs/$LAYER"
	expect 200
	fsck_clean
}

@test "an unset name in a cron job carries out nothing" {
	at_day 0
	big_push "$REPO" one 1000
	big_push "$REPO" two 1000
	policy_put "$REPO" "$(policy "$(rule 1 "$ANY,$(more_than 1)")")"
	ctl_run lifecycle run --repository ''
	assert_eq "$code" 2 "$out"
	tags_are "$REPO" one two
}

@test "the sample policies are policies" {
	local file
	DATA=$W
	for file in "$TOP"/configs/policies/*.json; do
		case $file in
		*extension*) ctl_run lifecycle lint --extensions "$file" ;;
		*) ctl_run lifecycle lint "$file" ;;
		esac
		assert_eq "$code" 0 "$file: $out"
	done
	policy "$(rule 0 "$ANY,$(more_than 1)")" >"$W/bad"
	ctl_run lifecycle lint "$W/bad"
	assert_eq "$code" 3 "$out"
	assert_in "$out" minimum
}
