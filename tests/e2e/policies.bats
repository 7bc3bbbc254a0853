#!/usr/bin/env bats
# Who may do what: policies of users, groups, repositories and the registry,
# against each route and operation.  Curl and registryctl.
load helper

setup_file() {
	shared_start
}

teardown_file() {
	shared_stop
}

setup() {
	W=$BATS_TEST_TMPDIR
	U=u$BATS_TEST_NUMBER REPO=t$BATS_TEST_NUMBER/app
	SERVER_PID=''
	aws_env
}

teardown() {
	servers_clean
}

# --- actions ------------------------------------------------------------------

# Each route with what it needs: that without one of the actions it is denied,
# with the sentence, and with no other it is done.  Both are asked of one user
# whose policy is changed, and of things that admin has made.
needs() { # ROUTE "ACTIONS" STATUS METHOD PATH [CURL ARGUMENT...]
	local route=$1 actions=$2 status=$3 method=$4 path=$5 action
	shift 5
	printf '%s\n' "$route" >>"$W/routes"
	for action in $actions; do
		user_allow "$U" "$(allow_all_but "$action")"
		http "$method" "$path" "${as_user[@]}" "$@"
		[ "$STATUS" = 403 ] || { cat "$BODY"; fail \
			"$method $path without $action: $STATUS"; }
		[ "$method" != HEAD ] || continue
		expect 403 DENIED
		assert_eq "$(jq -r '.errors[0].message' "$BODY")" \
			"$(not_authorized "$U" "$action" "$REPO")" \
			"refusal of $method $path"
	done
	user_allow "$U" "$(allow "$actions" "$(repository_arn "$REPO")")"
	http "$method" "$path" "${as_user[@]}" "$@"
	expect "$status" || fail "$method $path with $actions"
}

@test "each route of /v2/ asks for its action, and for no other" {
	shared
	repository_make "$REPO"
	user_make "$U"
	user_allow "$U" "$(allow ecr:GetAuthorizationToken)"
	as "$U"
	login_password
	as_user=(-u "AWS:$TOKEN")
	login admin
	image_push "$REPO" v1
	image_push "$REPO" v2
	cp "$MANIFEST" "$W/m"
	printf one-more >"$W/blob"
	local body=(-H 'Content-Type: application/octet-stream'
		--data-binary "@$W/blob")
	local d=$DIGEST b upload="ecr:InitiateLayerUpload ecr:UploadLayerPart ecr:CompleteLayerUpload"
	b=$(digest_of "$W/blob")

	logout
	needs manifest-get ecr:BatchGetImage 200 GET "/v2/$REPO/manifests/v1"
	needs manifest-get ecr:BatchGetImage 200 HEAD "/v2/$REPO/manifests/v1"
	needs blob-get ecr:GetDownloadUrlForLayer 200 GET \
		"/v2/$REPO/blobs/$LAYER_DIGEST"
	needs tags-list ecr:ListImages 200 GET "/v2/$REPO/tags/list"
	needs referrers-list ecr:BatchGetImage 200 GET "/v2/$REPO/referrers/$d"
	needs upload-post ecr:InitiateLayerUpload 202 POST \
		"/v2/$REPO/blobs/uploads/"
	LOCATION=$(header Location)
	needs upload-patch ecr:UploadLayerPart 202 PATCH "$LOCATION" "${body[@]}"
	needs upload-status ecr:UploadLayerPart 204 GET "$LOCATION"
	needs upload-put 'ecr:UploadLayerPart ecr:CompleteLayerUpload' 201 PUT \
		"$(with_query "$LOCATION" "digest=$b")"
	needs upload-post "$upload" 201 POST \
		"/v2/$REPO/blobs/uploads/?digest=$b" "${body[@]}"
	user_allow "$U" "$(allow ecr:InitiateLayerUpload)"
	http POST "/v2/$REPO/blobs/uploads/" "${as_user[@]}"
	expect 202
	needs upload-cancel ecr:UploadLayerPart 204 DELETE "$(header Location)"
	needs manifest-put ecr:PutImage 201 PUT "/v2/$REPO/manifests/v3" \
		-H "Content-Type: $OCI_MANIFEST" --data-binary "@$W/m"
	needs manifest-delete ecr:BatchDeleteImage 202 DELETE \
		"/v2/$REPO/manifests/v3"
	needs blob-delete ecr:BatchDeleteImage 202 DELETE "/v2/$REPO/blobs/$b"

	# Whoever may have the bytes may ask whether they are there.
	for action in ecr:GetDownloadUrlForLayer \
	    ecr:BatchCheckLayerAvailability; do
		user_allow "$U" "$(allow "$action")"
		http HEAD "/v2/$REPO/blobs/$LAYER_DIGEST" "${as_user[@]}"
		expect 200
	done
	user_allow "$U" "$(allow "$PUSH")"
	http HEAD "/v2/$REPO/blobs/$LAYER_DIGEST" "${as_user[@]}"
	expect 403

	# Nothing was forgotten here.
	sed -n 's/.*{ "\([a-z-]*\)", ACCESS_REPOSITORY.*/\1/p' \
		"$TOP/registryd/permissions.c" | sort -u >"$W/want"
	[ -s "$W/want" ] || fail 'the table is not where it was'
	assert_eq "$(comm -13 <(sort -u "$W/routes") "$W/want" | xargs)" '' \
		'routes without a test'
}

