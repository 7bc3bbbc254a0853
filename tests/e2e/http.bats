#!/usr/bin/env bats
# HTTP/1.1 on raw sockets: what is refused, what is understood, and how long
# anything may take.
load helper

setup_file() {
	server_start
}

teardown_file() {
	server_stop
	servers_clean
}

setup() {
	W=$BATS_TEST_TMPDIR
}

teardown() {
	servers_clean
}

# What an attacker would hide behind a request that is understood differently.
SMUGGLED='GET /v2/ HTTP/1.1\r\nHost: h\r\n\r\n'

# refused STATUS[|STATUS] REQUEST: one answer with that status, no second one
# for what follows, and the connection is closed.
refused() {
	local out
	out=$(printf '%s' "$2$SMUGGLED" | raw --escapes --summary --wait 10)
	case "|$1|" in
	*"|${out%% *}|"*) ;;
	*) fail "$2: got: $out" ;;
	esac
	assert_eq "$(wc -l <<<"$out")" 2 "lines for $2 ($out)"
	case ${out##*$'\n'} in
	closed | reset) ;;
	*) fail "$2: the connection stays open" ;;
	esac
}

# answers REQUEST STATUS...: these answers in this order.
answers() {
	local out request=$1
	shift
	out=$(printf '%s' "$request" | raw --escapes --summary --quiet 0.7 \
		--answers $# ${HEADS:+--heads "$HEADS"} | grep -oE '^[0-9]+' | xargs)
	assert_eq "$out" "$*" "answers to $request"
}

UP='POST /v2/h/blobs/uploads/ HTTP/1.1\r\nHost: h\r\n'
PUT='PUT /v2/h/manifests/v1 HTTP/1.1\r\nHost: h\r\nContent-Type: application/vnd.oci.image.manifest.v1+json\r\n'
GET='GET /v2/ HTTP/1.1\r\nHost: h\r\n'

# --- framing ------------------------------------------------------------------

@test "Content-Length with Transfer-Encoding, in both orders: 400 and close" {
	refused 400 "${UP}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
	refused 400 "${UP}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"
}

@test "repeated Content-Length, equal or not: 400 and close" {
	refused 400 "${PUT}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}"
	refused 400 "${PUT}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"
	refused 400 "${PUT}Content-Length: 2, 2\r\n\r\n{}"
	refused 400 "${GET}Content-Length: 0\r\nContent-Length: 0\r\n\r\n"
}

@test "a Content-Length that is no plain number: 400 and close" {
	local n
	for n in +2 -2 0x2 '2 2' 2.0 2e0 '' '"2"' a 2a 18446744073709551616 \
	    99999999999999999999999999; do
		refused 400 "${PUT}Content-Length: $n\r\n\r\n{}"
	done
}

@test "a body larger than any limit is refused without being read" {
	refused '413|400' "${PUT}Content-Length: 9223372036854775807\r\n\r\n{}"
}

@test "transfer codings other than exactly chunked: 400 or 501, and close" {
	local coding
	for coding in xchunked 'chunked, identity' 'gzip, chunked' identity \
	    'chunked, chunked' 'chunked;q=1' ' ' '"chunked"' 'chunked,' \
	    ',chunked' 'chun ked' '\x0bchunked' 'chunked\x00'; do
		refused '400|501' "${PUT}Transfer-Encoding: $coding\r\n\r\n0\r\n\r\n"
	done
	refused '400|501' "${PUT}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
	refused '400|501' "${PUT}Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
}

@test "Transfer-Encoding in HTTP/1.0: 400 and close" {
	refused 400 'PUT /v2/h/manifests/v1 HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'
}

@test "malformed chunks: 400 and close" {
	local chunks
	for chunks in 'x\r\n' '-1\r\n' '+1\r\na\r\n0\r\n\r\n' \
	    '0x1\r\na\r\n0\r\n\r\n' '1 \r\na\r\n0\r\n\r\n' \
	    ' 1\r\na\r\n0\r\n\r\n' '\r\n' ';x\r\n' '1\na\n0\n\n' \
	    '1\r\na0\r\n\r\n' '1\r\nab\r\n0\r\n\r\n' '2\r\nab\n0\r\n\r\n' \
	    '1\ra\r0\r\r' 'FFFFFFFFFFFFFFFF1\r\na' \
	    '00000000000000000000000000000000000000001\r\na\r\n0\r\n\r\n' \
	    '1_0\r\na' '1\x00\r\na'; do
		refused '400|413' "${PUT}Transfer-Encoding: chunked\r\n\r\n$chunks"
	done
}

@test "a chunk size that would overflow is refused, not wrapped" {
	refused '400|413' "${PUT}Transfer-Encoding: chunked\r\n\r\n10000000000000002\r\n{}\r\n0\r\n\r\n"
	refused '400|413' "${PUT}Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n{}\r\n0\r\n\r\n"
}

@test "chunk extensions without end, and trailers without end, are refused" {
	local long
	long=$(printf 'x%.0s' $(seq 40000))
	refused '400|413|431' "${PUT}Transfer-Encoding: chunked\r\n\r\n2;$long\r\n{}\r\n0\r\n\r\n"
	refused '400|413|431' "${PUT}Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nA: $long\r\n\r\n"
}

@test "chunked requests with extensions and trailers are understood" {
	# "{}" is no manifest, but it arrived as two bytes of JSON.
	answers "${PUT}Transfer-Encoding: chunked\r\n\r\n1;a=b;c=\"d\"\r\n{\r\n1\r\n}\r\n0\r\nTrailer: x\r\n\r\n$GET\r\n" 400 200
	answers "${PUT}transfer-encoding: CHUNKED\r\n\r\n02\r\n{}\r\n000\r\n\r\n$GET\r\n" 400 200
}

# --- lines and fields ---------------------------------------------------------

@test "a bare LF as the end of a line: 400 and close" {
	refused 400 'GET /v2/ HTTP/1.1\nHost: h\n\n'
	refused 400 'GET /v2/ HTTP/1.1\r\nHost: h\n\r\n'
	refused 400 'GET /v2/ HTTP/1.1\r\nHost: h\r\nA: b\nC: d\r\n\r\n'
	refused 400 'GET /v2/ HTTP/1.1\r\nHost: h\r\n\n'
}

@test "a bare CR, a NUL or another control character in the head: 400 and close" {
	refused 400 "${GET}A: b\rc\r\n\r\n"
	refused 400 "${GET}A: b\0c\r\n\r\n"
	refused 400 "${GET}A: b\x01c\r\n\r\n"
	refused 400 "${GET}A: b\x7fc\r\n\r\n"
	refused 400 'GET /v2/ HTTP/1.1\rHost: h\r\n\r\n'
	refused 400 'GET /v2/\0 HTTP/1.1\r\nHost: h\r\n\r\n'
}

@test "white space before the colon: 400 and close" {
	refused 400 "${GET}Content-Length : 5\r\n\r\n"
	refused 400 "${GET}A\t: b\r\n\r\n"
	refused 400 "${PUT}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"
}

@test "folded lines: 400 and close" {
	refused 400 "${GET}A: b\r\n c\r\n\r\n"
	refused 400 "${GET}A: b\r\n\tc\r\n\r\n"
	refused 400 'GET /v2/ HTTP/1.1\r\n Host: h\r\n\r\n'
	refused 400 "${PUT}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"
}

@test "fields that are none: 400 and close" {
	refused 400 "${GET}no colon\r\n\r\n"
	refused 400 "${GET}: empty\r\n\r\n"
	refused 400 "${GET}a b: c\r\n\r\n"
	refused 400 "${GET}a(b): c\r\n\r\n"
	refused 400 "${GET}a\x80b: c\r\n\r\n"
}

@test "request lines that are none: 400, 405, 501 or 505, and close" {
	local line
	for line in 'GET' 'GET /v2/' 'GET  /v2/ HTTP/1.1' 'GET /v2/  HTTP/1.1' \
	    'GET\t/v2/\tHTTP/1.1' ' GET /v2/ HTTP/1.1' 'GET /v2/ HTTP/1.1 ' \
	    'GET /v2/ x HTTP/1.1' 'GET /v2/ http/1.1' 'GET /v2/ HTTP/1' \
	    'GET /v2/ HTTP/1.1x' 'GET /v2/ HTTP/11' 'GET /v2/ HTTP/1.10' \
	    'G(T /v2/ HTTP/1.1' '/v2/ HTTP/1.1' 'GET v2/ HTTP/1.1'; do
		refused '400|405|501|505' "$line\r\nHost: h\r\n\r\n"
	done
}

@test "versions other than 1.0 and 1.1: 400 or 505, and close" {
	local version
	for version in HTTP/0.9 HTTP/1.2 HTTP/2.0 HTTP/3.0 HTTP/9.9 HTTPS/1.1; do
		refused '400|505' "GET /v2/ $version\r\nHost: h\r\n\r\n"
	done
	refused '400|505' 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
}

@test "status lines always say HTTP/1.1" {
	local out request
	for request in 'GET /v2/ HTTP/1.0\r\n\r\n' 'GET /v2/ HTTP/2.0\r\n\r\n' \
	    'rubbish\r\n\r\n'; do
		out=$(printf '%s' "$request" | raw --escapes | head -n 1)
		assert_in "$out" 'HTTP/1.1 '
	done
}

# --- Host and target ----------------------------------------------------------

@test "missing, repeated and malformed Host: 400 and close" {
	refused 400 'GET /v2/ HTTP/1.1\r\n\r\n'
	refused 400 'GET /v2/ HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n'
	refused 400 'GET /v2/ HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n'
	refused 400 'GET /v2/ HTTP/1.1\r\nHost: h i\r\n\r\n'
	refused 400 'GET /v2/ HTTP/1.1\r\nHost: h/i\r\n\r\n'
	refused 400 'GET /v2/ HTTP/1.1\r\nHost: u@h\r\n\r\n'
	refused 400 'GET /v2/ HTTP/1.1\r\nHost: h, i\r\n\r\n'
}

@test "absolute-form: taken when its authority is the Host, else 400 and close" {
	answers 'GET http://h:5/v2/ HTTP/1.1\r\nHost: h:5\r\n\r\n' 200
	answers 'GET HTTP://H/v2/ HTTP/1.1\r\nHost: h\r\n\r\n' 200
	refused 400 'GET http://evil/v2/ HTTP/1.1\r\nHost: h\r\n\r\n'
	refused 400 'GET http://h:1/v2/ HTTP/1.1\r\nHost: h\r\n\r\n'
	refused 400 'GET http://u@h/v2/ HTTP/1.1\r\nHost: h\r\n\r\n'
	refused 400 'GET http:///v2/ HTTP/1.1\r\nHost: h\r\n\r\n'
	refused 400 'GET ftp://h/v2/ HTTP/1.1\r\nHost: h\r\n\r\n'
	refused 400 'GET http://h/v2/ HTTP/1.1\r\n\r\n'
}

@test "encoded slashes, NUL, backslashes, dots and empty segments in a path: 400" {
	local target
	for target in /v2/a%2fb/tags/list /v2/a%2Fb/tags/list /v2/a%00/tags/list \
	    '/v2/a%5Cb/tags/list' '/v2/a\\b/tags/list' /v2/../v2/ /v2/./ \
	    /v2/a/../b/tags/list //v2/ /v2//a/tags/list /v2/%2e%2e/v2/ \
	    /v2/%2E/ /..; do
		out=$(printf 'GET %s HTTP/1.1\r\nHost: h\r\n\r\n' "$target" |
			raw --summary --quiet 0.5 | head -n 1)
		assert_eq "${out%% *}" 400 "$target"
	done
}

@test "malformed percent-encoding and characters that no target has: 400" {
	local target
	for target in '/v2/%' '/v2/%2' '/v2/%zz' '/v2/a#b' \
	    '/v2/\x80' '/v2/\xff' '/v2/\x7f' '/v2/?n=%g0'; do
		out=$(printf '%s' "GET $target HTTP/1.1\r\nHost: h\r\n\r\n" |
			raw --escapes --summary --quiet 0.5 | head -n 1)
		assert_eq "${out%% *}" 400 "$target"
	done
}

@test "percent-decoding happens once" {
	out=$(printf 'GET /v2/a%%252fb/tags/list HTTP/1.1\r\nHost: h\r\n\r\n' |
		raw --summary --quiet 0.5 | head -n 1)
	assert_eq "${out%% *}" 400
	# An encoded letter is the letter.
	answers 'GET /%76%32/ HTTP/1.1\r\nHost: h\r\n\r\n' 200
}

@test "CONNECT, TRACE, OPTIONS * and unknown methods have a decided answer" {
	local request
	for request in 'CONNECT h:443' 'TRACE /v2/' 'OPTIONS *' 'BREW /v2/' \
	    'get /v2/' 'OPTIONS /v2/'; do
		out=$(printf '%s HTTP/1.1\r\nHost: h:443\r\n\r\n' "$request" |
			raw --summary --quiet 0.5 | head -n 1)
		case ${out%% *} in
		400 | 405 | 501) ;;
		200 | 204) [ "${request%% *}" = OPTIONS ] ||
			fail "$request: $out" ;;
		*) fail "$request: $out" ;;
		esac
	done
}

