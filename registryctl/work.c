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

enum rc
work_find(struct work *w, const struct ctl *ctl)
{
	enum rc rc;

	w->client = NULL;
	rc = client_open(ctl->data, w->why, &w->client);
	if (rc != RC_OK && rc != RC_NOTFOUND)
		ctl_say("%s", w->why);
	return (rc);
}

bool
work_open(struct work *w, const struct ctl *ctl)
{
	enum rc rc;

	rc = work_find(w, ctl);
	if (rc == RC_NOTFOUND)
		ctl_say("%s: no registryd serves this folder; start one, or "
			"name the folder of one that runs with --data",
		    ctl->data);
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

/* Wait, and say how long to wait the next time. */
static long
pause_take(long ms)
{
	const struct timespec pause = { ms / 1000, ms % 1000 * 1000000 };

	(void)nanosleep(&pause, NULL);
	return (ms * 2 < POLL_MAX_MS ? ms * 2 : POLL_MAX_MS);
}

/* A job that is waited for: in the server, or ... */
struct watch {
	const struct work_job *job;
	struct work *w;
	const struct work_here *here; /* ... here */
	char *id;
	bool joined; /* somebody else had begun it */
	bool people; /* look at what is shown */
	bool live;   /* on a terminal */
	json_t *list;
};

static json_t *
job_look(struct watch *v)
{
	size_t since = json_array_size(v->list);
	json_t *job;
	char *path;

	if (v->here != NULL)
		return (v->here->look(v->here->arg, since));
	path = xasprintf("/control/jobs/%s?since=%zu", v->id, since);
	job = work_ask(v->w, "GET", path, NULL);
	free(path);
	return (job);
}

/* Does it end?  Not while there are others who want it. */
static bool
job_cancel(struct watch *v)
{
	struct work *w = v->w;
	json_t *doc = NULL;
	char *path;
	bool ends = true;

	if (v->here != NULL) {
		v->here->cancel(v->here->arg);
		return (true);
	}
	path = xasprintf("/control/jobs/%s", v->id);
	if (client_call(w->client, "DELETE", path, NULL, w->why, &doc) != RC_OK)
		ctl_say("cannot cancel %s: %s", v->job->what, w->why);
	else
		ends = !json_is_false(json_object_get(doc, "cancelled"));
	json_decref(doc);
	free(path);
	return (ends);
}

static bool
interrupt_take(struct watch *v)
{
	interrupted = 0;
	if (job_cancel(v))
		return (true);
	ctl_say("%s goes on in the server%s", v->job->what,
	    v->joined ? "" : ": others wait for it");
	return (false);
}

/* Shows what is new of the list and keeps it.  Was that all?  It comes in
 * pieces, the last of them after the end. */
static bool
news_take(struct watch *v, const json_t *job)
{
	json_t *fresh;

	if (v->job->list == NULL)
		return (true);
	fresh = json_object_get(job, v->job->list);
	if (json_array_size(fresh) == 0)
		return (true);
	must(json_array_extend(v->list, fresh) == 0);
	if (v->people && v->job->news != NULL) {
		if (v->live)
			line_clear();
		v->job->news(fresh);
		(void)fflush(stdout);
	}
	return (false);
}

/* The job as it ended, or NULL. */
static json_t *
job_watch(struct watch *v)
{
	long pause_ms = POLL_FIRST_MS;
	json_t *job;
	bool all;

	for (;;) {
		if (interrupted && !interrupt_take(v))
			return (NULL);
		if ((job = job_look(v)) == NULL)
			return (NULL);
		all = news_take(v, job);
		if (!job_is(job, "running") && all)
			return (job);
		if (v->live)
			v->job->progress(job);
		if (job_is(job, "running"))
			pause_ms = pause_take(pause_ms);
		json_decref(job);
	}
}

static json_t *
job_wait(struct watch *v, const struct ctl *ctl)
{
	json_t *job;

	v->people = ctl->output == CTL_TEXT;
	v->live =
	    v->job->progress != NULL && v->people && isatty(STDERR_FILENO);
	v->list = json_array();
	job = job_watch(v);
	if (v->live)
		line_clear();
	if (job != NULL && v->job->list != NULL)
		must(json_object_set(job, v->job->list, v->list) == 0);
	if (job != NULL)
		must(json_object_set_new(
			 job, "joined", json_boolean(v->joined)) == 0);
	json_decref(v->list);
	return (job);
}

json_t *
work_run(struct work *w, const struct ctl *ctl, const struct work_job *j)
{
	struct watch v = { .job = j, .w = w };
	json_t *begun, *job = NULL;
	const char *id;

	interrupts_catch();
	if ((begun = work_ask(w, "POST", j->path, j->body)) == NULL)
		return (NULL);
	id = json_string_value(json_object_get(begun, "id"));
	v.joined = json_is_true(json_object_get(begun, "joined"));
	if (v.joined && ctl->output == CTL_TEXT)
		ctl_say("joined %s that is running", j->what);
	if (id == NULL) {
		ctl_say("the server does not say which job %s is: it is of "
			"another version",
		    j->what);
	} else {
		v.id = xstrdup(id);
		job = job_wait(&v, ctl);
		free(v.id);
	}
	json_decref(begun);
	return (job);
}

json_t *
work_run_here(const struct work_here *here, const struct ctl *ctl,
    const struct work_job *j)
{
	struct watch v = { .job = j, .here = here };

	interrupts_catch();
	return (here->begin(here->arg) ? job_wait(&v, ctl) : NULL);
}

bool
work_is_done(const json_t *job)
{
	return (job_is(job, "done"));
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

enum ctl_exit
work_told(
    const struct ctl *ctl, json_t *answer, const char *done, const char *name)
{
	enum ctl_exit shown = CTL_OK;

	if (answer == NULL)
		return (CTL_FAILED);
	if (ctl->output == CTL_JSON)
		shown = print_json(answer);
	else
		(void)printf("%s %s\n", done, name);
	json_decref(answer);
	return (print_done(shown));
}
