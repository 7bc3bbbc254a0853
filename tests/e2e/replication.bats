#!/usr/bin/env bats
# Replication between registryds with users: PutReplicationConfiguration, the
# queue that outlives crashes, the status of images, and backfills.
load helper

setup() {
	[ -z "${E2E_HOST:-}" ] || skip 'needs servers of its own'
	W=$BATS_TEST_TMPDIR
	aws_env
}

teardown() {
	servers_clean
}

# --- two registries -----------------------------------------------------------

# Each has a name, by which all of it is kept: reg NAME makes it the one that
# http, ecr and ctl talk to.
reg() {
	local var
	for var in DATA URL HOST SERVER_PID SERVER_LOG; do
		eval "$var=\$$1_$var"
	done
	NOW=$1
	as admin
	logout
}

reg_keep() { # NAME
	local var
	for var in DATA URL HOST SERVER_PID SERVER_LOG; do
		eval "$1_$var=\$$var"
	done
	NOW=$1
}

# reg_start NAME [FLAG...]: account 0...01, 0...02 by the name's letter.
reg_start() {
	local name=$1
	shift
	ACCOUNT=$(account_of "$name")
	REGISTRYD_ACCOUNT_ID=$ACCOUNT auth_server_start "$@"
	reg_keep "$name"
}

account_of() {
	case $1 in
	a) echo 000000000001 ;;
	b) echo 000000000002 ;;
	c) echo 000000000003 ;;
	esac
}

# reg_again NAME [FLAG...]: the same folder, at the same address.
reg_again() {
	local name=$1 listen
	reg "$name"
	listen=${HOST}
	shift
	REGISTRYD_ACCOUNT_ID=$(account_of "$name") server_start --auth token \
		--data "$DATA" --listen "$listen" "$@"
	reg_keep "$name"
}

# A registry that takes from others: a user of it, whose key is $W/NAME.key.
taker_make() { # NAME
	reg "$1"
	user_make robot "$(allow "ecr:GetAuthorizationToken $PUSH $PULL \
ecr:BatchCheckLayerAvailability ecr:ReplicateImage ecr:CreateRepository \
ecr:TagResource")"
	as robot
	printf '%s' "$KEY_SECRET" >"$W/$1.key"
	printf '%s' "$KEY_ID" >"$W/$1.id"
	as admin
}

# How one reaches the others: a configuration file for --config.
config_make() { # NAME OTHER...
	local name=$1 other
	shift
	{
		printf 'replication: {give-up: 1h}\nreplication-destinations:\n'
		for other; do
			eval "printf -- '- {region: %s, registry-id: \"%s\", \
url: \"%s\"}\n' $REGION $(account_of "$other") \$${other}_URL"
		done
		printf 'upstreams:\n'
		for other; do
			eval "printf -- '- {registry: \"%s\", access-key-id: %s, \
secret-access-key-file: %s, region: %s}\n' \$${other}_URL \
$(cat "$W/$other.id") $W/$other.key $REGION"
		done
	} >"$W/$name.yml"
}

# rules NAME OTHER [PREFIX]: of the registry NAME.
rules() {
	reg "$1"
	ecr PutReplicationConfiguration "$(jq -cn --arg r "$REGION" \
		--arg a "$(account_of "$2")" --arg p "${3:-}" \
		'{replicationConfiguration: {rules: [{destinations: [{region: $r,
		registryId: $a}]} + if $p == "" then {} else {repositoryFilters:
		[{filter: $p, filterType: "PREFIX_MATCH"}]} end]}}')"
	expect 200
}

# pair: a sends what is below prod/ to b.
pair() {
	reg_start b
	taker_make b
	reg_start a
	config_make a b
	server_stop
	reg_again a --config "$W/a.yml"
	rules a b prod
}

push() { # REPOSITORY TAG [TEXT]; to the registry of now
	ecr CreateRepository "{\"repositoryName\":\"$1\"}"
	login admin
	image_push "$1" "$2" "${3:-$2}"
	logout
}

digest_in() { # NAME REPOSITORY REFERENCE
	local before=$NOW
	reg "$1"
	login admin
	http HEAD "/v2/$2/manifests/$3" -H "Accept: $OCI_MANIFEST"
	header Docker-Content-Digest
	reg "$before"
}

arrived() { # NAME REPOSITORY REFERENCE DIGEST
	[ "$(digest_in "$1" "$2" "$3")" = "$4" ]
}

# status REPOSITORY TAG: of the registry of now: the only destination's.
status() {
	ecr DescribeImageReplicationStatus \
		"{\"repositoryName\":\"$1\",\"imageId\":{\"imageTag\":\"$2\"}}"
	jq -r '.replicationStatuses[0] | "\(.status) \(.failureCode)"' "$BODY"
}

