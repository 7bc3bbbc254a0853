#!/usr/bin/env bats
# Encryption at rest: what lies on the disk of repositories that are encrypted,
# and that all else goes on as it does without.
load helper
load far

setup_file() {
	type -P docker-registry >/dev/null || return 0
	far_start
}

teardown_file() {
	far_stop
}

setup() {
	[ -z "${E2E_HOST:-}" ] || skip 'needs servers of its own'
	W=$BATS_TEST_TMPDIR
	KEYS=$W/keys
	mkdir -p "$KEYS" "$W/img"
	export REGISTRYD_MASTER_KEY_FILE=$KEYS/master.key
	client_home "$W/client"
	aws_env
	# A server without users asks for none, but signing needs some.
	export KEY_ID=anybody KEY_SECRET=anything KEY_TOKEN=
	LOAD=
}

teardown() {
	[ -z "$LOAD" ] || kill "$LOAD" 2>/dev/null || true
	proxies_stop
	client_gone
	servers_clean
}

SEALED='{"encryptionType":"AES256"}'

# repository NAME [ENCRYPTION CONFIGURATION]
repository() {
	ecr CreateRepository "{\"repositoryName\":\"$1\"${2:+,
		\"encryptionConfiguration\":$2}}"
	expect 200
}

# encryption NAME: as DescribeRepositories tells it.
encryption() {
	ecr DescribeRepositories "{\"repositoryNames\":[\"$1\"]}"
	expect 200 || return
	jq -c '.repositories[0].encryptionConfiguration' "$BODY"
}

mark() {
	head -c 30 /dev/urandom | base64 -w 0 | tr -dc a-zA-Z0-9 | head -c 32
}

# image_marked REPOSITORY TAG: an image whose layer (in a file), config, small
# layer (in the database) and annotations have marks in them, and an artifact
# that refers to it.  Sets MARKS, LARGE, IMAGE (digests).
image_marked() {
	local i dir=$W/img
	MARKS=()
	for i in 0 1 2 3 4; do
		MARKS+=("$(mark)")
	done
	mkdir -p "$dir/root"
	random_file "$dir/root/noise" 300000
	printf 'a text with %s in it\n' "${MARKS[0]}" >"$dir/root/text"
	tar -C "$dir/root" --sort=name -cf "$dir/layer" text noise
	printf '{"architecture":"amd64","os":"linux","comment":"%s"}' \
		"${MARKS[1]}" >"$dir/config"
	printf 'a small layer: %s' "${MARKS[2]}" >"$dir/small"
	blob_push "$1" "$dir/config" || return
	blob_push "$1" "$dir/small" || return
	blob_push "$1" "$dir/layer" || return
	LARGE=$DIGEST
	printf '{"schemaVersion":2,"mediaType":"%s","config":%s,"layers":[%s,%s],' \
		"$OCI_MANIFEST" \
		"$(descriptor application/vnd.oci.image.config.v1+json \
			"$dir/config")" \
		"$(descriptor application/vnd.oci.image.layer.v1.tar \
			"$dir/layer")" \
		"$(descriptor application/vnd.oci.image.layer.v1.tar \
			"$dir/small")" >"$dir/manifest"
	printf '"annotations":{"note":"%s"}}' "${MARKS[3]}" >>"$dir/manifest"
	manifest_put "$1" "$2" "$dir/manifest"
	expect 201 || return
	IMAGE=$(digest_of "$dir/manifest")
	artifact_push "$1" digest "$dir/manifest" application/vnd.example.sbom \
		"${MARKS[4]}"
}

image_same() { # REPOSITORY TAG: it is what image_marked has pushed there.
	local file
	http GET "/v2/$1/manifests/$2" -H "Accept: $OCI_MANIFEST"
	expect 200 || return
	cmp "$BODY" "$W/img/manifest" || return
	for file in config small layer; do
		http GET "/v2/$1/blobs/$(digest_of "$W/img/$file")"
		expect 200 || return
		cmp "$BODY" "$W/img/$file" || return
	done
	http GET "/v2/$1/referrers/$IMAGE"
	expect 200 || return
	assert_in "$(cat "$BODY")" "${MARKS[4]}" referrers
}

