#include "registryctl/work.h"

#include <curl/curl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/span.h"
#include "registryctl/print.h"

/* Often at first, so that little work is not waited for. */
#define POLL_FIRST_MS 10
#define POLL_MAX_MS 500
#define PATH_BYTES ((size_t)64 << 10)

bool
work_open(struct work *w, const struct ctl *ctl)
{
	enum rc rc;

	w->client = NULL;
	rc = client_open(ctl->data, w->why, &w->client);
	if (rc == RC_NOTFOUND)
		ctl_say("%s: no registryd serves this folder; start one, or "
			"name the folder of one that runs with --data",
		    ctl->data);
	else if (rc != RC_OK)
		ctl_say("%s", w->why);
	return (rc == RC_OK);
}

void
work_close(struct work *w)
{
	client_close(&w->client);
}

char *
work_path(const char *path, ...)
{
	const char *key, *value;
	struct buf out;
	char *escaped, mark = '?';
	va_list ap;

	buf_init(&out, PATH_BYTES);
	buf_str(&out, path);
	va_start(ap, path);
	while ((key = va_arg(ap, const char *)) != NULL) {
		if ((value = va_arg(ap, const char *)) == NULL)
			continue;
		escaped = curl_easy_escape(NULL, value, 0);
		must(escaped != NULL);
		buf_printf(&out, "%c%s=%s", mark, key, escaped);
		curl_free(escaped);
		mark = '&';
	}
	va_end(ap);
	must(buf_ok(&out));
	return (buf_take(&out, NULL));
}

json_t *
work_ask(
    struct work *w, const char *method, const char *path, const json_t *body)
{
	json_t *doc = NULL;

	if (client_call(w->client, method, path, body, w->why, &doc) == RC_OK)
		return (doc != NULL ? doc : json_object());
	ctl_say("%s", w->why);
	return (NULL);
}

/* --- jobs ---------------------------------------------------------------- */

static volatile sig_atomic_t interrupted;

static void
on_interrupt(int number)
{
	(void)number;
	interrupted = 1;
}

static void
interrupts_catch(void)
{
	struct sigaction sa = { .sa_handler = on_interrupt,
		.sa_flags = (int)SA_RESETHAND };

	must(sigaction(SIGINT, &sa, NULL) == 0);
	must(sigaction(SIGTERM, &sa, NULL) == 0);
}

static bool
job_is(const json_t *job, const char *state)
{
	const char *is = json_string_value(json_object_get(job, "state"));

	return (is != NULL && strcmp(is, state) == 0);
}

static void
line_clear(void)
{
	(void)fputs("\r\033[K", stderr);
	(void)fflush(stderr);
}

/* Whoever only joined leaves the work to the one who began it. */
static bool
interrupt_take(struct work *w, const json_t *begun, const char *what)
{
	char *path;
	json_t *doc;

	interrupted = 0;
	if (json_is_true(json_object_get(begun, "joined"))) {
		ctl_say("%s goes on in the server", what);
		return (false);
	}
	path = xasprintf("/control/jobs/%s",
	    json_string_value(json_object_get(begun, "id")));
	doc = work_ask(w, "DELETE", path, NULL);
	free(path);
	json_decref(doc);
	return (doc != NULL);
}

/* Wait, and say how long to wait the next time. */
static long
pause_take(long ms)
{
	const struct timespec pause = { ms / 1000, ms % 1000 * 1000000 };

	(void)nanosleep(&pause, NULL);
	return (ms * 2 < POLL_MAX_MS ? ms * 2 : POLL_MAX_MS);
}

/* As it is now; what is new of its list goes behind ${list}. */
static json_t *
job_look(struct work *w, const char *id, const char *member, json_t *list)
{
	char *path, since[32];
	json_t *job;

	(void)snprintf(since, sizeof(since), "%zu", json_array_size(list));
	path = xasprintf("/control/jobs/%s?since=%s", id, since);
	job = work_ask(w, "GET", path, NULL);
	free(path);
	if (job != NULL && member != NULL)
		(void)json_array_extend(list, json_object_get(job, member));
	return (job);
}

/* The list comes in pieces, the last of them after the end. */
static bool
list_complete(const json_t *job, const struct work_job *j)
{
	return (j->list == NULL ||
		json_array_size(json_object_get(job, j->list)) == 0);
}

static json_t *
job_watch(struct work *w, const struct ctl *ctl, const json_t *begun,
    const struct work_job *j)
{
	bool live = j->progress != NULL && ctl->output == CTL_TEXT &&
		    isatty(STDERR_FILENO);
	const char *id = json_string_value(json_object_get(begun, "id"));
	json_t *job = NULL, *list = json_array();
	long pause_ms = POLL_FIRST_MS;

	for (;;) {
		if (interrupted && !interrupt_take(w, begun, j->what))
			break;
		if ((job = job_look(w, id, j->list, list)) == NULL)
			break;
		if (!job_is(job, "running") && list_complete(job, j))
			break;
		if (live)
			j->progress(job);
		if (job_is(job, "running"))
			pause_ms = pause_take(pause_ms);
		json_decref(job);
		job = NULL;
	}
	if (live)
		line_clear();
	if (job != NULL && j->list != NULL)
		(void)json_object_set(job, j->list, list);
	json_decref(list);
	return (job);
}

json_t *
work_run(struct work *w, const struct ctl *ctl, const struct work_job *j)
{
	json_t *begun, *job;

	interrupts_catch();
	if ((begun = work_ask(w, "POST", j->path, j->body)) == NULL)
		return (NULL);
	if (json_is_true(json_object_get(begun, "joined")) &&
	    ctl->output == CTL_TEXT)
		ctl_say("joined %s that is running", j->what);
	job = job_watch(w, ctl, begun, j);
	json_decref(begun);
	return (job);
}

enum ctl_exit
work_code(const json_t *job, const char *what)
{
	const char *error = json_string_value(json_object_get(job, "error"));

	if (job_is(job, "done"))
		return (CTL_OK);
	ctl_say("%s did not get to its end: %s", what,
	    error != NULL	       ? error
	    : job_is(job, "cancelled") ? "cancelled"
				       : "unknown state");
	return (CTL_FAILED);
}
