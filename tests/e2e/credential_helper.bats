#!/usr/bin/env bats
# Amazon's credential helper, as Debian packages it, believes in ECR's own host
# names only: so here the registry has one of them, in a network and a mount
# namespace of the test's own, where /etc/hosts, the trusted authorities of
# docker and port 443 are ours.  Nothing of the machine is touched.
load helper

setup_file() {
	[ -z "${E2E_HOST:-}" ] || skip 'needs servers of its own'
	need_root
	need docker-credential-ecr-login skopeo unshare nsenter ip
	export ROOM=$BATS_FILE_TMPDIR/room TLS=$BATS_FILE_TMPDIR/tls
	export ECR_ACCOUNT=123456789012
	export ECR_HOST=$ECR_ACCOUNT.dkr.ecr.$REGION.amazonaws.com
	export ECR_API=api.ecr.$REGION.amazonaws.com
	room_open
	"$REGISTRYCTL" tls init --out "$TLS" --host "$ECR_HOST" \
		--host "$ECR_API" >/dev/null
	registry_start
	docker_here
}

teardown_file() {
	[ -n "${ROOM_PID:-}" ] || return 0
	docker_stop
	[ -z "${SERVER_PID:-}" ] || server_stop
	servers_clean
	kill "$ROOM_PID"
}

setup() {
	W=$BATS_TEST_TMPDIR
	REPO=r$BATS_TEST_NUMBER/app
	client_home "$W/client"
	aws_env
	as pusher
	export AWS_CA_BUNDLE=$TLS/ca.pem SSL_CERT_FILE=$TLS/ca.pem
	printf '{"credHelpers":{"%s":"ecr-login"}}\n' "$ECR_HOST" \
		>"$DOCKER_CONFIG/config.json"
	cp "$DOCKER_CONFIG/config.json" "$REGISTRY_AUTH_FILE"
}

teardown() {
	# The helper keeps the token, for itself.
	[ ! -f "$HOME/.ecr/cache.json" ] ||
		jq -r '.Registries[].AuthorizationToken' \
			"$HOME/.ecr/cache.json" >>"$BATS_FILE_TMPDIR/secrets"
	client_gone
	servers_clean
}

# --- the room -----------------------------------------------------------------

# A process that does nothing holds the namespaces.
room_open() {
	local why
	mkdir -p "$ROOM/cache"
	printf '127.0.0.1 localhost\n10.99.0.1 %s %s\n' "$ECR_HOST" "$ECR_API" \
		>"$ROOM/hosts"
	: >"$ROOM/resolv.conf"
	why=$(unshare -m -n true 2>&1) || skip "no namespaces here: $why"
	unshare -m -n sleep 100000 </dev/null >"$ROOM/out" 2>&1 3>&- &
	export ROOM_PID=$!
	room_is_made() {
		[ "$(readlink "/proc/$ROOM_PID/ns/net")" != \
			"$(readlink /proc/self/ns/net)" ] &&
			[ "$(readlink "/proc/$ROOM_PID/ns/mnt")" != \
				"$(readlink /proc/self/ns/mnt)" ]
	}
	wait_for 60 room_is_made || fail "$(cat "$ROOM/out")"
	mkdir -p /var/lib/containers/cache
	# shellcheck disable=SC2016
	inside sh -ec '
		ip link set lo up
		ip addr add 10.99.0.1/32 dev lo
		mount --bind "$1/hosts" /etc/hosts
		mount --bind "$1/resolv.conf" "$(readlink -f /etc/resolv.conf)"
		mount --bind "$1/cache" /var/lib/containers/cache
		' - "$ROOM"
}

# In the namespaces; the program is exec'd, so it has the pid one sees.
inside() {
	nsenter --target "$ROOM_PID" --mount --net -- "$@"
}

# Both names lead to the one address of the registry.
registry_start() {
	export REGISTRYD_ACCOUNT_ID=$ECR_ACCOUNT
	REGISTRYD_REPOSITORY_URI_FORMAT='{account}.dkr.ecr.{region}.amazonaws.com' \
		SERVER_WRAP="nsenter --target $ROOM_PID --mount --net --" \
		server_start --auth token --listen 10.99.0.1:443 \
		--tls-cert "$TLS/server.pem" --tls-key "$TLS/server-key.pem"
	auth_server_learn
	user_make pusher AmazonEC2ContainerRegistryPowerUser
	user_make puller AmazonEC2ContainerRegistryReadOnly
}

# A folder for trusted authorities that only the room sees.
docker_here() {
	mkdir -p /etc/docker
	inside mount -t tmpfs none /etc/docker
	inside mkdir -p "/etc/docker/certs.d/$ECR_HOST"
	inside cp "$TLS/ca.pem" "/etc/docker/certs.d/$ECR_HOST/ca.crt"
	DOCKER_WRAP="nsenter --target $ROOM_PID --mount --net --" docker_start
}

