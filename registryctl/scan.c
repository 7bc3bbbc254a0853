#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/manifest.h"
#include "base/mem.h"
#include "base/obj.h"
#include "registryctl/command.h"
#include "registryctl/print.h"
#include "registryctl/remote.h"
#include "registryctl/work.h"

/*
 * registryctl scan: what is installed in images, and what is known against it.
 */
static const char help[] =
    "Usage: registryctl [--data DIR] [--output text|json] scan ACTION IMAGE "
    "...\n"
    "What is installed in an image, and what advisories say about that.\n"
    "\n"
    "  start IMAGE [--wait]\n"
    "        look at it, now; as \"aws ecr start-image-scan\", but as often "
    "as\n"
    "        one likes\n"
    "  status IMAGE\n"
    "        how its last scan went\n"
    "  findings IMAGE\n"
    "        the advisories that are about it\n"
    "  packages IMAGE\n"
    "        what is installed in it, advisories or not\n"
    "  sbom IMAGE [--format cyclonedx|spdx] [-o FILE] [--attach]\n"
    "        the same as a software bill of materials, in JSON\n"
    "\n"
    "  --wait         start: return when it has ended\n"
    "  --format NAME  sbom: cyclonedx (CycloneDX 1.5) or spdx (SPDX 2.3)\n"
    "                 (cyclonedx)\n"
    "  -o FILE        sbom: write it there, not to standard output\n"
    "  --attach       sbom: push it to the registry as a referrer of the "
    "image,\n"
    "                 so that \"oras discover\" and the like find it; not to\n"
    "                 standard output\n"
    "\n"
    "An IMAGE is REPOSITORY[:TAG] or REPOSITORY@DIGEST (:latest). Of an index "
    "name\n"
    "one of the images that it refers to, by digest.\n"
    "\n"
    "Exit status: 0 done, 1 failed, 2 wrong usage, 3 the scan did not "
    "complete.\n";

#define LOOK_FIRST_MS 50
#define LOOK_MAX_MS 1000
#define INDENT 2

struct arguments {
	const char *words[2];
	size_t n_words;
	char *repository, *reference; /* ours */
	const char *format, *file;
	bool wait, attach;
};

static const char *
text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return (text != NULL ? text : "");
}

/* --- which image --------------------------------------------------------- */

static void
image_take(struct arguments *a, const char *word)
{
	const char *at = strchr(word, '@'), *slash = strrchr(word, '/');
	const char *name = slash != NULL ? slash : word;
	const char *colon = strchr(name, ':');

	/* Of a tag and a digest, the digest counts. */
	if (at != NULL) {
		a->repository = xstrndup(word, strcspn(word, ":@"));
		a->reference = xstrdup(at + 1);
	} else if (colon != NULL) {
		a->repository = xstrndup(word, (size_t)(colon - word));
		a->reference = xstrdup(colon + 1);
	} else {
		a->repository = xstrdup(word);
		a->reference = xstrdup("latest");
	}
}

static json_t *
image_ask(struct work *w, const struct arguments *a, const char *method,
    const char *path)
{
	char *full = work_path(path, "repository", a->repository, "reference",
	    a->reference, "format", a->format, (const char *)NULL);
	json_t *doc = work_ask(w, method, full, NULL);

	free(full);
	return (doc);
}

/* --- status -------------------------------------------------------------- */

static bool
has_status(const json_t *doc, const char *status)
{
	return (strcmp(text_of(doc, "status"), status) == 0);
}

static const struct print_column scan_columns[] = {
	{ "repository", "repository" },
	{ "digest", "digest" },
	{ "scan", "status" },
	{ "why", "why" },
	{ "started", "started" },
	{ "ended", "ended" },
	{ "advisories of", "advisories" },
};

static void
severities_show(const json_t *doc)
{
	json_t *counts = json_object_get(doc, "severities");
	const char *severity, *comma = "";
	json_t *n;

	if (!has_status(doc, "complete"))
		return;
	(void)printf("findings: ");
	if (json_object_size(counts) == 0)
		(void)printf("none");
	json_object_foreach(counts, severity, n)
	{
		(void)printf("%s%" JSON_INTEGER_FORMAT " ", comma,
		    json_integer_value(n));
		print_text(severity);
		comma = ", ";
	}
	(void)putchar('\n');
}

