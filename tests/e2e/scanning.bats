#!/usr/bin/env bats
# Scans: images made of Debian and Alpine packages on the spot, scanned when
# they come, and read with AWS's own tools; advisories that come later; layers
# that mean no good.
load helper

setup() {
	[ -z "${E2E_HOST:-}" ] || skip 'needs servers of its own'
	W=$BATS_TEST_TMPDIR
	aws_find
	aws_env
	# A server without users asks for none, but AWS's tools have to.
	export AWS_ACCESS_KEY_ID=anybody AWS_SECRET_ACCESS_KEY=anything
	export KEY_ID=anybody KEY_SECRET=anything KEY_TOKEN=
	client_home "$W/client"
	LAYERS=()
}

teardown() {
	client_gone
	servers_clean
}

# --- what is in images --------------------------------------------------------

os_release() { # ROOT ID VERSION NAME [CODENAME]
	mkdir -p "$1/etc"
	printf 'ID=%s\nVERSION_ID="%s"\nPRETTY_NAME="%s"\n' "$2" "$3" "$4" \
		>"$1/etc/os-release"
	[ -z "${5:-}" ] || echo "VERSION_CODENAME=$5" >>"$1/etc/os-release"
}

# deb NAME VERSION [SOURCE]: a package file, as dpkg-deb makes it.
deb() {
	local dir=$W/deb/$1
	rm -rf "$dir"
	mkdir -p "$dir/DEBIAN" "$dir/usr/share/doc/$1"
	printf 'Package: %s\nVersion: %s\nArchitecture: all\n' "$1" "$2" \
		>"$dir/DEBIAN/control"
	[ -z "${3:-}" ] || echo "Source: $3" >>"$dir/DEBIAN/control"
	printf 'Maintainer: Nobody <nobody@example.com>\n' \
		>>"$dir/DEBIAN/control"
	printf 'Description: made for a test\n' >>"$dir/DEBIAN/control"
	echo "of $1" >"$dir/usr/share/doc/$1/README"
	dpkg-deb --root-owner-group -b "$dir" "$W/deb/$1.deb" >/dev/null
}

# debian ROOT DEB...: installed by dpkg itself.
debian() {
	local root=$1
	shift
	mkdir -p "$root"/var/lib/dpkg/{info,updates} "$root/bin"
	[ ! -e /bin/busybox ] || cp /bin/busybox "$root/bin/busybox"
	[ -e "$root/var/lib/dpkg/status" ] || : >"$root/var/lib/dpkg/status"
	dpkg --root="$root" --force-all --log="$W/dpkg.log" -i "$@" \
		>"$W/dpkg.out" 2>&1 || fail "$(cat "$W/dpkg.out")"
}

# debian_image TAG NAME VERSION [SOURCE]: a layer of an image with a base and
# that package; sets LAYERS.
debian_image() {
	local root=$W/root-$1
	need dpkg dpkg-deb
	need_root
	os_release "$root" debian 12 'Debian GNU/Linux 12 (bookworm)' bookworm
	deb base-thing 1.0-1
	deb "$2" "$3" "${4:-}"
	debian "$root" "$W/deb/base-thing.deb" "$W/deb/$2.deb"
	layer "$root" "$W/$1.tar.gz"
	LAYERS=("$W/$1.tar.gz")
}

# apk ROOT NAME VERSION [ORIGIN]: a record of the database, as apk writes it.
apk() {
	mkdir -p "$1/lib/apk/db" "$1/etc/apk"
	printf 'C:Q1%s\nP:%s\nV:%s\nA:x86_64\nS:1000\nI:4096\n' \
		"$(head -c 20 /dev/zero | base64)" "$2" "$3" \
		>>"$1/lib/apk/db/installed"
	printf 'T:made for a test\nU:https://example.com\nL:MIT\no:%s\n' \
		"${4:-$2}" >>"$1/lib/apk/db/installed"
	printf 'm:Nobody <nobody@example.com>\nt:1700000000\nc:0000\n' \
		>>"$1/lib/apk/db/installed"
	printf 'F:usr/bin\nR:%s\na:0:0:755\nZ:Q1aaaa=\n\n' "$2" \
		>>"$1/lib/apk/db/installed"
}