# --- connections --------------------------------------------------------------

@test "a connection is kept open, and requests in one packet are answered in order" {
	local head='HEAD /v2/ HTTP/1.1\r\nHost: h\r\n\r\n'
	answers "$GET\r\n$GET\r\n$GET\r\n" 200 200 200
	HEADS=1 answers "$GET\r\n$head$GET\r\n" 200 200 200
	answers "GET /none HTTP/1.1\r\nHost: h\r\n\r\n$GET\r\n" 404 200
	answers "${PUT}Content-Length: 2\r\n\r\n{}$GET\r\n" 400 200
	answers "$GET\r\n|||$GET\r\n" 200 200
}

@test "a hundred pipelined requests get a hundred answers" {
	local i
	for i in $(seq 100); do
		printf 'GET /v2/ HTTP/1.1\r\nHost: h\r\n\r\n'
	done >"$W/requests"
	assert_eq "$(raw --summary --answers 100 --quiet 1 <"$W/requests" |
		grep -c '^200 ')" 100
}

@test "a request that arrives byte by byte is understood" {
	out=$(printf '%s' "$GET\r\n" | raw --escapes --each 0.005 --summary \
		--quiet 0.5)
	assert_eq "${out%% *}" 200
}

@test "Connection: close closes after the answer, and HTTP/1.0 does so by itself" {
	out=$(printf '%s' "${GET}Connection: close\r\n\r\n$SMUGGLED" |
		raw --escapes --summary)
	assert_eq "$(grep -c ^200 <<<"$out") ${out##*$'\n'}" '1 closed'
	out=$(printf 'GET /v2/ HTTP/1.0\r\n\r\n' | raw --summary)
	assert_eq "$(grep -c ^200 <<<"$out") ${out##*$'\n'}" '1 closed'
	out=$(printf '%s' "${GET}Connection: foo, Close\r\n\r\n" |
		raw --escapes --summary)
	assert_eq "${out##*$'\n'}" closed
}

