#!/usr/bin/env bats
# AWS's own tools against the ECR endpoint: both generations of the CLI, boto3,
# curl's --aws-sigv4, over http and over https with an authority of our own.
load helper

setup_file() {
	[ -z "${E2E_HOST:-}" ] || skip 'needs servers of its own'
	aws_find
	export TLS=$BATS_FILE_TMPDIR/tls
	"$REGISTRYCTL" tls init --out "$TLS" --host 127.0.0.1 >/dev/null
	auth_server_start --listen http://127.0.0.1:0 \
		--listen https://127.0.0.1:0 \
		--tls-cert "$TLS/server.pem" --tls-key "$TLS/server-key.pem"
	HTTP_URL=$(server_listening 1) HTTPS_URL=$(server_listening 2)
	user_make reader AmazonEC2ContainerRegistryReadOnly
	repository_make full/app
	login admin
	image_push full/app v1
	export HTTP_URL HTTPS_URL
}

teardown_file() {
	[ -n "${SERVER_PID:-}" ] || return 0
	server_stop
	servers_clean
}

setup() {
	W=$BATS_TEST_TMPDIR
	REPO=t$BATS_TEST_NUMBER/app
	HTTP_OPTIONS=()
	aws_env
	as admin
}

teardown() {
	client_gone
	servers_clean
}

