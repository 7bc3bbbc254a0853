#!/usr/bin/env bats
# Real clients push and pull; what comes back is compared by digest.
load helper

setup_file() {
	server_start
	local shared=$BATS_FILE_TMPDIR/images mk=$TOP/tests/e2e/mkimage.py
	mkdir -p "$shared"
	export IMAGES=$shared
	SMALL=$("$PYTHON" "$mk" "$shared/oci" small)
	LAYERS=$("$PYTHON" "$mk" --layers 11 --bytes 10000000 "$shared/oci" big)
	INDEX=$("$PYTHON" "$mk" --archs amd64,arm64,s390x "$shared/oci" index)
	PLAIN=$("$PYTHON" "$mk" --compress none --text plain "$shared/oci" plain)
	export SMALL LAYERS INDEX PLAIN
	if command -v zstd >/dev/null; then
		ZSTD=$("$PYTHON" "$mk" --compress zstd --layers 2 --bytes 300000 \
			"$shared/oci" zstd)
		export ZSTD
	fi
	docker_start
	containerd_start
}

teardown_file() {
	docker_stop
	containerd_stop
	server_stop
	servers_clean
}

setup() {
	W=$BATS_TEST_TMPDIR
	REPO=c$BATS_TEST_NUMBER/app
	client_home "$W/client"
}

teardown() {
	client_gone
	servers_clean
}

ACCEPT=(-H "Accept: $OCI_MANIFEST" -H "Accept: $OCI_INDEX"
	-H "Accept: $DOCKER_MANIFEST" -H "Accept: $DOCKER_LIST")

# --- words --------------------------------------------------------------------

# push TAG REPOSITORY:TAG [OPTION...] with skopeo, from the prepared images.
push() {
	skopeo copy -q --dest-tls-verify=false "${@:3}" "oci:$IMAGES/oci:$1" \
		"docker://$HOST/$2"
}

pull() { # REPOSITORY:TAG FOLDER [OPTION...]
	skopeo copy -q --src-tls-verify=false "${@:3}" "docker://$HOST/$1" \
		"oci:$2:v1"
}

# served REPOSITORY TAG: the digest that the server gives.
served() {
	http HEAD "/v2/$1/manifests/$2" "${ACCEPT[@]}"
	expect 200
	header Docker-Content-Digest
}

# every_blob REPOSITORY REFERENCE: each blob that a manifest names, all levels
# down, is served with the content that its digest says.
every_blob() {
	local manifest child digest
	manifest=$(curl -sS "${ACCEPT[@]}" "$URL/v2/$1/manifests/$2")
	for child in $(jq -r '.manifests[]?.digest' <<<"$manifest"); do
		every_blob "$1" "$child"
	done
	for digest in $(jq -r '(.config, .layers[]?) | .digest // empty' \
	    <<<"$manifest"); do
		assert_eq "$(curl -sS "$URL/v2/$1/blobs/$digest" | sha256sum |
			cut -d ' ' -f 1)" "${digest#*:}" "blob of $1"
	done
}

same_layouts() {
	diff -r "$1/blobs" "$2/blobs" >/dev/null ||
		fail "$(diff -rq "$1/blobs" "$2/blobs")"
}

# --- skopeo -------------------------------------------------------------------

@test "skopeo: an image of 12 layers and 110 MB comes back with every digest" {
	need skopeo
	push big "$REPO:v1"
	assert_eq "$(served "$REPO" v1)" "$LAYERS"
	every_blob "$REPO" v1
	pull "$REPO:v1" "$W/back"
	assert_eq "$(jq -r '.manifests[0].digest' "$W/back/index.json")" \
		"$LAYERS"
	[ "$(du -sm "$W/back" | cut -f 1)" -ge 100 ] || fail 'too small'
}

