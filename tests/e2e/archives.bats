#!/usr/bin/env bats
# Images leave the registry in files and come back from them, and what other
# tools write is read.
load helper

setup_file() {
	[ -z "${E2E_HOST:-}" ] || skip 'needs servers of its own'
	local shared=$BATS_FILE_TMPDIR/images mk=$TOP/tests/e2e/mkimage.py
	mkdir -p "$shared"
	export IMAGES=$shared
	SMALL=$("$PYTHON" "$mk" --layers 2 "$shared/oci" small)
	OTHER=$("$PYTHON" "$mk" --layers 1 --text other "$shared/oci" other)
	INDEX=$("$PYTHON" "$mk" --archs amd64,arm64 "$shared/oci" index)
	export SMALL OTHER INDEX
	docker_start
}

teardown_file() {
	docker_stop
}

setup() {
	W=$BATS_TEST_TMPDIR
	client_home "$W/client"
	server_start
}

teardown() {
	client_gone
	servers_clean
}

ACCEPT=(-H "Accept: $OCI_MANIFEST" -H "Accept: $OCI_INDEX"
	-H "Accept: $DOCKER_MANIFEST" -H "Accept: $DOCKER_LIST")

# --- words --------------------------------------------------------------------

# push IMAGE REPOSITORY:TAG, from the prepared ones.
push() {
	skopeo copy -q --all --dest-tls-verify=false "oci:$IMAGES/oci:$1" \
		"docker://$HOST/$2"
}

served() { # REPOSITORY TAG: the digest that the server gives.
	http HEAD "/v2/$1/manifests/$2" "${ACCEPT[@]}"
	expect 200 || return
	header Docker-Content-Digest
}

ctl_ok() {
	ctl_run "$@"
	[ "$code" -eq 0 ] || fail "registryctl $*: exit $code: $out"
}

# fails CODE WORD ARGUMENT...: and says so.
fails() {
	ctl_run "${@:3}"
	assert_eq "$code" "$1" "exit of $*" || fail "$out"
	assert_in "$out" "$2"
}

# wiped: a server with nothing in it.
wiped() {
	server_stop
	server_start
}

# Nothing at all is in the registry.
nothing_stored() {
	http GET /v2/_catalog
	assert_eq "$(jq -c .repositories "$BODY")" '[]' catalog || return
	assert_eq "$(find "$DATA/blobs" "$DATA/uploads" -type f | wc -l)" 0 \
		files || return
	assert_eq "$(ctl --output json stats |
		jq .store.blobs)" 0 blobs
}

# pulled REPOSITORY TAG: by skopeo, which verifies all it gets.
pulled() {
	rm -rf "$W/pulled"
	skopeo copy -q --src-tls-verify=false "docker://$HOST/$1:$2" \
		"oci:$W/pulled:v1"
}

# --- what others write --------------------------------------------------------

@test "an oci-archive of skopeo is imported with the digest it had" {
	need skopeo
	skopeo copy -q "oci:$IMAGES/oci:small" "oci-archive:$W/a.tar:v1"
	fails 1 --repository import "$W/a.tar"
	nothing_stored
	ctl_ok import --repository team/app "$W/a.tar"
	assert_in "$out" "team/app:v1 $SMALL"
	assert_eq "$(served team/app v1)" "$SMALL"
	pulled team/app v1
}

@test "a docker-archive of skopeo is imported under its name, without its host" {
	need skopeo
	skopeo copy -q "oci:$IMAGES/oci:small" \
		"docker-archive:$W/a.tar:docker.io/team/app:v1"
	ctl_ok import "$W/a.tar"
	assert_in "$out" 'team/app:v1 sha256:'
	pulled team/app v1
	# The same again is the same.
	digest=$(served team/app v1)
	wiped
	ctl_ok import "$W/a.tar"
	assert_eq "$(served team/app v1)" "$digest"
	# The configuration, which is the image's id, is as it was.
	config=$(jq -r .config.digest \
		"$IMAGES/oci/blobs/sha256/${SMALL#sha256:}")
	http GET "/v2/team/app/manifests/v1" "${ACCEPT[@]}"
	assert_eq "$(jq -r .config.digest "$BODY")" "$config" config
}