layer() { # ROOT FILE
	case $2 in
	*.gz) tar -C "$1" --sort=name --owner=0 --group=0 -czf "$2" . ;;
	*.zst) tar -C "$1" --sort=name --owner=0 --group=0 -cf - . |
		zstd -q -f -o "$2" ;;
	*) tar -C "$1" --sort=name --owner=0 --group=0 -cf "$2" . ;;
	esac
}

layer_type() {
	case $1 in
	*.gz) echo application/vnd.oci.image.layer.v1.tar+gzip ;;
	*.zst) echo application/vnd.oci.image.layer.v1.tar+zstd ;;
	*) echo application/vnd.oci.image.layer.v1.tar ;;
	esac
}

# manifest_make FILE: an image of ${LAYERS[@]}, with its config beside it.
manifest_make() {
	local file list=
	for file in "${LAYERS[@]}"; do
		list+=,$(descriptor "$(layer_type "$file")" "$file")
	done
	printf '{"architecture":"amd64","os":"linux","comment":"%s","rootfs":' \
		"${list//\"/}" >"$1.config"
	printf '{"type":"layers","diff_ids":[]}}' >>"$1.config"
	printf '{"schemaVersion":2,"mediaType":"%s","config":%s,"layers":[%s]}' \
		"$OCI_MANIFEST" \
		"$(descriptor application/vnd.oci.image.config.v1+json \
			"$1.config")" "${list#,}" >"$1"
	DIGEST=$(digest_of "$1")
}

# push REPOSITORY TAG: an image of ${LAYERS[@]}; sets DIGEST.
push() {
	local file m=$W/manifest
	manifest_make "$m"
	for file in "$m.config" "${LAYERS[@]}"; do
		blob_push "$1" "$file" || return
	done
	manifest_put "$1" "$2" "$m"
	expect 201 || return
	DIGEST=$(digest_of "$m")
}

# skopeo_push REPOSITORY TAG: the same by skopeo, from a layout.
skopeo_push() {
	local dir=$W/layout file m=$W/manifest
	rm -rf "$dir"
	mkdir -p "$dir/blobs/sha256"
	manifest_make "$m"
	for file in "$m" "$m.config" "${LAYERS[@]}"; do
		cp "$file" "$dir/blobs/sha256/$(digest_of "$file" |
			cut -d : -f 2)"
	done
	echo '{"imageLayoutVersion":"1.0.0"}' >"$dir/oci-layout"
	descriptor "$OCI_MANIFEST" "$m" | jq -c '{schemaVersion: 2, manifests:
		[. + {annotations: {"org.opencontainers.image.ref.name": "x"}}]}' \
		>"$dir/index.json"
	skopeo copy -q --dest-tls-verify=false --dest-creds u:p "oci:$dir:x" \
		"docker://$HOST/$1:$2"
	DIGEST=$(digest_of "$m")
}

# --- advisories ---------------------------------------------------------------

# debian_advisories FILE SOURCE CVE FIXED [URGENCY]: as the security tracker has
# them; FIXED "": not yet.
debian_advisories() {
	local status=resolved
	[ -n "$4" ] || status=open
	jq -n --arg p "$2" --arg c "$3" --arg s "$status" --arg f "$4" \
		--arg u "${5:-high}" '{($p): {($c): {description: "a hole",
		scope: "local", releases: {bookworm: ({status: $s,
		repositories: {bookworm: "0"}, urgency: $u} +
		if $f == "" then {} else {fixed_version: $f} end)}}}}' >"$1"
}

import() { # FILE [OPTION...]
	ctl advisories import "$@" >"$W/import" 2>&1 ||
		fail "import: $(cat "$W/import")"
}

# --- what became of it --------------------------------------------------------

repository() { # NAME [MEMBERS]
	ecr CreateRepository "{\"repositoryName\":\"$1\"${2:+,$2}}"
	expect 200
}

on_push='"imageScanningConfiguration":{"scanOnPush":true}'

scan_of() { # REPOSITORY TAG: the status, "-" without a scan
	ctl --output json scan status "$1:$2" 2>/dev/null | jq -r .status
}

ended() {
	case $(scan_of "$1" "$2") in
	complete | failed | unsupported) ;;
	*) return 1 ;;
	esac
}