@test "skopeo: a multi-architecture index with all its images" {
	need skopeo
	push index "$REPO:v1" --all
	assert_eq "$(served "$REPO" v1)" "$INDEX"
	every_blob "$REPO" v1
	pull "$REPO:v1" "$W/back" --all
	assert_eq "$(jq -r '.manifests[0].digest' "$W/back/index.json")" "$INDEX"
	pull "$REPO:v1" "$W/one" --override-arch arm64 --override-os linux
}

@test "skopeo: zstd, gzip and plain layers come back as they were" {
	local tag digest as_is=
	need skopeo zstd
	# Older ones compress what is not, and cannot be told otherwise.
	command skopeo copy --help | grep -q preserve-digests &&
		as_is=--preserve-digests
	for tag in zstd:$ZSTD small:$SMALL ${as_is:+plain:$PLAIN}; do
		digest=${tag#*:} tag=${tag%%:*}
		push "$tag" "$REPO:$tag" ${as_is:+"$as_is"}
		assert_eq "$(served "$REPO" "$tag")" "$digest"
		every_blob "$REPO" "$tag"
	done
	pull "$REPO:zstd" "$W/back"
	assert_eq "$(jq -r '.manifests[0].digest' "$W/back/index.json")" "$ZSTD"
}

@test "skopeo: docker schema 2 manifests and manifest lists" {
	need skopeo
	push small "$REPO:v1" --format v2s2
	http GET "/v2/$REPO/manifests/v1" -H "Accept: $DOCKER_MANIFEST"
	assert_eq "$(header Content-Type)" "$DOCKER_MANIFEST"
	push index "$REPO:list" --all --format v2s2
	http GET "/v2/$REPO/manifests/list" -H "Accept: $DOCKER_LIST"
	assert_eq "$(header Content-Type)" "$DOCKER_LIST"
	every_blob "$REPO" list
	pull "$REPO:list" "$W/back" --all
}

@test "skopeo: inspect, list-tags, delete and push again" {
	need skopeo
	push small "$REPO:v1"
	push small "$REPO:v2"
	push index "$REPO:v3"
	skopeo list-tags --tls-verify=false "docker://$HOST/$REPO" >"$W/out"
	assert_eq "$(jq -c .Tags "$W/out")" '["v1","v2","v3"]'
	skopeo inspect --tls-verify=false "docker://$HOST/$REPO:v1" >"$W/out"
	assert_eq "$(jq -r .Digest "$W/out")" "$SMALL"
	skopeo delete --tls-verify=false "docker://$HOST/$REPO:v1"
	! skopeo inspect --tls-verify=false "docker://$HOST/$REPO:v1" \
		>"$W/out" 2>&1 || fail 'still there'
	assert_in "$(cat "$W/out")" 'manifest unknown'
	push small "$REPO:v1"
	assert_eq "$(served "$REPO" v1)" "$SMALL"
	every_blob "$REPO" v1
}

@test "skopeo: from repository to repository, layers are mounted" {
	need skopeo
	push big "$REPO-a:v1"
	skopeo copy -q --src-tls-verify=false --dest-tls-verify=false \
		"docker://$HOST/$REPO-a:v1" "docker://$HOST/$REPO-b:v1"
	assert_eq "$(served "$REPO-b" v1)" "$LAYERS"
	every_blob "$REPO-b" v1
}

@test "skopeo: an artifact with a subject is copied, and referrers lists it" {
	local subject artifact
	need skopeo
	image_push "$REPO" v1
	subject=$DIGEST
	artifact_push "$REPO" sbom "$MANIFEST" application/vnd.example.sbom
	artifact=$DIGEST
	skopeo copy -q --src-tls-verify=false --dest-tls-verify=false \
		"docker://$HOST/$REPO:v1" \
		"docker://$HOST/$REPO-copy:v1"
	skopeo copy -q --src-tls-verify=false --dest-tls-verify=false \
		"docker://$HOST/$REPO@$artifact" \
		"docker://$HOST/$REPO-copy:sbom" 2>"$W/err" ||
		case $(cat "$W/err") in
		*'preparing updated manifest'*)
			skip 'this skopeo copies no artifacts' ;;
		*) fail "$(cat "$W/err")" ;;
		esac
	http GET "/v2/$REPO-copy/referrers/$subject"
	assert_eq "$(jq -r '.manifests[].digest' "$BODY")" "$artifact"
}

