#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/name.h"
#include "base/obj.h"
#include "base/thread.h"
#include "registryd/audit.h"
#include "registryd/settings.h"

/* The audit log: its lines, its file, and what becomes of failures. */

static char dir[64];

static const char *
path_of(const char *name)
{
	static char paths[2][128];
	static unsigned next;
	char *path = paths[next++ % ARRAY_LEN(paths)];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return (path);
}

/* All of a file; the caller's. */
static char *
file_read(const char *path)
{
	struct stat st;
	char *text;
	int fd = open(path, O_RDONLY);

	assert_true(fd != -1);
	assert_int_equal(fstat(fd, &st), 0);
	text = xcalloc(1, (size_t)st.st_size + 1);
	assert_int_equal(read(fd, text, (size_t)st.st_size), st.st_size);
	(void)close(fd);
	return (text);
}

static size_t
lines_count(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += *text == '\n';
	return (n);
}

/* The only line of a file. */
static json_t *
line_read(const char *path)
{
	char *text = file_read(path);
	json_t *o;

	assert_int_equal(lines_count(text), 1);
	o = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(o);
	free(text);
	return (o);
}

static const char *
text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	assert_non_null(text);
	return (text);
}

static json_int_t
number_of(const json_t *o, const char *key)
{
	assert_true(json_is_integer(json_object_get(o, key)));
	return (json_integer_value(json_object_get(o, key)));
}

static void
digest_make(struct digest *d)
{
	digest_of(DIGEST_SHA256, "a", 1, d);
}

/* What the log of the server says meanwhile goes into a file. */
static int
stderr_take(const char *path)
{
	int saved = dup(STDERR_FILENO);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);

	assert_true(saved != -1 && fd != -1);
	assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	(void)close(fd);
	return (saved);
}

static void
stderr_give_back(int saved)
{
	assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
	(void)close(saved);
}

static size_t
occurrences(const char *path, const char *what)
{
	char *text = file_read(path), *p = text;
	size_t n = 0;

	while ((p = strstr(p, what)) != NULL) {
		n++;
		p++;
	}
	free(text);
	return (n);
}

static struct audit_target *
target_open(const char *name)
{
	char why[AUDIT_WHY_BYTES] = "";
	struct audit_target *target;

	if (audit_target_open(name, why, &target) != RC_OK)
		fail_msg("%s", why);
	return (target);
}

static struct audit *
audit_at(const char *name)
{
	struct audit_target *target = target_open(name);
	struct audit *a = audit_new(&target);

	assert_null(target);
	return (a);
}

static void
audit_move(struct audit *a, const char *name)
{
	struct audit_target *target = target_open(name);

	audit_reopen(a, &target);
	assert_null(target);
}

static void
event_write(const char *target, const struct audit_event *e)
{
	struct audit *a = audit_at(target);

	audit_write(a, e);
	audit_free(&a);
	assert_null(a);
}

/* --- lines --------------------------------------------------------------- */

static void
a_line_tells_what_is_known_of_an_image(void **state)
{
	const struct span tags[] = { SPAN("v1"), SPAN("v2") };
	const char *path = path_of("image.log");
	struct digest d;
	char text[DIGEST_STR_BYTES];
	json_t *o;

	(void)state;
	digest_make(&d);
	event_write(path, &(struct audit_event){ .kind = AUDIT_LIFECYCLE_EXPIRE,
			      .repository = SPAN("team/app"),
			      .digest = &d,
			      .tags_known = true,
			      .tags = tags,
			      .n_tags = 2,
			      .rule = 3,
			      .policy_revision = 17,
			      .bytes = 1234 });
	o = line_read(path);
	assert_string_equal(text_of(o, "event"), "lifecycle-expire");
	assert_int_equal(strlen(text_of(o, "time")), 24);
	assert_string_equal(text_of(o, "repository"), "team/app");
	assert_string_equal(text_of(o, "digest"), digest_str(&d, text));
	assert_int_equal(json_array_size(json_object_get(o, "tags")), 2);
	assert_int_equal(number_of(o, "rule"), 3);
	assert_int_equal(number_of(o, "policy_revision"), 17);
	assert_int_equal(number_of(o, "bytes"), 1234);
	assert_null(json_object_get(o, "by"));
	assert_null(json_object_get(o, "links"));
	json_decref(o);
}

