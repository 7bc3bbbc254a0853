#!/usr/bin/env bats
# The folder: checks, counts, damage, full and read-only filesystems.
load helper

setup() {
	W=$BATS_TEST_TMPDIR
	MOUNTED=
}

teardown() {
	servers_clean
	[ -z "$MOUNTED" ] || umount -l "$MOUNTED"
}

# ctl ARGUMENT...: sets code, out (both streams).
ctl() {
	code=0
	out=$("$REGISTRYCTL" --data "$DATA" "$@" 2>&1 </dev/null) || code=$?
}

fsck_clean() {
	ctl fsck
	assert_eq "$code" 0 "exit of fsck: $out"
}

# A few images, a large blob, an artifact, an unfinished upload.
content() {
	image_push s/one v1
	image_push s/two v1
	artifact_push s/one digest "$W/image/manifest"
	random_file "$W/large" 700000
	blob_push s/one "$W/large"
	LARGE=$DIGEST
	http POST /v2/s/one/blobs/uploads/
	http PATCH "$(header Location)" --data-binary hello
}

blob_file() { # DIGEST
	find "$DATA/blobs" -name "${1#*:}" -type f
}

@test "fsck is clean after pushes, on the running server and on the stopped folder" {
	server_start
	content
	fsck_clean
	server_stop
	fsck_clean
}

@test "fsck and stats say what they counted, as text and as JSON" {
	server_start
	content
	ctl stats
	assert_eq "$code" 0
	assert_in "$out" manifests
	ctl --output json stats
	assert_eq "$code" 0
	jq -e '[.. | numbers] | length > 5' <<<"$out" >/dev/null || fail "$out"
	assert_eq "$(jq '.. | .repositories? // empty' <<<"$out")" 2
	assert_eq "$(jq '.. | .tags? // empty' <<<"$out")" 2
	assert_eq "$(jq '.. | .manifests? // empty' <<<"$out")" 3
	local running=$out
	ctl --output json fsck
	assert_eq "$code" 0
	jq -e . <<<"$out" >/dev/null || fail "$out"
	server_stop
	ctl --output json stats
	assert_eq "$code" 0
	assert_eq "$(jq -c '[.. | .repositories?, .tags?, .manifests? |
		numbers]' <<<"$out")" "$(jq -c '[.. | .repositories?, .tags?,
		.manifests? | numbers]' <<<"$running")" 'counts when stopped'
}

@test "fsck finds a damaged blob with exit 3, --repair quarantines it, a push heals it" {
	local file how
	server_start
	content
	for how in running stopped; do
		[ "$how" = running ] || server_stop
		file=$(blob_file "$LARGE")
		[ -n "$file" ] || fail 'the large blob is in no file'
		chmod u+w "$file"
		printf 'X' | dd of="$file" bs=1 seek=1000 conv=notrunc 2>/dev/null
		ctl fsck
		assert_eq "$code" 3 "exit of fsck: $out"
		assert_in "$out" "${LARGE#*:}"
		ctl fsck --repair
		assert_eq "$code" 3 "exit of fsck --repair: $out"
		[ -z "$(blob_file "$LARGE")" ] || fail 'still in service'
		find "$DATA/quarantine" -type f | grep -q "${LARGE#*:}" ||
			fail 'not in quarantine'
		fsck_clean
		[ "$how" = running ] || server_start --data "$DATA"
		http GET "/v2/s/one/blobs/$LARGE"
		expect 404 BLOB_UNKNOWN
		blob_push s/one "$W/large"
		http GET "/v2/s/one/blobs/$LARGE"
		expect 200
		cmp "$BODY" "$W/large"
		fsck_clean
	done
	server_stop
}

@test "a blob file that vanished or was cut short is not served, and a push heals it" {
	local file
	server_start
	content
	file=$(blob_file "$LARGE")
	rm -f "$file"
	http HEAD "/v2/s/one/blobs/$LARGE"
	expect 404
	ctl fsck
	assert_eq "$code" 3
	blob_push s/one "$W/large"
	http GET "/v2/s/one/blobs/$LARGE"
	expect 200
	cmp "$BODY" "$W/large"
	chmod u+w "$file"
	truncate -s 1000 "$file"
	http HEAD "/v2/s/one/blobs/$LARGE"
	expect 404
	blob_push s/one "$W/large"
	http GET "/v2/s/one/blobs/$LARGE"
	expect 200
	cmp "$BODY" "$W/large"
	fsck_clean
	server_stop
}

