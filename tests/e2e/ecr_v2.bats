#!/usr/bin/env bats
# The two APIs beside each other, with users: what the distribution API answers
# where ECR has a rule of its own, and layers in parts when something breaks.
load helper

setup_file() {
	[ -z "${E2E_HOST:-}" ] || skip 'needs servers of its own'
	shared_start
}

teardown_file() {
	shared_stop
}

setup() {
	W=$BATS_TEST_TMPDIR
	U=u$BATS_TEST_NUMBER REPO=t$BATS_TEST_NUMBER/app
	aws_env
}

teardown() {
	client_gone
	servers_clean
}

# --- words --------------------------------------------------------------------

# own_server [LINE OF THE CONFIGURATION...]: with admin logged in.
own_server() {
	printf '%s\n' "$@" >"$W/registryd.yml"
	auth_server_start --config "$W/registryd.yml"
	login admin
}

restart() {
	server_start --data "$DATA" --auth token --config "$W/registryd.yml"
}

on_shared() {
	shared
	login admin
	repository_make "$REPO"
}

# says TEXT: the message of the last answer of the distribution API.
says() {
	assert_eq "$(jq -r '.errors[0].message' "$BODY")" "$1" message
	assert_eq "$(header Docker-Distribution-API-Version)" registry/2.0 \
		'Docker-Distribution-API-Version'
}

no_repository() { # NAME
	says "The repository with name '$1' does not exist in the registry with id '$ACCOUNT'"
}

