#!/usr/bin/env bats
# Who is let in: curl and bytes against the server, and registryctl.  Who may do
# what is in policies.bats; the real tools are in aws.bats and auth_clients.bats.
#
# Wrong credentials are counted by address, so a test that comes with some has a
# server of its own.
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

expired='Your authorization token has expired. Reauthenticate and try again.'

@test "a secret in a log is found" {
	secret_note "a-secret-of-$BATS_TEST_NAME"
	printf 'all is well\n' >"$W/good"
	printf 'it is "a-secret-of-%s".\n' "$BATS_TEST_NAME" >"$W/bad"
	secrets_absent "$W/good" "$W/none"
	! secrets_absent "$W/good" "$W/bad" >"$W/out" || fail 'not found'
}

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

@test "without --auth it is token" {
	"$REGISTRYD" --data "$W/d" --listen 127.0.0.1:0 </dev/null \
		>"$W/out" 2>"$W/log" 3>&- &
	SERVER_PID=$! SERVER_LOG=$W/log
	printf '%s %s\n' "$SERVER_PID" "$SERVER_LOG" >>"$W/servers"
	wait_for 60 server_listens_or_ended
	server_address
	http GET /v2/
	expect 401 UNAUTHORIZED
	[ -s "$W/d/admin-credentials" ] || fail 'no administrator'
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
	# AWS's tools work as they are: no signature and no password is looked at.
	export KEY_ID=AKIANOBODY0000000000 KEY_SECRET=whatever KEY_TOKEN=
	ecr GetAuthorizationToken
	expect 200
	ecr DescribeRepositories '{}' --region eu-west-1
	assert_in "$(jq -r '.repositories[0].repositoryArn' "$BODY")" :eu-west-1:
	http GET /v2/open/app/manifests/v1 -u AWS:whatever
	expect 200
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
	http GET /metrics
	expect 401
	http GET /healthz
	expect 200
	http GET /readyz
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
	    . > 12 * 3600 - 300 and . < 12 * 3600 + 300' "$BODY" >/dev/null ||
		fail 'not twelve hours away'
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
	in_again() {
		login admin && http GET /v2/a/b/tags/list
		[ "$STATUS" = 200 ]
	}
	wait_for 60 in_again || fail "$STATUS"
	server_stop
}

