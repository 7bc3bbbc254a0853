#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/name.h"
#include "base/obj.h"
#include "mirror/sync.h"
#include "registryctl/command.h"
#include "registryctl/folder.h"
#include "registryctl/input.h"
#include "registryctl/print.h"
#include "registryctl/progress.h"
#include "registryctl/remote.h"

/*
 * registryctl copy: an image, or all tags of a repository, from one registry to
 * another.
 */
static const char help[] =
    "Usage: registryctl [--data DIR|--endpoint URL] [--output text|json] copy\n"
    "           [--platform OS/ARCH[/VARIANT]]... [--no-referrers] "
    "[--all-tags]\n"
    "           [--src-username NAME --src-password-stdin|-file FILE]\n"
    "           [--dest-username NAME --dest-password-stdin|-file FILE]\n"
    "           [--ca-file FILE] [--src-ca-file FILE] [--dest-ca-file FILE]\n"
    "           SOURCE DESTINATION\n"
    "Copy an image from one registry to another, byte for byte and with its\n"
    "signatures. Only what is missing there moves; a copy that broke off goes "
    "on\n"
    "where it was when it is run again.\n"
    "\n"
    "  SOURCE, DESTINATION  [http://]HOST[:PORT]/NAME[:TAG][@DIGEST]; without "
    "a\n"
    "                      host NAME[:TAG] is of this registry. The source's\n"
    "                      tag is latest if none is said, and the\n"
    "                      destination's that of the source; by digest alone\n"
    "                      an image gets no tag\n"
    "  --all-tags          all tags of the repository; those that the source\n"
    "                      has no more stay (registryctl mirror can remove "
    "them)\n"
    "  --platform OS/ARCH[/VARIANT]\n"
    "                      of images for several platforms only this one; may\n"
    "                      be given several times. The index stays as it is:\n"
    "                      the destination has to take one that lacks images\n"
    "                      (registryd: manifests.sparse)\n"
    "  --no-referrers      without signatures and whatever else refers to it\n"
    "  --src-username, --dest-username NAME\n"
    "                      log in there as; the password is read from\n"
    "                      standard input (--src-password-stdin, for one of\n"
    "                      them) or a file (--src-password-file FILE)\n"
    "  --ca-file FILE      authorities that sign the certificates, PEM, "
    "instead\n"
    "                      of the system's; --src-ca-file, --dest-ca-file: of\n"
    "                      one side\n" FOLDER_KEY_HELP
    "  --profile NAME, --region NAME\n"
    "                      with --endpoint, as in registryctl get-login "
    "--help\n"
    "\n"
    "This registry is reached by the server that serves the folder, or the\n"
    "folder is opened where none runs; with --endpoint it is elsewhere, and "
    "one\n"
    "logs in with AWS credentials. Here a repository that is not there is\n"
    "created. For other registries the logins of docker\n"
    "and podman are used: REGISTRY_AUTH_FILE, or\n"
    "XDG_RUNTIME_DIR/containers/auth.json and DOCKER_CONFIG/config.json\n"
    "(~/.docker/config.json), with their credential helpers. Hosts are "
    "contacted\n"
    "by https, those of this machine by http.\n"
    "\n"
    "Exit status: 0 done (or nothing to do), 1 failed, 2 wrong usage.\n";

/* --- the command line ---------------------------------------------------- */

#define REFERENCES_ARENA_BYTES ((size_t)64 << 10)

struct side {
	const char *word;
	struct image_reference ref;
	const char *username, *password_file;
	bool password_stdin;
	struct buf buffer; /* while it is read */
	char *password;
};

struct copying {
	const struct ctl *ctl;
	struct side sides[2]; /* by enum remote_side */
	struct remote_options remote_options;
	struct platform platforms[COPY_PLATFORMS_MAX];
	struct copy_options copy;
	struct copy_progress counts;
	bool all_tags;
	struct arena arena;
	struct remote *remote;
	struct place *from, *to;
	struct progress *progress;
	json_t *images; /* what happened */
	int64_t began_ns;
};