# json NAME VALUE...: an object of strings; what begins with { or [ is JSON.
json() {
	local comma='{' quote
	while [ $# -gt 0 ]; do
		quote=\"
		[[ $2 != [["{"]* ]] || quote=
		printf '%s"%s":%s%s%s' "$comma" "$1" "$quote" "$2" "$quote"
		comma=,
		shift 2
	done
	printf '}'
}

# answer JQ-EXPRESSION: of the last answer.
answer() {
	jq -r "$1" "$BODY"
}

put_image() { # REPOSITORY FILE [TAG]
	ecr PutImage "$(jq -cn --arg r "$1" --rawfile m "$2" --arg t "${3:-}" \
		'{repositoryName: $r, imageManifest: $m} +
		if $t == "" then {} else {imageTag: $t} end')"
}

describe() { # REPOSITORY: its images, with those that are archived
	ecr DescribeImages "$(jq -cn --arg r "$1" \
		'{repositoryName: $r, filter: {imageStatus: "ANY"}}')"
	expect 200
}

push_kept() { # NAME REPOSITORY TAG [TEXT]: an image whose manifest is $W/NAME
	image_push "${@:2}" || return
	cp "$MANIFEST" "$W/$1"
}

# --- what is not there --------------------------------------------------------

@test "a push to a repository that is not there is told so at each of its steps" {
	on_shared
	image_push "$REPO" v1
	http POST "/v2/$REPO-no/blobs/uploads/"
	expect 404 NAME_UNKNOWN
	no_repository "$REPO-no"
	http POST "/v2/$REPO-no/blobs/uploads/?mount=$LAYER_DIGEST&from=$REPO"
	expect 404 NAME_UNKNOWN
	no_repository "$REPO-no"
	http POST "/v2/$REPO-no/blobs/uploads/?digest=$EMPTY_DIGEST" -d '{}'
	expect 404 NAME_UNKNOWN
	no_repository "$REPO-no"
	manifest_put "$REPO-no" v1 "$MANIFEST"
	expect 404 NAME_UNKNOWN
	no_repository "$REPO-no"
	http HEAD "/v2/$REPO-no/blobs/$LAYER_DIGEST"
	expect 404
	ecr DescribeRepositories "$(json repositoryNames "[\"$REPO-no\"]")"
	expect_aws RepositoryNotFoundException
}

@test "a pull of what is not there: repository, image, layer, each in its words" {
	on_shared
	image_push "$REPO" v1
	for path in "manifests/v1" "manifests/$DIGEST" "blobs/$LAYER_DIGEST" \
	    tags/list; do
		http GET "/v2/$REPO-no/$path"
		expect 404 NAME_UNKNOWN
		no_repository "$REPO-no"
	done
	for path in v2 "$EMPTY_DIGEST"; do
		http GET "/v2/$REPO/manifests/$path"
		expect 404 MANIFEST_UNKNOWN
		says 'Requested image not found'
		http HEAD "/v2/$REPO/manifests/$path"
		expect 404
		assert_eq "$(header Docker-Distribution-API-Version)" \
			registry/2.0
	done
	http GET "/v2/$REPO/blobs/$EMPTY_DIGEST"
	expect 404 BLOB_UNKNOWN
	sed "s/${LAYER_DIGEST#*:}/$(printf '0%.0s' {1..64})/" "$MANIFEST" \
		>"$W/m"
	manifest_put "$REPO" v2 "$W/m"
	expect 404 MANIFEST_BLOB_UNKNOWN
	says "Layers with digests '[sha256:$(printf '0%.0s' {1..64})]' required for pushing image into repository with name '$REPO' in the registry with id '$ACCOUNT' do not exist"
}

@test "a push over an immutable tag is refused; the same image again is not" {
	local sentence
	on_shared
	ecr PutImageTagMutability "$(json repositoryName "$REPO" \
		imageTagMutability IMMUTABLE)"
	push_kept one "$REPO" v1 one
	push_kept two "$REPO" v2 two
	sentence="The image tag 'v1' already exists in the '$REPO' repository and cannot be overwritten because the tag is immutable."
	manifest_put "$REPO" v1 "$W/two"
	expect 400 TAG_INVALID
	says "$sentence"
	put_image "$REPO" "$W/two" v1
	expect_aws ImageTagAlreadyExistsException "$sentence"
	manifest_put "$REPO" v1 "$W/one"
	expect 201
	put_image "$REPO" "$W/one" v1
	expect_aws ImageAlreadyExistsException
	# One more tag is no other tag.
	manifest_put "$REPO" v3 "$W/two"
	expect 201
	# Nor is one that is excluded.
	ecr PutImageTagMutability "$(json repositoryName "$REPO" \
		imageTagMutability IMMUTABLE_WITH_EXCLUSION \
		imageTagMutabilityExclusionFilters \
		'[{"filterType":"WILDCARD","filter":"dev-*"}]')"
	expect 200
	for name in one two; do
		manifest_put "$REPO" dev-1 "$W/$name"
		expect 201
	done
	manifest_put "$REPO" v1 "$W/two"
	expect 400 TAG_INVALID
	says "$sentence"
	http GET "/v2/$REPO/manifests/v1"
	cmp "$BODY" "$W/one"
}

# --- mounts -------------------------------------------------------------------

@test "a layer is mounted only from where the caller may pull; else it is an upload" {
	local from=$REPO-from blob
	on_shared
	repository_make "$from"
	image_push "$from" v1
	blob=$LAYER_DIGEST
	user_make "$U" "$(allow "ecr:GetAuthorizationToken $PUSH ecr:BatchCheckLayerAvailability" "*")"
	login "$U"
	http POST "/v2/$REPO/blobs/uploads/?mount=$blob&from=$from"
	expect 202
	[ -n "$(header Location)" ] || fail 'no Location'
	http POST "/v2/$REPO/blobs/uploads/?mount=$blob"
	expect 202
	http HEAD "/v2/$REPO/blobs/$blob"
	expect 404
	as admin
	policy_set "$from" "$(repository_policy \
		"{\"AWS\":\"$(user_arn "$U")\"}" "$PULL")"
	expect 200
	http POST "/v2/$REPO/blobs/uploads/?mount=$blob&from=$from"
	expect 201
	assert_eq "$(header Docker-Content-Digest)" "$blob"
	http HEAD "/v2/$REPO/blobs/$blob"
	expect 200
}

@test "a layer is mounted only while BLOB_MOUNTING is ENABLED, which it is at first" {
	local blob
	own_server
	repository_make a/from
	repository_make a/to
	image_push a/from v1
	blob=$LAYER_DIGEST
	ecr GetAccountSetting "$(json name BLOB_MOUNTING)"
	assert_eq "$(answer .value)" ENABLED
	ecr PutAccountSetting "$(json name BLOB_MOUNTING value DISABLED)"
	expect 200
	for query in "mount=$blob&from=a/from" "mount=$blob"; do
		http POST "/v2/a/to/blobs/uploads/?$query"
		expect 202
		[ -n "$(header Location)" ] || fail 'no Location'
	done
	http HEAD "/v2/a/to/blobs/$blob"
	expect 404
	server_stop
	restart
	http POST "/v2/a/to/blobs/uploads/?mount=$blob&from=a/from"
	expect 202
	ecr PutAccountSetting "$(json name BLOB_MOUNTING value ENABLED)"
	expect 200
	http POST "/v2/a/to/blobs/uploads/?mount=$blob&from=a/from"
	expect 201
	server_stop
}

# --- creation on push ---------------------------------------------------------

template() { # PREFIX CAUSE [NAME VALUE...]
	ecr CreateRepositoryCreationTemplate "$(json prefix "$1" \
		appliedFor "[\"$2\"]" "${@:3}")"
	expect 200
}

# made NAME JQ-EXPRESSION VALUE: of the description of a repository.
made() {
	ecr DescribeRepositories "$(json repositoryNames "[\"$1\"]")"
	expect 200 || return
	assert_eq "$(answer ".repositories[0] | $2")" "$3" "$1: $2"
}

# pushed NAME...: a blob to each; how they are described is the last answer.
pushed() {
	local name names=
	for name; do
		http POST "/v2/$name/blobs/uploads/?digest=$EMPTY_DIGEST" \
			-H 'Content-Type: application/octet-stream' -d '{}'
		expect 201 || return
		names+=",\"$name\""
	done
	ecr DescribeRepositories "$(json repositoryNames "[${names#,}]")"
	expect 200
}

LIFECYCLE='{"rules": [{"rulePriority": 1, "description": "two weeks",
    "selection": {"tagStatus": "untagged", "countType": "sinceImagePushed",
    "countUnit": "days", "countNumber": 14}, "action": {"type": "expire"}}]}'

@test "a push makes what a template of CREATE_ON_PUSH says, with all of its settings" {
	local policy
	own_server
	policy=$(repository_policy '"*"' ecr:BatchGetImage)
	ecr CreateRepositoryCreationTemplate "$(jq -cn --arg p "$policy" \
		--arg l "$LIFECYCLE" '{prefix: "team",
		appliedFor: ["CREATE_ON_PUSH"], repositoryPolicy: $p,
		lifecyclePolicy: $l, resourceTags: [{Key: "team", Value: "blue"}],
		imageTagMutability: "IMMUTABLE_WITH_EXCLUSION",
		imageTagMutabilityExclusionFilters: [{filterType: "WILDCARD",
		filter: "dev*"}], encryptionConfiguration: {encryptionType:
		"AES256"}}')"
	expect 200
	push_kept one team/app v1 one
	made team/app .imageTagMutability IMMUTABLE_WITH_EXCLUSION
	made team/app '.imageTagMutabilityExclusionFilters[0].filter' 'dev*'
	made team/app .encryptionConfiguration.encryptionType AES256
	ecr GetRepositoryPolicy "$(json repositoryName team/app)"
	assert_eq "$(answer .policyText)" "$policy"
	ecr GetLifecyclePolicy "$(json repositoryName team/app)"
	assert_eq "$(answer .lifecyclePolicyText)" "$LIFECYCLE"
	ecr ListTagsForResource "$(json resourceArn \
		"$(repository_arn team/app)")"
	assert_eq "$(jq -c .tags "$BODY")" '[{"Key":"team","Value":"blue"}]'
	# And it is what it says.
	push_kept two team/app v2 two
	manifest_put team/app v1 "$W/two"
	expect 400 TAG_INVALID
	manifest_put team/app dev1 "$W/one"
	expect 201
	manifest_put team/app dev1 "$W/two"
	expect 201
	# A mount is a push.
	http POST "/v2/team/mounted/blobs/uploads/?mount=$LAYER_DIGEST&from=team/app"
	expect 201
	made team/mounted .imageTagMutability IMMUTABLE_WITH_EXCLUSION
	server_stop
}