# With its actions it is done, or fails for a reason of its own.
ecr_needs() { # OPERATION "ACTIONS" JSON [ERROR]
	local operation=$1 actions=$2 json=$3 action resource
	printf '%s\n' "$operation" >>"$W/operations"
	for action in $actions; do
		user_allow "$U" "$(allow_all_but "$action")"
		ecr "$operation" "$json"
		resource="on resource: $(repository_arn "$REPO") because"
		case $json in
		*"$REPO"*) ;;
		*) resource='on resource: * because' ;;
		esac
		expect_aws AccessDeniedException \
			"User: $(user_arn "$U") is not authorized to perform: $action $resource no identity-based policy allows the $action action"
	done
	user_allow "$U" "$(allow "$actions")"
	ecr "$operation" "$json"
	if [ -n "${4:-}" ]; then
		expect_aws "$4"
		return
	fi
	expect 200 || fail "$operation with $actions"
}

# simple OPERATION JSON [ERROR]: it needs the action of its own name.
simple() {
	ecr_needs "$1" "ecr:$1" "$2" "${@:3}"
}

repository_needs() {
	local arn text
	arn="\"resourceArn\":\"$(repository_arn "$REPO")\""
	text=$(jq -c . <<<'"{\"rules\":[{\"rulePriority\":1,\"selection\":{\"tagStatus\":\"untagged\",\"countType\":\"imageCountMoreThan\",\"countNumber\":9},\"action\":{\"type\":\"expire\"}}]}"')
	simple TagResource "{$arn,\"tags\":[{\"Key\":\"a\",\"Value\":\"b\"}]}"
	simple ListTagsForResource "{$arn}"
	simple UntagResource "{$arn,\"tagKeys\":[\"a\"]}"
	simple PutImageTagMutability \
		"{$name,\"imageTagMutability\":\"MUTABLE\"}"
	simple PutImageScanningConfiguration \
		"{$name,\"imageScanningConfiguration\":{\"scanOnPush\":false}}"
	simple PutLifecyclePolicy "{$name,\"lifecyclePolicyText\":$text}"
	simple GetLifecyclePolicy "{$name}"
	simple StartLifecyclePolicyPreview "{$name}"
	simple GetLifecyclePolicyPreview "{$name}"
	simple DeleteLifecyclePolicy "{$name}"
	simple BatchGetRepositoryScanningConfiguration \
		"{\"repositoryNames\":[\"$REPO\"]}"
}

images_need() {
	local id text
	text=$(printf '{"schemaVersion":2,"mediaType":"%s","config":{"mediaType":"%s","digest":"%s","size":2},"layers":[]}' \
		"$OCI_MANIFEST" application/vnd.oci.image.config.v1+json \
		"$EMPTY_DIGEST")
	as admin
	login admin
	printf '{}' >"$W/empty"
	blob_push "$REPO" "$W/empty"
	logout
	as "$U"
	simple PutImage "{$name,\"imageTag\":\"v1\",\"imageManifest\":$(
		jq -cn --arg t "$text" '$t')}"
	id='"imageId":{"imageTag":"v1"}'
	simple BatchGetImage "{$name,\"imageIds\":[{\"imageTag\":\"v1\"}]}"
	simple ListImages "{$name}"
	simple DescribeImages "{$name}"
	ecr_needs ListImageReferrers ecr:BatchGetImage \
		"{$name,\"subjectId\":{\"imageDigest\":\"$EMPTY_DIGEST\"}}"
	simple StartImageScan "{$name,$id}"
	simple DescribeImageScanFindings "{$name,$id}"
	simple DescribeImageReplicationStatus "{$name,$id}"
	simple DescribeImageSigningStatus "{$name,$id}"
	simple UpdateImageStorageClass \
		"{$name,$id,\"targetStorageClass\":\"STANDARD\"}"
	simple GetDownloadUrlForLayer \
		"{$name,\"layerDigest\":\"$EMPTY_DIGEST\"}"
	secret_note "$(jq -r .downloadUrl "$BODY" | sed 's/.*token=//')"
	simple BatchDeleteImage "{$name,\"imageIds\":[{\"imageTag\":\"v1\"}]}"
}

