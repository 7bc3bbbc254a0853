#!/usr/bin/env bats
# Lifecycle policies with the real AWS CLI: what a preview says would happen to
# which image.  Images are pushed one after the other, so the first is the
# oldest.
load helper

setup_file() {
	[ -z "${E2E_HOST:-}" ] || skip 'needs servers of its own'
	aws_find
	shared_start
}

teardown_file() {
	shared_stop
}

setup() {
	W=$BATS_TEST_TMPDIR
	REPO=life$BATS_TEST_NUMBER/app
	HTTP_OPTIONS=()
	shared
}

teardown() {
	servers_clean
}

# --- words --------------------------------------------------------------------

images_push() { # TAG...
	local tag
	for tag; do
		image_push "$REPO" "$tag"
	done
}

# rule PRIORITY SELECTION ACTION: as members of objects; "expire" and "archive"
# are actions.
rule() {
	local action='"type":"expire"'
	[ "$3" = expire ] ||
		action='"type":"transition","targetStorageClass":"archive"'
	printf '{"rulePriority":%s,"selection":{%s},"action":{%s}}' "$1" "$2" \
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

# What an answer in FILE says: for each image its first tag, the rule, and x
# (expires) or a (is archived).
told() { # FILE
	jq -r '[.previewResults[] | (.imageTags[0] // "-") + ":" +
		(.appliedRulePriority | tostring) +
		({EXPIRE: "x", TRANSITION: "a"}[.action.type])] | join(" ")' "$1"
}

# Until what was started has ended; leaves the answer in $BODY.
preview_ended() {
	ecr GetLifecyclePolicyPreview "{\"repositoryName\":\"$REPO\"}"
	[ "$STATUS" = 200 ] && [ "$(jq -r .status "$BODY")" != IN_PROGRESS ]
}

preview_wait() {
	wait_for 60 preview_ended || fail "no end: $(cat "$BODY")"
	assert_eq "$(jq -r .status "$BODY")" COMPLETE
}

# previews POLICY WANT: of the images that there are.
previews() {
	ecr StartLifecyclePolicyPreview "$(jq -cn --arg r "$REPO" --arg p "$1" \
		'{repositoryName: $r, lifecyclePolicyText: $p}')"
	expect 200
	preview_wait
	assert_eq "$(told "$BODY")" "$2" "what $1 does"
}

# --- the CLI ------------------------------------------------------------------

ask() { # GENERATION OPERATION OPTION...
	local n=$1 operation=$2
	shift 2
	cli "$n" ecr "$operation" --repository-name "$REPO" "$@" >"$W/out"
}

preview_begins() { # GENERATION OPTION...
	local n=$1
	shift
	ask "$n" start-lifecycle-policy-preview "$@"
	assert_eq "$(jq -r .status "$W/out")" IN_PROGRESS
}