# on_disk MARK [FOLDER]: is it in a file there, whatever it is called?
on_disk() {
	grep -rqaF "$1" "${2:-$DATA}"
}

nothing_on_disk() { # [FOLDER]
	local m
	for m in "${MARKS[@]}"; do
		! on_disk "$m" "${1:-$DATA}" ||
			fail "found: $(grep -rlaF "$m" "${1:-$DATA}")" || return
	done
}

all_on_disk() { # [FOLDER]
	local m
	for m in "${MARKS[@]}"; do
		on_disk "$m" "${1:-$DATA}" || fail "not found: $m" || return
	done
}

# fsck finds nothing wrong, and could look into all there is.
sound() {
	ctl_run --output json fsck
	assert_eq "$code" 0 "fsck: $out" || return
	assert_eq "$(tail -n 1 <<<"$out" | jq '.progress.locked_blobs')" 0 \
		'blobs without a key'
}

# starts_not ARGUMENT...: sets out.
starts_not() {
	code=0
	out=$(timeout 60 "$REGISTRYD" --auth none --listen 127.0.0.1:0 "$@" \
		2>&1 </dev/null) || code=$?
	[ "$code" = 1 ] || [ "$code" = 2 ] || fail "exit $code: $out"
}

# --- what lies on the disk ----------------------------------------------------

@test "nothing of an encrypted repository can be read on the disk, all of a plain one" {
	server_start
	repository e/plain
	image_marked e/plain v1
	all_on_disk
	image_same e/plain v1
	for how in "$SEALED" '{"encryptionType":"KMS"}' \
		'{"encryptionType":"KMS","kmsKey":"alias/team"}'; do
		name=e/$(mark | tr A-Z a-z)
		repository "$name" "$how"
		image_marked "$name" v1
		nothing_on_disk
		image_same "$name" v1
	done
	server_stop
	nothing_on_disk
	sound
}

@test "what a repository says of its encryption is what was asked for, and true" {
	server_start
	repository d/plain
	assert_eq "$(encryption d/plain)" null
	repository d/own "$SEALED"
	assert_eq "$(encryption d/own)" '{"encryptionType":"AES256"}'
	repository d/key '{"encryptionType":"KMS","kmsKey":"alias/team"}'
	assert_eq "$(encryption d/key)" \
		'{"encryptionType":"KMS","kmsKey":"alias/team"}'
	repository d/kms '{"encryptionType":"KMS"}'
	assert_in "$(encryption d/kms)" '"arn:aws:kms:us-east-1:000000000000:'
	ecr CreateRepository '{"repositoryName":"d/two",
		"encryptionConfiguration":{"encryptionType":"KMS_DSSE"}}'
	expect_aws InvalidParameterException KMS_DSSE
	ctl_run --output json key list
	assert_eq "$(jq -c '[.keys[] | .name, .repositories, .here]' <<<"$out")" \
		'["AES256",1,true,"kms/team",1,true,"kms/aws/ecr",1,true]'
}

@test "encryption.default: aes256 holds for repositories that do not say, pushed ones too" {
	REGISTRYD_ENCRYPTION_DEFAULT=aes256 server_start
	repository f/made
	assert_eq "$(encryption f/made)" '{"encryptionType":"AES256"}'
	image_marked f/pushed v1
	assert_eq "$(encryption f/pushed)" '{"encryptionType":"AES256"}'
	nothing_on_disk
	image_same f/pushed v1
	server_stop
	# Without it what was made stays as it is, and new ones are plain.
	server_start --data "$DATA"
	assert_eq "$(encryption f/pushed)" '{"encryptionType":"AES256"}'
	image_same f/pushed v1
	image_marked f/plain v1
	assert_eq "$(encryption f/plain)" null
	all_on_disk
}

@test "a creation template decides what a push makes" {
	server_start
	ecr CreateRepositoryCreationTemplate '{"prefix":"t","appliedFor":
		["CREATE_ON_PUSH"],"encryptionConfiguration":{"encryptionType":
		"KMS","kmsKey":
		"arn:aws:kms:us-east-1:000000000000:key/abc-1"}}'
	expect 200
	image_marked t/app v1
	assert_eq "$(encryption t/app)" '{"encryptionType":"KMS","kmsKey":"arn:aws:kms:us-east-1:000000000000:key/abc-1"}'
	nothing_on_disk
	image_same t/app v1
}