@test "what podman saves is imported, in both formats" {
	need skopeo podman
	need_root
	skopeo copy -q "oci:$IMAGES/oci:small" \
		"docker-archive:$W/in.tar:localhost/team/app:v1"
	podman load -q -i "$W/in.tar"
	id=$(podman image inspect -f '{{.Id}}' localhost/team/app:v1)
	podman tag localhost/team/app:v1 localhost/web:2
	podman save -q -m -o "$W/docker.tar" localhost/team/app:v1 \
		localhost/web:2
	podman save -q --format oci-archive -o "$W/oci.tar" \
		localhost/team/app:v1
	ctl_ok import "$W/docker.tar"
	assert_in "$out" 'team/app:v1 '
	assert_in "$out" 'web:2 '
	ctl_ok import --repository from/oci "$W/oci.tar"
	assert_in "$out" 'from/oci:v1 '
	for image in team/app:v1 web:2; do
		podman pull -q --tls-verify=false "$HOST/$image"
		assert_eq "$(podman image inspect -f '{{.Id}}' "$HOST/$image")" \
			"$id"
	done
	podman pull -q --tls-verify=false "$HOST/from/oci:v1"
}

@test "a layout that tar has packed is read, as a folder or by its names" {
	cp -r "$IMAGES/oci" "$W/layout"
	tar -C "$W/layout" -cf "$W/a.tar" .
	tar -C "$W/layout" -czf "$W/b.tgz" blobs oci-layout index.json
	for file in a.tar b.tgz; do
		ctl_ok import --repository team/app "$W/$file"
		assert_in "$out" "team/app:small $SMALL"
		assert_eq "$(served team/app index)" "$INDEX"
		wiped
	done
}

@test "several saved images share layers" {
	need skopeo podman
	need_root
	skopeo copy -q "oci:$IMAGES/oci:small" \
		"docker-archive:$W/in.tar:localhost/one:1"
	podman load -q -i "$W/in.tar"
	for image in two three; do
		container=$(podman create localhost/one:1 /x)
		echo "$image" >"$W/$image"
		podman cp "$W/$image" "$container:/$image"
		podman commit -q "$container" "localhost/$image:1"
	done
	podman save -q -m -o "$W/a.tar" localhost/one:1 localhost/two:1 \
		localhost/three:1
	ctl_ok import "$W/a.tar"
	assert_in "$out" '3 images, '
	for image in one two three; do
		pulled "$image" 1
	done
}