skopeo_inside() {
	inside "$(type -P skopeo)" --policy "$CLIENT/config/policy.json" "$@"
}

docker_inside() {
	inside "$(type -P docker)" -H "$DOCKER_SOCKET" "$@"
}

# Made from inside, by the name that AWS's tools would use.
repository_here() {
	as admin
	inside env CURL_CA_BUNDLE="$TLS/ca.pem" "$PYTHON" -E -S \
		"$TOP/tests/e2e/sign.py" --answer "$W/made" \
		--target AmazonEC2ContainerRegistry_V20150921.CreateRepository \
		--body "{\"repositoryName\":\"$REPO\"}" "https://$ECR_API/" \
		>"$W/status"
	assert_eq "$(cat "$W/status")" 200 "$(cat "$W/made")"
	as pusher
}

# --- the tests ----------------------------------------------------------------

@test "repositoryUri is ECR's, as repository-uri-format says" {
	repository_here
	assert_eq "$(jq -r .repository.repositoryUri "$W/made")" \
		"$ECR_HOST/$REPO"
	assert_eq "$(jq -r .repository.registryId "$W/made")" "$ECR_ACCOUNT"
}

@test "docker-credential-ecr-login gets a password that the registry takes" {
	printf '%s' "$ECR_HOST" |
		inside docker-credential-ecr-login get >"$W/out" 2>"$W/err" ||
		fail "$(cat "$W/out" "$W/err" "$HOME"/.ecr/log/* 2>/dev/null)"
	assert_eq "$(jq -r .Username "$W/out")" AWS
	secret_note_basic AWS "$(jq -r .Secret "$W/out")"
	assert_eq "$(inside curl -sS -o /dev/null -w '%{http_code}' --cacert \
		"$TLS/ca.pem" -u "AWS:$(jq -r .Secret "$W/out")" \
		"https://$ECR_HOST/v2/")" 200
}

@test "skopeo pushes and pulls by ECR's name, with the helper and no login" {
	repository_here
	"$PYTHON" "$TOP/tests/e2e/mkimage.py" "$W/image" v1 >"$W/digest"
	skopeo_inside copy -q "oci:$W/image:v1" "docker://$ECR_HOST/$REPO:v1" \
		2>"$W/err" ||
		fail "$(cat "$W/err" "$HOME"/.ecr/log/* 2>/dev/null)"
	rm -rf "$HOME/.ecr"
	as puller
	skopeo_inside copy -q "docker://$ECR_HOST/$REPO:v1" "oci:$W/back:v1"
	assert_eq "$(jq -r '.manifests[0].digest' "$W/back/index.json")" \
		"$(cat "$W/digest")"
	! skopeo_inside copy -q "oci:$W/image:v1" \
		"docker://$ECR_HOST/$REPO:v2" >"$W/out" 2>&1 ||
		fail 'the puller pushed'
	assert_in "$(cat "$W/out")" \
		"denied: User: $(user_arn puller "$ECR_ACCOUNT") is not authorized to perform: ecr:PutImage"
}

@test "docker pushes and pulls by ECR's name, with the helper, and verifies the certificate" {
	need_docker
	repository_here
	tar -C "$TOP" -c Makefile |
		docker_inside import - "$ECR_HOST/$REPO:v1" >/dev/null
	docker_inside push -q "$ECR_HOST/$REPO:v1" >"$W/out" 2>&1 ||
		fail "$(cat "$W/out" "$HOME"/.ecr/log/* 2>/dev/null)"
	docker_inside rmi -f "$ECR_HOST/$REPO:v1" >/dev/null
	rm -rf "$HOME/.ecr"
	as puller
	docker_inside pull -q "$ECR_HOST/$REPO:v1"
	docker_inside rmi -f "$ECR_HOST/$REPO:v1" >/dev/null
	# What docker says of itself to who is not logged in.
	! DOCKER_CONFIG=$W docker_inside pull -q "$ECR_HOST/$REPO:v1" \
		>"$W/out" 2>&1 || fail 'pulled by nobody'
	assert_in "$(cat "$W/out")" 'no basic auth credentials'
	# Not by trusting everybody: this name is not of 127.0.0.0/8.
	inside mv "/etc/docker/certs.d/$ECR_HOST/ca.crt" \
		"/etc/docker/certs.d/$ECR_HOST/aside"
	! docker_inside pull -q "$ECR_HOST/$REPO:v1" >"$W/out" 2>&1 ||
		fail 'verified by what?'
	assert_in "$(cat "$W/out")" x509
	inside mv "/etc/docker/certs.d/$ECR_HOST/aside" \
		"/etc/docker/certs.d/$ECR_HOST/ca.crt"
}