over() { # http|https
	URL=$HTTP_URL
	unset AWS_CA_BUNDLE CURL_CA_BUNDLE
	if [ "$1" = https ]; then
		URL=$HTTPS_URL
		export AWS_CA_BUNDLE=$TLS/ca.pem CURL_CA_BUNDLE=$TLS/ca.pem
	fi
	HOST=${URL#*://}
}

# --- the CLI ------------------------------------------------------------------

cli_flow() { # GENERATION
	local n=$1 policy
	policy=$(repository_policy '"*"' ecr:BatchGetImage)
	cli "$n" ecr create-repository --repository-name "$REPO" \
		--image-tag-mutability IMMUTABLE --tags Key=team,Value=blue \
		>"$W/out"
	assert_eq "$(jq -r .repository.repositoryArn "$W/out")" \
		"$(repository_arn "$REPO")"
	assert_eq "$(jq -r .repository.repositoryUri "$W/out")" "$HOST/$REPO"
	assert_eq "$(jq -r .repository.imageTagMutability "$W/out")" IMMUTABLE
	cli "$n" ecr describe-repositories --repository-names "$REPO" \
		>"$W/again"
	cmp <(jq -S .repository "$W/out") <(jq -S '.repositories[0]' "$W/again")
	cli "$n" ecr set-repository-policy --repository-name "$REPO" \
		--policy-text "$policy" >"$W/out"
	cli "$n" ecr get-repository-policy --repository-name "$REPO" \
		--query policyText --output text >"$W/out"
	assert_eq "$(cat "$W/out")" "$policy"
	cli "$n" ecr delete-repository-policy --repository-name "$REPO" \
		>"$W/out"
	cli "$n" ecr delete-repository --repository-name "$REPO" >"$W/out"
	assert_eq "$(jq -r .repository.repositoryName "$W/out")" "$REPO"
	cli "$n" sts get-caller-identity --query Arn --output text >"$W/out"
	assert_eq "$(cat "$W/out")" "$(user_arn admin)"
}

cli_login() { # GENERATION
	local password
	password=$(cli "$1" ecr get-login-password)
	secret_note_basic AWS "$password"
	http GET /v2/full/app/manifests/v1 -u "AWS:$password"
	expect 200
	cli "$1" ecr get-authorization-token >"$W/out"
	secret_note "$(jq -r '.authorizationData[0].authorizationToken' "$W/out")"
	assert_eq "$(jq -r '.authorizationData[0].proxyEndpoint' "$W/out")" \
		"$URL"
}

@test "aws v2, http: repositories, policies, identity" {
	need_aws 2
	over http
	cli_flow 2
}

@test "aws v1, https: repositories, policies, identity" {
	need_aws 1
	over https
	cli_flow 1
}

@test "aws v2, http and https: the password that the registry takes" {
	need_aws 2
	admin_env
	over http
	cli_login 2
	over https
	cli_login 2
}

@test "aws v1, http and https: the password that the registry takes" {
	need_aws 1
	admin_env
	over http
	cli_login 1
	over https
	cli_login 1
}

@test "aws, https: an unknown authority is refused by the client" {
	local n
	[ -n "$AWS1$AWS2" ] || skip 'no AWS CLI is installed'
	over https
	unset AWS_CA_BUNDLE
	n=2
	[ -n "$AWS2" ] || n=1
	! cli "$n" ecr get-login-password >"$W/out" 2>&1 || fail 'trusted'
	assert_in "$(cat "$W/out")" 'SSL validation failed'
}

@test "aws v1: get-login's line logs in" {
	local user password address line
	need_aws 1
	need skopeo
	over http
	aws1 ecr get-login --no-include-email >"$W/line"
	read -r -a line <"$W/line"
	assert_eq "${line[*]:0:3} ${line[3]} ${line[4]}" 'docker login -u AWS -p'
	password=${line[5]} address=${line[6]}
	secret_note_basic AWS "$password"
	assert_eq "$address" "$URL"
	client_home "$W/client"
	skopeo login --tls-verify=false "${line[@]:2:4}" "${address#*://}" \
		>"$W/out"
	skopeo inspect --tls-verify=false "docker://$HOST/full/app:v1" \
		>"$W/out"
}

# A server of its own: wrong credentials are counted.
own_server() {
	auth_server_start "$@"
	repository_make a/b
}

errors_server() {
	own_server
	login admin
	image_push a/b v1
	user_make reader AmazonEC2ContainerRegistryReadOnly
	as admin
}

cli_errors() { # GENERATION
	local n=$1
	AWS_SHARED_CREDENTIALS_FILE=$W/none AWS_ACCESS_KEY_ID=AKIANOSUCHKEY0000000 \
		AWS_SECRET_ACCESS_KEY=$(printf '%040d' 0) cli_fails "$n" \
		UnrecognizedClientException ecr describe-repositories
	AWS_ACCESS_KEY_ID=$KEY_ID AWS_SECRET_ACCESS_KEY=$(printf '%040d' 0) \
		cli_fails "$n" InvalidSignatureException ecr get-login-password
	AWS_SHARED_CREDENTIALS_FILE=$(credentials_of reader) cli_fails "$n" \
		AccessDeniedException ecr create-repository --repository-name a/c
	assert_in "$(cat "$W/err")" "$(not_authorized reader ecr:CreateRepository \
		a/c)"
	cli_fails "$n" InvalidParameterException ecr create-repository \
		--repository-name 'Bad Name'
	assert_in "$(cat "$W/err")" repositoryName
	cli_fails "$n" RepositoryNotFoundException ecr delete-repository \
		--repository-name no/such
	assert_in "$(cat "$W/err")" "The repository with name 'no/such' does not exist in the registry with id '$ACCOUNT'"
	cli_fails "$n" RepositoryAlreadyExistsException ecr create-repository \
		--repository-name a/b
	cli_fails "$n" RepositoryNotEmptyException ecr delete-repository \
		--repository-name a/b
}

@test "aws v2: errors by name, and exit status 254" {
	need_aws 2
	errors_server
	cli_errors 2
	# This one is up to the server.
	cli_fails 2 InvalidParameterException ecr create-repository \
		--repository-name bad/enum --image-tag-mutability SOMETIMES
	assert_in "$(cat "$W/err")" imageTagMutability
	server_stop
}

@test "aws v1: errors by name" {
	need_aws 1
	errors_server
	cli_errors 1
	server_stop
}

@test "aws: a clock that is ten minutes off is told so" {
	local n=2
	[ -n "$AWS2" ] || n=1
	need_aws "$n"
	over http
	fake_time -10m
	local program=AWS$n
	printf '#!/bin/sh\nexec %s %s "$@"\n' "$FAKE_TIME" "${!program}" \
		>"$W/late"
	AWS1=$W/late AWS2=$W/late
	chmod +x "$W/late"
	cli_fails "$n" InvalidSignatureException ecr get-login-password
	assert_in "$(cat "$W/err")" 'Signature expired'
}

@test "aws: temporary credentials, and no permission for the identity itself" {
	local n=2
	[ -n "$AWS2" ] || n=1
	need_aws "$n"
	over http
	cli "$n" sts get-session-token --duration-seconds 900 >"$W/session"
	export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN
	AWS_ACCESS_KEY_ID=$(jq -r .Credentials.AccessKeyId "$W/session")
	AWS_SECRET_ACCESS_KEY=$(jq -r .Credentials.SecretAccessKey "$W/session")
	AWS_SESSION_TOKEN=$(jq -r .Credentials.SessionToken "$W/session")
	secret_note "$AWS_SECRET_ACCESS_KEY" "$AWS_SESSION_TOKEN"
	unset AWS_SHARED_CREDENTIALS_FILE
	cli_login "$n"
	AWS_SESSION_TOKEN=none-of-ours cli_fails "$n" \
		UnrecognizedClientException ecr describe-repositories
}

@test "aws: pages by --page-size and --max-items are put together again" {
	local n=2 i
	[ -n "$AWS2" ] || n=1
	need_aws "$n"
	over http
	for i in 1 2 3 4 5; do
		repository_make "paged/r$i"
	done
	cli "$n" ecr describe-repositories --page-size 2 >"$W/out"
	assert_eq "$(jq -r '[.repositories[].repositoryName |
	    select(startswith("paged/"))] | join(" ")' "$W/out")" \
		'paged/r1 paged/r2 paged/r3 paged/r4 paged/r5'
	cli "$n" ecr describe-repositories --max-items 1 --page-size 1 >"$W/out"
	assert_eq "$(jq '.repositories | length' "$W/out")" 1
	cli "$n" ecr describe-repositories --page-size 2 --starting-token \
		"$(jq -r .NextToken "$W/out")" >"$W/rest"
	assert_eq "$(jq -s '[.[].repositories[].repositoryName] |
	    [length, (unique | length)] | unique | length' \
		"$W/out" "$W/rest")" 1
	assert_in "$(jq -r '.repositories[].repositoryName' "$W/rest" | xargs)" \
		'paged/r1 paged/r2 paged/r3 paged/r4 paged/r5'
}