@test "the longest prefix of a template counts, ROOT after all, another cause never" {
	own_server
	template team CREATE_ON_PUSH imageTagMutability IMMUTABLE
	template team/deep/ CREATE_ON_PUSH imageTagMutability MUTABLE
	template team/cache PULL_THROUGH_CACHE imageTagMutability MUTABLE
	template ROOT REPLICATION
	pushed team/app team/other/app team/deep/app team/deep/er/app \
		team/cache/app
	assert_eq "$(answer '[.repositories[] | .repositoryName + " " +
	    .imageTagMutability] | sort | join(", ")')" "$(printf '%s' \
	    'team/app IMMUTABLE, team/cache/app IMMUTABLE, ' \
	    'team/deep/app MUTABLE, team/deep/er/app MUTABLE, ' \
	    'team/other/app IMMUTABLE')"
	# "team" alone and what only begins like it are not below it.
	for name in team teamwork/app else/where; do
		http POST "/v2/$name/blobs/uploads/"
		expect 404 NAME_UNKNOWN
		no_repository "$name"
	done
	ecr UpdateRepositoryCreationTemplate "$(json prefix ROOT appliedFor \
		'["REPLICATION","CREATE_ON_PUSH"]' resourceTags \
		'[{"Key":"by","Value":"root"}]')"
	expect 200
	pushed teamwork/app team/app2
	assert_eq "$(answer '[.repositories[] | .repositoryName + " " +
	    .imageTagMutability] | sort | join(", ")')" \
		'team/app2 IMMUTABLE, teamwork/app MUTABLE'
	ecr ListTagsForResource "$(json resourceArn \
		"$(repository_arn teamwork/app)")"
	assert_eq "$(jq -c .tags "$BODY")" '[{"Key":"by","Value":"root"}]'
	ecr DeleteRepositoryCreationTemplate "$(json prefix ROOT)"
	expect 200
	http POST /v2/else/where/blobs/uploads/
	expect 404 NAME_UNKNOWN
	server_stop
}