layers_need() {
	local upload
	simple BatchCheckLayerAvailability \
		"{$name,\"layerDigests\":[\"$EMPTY_DIGEST\"]}"
	simple InitiateLayerUpload "{$name}"
	upload="\"uploadId\":\"$(jq -r .uploadId "$BODY")\""
	simple UploadLayerPart "{$name,$upload,\"partFirstByte\":0,\"partLastByte\":2,\"layerPartBlob\":\"b25l\"}"
	simple CompleteLayerUpload \
		"{$name,$upload,\"layerDigests\":[\"sha256:$(printf one |
			sha256sum | cut -d ' ' -f 1)\"]}"
}

registry_needs() {
	local rule prefix='"ecrRepositoryPrefix":"cache"' arn template
	local destination='"destination":{"region":"eu-central-1","registryId":"000000000000"}'
	arn="\"principalArn\":\"$(user_arn nobody)\""
	template="\"prefix\":\"tpl$BATS_TEST_NUMBER\""
	simple DescribeRegistry '{}'
	simple GetAccountSetting '{"name":"BLOB_MOUNTING"}'
	simple PutAccountSetting '{"name":"BLOB_MOUNTING","value":"ENABLED"}'
	simple PutReplicationConfiguration \
		'{"replicationConfiguration":{"rules":[]}}'
	simple StartReplicationBackfill "{$destination}" ValidationException
	simple ListReplicationBackfills '{}'
	simple StopReplicationBackfill '{"replicationBackfillId":"x"}' \
		ReplicationBackfillNotFoundException
	simple DescribeReplicationBackfillResults \
		'{"replicationBackfillId":"x"}' ReplicationBackfillNotFoundException
	simple PutRegistryScanningConfiguration '{"scanType":"BASIC","rules":[]}'
	simple GetRegistryScanningConfiguration '{}'
	simple PutSigningConfiguration '{"signingConfiguration":{"rules":[]}}'
	simple GetSigningConfiguration '{}'
	simple DeleteSigningConfiguration '{}'
	simple RegisterPullTimeUpdateExclusion "{$arn}"
	simple ListPullTimeUpdateExclusions '{}'
	simple DeregisterPullTimeUpdateExclusion "{$arn}"
	simple CreatePullThroughCacheRule \
		"{$prefix,\"upstreamRegistryUrl\":\"registry.example\"}"
	simple DescribePullThroughCacheRules '{}'
	rule=secret:ecr-pullthroughcache/x
	simple UpdatePullThroughCacheRule "{$prefix,\"credentialArn\":\"arn:aws:secretsmanager:us-east-1:000000000000:$rule\"}"
	simple ValidatePullThroughCacheRule "{$prefix}"
	simple DeletePullThroughCacheRule "{$prefix}"
	simple CreateRepositoryCreationTemplate \
		"{$template,\"appliedFor\":[\"CREATE_ON_PUSH\"]}"
	simple DescribeRepositoryCreationTemplates '{}'
	simple UpdateRepositoryCreationTemplate \
		"{$template,\"description\":\"x\"}"
	simple DeleteRepositoryCreationTemplate "{$template}"
}

# Those that "registryctl apply" has for itself.
stacks_need() {
	local TARGET=Registryd_V20261122 stack="\"stackName\":\"s$BATS_TEST_NUMBER\""
	ecr_needs PutStack registryd:PutStack \
		"{$stack,\"revision\":0,\"resources\":[]}"
	ecr_needs GetStack registryd:GetStack "{$stack}"
	ecr_needs ListStacks registryd:ListStacks '{}'
	ecr_needs DeleteStack registryd:DeleteStack "{$stack}"
}

