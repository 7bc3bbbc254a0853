#include <ftw.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "mirror/backup.h"

/*
 * The input is a file to be restored.  What is refused says why and leaves
 * nothing; what is taken is the folder of a registry.
 */
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static char top[64];

static int
entry_remove(const char *path, const struct stat *st, int what, struct FTW *at)
{
	(void)st;
	(void)what;
	(void)at;
	return (remove(path));
}

static void
top_remove(void)
{
	(void)nftw(top, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
}

static void
top_make(void)
{
	log_set_level(LOG_LVL_ERROR);
	(void)snprintf(top, sizeof(top), "/tmp/registryd-fuzz-XXXXXX");
	must(mkdtemp(top) != NULL);
	must(atexit(top_remove) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct backup_progress progress = { 0 };
	char why[ARCHIVE_WHY_BYTES] = "";
	char *file, *dir;
	enum rc rc;
	int fd;

	if (top[0] == '\0')
		top_make();
	fd = memfd_create("backup", MFD_CLOEXEC);
	must(fd >= 0 && write(fd, p, n) == (ssize_t)n);
	file = xasprintf("/proc/self/fd/%d", fd);
	dir = xasprintf("%s/to", top);
	rc = backup_restore(file, dir, &progress, NULL, why);
	must((rc == RC_OK) == (access(dir, F_OK) == 0));
	must(rc == RC_OK || why[0] != '\0');
	must(progress.files <= progress.files_total);
	must(nftw(dir, entry_remove, 16, FTW_DEPTH | FTW_PHYS) == 0 ||
	     rc != RC_OK);
	must(rmdir(top) == 0);
	must(mkdir(top, 0700) == 0);
	free(dir);
	free(file);
	(void)close(fd);
	return (0);
}
