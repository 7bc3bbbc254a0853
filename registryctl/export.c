#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/name.h"
#include "base/obj.h"
#include "mirror/archive.h"
#include "registryctl/command.h"
#include "registryctl/folder.h"
#include "registryctl/print.h"
#include "registryctl/progress.h"
#include "registryctl/remote.h"

/*
 * registryctl export: images of this registry into a file, for a site without
 * a network.
 */
static const char help[] =
    "Usage: registryctl [--data DIR|--endpoint URL] [--output text|json] "
    "export\n"
    "           [--platform OS/ARCH[/VARIANT]]... [--no-referrers]\n"
    "           -o FILE REPOSITORY[:TAG|@DIGEST]...\n"
    "Write images into one file: an OCI image layout, which registryctl "
    "import,\n"
    "skopeo (oci-archive:), podman load and ctr image import read, with what\n"
    "docker load needs beside it. Content that several images share is in it\n"
    "once, and the same images always give the same file.\n"
    "\n"
    "  -o, --file FILE    what to write: FILE.tar, FILE.tar.gz (.tgz) or\n"
    "                     FILE.tar.zst (.tzst); it has its name when it is\n"
    "                     complete. \"-\": standard output, not compressed\n"
    "  REPOSITORY         all of its tags\n"
    "  REPOSITORY:TAG, REPOSITORY@DIGEST\n"
    "                     one image\n"
    "  --platform OS/ARCH[/VARIANT]\n"
    "                     of images for several platforms only this one; may\n"
    "                     be given several times. The index stays as it is:\n"
    "                     who imports it has to take one that lacks images\n"
    "                     (manifests.sparse)\n"
    "  --no-referrers     without signatures and whatever else refers to the\n"
    "                     images\n" FOLDER_KEY_HELP
    "  --ca-file FILE, --profile NAME, --region NAME\n"
    "                     with --endpoint, as in registryctl get-login "
    "--help\n"
    "\n"
    "docker load takes .tar and .tar.gz, and of an image for several "
    "platforms\n"
    "the one for the machine that wrote the archive, or the only one in it.\n"
    "One archive takes 20000 images and 192 MiB of manifests; if it is\n"
    "compressed more than a thousandfold (it is mostly zeros), import refuses "
    "it.\n"
    "\n"
    "Exit status: 0 done, 1 failed (and there is no file), 2 wrong usage.\n";

/* What is to be exported. */
struct item {
	struct span repository;
	struct span tag;    /* empty: by .digest, or, without one, all tags */
	struct span digest; /* or empty */
};

struct exporting {
	const char *file;
	struct remote_options remote_options;
	struct platform platforms[COPY_PLATFORMS_MAX];
	struct copy_options copy;
	struct copy_progress counts;
	struct item *words, *items;
	size_t n_words, n_items, room;
	struct arena arena;
	struct remote *remote;
	struct archive_writer *writer;
	struct progress *progress;
	json_t *images; /* what was exported */
};

#define ARENA_BYTES ((size_t)256 << 20)

/* --- the command line ---------------------------------------------------- */

static void
item_add(struct item **items, size_t *n, size_t *room, const struct item *item)
{
	if (*n == *room) {
		*room = *room * 2 + 16;
		*items = xrealloc(*items, *room * sizeof(**items));
	}
	(*items)[(*n)++] = *item;
}

static struct item
item_parse(const struct ctl *ctl, const char *word)
{
	struct item item = { .repository = span_of(word) };
	struct digest digest;
	const char *at;

	if ((at = strchr(word, '@')) != NULL) {
		item.digest = span_of(at + 1);
		item.repository.n = (size_t)(at - word);
		if (digest_parse(item.digest, &digest) != RC_OK)
			ctl_usage(ctl, "\"%s\": no digest behind the @", word);
	}
	at = memrchr(word, ':', item.repository.n);
	/* Before a slash it is of an address, and refused below. */
	if (at != NULL &&
	    memchr(at, '/', item.repository.n - (size_t)(at - word)) == NULL) {
		item.tag.p = at + 1;
		item.tag.n = item.repository.n - (size_t)(at + 1 - word);
		item.repository.n = (size_t)(at - word);
		if (!name_tag_ok(item.tag))
			ctl_usage(ctl, "\"%s\": no tag behind the colon", word);
	}
	if (item.tag.n > 0 && item.digest.n > 0)
		ctl_usage(ctl, "\"%s\": a tag or a digest, not both", word);
	if (!name_repository_ok(item.repository))
		ctl_usage(ctl,
		    "\"%s\": not a repository of this registry (they are named "
		    "without its address)",
		    word);
	return (item);
}

