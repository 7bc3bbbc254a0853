#!/usr/bin/env bats
# Real clients log in, push as one user, pull as another and are denied as a
# third, over TLS with the authority of `registryctl tls init`.
load helper

setup_file() {
	[ -z "${E2E_HOST:-}" ] || skip 'needs servers of its own'
	aws_find
	export TLS=$BATS_FILE_TMPDIR/tls IMAGES=$BATS_FILE_TMPDIR/images
	"$REGISTRYCTL" tls init --out "$TLS" --host 127.0.0.1 --host localhost \
		>/dev/null
	SMALL=$("$PYTHON" "$TOP/tests/e2e/mkimage.py" "$IMAGES" small)
	LAYERS=$("$PYTHON" "$TOP/tests/e2e/mkimage.py" --layers 11 \
		--bytes 200000 "$IMAGES" layers)
	export SMALL LAYERS
	tls_server
	export BASIC_DATA=$DATA BASIC_URL=$URL BASIC_LOG=$SERVER_LOG
	export BASIC_PID=$SERVER_PID
	REGISTRYD_TOKEN_CHALLENGE=bearer tls_server
	export BEARER_DATA=$DATA BEARER_URL=$URL BEARER_LOG=$SERVER_LOG
	export BEARER_PID=$SERVER_PID
	docker_start
	containerd_start
}

teardown_file() {
	[ -n "${BASIC_PID:-}" ] || return 0
	docker_stop
	containerd_stop
	SERVER_PID=$BASIC_PID SERVER_LOG=$BASIC_LOG
	server_stop
	SERVER_PID=$BEARER_PID SERVER_LOG=$BEARER_LOG
	server_stop
	servers_clean
}

setup() {
	W=$BATS_TEST_TMPDIR
	REPO=r$BATS_TEST_NUMBER/app
	HTTP_OPTIONS=()
	client_home "$W/client"
}

teardown() {
	client_gone
	servers_clean
}

# A TLS server with three users: one pushes, one pulls, one may log in.
tls_server() {
	auth_server_start --tls-cert "$TLS/server.pem" \
		--tls-key "$TLS/server-key.pem" "$@"
	trust
	user_make pusher AmazonEC2ContainerRegistryPowerUser
	user_make puller AmazonEC2ContainerRegistryPullOnly
	user_make stranger "$(allow ecr:GetAuthorizationToken)"
}

# Each client has a variable of its own for whom it trusts.
trust() {
	export CURL_CA_BUNDLE=$TLS/ca.pem AWS_CA_BUNDLE=$TLS/ca.pem
	export SSL_CERT_FILE=$TLS/ca.pem
}