@test "who may not create may not by a push; tags of a template need their action" {
	own_server
	template plain CREATE_ON_PUSH
	template tagged CREATE_ON_PUSH resourceTags \
		'[{"Key":"team","Value":"blue"}]'
	user_make "$U" "$(allow "$PUSH ecr:BatchCheckLayerAvailability")"
	may_login "$U"
	login "$U"
	for name in plain/app tagged/app; do
		http POST "/v2/$name/blobs/uploads/"
		expect 403 DENIED
		says "$(not_authorized "$U" ecr:CreateRepository "$name")"
	done
	user_allow "$U" "$(allow "$PUSH ecr:CreateRepository")"
	image_push plain/app v1
	http POST /v2/tagged/app/blobs/uploads/
	expect 403 DENIED
	says "$(not_authorized "$U" ecr:TagResource tagged/app)"
	# Tags of other values are others.
	user_allow "$U" "$(allow "$PUSH ecr:CreateRepository ecr:TagResource" \
		'*' '"Condition":{"StringEquals":{"aws:RequestTag/team":"red"}}')"
	http POST /v2/tagged/app/blobs/uploads/
	expect 403 DENIED
	user_allow "$U" "$(allow "$PUSH ecr:CreateRepository ecr:TagResource")"
	image_push tagged/app v1
	as admin
	made plain/app .imageTagMutability MUTABLE
	made tagged/app .imageTagMutability MUTABLE
	server_stop
}

@test "with create-on-push and no template a push makes a repository by default" {
	own_server 'repositories:' '  create-on-push: true'
	template team PULL_THROUGH_CACHE imageTagMutability IMMUTABLE
	image_push team/app v1
	made team/app '[.imageTagMutability, .imageScanningConfiguration.scanOnPush,
	    (has("encryptionConfiguration") | tostring)] | join(" ")' \
		'MUTABLE false false'
	ecr GetRepositoryPolicy "$(json repositoryName team/app)"
	expect_aws RepositoryPolicyNotFoundException
	server_stop
}

# --- quotas and rates ---------------------------------------------------------

@test "quotas are told by both APIs with their limit, and what goes makes room" {
	local sentence
	own_server 'quotas:' '  repositories: 2' '  images-per-repository: 2' \
		'  tags-per-image: 2'
	template ROOT CREATE_ON_PUSH
	repository_make a/app
	push_kept one a/app v1 one
	push_kept two a/app v2 two
	sentence="The maximum number of images (2) in the repository with name 'a/app' in the registry with id '$ACCOUNT' has been reached"
	jq -c '.annotations = {n: "3"}' "$W/one" >"$W/three"
	manifest_put a/app v3 "$W/three"
	expect 403 DENIED
	says "$sentence"
	put_image a/app "$W/three" v3
	expect_aws LimitExceededException "$sentence"
	manifest_put a/app v1 "$W/one"
	expect 201

	sentence="The maximum number of tags (2) of an image in the repository with name 'a/app' in the registry with id '$ACCOUNT' has been reached"
	manifest_put a/app w1 "$W/one"
	expect 201
	manifest_put a/app x1 "$W/one"
	expect 403 DENIED
	says "$sentence"
	put_image a/app "$W/one" x1
	expect_aws LimitExceededException "$sentence"
	http DELETE /v2/a/app/manifests/w1
	expect 202
	put_image a/app "$W/one" x1
	expect 200
	ecr BatchDeleteImage "$(json repositoryName a/app imageIds \
		'[{"imageTag":"v2"}]')"
	expect 200
	manifest_put a/app v3 "$W/three"
	expect 201

	sentence="The maximum number of repositories (2) in the registry with id '$ACCOUNT' has been reached"
	repository_make b/app
	ecr CreateRepository "$(json repositoryName c/app)"
	expect_aws LimitExceededException "$sentence"
	http POST "/v2/c/app/blobs/uploads/?mount=$CONFIG_DIGEST&from=a/app"
	expect 403 DENIED
	says "$sentence"
	http POST "/v2/c/app/blobs/uploads/?digest=$EMPTY_DIGEST" -d '{}' \
		-H 'Content-Type: application/octet-stream'
	expect 403 DENIED
	says "$sentence"
	ecr DeleteRepository "$(json repositoryName b/app)"
	expect 200
	image_push c/app v1
	server_stop
}

