#include <stdio.h>
#include <stdlib.h>

#include "registryctl/command.h"
#include "registryctl/print.h"
#include "registryctl/work.h"

/*
 * registryctl gc: what nobody needs leaves the disk, now.
 */
static const char help[] =
    "Usage: registryctl [--data DIR] [--output text|json] gc [--dry-run]\n"
    "Collect what nobody needs any more, while the server goes on serving:\n"
    "content that no image needs and no client was told of in the last\n"
    "gc.grace, signatures whose image went, deleted images and repositories\n"
    "past lifecycle.undelete-window, unfinished uploads, files that a crash\n"
    "has left. The server does this by itself as well; here it does it at "
    "once.\n"
    "Returns when the collection that it started, or joined, is done.\n"
    "\n"
    "  --dry-run   change nothing, say what would be reclaimed\n"
    "\n"
    "Exit status: 0 done, 1 failed, 2 wrong usage.\n";

static uint64_t
total(const json_t *job, const char *key)
{
	return (print_u64(json_object_get(job, "totals"), key));
}

static void
progress_show(const json_t *job)
{
	char room[PRINT_BYTES_ROOM], duration[PRINT_DURATION_ROOM];

	(void)fprintf(stderr,
	    "\r\033[K%s: %llu links, %llu blobs, %s reclaimed so far",
	    print_duration(print_u64(job, "duration_ms"), duration),
	    (unsigned long long)total(job, "links"),
	    (unsigned long long)total(job, "blobs"),
	    print_bytes(total(job, "bytes"), room));
	(void)fflush(stderr);
}

/* What there is none of is not talked about. */
static void
line(const json_t *job, const char *what, const char *key, const char *bytes)
{
	uint64_t n = total(job, key);
	char room[PRINT_BYTES_ROOM];

	if (n == 0)
		return;
	(void)printf("%-28s %llu", what, (unsigned long long)n);
	if (bytes != NULL)
		(void)printf(" (%s)", print_bytes(total(job, bytes), room));
	(void)putchar('\n');
}

/* How much it was, and what it takes there. */
static void
archived_show(const json_t *job)
{
	char from[PRINT_BYTES_ROOM], to[PRINT_BYTES_ROOM];

	if (total(job, "archived_blobs") == 0)
		return;
	(void)printf("%-28s %llu (%s, stored in %s)\n", "moved to the archive",
	    (unsigned long long)total(job, "archived_blobs"),
	    print_bytes(total(job, "archived_from_bytes"), from),
	    print_bytes(total(job, "archived_to_bytes"), to));
}

static void
waiting_show(const json_t *job)
{
	uint64_t settles = total(job, "settles_ms");
	char room[PRINT_BYTES_ROOM], room2[PRINT_BYTES_ROOM];
	char duration[PRINT_DURATION_ROOM];

	line(job, "links waiting for gc.grace", "waiting_links", NULL);
	line(job, "blobs waiting for gc.grace", "waiting_blobs",
	    "waiting_bytes");
	line(job, "promised to clients", "leased", NULL);
	if (total(job, "database_bytes") > 0)
		(void)printf("%-28s %s of %s\n", "free inside of the database",
		    print_bytes(total(job, "database_free_bytes"), room),
		    print_bytes(total(job, "database_bytes"), room2));
	if (settles > 0)
		(void)printf("no content goes for another %s, one gc.grace "
			     "from the server's start on\n",
		    print_duration(settles, duration));
}

static void
totals_show(const json_t *job, bool dry_run)
{
	char room[PRINT_BYTES_ROOM];

	(void)fputs(dry_run ? "would be reclaimed: " : "reclaimed: ", stdout);
	print_count(total(job, "blobs"), "blob", "blobs");
	(void)printf(" (%s), ", print_bytes(total(job, "bytes"), room));
	print_count(total(job, "links"), "link of a repository\n",
	    "links of repositories\n");
	line(job, "deleted images, for good", "deleted_images", NULL);
	line(job, "rows of deleted repositories", "repository_rows", NULL);
	line(job, "referrers of deleted images", "referrers", NULL);
	line(job, "referrers archived", "referrers_archived", NULL);
	line(job, "unfinished uploads", "uploads", NULL);
	line(job, "files without a record", "orphan_files", "orphan_bytes");
	line(job, "empty folders", "folders", NULL);
	archived_show(job);
	line(job, "images restored from it", "activated_images",
	    "activated_bytes");
	waiting_show(job);
}

static enum ctl_exit
gc_run_here(struct ctl *ctl, bool dry_run)
{
	const struct work_job j = {
		.path = dry_run ? "/control/gc?dry-run=true" : "/control/gc",
		.what = "the collection",
		.progress = progress_show,
	};
	enum ctl_exit code = CTL_FAILED, shown = CTL_OK;
	struct work w;
	json_t *job;

	if (!work_open(&w, ctl))
		return (CTL_FAILED);
	if ((job = work_run(&w, ctl, &j)) != NULL) {
		if (ctl->output == CTL_JSON)
			shown = print_json(job);
		else
			totals_show(job, dry_run);
		code = work_code(job, j.what);
		if (print_done(shown) != CTL_OK)
			code = CTL_FAILED;
	}
	json_decref(job);
	work_close(&w);
	return (code);
}

enum own_code { OPT_DRY_RUN = 256 };

static const struct option own[] = {
	{ "dry-run", no_argument, NULL, OPT_DRY_RUN },
	{ NULL, 0, NULL, 0 },
};

static enum ctl_exit
gc_command(struct ctl *ctl, int argc, char **argv)
{
	bool dry_run = false;

	while (ctl_option(ctl, argc, argv, own) == OPT_DRY_RUN)
		dry_run = true;
	ctl_no_arguments(ctl, argc, argv);
	ctl_needs_data(ctl);
	return (gc_run_here(ctl, dry_run));
}

const struct command command_gc = {
	.name = "gc",
	.title = "gc",
	.summary = "give back the disk that nobody needs any more",
	.help = help,
	.run = gc_command,
};