enum own_code {
	OPT_MASTER_KEY_FILE = LOGIN_OWN,
	OPT_PLATFORM,
	OPT_NO_REFERRERS,
	OPT_ALL_TAGS,
	OPT_SRC_USERNAME,
	OPT_SRC_PASSWORD_STDIN,
	OPT_SRC_PASSWORD_FILE,
	OPT_SRC_CA_FILE,
	OPT_DEST_USERNAME,
	OPT_DEST_PASSWORD_STDIN,
	OPT_DEST_PASSWORD_FILE,
	OPT_DEST_CA_FILE,
};

static const struct option own[] = {
	LOGIN_OPTIONS,
	{ "master-key-file", required_argument, NULL, OPT_MASTER_KEY_FILE },
	{ "platform", required_argument, NULL, OPT_PLATFORM },
	{ "no-referrers", no_argument, NULL, OPT_NO_REFERRERS },
	{ "all-tags", no_argument, NULL, OPT_ALL_TAGS },
	{ "src-username", required_argument, NULL, OPT_SRC_USERNAME },
	{ "src-password-stdin", no_argument, NULL, OPT_SRC_PASSWORD_STDIN },
	{ "src-password-file", required_argument, NULL, OPT_SRC_PASSWORD_FILE },
	{ "src-ca-file", required_argument, NULL, OPT_SRC_CA_FILE },
	{ "dest-username", required_argument, NULL, OPT_DEST_USERNAME },
	{ "dest-password-stdin", no_argument, NULL, OPT_DEST_PASSWORD_STDIN },
	{ "dest-password-file", required_argument, NULL,
	    OPT_DEST_PASSWORD_FILE },
	{ "dest-ca-file", required_argument, NULL, OPT_DEST_CA_FILE },
	{ NULL, 0, NULL, 0 },
};

static void
platform_take(const struct ctl *ctl, struct copying *x)
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
option_take(const struct ctl *ctl, struct copying *x, int code)
{
	bool dest = code >= OPT_DEST_USERNAME;
	struct side *s = &x->sides[dest ? REMOTE_DESTINATION : REMOTE_SOURCE];

	if (code == OPT_MASTER_KEY_FILE)
		x->remote_options.master_key_file = optarg;
	else if (code == OPT_PLATFORM)
		platform_take(ctl, x);
	else if (code == OPT_NO_REFERRERS)
		x->copy.referrers = false;
	else if (code == OPT_ALL_TAGS)
		x->all_tags = true;
	else if (code == OPT_SRC_USERNAME || code == OPT_DEST_USERNAME)
		s->username = optarg;
	else if (code == OPT_SRC_PASSWORD_STDIN ||
		 code == OPT_DEST_PASSWORD_STDIN)
		s->password_stdin = true;
	else if (code == OPT_SRC_PASSWORD_FILE ||
		 code == OPT_DEST_PASSWORD_FILE)
		s->password_file = optarg;
	else if (code == OPT_SRC_CA_FILE || code == OPT_DEST_CA_FILE)
		x->remote_options.side[s - x->sides].ca_file = optarg;
	else
		login_option(&x->remote_options.login, code);
}

static void
words_take(struct ctl *ctl, int argc, char **argv, struct copying *x)
{
	const char *word;
	size_t n = 0;
	int code;

	while ((code = ctl_next(ctl, argc, argv, own, &word)) != -1) {
		if (code != 0)
			option_take(ctl, x, code);
		else if (n == ARRAY_LEN(x->sides))
			ctl_usage(ctl, "\"%s\" is one word too many", word);
		else
			x->sides[n++].word = word;
	}
	if (n < ARRAY_LEN(x->sides))
		ctl_usage(ctl, "which image, and where to? Name both");
}