# scanned REPOSITORY TAG STATUS [PART OF THE REASON]
scanned() {
	wait_for 120 ended "$1" "$2" || fail "no end: $(ctl scan status "$1:$2")"
	ctl --output json scan findings "$1:$2" >"$W/scan" || true
	assert_eq "$(jq -r .status "$W/scan")" "$3" "scan of $1:$2" ||
		fail "$(cat "$W/scan")"
	[ -z "${4:-}" ] || assert_in "$(jq -r .why "$W/scan")" "$4" reason
}

# found [CVE:PACKAGE...]: in the last scan that was looked at.
found() {
	assert_eq "$(jq -r '[.findings[]? | .name + ":" + (.attributes[] |
		select(.key == "package_name") | .value)] | sort | join(" ")' \
		"$W/scan")" "$*" findings
}

figure() { # NAME: of /metrics
	http GET /metrics
	sed -n "s/^$1 //p" "$BODY"
}

# figure_is NAME VALUE
figure_is() {
	[ "$(figure "$1")" = "$2" ]
}

# --- the whole way, with the AWS CLI ------------------------------------------

cli_way() { # GENERATION
	local n=$1
	need_aws "$n"
	need skopeo
	server_start
	debian_advisories "$W/adv.json" hole-src CVE-2024-1111 1.2-3 high
	import "$W/adv.json"
	cli "$n" ecr create-repository --repository-name team/app \
		--image-scanning-configuration scanOnPush=true >"$W/out"
	debian_image one hole 1.2-2 hole-src
	skopeo_push team/app v1
	cli "$n" ecr wait image-scan-complete --repository-name team/app \
		--image-id imageTag=v1
	cli "$n" ecr describe-image-scan-findings --repository-name team/app \
		--image-id imageTag=v1 >"$W/out"
	assert_eq "$(jq -r .imageScanStatus.status "$W/out")" COMPLETE
	assert_eq "$(jq -c .imageScanFindings.findingSeverityCounts "$W/out")" \
		'{"HIGH":1}'
	assert_eq "$(jq -r '.imageScanFindings.findings[0] |
		.name + " " + .severity + " " + .uri' "$W/out")" \
		'CVE-2024-1111 HIGH https://security-tracker.debian.org/tracker/CVE-2024-1111'
	assert_eq "$(jq -c '[.imageScanFindings.findings[0].attributes[] |
		{(.key): .value}] | add' "$W/out")" \
		'{"package_version":"1.2-2","package_name":"hole","fixed_version":"1.2-3"}'
	cli "$n" ecr describe-images --repository-name team/app >"$W/out"
	assert_eq "$(jq -c '.imageDetails[0] | [.imageScanStatus.status,
		.imageScanFindingsSummary.findingSeverityCounts.HIGH]' \
		"$W/out")" '["COMPLETE",1]'
	# A corrected image is clean.
	debian_image two hole 1.2-3 hole-src
	skopeo_push team/app v2
	cli "$n" ecr wait image-scan-complete --repository-name team/app \
		--image-id imageTag=v2
	cli "$n" ecr describe-image-scan-findings --repository-name team/app \
		--image-id imageTag=v2 >"$W/out"
	assert_eq "$(jq -c '.imageScanFindings | [.findingSeverityCounts,
		.findings]' "$W/out")" '[{},[]]'
	# One may ask for it once a day.
	cli_fails "$n" LimitExceededException ecr start-image-scan \
		--repository-name team/app --image-id imageTag=v2
}

@test "scanned on push: findings with AWS CLI 1, and a corrected image" {
	cli_way 1
}

@test "scanned on push: findings with AWS CLI 2, and a corrected image" {
	cli_way 2
}

# --- what is found ------------------------------------------------------------

