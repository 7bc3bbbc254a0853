#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/obj.h"
#include "registryctl/command.h"
#include "registryctl/folder.h"
#include "registryctl/print.h"
#include "registryctl/work.h"
#include "scan/advisory_import.h"

/*
 * registryctl advisories: what scans know of vulnerabilities.
 */
static const char help[] =
    "Usage: registryctl [--data DIR] [--output text|json] advisories ACTION "
    "...\n"
    "The advisories by which images are scanned.\n"
    "\n"
    "  import FILE... [--source NAME]\n"
    "        take in files of advisories (- is standard input), compressed\n"
    "        with gzip or zstd, or not:\n"
    "          the Debian security tracker's\n"
    "            https://security-tracker.debian.org/tracker/data/json\n"
    "          Alpine's secdb, of each release main and community:\n"
    "            https://secdb.alpinelinux.org/v3.18/main.json\n"
    "          OSV: a record, a list of them, one in each line, or a zip or\n"
    "            tar of them (Ubuntu, Rocky Linux, AlmaLinux, Red Hat, SUSE,\n"
    "            openSUSE, npm, PyPI, ...):\n"
    "            "
    "https://osv-vulnerabilities.storage.googleapis.com/npm/all.zip\n"
    "        What is imported takes the place of what its source had. Images\n"
    "        that were scanned before are looked at again, in the background\n"
    "  status\n"
    "        which sources there are, and how old they are\n"
    "  remove SOURCE\n"
    "        its advisories count no more\n"
    "\n"
    "  --source NAME  import, of one file: what it is called, instead of\n"
    "                 \"debian\", \"alpine:3.18/main\", \"osv:npm\" as the "
    "file "
    "has it\n"
    "\n"
    "An import that fails changes nothing. Where no server runs the folder "
    "itself\n"
    "is opened.\n"
    "\n"
    "Exit status: 0 done, 1 failed, 2 wrong usage.\n";

#define READ_BYTES ((size_t)256 * 1024)
#define ARENA_BYTES ((size_t)64 << 20)
#define ANSWER_BYTES ((size_t)64 << 20)
#define PROGRESS_NS ((int64_t)200 * 1000000)

/* --- a file that is read ------------------------------------------------- */

struct input {
	const char *name; /* for people */
	int fd;
	int64_t bytes; /* below 0: not known */
	uint64_t done;
	int err; /* errno of a read that failed */
	bool terminal;
	int64_t drawn_ns;
	char *room; /* of one that is read here */
};

static void
progress_clear(const struct input *in)
{
	if (in->terminal)
		(void)fputs("\r\033[K", stderr);
}

static void
progress_draw(struct input *in, bool end)
{
	char done[PRINT_BYTES_ROOM], all[PRINT_BYTES_ROOM];
	int64_t now_ns = clock_mono_ns();

	if (!in->terminal || (!end && now_ns - in->drawn_ns < PROGRESS_NS))
		return;
	in->drawn_ns = now_ns;
	(void)fputs("\r\033[K", stderr);
	if (end)
		(void)fprintf(stderr, "%s: storing the rest", in->name);
	else if (in->bytes > 0)
		(void)fprintf(stderr, "%s: %s of %s", in->name,
		    print_bytes(in->done, done),
		    print_bytes((uint64_t)in->bytes, all));
	else
		(void)fprintf(
		    stderr, "%s: %s", in->name, print_bytes(in->done, done));
	(void)fflush(stderr);
}

static bool
input_open(struct input *in, const char *path)
{
	struct stat st;

	*in = (struct input){ .name = path, .bytes = -1 };
	in->terminal = isatty(STDERR_FILENO);
	in->fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO)
					: open(path, O_RDONLY | O_CLOEXEC);
	if (in->fd == -1 || fstat(in->fd, &st) == -1) {
		ctl_say("%s: %s", path, strerror(errno));
		if (in->fd != -1)
			(void)close(in->fd);
		return (false);
	}
	if (S_ISDIR(st.st_mode)) {
		ctl_say("%s is a folder", path);
		(void)close(in->fd);
		return (false);
	}
	if (strcmp(path, "-") == 0)
		in->name = "standard input";
	else if (S_ISREG(st.st_mode))
		in->bytes = st.st_size;
	return (true);
}

static void
input_close(struct input *in)
{
	progress_clear(in);
	free(in->room);
	(void)close(in->fd);
}