@test "content is stored once, whatever the number of repositories" {
	local i
	server_start
	random_file "$W/large" 700000
	for i in 1 2 3 4; do
		blob_push "s/$i" "$W/large"
	done
	assert_eq "$(find "$DATA/blobs" -type f -size +600k | wc -l)" 1
	server_stop
}

@test "small content lies in the database, as storage.inline-bytes says" {
	REGISTRYD_STORAGE_INLINE_BYTES=1KiB server_start
	random_file "$W/small" 1000
	random_file "$W/large" 2000
	blob_push s/a "$W/small"
	[ -z "$(blob_file "$DIGEST")" ] || fail 'the small one has a file'
	blob_push s/a "$W/large"
	[ -n "$(blob_file "$DIGEST")" ] || fail 'the large one has none'
	server_stop
}

@test "everything is there after a restart" {
	server_start
	content
	server_stop
	server_start --data "$DATA"
	http GET /v2/s/one/manifests/v1
	expect 200
	http GET "/v2/s/one/blobs/$LARGE"
	expect 200
	cmp "$BODY" "$W/large"
	http GET /v2/_catalog
	assert_eq "$(jq -c .repositories "$BODY")" '["s/one","s/two"]'
	server_stop
}

@test "an unfinished upload expires after upload.lifetime and leaves nothing" {
	local location
	# Enough to send something in time.
	REGISTRYD_UPLOAD_LIFETIME=5s server_start
	random_file "$W/b" 500000
	http POST /v2/s/a/blobs/uploads/
	location=$(header Location)
	http PATCH "$location" -H Expect: --data-binary "@$W/b"
	expect 202
	gone() {
		http GET "$location"
		[ "$STATUS" = 404 ]
	}
	wait_for 60 gone || fail "still $STATUS"
	scratch_gone() {
		[ -z "$(find "$DATA/uploads" -type f)" ]
	}
	wait_for 90 scratch_gone || fail "$(find "$DATA/uploads" -type f)"
	fsck_clean
	server_stop
}

@test "more unfinished uploads than limits.upload-sessions are refused with 503" {
	local i
	REGISTRYD_LIMITS_UPLOAD_SESSIONS=3 server_start
	for i in 1 2 3; do
		http POST /v2/s/a/blobs/uploads/
		expect 202
	done
	http POST /v2/s/a/blobs/uploads/
	[ "$STATUS" = 503 ] || [ "$STATUS" = 429 ] || fail "$STATUS"
	jq -e '.errors[0].code' "$BODY" >/dev/null
	server_stop
}

# --- filesystems --------------------------------------------------------------

tmpfs() { # SIZE
	need_root
	mkdir -p "$W/mnt"
	mount -t tmpfs -o "size=$1,mode=700" tmpfs "$W/mnt" 2>/dev/null ||
		skip 'tmpfs cannot be mounted here'
	MOUNTED=$W/mnt
}

@test "a full disk: 507, the server lives, nothing half-written stays, a push after freeing works" {
	local location i status
	tmpfs 96m
	REGISTRYD_STORAGE_RESERVE=8MiB server_start --data "$W/mnt/data"
	DATA=$W/mnt/data
	image_push s/a before
	random_file "$W/b" 30000000
	for i in 1 2 3 4 5; do
		printf '%s' "$i" >>"$W/b"
		http POST /v2/s/a/blobs/uploads/
		[ "$STATUS" = 202 ] || break
		location=$(header Location)
		http PATCH "$location" -H Expect: --data-binary "@$W/b"
		# curl sends on and does not hear the answer, if it is unlucky.
		[ "$STATUS" != 000 ] || continue
		[ "$STATUS" = 202 ] || break
		upload_put "$location" "$(digest_of "$W/b")"
		[ "$STATUS" = 201 ] || break
	done
	expect 507
	jq -e '.errors[0].code and .errors[0].message' "$BODY" >/dev/null ||
		fail "$(cat "$BODY")"
	http GET /v2/s/a/manifests/before
	expect 200
	http GET /healthz
	expect 200
	fsck_clean
	# Room again: what was refused is taken.
	http DELETE "$location" || true
	rm -f "$(find "$DATA/blobs" -type f | head -n 1)"
	printf x >>"$W/b"
	later() {
		blob_push s/a "$W/b"
	}
	wait_for 30 later || fail "$STATUS"
	http GET "/v2/s/a/blobs/$DIGEST"
	cmp "$BODY" "$W/b"
	server_stop
}