@test "after a restart an upload is kept as the repository will be that its push makes" {
	local mark sealed plain
	server_start
	ecr CreateRepositoryCreationTemplate '{"prefix":"later","appliedFor":
		["CREATE_ON_PUSH"],"encryptionConfiguration":{"encryptionType":
		"KMS","kmsKey":
		"arn:aws:kms:us-east-1:000000000000:key/later"}}'
	expect 200
	mark=$(mark)
	random_file "$W/noise" 300000
	{ cat "$W/noise"; echo "$mark"; cat "$W/noise"; } >"$W/all"
	http POST /v2/later/app/blobs/uploads/
	sealed=$(header Location)
	http POST /v2/other/app/blobs/uploads/
	plain=$(header Location)
	# Sessions are written down a moment later.
	sleep 2
	server_kill
	server_start --data "$DATA"
	http PATCH "$plain" --data-binary "@$W/noise"
	expect 202
	upload_put "$(header Location)" "$(digest_of "$W/noise")"
	expect 201
	assert_eq "$(encryption other/app)" null
	# Nobody has needed a key yet, and so there is none.
	ctl_run --output json key list
	assert_eq "$(jq -c .keys <<<"$out")" '[]'
	http PATCH "$sealed" --data-binary "@$W/all"
	expect 202
	! on_disk "$mark" || fail "in $(grep -rlaF "$mark" "$DATA")"
	upload_put "$(header Location)" "$(digest_of "$W/all")"
	expect 201
	! on_disk "$mark" || fail "in $(grep -rlaF "$mark" "$DATA")"
	ctl_run --output json key list
	assert_eq "$(jq -c '[.keys[].name]' <<<"$out")" '["kms/later"]'
}

@test "an unfinished upload lies encrypted, and goes on after kill -9" {
	local location mark
	server_start
	repository u/plain
	repository u/app "$SEALED"
	mark=$(mark)
	random_file "$W/noise" 700000
	{ head -c 100000 "$W/noise"; echo "$mark"; cat "$W/noise"; } >"$W/first"
	random_file "$W/second" 500001
	cat "$W/first" "$W/second" >"$W/all"
	http POST /v2/u/plain/blobs/uploads/
	http PATCH "$(header Location)" --data-binary "@$W/first"
	expect 202
	on_disk "$mark" || fail 'not even of a plain one'
	http DELETE "$(header Location)"
	expect 204
	http POST /v2/u/app/blobs/uploads/
	http PATCH "$(header Location)" --data-binary "@$W/first"
	expect 202
	location=$(header Location)
	! on_disk "$mark" || fail "in $(grep -rlaF "$mark" "$DATA")"
	# Sessions are written down a moment later.
	sleep 2
	server_kill
	! on_disk "$mark" || fail "in $(grep -rlaF "$mark" "$DATA")"
	server_start --data "$DATA"
	http GET "$location"
	expect 204
	assert_eq "$(header Range)" "0-$(($(size_of "$W/first") - 1))"
	http PATCH "$location" --data-binary "@$W/second" \
		-H "Content-Range: $(size_of "$W/first")-$(($(size_of "$W/all") - 1))"
	expect 202
	upload_put "$(header Location)" "$(digest_of "$W/all")"
	expect 201
	http GET "/v2/u/app/blobs/$(digest_of "$W/all")"
	cmp "$BODY" "$W/all"
	! on_disk "$mark" || fail "in $(grep -rlaF "$mark" "$DATA")"
	sound
}

# --- clients ------------------------------------------------------------------