static void
password_options_check(const struct ctl *ctl, const struct copying *x)
{
	static const char *const names[] = { "src", "dest" };
	const struct side *s;
	size_t i;

	for (i = 0; i < ARRAY_LEN(x->sides); i++) {
		s = &x->sides[i];
		if (s->password_stdin && s->password_file != NULL)
			ctl_usage(ctl,
			    "--%s-password-stdin or --%s-password-file, not "
			    "both",
			    names[i], names[i]);
		if ((s->username != NULL) !=
		    (s->password_stdin || s->password_file != NULL))
			ctl_usage(ctl,
			    "--%s-username goes with --%s-password-stdin or "
			    "--%s-password-file FILE",
			    names[i], names[i], names[i]);
		if (s->username != NULL && s->ref.url == NULL)
			ctl_usage(ctl,
			    "--%s-username: \"%s\" is of this registry, where "
			    "one logs in with AWS credentials",
			    names[i], s->word);
	}
	if (x->sides[0].password_stdin && x->sides[1].password_stdin)
		ctl_usage(ctl, "one password can come from standard input: "
			       "give the other by --dest-password-file FILE");
}

static void
references_take(const struct ctl *ctl, struct copying *x)
{
	char why[REFERENCE_WHY_BYTES];
	struct image_reference *from = &x->sides[REMOTE_SOURCE].ref,
			       *to = &x->sides[REMOTE_DESTINATION].ref;
	struct side *s;
	size_t i;

	for (i = 0; i < ARRAY_LEN(x->sides); i++) {
		s = &x->sides[i];
		if (image_reference_parse(
			span_of(s->word), &x->arena, &s->ref, why) != RC_OK)
			ctl_usage(ctl, "%s", why);
	}
	if (to->digest.n > 0)
		ctl_usage(ctl,
		    "\"%s\": an image has its digest from what it "
		    "is: name a tag, or nothing",
		    x->sides[REMOTE_DESTINATION].word);
	if (x->all_tags &&
	    (from->tag.n > 0 || from->digest.n > 0 || to->tag.n > 0))
		ctl_usage(ctl, "--all-tags: name repositories without a tag");
	if (x->all_tags)
		return;
	if (from->tag.n == 0 && from->digest.n == 0)
		from->tag = SPAN("latest");
	if (to->tag.n == 0)
		to->tag = from->tag;
}

/* --- passwords ----------------------------------------------------------- */

/* One line of a file, with or without its end. */
static enum rc
password_file_read(struct side *s, char why[INPUT_WHY_BYTES])
{
	struct buf *b = &s->buffer;
	enum rc rc;

	rc = input_file(s->password_file, INPUT_PASSWORD_MAX_BYTES, b, why);
	if (rc != RC_OK)
		return (rc);
	if (b->n > 0 && b->p[b->n - 1] == '\n')
		b->n--;
	if (b->n > 0 && b->p[b->n - 1] == '\r')
		b->n--;
	if (b->n > 0 && memchr(b->p, '\n', b->n) == NULL &&
	    memchr(b->p, '\0', b->n) == NULL)
		return (RC_OK);
	(void)snprintf(why, INPUT_WHY_BYTES,
	    "%.300s must hold a password, in one line", s->password_file);
	input_wipe(b);
	return (RC_INVALID);
}

static bool
password_read(struct side *s)
{
	char why[INPUT_WHY_BYTES];
	enum rc rc;

	if (s->username == NULL)
		return (true);
	rc = s->password_stdin ? input_password(true, &s->buffer, why)
			       : password_file_read(s, why);
	if (rc != RC_OK) {
		ctl_say("%s", why);
		return (false);
	}
	s->password = xstrndup(s->buffer.p, s->buffer.n);
	input_wipe(&s->buffer);
	return (true);
}

static bool
passwords_read(struct copying *x)
{
	struct remote_side_options *o;
	struct side *s;
	size_t i;

	for (i = 0; i < ARRAY_LEN(x->sides); i++) {
		s = &x->sides[i];
		o = &x->remote_options.side[i];
		if (!password_read(s))
			return (false);
		o->username = s->username;
		o->password = s->password;
	}
	return (true);
}

/* --- what happened ------------------------------------------------------- */