@test "an HTTP/1.0 client that asks for it keeps its connection" {
	answers 'GET /v2/ HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /v2/ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n' 200 200
}

@test "HEAD answers like GET without a body" {
	printf 'GET /none HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n' |
		raw | tr -d '\r' | sed '/^$/,$d' |
		grep -viE '^(date|x-request-id):' >"$W/get"
	printf 'HEAD /none HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n' |
		raw >"$W/head.raw"
	tr -d '\r' <"$W/head.raw" | sed '/^$/,$d' |
		grep -viE '^(date|x-request-id):' >"$W/head"
	diff "$W/get" "$W/head"
	assert_eq "$(tr -d '\r' <"$W/head.raw" | sed '1,/^$/d')" closed
}

@test "a client that half-closes after its request still gets the answer" {
	out=$(printf 'GET /v2/ HTTP/1.1\r\nHost: h\r\n\r\n' | raw --half-close \
		--summary)
	assert_eq "${out%% *}" 200
}

# --- Expect -------------------------------------------------------------------

@test "Expect: 100-continue is answered when the body is wanted" {
	out=$(printf '%s' "${PUT}Content-Length: 2\r\nExpect: 100-continue\r\n\r\n|||{}" |
		raw --escapes --await --summary --answers 2 --quiet 0.5 |
		grep -oE '^[0-9]+' | xargs)
	assert_eq "$out" '100 400'
	out=$(printf '%s' "PUT /v2/h/manifests/v1 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-CONTINUE\r\n\r\n|||{}" |
		raw --escapes --await --summary --answers 2 --quiet 0.5 |
		grep -oE '^[0-9]+' | xargs)
	assert_eq "${out%% *}" 100
}