cli_day() { # GENERATION
	local n=$1 text digest
	need_aws "$n"
	repository_make "$REPO"
	login admin
	images_push dev-1
	digest=$DIGEST
	images_push prod-1 dev-2 prod-2 dev-3 other
	cli_fails "$n" LifecyclePolicyPreviewNotFoundException ecr \
		get-lifecycle-policy-preview --repository-name "$REPO"
	cli_fails "$n" LifecyclePolicyNotFoundException ecr \
		start-lifecycle-policy-preview --repository-name "$REPO"

	# Production is kept whatever the last rule says.
	text=$(policy \
		"$(rule 20 "$(tagged tagPatternList 'dev-*'),$(more_than 1)" expire)" \
		"$(rule 10 "$(tagged tagPrefixList prod),$(more_than 9)" expire)" \
		"$(rule 30 "$ANY,$(more_than 1)" archive)")
	preview_begins "$n" --lifecycle-policy-text "$text"
	assert_eq "$(jq -r .lifecyclePolicyText "$W/out")" "$text"
	if [ "$n" = 2 ] || [ -z "$AWS2" ]; then
		cli "$n" ecr wait lifecycle-policy-preview-complete \
			--repository-name "$REPO"
	else
		preview_wait
	fi
	ask "$n" get-lifecycle-policy-preview
	assert_eq "$(jq -r .status "$W/out")" COMPLETE
	assert_eq "$(told "$W/out")" 'dev-1:20x dev-2:20x'
	assert_eq "$(jq -r '.previewResults[0].imageDigest' "$W/out")" "$digest"
	assert_eq "$(jq -r '.summary.expiringImageTotalCount' "$W/out")" 2
	# What older clients do not know of, and do not show.
	preview_ended
	assert_eq "$(jq -r '.previewResults[0].storageClass' "$BODY")" STANDARD
	assert_eq "$(jq -c .summary "$BODY")" \
		'{"expiringImageTotalCount":2,"transitioningImageTotalCounts":[]}'
	# It was only looked at.
	cli_fails "$n" LifecyclePolicyNotFoundException ecr \
		get-lifecycle-policy --repository-name "$REPO"
	ask "$n" list-images --query 'length(imageIds)'
	assert_eq "$(cat "$W/out")" 6

	# Without a text it is the policy of the repository.
	text=$(policy "$(rule 1 "$ANY,$(more_than 2)" archive)")
	ask "$n" put-lifecycle-policy --lifecycle-policy-text "$text"
	preview_begins "$n"
	preview_wait
	assert_eq "$(jq -c .summary.transitioningImageTotalCounts "$BODY")" \
		'[{"targetStorageClass":"ARCHIVE","imageTotalCount":4}]'
	ask "$n" get-lifecycle-policy-preview --page-size 1
	assert_eq "$(told "$W/out")" 'dev-1:1a prod-1:1a dev-2:1a prod-2:1a'
	ask "$n" get-lifecycle-policy-preview --max-items 3
	assert_eq "$(told "$W/out")" 'dev-1:1a prod-1:1a dev-2:1a'
	ask "$n" get-lifecycle-policy-preview --starting-token \
		"$(jq -r .NextToken "$W/out")"
	assert_eq "$(told "$W/out")" 'prod-2:1a'
	ask "$n" get-lifecycle-policy-preview --image-ids imageTag=prod-2 \
		imageTag=other imageDigest="$digest"
	assert_eq "$(told "$W/out")" 'dev-1:1a prod-2:1a'
	ask "$n" get-lifecycle-policy-preview --filter tagStatus=UNTAGGED
	assert_eq "$(told "$W/out")" ''
	cli_fails "$n" InvalidParameterException ecr \
		get-lifecycle-policy-preview --repository-name "$REPO" \
		--no-paginate --next-token nonsense
}

@test "aws v2: a preview is started, waited for and read" {
	cli_day 2
}

@test "aws v1: a preview is started, waited for and read" {
	cli_day 1
}

# --- which images -------------------------------------------------------------

@test "prefixes, patterns and lists select by tags" {
	repository_make "$REPO"
	login admin
	images_push alpha-1 alpha-2 beta-1 gamma
	# The first two of them have another tag each.
	image_push "$REPO" beta-2 "$REPO:alpha-1"
	image_push "$REPO" release "$REPO:alpha-2"
	images_push alpha-3
	previews "$(policy "$(rule 1 "$(tagged tagPrefixList alpha),$(more_than 1)" expire)")" \
		'alpha-1:1x alpha-2:1x'
	previews "$(policy "$(rule 1 "$(tagged tagPrefixList 'al*'),$(more_than 1)" expire)")" \
		''
	# All of a list, by whichever tags.
	previews "$(policy "$(rule 1 "$(tagged tagPatternList 'alpha*' '*eta-2'),$(more_than 1)" expire)")" \
		''
	images_push alpha-4
	image_push "$REPO" beta-2 "$REPO:alpha-4"
	image_push "$REPO" beta-2b "$REPO:alpha-1"
	previews "$(policy "$(rule 1 "$(tagged tagPatternList 'alpha*' 'beta-2*'),$(more_than 1)" expire)")" \
		'alpha-1:1x'
	previews "$(policy "$(rule 1 "$(tagged tagPatternList '*a'),$(more_than 1)" expire)")" \
		''
	previews "$(policy "$(rule 1 "$ANY,$(more_than 4)" expire)")" \
		'alpha-1:1x alpha-2:1x'
}

@test "an image that an index refers to is counted, and stays" {
	local child
	repository_make "$REPO"
	login admin
	images_push child
	child=$(descriptor "$OCI_MANIFEST" "$MANIFEST")
	printf '{"schemaVersion":2,"mediaType":"%s","manifests":[%s]}' \
		"$OCI_INDEX" "$child" >"$W/index"
	manifest_put "$REPO" multi "$W/index" "$OCI_INDEX"
	expect 201
	images_push new
	previews "$(policy "$(rule 1 "$ANY,$(more_than 1)" expire)")" 'multi:1x'
	previews "$(policy "$(rule 1 "$ANY,$(more_than 2)" expire)")" ''
	previews "$(policy "$(rule 1 "$ANY,$(more_than 2)" archive)")" ''
	http DELETE "/v2/$REPO/manifests/$(digest_of "$W/index")"
	expect 202
	previews "$(policy "$(rule 1 "$ANY,$(more_than 1)" expire)")" 'child:1x'
}