@test "Alpine's packages, by its own rules for versions" {
	server_start
	printf '{"distroversion":"v3.18","reponame":"main","packages":[{"pkg":' \
		>"$W/secdb.json"
	printf '{"name":"hole","secfixes":{"1.2.3-r10":["CVE-2024-2"]}}},' \
		>>"$W/secdb.json"
	printf '{"pkg":{"name":"other","secfixes":{"2.0-r0":["CVE-2024-3"]}}}]}' \
		>>"$W/secdb.json"
	import "$W/secdb.json"
	repository alp "$on_push"
	os_release "$W/root" alpine 3.18.4 'Alpine Linux v3.18'
	apk "$W/root" hole-libs 1.2.3-r9 hole
	apk "$W/root" other 2.0_rc1-r5
	layer "$W/root" "$W/alp.tar"
	LAYERS=("$W/alp.tar")
	push alp v1
	scanned alp v1 complete
	found CVE-2024-2:hole-libs CVE-2024-3:other
	rm "$W/root/lib/apk/db/installed"
	apk "$W/root" hole-libs 1.2.3-r10 hole
	apk "$W/root" other 2.0-r0
	layer "$W/root" "$W/alp2.tar.gz"
	LAYERS=("$W/alp2.tar.gz")
	push alp v2
	scanned alp v2 complete
	found
}

# osv FILE ID ECOSYSTEM PACKAGE FIXED
osv() {
	jq -n --arg i "$2" --arg e "$3" --arg p "$4" --arg f "$5" '{id: $i,
		modified: "2024-01-01T00:00:00Z", summary: "a hole",
		database_specific: {severity: "HIGH"}, affected: [{package:
		{ecosystem: $e, name: $p}, ranges: [{type: (if $e == "npm"
		then "SEMVER" else "ECOSYSTEM" end), events:
		[{introduced: "0"}, {fixed: $f}]}]}]}' >"$1"
}

@test "packages of languages, and what later layers take away" {
	local root
	server_start
	debian_image base base-thing 1.0-1
	osv "$W/npm.json" GHSA-aaaa npm left-hole 1.3.0
	osv "$W/pypi.json" PYSEC-1 PyPI py-hole 2.0
	debian_advisories "$W/adv.json" base-thing CVE-2024-4 2.0-1 low
	import "$W/npm.json"
	import "$W/pypi.json"
	import "$W/adv.json"
	repository lang "$on_push"
	root=$W/lang
	mkdir -p "$root/app" \
		"$root/usr/local/lib/python3.11/site-packages/py_hole-1.9.dist-info"
	printf '{"name":"app","lockfileVersion":3,"packages":{"":{"name":"app"},' \
		>"$root/app/package-lock.json"
	printf '"node_modules/left-hole":{"version":"1.2.9"}}}' \
		>>"$root/app/package-lock.json"
	printf 'Metadata-Version: 2.1\nName: py-hole\nVersion: 1.9\n\nwords\n' \
		>"$root/usr/local/lib/python3.11/site-packages/py_hole-1.9.dist-info/METADATA"
	layer "$root" "$W/lang.tar.gz"
	LAYERS+=("$W/lang.tar.gz")
	push lang all
	scanned lang all complete
	found CVE-2024-4:base-thing GHSA-aaaa:left-hole PYSEC-1:py-hole
	# A whiteout, and a folder that hides what was in it.
	root=$W/less
	mkdir -p "$root/app" "$root/usr/local/lib/python3.11/site-packages"
	: >"$root/app/.wh.package-lock.json"
	: >"$root/usr/local/lib/python3.11/site-packages/.wh..wh..opq"
	layer "$root" "$W/less.tar.zst"
	LAYERS+=("$W/less.tar.zst")
	push lang less
	scanned lang less complete
	found CVE-2024-4:base-thing
}

@test "what cannot be scanned says so" {
	server_start
	repository odd "$on_push"
	mkdir -p "$W/root/bin"
	echo text >"$W/root/bin/text"
	layer "$W/root" "$W/root.tar.gz"
	LAYERS=("$W/root.tar.gz")
	push odd bare
	scanned odd bare unsupported 'no packages were found'
	ecr DescribeImageScanFindings \
		'{"repositoryName":"odd","imageId":{"imageTag":"bare"}}'
	expect 200
	assert_eq "$(jq -r .imageScanStatus.status "$BODY")" UNSUPPORTED_IMAGE
	server_stop
	server_start --data "$DATA" --config <(echo 'scan: {jobs: 0}')
	ctl scan start odd:bare >/dev/null
	scanned odd bare failed 'scan.jobs is 0'
}