static long
input_read(void *arg, void *p, size_t room)
{
	struct input *in = arg;
	ssize_t n;

	/* A file that grows meanwhile is what it was. */
	if (in->bytes >= 0 && room > (uint64_t)in->bytes - in->done)
		room = (size_t)((uint64_t)in->bytes - in->done);
	do
		n = room > 0 ? read(in->fd, p, room) : 0;
	while (n == -1 && errno == EINTR);
	if (n == -1)
		in->err = errno;
	else
		in->done += (uint64_t)n;
	progress_draw(in, n == 0);
	return ((long)n);
}

static long
input_piece(void *arg, const void **p_r)
{
	struct input *in = arg;

	if (in->room == NULL)
		in->room = xmalloc(READ_BYTES);
	*p_r = in->room;
	return (input_read(in, in->room, READ_BYTES));
}

static bool
input_failed(const struct input *in)
{
	if (in->err == 0)
		return (false);
	progress_clear(in);
	ctl_say("%s: %s", in->name, strerror(in->err));
	return (true);
}

/* --- where it goes ------------------------------------------------------- */

/* To the server, or, where none runs, into the folder. */
struct place {
	struct work work; /* .client NULL: none runs */
	struct store *store;
};

static bool
place_open(struct place *p, const struct ctl *ctl, bool read_only)
{
	char why[STORE_WHY_BYTES];
	enum rc rc;

	p->store = NULL;
	rc = work_find(&p->work, ctl);
	if (rc == RC_OK)
		return (true);
	if (rc != RC_NOTFOUND)
		return (false);
	rc = folder_open(ctl->data, read_only, why, &p->store);
	if (rc != RC_OK)
		ctl_say("%s", why);
	return (rc == RC_OK);
}

static void
place_close(struct place *p)
{
	work_close(&p->work);
	if (p->store != NULL)
		store_close(&p->store);
}

static json_t *
json_of(struct buf *text)
{
	json_t *doc = NULL;

	if (buf_ok(text))
		doc = json_loadb(text->p, text->n, 0, NULL);
	buf_free(text);
	must(doc != NULL);
	return (doc);
}

/* --- import -------------------------------------------------------------- */

static json_t *
import_send(struct place *p, struct input *in, const char *source)
{
	const struct client_body body = {
		.read = input_read,
		.arg = in,
		.bytes = in->bytes,
	};
	char *path = work_path(
	    "/control/advisories", "source", source, (const char *)NULL);
	json_t *doc = NULL;
	enum rc rc;

	rc = client_send(p->work.client, path, &body, p->work.why, &doc);
	free(path);
	progress_clear(in);
	if (rc != RC_OK && !input_failed(in))
		ctl_say("%s: %s", in->name, p->work.why);
	return (doc);
}

static json_t *
import_here(struct place *p, struct input *in, const char *source)
{
	const struct advisory_import import = {
		.meta = store_meta(p->store),
		.source = span_of(source),
	};
	struct advisory_imported imported;
	char why[ADVISORY_WHY_BYTES];
	struct arena arena;
	struct buf out;
	enum rc rc;

	arena_init(&arena, ARENA_BYTES);
	buf_init(&out, ANSWER_BYTES);
	rc = advisory_import(&import, input_piece, in, &arena, why, &imported);
	progress_clear(in);
	if (rc == RC_OK)
		advisory_imported_json(&imported, &out);
	else if (!input_failed(in))
		ctl_say("%s: %s", in->name, why[0] != '\0' ? why : rc_text(rc));
	arena_reset(&arena);
	if (rc == RC_OK) {
		(void)!advisory_sweep(import.meta, NULL);
		return (json_of(&out));
	}
	buf_free(&out);
	return (NULL);
}

static const char *
text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return (text != NULL ? text : "");
}

static void
tally_add(const char *text, uint64_t n)
{
	if (n > 0)
		(void)printf(", %" PRIu64 " %s", n, text);
}

static void
import_show(const json_t *o)
{
	uint64_t n = json_array_size(json_object_get(o, "ecosystems"));

	print_text(text_of(o, "source"));
	(void)printf(": ");
	print_count(print_u64(o, "advisories"), "advisory", "advisories");
	(void)printf(" for ");
	if (n == 1)
		print_text(json_string_value(
		    json_array_get(json_object_get(o, "ecosystems"), 0)));
	else
		print_count(n, "system", "systems");
	tally_add("withdrawn", print_u64(o, "withdrawn"));
	tally_add("for systems that are not known here, or without versions",
	    print_u64(o, "skipped"));
	(void)putchar('\n');
}