static const char *
outcome_name(enum sync_outcome outcome)
{
	static const char *const names[] = {
		[SYNC_SAME] = "same",
		[SYNC_COPIED] = "copied",
		[SYNC_DELETED] = "deleted",
		[SYNC_FAILED] = "failed",
	};

	return (names[outcome]);
}

static void
image_keep(struct copying *x, const struct sync_image *i)
{
	char digest[DIGEST_STR_BYTES];
	json_t *o;

	o = json_pack("{s:s%, s:s, s:I, s:I, s:I}", "tag",
	    i->tag.n > 0 ? i->tag.p : "", i->tag.n, "outcome",
	    outcome_name(i->outcome), "manifests", (json_int_t)i->manifests,
	    "blobs", (json_int_t)i->blobs, "bytes", (json_int_t)i->bytes);
	must(o != NULL);
	if (i->digest.alg != 0)
		(void)json_object_set_new(
		    o, "digest", json_string(digest_str(&i->digest, digest)));
	if (i->why != NULL)
		(void)json_object_set_new(o, "why", json_string(i->why));
	(void)json_array_append_new(x->images, o);
}

static void
image_show(const struct copying *x, const struct sync_image *i)
{
	char digest[DIGEST_STR_BYTES], bytes[PRINT_BYTES_ROOM];
	const char *colon = i->tag.n > 0 ? ":" : "";

	if (i->outcome == SYNC_FAILED) {
		ctl_say("%s%s" SPAN_FMT ": %s", x->to->name, colon,
		    SPAN_ARG(i->tag), i->why);
		return;
	}
	(void)digest_str(&i->digest, digest);
	if (i->outcome == SYNC_SAME) {
		(void)printf("same    %s%s" SPAN_FMT " %s\n", x->to->name,
		    colon, SPAN_ARG(i->tag), digest);
		return;
	}
	(void)printf("copied  %s%s" SPAN_FMT " %s, ", x->to->name, colon,
	    SPAN_ARG(i->tag), digest);
	print_count(i->manifests, "manifest", "manifests");
	(void)fputs(", ", stdout);
	print_count(i->blobs, "blob", "blobs");
	(void)printf(", %s\n", print_bytes(i->bytes, bytes));
}

static void
image_done(void *arg, const struct sync_image *i)
{
	struct copying *x = arg;

	if (x->ctl->output == CTL_JSON) {
		image_keep(x, i);
		return;
	}
	progress_pause(x->progress);
	image_show(x, i);
	(void)fflush(stdout);
	progress_resume(x->progress);
}

static json_t *
document_make(const struct copying *x)
{
	json_t *doc;

	doc = json_pack("{s:s, s:s, s:I, s:O}", "source", x->from->name,
	    "destination", x->to->name, "duration_ms",
	    (json_int_t)((clock_mono_ns() - x->began_ns) / 1000000), "images",
	    x->images);
	must(doc != NULL);
	return (doc);
}

/* --- copying ------------------------------------------------------------- */

static enum ctl_exit
one_copy(struct copying *x)
{
	const struct side *from = &x->sides[REMOTE_SOURCE],
			  *to = &x->sides[REMOTE_DESTINATION];
	struct reference ref = { .tag = from->ref.tag };
	struct upstream_error error = { 0 };
	struct copy_result r;
	struct sync_image image = { .tag = to->ref.tag };
	enum rc rc;

	if (from->ref.digest.n > 0) {
		ref.is_digest = true;
		must(digest_parse(from->ref.digest, &ref.digest) == RC_OK);
	}
	atomic_store(&x->counts.images_total, 1);
	rc =
	    copy_image(x->from, &ref, x->to, to->ref.tag, &x->copy, &r, &error);
	image.digest = r.digest;
	image.manifests = r.manifests;
	image.blobs = r.blobs;
	image.bytes = r.bytes;
	image.outcome = rc != RC_OK		 ? SYNC_FAILED
			: r.outcome == COPY_SAME ? SYNC_SAME
						 : SYNC_COPIED;
	image.why = rc == RC_OK ? NULL : error.why;
	image_done(x, &image);
	return (rc == RC_OK ? CTL_OK : CTL_FAILED);
}