@test "skopeo and podman push and pull; ranges are those of the content" {
	local from to n
	need skopeo
	server_start
	repository c/app "$SEALED"
	"$PYTHON" "$TOP/tests/e2e/mkimage.py" --layers 2 "$W/oci" one >/dev/null
	skopeo copy -q --dest-tls-verify=false "oci:$W/oci:one" \
		"docker://$HOST/c/app:v1"
	skopeo copy -q --src-tls-verify=false "docker://$HOST/c/app:v1" \
		"oci:$W/back:one"
	diff -r "$W/oci/blobs" "$W/back/blobs"
	if type -P podman >/dev/null; then
		podman pull -q --tls-verify=false "$HOST/c/app:v1" ||
			fail 'podman pull'
		podman push -q --tls-verify=false "$HOST/c/app:v1" \
			"$HOST/c/app:v2" || fail 'podman push'
		http GET /v2/c/app/tags/list
		assert_eq "$(jq -c '.tags | sort' "$BODY")" '["v1","v2"]'
	fi
	random_file "$W/blob" 400000
	blob_push c/app "$W/blob"
	while read -r from to; do
		http GET "/v2/c/app/blobs/$DIGEST" -H "Range: bytes=$from-$to"
		expect 206
		n=$((to - from + 1))
		tail -c "+$((from + 1))" "$W/blob" | head -c "$n" |
			cmp - "$BODY" || fail "range $from-$to"
	done <<-RANGES
	0 0
	65535 65536
	65536 131071
	131000 399999
	399999 399999
	RANGES
	http GET "/v2/c/app/blobs/$DIGEST" -H 'Range: bytes=-100'
	expect 206
	tail -c 100 "$W/blob" | cmp - "$BODY"
	http GET "/v2/c/app/blobs/$DIGEST" -H 'Range: bytes=400000-'
	expect 416
}

@test "content is mounted under the same key, and not across" {
	server_start
	repository m/one "$SEALED"
	repository m/two "$SEALED"
	repository m/key '{"encryptionType":"KMS","kmsKey":"team"}'
	repository m/plain
	random_file "$W/blob" 200000
	blob_push m/one "$W/blob"
	for to in m/plain m/key; do
		http POST "/v2/$to/blobs/uploads/?mount=$DIGEST&from=m/one"
		expect 202
		http HEAD "/v2/$to/blobs/$DIGEST"
		expect 404
	done
	http POST "/v2/m/two/blobs/uploads/?mount=$DIGEST&from=m/one"
	expect 201
	http GET "/v2/m/two/blobs/$DIGEST"
	cmp "$BODY" "$W/blob"
	# One copy for each key that it is kept under.
	blob_push m/plain "$W/blob"
	blob_push m/key "$W/blob"
	blob_push m/two "$W/blob"
	assert_eq "$(find "$DATA/blobs" -type f | wc -l)" 3 'files'
	http DELETE "/v2/m/plain/blobs/$DIGEST"
	expect 202
	http GET "/v2/m/two/blobs/$DIGEST"
	cmp "$BODY" "$W/blob"
	sound
}

# --- maintenance --------------------------------------------------------------

@test "the archive keeps it encrypted, and gives it back" {
	export REGISTRYD_ARCHIVE_DIR=$W/slow REGISTRYD_GC_GRACE=3s
	class() {
		ecr UpdateImageStorageClass "{\"repositoryName\":\"a/app\",
			\"imageId\":{\"imageDigest\":\"$IMAGE\"},
			\"targetStorageClass\":\"$1\"}"
		expect 200
	}
	moved() {
		ctl gc >/dev/null && [ "$(find "$DATA/blobs" -type f |
			grep -c "${LARGE#*:}")" = 0 ]
	}
	back() {
		ecr DescribeImages "{\"repositoryName\":\"a/app\",
			\"imageIds\":[{\"imageDigest\":\"$IMAGE\"}]}"
		[ "$(jq -r '.imageDetails[0].imageStatus' "$BODY")" = ACTIVE ]
	}
	server_start
	repository a/app "$SEALED"
	image_marked a/app v1
	class ARCHIVE
	wait_for 60 moved || fail "$(ctl gc)"
	[ "$(find "$W/slow" -type f | wc -l)" -gt 0 ] || fail 'nothing there'
	nothing_on_disk "$W/slow"
	nothing_on_disk
	ctl_run fsck
	assert_eq "$code" 0 "fsck: $out"
	class STANDARD
	wait_for 60 back || fail "$(cat "$BODY")"
	image_same a/app v1
	nothing_on_disk
	ctl_run fsck
	assert_eq "$code" 0 "fsck: $out"
}

# The file of LARGE.
large_file() {
	find "$DATA/blobs" -type f -name "${LARGE#*:}"
}