# use basic|bearer: which challenge; with a repository of the test's own.
use() {
	local which=${1^^}
	local data=${which}_DATA url=${which}_URL log=${which}_LOG
	DATA=${!data} URL=${!url} SERVER_LOG=${!log}
	HOST=${URL#*://}
	aws_env
	trust
	as admin
	repository_make "$REPO"
}

# password_of USER: of the pusher by the AWS CLI, where there is one; it is slow.
password_of() {
	as "$1"
	if [ -n "$AWS2" ] && [ "$1" = pusher ]; then
		TOKEN=$(aws2 ecr get-login-password)
	elif [ -n "$AWS1" ] && [ "$1" = pusher ]; then
		TOKEN=$(aws1 ecr get-login-password)
	else
		TOKEN=$(ctl --endpoint "$URL" get-login-password)
	fi
	secret_note_basic AWS "$TOKEN"
}

# log_in COMMAND... USER: with the password on standard input.
log_in() {
	password_of "${@:$#}"
	"${@:1:$#-1}" login --username AWS --password-stdin "$HOST" \
		<<<"$TOKEN" >"$W/login" 2>&1 || fail "$(cat "$W/login")"
	assert_in "$(cat "$W/login")" 'Login Succeeded'
}

# may_not MESSAGE COMMAND...: it fails and shows that.
may_not() {
	local wanted=$1
	shift
	! "$@" >"$W/refused" 2>&1 || fail "$* succeeded"
	assert_in "$(tr '\n' ' ' <"$W/refused")" "$wanted" "what $1 showed"
}

pulls_not() { # USER: the message
	printf 'denied: %s' "$(not_authorized "$1" ecr:BatchGetImage "$REPO")"
}

# Of an image whose layers are there.
puts_not() {
	printf 'denied: %s' "$(not_authorized "$1" ecr:PutImage "$REPO")"
}

# --- skopeo -------------------------------------------------------------------

skopeo_push() {
	skopeo copy -q "oci:$IMAGES:layers" "docker://$HOST/$REPO:v1"
}

skopeo_pull() {
	rm -rf "$W/back"
	skopeo copy -q "docker://$HOST/$REPO:v1" "oci:$W/back:v1"
}

skopeo_round() {
	need skopeo
	log_in skopeo pusher
	skopeo_push
	log_in skopeo puller
	skopeo_pull
	assert_eq "$(jq -r '.manifests[0].digest' "$W/back/index.json")" \
		"$LAYERS"
}

@test "skopeo: push as one, pull as another, denied as a third" {
	use basic
	skopeo_round
	may_not "$(not_authorized puller ecr:InitiateLayerUpload "$REPO")" \
		skopeo copy -q "oci:$IMAGES:small" "docker://$HOST/$REPO:v2"
	log_in skopeo stranger
	may_not "$(pulls_not stranger)" skopeo_pull
	skopeo logout "$HOST" >"$W/out"
	! skopeo_pull >"$W/out" 2>&1 || fail 'pulled by nobody'
	grep -qiE 'unauthorized|authentication required' "$W/out" ||
		fail "$(cat "$W/out")"
}

@test "skopeo: another account's user pulls when both sides let it" {
	local other=111122223333/guest$BATS_TEST_NUMBER
	use basic
	need skopeo
	user_make "$other" AmazonEC2ContainerRegistryPullOnly
	log_in skopeo pusher
	skopeo_push
	log_in skopeo "$other"
	may_not 'because no resource-based policy allows the ecr:BatchGetImage action' \
		skopeo_pull
	as admin
	policy_set "$REPO" "$(repository_policy '{"AWS":"111122223333"}' "$PULL")"
	expect 200
	skopeo_pull
}

@test "skopeo: a pull from outside of the aws:SourceIp range is denied" {
	local who=far$BATS_TEST_NUMBER
	use basic
	need skopeo
	user_make "$who" "$(allow "$PULL" '*' \
		'"Condition":{"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}}')"
	may_login "$who"
	log_in skopeo pusher
	skopeo_push
	log_in skopeo "$who"
	may_not "$(pulls_not "$who")" skopeo_pull
	user_allow "$who" "$(allow "$PULL" '*' \
		'"Condition":{"IpAddress":{"aws:SourceIp":"127.0.0.0/8"}}')"
	skopeo_pull
}

@test "skopeo: a wrong password is refused at login" {
	use basic
	need skopeo
	may_not 'invalid username/password' skopeo login --username AWS \
		--password none-of-yours "$HOST"
}

@test "skopeo, bearer: the same" {
	use bearer
	skopeo_round
	log_in skopeo stranger
	! skopeo_pull >"$W/out" 2>&1 || fail 'pulled'
	grep -qE 'denied|unauthorized' "$W/out" || fail "$(cat "$W/out")"
	! grep -q ' 429 ' "$SERVER_LOG" || fail 'held up'
}

# --- podman and buildah -------------------------------------------------------

podman_round() {
	need podman
	tar -C "$TOP" -c Makefile |
		podman import -q - "$HOST/$REPO:v1" >"$W/info" 2>&1 ||
		skip "podman cannot work here: $(tail -n 1 "$W/info")"
	log_in podman pusher
	podman push -q "$HOST/$REPO:v1"
	podman rmi -a -f >/dev/null
	log_in podman puller
	podman pull -q "$HOST/$REPO:v1"
}

@test "podman: push as one, pull as another, denied as a third" {
	use basic
	podman_round
	may_not "$(puts_not puller)" \
		podman push -q "$HOST/$REPO:v1" "docker://$HOST/$REPO:v2"
	podman rmi -a -f >/dev/null
	log_in podman stranger
	may_not "$(pulls_not stranger)" podman pull -q "$HOST/$REPO:v1"
}

@test "podman, bearer: the same" {
	use bearer
	podman_round
	podman rmi -a -f >/dev/null
	log_in podman stranger
	! podman pull -q "$HOST/$REPO:v1" >"$W/out" 2>&1 || fail 'pulled'
	grep -qE 'denied|unauthorized' "$W/out" || fail "$(cat "$W/out")"
}

@test "buildah: login and push" {
	use basic
	need buildah
	buildah from --name work scratch >"$W/info" 2>&1 &&
		buildah copy -q work "$TOP/Makefile" >"$W/info" 2>&1 &&
		buildah commit -q --rm work localhost/work >"$W/info" 2>&1 ||
		skip "buildah cannot work here: $(tail -n 1 "$W/info")"
	log_in buildah pusher
	buildah push -q localhost/work "docker://$HOST/$REPO:v1"
	log_in buildah puller
	may_not "$(puts_not puller)" \
		buildah push -q localhost/work "docker://$HOST/$REPO:v1"
}

