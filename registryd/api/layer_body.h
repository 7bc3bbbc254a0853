#ifndef API_LAYER_BODY_H
#define API_LAYER_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/rc.h"
#include "base/span.h"

/*
 * The JSON of UploadLayerPart, read as it arrives: up to 28 MB of it are one
 * member, "layerPartBlob", whose base64 is decoded and passed on piece by
 * piece.  All else is kept, and is the same JSON with an empty string in the
 * blob's place.
 *
 * What is kept is not judged here but by whoever parses it (base/json.h, with
 * its bounds): it has every fault that the whole had.  Nothing recurses.
 *
 * What comes out does not depend on how the text is cut into pieces; of a text
 * that is refused in the end some of the blob may have been passed on.  Pure;
 * one thread at a time.
 */
#define LAYER_BODY_REST_MAX_BYTES ((size_t)64 * 1024)
#define LAYER_BODY_MEMBER "layerPartBlob"

/* What comes out at once. */
#define LAYER_BODY_PIECE_BYTES 49152

/** Some of the blob, at most LAYER_BODY_PIECE_BYTES.  Any other code than
 * RC_OK ends the reading with it. */
typedef enum rc layer_body_fn(void *arg, const uint8_t *p, size_t n);

struct layer_body {
	layer_body_fn *fn;
	void *arg;
	int state;	 /* what is expected next */
	enum rc rc;	 /* of all so far */
	const char *why; /* in words for a client, with RC_INVALID, RC_TOOBIG */
	struct buf rest;
	size_t depth;  /* in a value of the object: 1, deeper: 2... */
	bool first;    /* no member yet */
	bool found;    /* the blob's member was seen */
	bool is_blob;  /* the member being read is the blob's */
	int escape;    /* 0: none; 1: behind '\'; 2-5: digits of "\u" */
	unsigned code; /* of that, so far */
	size_t key_n;  /* of the key, as far as it is the blob's */
	char quad[4];  /* base64 that is not decoded yet */
	size_t quad_n;
	bool padded; /* nothing may follow */
	uint8_t piece[LAYER_BODY_PIECE_BYTES];
};

/** layer_body_init(b, fn, arg): to be freed. */
void layer_body_init(struct layer_body *, layer_body_fn *fn, void *arg);

/** layer_body_free(b): of one that is all zeros too. */
void layer_body_free(struct layer_body *);

/** layer_body_feed(b, p, n): some more of the text.  Behind the first fault
 * nothing is looked at any more. */
void layer_body_feed(struct layer_body *, const void *p, size_t n);

/**
 * layer_body_end(b, rest_r):
 * That was all of it.  The text of the rest is ${b}'s.  RC_INVALID: not a JSON
 * object, two blobs, or a blob that is not base64; RC_TOOBIG: all but the blob
 * is larger than LAYER_BODY_REST_MAX_BYTES; or what ${fn} said.
 */
RC_MUST_USE enum rc layer_body_end(struct layer_body *, struct span *rest_r);

#endif
