#ifndef HTTP_CHUNKED_H
#define HTTP_CHUNKED_H

#include <stddef.h>
#include <stdint.h>

/*
 * The chunked coding (RFC 9112 section 7.1), decoded as it arrives.
 *
 *	chunked-body = *chunk last-chunk trailer-section CRLF
 *	chunk        = chunk-size [ chunk-ext ] CRLF chunk-data CRLF
 *	last-chunk   = 1*"0" [ chunk-ext ] CRLF
 *
 * Extensions and trailers are checked for their form, bounded, and dropped.
 */
#define CHUNKED_SIZE_DIGITS 16 /* leading zeros included */
#define CHUNKED_EXTENSION_BYTES 256
#define CHUNKED_EXTENSIONS_BYTES (16 * 1024) /* of one body, and ... */
#define CHUNKED_DATA_PER_EXTENSION 16	     /* ... one more for so much data */
#define CHUNKED_TRAILERS_BYTES (8 * 1024)

enum chunked_result {
	CHUNKED_MORE, /* all is used, and more is to come */
	CHUNKED_END,  /* the body ended; what is behind it is not used */
	CHUNKED_BAD,
};

struct chunked {
	uint8_t state;
	uint8_t digits;
	uint16_t extension;
	uint32_t extensions, trailers;
	uint64_t left; /* of the chunk */
};

void chunked_init(struct chunked *);

/**
 * chunked_decode(c, p, n, used_r, data_r):
 * Decode ${n} bytes at ${p} in place: afterwards *${data_r} bytes of data
 * stand at ${p}, and *${used_r} of the input are used, all unless the result
 * is CHUNKED_END.  What data was found before something bad counts too.
 */
enum chunked_result chunked_decode(
    struct chunked *, char *p, size_t n, size_t *used_r, size_t *data_r);

#endif