@test "twelve hours later, by the server's clock, the token has expired" {
	need_preload
	fake_time +13h
	auth_server_start
	login admin
	http GET /v2/
	expect 200
	session_get
	ecr GetAuthorizationToken
	expect 200
	secret_note "$(jq -r '.authorizationData[0].authorizationToken' "$BODY")"
	server_stop
	SERVER_WRAP=$FAKE_TIME server_start --auth token --data "$DATA"
	http GET /v2/
	expect 403 DENIED
	assert_eq "$(jq -r '.errors[0].message' "$BODY")" "$expired"
	# Its own clients would have the same time.
	ecr DescribeRepositories '{}' --age -46800
	expect_aws ExpiredTokenException
	as admin
	ecr DescribeRepositories '{}' --age -46800
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
	expect 403 DENIED
	assert_in "$(jq -r '.errors[0].message' "$BODY")" 'has been revoked'
	ecr GetAuthorizationToken
	expect_aws UnrecognizedClientException
	ctl access-key activate "$KEY_ID"
	http GET /v2/
	expect 200

	ctl token revoke-all "$U"
	http GET /v2/
	expect 403 DENIED
	login "$U"
	http GET /v2/
	expect 200

	first=$TOKEN
	user_key "$U"
	ctl access-key delete "$KEY_ID"
	http GET /v2/
	expect 403 DENIED
	login "$U"
	http GET /v2/
	expect 200
	http GET /v2/ -u "AWS:$first"
	expect 403 DENIED

	ctl user delete "$U"
	http GET /v2/
	expect 403 DENIED
	# Whoever is called so next is somebody else.
	user_make "$U" AmazonEC2ContainerRegistryReadOnly
	http GET /v2/
	expect 403 DENIED
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

@test "--check-config reads the htpasswd file it names" {
	local out status=0
	printf 'x:$apr1$abc$def\n' >"$BATS_TEST_TMPDIR/htpasswd"
	out=$(REGISTRYD_HTPASSWD_FILE=$BATS_TEST_TMPDIR/htpasswd \
		"$REGISTRYD" --check-config --data "$BATS_TEST_TMPDIR/d" 2>&1) ||
		status=$?
	assert_eq "$status" 2
	assert_in "$out" 'line 1'
}

@test "a folder is of one account; another account-id does not start, and makes nothing" {
	local before status=0
	REGISTRYD_ACCOUNT_ID=123456789012 auth_server_start
	before=$(cat "$DATA/admin-credentials")
	server_stop
	"$REGISTRYD" --data "$DATA" --listen 127.0.0.1:0 \
		>"$BATS_TEST_TMPDIR/out" 2>&1 || status=$?
	assert_eq "$status" 2
	assert_in "$(cat "$BATS_TEST_TMPDIR/out")" 123456789012
	assert_in "$(cat "$BATS_TEST_TMPDIR/out")" account-id
	assert_eq "$(cat "$DATA/admin-credentials")" "$before"
	# registryctl needs no telling.
	"$REGISTRYCTL" --data "$DATA" user list >"$BATS_TEST_TMPDIR/out"
	assert_in "$(cat "$BATS_TEST_TMPDIR/out")" 123456789012
}

@test "many first requests at once with the right password are all let in" {
	local i pids=() pid
	auth_server_start
	ctl user create "$U" >/dev/null
	password_set "$U" 'right-password-2'
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do
		curl -sS -o /dev/null -w '%{http_code}\n' --max-time 60 \
			-u "$U:right-password-2" "$URL/v2/" \
			>"$BATS_TEST_TMPDIR/answer.$i" 3>&- &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid"
	done
	assert_eq "$(cat "$BATS_TEST_TMPDIR"/answer.* | sort | uniq -c | tr -s ' ')" \
		' 16 200'
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

# held_up COMMAND...: until that is held up.  A slow machine may outwait the
# first back-offs, which double.
held_up() {
	local i
	for ((i = 0; i < 8; i++)); do
		"$@"
		[ -z "$(header Retry-After)" ] || return 0
	done
	fail "not held up, $STATUS"
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
	guess 1 "$U"
	held_up guess 1 "$U"
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
	expect 401
	held_up guess 1 AWS
	expect 429 TOOMANYREQUESTS
	server_stop
	auth_server_start
	KEY_SECRET='wrong-secret-key'
	for i in 1 2 3 4 5 6 7 8 9 10; do
		ecr GetAuthorizationToken
		expect_aws InvalidSignatureException
	done
	held_up ecr GetAuthorizationToken
	expect_aws ThrottlingException
	server_stop
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

# A client gets the token that the challenge says, and asks again with it.
challenged() { # STATUS METHOD PATH [CURL ARGUMENT...]
	local status=$1 query
	shift
	http "$@"
	expect 401 UNAUTHORIZED
	query=$(header WWW-Authenticate |
		sed 's/.*scope="\([^"]*\)".*/scope=\1/; s/ /\&scope=/g')
	bearer_get "service=$HOST&$query" -u "AWS:$TOKEN"
	http "$@" "${bearer[@]}"
	expect "$status"
}

@test "bearer: the token that a challenge asks for is enough, of sessions and mounts too" {
	local at d
	bearer_server
	d=$LAYER_DIGEST
	challenged 202 POST /v2/other/app/blobs/uploads/
	at=$(header Location)
	challenged 204 GET "$at"
	challenged 204 DELETE "$at"
	challenged 201 POST \
		"/v2/team/app/blobs/uploads/?mount=$d&from=other/app"
	# One that was had before the mount was thought of.
	bearer_get "service=$HOST&scope=repository:team/app:pull,push" \
		-u "AWS:$TOKEN"
	http POST "/v2/team/app/blobs/uploads/?mount=$d&from=other/app" \
		"${bearer[@]}"
	expect 401 UNAUTHORIZED
	assert_in "$(header WWW-Authenticate)" \
		'scope="repository:team/app:pull,push repository:other/app:pull",error="insufficient_scope"'
	http POST "/v2/team/app/blobs/uploads/?mount=$d&from=none/such" \
		"${bearer[@]}"
	expect 202
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
	REGISTRYD_TOKEN_LIFETIME=2s auth_server_start
	repository_make team/app
	# On a slow machine the first may be over before it is used.
	bearer_given() {
		login_password && http GET \
			"/token?service=$HOST&scope=repository:team/app:pull" \
			-u "AWS:$TOKEN"
		[ "$STATUS" = 200 ]
	}
	wait_for 60 bearer_given || fail "$STATUS"
	BEARER=$(jq -r .token "$BODY")
	secret_note "$BEARER"
	bearer_is_over() {
		http GET /v2/team/app/manifests/v1 \
			-H "Authorization: Bearer $BEARER"
		[ "$STATUS" = 401 ]
	}
	wait_for 60 bearer_is_over || fail "$STATUS"
	assert_in "$(header WWW-Authenticate)" 'error="invalid_token"'
	assert_in "$(header WWW-Authenticate)" Bearer
	# And the login that it would be got with anew:
	http GET "/token?service=$HOST" -u "AWS:$TOKEN"
	expect 403 DENIED
	assert_eq "$(jq -r '.errors[0].message' "$BODY")" "$expired"
	server_stop
}

@test "bearer: a bearer token gets no other token, nor a refresh token" {
	bearer_server
	bearer_get "service=$HOST&scope=repository:team/app:pull" \
		-u "AWS:$TOKEN"
	http GET "/token?service=$HOST&scope=repository:other/app:pull" \
		"${bearer[@]}"
	expect 401 UNAUTHORIZED
	http GET "/token?service=$HOST&offline_token=true" "${bearer[@]}"
	expect 401 UNAUTHORIZED
	server_stop
}

@test "bearer: the catalog needs its own scope" {
	bearer_server
	bearer_get "service=$HOST&scope=repository:team/app:pull" \
		-u "AWS:$TOKEN"
	http GET /v2/_catalog "${bearer[@]}"
	expect 401 UNAUTHORIZED
	assert_in "$(header WWW-Authenticate)" 'scope="registry:catalog:*"'
	assert_in "$(header WWW-Authenticate)" 'error="insufficient_scope"'
	bearer_get "service=$HOST&scope=registry:catalog:*" -u "AWS:$TOKEN"
	http GET /v2/_catalog "${bearer[@]}"
	expect 200
	jq -e '.repositories == ["other/app", "team/app"]' "$BODY" >/dev/null
	server_stop
}

@test "more than one Authorization header is 400, an empty Basic is nobody" {
	auth_server_start
	repository_make public/app
	policy_set public/app "$(repository_policy '"*"' "$PULL")"
	expect 200
	login admin
	image_push public/app v1
	logout
	http GET /v2/ -H "Authorization: Basic $(printf 'AWS:%s' "$TOKEN" |
		base64 -w 0)" -H 'Authorization: Basic eDp5'
	expect 400 REQUEST_INVALID
	# So skopeo and podman say that they have nothing.
	http GET /v2/public/app/manifests/v1 -H 'Authorization: Basic Og=='
	expect 200
	http GET /v2/ -H 'Authorization: Basic Og=='
	expect 401 UNAUTHORIZED
	server_stop
}

@test "a stranger's body is not taken: the answer comes before 100 Continue" {
	auth_server_start
	head -c 1000000 /dev/zero >"$BATS_TEST_TMPDIR/zeros"
	http POST / -H 'Expect: 100-continue' \
		-H 'X-Amz-Target: AmazonEC2ContainerRegistry_V20150921.CreateRepository' \
		-H 'Content-Type: application/x-amz-json-1.1' \
		--data-binary "@$BATS_TEST_TMPDIR/zeros"
	expect_aws MissingAuthenticationTokenException
	! grep -q '^HTTP/1.1 100' "$HEADERS" || fail 'it was asked for'
	http POST /token -H 'Expect: 100-continue' \
		--data-binary "@$BATS_TEST_TMPDIR/zeros"
	expect 413
	server_stop
}

# held_put TAG: a PUT of $MANIFEST, whose body waits for held_end; sets HELD_PID.
held_put() {
	rm -f "$BATS_TEST_TMPDIR/held"
	mkfifo "$BATS_TEST_TMPDIR/held"
	curl -sS -X PUT -u "AWS:$TOKEN" -H "Content-Type: $OCI_MANIFEST" \
		-T "$BATS_TEST_TMPDIR/held" -o "$BATS_TEST_TMPDIR/answer" \
		-w '%{http_code}' --max-time 60 \
		"$URL/v2/held/app/manifests/$1" \
		>"$BATS_TEST_TMPDIR/status" 3>&- &
	HELD_PID=$!
	exec 7>"$BATS_TEST_TMPDIR/held"
	# The head may come late: then it is refused for the same reason.
	sleep 0.5
}

held_end() { # STATUS
	cat "$MANIFEST" >&7
	exec 7>&-
	wait "$HELD_PID"
	assert_eq "$(cat "$BATS_TEST_TMPDIR/status")" "$1"
}

held_server() {
	auth_server_start
	login admin
	repository_make held/app
	image_push held/app v1
	user_make "$U" AmazonEC2ContainerRegistryPowerUser
	login "$U"
}

@test "what is revoked while a body is on its way does not count any more" {
	held_server
	held_put v2
	ctl token revoke-all "$U"
	held_end 403
	login admin
	http GET /v2/held/app/manifests/v2
	expect 404
	server_stop
}

@test "a policy that is set while a body is on its way counts" {
	held_server
	held_put v2
	as admin
	policy_set held/app "$(jq -cn --arg p "$(user_arn "$U")" '{
		Version: "2012-10-17", Statement: [{Effect: "Deny",
		Principal: {AWS: $p}, Action: "ecr:PutImage"}]}')"
	expect 200
	held_end 403
	server_stop
}

@test "a login that expires, and others' changes, do not end what is under way" {
	REGISTRYD_TOKEN_LIFETIME=5s held_server
	held_put v2
	ctl user create somebody-else
	expired() {
		http GET /v2/
		[ "$STATUS" = 403 ]
	}
	wait_for 60 expired
	held_end 201
	server_stop
}

@test "a wrong clock is no guess" {
	auth_server_start
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do
		ecr DescribeRepositories '{}' --age 600
		expect_aws InvalidSignatureException 'Signature expired'
	done
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

@test "secrets do not stand in the folder as they are" {
	auth_server_start
	ctl user create "$U" >/dev/null
	password_set "$U" 'password-at-rest-1'
	user_key "$U"
	ctl policy attach "$U" AmazonEC2ContainerRegistryReadOnly
	login "$U"
	http GET /v2/ -u "$U:password-at-rest-1"
	expect 200
	server_stop
	# What was named by the first start alone may.
	find "$DATA" -type f ! -name admin-credentials ! -name master.key \
		>"$W/files"
	grep -q 'mdb$' "$W/files"
	while read -r file; do
		! grep -aqFf "$BATS_FILE_TMPDIR/secrets" "$file" ||
			fail "a secret is in $file"
	done <"$W/files"
	grep -qF "$U" "$DATA/meta.mdb" || fail 'looked at the wrong files'
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
	ctl ecr DescribeRepositories '{"repositoryNames":["base/app"]}' >"$W/out"
	assert_eq "$(jq -r '.repositories[0].repositoryName' "$W/out")" base/app
	ctl_run ecr DescribeRepositories '{"repositoryNames":["no/such"]}'
	assert_eq "$code" 1
	assert_in "$out" RepositoryNotFoundException
	ctl get-login --registry-ids 111122223333 444455556666 >"$W/out"
	assert_eq "$(grep -c '^docker login' "$W/out")" 2
	secret_note "$(head -n 1 "$W/out" | cut -d ' ' -f 6)"
}

# Who asks from here on comes with temporary credentials of whom "as" named.
session_get() { # [PARAMETERS]
	sts GetSessionToken "$@"
	expect 200
	KEY_ID=$(sed -n 's|.*<AccessKeyId>\(.*\)</AccessKeyId>.*|\1|p' "$BODY")
	KEY_SECRET=$(sed -n \
		's|.*<SecretAccessKey>\(.*\)</SecretAccessKey>.*|\1|p' "$BODY")
	KEY_TOKEN=$(sed -n 's|.*<SessionToken>\(.*\)</SessionToken>.*|\1|p' \
		"$BODY")
	[[ $KEY_ID =~ ^ASIA ]] || fail "$(cat "$BODY")"
	secret_note "$KEY_SECRET" "$KEY_TOKEN"
	export KEY_ID KEY_SECRET KEY_TOKEN
}

@test "what temporary credentials may: as the user, and never make more of themselves" {
	auth_server_start
	user_make "$U" AmazonEC2ContainerRegistryReadOnly
	as "$U"
	session_get DurationSeconds=900
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