# --- boto3 --------------------------------------------------------------------

# boto COMMAND [ARGUMENT...]: with each Python that has boto3.
boto() {
	local python
	for python in $BOTO_PYTHONS; do
		boto_once "$python" "$@" || return
	done
}

boto_once() { # PYTHON COMMAND [ARGUMENT...]
	local word secret
	"$1" "$TOP/tests/e2e/boto.py" "$2" "$URL" "${@:3}" >"$W/boto" 2>&1 ||
		fail "$1: $(cat "$W/boto")" || return
	while read -r word secret; do
		[ "$word" != secret ] || secret_note "$secret"
	done <"$W/boto"
}

@test "boto3, http and https: every operation" {
	need_boto
	over http
	boto flow "$REPO"
	over https
	boto flow "$REPO"
}

@test "boto3: exceptions by class" {
	need_boto
	errors_server
	boto errors a/b "$(credentials_of reader)"
	server_stop
}

@test "boto3: pages, and wrong tokens for them" {
	need_boto
	over https
	boto_once "${BOTO_PYTHONS%% *}" paging "$REPO"
}

@test "boto3: temporary credentials" {
	need_boto
	over https
	boto_once "${BOTO_PYTHONS%% *}" session
}

@test "boto3: presigned URLs are good once made, and for nothing else" {
	local python
	need_boto
	own_server
	for python in $BOTO_PYTHONS; do
		"$python" "$TOP/tests/e2e/boto.py" presign "$URL" >"$W/urls"
		{
			read -r who
			read -r token
			read -r target
			read -r who_get
		} <"$W/urls"
		http GET "$who_get"
		expect 200
		assert_in "$(cat "$BODY")" "$(user_arn admin)"
		http POST "$who_get"
		expect 403
		http POST "$who"
		expect 200
		assert_in "$(cat "$BODY")" "$(user_arn admin)"
		http POST "$token" -H "$target"
		expect 200
		secret_note "$(jq -r '.authorizationData[0].authorizationToken' \
			"$BODY")"
		http POST "$token" -H "${target/GetAuth/DeleteAuth}"
		[ "$STATUS" = 400 ] || fail "another target: $STATUS"
		http POST "$token&x=1" -H "$target"
		expect_aws InvalidSignatureException
		http POST "$token" -H "$target" -d '{"registryIds":["000000000000"]}'
		expect_aws InvalidSignatureException
	done
	server_stop
}

# --- curl ---------------------------------------------------------------------

@test "curl --aws-sigv4 signs what the registry takes" {
	local have
	have=$(curl --version | sed -n '1s/curl \([0-9]*\)\.\([0-9]*\).*/\1 \2/p')
	# shellcheck disable=SC2086
	[ "$(printf '%d%03d' $have)" -ge 7087 ] ||
		skip 'this curl signs no headers of ours'
	over http
	http POST / --aws-sigv4 "aws:amz:$REGION:ecr" -u "$KEY_ID:$KEY_SECRET" \
		-H 'X-Amz-Target: AmazonEC2ContainerRegistry_V20150921.DescribeRepositories' \
		-H 'Content-Type: application/x-amz-json-1.1' \
		-d '{"repositoryNames":["full/app"]}'
	expect 200
	assert_eq "$(jq -r '.repositories[0].repositoryName' "$BODY")" full/app
	http POST / --aws-sigv4 "aws:amz:$REGION:sts" -u "$KEY_ID:$KEY_SECRET" \
		-H 'Content-Type: application/x-www-form-urlencoded' \
		-d 'Action=GetCallerIdentity&Version=2011-06-15'
	expect 200
	assert_in "$(cat "$BODY")" "$(user_arn admin)"
}