# --- docker -------------------------------------------------------------------

docker_image() {
	need_docker
	printf '%s %s' "$REPO" "$BASHPID" >"$W/content"
	tar -C "$W" -c content | docker import - "$HOST/$REPO:v1" >/dev/null
}

docker_round() {
	docker_image
	log_in docker pusher
	docker push -q "$HOST/$REPO:v1"
	docker rmi -f "$HOST/$REPO:v1" >/dev/null
	log_in docker puller
	docker pull -q "$HOST/$REPO:v1"
}

@test "docker: push as one, pull as another, denied as a third" {
	use basic
	docker_round
	may_not "$(puts_not puller)" docker push -q "$HOST/$REPO:v1"
	docker rmi -f "$HOST/$REPO:v1" >/dev/null
	log_in docker stranger
	may_not "$(pulls_not stranger)" docker pull -q "$HOST/$REPO:v1"
}

@test "docker: get-login's line logs in, and a wrong password does not" {
	local line
	use basic
	need_docker
	as puller
	ctl --endpoint "$URL" get-login >"$W/line"
	read -r -a line <"$W/line"
	secret_note_basic AWS "${line[5]}"
	"${line[@]}" >"$W/out" 2>&1 || fail "$(cat "$W/out")"
	assert_in "$(cat "$W/out")" 'Login Succeeded'
	may_not '401 Unauthorized' docker login -u AWS -p none-of-yours "$HOST"
}

@test "docker, bearer: login keeps an identity token, which pushes and pulls" {
	use bearer
	docker_round
	jq -e --arg h "$HOST" '.auths | to_entries[] |
	    select(.key | contains($h)) | .value.identitytoken | length > 20' \
		"$DOCKER_CONFIG/config.json" >/dev/null ||
		echo '# this docker keeps the password'
	docker rmi -f "$HOST/$REPO:v1" >/dev/null
	log_in docker stranger
	! docker pull -q "$HOST/$REPO:v1" >"$W/out" 2>&1 || fail 'pulled'
	grep -qE 'denied|unauthorized' "$W/out" || fail "$(cat "$W/out")"
}

@test "docker: a push with an expired login shows ECR's sentence" {
	local mine
	need_docker
	REGISTRYD_TOKEN_LIFETIME=3s auth_server_start \
		--tls-cert "$TLS/server.pem" --tls-key "$TLS/server-key.pem"
	trust
	repository_make "$REPO"
	docker_image
	# Slow machines may need a few attempts to be quick enough.
	logs_in() {
		as admin && login_password && command docker \
			-H "$DOCKER_SOCKET" login --username AWS \
			--password-stdin "$HOST" <<<"$TOKEN" >"$W/login" 2>&1
	}
	wait_for 60 logs_in || fail "$(cat "$W/login")"
	mine=$TOKEN
	is_over() {
		http GET /v2/ -u "AWS:$mine"
		[ "$STATUS" = 403 ]
	}
	wait_for 60 is_over || fail "$STATUS"
	may_not 'denied: Your authorization token has expired. Reauthenticate and try again.' \
		docker push "$HOST/$REPO:v1"
	server_stop
}

# --- containerd ---------------------------------------------------------------

# It speaks TLS with 127.0.0.1 only when told so.
ctr_hosts() {
	mkdir -p "$W/hosts/$HOST"
	printf 'server = "%s"\n[host."%s"]\n  ca = "%s"\n' "$URL" "$URL" \
		"$TLS/ca.pem" >"$W/hosts/$HOST/hosts.toml"
}

ctr_image() {
	need_ctr
	ctr_hosts
	mkdir -p "$W/layout"
	cp "$IMAGES/oci-layout" "$W/layout"
	ln -sfn "$IMAGES/blobs" "$W/layout/blobs"
	jq -c --arg d "$LAYERS" '.manifests |= map(select(.digest == $d))' \
		"$IMAGES/index.json" >"$W/layout/index.json"
	tar -C "$W/layout" -ch . >"$W/layout.tar"
	ctr images import --no-unpack --base-name "$HOST/$REPO" \
		"$W/layout.tar" >/dev/null
}

ctr_forget() {
	local run=("$(type -P ctr)" -a "$CTR_SOCKET" -n "t$BATS_TEST_NUMBER")
	ctr images ls -q | xargs -r "${run[@]}" images rm --sync >/dev/null
	ctr content ls -q | xargs -r "${run[@]}" content rm >/dev/null
}