static void
totals_show(const struct copying *x, const struct sync_result *r)
{
	char bytes[PRINT_BYTES_ROOM];

	if (x->ctl->output == CTL_JSON)
		return;
	(void)printf("%" PRIu64 " tags: %" PRIu64 " copied, %" PRIu64
		     " the same, %" PRIu64 " failed; ",
	    r->selected, r->copied, r->same, r->failed);
	print_count(r->blobs, "blob", "blobs");
	(void)printf(", %s\n", print_bytes(r->bytes, bytes));
}

static enum ctl_exit
all_copy(struct copying *x)
{
	const struct select_options all = { .newest = 0 };
	struct upstream_error error = { 0 };
	struct sync_result r;
	char why[SELECT_WHY_BYTES];
	struct selection *selection;
	struct sync_options o = {
		.from = x->from,
		.to = x->to,
		.copy = x->copy,
		.image = image_done,
		.arg = x,
	};
	enum rc rc;

	must(selection_new(&all, why, &selection) == RC_OK);
	o.selection = selection;
	rc = sync_run(&o, &r, &error);
	selection_free(&selection);
	progress_end(&x->progress);
	if (rc != RC_OK) {
		ctl_say("%s", error.why);
		return (CTL_FAILED);
	}
	totals_show(x, &r);
	return (r.failed == 0 ? CTL_OK : CTL_FAILED);
}

/* Of a single image, why it failed is told by the document too; people have
 * been told. */
static enum ctl_exit
copy_do(struct copying *x)
{
	enum ctl_exit code;
	json_t *doc;

	x->began_ns = clock_mono_ns();
	x->progress = progress_start(x->ctl, "copying", &x->counts);
	code = x->all_tags ? all_copy(x) : one_copy(x);
	progress_end(&x->progress);
	if (x->ctl->output != CTL_JSON)
		return (print_done(code));
	doc = document_make(x);
	if (print_json(doc) != CTL_OK)
		code = CTL_FAILED;
	json_decref(doc);
	return (code);
}

static bool
places_open(struct copying *x)
{
	const bool sparse = x->copy.n_platforms > 0;
	char why[REMOTE_WHY_BYTES];
	enum rc rc;

	x->remote = remote_open(x->ctl, &x->remote_options);
	rc = remote_place(x->remote, REMOTE_SOURCE,
	    &x->sides[REMOTE_SOURCE].ref, false, &x->from, why);
	if (rc == RC_OK)
		rc = remote_place(x->remote, REMOTE_DESTINATION,
		    &x->sides[REMOTE_DESTINATION].ref, sparse, &x->to, why);
	if (rc != RC_OK)
		ctl_say("%s", why);
	return (rc == RC_OK);
}

static void
copying_end(struct copying *x)
{
	size_t i;

	place_free(&x->from);
	place_free(&x->to);
	remote_close(&x->remote);
	for (i = 0; i < ARRAY_LEN(x->sides); i++) {
		if (x->sides[i].password != NULL)
			mem_wipe(
			    x->sides[i].password, strlen(x->sides[i].password));
		free(x->sides[i].password);
	}
	json_decref(x->images);
	arena_reset(&x->arena);
}

static enum ctl_exit
copy_command(struct ctl *ctl, int argc, char **argv)
{
	struct copying x = { .ctl = ctl };
	enum ctl_exit code = CTL_FAILED;

	arena_init(&x.arena, REFERENCES_ARENA_BYTES);
	x.images = json_array();
	x.copy.platforms = x.platforms;
	x.copy.referrers = true;
	x.copy.progress = &x.counts;
	words_take(ctl, argc, argv, &x);
	references_take(ctl, &x);
	password_options_check(ctl, &x);
	x.remote_options.cancel = x.copy.cancel = interrupts_flag();
	if (passwords_read(&x) && places_open(&x))
		code = copy_do(&x);
	copying_end(&x);
	return (code);
}

const struct command command_copy = {
	.name = "copy",
	.title = "copy",
	.summary = "copy images from one registry to another",
	.help = help,
	.run = copy_command,
};