# An artifact without a tag, about MANIFEST or about nothing: sets DIGEST.
artifact_push() { # TEXT SUBJECT
	printf '{}' >"$W/empty"
	blob_push "$REPO" "$W/empty"
	printf '{"schemaVersion":2,"mediaType":"%s","artifactType":"a/%s",
		"config":{"mediaType":"%s","digest":"%s","size":2},
		"layers":[]%s}' "$OCI_MANIFEST" "$1" "$OCI_EMPTY" \
		"$EMPTY_DIGEST" "${2:+,\"subject\":$2}" >"$W/artifact"
	DIGEST=$(digest_of "$W/artifact")
	manifest_put "$REPO" "$DIGEST" "$W/artifact"
	expect 201
}

@test "no rule for images without tags takes a signature whose image is there" {
	local subject first
	repository_make "$REPO"
	login admin
	images_push app
	subject=$(descriptor "$OCI_MANIFEST" "$MANIFEST")
	artifact_push signature "$subject"
	artifact_push first ''
	first=$DIGEST
	artifact_push second ''
	previews "$(policy "$(rule 1 "$UNTAGGED,$(more_than 1)" expire)")" -:1x
	assert_eq "$(jq -r '.previewResults[0].imageDigest' "$BODY")" "$first"
	# Without its subject it is one of them.
	http DELETE "/v2/$REPO/manifests/$(jq -r .digest <<<"$subject")"
	expect 202
	previews "$(policy "$(rule 1 "$UNTAGGED,$(more_than 1)" expire)")" \
		'-:1x -:1x'
}

# --- other times --------------------------------------------------------------

# A server without users: who comes from another day has no fitting signature.
at_day() { # OFFSET
	server_stop
	if [ "$1" = 0 ]; then
		server_start --data "$W/data"
	else
		fake_time "$1"
		SERVER_WRAP=$FAKE_TIME server_start --data "$W/data"
	fi
}

@test "images are as old as their push, to the day" {
	need_preload
	fake_time -40d
	SERVER_WRAP=$FAKE_TIME server_start --data "$W/data"
	repository_make "$REPO"
	images_push forty release
	at_day -20d
	# Another tag makes no image younger.
	image_push "$REPO" forty-b "$REPO:forty"
	images_push twenty
	at_day 0
	images_push today
	previews "$(policy "$(rule 1 "$ANY,$(days sinceImagePushed 30)" expire)")" \
		'forty:1x release:1x'
	previews "$(policy \
		"$(rule 1 "$(tagged tagPrefixList release),$(days sinceImagePushed 100)" expire)" \
		"$(rule 2 "$ANY,$(days sinceImagePushed 10)" archive)")" \
		'forty:2a twenty:2a'
	previews "$(policy "$(rule 1 "$ANY,$(days sinceImagePushed 41)" expire)")" ''
	http GET "/v2/$REPO/manifests/forty"
	expect 200
	# Pulls are written by and by, at the latest now.
	at_day 0
	previews "$(policy "$(rule 1 "$ANY,$(days sinceImagePulled 30)" archive)")" \
		'release:1a'
	# Results are kept for a day.
	at_day +25h
	expired() {
		ecr GetLifecyclePolicyPreview "{\"repositoryName\":\"$REPO\"}"
		[ "$(jq -r .status "$BODY")" = EXPIRED ]
	}
	wait_for 60 expired || fail "not expired: $(cat "$BODY")"
	assert_eq "$(jq -r '.previewResults | length' "$BODY")" 0
	server_stop
	"$REGISTRYCTL" --data "$W/data" fsck
}

@test "a preview that was cut short by a crash is done after it" {
	server_start --data "$W/data"
	repository_make "$REPO"
	images_push one two three
	ecr StartLifecyclePolicyPreview "$(jq -cn --arg r "$REPO" --arg p \
		"$(policy "$(rule 1 "$ANY,$(more_than 1)" expire)")" \
		'{repositoryName: $r, lifecyclePolicyText: $p}')"
	expect 200
	server_kill
	server_start --data "$W/data"
	preview_wait
	assert_eq "$(told "$BODY")" 'one:1x two:1x'
	server_stop
	"$REGISTRYCTL" --data "$W/data" fsck
}
