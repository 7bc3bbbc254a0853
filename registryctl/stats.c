#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/obj.h"
#include "registryctl/client.h"
#include "registryctl/command.h"
#include "registryctl/folder.h"
#include "registryctl/print.h"
#include "storage/store_report.h"

/*
 * registryctl stats: what is in the registry, counted.
 */
static const char help[] =
    "Usage: registryctl [--data DIR] [--output text|json] stats\n"
    "Show how much is in a registry: repositories, tags, manifests, blobs,\n"
    "bytes, unfinished uploads, the database and the disk. Asks the server\n"
    "that serves the folder, with figures of its own, or reads the folder\n"
    "where none runs. The counts are kept all the time: this takes no walk.\n"
    "\n"
    "  manifests              those that can be got, archived ones included\n"
    "    deleted, restorable  not among them; take their place on the disk\n"
    "                         until lifecycle.undelete-window is over\n"
    "  blobs\n"
    "    in the archive       bytes as they were pushed, and what they take\n"
    "    held by nothing      go with a collection, gc.grace later\n"
    "  links to blobs         one for each blob of each repository\n"
    "    idle                 needed by no image in service: these wait for a\n"
    "                         collection\n"
    "\n"
    "Exit status: 0 done, 1 failed, 2 wrong usage.\n";

static enum rc
stats_of_folder(const char *data, char why[CLIENT_WHY_BYTES], json_t **doc_r)
{
	char wrong[JSON_ERROR_BYTES];
	struct store_stats st;
	struct store *store;
	struct buf text;
	enum rc rc;

	if ((rc = folder_open(data, true, why, &store)) != RC_OK)
		return (rc);
	store_stats(store, &st);
	store_close(&store);
	buf_init(&text, SIZE_MAX);
	buf_str(&text, "{\"store\":");
	store_stats_json(&st, &text);
	buf_str(&text, ",\"server\":null}");
	rc = json_read(buf_as_span(&text), wrong, doc_r);
	must(rc == RC_OK);
	buf_free(&text);
	return (RC_OK);
}

static enum rc
stats_get(const char *data, char why[CLIENT_WHY_BYTES], json_t **doc_r)
{
	struct client *c;
	enum rc rc;

	rc = client_open(data, why, &c);
	if (rc == RC_NOTFOUND)
		return (stats_of_folder(data, why, doc_r));
	if (rc != RC_OK)
		return (rc);
	rc = client_call(c, "GET", "/control/stats", NULL, why, doc_r);
	client_close(&c);
	return (rc);
}

static void
line_count(const json_t *o, const char *what, const char *key)
{
	(void)printf(
	    "%-22s %llu\n", what, (unsigned long long)print_u64(o, key));
}

static void
line_bytes(const json_t *o, const char *what, const char *key)
{
	char room[PRINT_BYTES_ROOM];

	(void)printf("%-22s %s\n", what, print_bytes(print_u64(o, key), room));
}

static void
line_blobs(
    const json_t *o, const char *what, const char *key, const char *key_bytes)
{
	char room[PRINT_BYTES_ROOM];

	(void)printf("%-22s %llu (%s)\n", what,
	    (unsigned long long)print_u64(o, key),
	    print_bytes(print_u64(o, key_bytes), room));
}

/* What it was, and what it takes there. */
static void
line_archive(const json_t *o)
{
	char from[PRINT_BYTES_ROOM], to[PRINT_BYTES_ROOM];

	(void)printf("%-22s %llu (%s, stored in %s)\n", "  in the archive",
	    (unsigned long long)print_u64(o, "archived_blobs"),
	    print_bytes(print_u64(o, "archived_bytes"), from),
	    print_bytes(print_u64(o, "archived_stored_bytes"), to));
}

static const char *
word_of(const json_t *o, const char *key, const char *without)
{
	const char *word = json_string_value(json_object_get(o, key));

	return (word != NULL ? word : without);
}

