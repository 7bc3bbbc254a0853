#!/usr/bin/env bats
# TLS listeners.
load helper

# certificate FOLDER NAME [ec|rsa]: a CA once, and a certificate for 127.0.0.1
# and localhost signed by it.
certificate() {
	local dir=$1 name=$2 key=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1)
	[ "${3:-ec}" = ec ] || key=(-newkey rsa:2048)
	mkdir -p "$dir"
	if [ ! -e "$dir/ca.crt" ]; then
		openssl req -x509 -newkey ec \
			-pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
			-keyout "$dir/ca.key" -out "$dir/ca.crt" \
			-subj "/CN=test ca" \
			-addext basicConstraints=critical,CA:TRUE \
			-addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
	fi
	openssl req "${key[@]}" -nodes -keyout "$dir/$name.key" \
		-out "$dir/$name.csr" -subj "/CN=$name" 2>/dev/null
	printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\n' >"$dir/ext"
	openssl x509 -req -in "$dir/$name.csr" -CA "$dir/ca.crt" \
		-CAkey "$dir/ca.key" -CAcreateserial -days 30 \
		-extfile "$dir/ext" -out "$dir/$name.crt" 2>/dev/null
}

setup_file() {
	command -v openssl >/dev/null || skip 'openssl is not installed'
	export CERTS=$BATS_FILE_TMPDIR/certs
	certificate "$CERTS" one
	certificate "$CERTS" two
	cp "$CERTS/one.crt" "$CERTS/cert.pem"
	cp "$CERTS/one.key" "$CERTS/key.pem"
	server_start --tls-cert "$CERTS/cert.pem" --tls-key "$CERTS/key.pem"
}

teardown_file() {
	server_stop
	servers_clean
}

setup() {
	W=$BATS_TEST_TMPDIR
	export CURL_CA_BUNDLE=$CERTS/ca.crt
}

teardown() {
	client_gone
	servers_clean
}

hello() { # OPTION...
	openssl s_client -connect "$HOST" -CAfile "$CERTS/ca.crt" "$@" \
		</dev/null 2>&1
}

@test "the listening line says https, and curl verifies the certificate" {
	assert_in "$URL" https://127.0.0.1:
	http GET /healthz
	expect 200
	http GET /v2/
	expect 200
}

@test "TLS 1.2 and 1.3 are spoken, 1.1 and older are refused" {
	assert_in "$(hello -tls1_3)" TLSv1.3
	assert_in "$(hello -tls1_2)" TLSv1.2
	out=$(hello -tls1_1 -cipher 'DEFAULT@SECLEVEL=0' || true)
	case $out in
	*'Protocol  : TLSv1.1'*'Cipher    : 0000'* | *'Cipher is (NONE)'*) ;;
	*) fail "$out" ;;
	esac
}

@test "a blob goes up and comes down over TLS, ranges included" {
	random_file "$W/b" 5000000
	blob_push tls/app "$W/b"
	http GET "/v2/tls/app/blobs/$DIGEST"
	expect 200
	cmp "$BODY" "$W/b"
	http GET "/v2/tls/app/blobs/$DIGEST" -H 'Range: bytes=1000000-1999999'
	expect 206
	cmp "$BODY" <(tail -c +1000001 "$W/b" | head -c 1000000)
}

@test "several requests share a TLS connection" {
	image_push tls/keep v1
	out=$(curl -sS -o /dev/null -o /dev/null -o /dev/null \
		-w '%{http_code} %{num_connects}\n' "$URL/v2/" \
		"$URL/v2/tls/keep/manifests/v1" "$URL/v2/tls/keep/tags/list")
	assert_eq "$(xargs <<<"$out")" '200 1 200 0 200 0'
}

@test "plain HTTP on a TLS port ends soon and does no harm" {
	out=$(printf 'GET /v2/ HTTP/1.1\r\nHost: h\r\n\r\n' |
		raw --time --wait 10)
	case $out in
	*closed* | *reset*) ;;
	*) fail "$out" ;;
	esac
	http GET /v2/
	expect 200
}

@test "a handshake that never ends is cut off after timeouts.header" {
	REGISTRYD_TIMEOUTS_HEADER=600ms server_start \
		--tls-cert "$CERTS/one.crt" --tls-key "$CERTS/one.key"
	out=$(printf '\026\003\001' | raw --time --wait 10)
	assert_in "$out" closed
	server_stop
}

@test "SIGHUP takes over a renewed certificate without dropping connections" {
	server_start --tls-cert "$CERTS/cert.pem" --tls-key "$CERTS/key.pem"
	assert_in "$(hello)" 'CN = one'
	cp "$CERTS/two.crt" "$CERTS/cert.pem"
	cp "$CERTS/two.key" "$CERTS/key.pem"
	kill -HUP "$SERVER_PID"
	renewed() {
		case $(hello) in
		*'CN = two'*) ;;
		*) return 1 ;;
		esac
	}
	wait_for 30 renewed || fail "$(hello)"
	# A pair that does not match: the old one stays.
	cp "$CERTS/one.key" "$CERTS/key.pem"
	said=$(grep -c . "$SERVER_LOG")
	kill -HUP "$SERVER_PID"
	more_is_said() {
		[ "$(grep -c . "$SERVER_LOG")" -gt "$said" ]
	}
	wait_for 30 more_is_said || fail 'not said'
	assert_in "$(hello)" 'CN = two'
	http GET /v2/
	expect 200
	server_stop
}

@test "a certificate that does not match its key, or is not there, is a clear error" {
	local status=0
	timeout 60 "$REGISTRYD" --data "$W/d" --listen 127.0.0.1:0 \
		--tls-cert "$CERTS/one.crt" --tls-key "$CERTS/two.key" \
		>"$W/out" 2>&1 </dev/null || status=$?
	[ "$status" = 2 ] || [ "$status" = 1 ] || fail "exit $status"
	assert_in "$(cat "$W/out")" one.crt
	status=0
	timeout 60 "$REGISTRYD" --data "$W/d" --listen 127.0.0.1:0 \
		--tls-cert "$W/none.crt" --tls-key "$CERTS/two.key" \
		>"$W/out" 2>&1 </dev/null || status=$?
	[ "$status" = 2 ] || [ "$status" = 1 ] || fail "exit $status"
	assert_in "$(cat "$W/out")" none.crt
}

@test "an RSA key works too" {
	certificate "$CERTS" rsa rsa
	server_start --tls-cert "$CERTS/rsa.crt" --tls-key "$CERTS/rsa.key"
	http GET /v2/
	expect 200
	server_stop
}

@test "skopeo pushes and pulls, trusting the CA by SSL_CERT_FILE" {
	need skopeo
	client_home "$W/client"
	"$PYTHON" "$TOP/tests/e2e/mkimage.py" "$W/hello" v1 >/dev/null
	SSL_CERT_FILE=$CERTS/ca.crt skopeo copy -q \
		"oci:$W/hello:v1" "docker://$HOST/tls/hello:v1"
	SSL_CERT_FILE=$CERTS/ca.crt skopeo copy -q \
		"docker://$HOST/tls/hello:v1" "oci:$W/back:v1"
	diff -r "$W/hello/blobs" "$W/back/blobs"
	# Without it the client refuses us.
	! SSL_CERT_FILE=/dev/null SSL_CERT_DIR=$W/client/config skopeo inspect \
		"docker://$HOST/tls/hello:v1" >"$W/out" 2>&1 ||
		fail 'verified by what?'
}