enum own_code {
	OPT_MASTER_KEY_FILE = LOGIN_OWN,
	OPT_PLATFORM,
	OPT_NO_REFERRERS,
	OPT_FILE = 'o'
};

static const struct option own[] = {
	LOGIN_OPTIONS,
	{ "file", required_argument, NULL, OPT_FILE },
	{ "master-key-file", required_argument, NULL, OPT_MASTER_KEY_FILE },
	{ "platform", required_argument, NULL, OPT_PLATFORM },
	{ "no-referrers", no_argument, NULL, OPT_NO_REFERRERS },
	{ NULL, 0, NULL, 0 },
};

static void
platform_take(const struct ctl *ctl, struct exporting *x)
{
	if (x->copy.n_platforms == COPY_PLATFORMS_MAX)
		ctl_usage(
		    ctl, "more than %d times --platform", COPY_PLATFORMS_MAX);
	if (platform_parse(
		span_of(optarg), &x->platforms[x->copy.n_platforms++]) != RC_OK)
		ctl_usage(
		    ctl, "--platform: \"%s\" is not OS/ARCH[/VARIANT]", optarg);
}

static void
option_take(const struct ctl *ctl, struct exporting *x, int code)
{
	if (code == OPT_MASTER_KEY_FILE)
		x->remote_options.master_key_file = optarg;
	else if (code == OPT_FILE)
		x->file = optarg;
	else if (code == OPT_PLATFORM)
		platform_take(ctl, x);
	else if (code == OPT_NO_REFERRERS)
		x->copy.referrers = false;
	else
		login_option(&x->remote_options.login, code);
}

static enum archive_compression
compression_of(const struct ctl *ctl, const char *file)
{
	enum archive_compression c = ARCHIVE_PLAIN;

	if (strcmp(file, "-") != 0) {
		if (!archive_compression_of(file, &c))
			ctl_usage(ctl,
			    "-o %s: the name has to end in .tar, .tar.gz, "
			    ".tgz, .tar.zst or .tzst",
			    file);
		return (c);
	}
	if (isatty(STDOUT_FILENO))
		ctl_usage(ctl, "-o -: not to a terminal");
	if (ctl->output == CTL_JSON)
		ctl_usage(ctl,
		    "-o -: the archive has standard output for itself, so "
		    "there is no --output json");
	return (c);
}

static void
arguments(struct ctl *ctl, int argc, char **argv, struct exporting *x)
{
	struct item item;
	const char *word;
	size_t room = 0;
	int code;

	x->copy.referrers = true;
	x->copy.platforms = x->platforms;
	while ((code = ctl_next(ctl, argc, argv, own, &word)) != -1) {
		if (code != 0) {
			option_take(ctl, x, code);
			continue;
		}
		item = item_parse(ctl, word);
		item_add(&x->words, &x->n_words, &room, &item);
	}
	if (x->file == NULL)
		ctl_usage(ctl, "-o FILE says where to write to");
	if (x->n_words == 0)
		ctl_usage(ctl, "which images? REPOSITORY[:TAG|@DIGEST]...");
}

/* --- which images -------------------------------------------------------- */

static bool
say_failed(const char *what, const char *why)
{
	ctl_say("export: %s%s%s", what, what[0] != '\0' ? ": " : "", why);
	return (false);
}

static bool
place_get(struct exporting *x, struct span repository, struct place **p_r)
{
	char why[REMOTE_WHY_BYTES];

	if (remote_here(x->remote, repository, false, p_r, why) == RC_OK)
		return (true);
	return (say_failed("", why));
}

