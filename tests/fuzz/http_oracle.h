#ifndef TESTS_FUZZ_HTTP_ORACLE_H
#define TESTS_FUZZ_HTTP_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

/*
 * Another parser's reading of a request: libhttp-parser, where it is
 * installed.  In a file of its own because the names of the two clash.
 */
#define ORACLE_HEADERS 32

enum oracle_verdict {
	ORACLE_ABSENT, /* not installed, or it does not know the method */
	ORACLE_ACCEPTS,
	ORACLE_REFUSES,
};

struct oracle_head {
	struct span method, url;
	struct span names[ORACLE_HEADERS], values[ORACLE_HEADERS];
	size_t n_headers;
	unsigned minor_version;
	bool chunked, keep_alive, upgrade;
	uint64_t content_length; /* UINT64_MAX: none */
};

/** oracle_head(text, n, h_r): ${n} bytes that should be one whole head. */
enum oracle_verdict
oracle_head(const char *text, size_t n, struct oracle_head *h_r);

/** oracle_chunked(text, n, out, n_r): ${n} bytes that should be one whole
 * chunked body; ${out} has room for as many. */
enum oracle_verdict
oracle_chunked(const char *text, size_t n, char *out, size_t *n_r);

#endif