static void
scan_show(const json_t *doc)
{

	print_fields(doc, scan_columns, ARRAY_LEN(scan_columns));
	severities_show(doc);
}

/* One that was not scanned is no mistake of anybody. */
static enum ctl_exit
scan_code(const json_t *doc)
{
	if (has_status(doc, "failed") || has_status(doc, "unsupported"))
		return (CTL_PROBLEMS);
	return (CTL_OK);
}

static enum ctl_exit
scan_told(const struct ctl *ctl, json_t *doc)
{
	enum ctl_exit code, shown = CTL_OK;

	if (doc == NULL)
		return (CTL_FAILED);
	code = scan_code(doc);
	/* Findings are another action's. */
	(void)json_object_del(doc, "findings");
	if (ctl->output == CTL_JSON)
		shown = print_json(doc);
	else
		scan_show(doc);
	json_decref(doc);
	return (print_done(shown) == CTL_OK ? code : CTL_FAILED);
}

static enum ctl_exit
status_do(struct ctl *ctl, struct work *w, const struct arguments *a)
{

	return (scan_told(ctl, image_ask(w, a, "GET", "/control/scan")));
}

/* --- start --------------------------------------------------------------- */

static void
nap(long ms)
{
	struct timespec pause = { ms / 1000, ms % 1000 * 1000000 };

	while (nanosleep(&pause, &pause) == -1 && errno == EINTR)
		continue;
}

static json_t *
end_wait(struct work *w, const struct arguments *a, json_t *doc)
{
	long ms = LOOK_FIRST_MS;

	while (doc != NULL && has_status(doc, "in progress")) {
		json_decref(doc);
		nap(ms);
		ms = ms * 2 < LOOK_MAX_MS ? ms * 2 : LOOK_MAX_MS;
		doc = image_ask(w, a, "GET", "/control/scan");
	}
	return (doc);
}

static enum ctl_exit
start_do(struct ctl *ctl, struct work *w, const struct arguments *a)
{
	json_t *doc = image_ask(w, a, "POST", "/control/scan");

	if (a->wait)
		doc = end_wait(w, a, doc);
	return (scan_told(ctl, doc));
}

/* --- findings, packages -------------------------------------------------- */

static const char *
attribute(const json_t *finding, const char *key)
{
	const json_t *list = json_object_get(finding, "attributes"), *one;
	size_t i;

	for (i = 0; i < json_array_size(list); i++) {
		one = json_array_get(list, i);
		if (strcmp(text_of(one, "key"), key) == 0)
			return (text_of(one, "value"));
	}
	return (NULL);
}

/* For a table. */
static json_t *
findings_rows(const json_t *doc)
{
	const json_t *list = json_object_get(doc, "findings"), *f;
	json_t *rows = json_array();
	size_t i;

	for (i = 0; i < json_array_size(list); i++) {
		f = json_array_get(list, i);
		must(json_array_append_new(rows,
			 json_pack("{s:s,s:s,s:s?,s:s?,s:s?,s:s}", "severity",
			     text_of(f, "severity"), "name", text_of(f, "name"),
			     "package", attribute(f, "package_name"), "version",
			     attribute(f, "package_version"), "fixed",
			     attribute(f, "fixed_version"), "uri",
			     text_of(f, "uri"))) == 0);
	}
	return (rows);
}

static void
findings_show(const json_t *doc)
{
	static const struct print_column columns[] = {
		{ "SEVERITY", "severity" },
		{ "NAME", "name" },
		{ "PACKAGE", "package" },
		{ "VERSION", "version" },
		{ "FIXED IN", "fixed" },
		{ "MORE", "uri" },
	};
	json_t *rows = findings_rows(doc);

	scan_show(doc);
	if (json_array_size(rows) > 0) {
		(void)putchar('\n');
		print_table(rows, columns, ARRAY_LEN(columns));
	}
	json_decref(rows);
}