/* Since the start of the server. */
static void
gc_show(const json_t *o)
{
	char room[PRINT_BYTES_ROOM];

	if (!json_is_object(o))
		return;
	(void)printf("%-22s %s\n", "last collection",
	    json_is_true(json_object_get(o, "running"))
		? "running now"
		: word_of(o, "last", "none since the start"));
	(void)printf("%-22s %llu (%s)\n", "  blobs reclaimed",
	    (unsigned long long)print_u64(o, "blobs"),
	    print_bytes(print_u64(o, "bytes"), room));
	if (print_u64(o, "failed") > 0)
		line_count(o, "  collections failed", "failed");
}

static void
lifecycle_show(const json_t *o)
{
	const char *running;

	if (!json_is_object(o))
		return;
	running = word_of(o, "running", NULL);
	(void)printf("%-22s ", "last lifecycle run");
	if (running != NULL)
		(void)fputs("running now: ", stdout);
	print_text(running != NULL
		       ? running
		       : word_of(o, "last", "none since the start"));
	(void)putchar('\n');
	line_count(o, "  images expired", "expired");
	line_count(o, "  images archived", "archived");
	if (print_u64(o, "failed") > 0)
		line_count(o, "  runs failed", "failed");
}

static void
server_show(const json_t *o)
{
	if (!json_is_object(o)) {
		(void)printf("%-22s %s\n", "server", "not running");
		return;
	}
	(void)printf("%-22s %s, running since %s\n", "server",
	    word_of(o, "version", "-"), word_of(o, "started", "-"));
	line_count(o, "  connections", "connections");
	line_count(o, "  uploads arriving", "uploads_streaming");
}

static void
stats_show(const json_t *doc)
{
	const json_t *o = json_object_get(doc, "store");

	line_count(o, "repositories", "repositories");
	line_count(o, "manifests", "manifests");
	line_count(o, "  deleted, restorable", "deleted_images");
	line_count(o, "tags", "tags");
	line_count(o, "referrers", "referrers");
	line_count(o, "blobs", "blobs");
	line_blobs(o, "  in files", "file_blobs", "file_bytes");
	line_blobs(o, "  in the database", "inline_blobs", "inline_bytes");
	line_archive(o);
	line_blobs(
	    o, "  held by nothing", "unreferenced_blobs", "unreferenced_bytes");
	line_count(o, "links to blobs", "blob_links");
	line_count(o, "  idle", "idle_links");
	line_count(o, "unfinished uploads", "upload_sessions");
	line_bytes(o, "database", "map_used_bytes");
	line_bytes(o, "  of it to be reused", "map_free_bytes");
	line_bytes(o, "free on the disk", "disk_free_bytes");
	line_bytes(o, "  of it kept free", "disk_reserve_bytes");
	server_show(json_object_get(doc, "server"));
	gc_show(json_object_get(doc, "gc"));
	lifecycle_show(json_object_get(doc, "lifecycle"));
}

static enum ctl_exit
stats_run(struct ctl *ctl, int argc, char **argv)
{
	static const struct option own[] = { { NULL, 0, NULL, 0 } };
	enum ctl_exit code = CTL_OK;
	char why[CLIENT_WHY_BYTES];
	json_t *doc;

	(void)ctl_option(ctl, argc, argv, own);
	ctl_no_arguments(ctl, argc, argv);
	ctl_needs_data(ctl);
	if (stats_get(ctl->data, why, &doc) != RC_OK) {
		ctl_say("%s", why);
		return (CTL_FAILED);
	}
	if (ctl->output == CTL_JSON) {
		code = print_json(doc);
	} else {
		stats_show(doc);
		code = print_done(CTL_OK);
	}
	json_decref(doc);
	return (code);
}

const struct command command_stats = {
	.name = "stats",
	.title = "stats",
	.summary = "count what is in the registry",
	.help = help,
	.run = stats_run,
};