@test "each operation of the ECR endpoint asks for its action, and for no other" {
	local name policy
	shared
	user_make "$U"
	as "$U"
	name="\"repositoryName\":\"$REPO\""
	policy=$(jq -cn --arg p "$(repository_policy '"*"' "$PULL")" '$p')
	ecr_needs GetAuthorizationToken ecr:GetAuthorizationToken '{}'
	ecr_needs CreateRepository ecr:CreateRepository "{$name}"
	ecr_needs DescribeRepositories ecr:DescribeRepositories \
		"{\"repositoryNames\":[\"$REPO\"]}"
	ecr_needs SetRepositoryPolicy ecr:SetRepositoryPolicy \
		"{$name,\"policyText\":$policy}"
	ecr_needs GetRepositoryPolicy ecr:GetRepositoryPolicy "{$name}"
	ecr_needs DeleteRepositoryPolicy ecr:DeleteRepositoryPolicy "{$name}"
	repository_needs
	images_need
	layers_need
	ecr_needs DeleteRepository ecr:DeleteRepository "{$name,\"force\":true}"
	ecr_needs CreateRepository 'ecr:CreateRepository ecr:TagResource' \
		"{$name,\"tags\":[{\"Key\":\"a\",\"Value\":\"b\"}]}"
	policy=$(jq -cn --arg p '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"ecr:ReplicateImage","Resource":"arn:aws:ecr:us-east-1:000000000000:repository/*"}}' '$p')
	ecr_needs PutRegistryPolicy ecr:PutRegistryPolicy \
		"{\"policyText\":$policy}"
	ecr_needs GetRegistryPolicy ecr:GetRegistryPolicy '{}'
	ecr_needs DeleteRegistryPolicy ecr:DeleteRegistryPolicy '{}'
	registry_needs
	stacks_need
	sed -nE 's/.*\{ "([A-Z][A-Za-z]*)", ACCESS_(REPOSITORY|REGISTRY|LISTED).*/\1/p' \
		"$TOP/registryd/permissions.c" | sort -u >"$W/want"
	[ -s "$W/want" ] || fail 'the table is not where it was'
	assert_eq "$(comm -13 <(sort -u "$W/operations") "$W/want" | xargs)" '' \
		'operations without a test'
}

@test "who may not learns nothing about what is there" {
	local path
	shared
	user_make "$U" "$(allow "ecr:GetAuthorizationToken")"
	login "$U"
	for path in manifests/v1 "blobs/$EMPTY_DIGEST" tags/list; do
		http GET "/v2/none/such/$path"
		expect 403 DENIED
		sed 's|none/such|NAME|g' "$BODY" >"$W/absent"
		http GET "/v2/base/app/$path"
		expect 403 DENIED
		cmp "$W/absent" <(sed 's|base/app|NAME|g' "$BODY")
	done
	ecr DescribeRepositories '{"repositoryNames":["none/such"]}'
	expect_aws AccessDeniedException
	ecr DeleteRepository '{"repositoryName":"none/such"}'
	expect_aws AccessDeniedException
	as admin
	login admin
	http GET /v2/none/such/manifests/v1
	expect 404 NAME_UNKNOWN
	ecr DeleteRepository '{"repositoryName":"none/such"}'
	expect_aws RepositoryNotFoundException none/such
}

@test "names that try to escape are refused or denied, whoever asks" {
	local name
	shared
	user_make "$U" "$(allow "$PULL" 'arn:aws:ecr:*:*:repository/mine/*')"
	may_login "$U"
	login "$U"
	for name in mine/../base/app mine/%2e%2e/base/app 'mine/..%2fbase%2fapp' \
	    mine//base mine%00/app MINE/app mine/app/../../base; do
		http GET "/v2/$name/manifests/v1"
		case $STATUS in
		40[034]) ;;
		*) fail "$name: $STATUS" ;;
		esac
	done
	http GET /v2/mine/app/manifests/v1
	expect 404 NAME_UNKNOWN
	login admin
	ecr CreateRepository '{"repositoryName":"mine/../base/other"}'
	expect_aws InvalidParameterException repositoryName
}

# --- which repositories -------------------------------------------------------

@test "a repository has to be there: pushes make none, by default" {
	shared
	login admin
	http POST "/v2/$REPO/blobs/uploads/"
	expect 404 NAME_UNKNOWN
	http POST "/v2/$REPO/blobs/uploads/?digest=$EMPTY_DIGEST" -d '{}'
	expect 404 NAME_UNKNOWN
	http GET /v2/_catalog
	! grep -qF "$REPO" "$BODY" || fail 'made all the same'
	repository_make "$REPO"
	image_push "$REPO" v1
}

@test "with create-on-push a push makes it, for who may ecr:CreateRepository" {
	REGISTRYD_REPOSITORIES_CREATE_ON_PUSH=true auth_server_start
	user_make "$U" AmazonEC2ContainerRegistryPowerUser
	login "$U"
	http POST /v2/new/app/blobs/uploads/
	expect 403 DENIED
	assert_in "$(jq -r '.errors[0].message' "$BODY")" ecr:CreateRepository
	user_allow "$U" "$(allow ecr:CreateRepository \
		"$(repository_arn 'new/*')")"
	image_push new/app v1
	http POST /v2/other/app/blobs/uploads/
	expect 403 DENIED
	assert_in "$(jq -r '.errors[0].message' "$BODY")" ecr:CreateRepository
	ecr DescribeRepositories
	assert_eq "$(jq -r '.repositories[].repositoryName' "$BODY")" new/app
	server_stop
}

