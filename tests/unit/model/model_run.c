#include "model.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"

/*
 * A sequence from its beginning to its end, in one child after another.
 */

/* 2001; the files of the system are younger. */
#define BEGIN_MS INT64_C(1000000000000)
/* Nothing here takes as long, but what hangs. */
#define CHILD_MAX_S 60
#define ROUNDS_MAX 40
#define CHILD_FAILED 1

_Noreturn void
model_fail(struct model *m, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(m->sh->why, sizeof(m->sh->why), fmt, ap);
	va_end(ap);
	_exit(CHILD_FAILED);
}

/* --- the store ----------------------------------------------------------- */

void
model_open(struct model *m)
{
	char why[STORE_WHY_BYTES] = "";
	enum rc rc;

	m->options = (struct store_options){
		.dir = m->sh->dir,
		.inline_max_bytes = INLINE_MAX,
		.reserve_bytes = 1,
		.map_bytes = (uint64_t)16 << 20,
		.upload_sessions_max = 1000,
		.upload_lifetime_ms = LIFETIME_MS,
		.max_threads = 8,
		.undelete_ms = m->sh->undelete_ms,
	};
	rc = store_open(&m->options, why, &m->store);
	if (rc != RC_OK)
		model_fail(m, "store_open: %s: %s", rc_text(rc), why);
	m->meta = store_meta(m->store);
	gc_grace_set(m->store, GRACE_MS);
}

void
model_close(struct model *m)
{
	store_close(&m->store);
}

/* --- after a crash ------------------------------------------------------- */

/* What was only in memory is gone. */
static void
memory_forget(struct shared *sh)
{
	struct m_repo *r;
	unsigned i;

	memset(sh->clients, 0, sizeof(sh->clients));
	for (i = 0; i < REPOS; i++) {
		r = &sh->state.repos[i];
		r->n_acts = 0;
	}
	sh->crash_armed = false;
}

static void
policies_read(struct model *m)
{
	struct lifecycle_row row;
	struct m_repo *r;
	unsigned i;

	for (i = 0; i < REPOS; i++) {
		r = &m->sh->state.repos[i];
		if (r->exists && meta_lifecycle_get(m->meta, world_repo(i),
				     &m->arena, &row) == RC_OK)
			r->policy = row.revision;
	}
	arena_reset(&m->arena);
}

/* What was under way has happened, or it has not. */
static void
resolve(struct model *m)
{
	const struct change none = { .repo = -1 };
	struct m_state before = m->sh->state, after = m->sh->state;
	char why[MODEL_WHY], why_after[MODEL_WHY];

	model_sync(m, &before, &none);
	change_apply(m, &after, &m->sh->change);
	if (model_same(m, &before, why)) {
		m->sh->state = before;
		return;
	}
	model_sync(m, &after, &m->sh->change);
	if (!model_same(m, &after, why_after))
		model_fail(m,
		    "after a crash in change %d: neither before it (%s) nor "
		    "after it (%s)",
		    (int)m->sh->change.kind, why, why_after);
	m->sh->state = after;
}

static void
recover(struct model *m)
{
	resolve(m);
	policies_read(m);
	memory_forget(m->sh);
	m->sh->change = (struct change){ .kind = CHANGE_NONE };
	m->sh->collecting = false;
	model_fsck(m, true);
}

/* --- the end ------------------------------------------------------------- */

static bool
idle(const struct gc_totals *t)
{
	return (t->links == 0 && t->blobs == 0 && t->deleted_images == 0 &&
		t->repository_rows == 0 && t->referrers == 0 &&
		t->referrers_archived == 0 && t->uploads == 0 &&
		t->orphan_files == 0 && t->archived_blobs == 0 &&
		t->activated_images == 0 && t->settles_ms == 0);
}

/* Time passes and the collector comes, until it finds nothing to do. */
static void
settle(struct model *m)
{
	struct gc_totals totals;
	unsigned round, idle_rounds = 0;

	for (round = 0; round < ROUNDS_MAX && idle_rounds < 2; round++) {
		m->sh->now_ms += 2 * LIFETIME_MS;
		model_collect(m, &totals);
		idle_rounds = idle(&totals) ? idle_rounds + 1 : 0;
	}
	if (idle_rounds < 2)
		model_fail(m, "the collector finds something to do for ever");
}

static void
finish(struct model *m)
{
	unsigned i;

	m->sh->done = true;
	m->sh->crash_armed = false;
	model_check(m);
	for (i = 0; i < READERS; i++)
		reader_read(m, i);
	memset(m->sh->clients, 0, sizeof(m->sh->clients));
	settle(m);
	model_check(m);
	model_leaks(m);
	model_fsck(m, false);
	memset(m->sh->state.n_doomed, 0, sizeof(m->sh->state.n_doomed));
	for (i = 0; i < REPOS; i++)
		repo_delete(m, i);
	settle(m);
	model_empty(m);
	model_fsck(m, false);
}

/* --- children ------------------------------------------------------------ */