static enum ctl_exit
import_one(const struct ctl *ctl, struct place *p, const char *file,
    const char *source, json_t *all)
{
	struct input in;
	json_t *doc;

	if (!input_open(&in, file))
		return (CTL_FAILED);
	doc = p->store != NULL ? import_here(p, &in, source)
			       : import_send(p, &in, source);
	input_close(&in);
	if (doc == NULL)
		return (CTL_FAILED);
	if (ctl->output == CTL_TEXT) {
		import_show(doc);
		(void)fflush(stdout);
	}
	must(json_array_append_new(all, doc) == 0);
	return (CTL_OK);
}

struct arguments {
	const char **words;
	size_t n_words;
	const char *source;
};

/* The first that fails ends it; those before it are in. */
static enum ctl_exit
import_do(struct ctl *ctl, const struct arguments *a)
{
	enum ctl_exit code = CTL_OK, shown = CTL_OK;
	struct place p;
	json_t *all;
	size_t i;

	if (a->n_words == 0)
		ctl_usage(ctl, "import: name a file, or - for standard input");
	if (a->source != NULL && a->n_words > 1)
		ctl_usage(ctl, "--source goes with one file: the second would "
			       "take the place of the first");
	if (a->source != NULL && !advisory_source_ok(span_of(a->source)))
		ctl_usage(ctl,
		    "--source %s: must be at most %d letters, digits and "
		    ". _ : / + -",
		    a->source, ADVISORY_SOURCE_MAX_BYTES);
	if (!place_open(&p, ctl, false))
		return (CTL_FAILED);
	all = json_array();
	for (i = 0; i < a->n_words && code == CTL_OK; i++)
		code = import_one(ctl, &p, a->words[i], a->source, all);
	if (ctl->output == CTL_JSON && json_array_size(all) > 0)
		shown =
		    print_json(a->n_words == 1 ? json_array_get(all, 0) : all);
	json_decref(all);
	place_close(&p);
	return (print_done(shown) == CTL_OK ? code : CTL_FAILED);
}

/* --- status -------------------------------------------------------------- */

static json_t *
status_here(struct place *p)
{
	struct advisory_set *sets;
	struct arena arena;
	struct buf out;
	uint64_t revision = 0;
	size_t i, n = 0;
	enum rc rc;

	arena_init(&arena, ARENA_BYTES);
	buf_init(&out, ANSWER_BYTES);
	rc = meta_advisories_revision(store_meta(p->store), &revision);
	if (rc == RC_OK)
		rc =
		    meta_advisory_sets(store_meta(p->store), &arena, &sets, &n);
	buf_printf(&out, "{\"revision\":%" PRIu64 ",\"sources\":[", revision);
	for (i = 0; i < n; i++) {
		if (i > 0)
			buf_char(&out, ',');
		advisory_set_json(&sets[i], &out);
	}
	buf_str(&out, "]}");
	arena_reset(&arena);
	if (rc == RC_OK)
		return (json_of(&out));
	ctl_say("the advisories cannot be read: %s", rc_text(rc));
	buf_free(&out);
	return (NULL);
}

/* "debian:bookworm debian:trixie ...", as many as a line takes. */
static json_t *
systems_text(const json_t *list)
{
	char text[64];
	size_t i, n = 0, len;
	const char *name;

	text[0] = '\0';
	for (i = 0; i < json_array_size(list); i++) {
		name = json_string_value(json_array_get(list, i));
		len = name != NULL ? strlen(name) : 0;
		if (len == 0 || n + len + 8 > sizeof(text))
			break;
		n += (size_t)snprintf(
		    text + n, sizeof(text) - n, "%s%s", n > 0 ? " " : "", name);
	}
	if (i < json_array_size(list))
		(void)snprintf(
		    text + n, sizeof(text) - n, "%s...", n > 0 ? " " : "");
	return (json_string(text));
}

static void
status_show(json_t *doc)
{
	static const struct print_column columns[] = {
		{ "SOURCE", "source" },
		{ "FORMAT", "format" },
		{ "ADVISORIES", "advisories", PRINT_NUMBER },
		{ "IMPORTED", "imported" },
		{ "PUBLISHED", "published" },
		{ "SYSTEMS", "systems" },
	};
	json_t *sources = json_object_get(doc, "sources"), *one;
	size_t i;

	if (json_array_size(sources) == 0) {
		(void)puts("there are no advisories: registryctl advisories "
			   "import FILE");
		return;
	}
	json_array_foreach(sources, i, one)
	{
		must(
		    json_object_set_new(one, "systems",
			systems_text(json_object_get(one, "ecosystems"))) == 0);
	}
	print_table(sources, columns, ARRAY_LEN(columns));
}

