#include "storage/ballast_int.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"

/*
 * It is made of blocks that are really taken, not of a size alone.  (Where a
 * filesystem shares blocks, or keeps what was there before for snapshots,
 * giving it up may give nothing: then it is as if it were not there.)
 */

/* What st_blocks counts in. */
#define STAT_BLOCK_BYTES 512

struct ballast {
	int dir_fd;
	const char *dir;
	pthread_mutex_t lock; /* while it is made or given up */
	bool told;	      /* that it cannot be made */
	_Atomic bool there;
	_Atomic bool owed;
	_Atomic unsigned drops;
};

static bool
is_whole(int fd)
{
	struct stat st;

	return (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
		(uint64_t)st.st_size == BALLAST_BYTES &&
		(uint64_t)st.st_blocks * STAT_BLOCK_BYTES >= BALLAST_BYTES);
}

static int
file_open(const struct ballast *b, int flags)
{
	return (openat(b->dir_fd, BALLAST_FILE,
	    flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
}

struct ballast *
ballast_new(int dir_fd, const char *dir)
{
	struct ballast *b = xcalloc(1, sizeof(*b));
	int fd;

	b->dir_fd = dir_fd;
	b->dir = dir;
	mutex_init(&b->lock);
	fd = file_open(b, O_RDONLY);
	atomic_init(&b->there, fd >= 0 && is_whole(fd));
	atomic_init(&b->owed, false);
	atomic_init(&b->drops, 0);
	if (fd >= 0)
		(void)close(fd);
	return (b);
}

void
ballast_free(struct ballast **b_p)
{
	struct ballast *b = *b_p;

	if (b == NULL)
		return;
	*b_p = NULL;
	(void)pthread_mutex_destroy(&b->lock);
	free(b);
}

/* --- making it ----------------------------------------------------------- */

/* Its errno, 0 when all is there. */
static int
file_fill(int fd)
{
	int err;

	if (ftruncate(fd, (off_t)BALLAST_BYTES) != 0)
		return (errno);
	do {
		err = posix_fallocate(fd, 0, (off_t)BALLAST_BYTES);
	} while (err == EINTR);
	if (err == 0 && fsync(fd) != 0)
		err = errno;
	return (err);
}

static int
file_make(struct ballast *b)
{
	int fd, err;

	fd = file_open(b, O_RDWR | O_CREAT);
	if (fd < 0)
		return (errno);
	err = file_fill(fd);
	(void)close(fd);
	if (err == 0 && fsync(b->dir_fd) != 0)
		err = errno;
	/* Half of it is of no use. */
	if (err != 0)
		(void)unlinkat(b->dir_fd, BALLAST_FILE, 0);
	return (err);
}

static void
make_locked(struct ballast *b)
{
	int err = file_make(b);

	if (err != 0) {
		if (!b->told)
			log_warn("%s/" BALLAST_FILE
				 ": cannot be made: %s; should the disk be "
				 "full to the last byte, nothing can be "
				 "deleted until some of it is free",
			    b->dir, strerror(err));
		b->told = true;
		return;
	}
	log_info("%s/" BALLAST_FILE ": %llu MiB set aside, to be given up when "
		 "the disk is full and something is to be deleted",
	    b->dir, (unsigned long long)(BALLAST_BYTES >> 20));
	b->told = false;
	atomic_store(&b->there, true);
	atomic_store(&b->owed, false);
}

void
ballast_make(struct ballast *b)
{
	if (atomic_load(&b->there))
		return;
	mutex_lock(&b->lock);
	if (!atomic_load(&b->there))
		make_locked(b);
	mutex_unlock(&b->lock);
}

/* --- giving it up -------------------------------------------------------- */

static void
drop_locked(struct ballast *b)
{
	if (unlinkat(b->dir_fd, BALLAST_FILE, 0) != 0 && errno != ENOENT) {
		log_errno("%s/" BALLAST_FILE ": unlink", b->dir);
		return;
	}
	/* Some filesystems have its blocks back only then. */
	if (fsync(b->dir_fd) != 0)
		log_errno("%s: fsync", b->dir);
	log_warn("%s: the disk is full: " BALLAST_FILE " (%llu MiB) removed, "
		 "so that what is deleted can go; it is made again when there "
		 "is room",
	    b->dir, (unsigned long long)(BALLAST_BYTES >> 20));
	atomic_store(&b->owed, true);
	atomic_store(&b->there, false);
	atomic_fetch_add(&b->drops, 1);
}

bool
ballast_drop(struct ballast *b, unsigned drops)
{
	bool more;

	mutex_lock(&b->lock);
	/* Another may have done so meanwhile, for both. */
	if (atomic_load(&b->drops) == drops && atomic_load(&b->there))
		drop_locked(b);
	more = atomic_load(&b->drops) != drops;
	mutex_unlock(&b->lock);
	return (more);
}

/* --- asked by anybody ---------------------------------------------------- */

uint64_t
ballast_bytes(const struct ballast *b)
{
	return (atomic_load(&b->there) ? BALLAST_BYTES : 0);
}

uint64_t
ballast_owed(const struct ballast *b)
{
	return (atomic_load(&b->owed) ? BALLAST_BYTES : 0);
}

unsigned
ballast_drops(const struct ballast *b)
{
	return (atomic_load(&b->drops));
}
