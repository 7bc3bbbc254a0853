#!/usr/bin/env bats
# A working day with the real AWS CLI, both generations, and with docker and
# podman: what scripts written for Amazon ECR do.
load helper

setup_file() {
	[ -z "${E2E_HOST:-}" ] || skip 'needs servers of its own'
	aws_find
	shared_start
	docker_start
	export SHARED=$BATS_FILE_TMPDIR/shared
	mkdir -p "$SHARED"
}

teardown_file() {
	docker_stop
	shared_stop
}

setup() {
	W=$BATS_TEST_TMPDIR
	REPO=day$BATS_TEST_NUMBER/app
	HTTP_OPTIONS=()
	shared
}

teardown() {
	client_gone
	servers_clean
}

# --- words --------------------------------------------------------------------

# ask GENERATION OPERATION OPTION...: of $REPO; its answer is $W/out.
ask() {
	local n=$1 operation=$2
	shift 2
	cli "$n" ecr "$operation" --repository-name "$REPO" "$@" >"$W/out"
}

refused() { # GENERATION NAME OPERATION OPTION...
	local n=$1 name=$2 operation=$3
	shift 3
	cli_fails "$n" "$name" ecr "$operation" --repository-name "$REPO" "$@"
}

answer() { # JQ-EXPRESSION
	jq -r "$1" "$W/out"
}

# An image with a tag, from the command line of a client, and its digest.
podman_push() { # TAG TEXT
	printf '%s' "$2" >"$W/text"
	tar -C "$W" -c text | podman import -q - "$HOST/$REPO:$1" >/dev/null
	podman push -q --tls-verify=false --digestfile "$W/digest" \
		"$HOST/$REPO:$1" || return
	DIGEST=$(cat "$W/digest")
}

day_begins() { # GENERATION
	need_aws "$1"
	client_home "$W/client"
	cli "$1" ecr create-repository --repository-name "$REPO" >"$W/out"
	assert_eq "$(answer .repository.repositoryUri)" "$HOST/$REPO"
}

# --- the day ------------------------------------------------------------------

cli_podman() { # GENERATION
	local n=$1 first second
	need podman
	day_begins "$n"
	cli "$n" ecr get-login-password >"$W/password"
	secret_note_basic AWS "$(cat "$W/password")"
	podman login --tls-verify=false --username AWS --password-stdin \
		"$HOST" <"$W/password"
	podman_push v1 one
	first=$DIGEST
	podman_push v2 two
	second=$DIGEST

	ask "$n" describe-images --image-ids imageTag=v1
	assert_eq "$(answer '.imageDetails | length')" 1
	assert_eq "$(answer '.imageDetails[0].imageDigest')" "$first"
	assert_eq "$(answer '.imageDetails[0].imageTags | join(",")')" v1
	[ "$(answer '.imageDetails[0].imageSizeInBytes')" -gt 100 ] ||
		fail "size of $(cat "$W/out")"
	ask "$n" list-images
	assert_eq "$(answer '[.imageIds[] | .imageTag] | sort | join(" ")')" \
		'v1 v2'

	# Retagged as the guide of ECR does it.
	ask "$n" batch-get-image --image-ids imageTag=v2
	cp "$W/out" "$W/image"
	retag() { # WORDS...: what has no mediaType in it needs it said
		jq -j '.images[0].imageManifest' "$W/image" >"$W/manifest"
		"$@" --image-manifest "file://$W/manifest" \
			--image-manifest-media-type \
			"$(jq -r '.images[0].imageManifestMediaType' "$W/image")"
	}
	retag ask "$n" put-image --image-tag production
	assert_eq "$(answer .image.imageId.imageDigest)" "$second"
	assert_eq "$(answer .image.imageId.imageTag)" production
	podman pull -q --tls-verify=false "$HOST/$REPO:production" >/dev/null

	# A tag that may not move any more.
	ask "$n" put-image-tag-mutability --image-tag-mutability IMMUTABLE
	! podman_push v1 other 2>"$W/err" || fail 'an immutable tag moved'
	assert_in "$(cat "$W/err")" "The image tag 'v1' already exists in the '$REPO' repository and cannot be overwritten because the tag is immutable."
	retag refused "$n" ImageTagAlreadyExistsException put-image \
		--image-tag v1
	assert_in "$(cat "$W/err")" 'cannot be overwritten because the tag is immutable'

	# One tag, one image with all of its tags, and one that is not there.
	ask "$n" batch-delete-image --image-ids imageTag=production \
		imageDigest="$first" imageTag=nothing
	assert_eq "$(answer '[.imageIds[] | .imageTag] | sort | join(" ")')" \
		'production v1'
	assert_eq "$(answer '.failures[0].failureCode')" ImageNotFound
	assert_eq "$(answer '.failures[0].failureReason')" \
		'Requested image not found'
	ask "$n" list-images
	assert_eq "$(answer '.imageIds | length')" 1
	! podman pull -q --tls-verify=false "$HOST/$REPO:v1" \
		>"$W/out" 2>&1 || fail 'pulled what was deleted'
	assert_in "$(cat "$W/out")" 'Requested image not found'

	refused "$n" RepositoryNotEmptyException delete-repository
	ask "$n" delete-repository --force
	refused "$n" RepositoryNotFoundException list-images
}

