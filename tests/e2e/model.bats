#!/usr/bin/env bats
# The table of operations against the service models that the installed clients
# carry, and every error they document provoked.
load helper

setup_file() {
	[ -z "${E2E_HOST:-}" ] || skip 'needs the programs of the build'
	aws_find
	export TABLE=$BATS_FILE_TMPDIR/table.json
	"$TOP/build/tests/tools/operations" >"$TABLE"
}

teardown() {
	servers_clean
}

@test "every operation of the clients' models has its row, and every member its shape" {
	need_boto
	"$PYTHON" "$BATS_TEST_DIRNAME/model.py" operations "$TABLE" \
		>"$BATS_TEST_TMPDIR/out" || fail "$(cat "$BATS_TEST_TMPDIR/out")"
	grep -qE '^[4-9][0-9] operations of ' "$BATS_TEST_TMPDIR/out"
}

@test "every error of the clients' models is provoked, or told why not" {
	need_boto
	cat >"$BATS_TEST_TMPDIR/quotas.yml" <<-EOF
		quotas:
		  images-per-repository: 5
	EOF
	server_start --config "$BATS_TEST_TMPDIR/quotas.yml"
	"$PYTHON" "$BATS_TEST_DIRNAME/provoke.py" "$URL" \
		>"$BATS_TEST_TMPDIR/provoked"
	server_stop
	"$PYTHON" "$BATS_TEST_DIRNAME/model.py" errors "$TABLE" \
		"$BATS_TEST_TMPDIR/provoked"
}