status_is() { # REPOSITORY TAG STATUS
	[ "$(status "$1" "$2")" = "$3" ]
}

waiting() {
	curl -sS --unix-socket "$DATA/control.sock" \
		http://x/control/replication | jq .waiting
}

# --- sending ------------------------------------------------------------------

@test "an image below the filter arrives, with what it needs; others do not" {
	local digest
	pair
	push prod/app v1
	digest=${DIGEST:?}
	push team/app v1 other
	wait_for 60 arrived b prod/app v1 "$digest"
	wait_for 60 status_is prod/app v1 'COMPLETE null'
	ecr DescribeImageReplicationStatus \
		'{"repositoryName":"prod/app","imageId":{"imageTag":"v1"}}'
	assert_eq "$(jq -r '.replicationStatuses[0].registryId' "$BODY")" \
		000000000002
	ecr DescribeImageReplicationStatus \
		'{"repositoryName":"team/app","imageId":{"imageTag":"v1"}}'
	assert_eq "$(jq '.replicationStatuses | length' "$BODY")" 0
	assert_eq "$(digest_in b team/app v1)" ''
	# What is there can be pulled whole.
	reg b
	login admin
	http GET "/v2/prod/app/blobs/$(printf 'layer v1' | sha256sum |
		sed 's/ .*//; s/^/sha256:/')"
	expect 200
	assert_eq "$(cat "$BODY")" 'layer v1'
	reg a
	assert_in "$(cat "$DATA/audit.log")" '"event":"replicate"'
	assert_in "$(cat "$DATA/audit.log")" '"outcome":"sent"'
}

@test "a tag that moves is sent again, and a signature follows" {
	pair
	push prod/app v1 first
	wait_for 60 arrived b prod/app v1 "$DIGEST"
	push prod/app v1 second
	wait_for 60 arrived b prod/app v1 "$DIGEST"
	cp "$MANIFEST" "$W/subject"
	login admin
	artifact_push prod/app digest "$W/subject"
	logout
	wait_for 60 arrived b prod/app "$DIGEST" "$DIGEST"
	reg b
	login admin
	http GET "/v2/prod/app/referrers/$(digest_of "$W/subject")"
	assert_eq "$(jq -r '.manifests[0].digest' "$BODY")" "$DIGEST"
}

@test "PutImage is replicated as a push is" {
	pair
	push prod/app v1
	ecr BatchGetImage \
		'{"repositoryName":"prod/app","imageIds":[{"imageTag":"v1"}]}'
	ecr PutImage "$(jq -c '{repositoryName: "prod/app", imageTag: "v2",
	    imageManifest: .images[0].imageManifest}' "$BODY")"
	expect 200
	wait_for 60 arrived b prod/app v2 "$DIGEST"
}

# --- across crashes and outages -----------------------------------------------

@test "what was pushed while the destination is down arrives, even across kill -9" {
	local i digests=()
	pair
	reg b
	server_kill
	reg a
	for i in 1 2 3; do
		push prod/app "v$i"
		digests+=("$DIGEST")
		assert_eq "$(status prod/app "v$i")" 'IN_PROGRESS null'
	done
	assert_eq "$(waiting)" 3
	server_kill
	reg_again a --config "$W/a.yml"
	assert_eq "$(waiting)" 3
	assert_eq "$(status prod/app v2)" 'IN_PROGRESS null'
	reg_again b
	reg a
	# The source tries again after 1, 2, 4, ... seconds.
	for i in 1 2 3; do
		wait_for 120 arrived b prod/app "v$i" "${digests[i - 1]}"
		wait_for 60 status_is prod/app "v$i" 'COMPLETE null'
	done
	assert_eq "$(waiting)" 0
}

@test "a destination that restarts in between loses nothing" {
	local i
	pair
	push prod/app v0
	wait_for 60 arrived b prod/app v0 "$DIGEST"
	reg b
	server_stop
	reg_again b
	reg a
	push prod/app v1
	wait_for 120 arrived b prod/app v1 "$DIGEST"
	server_stop
	"$REGISTRYCTL" --data "$DATA" fsck
	reg_again a --config "$W/a.yml"
}

# --- refusals -----------------------------------------------------------------

@test "what will not pass fails at once, with a code" {
	reg_start b
	taker_make b
	reg_start a
	config_make a b
	# A destination without an address is told of when it is configured.
	rules a c
	assert_in "$(cat "$SERVER_LOG")" 'us-east-1/000000000003 has no address'
	push prod/app v1
	wait_for 60 status_is prod/app v1 'FAILED DestinationNotConfigured'
	server_stop
	reg_again a --config "$W/a.yml"
	rules a b
	# The user there may not any more.
	reg b
	ctl policy delete test --user robot
	user_allow robot "$(allow ecr:GetAuthorizationToken)"
	reg a
	push prod/app v2
	wait_for 60 status_is prod/app v2 'FAILED AccessDenied'
	assert_in "$(cat "$DATA/audit.log")" '"outcome":"failed"'
}

