#!/usr/bin/env bats
# Every way to push a blob, and every kind of content through its whole life:
# push, list, HEAD, pull, referrers, delete.  walk.py says what is looked at.
load helper

teardown() {
	server_stop
	servers_clean
}

@test "every kind of content lives through push, list, pull, referrers and delete" {
	server_start
	"$PYTHON" "$BATS_TEST_DIRNAME/walk.py" "$HOST"
}

@test "so does what is not whole, where manifests.sparse is all" {
	REGISTRYD_MANIFESTS_SPARSE=all server_start
	"$PYTHON" "$BATS_TEST_DIRNAME/walk.py" "$HOST" --sparse
}

# With users, repositories are made on push by who may.
walk_with() { # --basic|--bearer
	REGISTRYD_REPOSITORIES_CREATE_ON_PUSH=true \
		REGISTRYD_TOKEN_CHALLENGE=${1#--} auth_server_start
	login_password
	WALK_LOGIN=AWS:$TOKEN "$PYTHON" "$BATS_TEST_DIRNAME/walk.py" "$HOST" "$1"
}

@test "the same with a login token, Basic" {
	walk_with --basic
}

@test "the same with bearer tokens" {
	walk_with --bearer
}

@test "a walk through content that is not whole fails where it is not allowed" {
	server_start
	run "$PYTHON" "$BATS_TEST_DIRNAME/walk.py" "$HOST" --sparse
	[ "$status" = 1 ]
	assert_in "$output" MANIFEST_BLOB_UNKNOWN
}