@test "six parallel pushes of the same layers all succeed" {
	local i pids=()
	need skopeo
	"$PYTHON" "$TOP/tests/e2e/mkimage.py" --layers 5 --bytes 3000000 \
		"$W/oci" v1 >"$W/digest"
	for i in 1 2 3 4 5 6; do
		skopeo copy -q --dest-tls-verify=false "oci:$W/oci:v1" \
			"docker://$HOST/$REPO/$((i % 3)):v$i" \
			>"$W/out.$i" 2>&1 3>&- &
		pids+=($!)
	done
	for i in 1 2 3 4 5 6; do
		wait "${pids[$((i - 1))]}" || fail "$i: $(cat "$W/out.$i")"
		assert_eq "$(served "$REPO/$((i % 3))" "v$i")" \
			"$(cat "$W/digest")"
	done
	every_blob "$REPO/0" v3
	every_blob "$REPO/1" v1
	every_blob "$REPO/2" v2
}

@test "schema 1 is refused with a message that the client shows" {
	need skopeo
	! push small "$REPO:v1" --format v2s1 >"$W/out" 2>&1 ||
		fail 'it was taken'
	grep -qi schema "$W/out" || fail "$(cat "$W/out")"
}

# --- podman and buildah -------------------------------------------------------

need_podman() {
	need podman
	tar -C "$TOP" -c Makefile |
		podman import -q - localhost/probe >"$W/info" 2>&1 ||
		skip "podman cannot work here: $(tail -n 1 "$W/info")"
	podman rmi -f localhost/probe >/dev/null
}

podman_small() {
	need skopeo
	skopeo copy -q "oci:$IMAGES/oci:small" \
		"containers-storage:[vfs@$CLIENT/store+$RUNROOT]localhost/small:latest"
}

@test "podman: push, remove, pull by tag and by digest" {
	local id
	need_podman
	podman_small
	id=$(podman image inspect -f '{{.Id}}' localhost/small)
	podman push -q --tls-verify=false localhost/small \
		"docker://$HOST/$REPO:v1"
	every_blob "$REPO" v1
	podman rmi -a -f >/dev/null
	podman pull -q --tls-verify=false "$HOST/$REPO:v1" >"$W/again"
	assert_eq "$(tail -n 1 "$W/again")" "${id#sha256:}" 'image id'
	podman rmi -a -f >/dev/null
	podman pull -q --tls-verify=false \
		"$HOST/$REPO@$(served "$REPO" v1)" >/dev/null
}

@test "podman: zstd layers" {
	need_podman
	podman_small
	podman push -q --tls-verify=false --compression-format zstd \
		localhost/small "docker://$HOST/$REPO:zstd"
	http GET "/v2/$REPO/manifests/zstd" "${ACCEPT[@]}"
	assert_in "$(cat "$BODY")" tar+zstd
	every_blob "$REPO" zstd
	podman rmi -a -f >/dev/null
	podman pull -q --tls-verify=false "$HOST/$REPO:zstd" >/dev/null
}

@test "podman: import of a file is pushed as the README says; search finds it" {
	need_podman
	tar -C "$TOP" -c Makefile | podman import -q - "$HOST/$REPO:v1"
	podman push -q --tls-verify=false "$HOST/$REPO:v1"
	every_blob "$REPO" v1
	podman search --tls-verify=false "$HOST/$REPO" >"$W/out"
	assert_in "$(cat "$W/out")" "$REPO"
	podman search --tls-verify=false --list-tags "$HOST/$REPO" >"$W/out"
	assert_in "$(cat "$W/out")" v1
}