static void
an_image_without_tags_has_none_and_unknown_ones_are_left_out(void **state)
{
	const char *path = path_of("untagged.log");
	struct audit_event e = { .kind = AUDIT_IMAGE_DELETE };
	struct digest d;
	json_t *o;

	(void)state;
	digest_make(&d);
	e.digest = &d;
	e.tags_known = true;
	event_write(path, &e);
	o = line_read(path);
	assert_true(json_is_array(json_object_get(o, "tags")));
	assert_int_equal(json_array_size(json_object_get(o, "tags")), 0);
	json_decref(o);
	assert_int_equal(unlink(path), 0);
	e.tags_known = false;
	event_write(path, &e);
	o = line_read(path);
	assert_null(json_object_get(o, "tags"));
	json_decref(o);
}

static void
a_collection_tells_what_it_reclaimed_even_if_that_is_nothing(void **state)
{
	const char *path = path_of("gc.log");
	json_t *o;

	(void)state;
	event_write(path, &(struct audit_event){ .kind = AUDIT_GC,
			      .repository = SPAN("a"),
			      .links = 2,
			      .bytes = 0 });
	o = line_read(path);
	assert_string_equal(text_of(o, "event"), "gc");
	assert_int_equal(number_of(o, "links"), 2);
	assert_int_equal(number_of(o, "blobs"), 0);
	assert_int_equal(number_of(o, "bytes"), 0);
	json_decref(o);
}

static void
a_run_tells_its_outcome(void **state)
{
	const char *path = path_of("run.log");
	json_t *o;

	(void)state;
	event_write(path, &(struct audit_event){ .kind = AUDIT_LIFECYCLE_RUN,
			      .repository = SPAN("a"),
			      .outcome = SPAN("stopped"),
			      .policy_revision = 4,
			      .expired = 9 });
	o = line_read(path);
	assert_string_equal(text_of(o, "outcome"), "stopped");
	assert_int_equal(number_of(o, "expired"), 9);
	assert_int_equal(number_of(o, "archived"), 0);
	assert_int_equal(number_of(o, "policy_revision"), 4);
	json_decref(o);
}

static void
nobody_forges_a_line(void **state)
{
	const char *path = path_of("forged.log");
	json_t *o;

	(void)state;
	event_write(path, &(struct audit_event){ .kind = AUDIT_UNDELETE,
			      .by = SPAN("mallory\"}\n{\"event\":\"gc\xff\""),
			      .repository = SPAN("a") });
	o = line_read(path);
	assert_string_equal(text_of(o, "event"), "undelete");
	assert_non_null(strchr(text_of(o, "by"), '\n'));
	json_decref(o);
}

/* More than a line may be long. */
#define TAGS 200000

static void
tags_beyond_all_measure_are_counted_only(void **state)
{
	const char *path = path_of("long.log");
	struct span *tags = xcalloc(TAGS, sizeof(*tags));
	char name[NAME_TAG_MAX_BYTES];
	struct digest d;
	json_t *o;
	size_t i;

	(void)state;
	memset(name, 'x', sizeof(name));
	for (i = 0; i < TAGS; i++)
		tags[i] = (struct span){ name, sizeof(name) };
	digest_make(&d);
	event_write(path, &(struct audit_event){ .kind = AUDIT_IMAGE_DELETE,
			      .digest = &d,
			      .tags_known = true,
			      .tags = tags,
			      .n_tags = TAGS });
	o = line_read(path);
	assert_null(json_object_get(o, "tags"));
	assert_int_equal(number_of(o, "tags_left_out"), TAGS);
	json_decref(o);
	free(tags);
}

/* --- the file ------------------------------------------------------------ */

static const struct audit_event simple = { .kind = AUDIT_GC };

static void
the_file_is_the_owners_and_grows(void **state)
{
	const char *path = path_of("grows.log");
	struct stat st;
	char *text;

	(void)state;
	event_write(path, &simple);
	event_write(path, &simple);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	text = file_read(path);
	assert_int_equal(lines_count(text), 2);
	free(text);
}

static void
a_file_that_was_moved_away_is_made_anew(void **state)
{
	char *path = xstrdup(path_of("moved.log"));
	const char *old = path_of("moved.log.1");
	struct audit *a = audit_at(path);
	char *text;

	(void)state;
	audit_write(a, &simple);
	assert_int_equal(rename(path, old), 0);
	audit_write(a, &simple);
	audit_move(a, path);
	audit_write(a, &simple);
	audit_free(&a);
	text = file_read(old);
	assert_int_equal(lines_count(text), 2);
	free(text);
	text = file_read(path);
	assert_int_equal(lines_count(text), 1);
	free(text);
	free(path);
}

