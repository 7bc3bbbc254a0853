#include "storage/store_int.h"

#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/log.h"
#include "storage/ballast_int.h"

/*
 * Room on the filesystem.  Asked before every piece of an upload, so what
 * statvfs said is kept for a while; whoever finds it old asks again, and the
 * others go on with what is there.
 */
#define FRESH_NS (100 * INT64_C(1000000))
#define RESERVE_MAX_BYTES ((uint64_t)256 << 20)
#define RESERVE_PART 20 /* of the filesystem, at most: 5 % */

static uint64_t
reserve_of(const struct store *s, const struct statvfs *v)
{
	uint64_t part = v->f_blocks * v->f_frsize / RESERVE_PART;

	if (s->options.reserve_bytes > 0)
		return (s->options.reserve_bytes);
	return (part < RESERVE_MAX_BYTES ? part : RESERVE_MAX_BYTES);
}

static void
disk_ask(struct store *s)
{
	struct store_disk *d = &s->disk;
	struct statvfs v;

	if (fstatvfs(s->dir_fd, &v) != 0) {
		if (!atomic_exchange(&d->failed, true))
			log_errno("%s: statvfs", s->options.dir);
		return;
	}
	atomic_store(&d->free_bytes, (uint64_t)v.f_bavail * v.f_frsize);
	atomic_store(&d->reserve_bytes, reserve_of(s, &v));
	atomic_store(&d->read_only, (v.f_flag & ST_RDONLY) != 0);
	atomic_store(&d->failed, false);
}

void
store_disk_refresh(struct store *s)
{
	struct store_disk *d = &s->disk;
	int64_t until = atomic_load(&d->fresh_until_ns);
	int64_t now = clock_mono_ns();

	if (now < until)
		return;
	if (atomic_compare_exchange_strong(
		&d->fresh_until_ns, &until, now + FRESH_NS))
		disk_ask(s);
}

enum rc
store_room(struct store *s, uint64_t n_bytes)
{
	struct store_disk *d = &s->disk;
	uint64_t free_bytes, kept_bytes;

	if (s->options.read_only)
		return (RC_READONLY);
	store_disk_refresh(s);
	if (atomic_load(&d->failed))
		return (RC_IO);
	if (atomic_load(&d->read_only))
		return (RC_READONLY);
	free_bytes = atomic_load(&d->free_bytes);
	kept_bytes = atomic_load(&d->reserve_bytes);
	/* What was given up for deleting is not for pushes. */
	if (s->ballast != NULL && kept_bytes < UINT64_MAX - BALLAST_BYTES)
		kept_bytes += ballast_owed(s->ballast);
	if (free_bytes < kept_bytes || free_bytes - kept_bytes < n_bytes)
		return (RC_NOSPACE);
	return (RC_OK);
}

void
store_ballast_renew(struct store *s)
{
	if (s->ballast != NULL && ballast_bytes(s->ballast) == 0 &&
	    !store_failed(s) && store_room(s, BALLAST_BYTES) == RC_OK)
		ballast_make(s->ballast);
}