need_buildah() {
	need buildah
	{
		buildah from --name probe scratch &&
			buildah copy -q probe "$TOP/Makefile" &&
			buildah commit -q --rm probe localhost/probe
	} >"$W/info" 2>&1 ||
		skip "buildah cannot work here: $(tail -n 1 "$W/info")"
}

@test "buildah: an image built in layers is pushed as OCI and as docker" {
	local i
	need_buildah
	mkdir "$W/context"
	printf 'FROM scratch\n' >"$W/context/Containerfile"
	for i in 1 2 3 4; do
		random_file "$W/context/f$i" 300000
		printf 'COPY f%s /f%s\n' "$i" "$i" >>"$W/context/Containerfile"
	done
	buildah bud -q --isolation chroot --layers -t localhost/built \
		"$W/context" >/dev/null
	buildah push -q --tls-verify=false --format oci localhost/built \
		"docker://$HOST/$REPO:oci"
	buildah push -q --tls-verify=false --format v2s2 localhost/built \
		"docker://$HOST/$REPO:docker"
	every_blob "$REPO" oci
	every_blob "$REPO" docker
	http GET "/v2/$REPO/manifests/oci" "${ACCEPT[@]}"
	assert_eq "$(jq '.layers | length' "$BODY")" 4
	buildah rmi -a -f >/dev/null
	buildah pull -q --tls-verify=false "$HOST/$REPO:docker" >/dev/null
}

@test "buildah: a manifest list is made and pushed, as OCI and as docker" {
	local arch container
	need_buildah
	buildah manifest create localhost/index >/dev/null
	for arch in amd64 arm64; do
		container=$(buildah from scratch)
		buildah copy -q "$container" "$TOP/Makefile" "/$arch" >/dev/null
		buildah config --os linux --arch "$arch" "$container"
		buildah commit -q "$container" "localhost/one:$arch" >/dev/null
		buildah manifest add localhost/index "localhost/one:$arch" \
			>/dev/null
	done
	buildah manifest push -q --all --tls-verify=false localhost/index \
		"docker://$HOST/$REPO:oci"
	buildah manifest push -q --all --tls-verify=false --format v2s2 \
		localhost/index "docker://$HOST/$REPO:docker"
	http GET "/v2/$REPO/manifests/oci" "${ACCEPT[@]}"
	assert_eq "$(header Content-Type)" "$OCI_INDEX"
	http GET "/v2/$REPO/manifests/docker" "${ACCEPT[@]}"
	assert_eq "$(header Content-Type)" "$DOCKER_LIST"
	every_blob "$REPO" oci
	every_blob "$REPO" docker
}

# --- docker -------------------------------------------------------------------

@test "docker: push, remove, pull" {
	local id
	need_docker
	tar -C "$TOP" -c Makefile | docker import - "$HOST/$REPO:v1" >"$W/id"
	id=$(docker image inspect -f '{{.Id}}' "$HOST/$REPO:v1")
	docker push -q "$HOST/$REPO:v1"
	every_blob "$REPO" v1
	docker rmi -f "$HOST/$REPO:v1" >/dev/null
	docker pull -q "$HOST/$REPO:v1"
	assert_eq "$(docker image inspect -f '{{.Id}}' "$HOST/$REPO:v1")" "$id" \
		'image id'
}