# --- signatures, by hand ------------------------------------------------------

@test "a signed request is good for itself only: path, query, host, body, target" {
	own_server
	ecr DescribeRepositories '{"repositoryNames":["a/b"]}'
	expect 200
	ecr DescribeRepositories '{}' --then-query x=1
	expect_aws InvalidSignatureException
	ecr DescribeRepositories '{}' --then-host "127.0.0.2:${HOST#*:}"
	expect_aws InvalidSignatureException
	ecr DescribeRepositories '{}' --then-body '{ }'
	expect_aws InvalidSignatureException
	ecr DeleteRepository '{"repositoryName":"a/c"}' \
		--then-body '{"repositoryName":"a/b"}'
	expect_aws InvalidSignatureException
	ecr DescribeRepositories '{"repositoryName":"a/b"}' --then-header \
		'X-Amz-Target: AmazonEC2ContainerRegistry_V20150921.DeleteRepository'
	expect_aws InvalidSignatureException
	ecr DescribeRepositories '{}' --then-signature "$(printf '%064d' 0)"
	expect_aws InvalidSignatureException
	ecr DescribeRepositories '{}' --then-path //
	[ "$STATUS" != 200 ] || fail 'another path'
	ecr DescribeRepositories '{"repositoryNames":["a/b"]}'
	expect 200
	server_stop
}

@test "what is not signed at all, or not wholly, is told apart" {
	own_server
	http POST / -d '{}' -H 'Content-Type: application/x-amz-json-1.1' \
		-H 'X-Amz-Target: AmazonEC2ContainerRegistry_V20150921.DescribeRepositories'
	expect_aws MissingAuthenticationTokenException
	ecr DescribeRepositories '{}' --then-header \
		'Authorization: AWS4-HMAC-SHA256 Credential=x'
	expect_aws IncompleteSignatureException
	ecr DescribeRepositories '{}' --then-header \
		"Authorization: Basic $(printf 'AWS:x' | base64)"
	expect_aws MissingAuthenticationTokenException
	ecr DescribeRepositories '{}' --unsigned X-Amz-Target
	expect_aws InvalidSignatureException
	ecr NoSuchOperation
	expect_aws UnknownOperationException
	KEY_ID=AKIANOSUCHKEY0000000 ecr DescribeRepositories
	expect_aws UnrecognizedClientException
	ecr DescribeRepositories '{}' --service s3
	expect_aws InvalidSignatureException
	sts GetCallerIdentity '' --then-body 'Action=GetCallerIdentity'
	assert_eq "$STATUS" 403
	assert_in "$(cat "$BODY")" '<Code>SignatureDoesNotMatch</Code>'
	server_stop
}

@test "UNSIGNED-PAYLOAD and old dates are refused; five minutes are borne" {
	own_server
	ecr DescribeRepositories '{}' --payload-hash UNSIGNED-PAYLOAD
	expect_aws InvalidSignatureException
	ecr DescribeRepositories '{}' --payload-hash UNSIGNED-PAYLOAD --presign
	expect_aws InvalidSignatureException
	ecr DescribeRepositories '{}' --age 360
	expect_aws InvalidSignatureException 'Signature expired'
	ecr DescribeRepositories '{}' --age -360
	expect_aws InvalidSignatureException 'Signature not yet current'
	ecr DescribeRepositories '{}' --age 240
	expect 200
	ecr DescribeRepositories '{}' --age -240
	expect 200
	ecr DescribeRepositories '{}' --presign
	expect 200
	ecr DescribeRepositories '{}' --presign --age 30 --expires 20
	[ "$STATUS" = 400 ] || fail "an expired URL: $STATUS"
	ecr DescribeRepositories '{}' --presign --then-body '{"maxResults":1}'
	expect_aws InvalidSignatureException
	server_stop
}

@test "any header may be signed, and any region; strict pins it" {
	own_server
	ecr DescribeRepositories '{"repositoryNames":["a/b"]}' \
		--header 'Amz-Sdk-Invocation-Id: 1-2-3' \
		--header 'Amz-Sdk-Request: attempt=1;   max=3' \
		--header 'User-Agent: x' --region eu-west-1
	expect 200
	assert_eq "$(jq -r '.repositories[0].repositoryArn' "$BODY")" \
		"arn:aws:ecr:eu-west-1:$ACCOUNT:repository/a/b"
	server_stop
	REGISTRYD_SIGV4_REGION=strict own_server
	ecr DescribeRepositories '{}' --region eu-west-1
	expect_aws InvalidSignatureException
	ecr DescribeRepositories
	expect 200
	server_stop
}