static enum ctl_exit
findings_do(struct ctl *ctl, struct work *w, const struct arguments *a)
{
	json_t *doc = image_ask(w, a, "GET", "/control/scan");
	enum ctl_exit code, shown = CTL_OK;

	if (doc == NULL)
		return (CTL_FAILED);
	code = has_status(doc, "complete") ? CTL_OK : CTL_PROBLEMS;
	if (ctl->output == CTL_JSON)
		shown = print_json(doc);
	else
		findings_show(doc);
	if (has_status(doc, "none"))
		ctl_say("it has not been scanned: registryctl scan start %s",
		    a->words[1]);
	json_decref(doc);
	return (print_done(shown) == CTL_OK ? code : CTL_FAILED);
}

static void
packages_show(const json_t *doc)
{
	static const struct print_column columns[] = {
		{ "TYPE", "type" },
		{ "NAME", "name" },
		{ "VERSION", "version" },
		{ "ARCH", "arch" },
		{ "SOURCE", "source" },
		{ "FILE", "path" },
	};
	const json_t *unread = json_object_get(doc, "unread");
	size_t i;

	if (*text_of(doc, "system") != '\0') {
		(void)printf("system: ");
		print_text(text_of(doc, "system"));
		(void)putchar('\n');
	}
	for (i = 0; i < json_array_size(unread); i++) {
		(void)printf("not read: ");
		print_text(json_string_value(json_array_get(unread, i)));
		(void)putchar('\n');
	}
	print_table(
	    json_object_get(doc, "packages"), columns, ARRAY_LEN(columns));
}

static enum ctl_exit
packages_do(struct ctl *ctl, struct work *w, const struct arguments *a)
{
	json_t *doc = image_ask(w, a, "GET", "/control/scan/packages");
	enum ctl_exit shown = CTL_OK;

	if (doc == NULL)
		return (CTL_FAILED);
	if (ctl->output == CTL_JSON)
		shown = print_json(doc);
	else if (json_array_size(json_object_get(doc, "packages")) == 0)
		(void)puts("no packages were found");
	else
		packages_show(doc);
	json_decref(doc);
	return (print_done(shown));
}

/* --- sbom ---------------------------------------------------------------- */

struct memory_blob {
	struct place_blob blob;
	struct span left;
};

static enum rc
memory_read(struct place_blob *b, void *p, size_t room, size_t *n_r,
    struct upstream_error *error)
{
	struct memory_blob *m = (struct memory_blob *)b;

	(void)error;
	*n_r = m->left.n < room ? m->left.n : room;
	memcpy(p, m->left.p, *n_r);
	m->left.p += *n_r;
	m->left.n -= *n_r;
	return (RC_OK);
}

static void
memory_close(struct place_blob *b)
{

	(void)b;
}

static enum rc
blob_push(struct place *p, struct span bytes, struct digest *d_r,
    struct upstream_error *error)
{
	struct memory_blob m = {
		.blob = { .read = memory_read, .close = memory_close },
		.left = bytes,
	};

	digest_of(DIGEST_SHA256, bytes.p, bytes.n, d_r);
	if (p->ops->blob_has(p, d_r, bytes.n, error) == RC_OK)
		return (RC_OK);
	return (p->ops->blob_put(p, d_r, bytes.n, &m.blob, error));
}

/* What an artifact without a configuration has instead. */
#define EMPTY_TYPE "application/vnd.oci.empty.v1+json"
#define EMPTY_TEXT "{}"

static json_t *
descriptor(const char *type, const struct digest *d, size_t bytes)
{
	char text[DIGEST_STR_BYTES];

	return (json_pack("{s:s,s:s,s:I}", "mediaType", type, "digest",
	    digest_str(d, text), "size", (json_int_t)bytes));
}

