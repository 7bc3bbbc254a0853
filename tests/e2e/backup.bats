#!/usr/bin/env bats
# registryctl backup and restore: a whole registry in a file, and back.
load helper

setup() {
	[ -z "${E2E_HOST:-}" ] || skip 'needs servers of its own'
	W=$BATS_TEST_TMPDIR
	NEW=$W/new
	PUSHER=
}

teardown() {
	[ -z "$PUSHER" ] || kill "$PUSHER" 2>/dev/null || true
	client_gone
	servers_clean
}

# Some images, one with a layer that lies in a file, an artifact, an unfinished
# upload.  Sets LARGE.
content() {
	image_push b/one v1
	image_push b/one v2 other
	image_push b/two v1
	artifact_push b/two digest "$W/image/manifest"
	random_file "$W/large" 3000000
	blob_push b/one "$W/large"
	LARGE=$DIGEST
	printf '{"schemaVersion":2,"mediaType":"%s","config":%s,"layers":[%s]}' \
		"$OCI_MANIFEST" \
		"$(descriptor application/vnd.oci.image.config.v1+json \
			"$W/artifact/empty")" \
		"$(descriptor application/vnd.oci.image.layer.v1.tar \
			"$W/large")" >"$W/large.manifest"
	blob_push b/one "$W/artifact/empty"
	manifest_put b/one large "$W/large.manifest"
	expect 201
	http POST /v2/b/one/blobs/uploads/
	http PATCH "$(header Location)" --data-binary hello
}

# Every tag with its digest: REPOSITORY TAG DIGEST, of the server at URL.
tags_list() {
	local repository tag
	http GET /v2/_catalog
	for repository in $(jq -r '.repositories[]' "$BODY"); do
		http GET "/v2/$repository/tags/list"
		for tag in $(jq -r '.tags[]?' "$BODY"); do
			http HEAD "/v2/$repository/manifests/$tag" \
				-H "Accept: $OCI_MANIFEST"
			printf '%s %s %s\n' "$repository" "$tag" \
				"$(header Docker-Content-Digest)"
		done
	done
}

# pulls REPOSITORY REFERENCE: its manifest and all it needs, and they are what
# their digests say.
pulls() {
	local digest
	http GET "/v2/$1/manifests/$2" -H "Accept: $OCI_MANIFEST"
	expect 200 || return
	cp "$BODY" "$W/pulled"
	for digest in $(jq -r '.config.digest, .layers[].digest' "$W/pulled"); do
		http GET "/v2/$1/blobs/$digest"
		expect 200 || return
		assert_eq "$(digest_of "$BODY")" "$digest" 'content' || return
	done
}

# Others push, one image after the other, until they are killed.
push_on() {
	(
		BATS_TEST_TMPDIR=$W/pusher
		mkdir -p "$BATS_TEST_TMPDIR"
		for ((i = 0; ; i++)); do
			random_file "$BATS_TEST_TMPDIR/noise" 50000
			blob_push "busy/r$((i % 5))" "$BATS_TEST_TMPDIR/noise"
			image_push "busy/r$((i % 5))" "t$i" "busy $i"
			echo "$i" >"$W/pushed"
		done
	) >"$W/pusher.log" 2>&1 3>&- &
	PUSHER=$!
}

push_stop() {
	kill "$PUSHER"
	wait "$PUSHER" 2>/dev/null || true
	PUSHER=
}

restored_serve() {
	DATA=$NEW
	server_start --data "$NEW"
}

@test "a backup of a busy server: restored and served, all digests are the same" {
	local repository tag digest
	server_start
	content
	tags_list >"$W/tags"
	[ "$(wc -l <"$W/tags")" -ge 4 ] || fail "$(cat "$W/tags")"
	push_on
	wait_for 60 test -s "$W/pushed"
	ctl_run backup -o "$W/backup.tar.zst"
	assert_eq "$code" 0 "exit of backup: $out"
	assert_eq "$(wc -l <<<"$out")" 1 "lines of: $out"
	assert_in "$out" "$W/backup.tar.zst: "
	kill -0 "$PUSHER" || fail "pushes failed: $(cat "$W/pusher.log")"
	push_stop
	[ ! -e "$DATA/snapshot" ] || fail 'the snapshot is still there'
	assert_eq "$(stat -c %a "$W/backup.tar.zst")" 600
	ctl_run fsck
	assert_eq "$code" 0 "fsck of the old one: $out"
	server_stop

	DATA=$NEW
	ctl_run restore "$W/backup.tar.zst"
	assert_eq "$code" 0 "exit of restore: $out"
	ctl_run fsck
	assert_eq "$code" 0 "fsck of the new one, stopped: $out"
	restored_serve
	tags_list >"$W/tags.new"
	grep -v '^busy/' "$W/tags.new" | diff -u "$W/tags" -
	while read -r repository tag digest; do
		pulls "$repository" "$tag" || fail "$repository:$tag ($digest)"
	done <"$W/tags.new"
	http GET "/v2/b/two/referrers/$(awk '/^b.two v1/ { print $3 }' \
		"$W/tags")"
	assert_eq "$(jq '.manifests | length' "$BODY")" 1 'referrers'
	ctl_run fsck
	assert_eq "$code" 0 "fsck of the new one: $out"
	image_push b/one v3
}