@test "an altered, cut, extended or swapped file is found, and never served" {
	local file first
	server_start
	repository x/app "$SEALED"
	image_marked x/app v1
	first=$LARGE
	random_file "$W/other" "$(size_of "$W/img/layer")"
	blob_push x/app "$W/other"
	file=$(large_file)
	cp "$file" "$W/good"
	damage() {
		cp "$W/good" "$file"
		"$@"
		http GET "/v2/x/app/blobs/$LARGE"
		! cmp -s "$BODY" "$W/img/layer" || fail "served: $*" || return
		# What came before is right.
		cmp "$BODY" <(head -c "$(size_of "$BODY")" "$W/img/layer") ||
			[ "$STATUS" != 200 ] || fail "wrong bytes: $*" || return
		ctl_run fsck
		assert_eq "$code" 3 "fsck after $*: $out" || return
		assert_in "$out" "${LARGE#*:}"
	}
	alter() {
		printf 'x' | dd of="$file" bs=1 seek="$1" conv=notrunc status=none
	}
	swap_frames() {
		dd if="$W/good" of="$file" bs=1 skip=256 seek=65820 count=65564 \
			conv=notrunc status=none
	}
	damage alter 20
	damage alter 100000
	damage truncate -s -70000 "$file"
	damage truncate -s -1 "$file"
	damage truncate -s +1000 "$file"
	damage swap_frames
	damage cp "$(find "$DATA/blobs" -type f -name "${DIGEST#*:}")" "$file"
	cp "$W/good" "$file"
	ctl_run fsck
	assert_eq "$code" 0 "fsck of the good one: $out"
	# Set aside it is healed by a push.
	alter 100000
	ctl_run fsck --repair
	assert_eq "$code" 3 "fsck --repair: $out"
	http GET "/v2/x/app/blobs/$LARGE"
	expect 404
	blob_push x/app "$W/img/layer"
	image_same x/app v1
	sound
	assert_eq "$LARGE" "$first"
}

@test "export gives what was pushed, import into an encrypted repository encrypts" {
	server_start
	repository i/app "$SEALED"
	repository i/new "$SEALED"
	image_marked i/app v1
	ctl_run export -o "$W/images.tar" i/app:v1
	assert_eq "$code" 0 "export: $out"
	grep -qaF "${MARKS[0]}" "$W/images.tar" || fail 'exported encrypted'
	ctl_run import --repository i/new "$W/images.tar"
	assert_eq "$code" 0 "import: $out"
	image_same i/new v1
	nothing_on_disk
	server_stop
	# Where no server runs.
	ctl_run export -o "$W/again.tar" i/app:v1
	assert_eq "$code" 0 "export: $out"
	cmp "$W/images.tar" "$W/again.tar"
	ctl_run import --repository i/new "$W/again.tar"
	assert_eq "$code" 0 "import: $out"
	nothing_on_disk
	REGISTRYD_MASTER_KEY_FILE=$W/nowhere ctl_run export -o "$W/no.tar" i/app:v1
	assert_eq "$code" 1 'exit without the key'
	assert_in "$out" "$W/nowhere"
	ctl_run export --master-key-file "$KEYS/master.key" -o "$W/again.tar" \
		i/app:v1
	assert_eq "$code" 0 "export: $out"
}

@test "a backup is encrypted as the repository is, and restored with the key kept" {
	server_start
	repository b/app "$SEALED"
	image_marked b/app v1
	ctl_run backup -o "$W/one.tar"
	assert_eq "$code" 0 "backup: $out"
	! grep -qaF "${MARKS[0]}" "$W/one.tar" || fail 'content in the backup'
	! grep -qaF "$(grep -v '^#' "$KEYS/master.key")" "$W/one.tar" ||
		fail 'the key in the backup'
	server_stop
	ctl_run backup -o "$W/two.tar"
	assert_eq "$code" 0 "backup of the folder: $out"
	for one in one two; do
		DATA=$W/$one
		ctl_run restore "$W/$one.tar"
		assert_eq "$code" 0 "restore: $out"
		nothing_on_disk
		sound
		server_start --data "$DATA"
		image_same b/app v1
		server_stop
	done
	# A file that is damaged is not backed up.
	printf x | dd of="$(large_file)" bs=1 seek=100000 conv=notrunc status=none
	ctl_run backup -o "$W/three.tar"
	assert_eq "$code" 1 'exit of the backup of a damaged folder'
	assert_in "$out" "${LARGE#*:}"
}

files_are() { # NUMBER
	[ "$(find "$DATA/blobs" -type f -name "${LARGE#*:}" | wc -l)" = "$1" ]
}

@test "what the cache fetches for an encrypted repository lies encrypted" {
	need docker-registry
	proxy_start
	server_start
	ecr CreateRepositoryCreationTemplate '{"prefix":"far","appliedFor":
		["PULL_THROUGH_CACHE"],
		"encryptionConfiguration":{"encryptionType":"AES256"}}'
	expect 200
	ecr CreatePullThroughCacheRule "{\"ecrRepositoryPrefix\":\"far\",
		\"upstreamRegistryUrl\":\"http://$PROXY\"}"
	expect 200
	ecr CreatePullThroughCacheRule "{\"ecrRepositoryPrefix\":\"near\",
		\"upstreamRegistryUrl\":\"http://$PROXY\"}"
	expect 200
	(URL=http://$FAR image_marked up/app v1 && declare -p MARKS LARGE IMAGE) \
		>"$W/marks"
	eval "$(sed -n 's/^declare -[-a]* /declare -g /p' "$W/marks" |
		sed 's/^declare -g MARKS/declare -ga MARKS/')"
	# The layer is sent on while it comes.
	http GET /v2/far/up/app/manifests/v1 -H "Accept: $OCI_MANIFEST"
	expect 200
	http GET "/v2/far/up/app/blobs/$LARGE"
	expect 200
	cmp "$BODY" "$W/img/layer"
	for file in config small; do
		http GET "/v2/far/up/app/blobs/$(digest_of "$W/img/$file")"
		expect 200
	done
	assert_eq "$(encryption far/up/app)" '{"encryptionType":"AES256"}'
	nothing_on_disk
	# The same into a plain one, which has a copy of its own.
	http GET /v2/near/up/app/manifests/v1 -H "Accept: $OCI_MANIFEST"
	expect 200
	http GET "/v2/near/up/app/blobs/$LARGE"
	expect 200
	cmp "$BODY" "$W/img/layer"
	on_disk "${MARKS[0]}" || fail 'the plain one is not'
	# A client has all of it before it has its place.
	wait_for 30 files_are 2
	ctl_run fsck
	assert_eq "$code" 0 "fsck: $out"
}

# --- keys ---------------------------------------------------------------------

# Pulls and pushes until it is killed; what fails stands in $W/failed.
load_run() {
	local n=0 digest=$LARGE
	while :; do
		n=$((n + 1))
		http GET "/v2/k/app/blobs/$digest"
		cmp -s "$BODY" "$W/img/layer" ||
			echo "pull $n: $STATUS" >>"$W/failed"
		printf 'push %s %s' "$n" "$(mark)" >"$W/load.blob"
		random_file "$W/load.noise" 150000
		cat "$W/load.noise" >>"$W/load.blob"
		blob_push k/app "$W/load.blob" >/dev/null 2>&1 ||
			echo "push $n: $STATUS" >>"$W/failed"
		cp "$W/load.blob" "$W/pushed/$(digest_of "$W/load.blob")"
		repository "k/new$n" \
			"{\"encryptionType\":\"KMS\",\"kmsKey\":\"k$n\"}" ||
			echo "create $n: $STATUS" >>"$W/failed"
		image_push "k/new$n" v1 "text $n" >/dev/null 2>&1 ||
			echo "image $n: $STATUS" >>"$W/failed"
		echo "$n" >"$W/loaded"
	done
}

all_readable() {
	local file n
	image_same k/app v1 || return
	for file in "$W"/pushed/*; do
		http GET "/v2/k/app/blobs/${file##*/}"
		expect 200 || return
		cmp "$BODY" "$file" || return
	done
	for ((n = 1; n <= $(cat "$W/loaded"); n++)); do
		http GET "/v2/k/new$n/manifests/v1" -H "Accept: $OCI_MANIFEST"
		expect 200 || return
	done
}

@test "the master key is replaced under load: nothing fails, all stays readable" {
	local before i at
	server_start
	repository k/app "$SEALED"
	repository k/key '{"encryptionType":"KMS","kmsKey":"alias/team"}'
	image_marked k/app v1
	mkdir "$W/pushed"
	cp "$KEYS/master.key" "$W/old"
	(
		BATS_TEST_TMPDIR=$W/load
		mkdir -p "$BATS_TEST_TMPDIR"
		load_run
	) >"$W/load.log" 2>&1 3>&- &
	LOAD=$!
	wait_for 60 test -s "$W/loaded"
	for i in 1 2 3 4; do
		before=$(cat "$KEYS/master.key")
		ctl_run key rotate-master
		assert_eq "$code" 0 "rotate-master: $out"
		[ "$(cat "$KEYS/master.key")" != "$before" ] || fail 'the same'
		assert_eq "$(grep -vc '^#' "$KEYS/master.key")" 1 'keys left'
		at=$(cat "$W/loaded")
		on() {
			[ "$(cat "$W/loaded")" -gt "$at" ]
		}
		wait_for 60 on || fail "the load stopped: $(tail "$W/load.log")"
	done
	kill "$LOAD"
	wait "$LOAD" 2>/dev/null || true
	LOAD=
	[ ! -e "$W/failed" ] || fail "$(cat "$W/failed")"
	all_readable
	server_stop
	server_start --data "$DATA"
	all_readable
	server_stop
	# And where no server runs.
	ctl_run key rotate-master
	assert_eq "$code" 0 "rotate-master: $out"
	sound
	server_start --data "$DATA"
	all_readable
	server_stop
	# The old one opens nothing any more.
	cp "$W/old" "$KEYS/master.key"
	starts_not --data "$DATA"
}

@test "without its master key, or with another, the server does not start and says what is lost" {
	server_start
	repository l/plain
	repository l/app "$SEALED"
	repository l/key '{"encryptionType":"KMS","kmsKey":"alias/team"}'
	image_marked l/plain v1
	image_marked l/app v1
	server_stop
	mv "$KEYS/master.key" "$W/kept"
	starts_not --data "$DATA"
	for part in "$KEYS/master.key" AES256 kms/team missing-keys 'put the'; do
		assert_in "$out" "$part"
	done
	[ ! -e "$KEYS/master.key" ] || fail 'a new one was made'
	printf '%064d\n' 7 >"$KEYS/master.key"
	chmod 600 "$KEYS/master.key"
	starts_not --data "$DATA"
	for part in "$KEYS/master.key" AES256 kms/team; do
		assert_in "$out" "$part"
	done
	# Nothing was made worse by it.
	cp "$W/kept" "$KEYS/master.key"
	server_start --data "$DATA"
	image_same l/app v1
	sound
}

@test "missing-keys: serve serves the rest, and says of each request what it lacks" {
	server_start
	repository s/plain
	repository s/app '{"encryptionType":"KMS","kmsKey":"alias/team"}'
	image_marked s/app v1
	server_stop
	mv "$KEYS/master.key" "$W/kept"
	export REGISTRYD_ENCRYPTION_MISSING_KEYS=serve
	server_start --data "$DATA"
	grep -q 'kms/team' "$SERVER_LOG" || fail 'nothing said'
	http GET "/v2/s/app/blobs/$LARGE"
	expect 500 UNKNOWN
	expect_names s/app
	expect_names team
	http GET /v2/s/app/manifests/v1 -H "Accept: $OCI_MANIFEST"
	expect 500 UNKNOWN
	http POST /v2/s/app/blobs/uploads/
	http PATCH "$(header Location)" --data-binary "@$W/img/layer"
	expect 500 UNKNOWN
	http POST /v2/s/app/blobs/uploads/
	upload_put "$(header Location)" "$(digest_of "$W/img/small")" \
		"$W/img/small"
	expect 500 UNKNOWN
	ecr BatchGetImage '{"repositoryName":"s/app","imageIds":[{"imageTag":"v1"}]}'
	expect 200
	assert_eq "$(jq -r '.failures[0].failureCode' "$BODY")" KmsError
	ecr PutImage "$(jq -cn --rawfile m "$W/img/manifest" \
		'{repositoryName: "s/app", imageTag: "v2", imageManifest: $m}')"
	expect_aws KmsException s/app
	[ -n "$(jq -r '.kmsError // empty' "$BODY")" ] || fail "$(cat "$BODY")"
	ecr CreateRepository '{"repositoryName":"s/new",
		"encryptionConfiguration":{"encryptionType":"AES256"}}'
	expect_aws KmsException
	ctl_run --output json key list
	assert_eq "$(jq -c '[.keys[].here]' <<<"$out")" '[false]'
	ctl_run fsck
	assert_eq "$code" 0 "fsck: $out"
	assert_in "$out" 'not verified'
	# All else works.
	image_push s/plain v1
	http GET /v2/s/plain/manifests/v1 -H "Accept: $OCI_MANIFEST"
	expect 200
	encryption s/app
	server_stop
	cp "$W/kept" "$KEYS/master.key"
	server_start --data "$DATA"
	image_same s/app v1
	server_stop
	rm "$KEYS/master.key"
	server_start --data "$DATA"
	ecr DeleteRepository '{"repositoryName":"s/app","force":true}'
	expect 200
	ctl gc >/dev/null
}

