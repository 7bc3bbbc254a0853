#!/usr/bin/env bats
# The pull through cache as registryctl sees it, and its size.
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
	need docker-registry
	[ -z "${E2E_HOST:-}" ] || skip 'needs servers of its own'
	W=$BATS_TEST_TMPDIR
	NAME=t$BATS_TEST_NUMBER/app
}

teardown() {
	proxies_stop
	servers_clean
}

# What ctl_run sets.
code='' out=''

# big_image TAG: of 1 MiB that nobody else has; sets LAYER.
big_image() {
	random_file "$W/layer" 1048576
	printf '{"architecture":"amd64","os":"linux","seed":"%s"}' \
		"$(digest_of "$W/layer")" >"$W/config"
	URL=http://$FAR blob_push "$NAME" "$W/config" || return
	URL=http://$FAR blob_push "$NAME" "$W/layer" || return
	printf '{"schemaVersion":2,"mediaType":"%s","config":%s,"layers":[%s]}' \
		"$OCI_MANIFEST" \
		"$(descriptor application/vnd.oci.image.config.v1+json \
			"$W/config")" \
		"$(descriptor application/vnd.oci.image.layer.v1.tar \
			"$W/layer")" >"$W/manifest"
	URL=http://$FAR manifest_put "$NAME" "$1" "$W/manifest"
	expect 201 || return
	LAYER=$(digest_of "$W/layer")
}

# pull_all TAG LAYER: the manifest and the layer, through here.
pull_all() {
	http GET "/v2/far/$NAME/manifests/$1" -H "Accept: $OCI_MANIFEST"
	expect 200 || return
	http GET "/v2/far/$NAME/blobs/$2"
	expect 200
}

@test "rules are added, shown, tried and removed" {
	proxy_start
	server_start
	ctl_run cache list
	assert_in "$out" 'there are no rules'
	ctl_run cache add far "http://$PROXY"
	assert_eq "$code" 0 "exit of: $out"
	ctl_run cache add far "http://$PROXY"
	assert_eq "$code" 1
	assert_in "$out" 'already exists'
	ctl_run cache list
	assert_in "$out" "http://$PROXY"
	ctl_run cache validate far
	assert_eq "$code" 0 "exit of: $out"
	assert_in "$out" 'far: works'
	proxy_stop
	ctl_run cache validate far
	assert_eq "$code" 3
	assert_in "$out" "$PROXY"
	ctl_run cache validate other
	assert_eq "$code" 1
	ctl_run cache evict
	assert_eq "$code" 1
	assert_in "$out" 'no limit'
	ctl_run cache status
	assert_eq "$code" 0
	assert_in "$out" "http://$PROXY"
	ctl cache remove far
	ctl_run cache list
	assert_in "$out" 'there are no rules'
}

# What was used in the last minutes never goes, so it has to be later.
@test "what was not pulled for longest goes when the cache is full" {
	local i layers=() tags
	need_preload
	fake_time +1h
	server_start
	ctl cache add far "http://$FAR"
	# Somebody's own image in the same repository is not the cache's.
	image_push "far/$NAME" mine
	for i in 1 2 3 4 5 6; do
		big_image "v$i"
		layers[i]=$LAYER
		pull_all "v$i" "$LAYER"
	done
	pull_all v1 "${layers[1]}"
	server_stop
	SERVER_WRAP=$FAKE_TIME REGISTRYD_CACHE_MAX_BYTES=4MiB \
		server_start --data "$DATA"
	evicted() {
		http GET /metrics
		grep -q '^registryd_cache_evicted_total 3$' "$BODY"
	}
	# By itself: 6 MiB were here, and a tenth of 4 MiB is to be free.
	wait_for 90 evicted
	http GET "/v2/far/$NAME/tags/list"
	tags=$(jq -r '.tags | join(" ")' "$BODY")
	assert_eq "$tags" 'mine v1 v5 v6'
	assert_eq "$(grep -c '"event":"cache-evict"' "$DATA/audit.log")" 3
	assert_eq "$(grep -c '"event":"cache-import"' "$DATA/audit.log")" 6
	ctl_run cache evict
	assert_eq "$code" 0 "exit of: $out"
	assert_in "$out" '0 of 3 images'
	# What went is fetched again when somebody wants it.
	pull_all v2 "${layers[2]}"
	http GET /metrics
	grep -q "^registryd_upstream_requests_total{host=\"$FAR\"}" "$BODY"
	server_stop
	"$REGISTRYCTL" --data "$DATA" fsck
}