@test "a mount needs the right to pull from where the blob is" {
	local from=$REPO-from to=$REPO-to blob
	shared
	repository_make "$from"
	repository_make "$to"
	login admin
	printf 'only here %s' "$U" >"$W/blob"
	blob_push "$from" "$W/blob"
	blob=$DIGEST
	user_make "$U" "$(allow "$PUSH $PULL" "$(repository_arn "$to")")"
	may_login "$U"
	login "$U"
	http POST "/v2/$to/blobs/uploads/?mount=$blob&from=$from"
	expect 202
	http POST "/v2/$to/blobs/uploads/?mount=$blob"
	expect 202
	http HEAD "/v2/$to/blobs/$blob"
	expect 404
	ctl policy put pull --user "$U" --file <(allow "$PULL" \
		"$(repository_arn "$from")")
	http POST "/v2/$to/blobs/uploads/?mount=$blob"
	expect 201
	http HEAD "/v2/$to/blobs/$blob"
	expect 200
	http POST "/v2/$to/blobs/uploads/?mount=$blob&from=$from"
	expect 201
}

@test "lists show what may be seen, page by page, and nothing else" {
	local i names
	auth_server_start
	for i in 1 2 3 4 5; do
		repository_make "seen/r$i"
		repository_make "hidden/r$i"
		repository_make "zoo/r$i"
	done
	user_make "$U" "$(allow 'ecr:DescribeRepositories ecr:ListImages' \
		"$(repository_arn 'seen/*')")"
	may_login "$U"
	login "$U"
	http GET /v2/_catalog
	expect 200
	assert_eq "$(jq -r '.repositories | join(" ")' "$BODY")" \
		'seen/r1 seen/r2 seen/r3 seen/r4 seen/r5'
	http GET '/v2/_catalog?n=2'
	assert_eq "$(jq -r '.repositories | join(" ")' "$BODY")" \
		'seen/r1 seen/r2'
	assert_in "$(header Link)" 'rel="next"'
	http GET '/v2/_catalog?n=2&last=seen/r4'
	assert_eq "$(jq -r '.repositories | join(" ")' "$BODY")" seen/r5
	assert_eq "$(header Link)" ''
	ecr DescribeRepositories
	assert_eq "$(jq -r '[.repositories[].repositoryName] | join(" ")' \
		"$BODY")" 'seen/r1 seen/r2 seen/r3 seen/r4 seen/r5'
	ecr DescribeRepositories '{"maxResults":3}'
	assert_eq "$(jq '.repositories | length' "$BODY")" 3
	names=$(jq -r .nextToken "$BODY")
	ecr DescribeRepositories "{\"maxResults\":3,\"nextToken\":\"$names\"}"
	assert_eq "$(jq -r '[.repositories[].repositoryName] | join(" ")' \
		"$BODY")" 'seen/r4 seen/r5'
	ecr DescribeRepositories '{"repositoryNames":["seen/r1","hidden/r1"]}'
	expect_aws AccessDeniedException hidden/r1
	user_make "$U-none" "$(allow ecr:GetAuthorizationToken)"
	login "$U-none"
	http GET /v2/_catalog
	expect 200
	assert_eq "$(jq -c .repositories "$BODY")" '[]'
	server_stop
}

# --- policies -----------------------------------------------------------------

OTHER=111122223333

@test "another account's user needs both sides: the repository's policy and its own" {
	local other
	shared
	other=$OTHER/$U
	repository_make "$REPO"
	login admin
	image_push "$REPO" v1
	user_make "$other" "$(allow ecr:GetAuthorizationToken)"
	login "$other"
	http GET "/v2/$REPO/manifests/v1"
	expect 403 DENIED
	assert_in "$(jq -r '.errors[0].message' "$BODY")" \
		"User: $(user_arn "$U" "$OTHER") is not authorized to perform: ecr:BatchGetImage on resource: $(repository_arn "$REPO") because no "

	# Its own side alone.
	ctl policy put pull --user "$other" --file <(allow "$PULL")
	http GET "/v2/$REPO/manifests/v1"
	expect 403 DENIED
	assert_in "$(jq -r '.errors[0].message' "$BODY")" \
		'because no resource-based policy allows the ecr:BatchGetImage action'

	# Both.
	as admin
	policy_set "$REPO" "$(repository_policy "{\"AWS\":\"$OTHER\"}" "$PULL")"
	expect 200
	http GET "/v2/$REPO/manifests/v1"
	expect 200
	http GET "/v2/$REPO/blobs/$LAYER_DIGEST"
	expect 200
	http POST "/v2/$REPO/blobs/uploads/"
	expect 403

	# The repository's alone.
	ctl policy delete pull --user "$other"
	http GET "/v2/$REPO/manifests/v1"
	expect 403
	assert_in "$(jq -r '.errors[0].message' "$BODY")" identity-based
	http GET /v2/base/app/manifests/v1
	expect 403
}