static bool
no_memory(void)
{
	return (say_failed("", "there are too many tags for one archive"));
}

static bool
page_take(struct exporting *x, struct span repository,
    const struct place_names *page, struct span *next_r)
{
	struct item item = { .repository = repository };
	size_t i;

	for (i = 0; i < page->n; i++) {
		item.tag = arena_span(&x->arena, page->items[i]);
		if (item.tag.p == NULL)
			return (no_memory());
		item_add(&x->items, &x->n_items, &x->room, &item);
	}
	*next_r = SPAN_NONE;
	if (page->next.p == NULL)
		return (true);
	*next_r = arena_span(&x->arena, page->next);
	return (next_r->p != NULL ? true : no_memory());
}

static bool
tags_get(struct exporting *x, struct place *p, struct span repository)
{
	struct upstream_error error;
	struct place_names page;
	struct span next = SPAN_NONE;
	size_t before = x->n_items;
	struct arena arena;
	bool ok;

	arena_init(&arena, ARENA_BYTES);
	do {
		ok = p->ops->tags(p, next, &arena, &page, &error) == RC_OK;
		ok = ok ? page_take(x, repository, &page, &next)
			: say_failed("", error.why);
		arena_reset(&arena);
	} while (ok && next.p != NULL);
	if (ok && x->n_items == before) {
		ctl_say("export: " SPAN_FMT ": it has no tags",
		    SPAN_ARG(repository));
		return (false);
	}
	return (ok);
}

static bool
word_take(struct exporting *x, const struct item *word)
{
	struct place *p;
	bool ok;

	if (word->tag.n > 0 || word->digest.n > 0) {
		item_add(&x->items, &x->n_items, &x->room, word);
		return (true);
	}
	if (!place_get(x, word->repository, &p))
		return (false);
	ok = tags_get(x, p, word->repository);
	place_free(&p);
	return (ok);
}

static int
item_cmp(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	int order;

	if ((order = span_cmp(x->repository, y->repository)) != 0 ||
	    (order = span_cmp(x->tag, y->tag)) != 0)
		return (order);
	return (span_cmp(x->digest, y->digest));
}

/* In order, so that the file does not depend on the command line; each once. */
static bool
items_make(struct exporting *x)
{
	size_t i, n = 0;

	for (i = 0; i < x->n_words; i++)
		if (!word_take(x, &x->words[i]))
			return (false);
	qsort(x->items, x->n_items, sizeof(*x->items), item_cmp);
	for (i = 0; i < x->n_items; i++)
		if (n == 0 || item_cmp(&x->items[n - 1], &x->items[i]) != 0)
			x->items[n++] = x->items[i];
	x->n_items = n;
	x->counts.images_total = n;
	return (true);
}

/* --- their content ------------------------------------------------------- */

static void
image_note(struct exporting *x, const struct item *item,
    const struct copy_result *result)
{
	char digest[DIGEST_STR_BYTES];
	json_t *o;

	o = json_pack("{s:s%, s:s}", "repository", item->repository.p,
	    item->repository.n, "digest", digest_str(&result->digest, digest));
	must(o != NULL);
	if (item->tag.n > 0)
		must(json_object_set_new(o, "tag",
			 json_stringn(item->tag.p, item->tag.n)) == 0);
	must(json_array_append_new(x->images, o) == 0);
}

static bool
item_copy(struct exporting *x, const struct item *item, struct place *from,
    struct place *to)
{
	struct reference ref = { .tag = item->tag };
	struct upstream_error error = { .why = "" };
	struct copy_result result;

	if (item->tag.n == 0) {
		ref.is_digest = true;
		must(digest_parse(item->digest, &ref.digest) == RC_OK);
	}
	if (copy_image(from, &ref, to, item->tag, &x->copy, &result, &error) !=
	    RC_OK)
		return (say_failed("", error.why));
	image_note(x, item, &result);
	return (true);
}