@test "a stopped folder is backed up as well, in each form, and through a pipe" {
	local form
	server_start
	content
	tags_list >"$W/tags"
	server_stop
	for form in tar tar.gz tar.zst; do
		ctl_run backup -o "$W/backup.$form"
		assert_eq "$code" 0 "$form: $out"
		rm -rf "$NEW"
		"$REGISTRYCTL" --data "$NEW" restore "$W/backup.$form" ||
			fail "$form"
	done
	restored_serve
	tags_list | diff -u "$W/tags" -
	server_stop
	rm -rf "$W/third"
	ctl backup -o - | "$REGISTRYCTL" --data "$W/third" restore -
	"$REGISTRYCTL" --data "$W/third" fsck
}

@test "what skopeo pushed comes out of the restored registry as it was" {
	need skopeo
	client_home "$W/client"
	server_start
	"$PYTHON" "$TOP/tests/e2e/mkimage.py" --layers 3 "$W/layout" v1
	skopeo copy -q --all --dest-tls-verify=false "oci:$W/layout:v1" \
		"docker://$HOST/s/app:v1"
	skopeo inspect --tls-verify=false --raw "docker://$HOST/s/app:v1" \
		>"$W/before"
	ctl_run backup -o "$W/b.tar"
	assert_eq "$code" 0 "$out"
	server_stop
	"$REGISTRYCTL" --data "$NEW" restore "$W/b.tar"
	restored_serve
	skopeo inspect --tls-verify=false --raw "docker://$HOST/s/app:v1" |
		cmp - "$W/before"
	skopeo copy -q --src-tls-verify=false "docker://$HOST/s/app:v1" \
		"oci:$W/out:v1"
}

@test "users and their keys come along, with the master key beside them" {
	auth_server_start
	repository_make a/app
	login admin
	image_push a/app v1
	logout
	ctl_run backup -o "$W/b.tar.zst"
	assert_eq "$code" 0 "$out"
	! tar -tf "$W/b.tar.zst" | grep -v '^blobs/' | grep -q master ||
		fail 'the master key is in it'
	cp "$DATA/master.key" "$W/master.key"
	mkdir -p "$NEW.users"
	cp "$(credentials_of admin)" "$NEW.users/admin"
	server_stop
	"$REGISTRYCTL" --data "$NEW" restore "$W/b.tar.zst"
	cp "$W/master.key" "$NEW/master.key"
	DATA=$NEW
	server_start --auth token --data "$NEW"
	as admin
	ecr DescribeImages '{"repositoryName":"a/app"}'
	expect 200
	login admin
	pulls a/app v1
}