@test "within the account the repository's policy alone is enough" {
	shared
	repository_make "$REPO"
	login admin
	image_push "$REPO" v1
	user_make "$U" "$(allow ecr:GetAuthorizationToken)"
	policy_set "$REPO" "$(repository_policy \
		"{\"AWS\":\"$(user_arn "$U")\"}" "$PULL")"
	expect 200
	login "$U"
	http GET "/v2/$REPO/manifests/v1"
	expect 200
	http GET "/v2/$REPO/tags/list"
	expect 403
}

@test "an explicit deny wins, wherever it stands" {
	shared
	repository_make "$REPO"
	login admin
	image_push "$REPO" v1
	user_make "$U" AmazonEC2ContainerRegistryFullAccess
	login "$U"
	http GET "/v2/$REPO/manifests/v1"
	expect 200
	ctl policy put no --user "$U" --file - <<-JSON
	{"Version":"2012-10-17","Statement":{"Sid":"NotThis","Effect":"Deny",
	 "Action":"ecr:BatchGet*","Resource":"$(repository_arn "$REPO")"}}
	JSON
	http GET "/v2/$REPO/manifests/v1"
	expect 403 DENIED
	assert_eq "$(jq -r '.errors[0].message' "$BODY")" \
		"User: $(user_arn "$U") is not authorized to perform: ecr:BatchGetImage on resource: $(repository_arn "$REPO") with an explicit deny in an identity-based policy"
	http GET "/v2/$REPO/tags/list"
	expect 200
	ctl policy delete no --user "$U"
	# Of the repository, for all but admin.
	as admin
	policy_set "$REPO" "{\"Version\":\"2012-10-17\",\"Statement\":{
	    \"Effect\":\"Deny\",\"NotPrincipal\":{\"AWS\":\"$(user_arn admin)\"},
	    \"Action\":\"ecr:ListImages\"}}"
	expect 200
	http GET "/v2/$REPO/manifests/v1"
	expect 200
	http GET "/v2/$REPO/tags/list"
	expect 403 DENIED
	assert_in "$(jq -r '.errors[0].message' "$BODY")" \
		'with an explicit deny in a resource-based policy'
	login admin
	http GET "/v2/$REPO/tags/list"
	expect 200
	# Through a group.
	ctl group create "g$U"
	ctl group add "g$U" "$U"
	ctl policy put no --group "g$U" --file - <<-JSON
	{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"ecr:*",
	 "Resource":"*"}}
	JSON
	as "$U"
	ecr DescribeRepositories
	expect_aws AccessDeniedException 'explicit deny'
	ctl group remove "g$U" "$U"
	ecr DescribeRepositories "{\"repositoryNames\":[\"$REPO\"]}"
	expect 200
}

@test "aws:SourceIp lets pull from inside of the range only" {
	shared
	repository_make "$REPO"
	login admin
	image_push "$REPO" v1
	user_make "$U" "$(allow "ecr:GetAuthorizationToken")"
	ctl policy put pull --user "$U" --file <(allow "$PULL" '*' \
		'"Condition":{"IpAddress":{"aws:SourceIp":"127.0.0.2/32"}}')
	login "$U"
	http GET "/v2/$REPO/manifests/v1"
	expect 403 DENIED
	http GET "/v2/$REPO/manifests/v1" --interface 127.0.0.2
	expect 200
	# No header says where one comes from, but of a proxy that is trusted.
	http GET "/v2/$REPO/manifests/v1" -H 'X-Forwarded-For: 127.0.0.2'
	expect 403
	# The other way round, as a deny.
	ctl policy put pull --user "$U" --file <(allow "$PULL")
	ctl policy put inside --user "$U" --file - <<-'JSON'
	{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*",
	 "Resource":"*","Condition":{"NotIpAddress":
	   {"aws:SourceIp":["10.0.0.0/8","127.0.0.0/31"]}}}}
	JSON
	http GET "/v2/$REPO/manifests/v1"
	expect 200
	http GET "/v2/$REPO/manifests/v1" --interface 127.0.0.2
	expect 403 DENIED
	assert_in "$(jq -r '.errors[0].message' "$BODY")" 'explicit deny'
}

@test "aws:SourceIp is the client's, behind a trusted proxy too" {
	REGISTRYD_TRUSTED_PROXIES=127.0.0.1 auth_server_start
	repository_make "$REPO"
	user_make "$U" "$(allow "ecr:GetAuthorizationToken")"
	ctl policy put list --user "$U" --file <(allow ecr:ListImages '*' \
		'"Condition":{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}')
	login "$U"
	http GET "/v2/$REPO/tags/list" -H 'X-Forwarded-For: 203.0.113.9'
	expect 200
	http GET "/v2/$REPO/tags/list" -H 'X-Forwarded-For: 203.0.114.9'
	expect 403 DENIED
	http GET "/v2/$REPO/tags/list" --interface 127.0.0.2 \
		-H 'X-Forwarded-For: 203.0.113.9'
	expect 403 DENIED
	server_stop
}