@test "a refusal comes before 100 Continue, and instead of it" {
	out=$(printf '%s' "PUT /v2/UPPER/manifests/v1 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n" |
		raw --escapes --summary --quiet 0.7 | head -n 1)
	assert_eq "${out%% *}" 400
	out=$(printf '%s' "${PUT}Content-Length: 99999999\r\nExpect: 100-continue\r\n\r\n" |
		raw --escapes --summary --quiet 0.7 | head -n 1)
	assert_eq "${out%% *}" 413
}

@test "an unknown expectation is refused with 417" {
	out=$(printf '%s' "${PUT}Content-Length: 2\r\nExpect: miracles\r\n\r\n{}" |
		raw --escapes --summary --quiet 0.7 | head -n 1)
	assert_eq "${out%% *}" 417
}

@test "curl's large upload with Expect works" {
	random_file "$W/b" 3000000
	http POST /v2/h/blobs/uploads/
	http PATCH "$(header Location)" -H 'Expect: 100-continue' \
		--data-binary "@$W/b"
	expect 202
	assert_in "$(cat "$HEADERS")" 'HTTP/1.1 100'
}

# --- refusals arrive ----------------------------------------------------------

@test "a refusal arrives although the client is still sending" {
	"$PYTHON" - "$HOST" <<-'PY'
	import socket, sys
	host, port = sys.argv[1].rsplit(":", 1)
	for size, must_send_all in ((700 << 10, True), (64 << 20, False)):
	    s = socket.create_connection((host, int(port)), 10)
	    s.sendall(b"PUT /v2/UPPER/manifests/v1 HTTP/1.1\r\nHost: h\r\n"
	              b"Content-Length: %d\r\n\r\n" % size)
	    sent = 0
	    try:
	        while sent < size:
	            sent += s.send(b"x" * min(65536, size - sent))
	    except OSError:
	        assert not must_send_all, "cut off after %d bytes" % sent
	    got = b""
	    try:
	        while b"\r\n\r\n" not in got:
	            piece = s.recv(65536)
	            if not piece:
	                break
	            got += piece
	    except OSError as e:
	        assert False, "%d bytes sent, then %s" % (sent, e)
	    assert got.startswith(b"HTTP/1.1 400 "), (sent, got)
	    s.close()
	PY
}

