#ifndef STORAGE_BLOB_FILE_H
#define STORAGE_BLOB_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rc.h"

/*
 * Content in a file, opened for reading: as it is, or sealed (sealed.h).  Of
 * what is plain ${fd} may be read, and given to sendfile(), as it stands; of
 * what is sealed ${fd} holds ciphertext, and blob_file_read() is the way.
 */
struct sealed_reader;

struct blob_file {
	int fd;			      /* the owner's; -1: none */
	struct sealed_reader *sealed; /* NULL: plain */
	uint64_t size_bytes;	      /* of the content; UINT64_MAX: it is still
					 being written */
};

/* One that is not open. */
#define BLOB_FILE_NONE \
	{ \
		.fd = -1 \
	}

/**
 * blob_file_read(f, offset, p, n, may_wait, n_r):
 * From one byte to ${n} (0 only at the end).  What is sealed is given only
 * after its frame was found genuine.  RC_WOULDBLOCK: not ${may_wait}, and the
 * disk would have to be waited for.  RC_CORRUPT: altered, cut, swapped:
 * logged; RC_IO.  Any thread, one at a time.
 */
RC_MUST_USE enum rc blob_file_read(struct blob_file *, uint64_t offset, void *p,
    size_t n, bool may_wait, size_t *n_r);

/** blob_file_read_all(f, offset, p, n): all ${n} bytes, waiting for the disk.
 * RC_RANGE: there are not so many; else as above. */
RC_MUST_USE enum rc
blob_file_read_all(struct blob_file *, uint64_t offset, void *p, size_t n);

/**
 * blob_file_view(f, offset, may_wait, p_r, n_r):
 * Of what is sealed: the content from ${offset} to the end of its frame where
 * it lies, without a copy; *${n_r} 0 only at the end.  Until the next call with
 * ${f}.  Codes as above.
 */
RC_MUST_USE enum rc blob_file_view(struct blob_file *, uint64_t offset,
    bool may_wait, const void **p_r, size_t *n_r);

/** blob_file_warm(f, offset, n): have the kernel read it, waiting for the
 * disk; what fails fails once more when it is read.  Workers. */
void blob_file_warm(struct blob_file *, uint64_t offset, uint64_t n_bytes);

/** blob_file_dup(f, copy_r): another way to the same content, to be read at the
 * same time.  RC_LIMIT: too many open files. */
RC_MUST_USE enum rc
blob_file_dup(const struct blob_file *, struct blob_file *copy_r);

/** blob_file_close(f): takes one that is not open; it is BLOB_FILE_NONE then.
 * Wipes what it had of keys and content. */
void blob_file_close(struct blob_file *);

#endif