@test "aws v2 and podman: a working day from create to delete with force" {
	cli_podman 2
}

@test "aws v1 and podman: a working day from create to delete with force" {
	cli_podman 1
}

cli_docker() { # GENERATION
	local n=$1
	need_docker
	day_begins "$n"
	cli "$n" ecr get-login-password >"$W/password"
	secret_note_basic AWS "$(cat "$W/password")"
	docker login --username AWS --password-stdin "$HOST" <"$W/password"
	! docker pull -q "$HOST/$REPO:v1" >"$W/out" 2>&1 || fail 'pulled nothing'
	tar -C "$TOP" -c Makefile | docker import - "$HOST/$REPO:v1" >/dev/null
	docker push -q "$HOST/$REPO:v1"
	ask "$n" describe-images --filter tagStatus=TAGGED \
		--query 'imageDetails[0].[imageTags[0],imageManifestMediaType]'
	assert_eq "$(answer 'join(" ")')" "v1 $DOCKER_MANIFEST"
	# Pushed again it is the same image, and no error.
	docker push -q "$HOST/$REPO:v1"
	docker rmi -f "$HOST/$REPO:v1" >/dev/null
	docker pull -q "$HOST/$REPO:v1"
	ask "$n" describe-images --query 'imageDetails[0].lastRecordedPullTime'
	docker tag "$HOST/$REPO:v1" "$HOST/${REPO}never:v1"
	! docker push "$HOST/${REPO}never:v1" >"$W/out" 2>&1 ||
		fail 'pushed to what is not there'
	assert_in "$(cat "$W/out")" "The repository with name '${REPO}never' does not exist in the registry with id '$ACCOUNT'"
	docker rmi -f "$HOST/$REPO:v1" "$HOST/${REPO}never:v1" >/dev/null
	docker logout "$HOST" >/dev/null
}

@test "aws v2 and docker: login, push, push again, pull, and a repository that is not there" {
	cli_docker 2
}

@test "aws v1 and docker: login, push, push again, pull, and a repository that is not there" {
	cli_docker 1
}

cli_policies() { # GENERATION
	local n=$1 policy lifecycle arn
	day_begins "$n"
	policy=$(repository_policy '"*"' ecr:BatchGetImage)
	refused "$n" RepositoryPolicyNotFoundException get-repository-policy
	ask "$n" set-repository-policy --policy-text "$policy"
	ask "$n" get-repository-policy
	assert_eq "$(answer .policyText)" "$policy"
	refused "$n" InvalidParameterException set-repository-policy \
		--policy-text '{"Version": "2012-10-17"}'
	ask "$n" delete-repository-policy

	lifecycle='{"rules": [{"rulePriority": 1, "description": "two weeks",
	    "selection": {"tagStatus": "untagged", "countType":
	    "sinceImagePushed", "countUnit": "days", "countNumber": 14},
	    "action": {"type": "expire"}}]}'
	refused "$n" LifecyclePolicyNotFoundException get-lifecycle-policy
	ask "$n" put-lifecycle-policy --lifecycle-policy-text "$lifecycle"
	ask "$n" get-lifecycle-policy
	assert_eq "$(answer .lifecyclePolicyText)" "$lifecycle"
	refused "$n" InvalidParameterException put-lifecycle-policy \
		--lifecycle-policy-text "${lifecycle/untagged/sometimes}"
	assert_in "$(cat "$W/err")" 'Lifecycle policy validation failure'
	ask "$n" delete-lifecycle-policy
	refused "$n" LifecyclePolicyNotFoundException get-lifecycle-policy

	arn=$(repository_arn "$REPO")
	cli "$n" ecr tag-resource --resource-arn "$arn" \
		--tags Key=team,Value=blue Key=stage,Value=test
	cli "$n" ecr untag-resource --resource-arn "$arn" --tag-keys stage
	cli "$n" ecr list-tags-for-resource --resource-arn "$arn" >"$W/out"
	assert_eq "$(jq -c .tags "$W/out")" '[{"Key":"team","Value":"blue"}]'
	cli_fails "$n" InvalidParameterException ecr list-tags-for-resource \
		--resource-arn arn:aws:s3:::bucket
	ask "$n" delete-repository
}

@test "aws v2: policies, lifecycle policies and resource tags are set, got and removed" {
	cli_policies 2
}