/* The same document makes the same manifest: attached again, it is one. */
static char *
manifest_text(const json_t *doc, const struct digest *empty,
    const struct digest *content, size_t bytes)
{
	const char *type = text_of(doc, "media_type");
	json_t *m;
	char *text;

	m = json_pack("{s:i,s:s,s:s,s:o,s:[o],s:O,s:{s:s}}", "schemaVersion", 2,
	    "mediaType", MEDIA_OCI_MANIFEST, "artifactType", type, "config",
	    descriptor(EMPTY_TYPE, empty, sizeof(EMPTY_TEXT) - 1), "layers",
	    descriptor(type, content, bytes), "subject",
	    json_object_get(doc, "subject"), "annotations",
	    "org.opencontainers.image.created", text_of(doc, "created"));
	text = m != NULL ? json_dumps(m, JSON_COMPACT) : NULL;
	json_decref(m);
	return (text);
}

static enum rc
manifest_push(struct place *p, const char *text, struct digest *d_r,
    struct upstream_error *error)
{
	struct place_manifest m = {
		.media_type = SPAN(MEDIA_OCI_MANIFEST),
		.text = span_of(text),
		.size_bytes = strlen(text),
	};

	digest_of(DIGEST_SHA256, m.text.p, m.text.n, &m.digest);
	*d_r = m.digest;
	return (p->ops->manifest_put(p, &m, SPAN_NONE, error));
}

static enum rc
referrer_push(struct place *p, const json_t *doc, struct span bytes,
    struct digest *d_r, struct upstream_error *error)
{
	struct digest empty, content;
	char *text;
	enum rc rc;

	if ((rc = blob_push(p, SPAN(EMPTY_TEXT), &empty, error)) != RC_OK ||
	    (rc = blob_push(p, bytes, &content, error)) != RC_OK)
		return (rc);
	text = manifest_text(doc, &empty, &content, bytes.n);
	must(text != NULL);
	rc = manifest_push(p, text, d_r, error);
	free(text);
	return (rc);
}

static enum ctl_exit
attach(struct ctl *ctl, const struct arguments *a, const json_t *doc,
    struct span bytes)
{
	const struct remote_options options = { 0 };
	struct upstream_error error = { 0 };
	struct remote *r = remote_open(ctl, &options);
	char why[REMOTE_WHY_BYTES], text[DIGEST_STR_BYTES];
	struct place *p = NULL;
	struct digest d;
	enum rc rc;

	rc = remote_here(r, span_of(a->repository), false, &p, why);
	if (rc != RC_OK) {
		ctl_say("%s", why);
	} else if ((rc = referrer_push(p, doc, bytes, &d, &error)) != RC_OK) {
		ctl_say("%s", error.why[0] != '\0' ? error.why : rc_text(rc));
	} else if (ctl->output == CTL_JSON) {
		(void)printf("{\"digest\":\"%s\"}\n", digest_str(&d, text));
	} else {
		(void)printf(
		    "attached %s@%s\n", a->repository, digest_str(&d, text));
	}
	place_free(&p);
	remote_close(&r);
	return (rc == RC_OK ? CTL_OK : CTL_FAILED);
}

static enum ctl_exit
bytes_write(const char *path, struct span bytes)
{
	FILE *f = path != NULL ? fopen(path, "we") : stdout;
	bool good;

	if (f == NULL) {
		ctl_say("%s: %s", path, strerror(errno));
		return (CTL_FAILED);
	}
	good = fwrite(bytes.p, 1, bytes.n, f) == bytes.n && fflush(f) == 0;
	if (path != NULL && fclose(f) != 0)
		good = false;
	if (!good)
		ctl_say("%s: %s", path != NULL ? path : "standard output",
		    strerror(errno));
	return (good ? CTL_OK : CTL_FAILED);
}

/* With its line's end. */
static char *
document_text(const json_t *doc)
{
	char *text, *line;

	text =
	    json_dumps(json_object_get(doc, "document"), JSON_INDENT(INDENT));
	must(text != NULL);
	line = xasprintf("%s\n", text);
	free(text);
	return (line);
}