@test "tags, variables, TLS and user agents decide as policies say" {
	shared
	repository_make "$U/app"
	repository_make "$REPO"
	login admin
	image_push "$U/app" v1
	image_push "$REPO" v1
	ctl user create "$U" --tag team=blue >/dev/null
	ctl policy put test --user "$U" --file - <<-'JSON'
	{"Version":"2012-10-17","Statement":[
	 {"Effect":"Allow","Action":"ecr:GetAuthorizationToken","Resource":"*"},
	 {"Effect":"Allow","Action":["ecr:BatchGetImage"],
	  "Resource":"arn:aws:ecr:*:*:repository/${aws:username}/*"},
	 {"Effect":"Allow","Action":"ecr:ListImages","Resource":"*",
	  "Condition":{"StringEquals":{"aws:PrincipalTag/team":"blue"},
	               "StringLike":{"aws:UserAgent":"good/*"}}},
	 {"Effect":"Allow","Action":"ecr:GetDownloadUrlForLayer","Resource":"*",
	  "Condition":{"Bool":{"aws:SecureTransport":"true"}}}]}
	JSON
	user_key "$U"
	login "$U"
	http GET "/v2/$U/app/manifests/v1"
	expect 200
	http GET "/v2/$REPO/manifests/v1"
	expect 403
	http GET "/v2/$REPO/tags/list" -A good/1
	expect 200
	http GET "/v2/$REPO/tags/list" -A bad/1
	expect 403
	ctl user tag "$U" --tag team=red
	http GET "/v2/$REPO/tags/list" -A good/1
	expect 403
	http GET "/v2/$REPO/blobs/$LAYER_DIGEST"
	expect 403
}

@test "the registry's policy is asked too, and its deny wins" {
	auth_server_start
	repository_make a/b
	login admin
	image_push a/b v1
	user_make "$U" AmazonEC2ContainerRegistryReadOnly
	login "$U"
	http GET /v2/a/b/manifests/v1
	expect 200
	ctl policy put-registry --file - <<-JSON
	{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*",
	 "Action":"ecr:BatchGetImage","Resource":"arn:aws:ecr:*:*:repository/a/*",
	 "Condition":{"StringEquals":{"aws:username":"$U"}}}}
	JSON
	http GET /v2/a/b/manifests/v1
	expect 403 DENIED
	assert_in "$(jq -r '.errors[0].message' "$BODY")" 'explicit deny'
	ctl policy get-registry | jq -e .Statement >/dev/null
	ctl policy delete-registry
	http GET /v2/a/b/manifests/v1
	expect 200
	server_stop
}

# refused POLICY PART...: the same by registryctl and by the API; the parts are
# in what they say.
refused() {
	local policy=$1 part
	shift
	printf '%s' "$policy" >"$W/policy"
	ctl_run policy put test --user "$U" --file "$W/policy"
	assert_eq "$code" 1 "exit for $policy: $out"
	for part; do
		assert_in "$out" "$part"
	done
}