@test "a disk that is filled by others to the last byte does no lasting harm" {
	tmpfs 64m
	REGISTRYD_STORAGE_RESERVE=1MiB server_start --data "$W/mnt/data"
	DATA=$W/mnt/data
	image_push s/a before
	dd if=/dev/zero of="$W/mnt/filler" bs=64k 2>/dev/null || true
	random_file "$W/b" 300000
	http POST /v2/s/a/blobs/uploads/
	if [ "$STATUS" = 202 ]; then
		upload_put "$(header Location)" "$(digest_of "$W/b")" "$W/b"
	fi
	[ "$STATUS" = 507 ] || [ "$STATUS" = 503 ] || fail "blob: $STATUS"
	printf '{"schemaVersion":2,"mediaType":"%s","manifests":[]}' \
		"$OCI_INDEX" >"$W/i"
	manifest_put s/a full "$W/i" "$OCI_INDEX"
	[ "$STATUS" = 507 ] || [ "$STATUS" = 503 ] || [ "$STATUS" = 201 ] ||
		fail "manifest: $STATUS"
	http GET /v2/s/a/manifests/before
	expect 200
	rm -f "$W/mnt/filler"
	later() {
		image_push s/a after
	}
	wait_for 30 later || fail "$STATUS"
	http GET /v2/s/a/manifests/after
	expect 200
	fsck_clean
	server_stop
}