static void
off_and_stderr_make_no_file(void **state)
{
	const char *log = path_of("stderr.log");
	struct audit *a;
	int saved;

	(void)state;
	saved = stderr_take(log);
	a = audit_at(AUDIT_LOG_OFF);
	audit_write(a, &simple);
	audit_move(a, AUDIT_LOG_STDERR);
	audit_write(a, &simple);
	audit_free(&a);
	audit_write(NULL, &simple);
	stderr_give_back(saved);
	assert_int_equal(occurrences(log, "\"event\":\"gc\""), 1);
	assert_int_equal(access(AUDIT_LOG_OFF, F_OK), -1);
	assert_int_equal(access(AUDIT_LOG_STDERR, F_OK), -1);
}

static void
a_file_that_cannot_be_opened_is_refused_by_name(void **state)
{
	char *path = xstrdup(path_of("missing/audit.log"));
	struct audit_target *target;
	char why[AUDIT_WHY_BYTES];

	(void)state;
	assert_int_equal(audit_target_open(path, why, &target), RC_IO);
	assert_null(target);
	assert_non_null(strstr(why, path));
	assert_non_null(strstr(why, "No such file"));
	audit_target_drop(&target);
	free(path);
}

static void
a_full_disk_is_told_once_and_stops_nothing(void **state)
{
	const char *log = path_of("full.log");
	struct audit *a;
	int i, saved;

	(void)state;
	saved = stderr_take(log);
	a = audit_at("/dev/full");
	for (i = 0; i < 3; i++)
		audit_write(a, &simple);
	audit_free(&a);
	stderr_give_back(saved);
	assert_int_equal(occurrences(log, "cannot be written"), 1);
}