@test "a TLS ClientHello on a plain port gets an HTTP 400 and a close at once" {
	out=$("$PYTHON" - <<-'PY' | raw --time --wait 8
	import ssl, sys
	out = ssl.MemoryBIO()
	tls = ssl.create_default_context().wrap_bio(
	    ssl.MemoryBIO(), out, server_hostname="localhost")
	try:
	    tls.do_handshake()
	except ssl.SSLWantReadError:
	    pass
	sys.stdout.buffer.write(out.read())
	PY
	)
	assert_in "$out" 'HTTP/1.1 400 '
	out=$(xargs <<<"${out: -12}")
	# It is not timeouts.header, 15 s, that ends it.
	awk -v took="${out##* }" 'BEGIN { exit !(took < 8) }' ||
		fail "it took ${out##* } s"
	# Its first byte alone decides.
	out=$(printf '\026' | raw --time --wait 8)
	assert_in "$out" 'HTTP/1.1 400 '
}

# --- limits -------------------------------------------------------------------

@test "a target beyond limits.uri-bytes: 414" {
	local long
	long=$(printf 'a%.0s' $(seq 9000))
	refused 414 "GET /v2/$long HTTP/1.1\r\nHost: h\r\n\r\n"
}

@test "a head beyond limits.header-bytes: 431, also when it never ends" {
	local long
	long=$(printf 'a%.0s' $(seq 17000))
	refused 431 "${GET}A: $long\r\n\r\n"
	out=$(printf '%s' "${GET}A: $long$long" | raw --escapes --summary |
		head -n 1)
	assert_eq "${out%% *}" 431
}

@test "more headers than limits.headers: 431" {
	local i many=''
	for i in $(seq 101); do
		many="${many}A$i: b\r\n"
	done
	refused 431 "$GET$many\r\n"
}