@test "a layer that is damaged on the disk is not looked at as if it were whole" {
	local root=$W/root hash
	server_start
	debian_advisories "$W/adv.json" hole CVE-2024-12 1.2-3
	import "$W/adv.json"
	repository app
	os_release "$root" debian 12 'Debian GNU/Linux 12 (bookworm)' bookworm
	mkdir -p "$root/var/lib/dpkg"
	printf 'Package: hole\nStatus: install ok installed\nVersion: 1.2-2\n' \
		>"$root/var/lib/dpkg/status"
	head -c 300000 /dev/urandom >"$root/zz"
	layer "$root" "$W/root.tar"
	LAYERS=("$W/root.tar")
	push app v1
	hash=$(digest_of "$W/root.tar" | cut -d : -f 2)
	sed -i 's/Version: 1.2-2/Version: 1.2-3/' \
		"$DATA/blobs/sha256/${hash:0:2}/$hash"
	ctl scan start app:v1 >/dev/null
	scanned app v1 failed 'its content is damaged here'
	# What is whole again is read again.
	sed -i 's/Version: 1.2-3/Version: 1.2-2/' \
		"$DATA/blobs/sha256/${hash:0:2}/$hash"
	ctl scan start app:v1 >/dev/null
	wait_for 60 is_now app v1 complete 1 || fail "$(cat "$W/scan")"
}

# --- advisories that come later -----------------------------------------------

# is_now REPOSITORY TAG STATUS N: that many findings
is_now() {
	ctl --output json scan findings "$1:$2" >"$W/scan" || true
	[ "$(jq -r '.status + " " + (.findings | length | tostring)' \
		"$W/scan")" = "$3 $4" ]
}

@test "an import re-scans what it concerns, and reads no layer again" {
	server_start
	repository app "$on_push"
	debian_image one hole 1.2-2
	push app v1
	scanned app v1 failed 'no advisories for debian:bookworm'
	# What is installed is known all the same.
	assert_eq "$(ctl --output json scan packages app:v1 |
		jq -r '.packages | map(.name) | join(" ")')" 'base-thing hole'
	figure_is registryd_scan_layers_total 1 || fail 'layers read'
	debian_advisories "$W/adv.json" hole CVE-2024-5 1.2-3
	import "$W/adv.json"
	wait_for 60 is_now app v1 complete 1 || fail "$(cat "$W/scan")"
	# The next import of the source says otherwise.
	debian_advisories "$W/adv.json" hole CVE-2024-5 1.2-1
	import "$W/adv.json"
	wait_for 60 is_now app v1 complete 0 || fail "$(cat "$W/scan")"
	figure_is registryd_scan_layers_total 1 || fail 'a layer was read again'
	# While the server is away.
	server_stop
	debian_advisories "$W/adv.json" hole CVE-2024-6 ''
	import "$W/adv.json"
	server_start --data "$DATA"
	wait_for 60 is_now app v1 complete 1 || fail "$(cat "$W/scan")"
	found CVE-2024-6:hole
	figure_is registryd_scan_layers_total 0 || fail 'a layer was read again'
	# And without the source there are none to look at.
	ctl advisories remove debian >/dev/null
	wait_for 60 is_now app v1 failed 0 || fail "$(cat "$W/scan")"
	server_stop
	"$REGISTRYCTL" --data "$DATA" fsck >"$W/fsck" 2>&1 ||
		fail "fsck: $(cat "$W/fsck")"
}

# --- what is scanned without asking -------------------------------------------