ctr_as() { # USER COMMAND...
	password_of "$1"
	ctr images "$2" --hosts-dir "$W/hosts" --user "AWS:$TOKEN" "${@:3}"
}

ctr_round() {
	local i
	ctr_image
	ctr_as pusher push "$HOST/$REPO:layers" >"$W/out" 2>&1 ||
		fail "$(tail -n 3 "$W/out")"
	# Each asks without credentials first, for many blobs at once.
	for i in 1 2 3; do
		ctr_forget
		ctr_as puller pull "$HOST/$REPO:layers" >"$W/out" 2>&1 ||
			fail "$i: $(tail -n 3 "$W/out")"
	done
	assert_in "$(ctr images ls)" "$LAYERS"
	! grep -q ' 429 ' "$SERVER_LOG" || fail 'held up'
}

@test "containerd: push and pull, many 401s at once are no guesses" {
	use basic
	ctr_round
	ctr_forget
	may_not '403 Forbidden' ctr_as stranger pull "$HOST/$REPO:layers"
	# Nobody was held up by them.
	http GET /v2/ -u AWS:none-of-ours
	expect 401 UNAUTHORIZED
}

@test "containerd, bearer: push and pull" {
	use bearer
	ctr_round
	ctr_forget
	! ctr_as stranger pull "$HOST/$REPO:layers" >"$W/out" 2>&1 ||
		fail pulled
	grep -qE '403|401|denied|insufficient' "$W/out" || fail "$(cat "$W/out")"
}

@test "containerd, bearer: anonymous pull where the policy says so" {
	use bearer
	ctr_image
	need skopeo
	log_in skopeo pusher
	skopeo copy -q "oci:$IMAGES:layers" "docker://$HOST/$REPO:layers"
	ctr_forget
	! ctr images pull --hosts-dir "$W/hosts" "$HOST/$REPO:layers" \
		>"$W/out" 2>&1 || fail 'public before it was said'
	as admin
	policy_set "$REPO" "$(repository_policy '"*"' "$PULL")"
	expect 200
	ctr images pull --hosts-dir "$W/hosts" "$HOST/$REPO:layers" \
		>"$W/out" 2>&1 || fail "$(tail -n 3 "$W/out")"
}

# --- a credential helper instead of a login -----------------------------------

# Under the name by which docker calls it.
helper_install() {
	mkdir -p "$W/bin"
	ln -s "$(readlink -f "$REGISTRYCTL")" "$W/bin/docker-credential-registryd"
	PATH=$W/bin:$PATH
	printf '{"credHelpers":{"%s":"registryd"}}\n' "$HOST" \
		>"$DOCKER_CONFIG/config.json"
	cp "$DOCKER_CONFIG/config.json" "$REGISTRY_AUTH_FILE"
}

@test "docker-credential-registryd speaks docker's protocol" {
	use basic
	helper_install
	as puller
	printf '%s' "$HOST" | docker-credential-registryd get >"$W/out"
	assert_eq "$(jq -r .Username "$W/out")" AWS
	secret_note_basic AWS "$(jq -r .Secret "$W/out")"
	http GET /v2/ -u "AWS:$(jq -r .Secret "$W/out")"
	expect 200
	printf 'https://%s' "$HOST" | docker-credential-registryd get >"$W/out"
	secret_note_basic AWS "$(jq -r .Secret "$W/out")"
	# What is not ours is for somebody else.
	may_not 'credentials not found' docker-credential-registryd get \
		<<<'registry.example.invalid'
	docker-credential-registryd erase <<<"$HOST"
	may_not stored docker-credential-registryd store <<<'{}'
	"$REGISTRYCTL" --endpoint "$URL" docker-credential list >"$W/out"
	assert_eq "$(jq -r 'to_entries[0].value' "$W/out")" AWS
}

@test "skopeo with credHelpers needs no login" {
	use basic
	need skopeo
	helper_install
	as pusher
	skopeo_push
	as puller
	skopeo_pull
	may_not "$(not_authorized puller ecr:InitiateLayerUpload "$REPO")" \
		skopeo copy -q "oci:$IMAGES:small" "docker://$HOST/$REPO:v2"
}

@test "docker with credHelpers needs no login" {
	use basic
	docker_image
	helper_install
	as pusher
	docker push -q "$HOST/$REPO:v1"
	docker rmi -f "$HOST/$REPO:v1" >/dev/null
	as puller
	docker pull -q "$HOST/$REPO:v1"
	may_not "$(puts_not puller)" docker push -q "$HOST/$REPO:v1"
}