@test "missing-keys: serve makes no keys under a wrong master key" {
	local before
	server_start
	repository n/app "$SEALED"
	image_marked n/app v1
	server_stop
	mv "$KEYS/master.key" "$W/kept"
	tr 0-9a-f 1-9a-f0 <"$W/kept" >"$KEYS/master.key"
	chmod 600 "$KEYS/master.key"
	before=$(sha256sum "$KEYS/master.key")
	REGISTRYD_ENCRYPTION_MISSING_KEYS=serve server_start --data "$DATA"
	for how in "$SEALED" '{"encryptionType":"KMS","kmsKey":"new"}'; do
		ecr CreateRepository "{\"repositoryName\":\"n/new\",
			\"encryptionConfiguration\":$how}"
		expect_aws KmsException n/new
	done
	repository n/plain
	ecr StartImageScan '{"repositoryName":"n/app","imageId":{"imageTag":"v1"}}'
	expect 200
	failed() {
		ecr DescribeImageScanFindings \
			'{"repositoryName":"n/app","imageId":{"imageTag":"v1"}}'
		[ "$(jq -r .imageScanStatus.status "$BODY")" = FAILED ]
	}
	wait_for 60 failed
	assert_in "$(jq -r .imageScanStatus.description "$BODY")" 'key'
	ctl_run --output json key list
	assert_eq "$(jq -c '[.keys[].name]' <<<"$out")" '["AES256"]'
	server_stop
	assert_eq "$(sha256sum "$KEYS/master.key")" "$before"
	# With the right one nothing is missing.
	cp "$W/kept" "$KEYS/master.key"
	server_start --data "$DATA"
	image_same n/app v1
}