/* No file grows beyond that in this process. */
static void
files_limit(rlim_t max)
{
	struct rlimit limit;

	assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void
numbered_write(struct audit *a, uint64_t first, uint64_t n)
{
	struct audit_event e = { .kind = AUDIT_GC };
	uint64_t i;

	for (i = first; i < first + n; i++) {
		e.links = i;
		audit_write(a, &e);
	}
}

/* Whole lines with the numbers from 0 on, and no others. */
static void
numbered_are(const char *path, uint64_t n)
{
	char *text = file_read(path), *line, *rest = NULL;
	uint64_t i = 0;
	json_t *o;

	for (line = strtok_r(text, "\n", &rest); line != NULL;
	     line = strtok_r(NULL, "\n", &rest)) {
		o = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
		assert_non_null(o);
		assert_int_equal(number_of(o, "links"), i++);
		json_decref(o);
	}
	assert_int_equal(i, n);
	free(text);
}

static void
lines_wait_while_the_disk_is_full(void **state)
{
	char *path = xstrdup(path_of("waits.log"));
	const char *log = path_of("waits-server.log");
	struct audit *a = audit_at(path);
	int saved = stderr_take(log);

	(void)state;
	numbered_write(a, 0, 2);
	/* The third line gets in by half. */
	files_limit(250);
	numbered_write(a, 2, 3);
	audit_flush(a);
	files_limit(RLIM_INFINITY);
	audit_flush(a);
	numbered_are(path, 5);
	numbered_write(a, 5, 1);
	audit_free(&a);
	stderr_give_back(saved);
	numbered_are(path, 6);
	assert_int_equal(occurrences(log, "cannot be written"), 1);
	assert_int_equal(occurrences(log, "is written again"), 1);
	assert_int_equal(occurrences(log, "are lost"), 0);
	free(path);
}

static void
lines_that_wait_move_to_another_file(void **state)
{
	char *path = xstrdup(path_of("from.log"));
	char *to = xstrdup(path_of("to.log"));
	const char *log = path_of("moves-server.log");
	struct audit *a = audit_at(path);
	int saved = stderr_take(log);

	(void)state;
	files_limit(50);
	numbered_write(a, 0, 3);
	files_limit(40);
	assert_int_equal(occurrences(path, "links"), 0);
	assert_int_equal(symlink("/dev/full", path_of("full")), 0);
	audit_move(a, path_of("full"));
	files_limit(RLIM_INFINITY);
	audit_move(a, to);
	audit_free(&a);
	stderr_give_back(saved);
	/* The one that had begun is whole there. */
	numbered_are(to, 3);
	free(path);
	free(to);
}

static void
lines_that_were_never_written_are_counted_at_the_end(void **state)
{
	const char *log = path_of("lost-server.log");
	struct audit *a = audit_at("/dev/full");
	int saved = stderr_take(log);

	(void)state;
	numbered_write(a, 0, 7);
	audit_free(&a);
	stderr_give_back(saved);
	assert_int_equal(occurrences(log, "7 lines of the audit log"), 1);
}

/* A long one, of which not many are kept. */
static void
long_write(struct audit *a, const struct span *tags)
{
	audit_write(a, &(struct audit_event){ .kind = AUDIT_IMAGE_DELETE,
			   .tags_known = true,
			   .tags = tags,
			   .n_tags = TAGS / 2 });
}

static void
lines_beyond_what_is_kept_are_counted_in_their_place(void **state)
{
	char *to = xstrdup(path_of("counted.log"));
	struct span *tags = xcalloc(TAGS, sizeof(*tags));
	const char *log = path_of("counted-server.log");
	char name[NAME_TAG_MAX_BYTES];
	struct audit *a = audit_at("/dev/full");
	int saved = stderr_take(log);
	char *text;
	size_t i;

	(void)state;
	memset(name, 'x', sizeof(name));
	for (i = 0; i < TAGS; i++)
		tags[i] = (struct span){ name, sizeof(name) };
	for (i = 0; i < 5; i++)
		long_write(a, tags);
	numbered_write(a, 0, 1);
	audit_move(a, to);
	audit_free(&a);
	stderr_give_back(saved);
	text = file_read(to);
	assert_int_equal(occurrences(to, "image-delete"), 2);
	assert_int_equal(
	    occurrences(to, "\"event\":\"lines-lost\",\"lines\":3}"), 1);
	assert_int_equal(occurrences(to, "\"gc\""), 1);
	assert_true(strstr(text, "lines-lost") < strstr(text, "\"gc\""));
	free(text);
	free(tags);
	free(to);
}

#define THREADS 4
#define LINES 500

static void
lines_many(void *arg)
{
	int i;

	for (i = 0; i < LINES; i++)
		audit_write(arg, &simple);
}

static void
lines_of_several_threads_do_not_mix(void **state)
{
	const char *path = path_of("threads.log");
	struct audit *a = audit_at(path);
	pthread_t threads[THREADS];
	char *text, *line, *rest = NULL;
	size_t i, n = 0;
	json_t *o;

	(void)state;
	for (i = 0; i < THREADS; i++)
		assert_int_equal(
		    thread_start("lines", lines_many, a, &threads[i]), RC_OK);
	for (i = 0; i < THREADS; i++)
		thread_join(threads[i]);
	audit_free(&a);
	text = file_read(path);
	for (line = strtok_r(text, "\n", &rest); line != NULL;
	     line = strtok_r(NULL, "\n", &rest)) {
		o = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
		assert_non_null(o);
		json_decref(o);
		n++;
	}
	assert_int_equal(n, THREADS * LINES);
	free(text);
}

/* ------------------------------------------------------------------------- */

static int
setup(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/test-audit-XXXXXX");
	return (mkdtemp(dir) == NULL);
}

static int
teardown(void **state)
{
	char *command = xasprintf("rm -rf '%s'", dir);
	int rc = system(command);

	(void)state;
	free(command);
	return (rc);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_tells_what_is_known_of_an_image),
		cmocka_unit_test(
		    an_image_without_tags_has_none_and_unknown_ones_are_left_out),
		cmocka_unit_test(
		    a_collection_tells_what_it_reclaimed_even_if_that_is_nothing),
		cmocka_unit_test(a_run_tells_its_outcome),
		cmocka_unit_test(nobody_forges_a_line),
		cmocka_unit_test(tags_beyond_all_measure_are_counted_only),
		cmocka_unit_test(the_file_is_the_owners_and_grows),
		cmocka_unit_test(a_file_that_was_moved_away_is_made_anew),
		cmocka_unit_test(off_and_stderr_make_no_file),
		cmocka_unit_test(
		    a_file_that_cannot_be_opened_is_refused_by_name),
		cmocka_unit_test(a_full_disk_is_told_once_and_stops_nothing),
		cmocka_unit_test(lines_wait_while_the_disk_is_full),
		cmocka_unit_test(lines_that_wait_move_to_another_file),
		cmocka_unit_test(
		    lines_that_were_never_written_are_counted_at_the_end),
		cmocka_unit_test(
		    lines_beyond_what_is_kept_are_counted_in_their_place),
		cmocka_unit_test(lines_of_several_threads_do_not_mix),
	};

	return (cmocka_run_group_tests_name("audit", tests, setup, teardown));
}