@test "one backup at a time, and the collector waits for it" {
	local job
	export REGISTRYD_GC_GRACE=1s
	server_start
	content
	job=$(curl -sS --unix-socket "$DATA/control.sock" -X POST \
		http://localhost/control/backup | jq -r .id)
	held() {
		curl -sS --unix-socket "$DATA/control.sock" \
			"http://localhost/control/jobs/$job" |
			jq -e .ready >/dev/null
	}
	wait_for 30 held
	assert_eq "$(stat -c %a "$DATA/snapshot")" 700
	ctl_run backup -o "$W/b.tar"
	assert_eq "$code" 1 "$out"
	[ ! -e "$W/b.tar" ]
	assert_eq "$(find "$W" -name 'b.tar*' | wc -l)" 0
	http DELETE "/v2/b/one/manifests/large"
	http DELETE "/v2/b/one/manifests/$(digest_of "$W/large.manifest")"
	ctl gc >"$W/gc" 2>&1 3>&- &
	local gc=$!
	sleep 1
	kill -0 "$gc" || fail "it did not wait: $(cat "$W/gc")"
	[ -e "$DATA/blobs/sha256/${LARGE:7:2}/${LARGE#*:}" ] ||
		fail 'the blob is gone'
	curl -sS --unix-socket "$DATA/control.sock" -X DELETE \
		"http://localhost/control/jobs/$job" >/dev/null
	wait "$gc"
	ctl_run backup -o "$W/b.tar"
	assert_eq "$code" 0 "$out"
}

@test "damaged content is named, and the backup of yesterday stays" {
	local file
	server_start
	content
	ctl_run backup -o "$W/b.tar"
	assert_eq "$code" 0 "$out"
	cp "$W/b.tar" "$W/yesterday"
	file=$DATA/blobs/sha256/${LARGE:7:2}/${LARGE#*:}
	printf X | dd of="$file" bs=1 seek=1000 conv=notrunc status=none
	ctl_run backup -o "$W/b.tar"
	assert_eq "$code" 1
	assert_in "$out" "${LARGE#*:}"
	assert_in "$out" 'fsck --repair'
	cmp "$W/b.tar" "$W/yesterday"
	[ ! -e "$DATA/snapshot" ]
	ctl_run fsck --repair
	ctl_run backup -o "$W/b.tar"
	assert_eq "$code" 0 "$out"
}

@test "what was changed or cut off is not restored, nor over what is there" {
	server_start
	content
	ctl_run backup -o "$W/b.tar"
	server_stop
	DATA=$NEW
	head -c 2000000 "$W/b.tar" >"$W/cut.tar"
	ctl_run restore "$W/cut.tar"
	assert_eq "$code" 1 "$out"
	[ ! -e "$NEW" ] && [ ! -e "$NEW.restoring" ]
	cp "$W/b.tar" "$W/changed.tar"
	printf X | dd of="$W/changed.tar" bs=1 seek=1500000 conv=notrunc \
		status=none
	ctl_run restore "$W/changed.tar"
	assert_eq "$code" 1 "$out"
	[ ! -e "$NEW" ] && [ ! -e "$NEW.restoring" ]
	ctl_run restore "$W/large"
	assert_eq "$code" 1 "$out"
	mkdir "$NEW"
	touch "$NEW/mine"
	ctl_run restore "$W/b.tar"
	assert_eq "$code" 1 "$out"
	assert_in "$out" mine
	assert_eq "$(ls "$NEW")" mine
	rm "$NEW/mine"
	ctl_run restore "$W/b.tar"
	assert_eq "$code" 0 "$out"
	ctl_run fsck
	assert_eq "$code" 0 "$out"
}

@test "for programs there is JSON, for the rest help and exit codes" {
	server_start
	content
	ctl_run --output json backup -o "$W/b.tar.gz"
	assert_eq "$code" 0 "$out"
	assert_eq "$(jq -r .state <<<"$out")" 'done'
	assert_eq "$(jq -r .file <<<"$out")" "$W/b.tar.gz"
	assert_eq "$(jq '.progress | .files == .files_total and
		.bytes == .bytes_total and .bytes > 3000000' <<<"$out")" true
	out=$("$REGISTRYCTL" --output json --data "$NEW" restore "$W/b.tar.gz" \
		2>/dev/null)
	assert_eq "$(jq -r .state <<<"$out")" 'done'
	assert_eq "$(jq -r .folder <<<"$out")" "$NEW"
	ctl_run --output json restore "$W/none.tar" --data "$W/other"
	assert_eq "$code" 1 "$out"
	ctl_run backup
	assert_eq "$code" 2 "$out"
	ctl_run backup -o "$W/b.zip"
	assert_eq "$code" 2 "$out"
	ctl_run backup -o
	assert_eq "$code" 2 "$out"
	ctl_run backup -o "$W/b.tar" more
	assert_eq "$code" 2 "$out"
	ctl_run restore
	assert_eq "$code" 2 "$out"
	ctl_run restore a b
	assert_eq "$code" 2 "$out"
	ctl_run --endpoint http://localhost backup -o "$W/b.tar"
	assert_eq "$code" 2 "$out"
	for command in backup restore; do
		ctl_run $command --help
		assert_eq "$code" 0
		assert_in "$out" 'Exit status'
	done
}