@test "docker: an image of many layers is built, pushed twice and pulled by digest" {
	local i digest
	need_docker
	mkdir "$W/context"
	printf 'FROM scratch\n' >"$W/context/Dockerfile"
	for i in 1 2 3 4 5 6; do
		random_file "$W/context/f$i" 2000000
		printf 'COPY f%s /f%s\n' "$i" "$i" >>"$W/context/Dockerfile"
	done
	DOCKER_BUILDKIT=0 docker build -q --network none -t "$HOST/$REPO:v1" \
		"$W/context" >/dev/null
	docker push -q "$HOST/$REPO:v1"
	docker tag "$HOST/$REPO:v1" "$HOST/$REPO:v2"
	docker push "$HOST/$REPO:v2" >"$W/out"
	assert_in "$(cat "$W/out")" 'Layer already exists'
	# The engine knows a repository on this host: it mounts.
	docker tag "$HOST/$REPO:v1" "$HOST/$REPO-2:v1"
	docker push "$HOST/$REPO-2:v1" >"$W/out"
	assert_in "$(cat "$W/out")" Mounted
	every_blob "$REPO-2" v1
	digest=$(served "$REPO" v1)
	docker rmi -f "$HOST/$REPO:v1" "$HOST/$REPO:v2" "$HOST/$REPO-2:v1" \
		>/dev/null
	docker pull -q "$HOST/$REPO@$digest" >/dev/null
}

@test "docker: what skopeo pushed, index and image alike, is pulled" {
	need_docker
	need skopeo
	push small "$REPO:v1"
	push index "$REPO:index" --all
	docker pull -q "$HOST/$REPO:v1"
	docker pull -q "$HOST/$REPO:index"
}

@test "docker: manifest create and push of a list" {
	need_docker
	need skopeo
	push small "$REPO:one" --format v2s2
	docker manifest create --insecure "$HOST/$REPO:list" \
		"$HOST/$REPO:one" >/dev/null
	docker manifest push --insecure "$HOST/$REPO:list"
	http GET "/v2/$REPO/manifests/list" -H "Accept: $DOCKER_LIST"
	expect 200
	assert_eq "$(header Content-Type)" "$DOCKER_LIST"
	docker manifest inspect --insecure "$HOST/$REPO:list" >"$W/out"
	assert_in "$(cat "$W/out")" "$(served "$REPO" one)"
}

@test "docker: a missing image is reported as such" {
	need_docker
	! docker pull "$HOST/$REPO:none" >"$W/out" 2>&1 || fail 'pulled'
	grep -qE 'not found|unknown' "$W/out" || fail "$(cat "$W/out")"
}

# --- containerd ---------------------------------------------------------------

@test "containerd: push, remove and pull of an image and of an index" {
	local tag digest
	need_ctr
	for tag in big:$LAYERS index:$INDEX; do
		digest=${tag#*:} tag=${tag%%:*}
		mkdir "$W/$tag"
		cp "$IMAGES/oci/oci-layout" "$W/$tag"
		ln -s "$IMAGES/oci/blobs" "$W/$tag/blobs"
		jq -c --arg d "$digest" '.manifests |= map(select(.digest == $d))' \
			"$IMAGES/oci/index.json" >"$W/$tag/index.json"
		tar -C "$W/$tag" -ch . >"$W/$tag.tar"
		ctr images import --all-platforms --no-unpack \
			--base-name "$HOST/$REPO" "$W/$tag.tar" >/dev/null
		ctr images push --plain-http "$HOST/$REPO:$tag" >/dev/null
		assert_eq "$(served "$REPO" "$tag")" "$digest"
		every_blob "$REPO" "$tag"
		ctr images ls -q | xargs -r \
			"$(type -P ctr)" -a "$CTR_SOCKET" -n "t$BATS_TEST_NUMBER" \
			images rm --sync >/dev/null
		ctr content ls -q | xargs -r \
			"$(type -P ctr)" -a "$CTR_SOCKET" -n "t$BATS_TEST_NUMBER" \
			content rm >/dev/null
		ctr images pull --plain-http --all-platforms \
			"$HOST/$REPO:$tag" >"$W/out" 2>&1 ||
			fail "$(tail -n 3 "$W/out")"
		assert_in "$(ctr images ls)" "$digest"
	done
}

# --- the lot ------------------------------------------------------------------

@test "after all this fsck is clean" {
	[ -z "${E2E_HOST:-}" ] || skip 'not a server of ours'
	"$REGISTRYCTL" --data "$DATA" fsck
}
