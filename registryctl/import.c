#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
 * registryctl import: images from a file into this registry.  The file is from
 * elsewhere: it is looked through before anything of it is stored.
 */
static const char help[] =
    "Usage: registryctl [--data DIR|--endpoint URL] [--output text|json] "
    "import\n"
    "           [--repository NAME] FILE\n"
    "Push the images of a file: what registryctl export has written, any OCI\n"
    "image layout as a tar file (skopeo copy ... oci-archive:FILE, podman "
    "save\n"
    "--format oci-archive, docker buildx build -o type=oci), and what docker "
    "save\n"
    "and podman save write; plain, or compressed with gzip or zstd. Only what "
    "the\n"
    "registry does not have is moved.\n"
    "\n"
    "  FILE               a file, not a pipe: it is read twice\n"
    "  --repository NAME  put all images there, under their own tags. Without\n"
    "                     it each goes to the repository that the archive "
    "names,\n"
    "                     without the address of a registry in front;\n"
    "                     an image that has no name needs it\n" FOLDER_KEY_HELP
    "  --ca-file FILE, --profile NAME, --region NAME\n"
    "                     with --endpoint, as in registryctl get-login "
    "--help\n"
    "\n"
    "Repositories that are not there are created; with --endpoint where a "
    "push\n"
    "would create them.\n"
    "Layers of docker save are compressed on their way.\n"
    "\n"
    "All of the file is read and verified before anything is stored. Refused\n"
    "are links (but those by which saved images share layers), absolute and\n"
    "other foreign paths, a name that stands there twice, content that is not\n"
    "what its digest says, sizes that are not what follows, more than 1000000\n"
    "entries, 16 MiB of JSON in one of them, 256 MiB of manifests, and what "
    "is\n"
    "compressed more than a thousandfold.\n"
    "\n"
    "Exit status: 0 done, 1 failed or refused, 2 wrong usage.\n";

/* A repository that images go to. */
struct destination {
	struct span name;
	struct place *place;
};

struct importing {
	const char *file;
	struct span repository; /* empty: as the archive says */
	struct remote_options remote_options;
	struct remote *remote;
	struct copy_progress counts;
	struct progress *progress;
	struct archive_reader *reader;
	const struct archive_image *images;
	size_t n_images;
	struct destination *destinations;
	size_t n_destinations;
	bool failed; /* a repository could not be had; that has been said */
};

static bool
say_failed(const struct importing *x, const char *why)
{
	ctl_say("import: %s: %s", x->file, why);
	return (false);
}

/* --- the command line ---------------------------------------------------- */

enum own_code { OPT_MASTER_KEY_FILE = LOGIN_OWN, OPT_REPOSITORY };

static const struct option own[] = {
	LOGIN_OPTIONS,
	{ "master-key-file", required_argument, NULL, OPT_MASTER_KEY_FILE },
	{ "repository", required_argument, NULL, OPT_REPOSITORY },
	{ NULL, 0, NULL, 0 },
};

static void
arguments(struct ctl *ctl, int argc, char **argv, struct importing *x)
{
	const char *word;
	int code;

	while ((code = ctl_next(ctl, argc, argv, own, &word)) != -1) {
		if (code == OPT_REPOSITORY) {
			x->repository = span_of(optarg);
			if (!name_repository_ok(x->repository))
				ctl_usage(ctl,
				    "--repository: \"%s\" is not the name of a "
				    "repository",
				    optarg);
		} else if (code == OPT_MASTER_KEY_FILE) {
			x->remote_options.master_key_file = optarg;
		} else if (code != 0) {
			login_option(&x->remote_options.login, code);
		} else if (x->file != NULL) {
			ctl_usage(ctl, "one FILE, and not \"%s\" too", word);
		} else {
			x->file = word;
		}
	}
	if (x->file == NULL)
		ctl_usage(ctl, "which FILE?");
}

/* --- where the images go ------------------------------------------------- */

static struct span
name_of(const struct importing *x, const struct archive_image *i)
{
	return (x->repository.n > 0 ? x->repository : i->name);
}

static bool
names_check(const struct importing *x)
{
	char why[DIGEST_STR_BYTES + 160], digest[DIGEST_STR_BYTES];
	const struct archive_image *i;

	for (i = x->images; i < x->images + x->n_images; i++) {
		if (name_of(x, i).n > 0)
			continue;
		(void)snprintf(why, sizeof(why),
		    "the image %s has no name in it: say where it is to go "
		    "with --repository NAME",
		    digest_str(&i->digest, digest));
		return (say_failed(x, why));
	}
	return (true);
}

static int
image_cmp(const void *a, const void *b, void *arg)
{
	const struct archive_image *i = a, *j = b;
	int order;

	if ((order = span_cmp(name_of(arg, i), name_of(arg, j))) != 0)
		return (order);
	return (span_cmp(i->tag, j->tag));
}

/* One tag cannot be of two images. */
static bool
tags_check(struct importing *x)
{
	struct archive_image *sorted, *i;
	char why[2 * NAME_TAG_MAX_BYTES + NAME_REPOSITORY_MAX_BYTES];
	bool ok = true;

	sorted = xcalloc(x->n_images + 1, sizeof(*sorted));
	memcpy(sorted, x->images, x->n_images * sizeof(*sorted));
	qsort_r(sorted, x->n_images, sizeof(*sorted), image_cmp, x);
	for (i = sorted + 1; ok && i < sorted + x->n_images; i++) {
		if (i->tag.n == 0 || image_cmp(i - 1, i, x) != 0 ||
		    digest_eq(&(i - 1)->digest, &i->digest))
			continue;
		(void)snprintf(why, sizeof(why),
		    "two different images would be " SPAN_FMT ":" SPAN_FMT,
		    SPAN_ARG(name_of(x, i)), SPAN_ARG(i->tag));
		ok = say_failed(x, why);
	}
	free(sorted);
	return (ok);
}