@test "aws v1: policies, lifecycle policies and resource tags are set, got and removed" {
	cli_policies 1
}

# --- thousands of images ------------------------------------------------------

thousands() {
	[ ! -f "$SHARED/filled" ] || return 0
	REPO=many/app
	repository_make "$REPO"
	login_password
	"$PYTHON" "$BATS_TEST_DIRNAME/fill.py" "$URL" "$REPO" 3000 \
		"AWS:$TOKEN"
	: >"$SHARED/filled"
}

cli_pages() { # GENERATION
	local n=$1
	need_aws "$n"
	thousands
	REPO=many/app
	ask "$n" list-images --page-size 700
	assert_eq "$(answer '.imageIds | length')" 3000
	assert_eq "$(answer '[.imageIds[].imageDigest] | unique | length')" 3000
	ask "$n" list-images --filter tagStatus=UNTAGGED --page-size 100
	assert_eq "$(answer '.imageIds | length')" 300
	ask "$n" describe-images --page-size 1000 --query \
		'length(imageDetails)' --filter tagStatus=TAGGED
	assert_eq "$(answer 'if type == "number" then . else add end')" 2700
	ask "$n" list-images --page-size 50 --max-items 120
	assert_eq "$(answer '.imageIds | length')" 120
	ask "$n" list-images --page-size 50 --max-items 5000 \
		--starting-token "$(answer .NextToken)"
	assert_eq "$(answer '.imageIds | length')" 2880
	refused "$n" InvalidParameterException list-images --no-paginate \
		--next-token nonsense
}

@test "aws v2: thousands of images, page by page" {
	cli_pages 2
}

@test "aws v1: thousands of images, page by page" {
	cli_pages 1
}

# --- layers without docker ----------------------------------------------------

cli_layers() { # GENERATION
	local n=$1 id digest config text url
	day_begins "$n"
	random_file "$W/layer" 21000000
	digest=$(digest_of "$W/layer")
	ask "$n" initiate-layer-upload
	id=$(answer .uploadId)
	assert_eq "$(answer .partSize)" 20971520
	head -c 20971520 "$W/layer" >"$W/part1"
	tail -c +20971521 "$W/layer" >"$W/part2"
	part() { # FIRST FILE
		ask "$n" upload-layer-part --upload-id "$id" \
			--part-first-byte "$1" \
			--part-last-byte "$(($1 + $(size_of "$2") - 1))" \
			--layer-part-blob "$blob$2"
	}
	# The newer generation reads bytes from fileb://, and takes them as base64
	# from elsewhere.
	blob=fileb://
	part 0 "$W/part1"
	assert_eq "$(answer .lastByteReceived)" 20971519
	part 20971520 "$W/part2"
	assert_eq "$(answer .lastByteReceived)" 20999999
	refused "$n" InvalidLayerException complete-layer-upload \
		--upload-id "$id" --layer-digests "$EMPTY_DIGEST"
	ask "$n" complete-layer-upload --upload-id "$id" \
		--layer-digests "$digest"
	assert_eq "$(answer .layerDigest)" "$digest"
	ask "$n" batch-check-layer-availability --layer-digests "$digest" \
		"$EMPTY_DIGEST"
	assert_eq "$(answer '[.layers[] | .layerAvailability] | join(" ")')" \
		'AVAILABLE UNAVAILABLE'
	refused "$n" LayerInaccessibleException get-download-url-for-layer \
		--layer-digest "$digest"

	# Through the distribution API it is there, too; and the reverse.
	login admin
	http HEAD "/v2/$REPO/blobs/$digest"
	expect 200
	printf '{"os":"linux"}' >"$W/config"
	blob_push "$REPO" "$W/config"
	config=$(descriptor application/vnd.oci.image.config.v1+json "$W/config")
	text=$(printf '{"schemaVersion":2,"mediaType":"%s","config":%s,"layers":[%s]}' \
		"$OCI_MANIFEST" "$config" "$(descriptor \
		application/vnd.oci.image.layer.v1.tar "$W/layer")")
	ask "$n" put-image --image-manifest "$text" --image-tag v1
	ask "$n" get-download-url-for-layer --layer-digest "$digest"
	url=$(answer .downloadUrl)
	secret_note "${url#*token=}"
	assert_eq "$(curl -sS "$url" | sha256sum | cut -d ' ' -f 1)" \
		"${digest#*:}" 'what the URL gives'
	assert_eq "$(curl -sS -r 5-9 "$url" | sha256sum)" \
		"$(tail -c +6 "$W/layer" | head -c 5 | sha256sum)"
	http GET "${url/token=/token=x}"
	expect 403 DENIED
}

@test "aws v2: a layer in parts, an image of it, and a URL to fetch it by" {
	cli_layers 2
}

@test "aws v1: a layer in parts, an image of it, and a URL to fetch it by" {
	cli_layers 1
}