static enum ctl_exit
sbom_do(struct ctl *ctl, struct work *w, const struct arguments *a)
{
	json_t *doc = image_ask(w, a, "GET", "/control/scan/sbom");
	enum ctl_exit code = CTL_OK;
	char *text;

	if (doc == NULL)
		return (CTL_FAILED);
	text = document_text(doc);
	if (a->file != NULL || !a->attach)
		code = bytes_write(a->file, span_of(text));
	if (code == CTL_OK && a->attach)
		code = attach(ctl, a, doc, span_of(text));
	free(text);
	json_decref(doc);
	return (print_done(code));
}

/* --- command line -------------------------------------------------------- */

enum own_code { OPT_WAIT = 256, OPT_FORMAT, OPT_ATTACH };

static const struct option own[] = {
	{ "wait", no_argument, NULL, OPT_WAIT },
	{ "format", required_argument, NULL, OPT_FORMAT },
	{ "output-file", required_argument, NULL, 'o' },
	{ "attach", no_argument, NULL, OPT_ATTACH },
	{ NULL, 0, NULL, 0 },
};

struct action {
	const char *name;
	enum ctl_exit (*run)(
	    struct ctl *, struct work *, const struct arguments *);
	bool starts, documents;
};

static const struct action actions[] = {
	{ "start", start_do, .starts = true },
	{ "status", status_do },
	{ "findings", findings_do },
	{ "packages", packages_do },
	{ "sbom", sbom_do, .documents = true },
};

static void
option_take(const struct ctl *ctl, struct arguments *a, int code)
{
	switch (code) {
	case OPT_WAIT:
		a->wait = true;
		break;
	case OPT_ATTACH:
		a->attach = true;
		break;
	case 'o':
		a->file = optarg;
		break;
	default:
		if (strcmp(optarg, "cyclonedx") != 0 &&
		    strcmp(optarg, "spdx") != 0)
			ctl_usage(ctl, "--format: cyclonedx or spdx");
		a->format = optarg;
	}
}

static void
words_take(struct ctl *ctl, int argc, char **argv, struct arguments *a)
{
	const char *word;
	int code;

	while ((code = ctl_next(ctl, argc, argv, own, &word)) != -1) {
		if (code != 0)
			option_take(ctl, a, code);
		else if (a->n_words == ARRAY_LEN(a->words))
			ctl_usage(ctl, "\"%s\" is one word too many", word);
		else
			a->words[a->n_words++] = word;
	}
}

static const struct action *
action_find(const struct ctl *ctl, const struct arguments *a)
{
	size_t i;

	if (a->n_words == 0)
		ctl_usage(ctl, "start, status, findings, packages or sbom?");
	for (i = 0; i < ARRAY_LEN(actions); i++)
		if (strcmp(actions[i].name, a->words[0]) == 0)
			break;
	if (i == ARRAY_LEN(actions))
		ctl_usage(ctl, "there is no action \"%s\"", a->words[0]);
	if (a->n_words < 2)
		ctl_usage(ctl, "%s: which image?", a->words[0]);
	if (a->wait && !actions[i].starts)
		ctl_usage(ctl, "--wait is of start");
	if ((a->format != NULL || a->file != NULL || a->attach) &&
	    !actions[i].documents)
		ctl_usage(ctl, "--format, -o and --attach are of sbom");
	return (&actions[i]);
}

static enum ctl_exit
run(struct ctl *ctl, int argc, char **argv)
{
	enum ctl_exit code = CTL_FAILED;
	const struct action *action;
	struct arguments a = { 0 };
	struct work w;

	words_take(ctl, argc, argv, &a);
	action = action_find(ctl, &a);
	must(a.words[1] != NULL);
	ctl_needs_data(ctl);
	image_take(&a, a.words[1]);
	if (work_open(&w, ctl)) {
		code = action->run(ctl, &w, &a);
		work_close(&w);
	}
	free(a.repository);
	free(a.reference);
	return (code);
}

const struct command command_scan = {
	.name = "scan",
	.title = "scan",
	.summary = "what is in images, and what is known against it",
	.help = help,
	.run = run,
};