# ext4 on a loop device that turns read-only at an error, and the file in /sys
# that makes it meet one.
sick_ext4() {
	local device
	need_root
	need mkfs.ext4 losetup
	mkdir -p "$W/mnt"
	truncate -s 200M "$W/disk"
	mkfs.ext4 -q -F "$W/disk"
	mount -o loop,errors=remount-ro "$W/disk" "$W/mnt" 2>/dev/null ||
		skip 'no loop device to be had'
	MOUNTED=$W/mnt
	device=$(losetup -j "$W/disk" | cut -d : -f 1)
	TRIGGER=/sys/fs/ext4/${device##*/}/trigger_fs_error
	[ -w "$TRIGGER" ] || skip 'ext4 cannot be told to fail here'
}

@test "a filesystem that turns read-only: pushes fail with 5xx, pulls go on, all is there later" {
	sick_ext4
	server_start --data "$W/mnt/data"
	DATA=$W/mnt/data
	image_push s/a v1
	echo test >"$TRIGGER"
	! touch "$W/mnt/probe" 2>/dev/null || fail 'still writable'
	random_file "$W/b" 300000
	http POST /v2/s/a/blobs/uploads/
	if [ "$STATUS" = 202 ]; then
		upload_put "$(header Location)" "$(digest_of "$W/b")" "$W/b"
	fi
	[ "$STATUS" -ge 500 ] || fail "blob: $STATUS"
	jq -e '.errors[0].code' "$BODY" >/dev/null || fail "$(cat "$BODY")"
	printf '{"schemaVersion":2,"mediaType":"%s","manifests":[]}' \
		"$OCI_INDEX" >"$W/i"
	manifest_put s/a v2 "$W/i" "$OCI_INDEX"
	[ "$STATUS" -ge 500 ] || fail "manifest: $STATUS"
	http GET /v2/s/a/manifests/v1
	expect 200
	http GET "/v2/s/a/blobs/$LAYER_DIGEST"
	expect 200
	server_stop
	umount "$W/mnt"
	fsck.ext4 -p -f "$W/disk" >/dev/null 2>&1 || true
	mount -o loop "$W/disk" "$W/mnt"
	server_start --data "$W/mnt/data"
	DATA=$W/mnt/data
	http GET /v2/s/a/manifests/v1
	expect 200
	image_push s/a v2
	fsck_clean
	server_stop
}

@test "a folder on a read-only filesystem is a clear error at start" {
	local status=0
	tmpfs 16m
	mount -o remount,ro "$W/mnt"
	timeout 60 "$REGISTRYD" --data "$W/mnt/data" --listen 127.0.0.1:0 \
		--auth none >"$W/out" 2>&1 </dev/null || status=$?
	assert_eq "$status" 1
	assert_in "$(cat "$W/out")" "$W/mnt/data"
	grep -qi 'read-only' "$W/out" || fail "$(cat "$W/out")"
}

@test "stats and fsck work on a folder that may only be read" {
	need_root
	server_start
	content
	server_stop
	mkdir -p "$W/ro"
	mount --bind "$DATA" "$W/ro" 2>/dev/null || skip 'cannot bind-mount'
	MOUNTED=$W/ro
	mount -o remount,ro,bind "$W/ro"
	DATA=$W/ro
	ctl stats
	assert_eq "$code" 0 "$out"
	ctl fsck
	assert_eq "$code" 0 "$out"
}

@test "the map grows when the database outgrows it" {
	local i
	REGISTRYD_STORAGE_MAP_SIZE=16MiB REGISTRYD_STORAGE_INLINE_BYTES=1MiB \
		server_start
	for i in $(seq 30); do
		random_file "$W/b" 1000000
		blob_push s/a "$W/b"
	done
	http GET "/v2/s/a/blobs/$DIGEST"
	cmp "$BODY" "$W/b"
	fsck_clean
	server_stop
}

@test "too few descriptors: requests fail with 5xx or wait, and the server lives" {
	local i held
	need prlimit
	server_start
	image_push s/a v1
	random_file "$W/b" 700000
	blob_push s/a "$W/b"
	# Behind its back: a few more than it holds now.
	held=$(find "/proc/$SERVER_PID/fd" | wc -l)
	prlimit --pid "$SERVER_PID" --nofile="$((held + 8)):$((held + 8))"
	for i in $(seq 60); do
		curl -sS -o /dev/null -w '%{http_code}\n' --max-time 60 \
			"$URL/v2/s/a/blobs/$DIGEST" >"$W/code.$i" 2>/dev/null \
			3>&- &
	done
	# shellcheck disable=SC2046
	wait $(jobs -p | grep -v "^$SERVER_PID\$") || true
	! cat "$W"/code.* | grep -vqE '^(200|503|000)$' ||
		fail "$(sort "$W"/code.* | uniq -c)"
	cat "$W"/code.* | grep -q 200 || fail 'none was served'
	# As soon as the last of them has been let go of.
	served() {
		http GET /v2/s/a/manifests/v1
		[ "$STATUS" = 200 ]
	}
	wait_for 30 served || fail "$STATUS"
	server_stop
}

@test "sample folders of every released format still open" {
	local sample n=0
	for sample in "$TOP"/tests/samples/*; do
		[ -d "$sample" ] || continue
		rm -rf "$W/copy"
		cp -r "$sample" "$W/copy"
		# Of those that have one; a checkout does not keep its mode.
		[ ! -f "$W/copy/master.key" ] || chmod 600 "$W/copy/master.key"
		server_start --data "$W/copy"
		DATA=$W/copy
		http GET /v2/_catalog
		expect 200
		[ "$(jq '.repositories | length' "$BODY")" -gt 0 ] ||
			fail "$sample: empty"
		fsck_clean
		server_stop
		n=$((n + 1))
	done
	[ "$n" -gt 0 ] || skip 'no format has been released yet'
}

@test "on a disk without a free byte images can be deleted, and their room comes back" {
	local i
	tmpfs 64m
	REGISTRYD_STORAGE_RESERVE=1MiB REGISTRYD_GC_GRACE=2s \
		server_start --data "$W/mnt/data"
	DATA=$W/mnt/data
	for i in $(seq 1 20); do
		random_file "$W/b" 500000
		blob_push s/a "$W/b"
		printf '{"schemaVersion":2,"mediaType":"%s","config":%s,"layers":[]}' \
			"$OCI_MANIFEST" "$(descriptor "$OCI_EMPTY" "$W/b")" \
			>"$W/m$i"
		manifest_put s/a "t$i" "$W/m$i"
		expect 201
	done
	[ -f "$DATA/ballast" ] || fail 'no ballast'
	dd if=/dev/zero of="$W/mnt/filler" bs=64k 2>/dev/null || true
	dd if=/dev/zero of="$W/mnt/filler" bs=1 oflag=append conv=notrunc \
		count=65536 2>/dev/null || true
	assert_eq "$(($(df --output=avail "$W/mnt" | tail -n 1)))" 0 'free blocks'
	for i in $(seq 1 20); do
		http DELETE "/v2/s/a/manifests/$(digest_of "$W/m$i")"
		expect 202
	done
	back() {
		ctl gc
		[ "$(($(df --output=avail -k "$W/mnt" | tail -n 1)))" -gt 9000 ]
	}
	wait_for 60 back || fail "$out"
	rm "$W/mnt/filler"
	again() {
		ctl gc
		[ -f "$DATA/ballast" ]
	}
	wait_for 60 again || fail 'no ballast again'
	fsck_clean
	server_stop
	fsck_clean
}