# until_status STATUS COMMAND...: how many are too many in a second is up to
# the machine, too.
until_status() {
	local n=0 want=$1
	shift
	STATUS=
	until [ "$STATUS" = "$want" ]; do
		n=$((n + 1))
		[ "$n" -le 300 ] || fail "$STATUS, never $want: $*" || return
		"$@" || return
	done
}

@test "a rate is ThrottlingException and 429 with Retry-After, of that operation alone" {
	own_server 'rates:' '  put-image: 1'
	repository_make a/app
	image_push a/app v1
	cp "$MANIFEST" "$W/m"
	until_status 429 manifest_put a/app v1 "$W/m"
	expect 429 TOOMANYREQUESTS
	says 'Rate exceeded'
	assert_eq "$(header Retry-After)" 1 Retry-After
	http GET /v2/a/app/manifests/v1
	expect 200
	# What is refused is not counted, so that patience helps.
	until_status 201 manifest_put a/app v1 "$W/m"
	throttled() {
		put_image a/app "$W/m" v1
		[ "$(answer .__type)" = ThrottlingException ]
	}
	wait_for 60 throttled
	expect_aws ThrottlingException 'Rate exceeded'
	ecr ListImages "$(json repositoryName a/app)"
	expect 200
	server_stop
}

# --- the time of the last pull ------------------------------------------------