@test "with users: one master key for their secrets and the content, replaced at once" {
	auth_server_start
	ecr CreateRepository '{"repositoryName":"w/app",
		"encryptionConfiguration":{"encryptionType":"AES256"}}'
	expect 200
	login admin
	image_marked w/app v1
	nothing_on_disk
	ctl_run key rotate-master
	assert_eq "$code" 0 "$out"
	secret_note "$(grep -v '^#' "$KEYS/master.key" | head -n 1)"
	assert_in "$out" 'wrapped 3 keys'
	image_same w/app v1
	server_stop
	server_start --auth token --data "$DATA"
	login admin
	image_same w/app v1
	server_stop
	mv "$KEYS/master.key" "$W/kept"
	code=0
	out=$(timeout 60 "$REGISTRYD" --auth token --listen 127.0.0.1:0 \
		--data "$DATA" 2>&1 </dev/null) || code=$?
	[ "$code" != 0 ] || fail 'it started'
	assert_in "$out" AES256
	# That would not help: users have secrets under it.
	assert_eq "${out/missing-keys/}" "$out" 'what is advised'
	[ ! -e "$KEYS/master.key" ] || fail 'a new one was made'
}

@test "a master key in the data folder together with encrypted content is warned of" {
	unset REGISTRYD_MASTER_KEY_FILE
	server_start
	! grep -qiE 'warn.*master' "$SERVER_LOG" || fail 'without anything'
	repository v/app "$SEALED"
	server_stop
	server_start --data "$DATA"
	grep -iE 'warn.*master.key' "$SERVER_LOG" || fail "$(cat "$SERVER_LOG")"
}