/* Each repository is opened once; images of one mostly come in a row. */
static struct place *
place_open(void *arg, const struct archive_image *image)
{
	struct importing *x = arg;
	struct span name = name_of(x, image);
	char why[REMOTE_WHY_BYTES];
	struct destination *d;
	size_t i;

	for (i = x->n_destinations; i > 0; i--)
		if (span_eq(x->destinations[i - 1].name, name))
			return (x->destinations[i - 1].place);
	if (x->failed)
		return (NULL);
	d = &x->destinations[x->n_destinations];
	if (remote_here(x->remote, name, false, &d->place, why) != RC_OK) {
		x->failed = true;
		ctl_say("import: %s", why);
		return (NULL);
	}
	d->name = name;
	x->n_destinations++;
	return (d->place);
}

/* All are there before anything moves. */
static bool
places_open(struct importing *x)
{
	size_t i;

	x->destinations = xcalloc(x->n_images + 1, sizeof(*x->destinations));
	for (i = 0; i < x->n_images; i++)
		if (place_open(x, &x->images[i]) == NULL)
			return (false);
	return (true);
}

/* --- all of it ----------------------------------------------------------- */

static bool
file_read(struct importing *x)
{
	char why[ARCHIVE_WHY_BYTES];

	if (archive_reader_open(
		x->file, x->remote_options.cancel, &x->reader, why) != RC_OK)
		return (say_failed(x, why));
	x->n_images = archive_reader_images(x->reader, &x->images);
	if (x->n_images == 0)
		return (say_failed(x, "there is no image in it"));
	return (names_check(x) && tags_check(x));
}

static bool
images_push(const struct ctl *ctl, struct importing *x)
{
	struct upstream_error error = { .why = "" };
	uint64_t done;
	bool ok;

	x->progress = progress_start(ctl, "importing", &x->counts);
	ok = archive_reader_import(
		 x->reader, place_open, x, &x->counts, &done, &error) == RC_OK;
	progress_end(&x->progress);
	/* It names the file, or the repository. */
	if (!ok)
		ctl_say("import: %s", error.why);
	return (ok);
}

static enum ctl_exit
json_show(const struct importing *x)
{
	json_t *doc, *list = json_array(), *o;
	char digest[DIGEST_STR_BYTES];
	const struct archive_image *i;
	enum ctl_exit code;

	for (i = x->images; i < x->images + x->n_images; i++) {
		o = json_pack("{s:s%, s:s}", "repository", name_of(x, i).p,
		    name_of(x, i).n, "digest", digest_str(&i->digest, digest));
		must(o != NULL);
		if (i->tag.n > 0)
			must(json_object_set_new(o, "tag",
				 json_stringn(i->tag.p, i->tag.n)) == 0);
		must(json_array_append_new(list, o) == 0);
	}
	doc = json_pack("{s:s, s:I, s:I, s:o}", "file", x->file, "blobs",
	    (json_int_t)x->counts.blobs, "bytes", (json_int_t)x->counts.bytes,
	    "images", list);
	must(doc != NULL);
	code = print_json(doc);
	json_decref(doc);
	return (code);
}

static enum ctl_exit
text_show(const struct importing *x)
{
	char digest[DIGEST_STR_BYTES], room[PRINT_BYTES_ROOM];
	const struct archive_image *i;

	for (i = x->images; i < x->images + x->n_images; i++)
		(void)printf(SPAN_FMT "%s" SPAN_FMT " %s\n",
		    SPAN_ARG(name_of(x, i)), i->tag.n > 0 ? ":" : "",
		    SPAN_ARG(i->tag), digest_str(&i->digest, digest));
	print_count(x->n_images, "image, ", "images, ");
	print_count(x->counts.blobs, "blob moved", "blobs moved");
	(void)printf(" (%s)\n", print_bytes(x->counts.bytes, room));
	return (print_done(CTL_OK));
}

static enum ctl_exit
import_run(const struct ctl *ctl, struct importing *x)
{
	bool ok;
	size_t i;

	x->remote_options.cancel = interrupts_flag();
	x->remote = remote_open(ctl, &x->remote_options);
	ok = file_read(x) && places_open(x) && images_push(ctl, x);
	for (i = 0; i < x->n_destinations; i++)
		place_free(&x->destinations[i].place);
	free(x->destinations);
	remote_close(&x->remote);
	if (!ok)
		return (CTL_FAILED);
	return (ctl->output == CTL_JSON ? json_show(x) : text_show(x));
}

static enum ctl_exit
import_command(struct ctl *ctl, int argc, char **argv)
{
	struct importing *x = xcalloc(1, sizeof(*x));
	enum ctl_exit code;

	arguments(ctl, argc, argv, x);
	code = import_run(ctl, x);
	archive_reader_close(&x->reader);
	free(x);
	return (code);
}

const struct command command_import = {
	.name = "import",
	.title = "import",
	.summary = "push the images of a file: OCI layouts, docker save",
	.help = help,
	.run = import_command,
};