pull() { # USER TAG
	login "$1"
	http GET "/v2/$REPO/manifests/$2"
	expect 200
	ecr BatchGetImage "$(json repositoryName "$REPO" imageIds \
		"[{\"imageTag\":\"$2\"}]")"
	expect 200
	as admin
}

# pulled TAG: when, in whole seconds, or null.
pulled() {
	describe "$REPO"
	answer ".imageDetails[] | select(.imageTags == [\"$1\"]) |
	    .lastRecordedPullTime | if . then floor else . end"
}

@test "pulls by an excluded principal leave lastRecordedPullTime alone, by either API" {
	local arn since
	own_server
	repository_make "$REPO"
	image_push "$REPO" quiet
	image_push "$REPO" loud
	user_make "$U" AmazonEC2ContainerRegistryReadOnly
	arn=$(user_arn "$U")
	ecr RegisterPullTimeUpdateExclusion "$(json principalArn "$arn")"
	expect 200
	pull "$U" quiet
	pull admin loud
	# At its end a server has written everything down.
	server_stop
	restart
	assert_eq "$(pulled quiet)" null 'pulled by who does not count'
	[ "$(pulled loud)" != null ] || fail 'a pull that was not recorded'
	ecr DeregisterPullTimeUpdateExclusion "$(json principalArn "$arn")"
	expect 200
	since=$(date +%s)
	pull "$U" quiet
	server_stop
	restart
	[ "$(pulled quiet)" -ge "$since" ] || fail "pulled at $(pulled quiet)"
	server_stop
}

# --- archive ------------------------------------------------------------------

archive() { # DIGEST
	ecr UpdateImageStorageClass "$(json repositoryName "$REPO" \
		imageId "{\"imageDigest\":\"$1\"}" targetStorageClass ARCHIVE)"
	expect 200
	assert_eq "$(answer .imageStatus)" ARCHIVED
}

@test "an archived image is not pulled, and a push of it restores it" {
	local d
	on_shared
	push_kept m "$REPO" v1
	d=$DIGEST
	archive "$d"
	for reference in v1 "$d"; do
		http GET "/v2/$REPO/manifests/$reference"
		expect 404 MANIFEST_UNKNOWN
		assert_in "$(jq -r '.errors[0].message' "$BODY")" archived
		http HEAD "/v2/$REPO/manifests/$reference"
		expect 404
	done
	http GET "/v2/$REPO/tags/list"
	assert_eq "$(answer '.tags | join(" ")')" v1
	describe "$REPO"
	assert_eq "$(answer '.imageDetails[0].imageStatus')" ARCHIVED
	manifest_put "$REPO" v1 "$W/m"
	expect 201
	http GET "/v2/$REPO/manifests/v1"
	expect 200
	cmp "$BODY" "$W/m"
	describe "$REPO"
	assert_eq "$(answer '.imageDetails[0].imageStatus')" ACTIVE

	archive "$d"
	put_image "$REPO" "$W/m" v1
	expect 200
	http GET "/v2/$REPO/manifests/$d"
	expect 200
	put_image "$REPO" "$W/m" v1
	expect_aws ImageAlreadyExistsException
}

@test "skopeo: an archived image cannot be copied from, but be copied to" {
	local d
	need skopeo
	on_shared
	image_push base/app skopeo
	image_push "$REPO" v1 base/app:skopeo
	d=$DIGEST
	archive "$d"
	client_home "$W/client"
	! skopeo copy -q --src-tls-verify=false --src-creds "AWS:$TOKEN" \
		"docker://$HOST/$REPO:v1" "dir:$W/dir" >"$W/out" 2>&1 ||
		fail 'copied what is archived'
	assert_in "$(cat "$W/out")" archived
	skopeo copy -q --src-tls-verify=false --dest-tls-verify=false \
		--src-creds "AWS:$TOKEN" --dest-creds "AWS:$TOKEN" \
		"docker://$HOST/base/app:skopeo" "docker://$HOST/$REPO:v1"
	assert_eq "$(skopeo inspect --tls-verify=false --creds "AWS:$TOKEN" \
		"docker://$HOST/$REPO:v1" | jq -r .Digest)" "$d"
}

# --- scan on push -------------------------------------------------------------

# scan_state REPOSITORY: of its image v1; sets STATE.
scan_state() {
	ecr DescribeImageScanFindings "$(json repositoryName "$1" \
		imageId '{"imageTag":"v1"}')"
	STATE=$(answer '.imageScanStatus.status // .__type')
}

scan_failed() {
	scan_state "$1"
	[ "$STATE" = FAILED ]
}

@test "a push is scanned where its repository or a rule of the registry says so" {
	own_server
	repository_make quiet/app
	ecr CreateRepository "$(json repositoryName own/app \
		imageScanningConfiguration '{"scanOnPush":true}')"
	expect 200
	repository_make ruled/app
	ecr PutRegistryScanningConfiguration "$(json scanType BASIC rules \
		'[{"scanFrequency":"SCAN_ON_PUSH","repositoryFilters":
		[{"filter":"ruled/*","filterType":"WILDCARD"}]}]')"
	expect 200
	for name in quiet own ruled; do
		image_push "$name/app" v1
	done
	# It comes by the other API as well.
	for name in quiet own ruled; do
		repository_make "$name/put"
		http POST "/v2/$name/put/blobs/uploads/?mount=$CONFIG_DIGEST&from=ruled/app"
		expect 201
		http POST "/v2/$name/put/blobs/uploads/?mount=$LAYER_DIGEST&from=ruled/app"
		expect 201
	done
	ecr PutImageScanningConfiguration "$(json repositoryName own/put \
		imageScanningConfiguration '{"scanOnPush":true}')"
	for name in quiet own ruled; do
		put_image "$name/put" "$MANIFEST" v1
		expect 200
	done
	for name in own/app ruled/app own/put ruled/put; do
		wait_for 60 scan_failed "$name"
		[ -n "$(answer .imageScanStatus.description)" ] ||
			fail 'no reason'
		describe "$name"
		assert_eq "$(answer '.imageDetails[0].imageScanStatus.status')" \
			FAILED
	done
	for name in quiet/app quiet/put; do
		scan_state "$name"
		assert_eq "$STATE" ScanNotFoundException "$name"
	done
	server_stop
}

# --- layers in parts ----------------------------------------------------------