@test "limits follow the configuration" {
	REGISTRYD_LIMITS_HEADER_BYTES=2KiB REGISTRYD_LIMITS_HEADERS=16 \
		REGISTRYD_LIMITS_URI_BYTES=512 \
		REGISTRYD_LIMITS_MANIFEST_BYTES=16KiB \
		REGISTRYD_LIMITS_UPLOAD_BYTES=64KiB server_start
	refused 431 "${GET}A: $(printf 'a%.0s' $(seq 2100))\r\n\r\n"
	refused 431 "$GET$(printf 'A: b\\r\\n%.0s' $(seq 17))\r\n"
	refused 414 "GET /v2/$(printf 'a%.0s' $(seq 600)) HTTP/1.1\r\nHost: h\r\n\r\n"
	random_file "$W/b" 70000
	http PUT /v2/h/manifests/v1 -H "Content-Type: $OCI_MANIFEST" \
		-H Expect: --data-binary "@$W/b"
	expect 413
	http POST /v2/h/blobs/uploads/
	http PATCH "$(header Location)" -H Expect: --data-binary "@$W/b"
	expect 413
	http POST "/v2/h/blobs/uploads/?digest=$(digest_of "$W/b")" \
		-H Expect: --data-binary "@$W/b"
	expect 413
	http POST /v2/h/blobs/uploads/
	http PATCH "$(header Location)" -H Expect: \
		-H 'Transfer-Encoding: chunked' --data-binary "@$W/b"
	expect 413
	server_stop
}

# --- slow clients -------------------------------------------------------------

@test "slow heads, slow bodies and idle connections end in time" {
	local pids=() i
	# Enough to say something in time.
	REGISTRYD_TIMEOUTS_HEADER=1500ms REGISTRYD_TIMEOUTS_BODY=1500ms \
		REGISTRYD_TIMEOUTS_IDLE=2s server_start
	# a head that stops, a head that drips, a body that stops, idle, and
	# a new connection that says nothing
	printf '%s' "$GET" | raw --escapes --time >"$W/stops" 3>&- &
	pids+=($!)
	printf '%s' "${GET}A: $(printf 'a%.0s' $(seq 200))\r\n\r\n" |
		raw --escapes --each 0.1 --time >"$W/drips" 3>&- &
	pids+=($!)
	printf '%s' "${PUT}Content-Length: 10\r\n\r\n{" |
		raw --escapes --time >"$W/body" 3>&- &
	pids+=($!)
	printf '%s' "$GET\r\n" | raw --escapes --time >"$W/idle" 3>&- &
	pids+=($!)
	printf '' | raw --time >"$W/silent" 3>&- &
	pids+=($!)
	wait "${pids[@]}"
	for i in stops drips body; do
		assert_in "$(cat "$W/$i")" 'HTTP/1.1 408 ' "$i"
	done
	assert_in "$(cat "$W/idle")" 'HTTP/1.1 200 ' idle
	for i in stops drips body idle silent; do
		assert_in "$(cat "$W/$i")" closed "$i"
		awk -v what="$i" 'END { if ($1 < 1.3 || $1 > 12) {
			print what " took " $1 " s"; exit 1 } }' "$W/$i"
	done
	server_stop
}

@test "a slow body that keeps moving is not cut off" {
	REGISTRYD_TIMEOUTS_BODY=3s server_start
	out=$(printf '%s' "${PUT}Content-Length: 8\r\n\r\n{|||}|||1|||2|||3|||4|||5|||6" |
		raw --escapes --pause 0.6 --summary --quiet 0.4 | head -n 1)
	assert_eq "${out%% *}" 400
	server_stop
}

