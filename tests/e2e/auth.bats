#!/usr/bin/env bats
# Who is let in, and who may do what: curl and bytes against the server, and
# registryctl.  The real tools are in aws.bats and auth_clients.bats.
#
# Wrong credentials are counted by address, so a test that comes with some has a
# server of its own.
load helper

setup_file() {
	[ -z "${E2E_HOST:-}" ] || skip 'needs servers of its own'
	auth_server_start
	repository_make base/app
	export SHARED_DATA=$DATA SHARED_URL=$URL SHARED_HOST=$HOST
	export SHARED_LOG=$SERVER_LOG SHARED_PID=$SERVER_PID
}

teardown_file() {
	[ -n "${SERVER_PID:-}" ] || return 0
	server_stop
	servers_clean
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

# The server that tests share which ask for nothing wrong.
shared() {
	DATA=$SHARED_DATA URL=$SHARED_URL HOST=$SHARED_HOST
	SERVER_LOG=$SHARED_LOG SERVER_PID=$SHARED_PID
	as admin
	HTTP_OPTIONS=()
}

may_login() {
	ctl policy put token --user "$U" \
		--file <(allow ecr:GetAuthorizationToken) >/dev/null
}

# ctl_run ARGUMENT...: sets code and out (both streams).
ctl_run() {
	code=0
	out=$(ctl "$@" 2>&1 </dev/null) || code=$?
}

expired='Your authorization token has expired. Reauthenticate and try again.'

# What each kind of policy may do on one repository.
PULL='ecr:BatchGetImage ecr:GetDownloadUrlForLayer'
PUSH='ecr:InitiateLayerUpload ecr:UploadLayerPart ecr:CompleteLayerUpload ecr:PutImage'

# --- the first start ----------------------------------------------------------

@test "the first start makes an administrator whose key works at once, and says so" {
	auth_server_start
	assert_eq "$(stat -c %a "$DATA/admin-credentials")" 600
	assert_eq "$(stat -c %a "$DATA/master.key")" 600
	grep -qx '\[default\]' "$DATA/admin-credentials"
	grep -qE '^aws_access_key_id *= *AKIA[A-Z0-9]{16}$' \
		"$DATA/admin-credentials"
	assert_in "$(cat "$SERVER_LOG")" "$DATA/admin-credentials"
	assert_in "$(ctl user list)" admin
	ecr CreateRepository '{"repositoryName":"first/app"}'
	expect 200
	login admin
	image_push first/app v1
	server_stop
	cp "$DATA/admin-credentials" "$W/before"
	server_start --auth token --data "$DATA"
	cmp "$W/before" "$DATA/admin-credentials"
	! grep -q 'made the administrator' "$SERVER_LOG" || fail 'made anew'
	ecr GetAuthorizationToken
	expect 200
	http GET /v2/first/app/manifests/v1
	expect 200
	server_stop
}

@test "a master key inside of the data folder is told of at every start, one outside not" {
	auth_server_start
	grep -iE 'warn.*master' "$SERVER_LOG" ||
		fail "nothing said: $(cat "$SERVER_LOG")"
	server_stop
	server_start --auth token --data "$DATA"
	grep -qiE 'warn.*master' "$SERVER_LOG" || fail 'said once only'
	server_stop
	REGISTRYD_MASTER_KEY_FILE=$W/apart.key auth_server_start
	secret_note "$(grep -v '^#' "$W/apart.key" | head -n 1)"
	[ ! -e "$DATA/master.key" ] || fail 'and one inside'
	! grep -iE 'warn.*master' "$SERVER_LOG" || fail 'warned of all the same'
	assert_eq "$(stat -c %a "$W/apart.key")" 600
	server_stop
}

@test "--auth none lets everybody in, and says so at every start" {
	server_start --auth none
	grep -iE 'warn.*(auth|everybody|anonymous)' "$SERVER_LOG" ||
		fail "nothing said: $(cat "$SERVER_LOG")"
	http GET /v2/
	expect 200
	image_push open/app v1
	[ ! -e "$DATA/admin-credentials" ] || fail 'an administrator of what?'
	server_stop
}

# --- the challenge ------------------------------------------------------------

@test "without credentials every path of the API gives 401 and ECR's challenge" {
	local path d=$EMPTY_DIGEST
	shared
	for path in /v2/ /v2 /v2/_catalog /v2/base/app/manifests/v1 \
	    /v2/base/app/tags/list "/v2/base/app/blobs/$d" \
	    "/v2/base/app/referrers/$d" /v2/none/manifests/v1 \
	    /v2/base/app/blobs/uploads/x; do
		http GET "$path"
		expect 401 UNAUTHORIZED
		assert_eq "$(header WWW-Authenticate)" \
			"Basic realm=\"http://$HOST/\",service=\"ecr.amazonaws.com\"" \
			"challenge of $path"
		assert_eq "$(header Docker-Distribution-Api-Version)" \
			registry/2.0
	done
	http HEAD "/v2/base/app/blobs/$d"
	expect 401
	http POST /v2/base/app/blobs/uploads/
	expect 401 UNAUTHORIZED
	http PUT /v2/base/app/manifests/v1 -H "Content-Type: $OCI_MANIFEST" \
		-d '{}'
	expect 401 UNAUTHORIZED
	http DELETE /v2/base/app/manifests/v1
	expect 401 UNAUTHORIZED
	http GET /healthz
	expect 200
}

@test "the challenge names external-url where that is set" {
	REGISTRYD_EXTERNAL_URL=https://registry.example.org auth_server_start
	http GET /v2/
	expect 401
	assert_eq "$(header WWW-Authenticate)" \
		'Basic realm="https://registry.example.org/",service="ecr.amazonaws.com"'
	ecr GetAuthorizationToken
	assert_eq "$(jq -r '.authorizationData[0].proxyEndpoint' "$BODY")" \
		https://registry.example.org
	server_stop
}

# --- login tokens -------------------------------------------------------------

@test "the token of GetAuthorizationToken is the password of AWS, and of nobody else" {
	auth_server_start
	login_password
	assert_eq "$(jq -r '.authorizationData[0].proxyEndpoint' "$BODY")" "$URL"
	[ ${#TOKEN} -lt 2048 ] || fail "of ${#TOKEN} bytes"
	[[ $TOKEN =~ ^[A-Za-z0-9_-]+$ ]] || fail 'not opaque'
	jq -e '.authorizationData[0].expiresAt - now |
	    . > 12 * 3600 - 300 and . < 12 * 3600 + 300' "$BODY" || cat "$BODY"
	http GET /v2/ -u "AWS:$TOKEN"
	expect 200
	# As the documentation of ECR shows it, with what the API gave.
	ecr GetAuthorizationToken
	raw=$(jq -r '.authorizationData[0].authorizationToken' "$BODY")
	secret_note "$raw"
	http GET /v2/ -H "Authorization: Basic $raw"
	expect 200
	http GET /v2/ -u "admin:$TOKEN"
	expect 401 UNAUTHORIZED
	http GET /v2/ -u "aws:$TOKEN"
	expect 401 UNAUTHORIZED
	server_stop
}

@test "one entry for each of registryIds, all of this registry" {
	shared
	ecr GetAuthorizationToken \
		'{"registryIds":["111122223333","000000000000"]}'
	expect 200
	assert_eq "$(jq '.authorizationData | length' "$BODY")" 2
	assert_eq "$(jq -r '.authorizationData | map(.proxyEndpoint) |
	    unique[]' "$BODY")" "$URL"
	secret_note "$(jq -r '.authorizationData[0].authorizationToken' "$BODY")"
}

@test "a token that was changed is no token" {
	local i n wrong
	auth_server_start
	login_password
	for i in 0 1 20 $((${#TOKEN} / 2)) $((${#TOKEN} - 1)); do
		n=${TOKEN:$i:1}
		[ "$n" = A ] && n=B || n=A
		wrong=${TOKEN:0:$i}$n${TOKEN:$((i + 1))}
		http GET /v2/ -u "AWS:$wrong"
		expect 401 UNAUTHORIZED
	done
	http GET /v2/ -u "AWS:${TOKEN}A"
	expect 401
	http GET /v2/ -u "AWS:${TOKEN:0:-4}"
	expect 401
	http GET /v2/ -u "AWS:$TOKEN"
	expect 200
	server_stop
}

@test "a token of another registry is no token here" {
	auth_server_start
	login_password
	server_stop
	auth_server_start
	http GET /v2/ -u "AWS:$TOKEN"
	expect 401
	server_stop
}

token_is_over() {
	http GET /v2/
	[ "$STATUS" = 403 ]
}

@test "an expired token is refused in ECR's words, and is no guess" {
	local i
	REGISTRYD_TOKEN_LIFETIME=2s auth_server_start
	repository_make a/b
	login admin
	wait_for 60 token_is_over || fail "$STATUS"
	expect 403 DENIED
	assert_eq "$(jq -r '.errors[0].message' "$BODY")" "$expired"
	for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
		http GET /v2/a/b/manifests/v1
		expect 403 DENIED
		assert_eq "$(jq -r '.errors[0].message' "$BODY")" "$expired"
	done
	http GET /v2/ -u AWS:none-of-ours
	expect 401
	login admin
	http GET /v2/a/b/tags/list
	expect 200
	server_stop
}

@test "twelve hours later, by the server's clock, the token has expired" {
	need_preload
	fake_time +13h
	auth_server_start
	login admin
	http GET /v2/
	expect 200
	server_stop
	SERVER_WRAP=$FAKE_TIME server_start --auth token --data "$DATA"
	http GET /v2/
	expect 403 DENIED
	assert_eq "$(jq -r '.errors[0].message' "$BODY")" "$expired"
	# Its own clients would have the same time.
	ecr GetAuthorizationToken '{}' --age -46800
	expect 200
	server_stop
}

@test "a token dies with its access key, its user, and when it is revoked" {
	local first
	auth_server_start
	user_make "$U" AmazonEC2ContainerRegistryReadOnly
	login "$U"
	http GET /v2/
	expect 200

	ctl access-key deactivate "$KEY_ID"
	http GET /v2/
	expect 401 UNAUTHORIZED
	ecr GetAuthorizationToken
	expect_aws UnrecognizedClientException
	ctl access-key activate "$KEY_ID"
	http GET /v2/
	expect 200

	ctl token revoke-all "$U"
	http GET /v2/
	expect 401
	login "$U"
	http GET /v2/
	expect 200

	first=$TOKEN
	user_key "$U"
	ctl access-key delete "$KEY_ID"
	http GET /v2/
	expect 401
	login "$U"
	http GET /v2/
	expect 200
	http GET /v2/ -u "AWS:$first"
	expect 401

	ctl user delete "$U"
	http GET /v2/
	expect 401
	# Whoever is called so next is somebody else.
	user_make "$U" AmazonEC2ContainerRegistryReadOnly
	http GET /v2/
	expect 401
	server_stop
}

# --- passwords ----------------------------------------------------------------

password_set() { # USER PASSWORD
	secret_note_basic "$1" "$2"
	printf '%s\n' "$2" | ctl user passwd "$1" --password-stdin
}

@test "a user with a password comes in by it, until it is changed or removed" {
	auth_server_start
	secret_note_basic "$U" 'correct horse 1'
	printf 'correct horse 1\n' |
		ctl user create "$U" --password-stdin
	http GET /v2/ -u "$U:correct horse 1"
	expect 200
	http GET /v2/_catalog -u "$U:correct horse 1"
	expect 200
	http GET /v2/base/tags/list -u "$U:correct horse 1"
	expect 403 DENIED
	password_set "$U" 'battery: staple 2'
	http GET /v2/ -u "$U:correct horse 1"
	expect 401
	http GET /v2/ -u "$U:battery: staple 2"
	expect 200
	ctl user passwd "$U" --remove
	http GET /v2/ -u "$U:battery: staple 2"
	expect 401
	server_stop
}

@test "an unknown user and a wrong password cannot be told apart" {
	local known unknown i t
	auth_server_start
	ctl user create "$U" >/dev/null
	password_set "$U" 'right-password-1'
	http GET /v2/ -u "$U:wrong-password-1"
	expect 401 UNAUTHORIZED
	cp "$BODY" "$W/known"
	grep -viE '^(date|x-request-id)' "$HEADERS" >"$W/known.headers"
	http GET /v2/ -u 'nobody-here:wrong-password-1'
	expect 401 UNAUTHORIZED
	cmp "$BODY" "$W/known"
	cmp <(grep -viE '^(date|x-request-id)' "$HEADERS") "$W/known.headers"
	# Nor by how long it takes: the fastest of a few tells of the work.
	known=999 unknown=999
	for i in 1 2 3; do
		t=$(curl -sS -o /dev/null -w '%{time_total}' "$URL/v2/" \
			-u "$U:wrong-password-$i$i")
		known=$(jq -n "[$known, $t] | min")
		t=$(curl -sS -o /dev/null -w '%{time_total}' "$URL/v2/" \
			-u "nobody-$i:wrong-password-$i$i")
		unknown=$(jq -n "[$unknown, $t] | min")
	done
	jq -en "$unknown > $known / 3" >/dev/null ||
		fail "unknown: $unknown s, known: $known s"
	server_stop
}

@test "malformed and wrong Authorization headers are 401, never more" {
	local value
	auth_server_start
	for value in 'Basic' 'Basic !!!!' "Basic $(printf 'AWS' | base64)" \
	    "Basic $(printf ':x' | base64)" 'Bearer x' 'Negotiate abc' \
	    "Basic $(printf 'a\0b:c' | base64)"; do
		http GET /v2/ -H "Authorization: $value"
		expect 401 UNAUTHORIZED
	done
	# Beyond the limit of a head or of a token; no crash, no other answer.
	http GET /v2/ -H "Authorization: Basic $(head -c 9000 /dev/zero |
		tr '\0' a)"
	expect 401
	printf 'GET /v2/ HTTP/1.1\r\nHost: h\r\nAuthorization: Basic QQ==\r\nAuthorization: Basic Qg==\r\nConnection: close\r\n\r\n' |
		raw --summary >"$W/out"
	grep -qE '^40[01] ' "$W/out" || fail "$(cat "$W/out")"
	server_stop
}

@test "htpasswd: users of the file, their policies, and a reload of it" {
	need htpasswd
	secret_note_basic hans 'file-password-1'
	secret_note_basic hans 'file-password-2'
	htpasswd -Bbc -C 5 "$W/htpasswd" hans file-password-1 2>/dev/null
	printf 'listen: 127.0.0.1:0\nhtpasswd:\n  file: %s\n  policies: %s\n' \
		"$W/htpasswd" AmazonEC2ContainerRegistryReadOnly >"$W/yml"
	auth_server_start --config "$W/yml"
	repository_make a/b
	http GET /v2/a/b/tags/list -u hans:file-password-1
	expect 200
	http POST /v2/a/b/blobs/uploads/ -u hans:file-password-1
	expect 403 DENIED
	assert_eq "$(jq -r '.errors[0].message' "$BODY")" \
		"$(not_authorized hans ecr:InitiateLayerUpload a/b)"
	http GET /v2/ -u hans:wrong-password
	expect 401
	# A user of the registry of this name has policies of its own.
	user_make hans AmazonEC2ContainerRegistryPowerUser
	http POST /v2/a/b/blobs/uploads/ -u hans:file-password-1
	expect 202
	htpasswd -Bbc -C 5 "$W/htpasswd" hans file-password-2 2>/dev/null
	kill -HUP "$SERVER_PID"
	new_is_good() {
		http GET /v2/ -u hans:file-password-2
		[ "$STATUS" = 200 ]
	}
	wait_for 30 new_is_good || fail "$STATUS"
	http GET /v2/ -u hans:file-password-1
	expect 401
	server_stop
}

@test "htpasswd: hashes that are not bcrypt are refused, with the line" {
	local code=0
	printf 'good:$2y$05$%s\nbad:{SHA}x\n' \
		"$(head -c 53 /dev/zero | tr '\0' a)" >"$W/htpasswd"
	REGISTRYD_HTPASSWD_FILE=$W/htpasswd timeout 60 "$REGISTRYD" \
		--auth token --data "$W/d" --listen 127.0.0.1:0 \
		>"$W/out" 2>&1 </dev/null || code=$?
	[ "$code" = 1 ] || [ "$code" = 2 ] || fail "exit $code"
	assert_in "$(cat "$W/out")" "$W/htpasswd"
	assert_in "$(cat "$W/out")" 2
}

# --- guessing -----------------------------------------------------------------

# guess N USER: wrong ones, one after the other.  Sets STATUS of the last.
guess() {
	local i
	for ((i = 0; i < $1; i++)); do
		http GET /v2/ -u "$2:wrong-guess-$i"
	done
}

@test "after ten wrong passwords 429 with Retry-After; who comes from elsewhere is let in" {
	auth_server_start
	ctl user create "$U" >/dev/null
	password_set "$U" 'right-password-1'
	# None at all is no guess.
	guess 9 "$U"
	expect 401
	for _ in 1 2 3 4 5 6 7 8; do
		http GET /v2/
		expect 401
	done
	guess 4 "$U"
	expect 429 TOOMANYREQUESTS
	[[ $(header Retry-After) =~ ^[1-9][0-9]*$ ]] ||
		fail "Retry-After: $(header Retry-After)"
	# The same address, the right password: it has to wait as well ...
	http GET /v2/ -u "$U:right-password-1"
	[ "$STATUS" = 429 ] || [ "$STATUS" = 200 ] || fail "$STATUS"
	# ... an innocent one has not.
	http GET /v2/ -u "$U:right-password-1" --interface 127.0.0.2
	expect 200
	# Nor has, from the guilty one, whoever holds a token.
	login_password
	http GET /v2/ -u "AWS:$TOKEN"
	expect 200
	back_in() {
		http GET /v2/ -u "$U:right-password-1"
		[ "$STATUS" = 200 ]
	}
	wait_for 90 back_in || fail 'locked out for good'
	server_stop
}

@test "guesses at AWS and at keys are counted too, on either door" {
	local i
	auth_server_start
	guess 10 AWS
	guess 1 AWS
	expect 429 TOOMANYREQUESTS
	server_stop
	auth_server_start
	for i in 1 2 3 4 5 6 7 8 9 10 11; do
		KEY_SECRET=wrong-secret-key ecr GetAuthorizationToken
	done
	expect_aws ThrottlingException
	[ -n "$(header Retry-After)" ] || fail 'no Retry-After'
	server_stop
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

ecr_needs() { # OPERATION "ACTIONS" JSON
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
	expect 200 || fail "$operation with $actions"
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
	ecr_needs DeleteRepository ecr:DeleteRepository "{$name}"
	ecr_needs CreateRepository 'ecr:CreateRepository ecr:TagResource' \
		"{$name,\"tags\":[{\"Key\":\"a\",\"Value\":\"b\"}]}"
	policy=$(jq -cn --arg p '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"ecr:ReplicateImage","Resource":"arn:aws:ecr:us-east-1:000000000000:repository/*"}}' '$p')
	ecr_needs PutRegistryPolicy ecr:PutRegistryPolicy \
		"{\"policyText\":$policy}"
	ecr_needs GetRegistryPolicy ecr:GetRegistryPolicy '{}'
	ecr_needs DeleteRegistryPolicy ecr:DeleteRegistryPolicy '{}'
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
	may_login
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
	expect 404 NAME_UNKNOWN
	user_allow "$U" "$(allow ecr:CreateRepository \
		"$(repository_arn 'new/*')")"
	image_push new/app v1
	http POST /v2/other/app/blobs/uploads/
	expect 404 NAME_UNKNOWN
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
	may_login
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
	may_login
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

policy_set() { # REPOSITORY POLICY, as whoever asks
	ecr SetRepositoryPolicy "$(jq -cn --arg r "$1" --arg p "$2" \
		'{repositoryName: $r, policyText: $p}')"
}

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
	# No header says where one comes from.
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

# --- bearer tokens ------------------------------------------------------------

# bearer_get QUERY [CURL ARGUMENT...]: GET /token; sets BEARER.
bearer_get() {
	http GET "/token?$1" "${@:2}"
	[ "$STATUS" = 200 ] || return 0
	bearer_learn
}

bearer_learn() {
	BEARER=$(jq -r .token "$BODY")
	assert_eq "$(jq -r .access_token "$BODY")" "$BEARER"
	jq -e '.expires_in >= 60 and (.issued_at | test("^20.*Z$"))' "$BODY" \
		>/dev/null || fail "$(cat "$BODY")"
	secret_note "$BEARER"
	bearer=(-H "Authorization: Bearer $BEARER")
}

bearer_post() { # FIELD=VALUE...
	local field args=()
	for field; do
		args+=(--data-urlencode "$field")
	done
	http POST /token "${args[@]}"
	[ "$STATUS" = 200 ] || return 0
	bearer_learn
}

bearer_server() {
	REGISTRYD_TOKEN_CHALLENGE=bearer auth_server_start "$@"
	repository_make team/app
	repository_make other/app
	login admin
	image_push team/app v1
	image_push other/app v1
	HTTP_OPTIONS=()
	user_make "$U" AmazonEC2ContainerRegistryPowerUser
	as "$U"
	login_password
}

@test "bearer: the challenge names realm, service and scope; the token opens what it names" {
	local realm
	bearer_server
	http GET /v2/
	expect 401 UNAUTHORIZED
	assert_eq "$(header WWW-Authenticate)" \
		"Bearer realm=\"$URL/token\",service=\"$HOST\""
	http GET /v2/team/app/manifests/v1
	expect 401 UNAUTHORIZED
	assert_eq "$(header WWW-Authenticate)" \
		"Bearer realm=\"$URL/token\",service=\"$HOST\",scope=\"repository:team/app:pull\""
	http POST /v2/team/app/blobs/uploads/
	assert_in "$(header WWW-Authenticate)" \
		'scope="repository:team/app:pull,push"'

	bearer_get "account=AWS&service=$HOST&scope=repository:team/app:pull" \
		-u "AWS:$TOKEN"
	expect 200
	jq -e 'has("refresh_token") | not' "$BODY" >/dev/null ||
		fail 'nobody asked for a refresh token'
	assert_eq "$(header Cache-Control)" no-store
	http GET /v2/ "${bearer[@]}"
	expect 200
	http GET /v2/team/app/manifests/v1 "${bearer[@]}"
	expect 200
	# Basic works all the same.
	http GET /v2/team/app/manifests/v1 -u "AWS:$TOKEN"
	expect 200
	# Beyond its scopes.
	http POST /v2/team/app/blobs/uploads/ "${bearer[@]}"
	expect 401 UNAUTHORIZED
	assert_in "$(header WWW-Authenticate)" 'error="insufficient_scope"'
	assert_in "$(header WWW-Authenticate)" \
		'scope="repository:team/app:pull,push"'
	http GET /v2/other/app/manifests/v1 "${bearer[@]}"
	expect 401
	assert_in "$(header WWW-Authenticate)" 'error="insufficient_scope"'
	server_stop
}

@test "bearer: several scopes in one token, and only what policies allow" {
	bearer_server
	bearer_get "service=$HOST&scope=repository:team/app:pull,push&scope=repository%3Aother%2Fapp%3Apull" \
		-u "AWS:$TOKEN"
	expect 200
	http POST /v2/team/app/blobs/uploads/ "${bearer[@]}"
	expect 202
	http GET /v2/other/app/manifests/v1 "${bearer[@]}"
	expect 200
	http POST /v2/other/app/blobs/uploads/ "${bearer[@]}"
	expect 401
	http GET /v2/other/app/manifests/v1 "${bearer[@]}"
	expect 200
	# delete is asked for, but not theirs.
	bearer_get "service=$HOST&scope=repository:team/app:pull,push,delete" \
		-u "AWS:$TOKEN"
	http DELETE /v2/team/app/manifests/v1 "${bearer[@]}"
	[ "$STATUS" = 401 ] || [ "$STATUS" = 403 ] || fail "$STATUS"
	# What is taken away is gone, whatever the token says.
	ctl policy detach "$U" AmazonEC2ContainerRegistryPowerUser
	http GET /v2/team/app/manifests/v1 "${bearer[@]}"
	expect 403 DENIED
	server_stop
}

@test "bearer: POST with a password, and with a refresh token that was asked for" {
	local refresh
	bearer_server
	bearer_post grant_type=password username=AWS "password=$TOKEN" \
		"service=$HOST" client_id=test scope=repository:team/app:pull
	expect 200
	jq -e 'has("refresh_token") | not' "$BODY" >/dev/null || fail refresh
	http GET /v2/team/app/manifests/v1 "${bearer[@]}"
	expect 200
	bearer_post grant_type=password username=AWS "password=$TOKEN" \
		"service=$HOST" client_id=test access_type=offline
	refresh=$(jq -r .refresh_token "$BODY")
	[ "$refresh" != null ] || fail "$(jq 'keys' "$BODY")"
	secret_note "$refresh"
	bearer_post grant_type=refresh_token "refresh_token=$refresh" \
		"service=$HOST" client_id=test \
		scope=repository:team/app:pull,push
	expect 200
	http POST /v2/team/app/blobs/uploads/ "${bearer[@]}"
	expect 202
	# As docker login asks for it.
	bearer_get "account=AWS&client_id=docker&offline_token=true&service=$HOST" \
		-u "AWS:$TOKEN"
	jq -e 'has("refresh_token")' "$BODY" >/dev/null || fail 'no refresh'
	secret_note "$(jq -r .refresh_token "$BODY")"
	# One kind of token is not another.
	http GET /v2/ -H "Authorization: Bearer $refresh"
	expect 401
	http GET /v2/ -u "AWS:$BEARER"
	expect 401
	http GET /v2/ -H "Authorization: Bearer $TOKEN"
	expect 401
	bearer_post grant_type=refresh_token "refresh_token=$BEARER" \
		"service=$HOST"
	expect 401 UNAUTHORIZED
	bearer_post grant_type=password username=AWS password=wrong-one \
		"service=$HOST"
	expect 401 UNAUTHORIZED
	bearer_post grant_type=magic "service=$HOST"
	expect 400
	# All of it ends with the key.
	ctl access-key deactivate "$KEY_ID"
	bearer_post grant_type=refresh_token "refresh_token=$refresh" \
		"service=$HOST"
	expect 401
	server_stop
}

@test "bearer: a user's password gives tokens that end with it" {
	local refresh
	bearer_server
	password_set "$U" 'token-password-1'
	bearer_get "offline_token=true&service=$HOST&scope=repository:team/app:pull" \
		-u "$U:token-password-1"
	expect 200
	refresh=$(jq -r .refresh_token "$BODY")
	secret_note "$refresh"
	http GET /v2/team/app/manifests/v1 "${bearer[@]}"
	expect 200
	password_set "$U" 'token-password-2'
	http GET /v2/team/app/manifests/v1 "${bearer[@]}"
	expect 401
	bearer_post grant_type=refresh_token "refresh_token=$refresh" \
		"service=$HOST" scope=repository:team/app:pull
	expect 401
	server_stop
}

@test "bearer: anonymous tokens pull where a policy says so, and nowhere else" {
	bearer_server
	as admin
	policy_set team/app "$(repository_policy '"*"' "$PULL")"
	expect 200
	bearer_get "service=$HOST&scope=repository:team/app:pull&scope=repository:other/app:pull"
	expect 200
	http GET /v2/team/app/manifests/v1 "${bearer[@]}"
	expect 200
	http GET /v2/other/app/manifests/v1 "${bearer[@]}"
	expect 401
	http POST /v2/team/app/blobs/uploads/ "${bearer[@]}"
	expect 401
	# Without any token too: it is public.
	http GET /v2/team/app/manifests/v1
	expect 200
	http GET /v2/team/app/tags/list
	expect 401
	http GET /v2/_catalog
	expect 401
	server_stop
}

@test "bearer: an expired token is told as such" {
	REGISTRYD_TOKEN_LIFETIME=2s bearer_server
	login "$U"
	HTTP_OPTIONS=()
	http GET "/token?service=$HOST&scope=repository:team/app:pull" \
		-u "AWS:$TOKEN"
	expect 200
	BEARER=$(jq -r .token "$BODY")
	secret_note "$BEARER"
	bearer_is_over() {
		http GET /v2/team/app/manifests/v1 \
			-H "Authorization: Bearer $BEARER"
		[ "$STATUS" = 401 ]
	}
	wait_for 60 bearer_is_over || fail "$STATUS"
	assert_in "$(header WWW-Authenticate)" 'error="invalid_token"'
	# And the login that it would be got with anew:
	http GET "/token?service=$HOST" -u "AWS:$TOKEN"
	expect 403 DENIED
	assert_eq "$(jq -r '.errors[0].message' "$BODY")" "$expired"
	server_stop
}

# --- client certificates ------------------------------------------------------

@test "mtls: the certificate's name is the user; without one there is no connection" {
	local out
	export CURL_CA_BUNDLE=$W/tls/ca.pem
	ctl_out=$("$REGISTRYCTL" tls init --out "$W/tls" --host 127.0.0.1)
	"$REGISTRYCTL" tls client "$U" --out "$W/tls" >/dev/null
	"$REGISTRYCTL" tls client nobody --out "$W/tls" >/dev/null
	assert_eq "$(stat -c %a "$W/tls/client-$U.key")" 600
	assert_eq "$(stat -c %a "$W/tls/ca-key.pem")" 600
	assert_in "$ctl_out" /etc/docker/certs.d
	REGISTRYD_TLS_CLIENT_CA=$W/tls/ca.pem auth_server_start \
		--listen https://127.0.0.1:0 --listen mtls://127.0.0.1:0 \
		--tls-cert "$W/tls/server.pem" --tls-key "$W/tls/server-key.pem"
	export CURL_CA_BUNDLE=$W/tls/ca.pem
	repository_make a/b
	user_make "$U" AmazonEC2ContainerRegistryReadOnly
	m=$(server_listening 2)
	m=https://${m#*://}
	http GET "$m/v2/"
	assert_eq "$STATUS" 000 'without a certificate'
	http GET "$m/v2/a/b/tags/list" --cert "$W/tls/client-$U.cert" \
		--key "$W/tls/client-$U.key"
	expect 200
	http POST "$m/v2/a/b/blobs/uploads/" --cert "$W/tls/client-$U.cert" \
		--key "$W/tls/client-$U.key"
	expect 403 DENIED
	assert_eq "$(jq -r '.errors[0].message' "$BODY")" \
		"$(not_authorized "$U" ecr:InitiateLayerUpload a/b)"
	http GET "$m/v2/" --cert "$W/tls/client-nobody.cert" \
		--key "$W/tls/client-nobody.key"
	expect 403 DENIED
	assert_in "$(jq -r '.errors[0].message' "$BODY")" nobody
	# Of another authority.
	"$REGISTRYCTL" tls init --out "$W/tls2" --host 127.0.0.1 >/dev/null
	"$REGISTRYCTL" tls client "$U" --out "$W/tls2" >/dev/null
	http GET "$m/v2/" --cert "$W/tls2/client-$U.cert" \
		--key "$W/tls2/client-$U.key"
	assert_eq "$STATUS" 000 'a certificate of another authority'
	# The other listener asks for none, and takes none.
	http GET /v2/a/b/tags/list --cert "$W/tls/client-$U.cert" \
		--key "$W/tls/client-$U.key"
	expect 401
	server_stop
}

# --- the master key -----------------------------------------------------------

# starts_not ARGUMENT...: sets out; it must end by itself, not with success.
starts_not() {
	local code=0
	out=$(timeout 60 "$REGISTRYD" --auth token --listen 127.0.0.1:0 "$@" \
		2>&1 </dev/null) || code=$?
	[ "$code" = 1 ] || [ "$code" = 2 ] || fail "exit $code: $out"
}

@test "a master key that others may read, or that is gone, stops the start" {
	auth_server_start
	server_stop
	chmod 644 "$DATA/master.key"
	starts_not --data "$DATA"
	assert_in "$out" master.key
	chmod 600 "$DATA/master.key"
	mv "$DATA/master.key" "$W/kept"
	starts_not --data "$DATA"
	assert_in "$out" master.key
	[ ! -e "$DATA/master.key" ] || fail 'a new one opens nothing'
	printf '%064d\n' 7 >"$DATA/master.key"
	chmod 600 "$DATA/master.key"
	starts_not --data "$DATA"
	assert_in "$out" master
	printf 'rubbish\n' >"$DATA/master.key"
	starts_not --data "$DATA"
	mv "$W/kept" "$DATA/master.key"
	server_start --auth token --data "$DATA"
	ecr GetAuthorizationToken
	expect 200
	server_stop
}

@test "a master key in the environment leaves no file, and is replaced by starting with both" {
	local old new
	old=$(printf '%064d' 12345678901234)
	new=$(printf '%064d' 98765432109876)
	secret_note "$old" "$new"
	REGISTRYD_MASTER_KEY=$old auth_server_start
	[ ! -e "$DATA/master.key" ] || fail 'a file'
	login_password
	REGISTRYD_MASTER_KEY=$old ctl_run key rotate-master
	assert_eq "$code" 1 "exit of: $out"
	assert_in "$out" REGISTRYD_MASTER_KEY
	server_stop
	starts_not --data "$DATA"
	REGISTRYD_MASTER_KEY=$new,$old server_start --auth token --data "$DATA"
	server_stop
	REGISTRYD_MASTER_KEY=$new server_start --auth token --data "$DATA"
	ecr GetAuthorizationToken
	expect 200
	http GET /v2/ -u "AWS:$TOKEN"
	expect 200
	server_stop
}

@test "rotate-master: a new key, wrapped anew; access keys, passwords and tokens survive" {
	local before
	auth_server_start
	ctl user create "$U" >/dev/null
	password_set "$U" 'rotated-password-1'
	login_password
	before=$(cat "$DATA/master.key")
	cp "$DATA/master.key" "$W/old"
	ctl key rotate-master
	[ "$(cat "$DATA/master.key")" != "$before" ] || fail 'the same key'
	assert_eq "$(stat -c %a "$DATA/master.key")" 600
	secret_note "$(grep -v '^#' "$DATA/master.key" | head -n 1)"
	! grep -qF "$(grep -v '^#' "$W/old")" "$DATA/master.key" ||
		fail 'the old one is still there'
	all_is_well() {
		ecr GetAuthorizationToken
		expect 200
		http GET /v2/ -u "AWS:$TOKEN"
		expect 200
		http GET /v2/ -u "$U:rotated-password-1"
		expect 200
	}
	all_is_well
	server_stop
	server_start --auth token --data "$DATA"
	all_is_well
	server_stop
	# Of a stopped one.
	cp "$DATA/master.key" "$W/second"
	ctl key rotate-master
	! cmp -s "$DATA/master.key" "$W/second" || fail 'the same key'
	secret_note "$(grep -v '^#' "$DATA/master.key" | head -n 1)"
	server_start --auth token --data "$DATA"
	all_is_well
	server_stop
	cp "$W/old" "$DATA/master.key"
	starts_not --data "$DATA"
}

# --- registryctl --------------------------------------------------------------

# The same on a folder that is served and on one that is not.
administer() {
	local id
	ctl user create "$U" --tag team=blue
	ctl group create "g$U"
	ctl group add "g$U" "$U"
	ctl policy attach --group "g$U" AmazonEC2ContainerRegistryReadOnly
	allow ecr:PutImage >"$W/managed"
	ctl policy put "p$U" --file "$W/managed"
	ctl policy attach "$U" "p$U"
	ctl policy put inline --user "$U" --file "$W/managed"
	ctl access-key create "$U" >"$W/key"
	secret_note "$(jq -r .SecretAccessKey "$W/key")"
	id=$(jq -r .AccessKeyId "$W/key")
	[[ $id =~ ^AKIA[A-Z0-9]{16}$ ]] || fail "$id"
	ctl user show "$U" >"$W/out"
	for part in "$(user_arn "$U")" "g$U" "p$U" inline "$id" Active; do
		assert_in "$(cat "$W/out")" "$part"
	done
	ctl --output json user show "$U" >"$W/out"
	assert_eq "$(jq -r '(.User // .).UserName' "$W/out")" "$U"
	! grep -qF "$(jq -r .SecretAccessKey "$W/key")" "$W/out" ||
		fail 'the secret was shown twice'
	ctl access-key list "$U" >"$W/out"
	assert_in "$(cat "$W/out")" "$id"
	ctl group show "g$U" >"$W/out"
	assert_in "$(cat "$W/out")" "$U"
	ctl policy list >"$W/out"
	for part in "p$U" AmazonEC2ContainerRegistryPullOnly \
	    AmazonEC2ContainerRegistryReadOnly AdministratorAccess \
	    AmazonEC2ContainerRegistryPowerUser \
	    AmazonEC2ContainerRegistryFullAccess; do
		assert_in "$(cat "$W/out")" "$part"
	done
	cmp <(ctl policy get "p$U") <(cat "$W/managed"; echo)
	ctl access-key last-used "$id"
	ctl access-key deactivate "$id"
	assert_in "$(ctl access-key list "$U")" Inactive
	# What is in use stays.
	ctl_run policy delete "p$U"
	assert_eq "$code" 1
	assert_in "$out" "p$U"
	ctl_run user create "$U"
	assert_eq "$code" 1
	assert_in "$out" "$U"
	ctl_run user show no-such-user
	assert_eq "$code" 1
	assert_in "$out" no-such-user
	ctl_run user create 'bad name!'
	assert_eq "$code" 1
	assert_in "$out" 'bad name!'
	ctl_run policy attach "$U" NoSuchPolicy
	assert_eq "$code" 1
	assert_in "$out" NoSuchPolicy
	ctl_run user frobnicate "$U"
	assert_eq "$code" 2
	ctl_run user create
	assert_eq "$code" 2
	ctl policy detach "$U" "p$U"
	ctl policy delete "p$U"
	ctl policy detach --group "g$U" AmazonEC2ContainerRegistryReadOnly
	ctl group remove "g$U" "$U"
	ctl group delete "g$U"
	ctl access-key delete "$id"
	ctl user delete "$U"
	ctl_run user show "$U"
	assert_eq "$code" 1
}

@test "registryctl administers a served folder, and one that is not served, alike" {
	auth_server_start
	administer
	server_stop
	administer
	ctl user create by-folder >/dev/null
	server_start --auth token --data "$DATA"
	assert_in "$(ctl user list)" by-folder
	server_stop
	"$REGISTRYCTL" --data "$DATA" fsck
}

@test "last-used tells when a key was used, and for what" {
	local id
	auth_server_start
	user_make "$U" AmazonEC2ContainerRegistryReadOnly
	as "$U"
	id=$KEY_ID
	ctl --output json access-key last-used "$id" >"$W/out"
	! grep -q ServiceName "$W/out" ||
		jq -e '.LastUsed == null' "$W/out" || fail "$(cat "$W/out")"
	ecr GetAuthorizationToken
	expect 200
	noted() {
		ctl --output json access-key last-used "$id" >"$W/out"
		grep -q '"ecr"' "$W/out"
	}
	wait_for 60 noted || fail "$(cat "$W/out")"
	assert_in "$(cat "$W/out")" "$REGION"
	assert_in "$(cat "$W/out")" "$(date -u +%Y-)"
	server_stop
	ctl access-key last-used "$id" >"$W/out"
	assert_in "$(cat "$W/out")" ecr
}

@test "the last administrator is not deleted, nor locked out, by accident" {
	auth_server_start
	ctl_run user delete admin
	assert_eq "$code" 1
	assert_in "$out" admin
	ecr GetAuthorizationToken
	expect 200
	ctl user create second >/dev/null
	ctl policy attach second AdministratorAccess
	ctl user delete admin
	ctl_run user delete second
	assert_eq "$code" 1
	ctl user delete second --force
	# On the machine itself there is always a way back.
	ctl user create third >/dev/null
	ctl policy attach third AdministratorAccess
	user_key third
	as third
	ecr CreateRepository '{"repositoryName":"back/again"}'
	expect 200
	server_stop
}

@test "get-login, get-login-password and get-authorization-token, without the AWS CLI" {
	local password
	shared
	password=$(ctl get-login-password)
	secret_note_basic AWS "$password"
	http GET /v2/ -u "AWS:$password"
	expect 200
	ctl get-authorization-token >"$W/out"
	secret_note "$(jq -r '.authorizationData[0].authorizationToken' "$W/out")"
	assert_eq "$(jq -r '.authorizationData[0].proxyEndpoint' "$W/out")" \
		"$URL"
	ctl get-login >"$W/out"
	[[ $(cat "$W/out") =~ ^docker\ login\ -u\ AWS\ -p\ ([A-Za-z0-9_-]+)\ (.*)$ ]] ||
		fail "$(cat "$W/out")"
	secret_note_basic AWS "${BASH_REMATCH[1]}"
	assert_eq "${BASH_REMATCH[2]}" "$URL"
	ctl get-login --include-email >"$W/out"
	assert_in "$(cat "$W/out")" " -e none $URL"
	secret_note "$(cut -d ' ' -f 6 "$W/out")"
	ctl get-login --registry-ids 111122223333 444455556666 >"$W/out"
	assert_eq "$(grep -c '^docker login' "$W/out")" 2
	secret_note "$(head -n 1 "$W/out" | cut -d ' ' -f 6)"
}

@test "what temporary credentials may: as the user, and never make more of themselves" {
	auth_server_start
	user_make "$U" AmazonEC2ContainerRegistryReadOnly
	as "$U"
	sts GetSessionToken DurationSeconds=900
	expect 200
	KEY_ID=$(sed -n 's|.*<AccessKeyId>\(.*\)</AccessKeyId>.*|\1|p' "$BODY")
	KEY_SECRET=$(sed -n \
		's|.*<SecretAccessKey>\(.*\)</SecretAccessKey>.*|\1|p' "$BODY")
	KEY_TOKEN=$(sed -n 's|.*<SessionToken>\(.*\)</SessionToken>.*|\1|p' \
		"$BODY")
	[[ $KEY_ID =~ ^ASIA ]] || fail "$(cat "$BODY")"
	secret_note "$KEY_SECRET" "$KEY_TOKEN"
	export KEY_ID KEY_SECRET KEY_TOKEN
	sts GetCallerIdentity
	expect 200
	assert_in "$(cat "$BODY")" "<Arn>$(user_arn "$U")</Arn>"
	login_password
	http GET /v2/ -u "AWS:$TOKEN"
	expect 200
	# No longer than the credentials it was got with.
	jq -e '.authorizationData[0].expiresAt - now | . <= 901' \
		<(ecr GetAuthorizationToken; cat "$BODY") >/dev/null ||
		fail 'lives longer than the session'
	secret_note "$(jq -r '.authorizationData[0].authorizationToken' "$BODY")"
	sts GetSessionToken
	assert_eq "$STATUS" 403
	assert_in "$(cat "$BODY")" AccessDenied
	ecr CreateRepository '{"repositoryName":"x/y"}'
	expect_aws AccessDeniedException
	# Without the session token, and with that of another.
	KEY_TOKEN='' ecr GetAuthorizationToken
	expect_aws UnrecognizedClientException
	KEY_TOKEN=${KEY_TOKEN}A ecr GetAuthorizationToken
	expect_aws UnrecognizedClientException
	ctl token revoke-all "$U"
	ecr GetAuthorizationToken
	expect_aws UnrecognizedClientException
	server_stop
}