rules() { # FILTER
	ecr PutRegistryScanningConfiguration "{\"scanType\":\"BASIC\",\"rules\":
		[{\"scanFrequency\":\"SCAN_ON_PUSH\",\"repositoryFilters\":
		[{\"filter\":\"$1\",\"filterType\":\"WILDCARD\"}]}]}"
	expect 200
}

@test "the registry's rules say what is scanned, however it comes" {
	local far far_log far_data
	need skopeo
	server_start
	debian_image one hole 1.2-2
	push here/app v1
	far=$HOST far_data=$DATA
	server_start
	debian_advisories "$W/adv.json" hole CVE-2024-7 1.2-3
	import "$W/adv.json"
	rules 'prod*'
	push dev/app v1
	push prod/app v1
	scanned prod/app v1 complete
	found CVE-2024-7:hole
	assert_eq "$(scan_of dev/app v1)" none
	# Copied from another registry.
	ctl copy "http://$far/here/app:v1" prod/copy:v1 >/dev/null
	scanned prod/copy v1 complete
	found CVE-2024-7:hole
	# Mirrored.
	ctl mirror add m "http://$far/here/app" prod/mirror --interval 0 \
		>/dev/null
	ctl mirror run m >/dev/null
	scanned prod/mirror v1 complete
	# Through the cache: first the manifest, and then, when somebody pulls
	# them, the layers.
	ctl cache add prod/cache "http://$far" >/dev/null
	http GET /v2/prod/cache/here/app/manifests/v1 \
		-H "Accept: $OCI_MANIFEST"
	expect 200
	sleep 1
	assert_eq "$(scan_of prod/cache/here/app v1)" 'in progress'
	skopeo copy -q --src-tls-verify=false \
		"docker://$HOST/prod/cache/here/app:v1" "oci:$W/pulled:v1"
	scanned prod/cache/here/app v1 complete
	found CVE-2024-7:hole
	# All of these have the same layer, which was read once.
	figure_is registryd_scan_layers_total 1 ||
		fail "layers read: $(figure registryd_scan_layers_total)"
}

# --- documents ----------------------------------------------------------------

@test "the package list as CycloneDX and SPDX, attached to its image" {
	server_start
	debian_advisories "$W/adv.json" hole CVE-2024-8 1.2-3
	import "$W/adv.json"
	repository app "$on_push"
	debian_image one hole 1.2-2 hole-src
	push app v1
	scanned app v1 complete
	ctl scan sbom app:v1 -o "$W/bom.json"
	assert_eq "$(jq -r '[.bomFormat, .specVersion] | join(" ")' \
		"$W/bom.json")" 'CycloneDX 1.5'
	assert_eq "$(jq -r '[.components[] | select(.type == "library") |
		.name] | sort | join(" ")' "$W/bom.json")" 'base-thing hole'
	assert_in "$(jq -r '[.components[].purl] | join(" ")' "$W/bom.json")" \
		'pkg:deb/debian/hole@1.2-2?'
	ctl scan sbom app:v1 --format spdx >"$W/spdx.json"
	assert_eq "$(jq -r .spdxVersion "$W/spdx.json")" SPDX-2.3
	ctl scan sbom app:v1 --attach >"$W/out"
	ctl scan sbom app:v1 --attach >"$W/again"
	cmp "$W/out" "$W/again"
	# What is known of packages changes nothing of what they are.
	debian_advisories "$W/adv.json" hole CVE-2024-8 1.2-1
	import "$W/adv.json"
	wait_for 60 is_now app v1 complete 0 || fail "$(cat "$W/scan")"
	ctl scan sbom app:v1 --attach >"$W/again"
	cmp "$W/out" "$W/again"
	ctl scan sbom app:v1 --format spdx --attach >/dev/null
	http GET "/v2/app/referrers/$DIGEST"
	expect 200
	assert_eq "$(jq -r '[.manifests[].artifactType] | sort | join(" ")' \
		"$BODY")" 'application/spdx+json application/vnd.cyclonedx+json'
	http GET "/v2/app/referrers/$DIGEST?artifactType=application%2Fvnd.cyclonedx%2Bjson"
	assert_eq "$(jq -r '.manifests[0].digest' "$BODY")" \
		"$(sed 's/.*@//' "$W/out")"
	http GET "/v2/app/manifests/$(jq -r '.manifests[0].digest' "$BODY")"
	http GET "/v2/app/blobs/$(jq -r '.layers[0].digest' "$BODY")"
	cmp "$BODY" "$W/bom.json"
}

# --- sealed -------------------------------------------------------------------

@test "encrypted repositories are scanned, and nothing of it lies in the clear" {
	server_start
	debian_advisories "$W/adv.json" hole-nobody-sees CVE-2024-9 1.2-3
	import "$W/adv.json"
	repository sealed/app \
		"$on_push"',"encryptionConfiguration":{"encryptionType":"AES256"}'
	debian_image one hole-nobody-sees 1.2-2+of.the.image
	push sealed/app v1
	scanned sealed/app v1 complete
	found CVE-2024-9:hole-nobody-sees
	server_stop
	# The advisory itself is public, the version in the image is not.
	! grep -rlaF 1.2-2+of.the.image "$DATA" || fail 'it can be read'
	server_start --data "$DATA"
	scanned sealed/app v1 complete
	found CVE-2024-9:hole-nobody-sees
}

# --- hostile ------------------------------------------------------------------

resident_kib() {
	sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$SERVER_PID/status"
}

no_children() {
	[ -z "$(cat "/proc/$SERVER_PID/task/"*/children 2>/dev/null)" ]
}

# hostile KIND STATUS [PART OF THE REASON]
hostile() {
	"$PYTHON" "$TOP/tests/e2e/hostile_layers.py" "$1" "$W/$1.tar.gz"
	LAYERS=("$W/$1.tar.gz")
	push bad "$1"
	rm "$W/$1.tar.gz"
	scanned bad "$1" "$2" "${3:-}"
	[ "$2" != failed ] || [ -n "$(jq -r '.why // ""' "$W/scan")" ] ||
		fail 'no reason'
}

@test "hostile layers end as failed with a reason, and cost the server nothing" {
	local before
	need_root
	server_start --config <(echo 'scan: {layer-bytes: 1GiB}')
	debian_advisories "$W/adv.json" hole CVE-2024-10 1.2-3
	import "$W/adv.json"
	repository bad "$on_push"
	before=$(resident_kib)
	hostile bomb failed 1073741824
	hostile bombs failed
	hostile endless failed
	hostile truncated failed
	hostile garbage failed
	hostile sizes failed
	hostile negative failed
	hostile escape failed
	hostile database failed
	hostile names failed
	hostile deep failed
	hostile links unsupported
	hostile many unsupported
	wait_for 10 no_children || fail 'a process was left'
	http GET /v2/
	expect 200
	# Address sanitizers keep what was freed.
	grep -q __asan_init "$REGISTRYD" ||
		[ $(($(resident_kib) - before)) -lt 200000 ] ||
		fail "memory: $before KiB before, $(resident_kib) after"
	# And who means well is served as before.
	debian_image good hole 1.2-2
	push bad good
	scanned bad good complete
	found CVE-2024-10:hole
}

@test "packages that many advisories are about take no longer than a scan may" {
	local i
	server_start --config <(echo 'scan: {timeout: 1s}')
	repository app "$on_push"
	jq -nc '{linux: ([range(8000) | {("CVE-2020-\(.)"): {releases: {bookworm:
		{status: "resolved", fixed_version: "6.1-\(.)",
		urgency: "low"}}}}] | add)}' >"$W/adv.json"
	import "$W/adv.json"
	os_release "$W/root" debian 12 'Debian GNU/Linux 12 (bookworm)' bookworm
	mkdir -p "$W/root/var/lib/dpkg"
	for ((i = 0; i < 3000; i++)); do
		printf 'Package: p%s\nStatus: install ok installed\n' "$i"
		printf 'Source: linux\nVersion: 9999-1\n\n'
	done >"$W/root/var/lib/dpkg/status"
	layer "$W/root" "$W/root.tar.gz"
	LAYERS=("$W/root.tar.gz")
	push app v1
	scanned app v1 failed 'matching its packages takes longer than 1000 ms'
}

@test "a server that can start no process serves, and says so" {
	need_root
	unshare -m true 2>/dev/null || skip 'no mount namespaces here'
	# Nothing leads to the program any more.
	printf '#!/bin/sh\nmount -t tmpfs none /proc && exec "$@"\n' >"$W/bare"
	chmod +x "$W/bare"
	SERVER_WRAP="unshare -m $W/bare" server_start
	repository app "$on_push"
	debian_image one hole 1.2-2
	push app v1
	scanned app v1 failed 'no process could be started'
	http GET /v2/app/tags/list
	expect 200
}

@test "a server of an ordinary user scans, too" {
	need_root
	need setpriv
	DATA=$(mktemp -d /tmp/scan.XXXXXX)
	chown 65533:65533 "$DATA"
	SERVER_WRAP='setpriv --reuid 65533 --regid 65533 --clear-groups --no-new-privs --bounding-set=-all' \
		server_start --data "$DATA"
	repository app "$on_push"
	debian_image one hole 1.2-2
	push app v1
	scanned app v1 failed 'no advisories for debian:bookworm'
	server_stop
	rm -rf "$DATA"
}