# upload_begin REPOSITORY: sets ID, and UPLOAD, its path on the other API.
upload_begin() {
	ecr InitiateLayerUpload "$(json repositoryName "$1")"
	expect 200 || return
	ID=$(answer .uploadId)
	UPLOAD=/v2/$1/blobs/uploads/${ID//-/}
	REPOSITORY=$1
}

# part FIRST FILE [OPTION...]: sets STATUS and BODY.
part() {
	BODY=$W/part
	: >"$BODY"
	STATUS=$("$PYTHON" -E -S -B "$BATS_TEST_DIRNAME/layer_part.py" \
		--answer "$BODY" "${@:3}" "$URL" "$REPOSITORY" "$ID" "$1" "$2")
}

# part_broken FIRST FILE OPTION: until the server has seen that it broke off.
part_broken() {
	local before
	before=$(aborted)
	part "$@" || return
	assert_eq "$STATUS" none 'answer to a part that broke off' || return
	aborted_more() {
		[ "$(aborted)" -gt "$before" ]
	}
	wait_for 60 aborted_more
}

aborted() {
	grep -c '"POST /" .* aborted$' "$SERVER_LOG" || true
}

refused() { # TYPE
	assert_eq "$STATUS $(answer .__type)" "400 $1" "$(cat "$BODY")"
}

# received N: so many bytes, as both APIs say.
received() {
	http GET "$UPLOAD"
	expect 204 || return
	if [ "$1" -gt 0 ]; then
		assert_eq "$(header Range)" "0-$(($1 - 1))" Range || return
	fi
	part $(($1 + 1)) "$W/byte"
	refused InvalidLayerPartException || return
	assert_eq "$(answer '.lastValidByteReceived // -1')" $(($1 - 1)) \
		lastValidByteReceived
}

complete() { # FILE
	ecr CompleteLayerUpload "$(json repositoryName "$REPOSITORY" \
		uploadId "$ID" layerDigests "[\"$(digest_of "$1")\"]")"
	expect 200 || return
	http GET "/v2/$REPOSITORY/blobs/$(digest_of "$1")"
	expect 200 || return
	cmp "$BODY" "$1"
}

SIX=$((6 << 20))

# files: a layer in two parts, of six and one MiB.
files() {
	random_file "$W/one" "$SIX"
	random_file "$W/two" $((1 << 20))
	cat "$W/one" "$W/two" >"$W/whole"
	printf x >"$W/byte"
}

@test "an upload is one session to both APIs: begun by one, ended by the other" {
	on_shared
	files
	upload_begin "$REPO"
	http PATCH "$UPLOAD" -H 'Content-Type: application/octet-stream' \
		-H 'Expect:' --data-binary "@$W/one"
	expect 202
	received "$SIX"
	part "$SIX" "$W/two"
	assert_eq "$STATUS $(answer .lastByteReceived)" \
		"200 $((SIX + (1 << 20) - 1))"
	upload_put "$UPLOAD" "$(digest_of "$W/whole")"
	expect 201
	ecr BatchCheckLayerAvailability "$(json repositoryName "$REPO" \
		layerDigests "[\"$(digest_of "$W/whole")\"]")"
	assert_eq "$(answer '.layers[0].layerAvailability')" AVAILABLE

	repository_make "$REPO-2"
	http POST "/v2/$REPO-2/blobs/uploads/"
	expect 202
	ID=$(header Location)
	ID=${ID##*/} ID=${ID%%\?*}
	UPLOAD=/v2/$REPO-2/blobs/uploads/$ID REPOSITORY=$REPO-2
	ID=${ID:0:8}-${ID:8:4}-${ID:12:4}-${ID:16:4}-${ID:20}
	part 0 "$W/one"
	assert_eq "$STATUS" 200
	http PATCH "$UPLOAD" -H 'Content-Type: application/octet-stream' \
		-H 'Expect:' --data-binary "@$W/two"
	expect 202
	complete "$W/whole"
}

@test "a part that breaks off leaves the session as it was, and it goes on" {
	on_shared
	files
	upload_begin "$REPO"
	part_broken 0 "$W/one" --break
	received 0
	part 0 "$W/one"
	assert_eq "$STATUS" 200
	part_broken "$SIX" "$W/two" --break
	received "$SIX"
	part_broken "$SIX" "$W/two" --reset
	received "$SIX"
	part "$SIX" "$W/two"
	assert_eq "$STATUS" 200
	complete "$W/whole"
}

@test "a part whose signature is not of its body, or of nobody, changes nothing" {
	on_shared
	files
	user_make "$U" AmazonEC2ContainerRegistryReadOnly
	upload_begin "$REPO"
	part 0 "$W/one"
	part "$SIX" "$W/two" --other
	refused InvalidSignatureException
	received "$SIX"
	KEY_ID=AKIANOSUCHKEY0000000 part "$SIX" "$W/two"
	refused UnrecognizedClientException
	as "$U"
	part "$SIX" "$W/two"
	refused AccessDeniedException
	assert_in "$(answer .message)" "$(not_authorized "$U" \
		ecr:UploadLayerPart "$REPO")"
	as admin
	received "$SIX"
	part "$SIX" "$W/two"
	assert_eq "$STATUS" 200
	complete "$W/whole"
}

@test "a part of 20 MiB is taken, one byte more is refused and changes nothing" {
	on_shared
	files
	head -c $((20 << 20)) /dev/zero >"$W/most"
	cat "$W/most" "$W/byte" >"$W/more"
	head -c $((40 << 20)) /dev/zero >"$W/much"
	upload_begin "$REPO"
	part 0 "$W/more"
	refused InvalidParameterException
	assert_eq "$(answer .message)" "Invalid parameter at 'layerPartBlob' failed to satisfy constraint: 'Member must have length less than or equal to 20971520'"
	# What no part can be is not even read.
	part 0 "$W/much"
	assert_eq "$STATUS $(answer .__type)" \
		'413 RequestEntityTooLargeException'
	received 0
	part 0 "$W/most"
	assert_eq "$STATUS" 200
	received $((20 << 20))
	part $((20 << 20)) "$W/byte"
	assert_eq "$STATUS" 200
	complete "$W/more"
}

@test "after kill -9 between and amid parts the upload is where it was" {
	local sender
	own_server
	repository_make "$REPO"
	files
	upload_begin "$REPO"
	part 0 "$W/one"
	assert_eq "$STATUS" 200
	server_kill
	restart
	received "$SIX"
	part "$SIX" "$W/two" --hold "$W/gate" &
	sender=$!
	wait_for 60 test -e "$W/gate"
	server_kill
	wait "$sender" || true
	restart
	part 0 "$W/one"
	refused InvalidLayerPartException
	received "$SIX"
	part "$SIX" "$W/two"
	assert_eq "$STATUS" 200
	server_kill
	restart
	complete "$W/whole"
	server_stop
}

# --- the URL of a layer -------------------------------------------------------

download_url() { # sets DOWNLOAD
	ecr GetDownloadUrlForLayer "$(json repositoryName "$REPO" \
		layerDigest "$LAYER_DIGEST")"
	expect 200
	DOWNLOAD=$(answer .downloadUrl)
	secret_note "${DOWNLOAD#*token=}"
}

expired() {
	http GET "$DOWNLOAD"
	[ "$STATUS" != 200 ]
}

@test "the URL of a layer is good without credentials, for that layer, for its user" {
	on_shared
	image_push "$REPO" v1
	user_make "$U" AmazonEC2ContainerRegistryReadOnly
	as "$U"
	download_url
	logout
	http GET "$DOWNLOAD"
	expect 200
	assert_eq "$(digest_of "$BODY")" "$LAYER_DIGEST"
	http HEAD "$DOWNLOAD"
	expect 200
	http GET "$DOWNLOAD" -r 2-4
	expect 206
	http GET "${DOWNLOAD/$LAYER_DIGEST/$CONFIG_DIGEST}"
	expect 403 DENIED
	http GET "${DOWNLOAD%\?*}"
	expect 403 DENIED
	ctl policy detach "$U" AmazonEC2ContainerRegistryReadOnly >/dev/null
	http GET "$DOWNLOAD"
	expect 403 DENIED
}

@test "the URL of a layer expires, and another one is had" {
	own_server 'download:' '  lifetime: 1s'
	repository_make "$REPO"
	image_push "$REPO" v1
	logout
	download_url
	wait_for 60 expired
	expect 403 DENIED
	assert_in "$(jq -r '.errors[0].message' "$BODY")" 'has expired'
	http HEAD "$DOWNLOAD"
	expect 403
	# A second is short on a busy machine.
	fetched() {
		download_url
		http GET "$DOWNLOAD"
		[ "$STATUS" = 200 ]
	}
	wait_for 60 fetched
	server_stop
}