/* All of one repository. */
static bool
items_copy(struct exporting *x, size_t first, size_t n)
{
	struct place *from, *to;
	bool ok = true;
	size_t i;

	if (!place_get(x, x->items[first].repository, &from))
		return (false);
	to = archive_writer_place(x->writer, x->items[first].repository);
	for (i = first; ok && i < first + n; i++)
		ok = item_copy(x, &x->items[i], from, to);
	place_free(&to);
	place_free(&from);
	return (ok);
}

static bool
all_copy(struct exporting *x)
{
	size_t i, n;

	for (i = 0; i < x->n_items; i += n) {
		n = 1;
		while (i + n < x->n_items && span_eq(x->items[i].repository,
						 x->items[i + n].repository))
			n++;
		if (!items_copy(x, i, n))
			return (false);
	}
	return (true);
}

static bool
file_write(const struct ctl *ctl, struct exporting *x)
{
	bool to_stdout = strcmp(x->file, "-") == 0, ok;
	char why[ARCHIVE_WHY_BYTES];

	if (archive_writer_new(x->file, to_stdout ? STDOUT_FILENO : -1,
		compression_of(ctl, x->file), &x->writer, why) != RC_OK)
		return (say_failed(x->file, why));
	x->progress = progress_start(ctl, "exporting", &x->counts);
	ok = all_copy(x);
	if (ok && archive_writer_finish(&x->writer, why) != RC_OK)
		ok = say_failed(x->file, why);
	archive_writer_abort(&x->writer);
	progress_end(&x->progress);
	return (ok);
}

/* --- all of it ----------------------------------------------------------- */

static enum ctl_exit
json_show(const struct exporting *x)
{
	json_t *doc;
	enum ctl_exit code;

	doc = json_pack("{s:s, s:I, s:I, s:O}", "file", x->file, "blobs",
	    (json_int_t)x->counts.blobs, "bytes", (json_int_t)x->counts.bytes,
	    "images", x->images);
	must(doc != NULL);
	code = print_json(doc);
	json_decref(doc);
	return (code);
}

static enum ctl_exit
text_show(const struct exporting *x)
{
	FILE *out = strcmp(x->file, "-") == 0 ? stderr : stdout;
	char room[PRINT_BYTES_ROOM];
	const json_t *image, *tag;
	size_t i;

	json_array_foreach(x->images, i, image)
	{
		tag = json_object_get(image, "tag");
		(void)fprintf(out, "%s%s%s %s\n",
		    json_string_value(json_object_get(image, "repository")),
		    tag != NULL ? ":" : "",
		    tag != NULL ? json_string_value(tag) : "",
		    json_string_value(json_object_get(image, "digest")));
	}
	(void)fprintf(out, "%zu %s, %llu %s (%s) to %s\n", x->n_items,
	    x->n_items == 1 ? "image" : "images",
	    (unsigned long long)x->counts.blobs,
	    x->counts.blobs == 1 ? "blob" : "blobs",
	    print_bytes(x->counts.bytes, room), x->file);
	return (print_done(CTL_OK));
}

static enum ctl_exit
export_run(const struct ctl *ctl, struct exporting *x)
{
	bool ok;

	(void)compression_of(ctl, x->file);
	x->remote_options.cancel = x->copy.cancel = interrupts_flag();
	x->copy.progress = &x->counts;
	x->remote = remote_open(ctl, &x->remote_options);
	ok = items_make(x) && file_write(ctl, x);
	remote_close(&x->remote);
	if (!ok)
		return (CTL_FAILED);
	return (ctl->output == CTL_JSON ? json_show(x) : text_show(x));
}

static enum ctl_exit
export_command(struct ctl *ctl, int argc, char **argv)
{
	struct exporting *x = xcalloc(1, sizeof(*x));
	enum ctl_exit code;

	arena_init(&x->arena, ARENA_BYTES);
	x->images = json_array();
	arguments(ctl, argc, argv, x);
	code = export_run(ctl, x);
	json_decref(x->images);
	arena_reset(&x->arena);
	free(x->words);
	free(x->items);
	free(x);
	return (code);
}

const struct command command_export = {
	.name = "export",
	.title = "export",
	.summary =
	    "write images into a file, for another registry or docker load",
	.help = help,
	.run = export_command,
};