@test "an immutable tag of the destination is not moved" {
	pair
	reg b
	ecr CreateRepository '{"repositoryName":"prod/app",
		"imageTagMutability":"IMMUTABLE"}'
	expect 200
	login admin
	image_push prod/app v1 'of b'
	reg a
	push prod/app v1 'of a'
	wait_for 60 status_is prod/app v1 'FAILED ImageTagAlreadyExists'
}

# --- how repositories are made there ------------------------------------------

@test "a repository is made by the template for REPLICATION" {
	pair
	reg b
	ecr CreateRepositoryCreationTemplate '{"prefix":"prod",
		"appliedFor":["REPLICATION"],"imageTagMutability":"IMMUTABLE",
		"resourceTags":[{"Key":"from","Value":"afar"}]}'
	expect 200
	reg a
	push prod/app v1
	wait_for 60 arrived b prod/app v1 "$DIGEST"
	reg b
	ecr DescribeRepositories '{"repositoryNames":["prod/app"]}'
	assert_eq "$(jq -r '.repositories[0].imageTagMutability' "$BODY")" \
		IMMUTABLE
	ecr ListTagsForResource "{\"resourceArn\":\
\"arn:aws:ecr:$REGION:000000000002:repository/prod/app\"}"
	assert_eq "$(jq -r '.tags[0].Value' "$BODY")" afar
}

# --- loops --------------------------------------------------------------------

@test "two registries that send to each other do not do it for ever" {
	local sent
	reg_start b
	taker_make b
	reg_start a
	taker_make a
	config_make a b
	config_make b a
	reg a
	server_stop
	reg_again a --config "$W/a.yml"
	reg b
	server_stop
	reg_again b --config "$W/b.yml"
	rules a b
	rules b a
	reg a
	push prod/app v1
	wait_for 60 arrived b prod/app v1 "$DIGEST"
	wait_for 60 status_is prod/app v1 'COMPLETE null'
	reg b
	ecr DescribeImageReplicationStatus \
		'{"repositoryName":"prod/app","imageId":{"imageTag":"v1"}}'
	assert_eq "$(jq '.replicationStatuses | length' "$BODY")" 0
	assert_eq "$(waiting)" 0
	# The other way round as well.
	push prod/app v2
	wait_for 60 arrived a prod/app v2 "$DIGEST"
	wait_for 60 status_is prod/app v2 'COMPLETE null'
	reg a
	assert_eq "$(waiting)" 0
	sent=$(grep -c '"event":"replicate"' "$DATA/audit.log")
	assert_eq "$sent" 1 'images that a has sent'
}

# --- backfills ----------------------------------------------------------------

@test "a backfill sends what was there before the rule" {
	local i id digests=()
	reg_start b
	taker_make b
	reg_start a
	config_make a b
	server_stop
	reg_again a --config "$W/a.yml"
	for i in 1 2 3; do
		push prod/app "v$i"
		digests+=("$DIGEST")
	done
	push team/app v1 other
	ecr StartReplicationBackfill "{\"destination\":{\"region\":\"$REGION\",
		\"registryId\":\"000000000002\"}}"
	expect_aws ValidationException 'is not one of the replication'
	rules a b prod
	ecr StartReplicationBackfill "{\"destination\":{\"region\":\"$REGION\",
		\"registryId\":\"000000000002\"}}"
	expect 200
	id=$(jq -r .replicationBackfillId "$BODY")
	backfill_is() {
		ecr DescribeReplicationBackfillResults \
			"{\"replicationBackfillId\":\"$id\"}"
		[ "$(jq -r .status "$BODY")" = "$1" ]
	}
	wait_for 120 backfill_is COMPLETE
	assert_eq "$(jq -c '.progress | [.totalReplicationCount,
	    .completedReplicationCount, .failedReplicationCount]' "$BODY")" \
		'[3,3,0]'
	assert_eq "$(jq '.results | length' "$BODY")" 3
	for i in 1 2 3; do
		arrived b prod/app "v$i" "${digests[i - 1]}"
	done
	assert_eq "$(digest_in b team/app v1)" ''
	ecr ListReplicationBackfills
	assert_eq "$(jq -r '.backfills[0].status' "$BODY")" COMPLETE
	ecr StopReplicationBackfill "{\"replicationBackfillId\":\"$id\"}"
	expect_aws ReplicationBackfillInvalidStatusException
}