@test "what is no policy is refused, naming statement and element; nothing changes" {
	local good long deep statement='"Effect":"Allow","Action":"ecr:*","Resource":"*"'
	shared
	good=$(allow "ecr:GetAuthorizationToken ecr:ListImages")
	user_make "$U" "$good"
	refused '{' JSON
	refused '[]'
	refused '{"Version":"2011-01-01","Statement":[]}' Version 2011-01-01
	refused '{"Version":"2012-10-17"}' Statement
	refused "{\"Version\":\"2012-10-17\",\"Statement\":[{$statement},{\"Effect\":\"allow\",\"Action\":\"*\",\"Resource\":\"*\"}]}" \
		'statement 2' Effect allow
	refused '{"Version":"2012-10-17","Statement":{"Sid":"Mine","Effect":"Allow","Action":"ecr","Resource":"*"}}' \
		Mine Action
	refused '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ecr:*"}}' \
		'statement 1' Resource
	refused "{\"Version\":\"2012-10-17\",\"Statement\":{$statement,\"Principal\":\"*\"}}" \
		Principal
	refused "{\"Version\":\"2012-10-17\",\"Statement\":{$statement,\"Colour\":1}}" \
		Colour
	refused "{\"Version\":\"2012-10-17\",\"Statement\":{$statement,\"Condition\":{\"StringEqual\":{\"aws:username\":\"x\"}}}}" \
		Condition StringEqual
	refused "{\"Version\":\"2012-10-17\",\"Statement\":{$statement,\"Condition\":{\"IpAddress\":{\"aws:SourceIp\":\"300.1.1.1\"}}}}" \
		Condition 300.1.1.1
	long=$(head -c 11000 /dev/zero | tr '\0' a)
	refused "{\"Version\":\"2012-10-17\",\"Id\":\"$long\",\"Statement\":{$statement}}" \
		10240
	deep=$(printf '%05000d' 0 | tr 0 '[')
	refused "$deep"
	refused "{\"Version\":\"2012-10-17\",\"Statement\":{$statement,\"Condition\":$deep}}"
	cmp <(ctl policy get test --user "$U") <(printf '%s\n' "$good")

	# The repository's, in ECR's words.
	repository_make "$REPO"
	policy_set "$REPO" "$(repository_policy '"*"' "$PULL")"
	expect 200
	policy_set "$REPO" '{"Version":"2012-10-17","Statement":[{"Sid":"P","Effect":"Allow","Action":"ecr:*"}]}'
	expect_aws InvalidParameterException \
		"Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy provided'"
	assert_in "$(jq -r .message "$BODY")" Principal
	policy_set "$REPO" '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject"}]}'
	expect_aws InvalidParameterException
	head -c 3000000 /dev/zero | tr '\0' '[' >"$W/mega"
	http POST / -H 'X-Amz-Target: AmazonEC2ContainerRegistry_V20150921.SetRepositoryPolicy' \
		--data-binary "@$W/mega"
	case $STATUS in
	400 | 413) ;;
	*) fail "megabytes: $STATUS" ;;
	esac
	ecr GetRepositoryPolicy "{\"repositoryName\":\"$REPO\"}"
	expect 200
	assert_eq "$(jq -r .policyText "$BODY")" \
		"$(repository_policy '"*"' "$PULL")"
}

@test "a policy that would lock its author out wants force" {
	shared
	repository_make "$REPO"
	user_make "$U" AmazonEC2ContainerRegistryFullAccess
	as "$U"
	local policy='{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*","Action":"ecr:SetRepositoryPolicy"}}'
	policy_set "$REPO" "$policy"
	expect_aws InvalidParameterException force
	ecr SetRepositoryPolicy "$(jq -cn --arg r "$REPO" --arg p "$policy" \
		'{repositoryName: $r, policyText: $p, force: true}')"
	expect 200
	policy_set "$REPO" "$(repository_policy '"*"' "$PULL")"
	expect_aws AccessDeniedException
	# The way out of it is not shut.
	ecr DeleteRepositoryPolicy "{\"repositoryName\":\"$REPO\"}"
	expect 200
}

@test "simulate says which statement decides, and its exit status is success" {
	shared
	repository_make "$REPO"
	ctl user create "$U" >/dev/null
	ctl policy put mine --user "$U" --file - <<-JSON
	{"Version":"2012-10-17","Statement":[
	 {"Sid":"Read","Effect":"Allow","Action":"ecr:BatchGetImage",
	  "Resource":"$(repository_arn "$REPO")"},
	 {"Sid":"NotAtNight","Effect":"Deny","Action":"*","Resource":"*",
	  "Condition":{"IpAddress":{"aws:SourceIp":"10.6.6.0/24"}}}]}
	JSON
	ctl_run policy simulate --principal "$U" --action ecr:BatchGetImage \
		--resource "$REPO"
	assert_eq "$code" 0 "exit of: $out"
	assert_in "$out" allowed
	assert_in "$out" Read
	assert_in "$out" mine
	ctl_run policy simulate --principal "$U" --action ecr:PutImage \
		--resource "$REPO"
	assert_in "$out" implicitDeny
	assert_in "$out" "$(not_authorized "$U" ecr:PutImage "$REPO")"
	ctl_run policy simulate --principal "$(user_arn "$U")" \
		--action ecr:BatchGetImage --resource "$(repository_arn "$REPO")" \
		--source-ip 10.6.6.6
	assert_in "$out" explicitDeny
	assert_in "$out" NotAtNight
	as admin
	policy_set "$REPO" "$(repository_policy '"*"' ecr:ListImages)"
	expect 200
	ctl --output json policy simulate --principal anonymous \
		--action ecr:ListImages --resource "$REPO" >"$W/out"
	assert_eq "$(jq -r .decision "$W/out")" allowed
	assert_eq "$(jq -r .decided_by "$W/out")" repository
	ctl_run policy simulate --principal no-such-user --action ecr:PutImage \
		--resource "$REPO"
	assert_eq "$code" 1
	assert_in "$out" no-such-user
}