@test "a client that does not read its answer is cut off" {
	REGISTRYD_TIMEOUTS_BODY=2s server_start
	random_file "$W/b" 30000000
	blob_push h "$W/b"
	"$PYTHON" - "$HOST" "$DIGEST" <<-'PY'
	import http.client, re, socket, sys, time
	host, port = sys.argv[1].rsplit(":", 1)

	def connections():
	    c = http.client.HTTPConnection(host, int(port), timeout=30)
	    c.request("GET", "/metrics")
	    text = c.getresponse().read().decode()
	    c.close()
	    return int(re.search(r"^registryd_connections (\d+)", text, re.M)[1])

	s = socket.socket()
	s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
	s.connect((host, int(port)))
	s.sendall(b"GET /v2/h/blobs/%s HTTP/1.1\r\nHost: h\r\n\r\n" %
	          sys.argv[2].encode())
	# The one that asks is there too; timeouts.body would be 30 s.
	start = time.monotonic()
	while connections() > 1:
	    assert time.monotonic() - start < 20, "it is not cut off"
	    time.sleep(0.2)
	assert time.monotonic() - start > 1, "it is not waited for"
	got = 0
	try:
	    while True:
	        n = len(s.recv(1 << 20))
	        if n == 0:
	            break
	        got += n
	except ConnectionResetError:
	    pass
	assert got < 30000000, "all of it came after all"
	PY
	server_stop
}

# --- connection limits --------------------------------------------------------

@test "connections beyond limits.connections wait or are refused, and the server goes on" {
	REGISTRYD_LIMITS_CONNECTIONS=5 server_start
	"$PYTHON" - "$HOST" 5 <<-'PY'
	import socket, sys
	host, port = sys.argv[1].rsplit(":", 1)
	limit = int(sys.argv[2])
	ask = b"GET /v2/ HTTP/1.1\r\nHost: h\r\n\r\n"

	def talk():
	    s = socket.create_connection((host, int(port)), patience)
	    try:
	        s.sendall(ask)
	        s.settimeout(patience)
	        return s, s.recv(65536)[:12]
	    except (TimeoutError, ConnectionResetError, BrokenPipeError):
	        return s, b""

	patience = 30
	served = []
	for i in range(limit):
	    s, got = talk()
	    assert got == b"HTTP/1.1 200", (i, got)
	    served.append(s)
	patience = 3
	for i in range(3):
	    s, got = talk()
	    assert got in (b"", b"HTTP/1.1 503"), got
	    s.close()
	# Who was served still is, and a free place is given away.
	served[0].sendall(ask)
	assert served[0].recv(65536).startswith(b"HTTP/1.1 200")
	for s in served:
	    s.close()
	import time
	patience = 30
	for i in range(100):
	    s, got = talk()
	    if got == b"HTTP/1.1 200":
	        break
	    time.sleep(0.1)
	assert got == b"HTTP/1.1 200", got
	PY
	server_stop
}

@test "connections beyond limits.connections-per-address are refused, others are not" {
	REGISTRYD_LIMITS_CONNECTIONS_PER_ADDRESS=3 server_start
	"$PYTHON" - "$HOST" <<-'PY'
	import socket, sys
	host, port = sys.argv[1].rsplit(":", 1)
	ask = b"GET /v2/ HTTP/1.1\r\nHost: h\r\n\r\n"

	def talk(source):
	    s = socket.create_connection((host, int(port)), 30, (source, 0))
	    try:
	        s.sendall(ask)
	        s.settimeout(30)
	        return s, s.recv(65536)[:12]
	    except (TimeoutError, ConnectionResetError, BrokenPipeError):
	        return s, b""

	held = [talk("127.0.0.1") for _ in range(3)]
	assert all(got == b"HTTP/1.1 200" for _, got in held), held
	assert talk("127.0.0.1")[1] in (b"", b"HTTP/1.1 503", b"HTTP/1.1 429")
	assert talk("127.0.0.2")[1] == b"HTTP/1.1 200"
	PY
	server_stop
}

# --- proxies ------------------------------------------------------------------

@test "X-Forwarded-For is believed from trusted proxies only" {
	server_start
	http GET /v2/ -H 'X-Forwarded-For: 192.0.2.7'
	wait_for 30 grep -q 'GET.*/v2/' "$SERVER_LOG" || fail 'no access log'
	! grep -q '192\.0\.2\.7' "$SERVER_LOG" || fail 'believed'
	server_stop
	REGISTRYD_TRUSTED_PROXIES=127.0.0.0/8 server_start
	http GET /v2/ -H 'X-Forwarded-For: 192.0.2.66, 192.0.2.7'
	wait_for 30 grep -q '192\.0\.2\.7' "$SERVER_LOG" || fail 'not believed'
	! grep -q '192\.0\.2\.66' "$SERVER_LOG" ||
		fail 'what the client itself sent was believed'
	server_stop
}