static void
log_to(const char *dir)
{
	char *path = xasprintf("%s.log", dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	if (fd >= 0)
		(void)dup2(fd, STDERR_FILENO);
	free(path);
	log_set_level(LOG_LVL_ERROR);
}

static void
child_run(struct shared *sh, bool first)
{
	struct model m = { .sh = sh };
	unsigned i;

	(void)alarm(CHILD_MAX_S);
	log_to(sh->dir);
	for (i = 0; i < READERS; i++)
		m.readers[i] = (struct blob_file)BLOB_FILE_NONE;
	arena_init(&m.arena, (size_t)16 << 20);
	world_make(&m.world, sh->seed);
	sys_begin(&m);
	model_open(&m);
	if (!first)
		recover(&m);
	steps_run(&m);
	finish(&m);
	model_close(&m);
	sys_end();
	arena_reset(&m.arena);
	world_free(&m.world);
}

static int
child_wait(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		must(errno == EINTR);
	return (status);
}

static int
child_start(struct shared *sh, bool first)
{
	pid_t pid;

	(void)fflush(NULL);
	pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		child_run(sh, first);
		_exit(0);
	}
	return (child_wait(pid));
}

static int
entry_remove(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return (remove(path));
}

static void
folder_make(struct shared *sh)
{
	const char *tmp = getenv("TMPDIR");

	if (access("/dev/shm", W_OK) == 0)
		tmp = "/dev/shm";
	(void)snprintf(sh->dir, sizeof(sh->dir), "%s/registryd-model-XXXXXX",
	    tmp != NULL ? tmp : "/tmp");
	must(mkdtemp(sh->dir) != NULL);
}

/* Whatever was logged, errors only, is one. */
static void
folder_remove(struct shared *sh, struct model_result *r)
{
	char *path = xasprintf("%s.log", sh->dir);
	size_t n = strlen(r->why);
	FILE *f;

	if ((f = fopen(path, "re")) != NULL) {
		n += (size_t)snprintf(r->why + n, sizeof(r->why) - n, "\n");
		n += fread(r->why + n, 1, sizeof(r->why) - n - 1, f);
		r->why[n] = '\0';
		r->failed = r->failed || ftell(f) > 0;
		(void)fclose(f);
	}
	(void)unlink(path);
	free(path);
	(void)nftw(sh->dir, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
}

static void
shared_reset(struct shared *sh)
{
	unsigned i;

	sh->now_ms = BEGIN_MS;
	sh->at = 0;
	sh->done = sh->collecting = sh->crash_armed = false;
	sh->change = (struct change){ .kind = CHANGE_NONE };
	memset(&sh->state, 0, sizeof(sh->state));
	for (i = 0; i < REPOS; i++)
		repo_clear(&sh->state.repos[i]);
	memset(sh->clients, 0, sizeof(sh->clients));
	sh->crashes = 0;
	sh->why[0] = '\0';
}

void
sequence_run(struct shared *sh, struct model_result *r)
{
	bool first = true;
	int status;

	shared_reset(sh);
	sh->tally.sequences++;
	folder_make(sh);
	for (;;) {
		status = child_start(sh, first);
		if (!WIFEXITED(status) || WEXITSTATUS(status) != MODEL_CRASHED)
			break;
		sh->crashes++;
		sh->tally.crashes++;
		sh->crash_armed = false;
		first = first && sh->at == 0;
	}
	*r = (struct model_result){ .failed = status != 0, .at = sh->at };
	if (WIFSIGNALED(status))
		(void)snprintf(
		    r->why, sizeof(r->why), "signal %d", WTERMSIG(status));
	else if (r->failed)
		(void)snprintf(r->why, sizeof(r->why), "%s", sh->why);
	folder_remove(sh, r);
}

/* --- telling of a failure ------------------------------------------------ */

static struct shared *
shared_copy(const struct shared *sh)
{
	struct shared *copy;

	copy = mmap(NULL, sizeof(*copy), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(copy != MAP_FAILED);
	*copy = *sh;
	return (copy);
}

static void
steps_cut(struct shared *sh, size_t from, size_t n)
{
	memmove(&sh->steps[from], &sh->steps[from + n],
	    (sh->n_steps - from - n) * sizeof(*sh->steps));
	sh->n_steps -= n;
}

/* Without what it fails without. */
static void
steps_minimize(struct shared *sh, struct model_result *r)
{
	struct shared *copy = shared_copy(sh);
	struct model_result result;
	time_t until = time(NULL) + 20;
	size_t n, from;

	for (n = sh->n_steps / 2; n > 0; n /= 2) {
		for (from = 0; from + n <= sh->n_steps && time(NULL) < until;) {
			*copy = *sh;
			steps_cut(copy, from, n);
			sequence_run(copy, &result);
			if (!result.failed) {
				from += n;
				continue;
			}
			steps_cut(sh, from, n);
			*r = result;
		}
	}
	must(munmap(copy, sizeof(*copy)) == 0);
}

void
sequence_tell(struct shared *sh, const struct model_result *r)
{
	struct model_result result = *r;
	size_t i;

	printf("# seed %llu fails: %s\n", (unsigned long long)sh->seed, r->why);
	steps_minimize(sh, &result);
	printf("# it fails with these %zu steps, too, undelete window %lld:\n",
	    sh->n_steps, (long long)sh->undelete_ms);
	for (i = 0; i < sh->n_steps; i++) {
		if (i == result.at)
			printf("#   --- came to here\n");
		step_print(&sh->steps[i]);
	}
	printf("# %s\n", result.why);
}