@test "layers that are links, as docker saves them, are shared" {
	need skopeo
	skopeo copy -q "oci:$IMAGES/oci:small" \
		"docker-archive:$W/a.tar:team/app:v1"
	mkdir "$W/x"
	tar -C "$W/x" -xf "$W/a.tar"
	# The layers by the links of the old format.
	cd "$W/x"
	list=$(for f in */layer.tar; do
		printf '%s %s\n' "$(readlink -f "$f")" "$f"
	done)
	jq -c --arg dir "$PWD/" --arg list "$list" '
	    ($list | split("\n") | map(split(" ") | {(.[0]): .[1]}) | add) as $l
	    | .[0].Layers |= map($l[$dir + .])' manifest.json >m
	mv m manifest.json
	tar -cf "$W/b.tar" ./*
	ctl_ok import "$W/a.tar"
	digest=$(served team/app v1)
	wiped
	ctl_ok import "$W/b.tar"
	assert_eq "$(served team/app v1)" "$digest"
}

# --- what others read ---------------------------------------------------------

@test "skopeo, podman and docker read what export writes" {
	need skopeo podman
	need_root
	push small team/app:v1
	id=$(jq -r .config.digest \
		"$IMAGES/oci/blobs/sha256/${SMALL#sha256:}")
	for suffix in tar tar.gz tgz tar.zst tzst; do
		ctl_ok export team/app:v1 -o "$W/a.$suffix"
		assert_eq "$(skopeo inspect "oci-archive:$W/a.$suffix:v1" |
			jq -r .Digest)" "$SMALL"
		podman load -q -i "$W/a.$suffix"
		assert_eq "sha256:$(podman image inspect -f '{{.Id}}' \
			localhost/team/app:v1)" "$id"
		podman rmi -af >/dev/null
	done
	need_docker
	# It has no zstd for the file itself.
	for suffix in tar tar.gz; do
		docker load -q -i "$W/a.$suffix"
		assert_eq "$(docker image inspect -f '{{.Id}}' team/app:v1)" \
			"$id"
		docker rmi team/app:v1 >/dev/null
	done
}

@test "docker load takes several images and this machine's of an index" {
	need skopeo
	push index team/app:multi
	push other web:1
	push other web:latest
	ctl_ok export web team/app -o "$W/a.tar"
	need_docker
	docker load -q -i "$W/a.tar" >"$W/loaded"
	assert_in "$(cat "$W/loaded")" team/app:multi
	assert_in "$(cat "$W/loaded")" web:latest
	docker image inspect team/app:multi web:1 web:latest >/dev/null
	docker rmi -f team/app:multi web:1 web:latest >/dev/null
}

# --- there and back -----------------------------------------------------------

# fill: two repositories with an index, a signature and shared images.
fill() {
	push small team/app:v1
	push small team/app:latest
	push index team/app:multi
	push other web:1
	push small web:v1
	artifact_push team/app digest \
		"$IMAGES/oci/blobs/sha256/${SMALL#sha256:}"
	REFERRER=$DIGEST
}

# What is there, to compare.
listing() {
	local repository tag
	for repository in team/app web; do
		http GET "/v2/$repository/tags/list"
		for tag in $(jq -r '.tags[]' "$BODY"); do
			printf '%s:%s %s\n' "$repository" "$tag" \
				"$(served "$repository" "$tag")"
		done
		http GET "/v2/$repository/referrers/$SMALL"
		jq -r '.manifests[].digest' "$BODY"
	done
}

@test "exported, wiped, imported: the same digests, and the same file" {
	need skopeo
	fill
	before=$(listing)
	assert_in "$before" "$REFERRER"
	for suffix in tar tgz tar.zst; do
		ctl_ok export team/app web -o "$W/a.$suffix"
		assert_in "$out" '5 images, '
		wiped
		ctl_ok import "$W/a.$suffix"
		assert_eq "$(listing)" "$before" "what is there"
		pulled team/app multi
		ctl_ok export web team/app -o "$W/b.$suffix"
		cmp "$W/a.$suffix" "$W/b.$suffix"
		# What is there need not be moved.
		ctl_ok import "$W/a.$suffix"
		assert_in "$out" '0 blobs moved'
	done
	# A blob that several images have stands there once.
	tar -tf "$W/a.tar" | sort | uniq -d >"$W/twice"
	assert_eq "$(cat "$W/twice")" ''
}

@test "without referrers, by digest, and for one platform" {
	need skopeo
	fill
	ctl_ok export --no-referrers team/app:v1 -o "$W/plain.tar"
	ctl_ok export "team/app@$SMALL" -o "$W/digest.tar"
	ctl_ok export --platform linux/arm64 team/app:multi -o "$W/arm.tar"
	wiped
	ctl_ok import "$W/plain.tar"
	http GET "/v2/team/app/referrers/$SMALL"
	assert_eq "$(jq -c .manifests "$BODY")" '[]'
	wiped
	ctl_ok import "$W/digest.tar"
	assert_in "$out" "team/app $SMALL"
	http HEAD "/v2/team/app/manifests/$SMALL" "${ACCEPT[@]}"
	expect 200
	http GET "/v2/team/app/referrers/$SMALL"
	assert_eq "$(jq -r '.manifests[].digest' "$BODY")" "$REFERRER"
	wiped
	amd64=$(jq -r '.manifests[] | select(.platform.architecture == "amd64")
	    | .digest' "$IMAGES/oci/blobs/sha256/${INDEX#sha256:}")
	fails 1 "$amd64" import "$W/arm.tar"
	http HEAD /v2/team/app/manifests/multi "${ACCEPT[@]}"
	expect 404
	server_stop
	REGISTRYD_MANIFESTS_SPARSE=index server_start
	ctl_ok import "$W/arm.tar"
	assert_eq "$(served team/app multi)" "$INDEX"
}

@test "it works on the folder where no server runs" {
	need skopeo
	fill
	before=$(listing)
	server_stop
	ctl_ok export team/app web -o "$W/a.tar"
	old=$DATA
	server_start
	server_stop
	ctl_ok import "$W/a.tar"
	server_start --data "$DATA"
	assert_eq "$(listing)" "$before"
	[ "$old" != "$DATA" ]
}

@test "it works over the network, as who may" {
	need skopeo
	skopeo copy -q "oci:$IMAGES/oci:small" "oci-archive:$W/a.tar:v1"
	server_stop
	auth_server_start
	repository_make team/app
	code=0
	out=$("$REGISTRYCTL" --endpoint "$URL" import --repository team/app \
		"$W/a.tar" 2>&1) || code=$?
	assert_eq "$code" 0 "exit: $out"
	out=$("$REGISTRYCTL" --endpoint "$URL" export team/app \
		-o "$W/b.tar" 2>&1)
	assert_eq "$(skopeo inspect "oci-archive:$W/b.tar:v1" |
		jq -r .Digest)" "$SMALL"
	user_make reader AmazonEC2ContainerRegistryReadOnly
	as reader
	code=0
	out=$("$REGISTRYCTL" --endpoint "$URL" import --repository team/other \
		"$W/a.tar" 2>&1) || code=$?
	assert_eq "$code" 1 "exit: $out"
}

@test "two images of one name are not put over each other" {
	need skopeo
	push small a:v1
	push other b:v1
	ctl_ok export a b -o "$W/a.tar"
	wiped
	fails 1 'two different images would be all:v1' \
		import --repository all "$W/a.tar"
	nothing_stored
}

@test "standard output gets the archive and nothing else" {
	need skopeo
	push small team/app:v1
	ctl export team/app -o - >"$W/a.tar" 2>"$W/said"
	assert_in "$(cat "$W/said")" "team/app:v1 $SMALL"
	ctl_ok export team/app -o "$W/b.tar"
	cmp "$W/a.tar" "$W/b.tar"
	fails 2 'no --output json' --output json export team/app -o -
	need script
	code=0
	out=$(script -qec "'$REGISTRYCTL' --data '$DATA' export team/app -o -" \
		/dev/null </dev/null) || code=$?
	assert_eq "$code" 2
	assert_in "$out" 'not to a terminal'
}

@test "for programs there is JSON" {
	need skopeo
	push small team/app:v1
	ctl --output json export team/app -o "$W/a.tar" >"$W/json"
	assert_eq "$(jq -c '[.file, .images[0].repository, .images[0].tag,
	    .images[0].digest]' "$W/json")" \
		"[\"$W/a.tar\",\"team/app\",\"v1\",\"$SMALL\"]"
	ctl --output json import --repository x "$W/a.tar" >"$W/json"
	assert_eq "$(jq -c '[.images[0].repository, .images[0].tag,
	    .images[0].digest]' "$W/json")" "[\"x\",\"v1\",\"$SMALL\"]"
}

@test "usage is explained, and what is not there is said" {
	fails 2 'which images' export -o "$W/a.tar"
	fails 2 '-o FILE' export team/app
	fails 2 'has to end in' export team/app -o "$W/a.zip"
	fails 2 'not a repository' export "localhost:5000/x" -o "$W/a.tar"
	fails 2 'no tag' export "team/app:" -o "$W/a.tar"
	fails 2 'no digest' export "team/app@sha256:1" -o "$W/a.tar"
	fails 2 platform export --platform x team/app -o "$W/a.tar"
	fails 2 'which FILE' import
	fails 2 'one FILE' import a b
	fails 2 'name of a repository' import --repository /x a
	fails 1 'No such file' import "$W/missing.tar"
	fails 1 team/app export team/app -o "$W/a.tar"
	fails 1 team/app export team/app:v1 -o "$W/a.tar"
	[ ! -e "$W/a.tar" ]
	assert_eq "$(find "$W" -name 'a.tar*' | wc -l)" 0
}

# --- what nobody should take --------------------------------------------------

@test "hostile archives are refused with exit 1 and nothing is stored" {
	"$PYTHON" "$TOP/tests/e2e/hostile.py" "$W/hostile" >"$W/list"
	while IFS=$'\t' read -r file word; do
		fails 1 "$word" import "$file"
		assert_in "$out" "$file"
	done <"$W/list"
	[ "$(wc -l <"$W/list")" -ge 18 ]
	fails 1 'not a file' import <(cat "$W/hostile/truncated")
	nothing_stored
}

@test "an archive that is larger than memory may be is streamed" {
	need skopeo
	mk=$TOP/tests/e2e/mkimage.py
	"$PYTHON" "$mk" --compress none --layers 1 --bytes 300000000 \
		"$W/big" big >/dev/null
	skopeo copy -q "oci:$W/big:big" "oci-archive:$W/a.tar:v1"
	cat >"$W/limited.py" <<-'PY'
	import resource, subprocess, sys
	status = subprocess.run(sys.argv[2:]).returncode
	most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
	print("used %d KiB" % most)
	sys.exit(status or (1 if most > int(sys.argv[1]) else 0))
	PY
	"$PYTHON" "$W/limited.py" 100000 "$REGISTRYCTL" --data "$DATA" \
		import --repository big "$W/a.tar"
	"$PYTHON" "$W/limited.py" 100000 "$REGISTRYCTL" --data "$DATA" \
		export big -o "$W/b.tar.zst"
}