static enum ctl_exit
status_do(struct ctl *ctl, const struct arguments *a)
{
	enum ctl_exit shown = CTL_OK;
	struct place p;
	json_t *doc;

	if (a->n_words > 0)
		ctl_usage(ctl, "status: \"%s\" is too much", a->words[0]);
	if (!place_open(&p, ctl, true))
		return (CTL_FAILED);
	doc = p.store != NULL
		  ? status_here(&p)
		  : work_ask(&p.work, "GET", "/control/advisories", NULL);
	place_close(&p);
	if (doc == NULL)
		return (CTL_FAILED);
	if (ctl->output == CTL_JSON)
		shown = print_json(doc);
	else
		status_show(doc);
	json_decref(doc);
	return (print_done(shown));
}

/* --- remove -------------------------------------------------------------- */

static json_t *
remove_here(struct place *p, const char *source)
{
	struct meta *m = store_meta(p->store);
	enum rc rc;

	rc = meta_advisories_drop(m, span_of(source));
	if (rc == RC_OK) {
		(void)!advisory_sweep(m, NULL);
		return (json_object());
	}
	if (rc == RC_NOTFOUND)
		ctl_say("there are no advisories of a source \"%s\"", source);
	else
		ctl_say("%s: not removed: %s", source, rc_text(rc));
	return (NULL);
}

static json_t *
remove_ask(struct place *p, const char *source)
{
	char *path = work_path(
	    "/control/advisories", "source", source, (const char *)NULL);
	json_t *doc = work_ask(&p->work, "DELETE", path, NULL);

	free(path);
	return (doc);
}

static enum ctl_exit
remove_do(struct ctl *ctl, const struct arguments *a)
{
	enum ctl_exit code;
	struct place p;
	json_t *doc;

	if (a->n_words != 1)
		ctl_usage(ctl, "remove: name a source");
	if (!place_open(&p, ctl, false))
		return (CTL_FAILED);
	doc = p.store != NULL ? remove_here(&p, a->words[0])
			      : remove_ask(&p, a->words[0]);
	code = work_told(ctl, doc, "removed advisories of", a->words[0]);
	place_close(&p);
	return (code);
}

/* --- the command --------------------------------------------------------- */

enum own_code { OPT_SOURCE = 256 };

static const struct option own[] = {
	{ "source", required_argument, NULL, OPT_SOURCE },
	{ NULL, 0, NULL, 0 },
};

static const struct action {
	const char *name;
	enum ctl_exit (*run)(struct ctl *, const struct arguments *);
	bool takes_source;
} actions[] = {
	{ "import", import_do, true },
	{ "status", status_do, false },
	{ "remove", remove_do, false },
};

static const struct action *
action_find(const struct ctl *ctl, const char *name)
{
	size_t i;

	if (name == NULL)
		ctl_usage(ctl, "what to do? import, status or remove");
	for (i = 0; i < ARRAY_LEN(actions); i++)
		if (strcmp(actions[i].name, name) == 0)
			return (&actions[i]);
	ctl_usage(ctl, "there is no action \"%s\"", name);
}

static enum ctl_exit
advisories_command(struct ctl *ctl, int argc, char **argv)
{
	struct arguments a = { .n_words = 0 };
	const struct action *action;
	const char *word, *name = NULL;
	enum ctl_exit code;
	int ch;

	a.words = xcalloc((size_t)argc + 1, sizeof(*a.words));
	while ((ch = ctl_next(ctl, argc, argv, own, &word)) != -1) {
		if (ch == OPT_SOURCE)
			a.source = optarg;
		else if (name == NULL)
			name = word;
		else
			a.words[a.n_words++] = word;
	}
	action = action_find(ctl, name);
	if (a.source != NULL && !action->takes_source)
		ctl_usage(ctl, "--source does not go with %s", action->name);
	ctl_needs_data(ctl);
	code = action->run(ctl, &a);
	free(a.words);
	return (code);
}

const struct command command_advisories = {
	.name = "advisories",
	.title = "advisories",
	.summary = "what scans know of vulnerabilities: import, status",
	.help = help,
	.run = advisories_command,
};
