#include "storage/blob_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/obj.h"
#include "storage/sealed.h"

/*
 * Content that is open, plain or sealed.
 */

static enum rc
plain_read(const struct blob_file *f, uint64_t offset, void *p, size_t n,
    bool may_wait, size_t *n_r)
{
	struct iovec iov = { p, n };
	ssize_t got;

	for (;;) {
		got = preadv2(
		    f->fd, &iov, 1, (off_t)offset, may_wait ? 0 : RWF_NOWAIT);
		if (got >= 0)
			break;
		if (errno == EAGAIN && !may_wait)
			return (RC_WOULDBLOCK);
		if (errno == EOPNOTSUPP && !may_wait)
			may_wait = true; /* the wait is the price */
		else if (errno != EINTR) {
			log_errno("read a blob");
			return (RC_IO);
		}
	}
	*n_r = (size_t)got;
	return (RC_OK);
}

enum rc
blob_file_read(struct blob_file *f, uint64_t offset, void *p, size_t n,
    bool may_wait, size_t *n_r)
{
	must(f->fd >= 0);
	*n_r = 0;
	if (f->sealed != NULL)
		return (
		    sealed_reader_read(f->sealed, offset, p, n, may_wait, n_r));
	return (plain_read(f, offset, p, n, may_wait, n_r));
}

enum rc
blob_file_read_all(struct blob_file *f, uint64_t offset, void *p, size_t n)
{
	size_t done, got;
	enum rc rc;

	for (done = 0; done < n; done += got) {
		rc = blob_file_read(
		    f, offset + done, (char *)p + done, n - done, true, &got);
		if (rc != RC_OK)
			return (rc);
		if (got == 0)
			return (RC_RANGE);
	}
	return (RC_OK);
}

enum rc
blob_file_view(struct blob_file *f, uint64_t offset, bool may_wait,
    const void **p_r, size_t *n_r)
{
	must(f->fd >= 0 && f->sealed != NULL);
	return (sealed_reader_view(f->sealed, offset, may_wait, p_r, n_r));
}

/* Of the kernel's cache; those of other sizes are larger. */
#define PAGE_BYTES 4096

static bool
touch(int fd, uint64_t at)
{
	char byte;

	return (pread(fd, &byte, 1, (off_t)at) == 1);
}

/* All is asked for first, so that the disk goes on while the first pages are
 * waited for. */
void
blob_file_warm(struct blob_file *f, uint64_t offset, uint64_t n_bytes)
{
	uint64_t at = offset, end = offset + n_bytes;

	must(f->fd >= 0);
	if (end > f->size_bytes)
		end = f->size_bytes;
	if (at >= end)
		return;
	if (f->sealed != NULL) {
		/* Frames, as no part of one can be read alone. */
		at = sealed_file_bytes(at - at % SEALED_FRAME_BYTES);
		end += SEALED_FRAME_BYTES - 1;
		end -= end % SEALED_FRAME_BYTES;
		end = sealed_file_bytes(
		    end < f->size_bytes ? end : f->size_bytes);
	}
	(void)posix_fadvise(
	    f->fd, (off_t)at, (off_t)(end - at), POSIX_FADV_WILLNEED);
	for (; at < end && touch(f->fd, at); at += PAGE_BYTES)
		;
	(void)touch(f->fd, end - 1);
}

enum rc
blob_file_dup(const struct blob_file *f, struct blob_file *copy_r)
{
	int fd, err;

	must(f->fd >= 0);
	*copy_r = (struct blob_file)BLOB_FILE_NONE;
	fd = fcntl(f->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0) {
		err = errno;
		log_errno("dup a blob's descriptor");
		return (rc_of_errno(err));
	}
	*copy_r = *f;
	copy_r->fd = fd;
	if (f->sealed != NULL)
		copy_r->sealed = sealed_reader_dup(f->sealed, fd);
	return (RC_OK);
}

void
blob_file_close(struct blob_file *f)
{
	sealed_reader_close(&f->sealed);
	if (f->fd >= 0)
		(void)close(f->fd);
	*f = (struct blob_file)BLOB_FILE_NONE;
}
