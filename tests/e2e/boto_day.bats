#!/usr/bin/env bats
# A working day with boto3, of every Python here that has it: what programs
# written for Amazon ECR do, and which class of exception each failure is.
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
	need_boto
	aws_env
	shared
}

teardown() {
	servers_clean
}

# boto_day COMMAND: with each Python; what the last one said is $W/boto.
boto_day() {
	local python word secret n=0
	for python in $BOTO_PYTHONS; do
		n=$((n + 1))
		"$python" "$BATS_TEST_DIRNAME/boto_day.py" "$1" "$URL" \
			"boto$n-$1" >"$W/boto.$n" 2>&1 ||
			fail "$python: $(cat "$W/boto.$n")" || return
		while read -r word secret; do
			[ "$word" != secret ] || secret_note "$secret"
		done <"$W/boto.$n"
	done
}

@test "boto3: a working day from create to delete with force" {
	boto_day day
}

@test "boto3: a layer in parts, and a URL that gives it and no other" {
	boto_day layers
}

@test "boto3: what is configured of the registry is kept, shown and removed" {
	boto_day settings
}

@test "boto3: images are archived and restored, referrers are listed" {
	boto_day images
}

@test "boto3: every paginator sees everything once, page by page" {
	boto_day pages
}

@test "boto3: every waiter waits until the end, and raises WaiterError for a scan, which fails" {
	boto_day jobs
}

@test "boto3: each failure raises the class of its name, all of the model's" {
	local file
	boto_day errors
	for file in "$W"/boto.*; do
		# 31 of the oldest client.
		grep -qE '^(3[1-9]|[4-9][0-9]) classes of ' "$file" ||
			fail "$(cat "$file")"
	done
}
