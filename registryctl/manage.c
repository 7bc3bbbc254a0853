#include "registryctl/manage.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/auth.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/obj.h"
#include "registryctl/client.h"
#include "registryctl/folder.h"
#include "registryctl/input.h"
#include "storage/store.h"

#define DEFAULT_ACCOUNT "000000000000"
#define IAM_PATH "/control/iam"
#define ANSWER_MAX_BYTES ((size_t)64 << 20)
/* The registry says how long its policies may be; this is for a file that was
 * named by mistake. */
#define DOCUMENT_MAX_BYTES ((size_t)256 << 10)
#define ACCOUNT_DIGITS 12

/* One room for the words of all. */
static_assert(MANAGE_WHY_BYTES >= AUTH_WHY_BYTES, "auth");
static_assert(MANAGE_WHY_BYTES >= CLIENT_WHY_BYTES, "client");
static_assert(MANAGE_WHY_BYTES >= STORE_WHY_BYTES, "store");
static_assert(MANAGE_WHY_BYTES >= INPUT_WHY_BYTES, "input");

/* --- what is read besides ------------------------------------------------ */

static enum rc
member_take(struct manage_call *call, const char *key, struct buf *text,
    char why[MANAGE_WHY_BYTES])
{
	json_t *value = json_stringn(text->p != NULL ? text->p : "", text->n);

	input_wipe(text);
	if (value == NULL) {
		(void)snprintf(
		    why, MANAGE_WHY_BYTES, "the %s is not UTF-8", key);
		return (RC_INVALID);
	}
	(void)json_object_set_new(call->request, key, value);
	return (RC_OK);
}

enum rc
manage_inputs(struct manage_call *call, char why[MANAGE_WHY_BYTES])
{
	bool asks = call->action->asks_password && !call->remove;
	struct buf text;
	enum rc rc;

	if (call->file != NULL) {
		rc = input_file(call->file, DOCUMENT_MAX_BYTES, &text, why);
		if (rc == RC_OK)
			rc = member_take(call, "document", &text, why);
		if (rc != RC_OK)
			return (rc);
	}
	if (!call->password_stdin && !asks)
		return (RC_OK);
	rc = input_password(call->password_stdin, &text, why);
	return (rc == RC_OK ? member_take(call, "password", &text, why) : rc);
}

/* --- where it is done ---------------------------------------------------- */

/* An option, else the environment (when not empty), else what it is. */
static const char *
choice(const char *option, const char *variable, const char *otherwise)
{
	const char *text = option != NULL ? option : getenv(variable);

	return (text != NULL && text[0] != '\0' ? text : otherwise);
}

static bool
account_ok(const char *id)
{
	return (strlen(id) == ACCOUNT_DIGITS &&
		strspn(id, "0123456789") == strlen(id));
}

static enum rc
auth_do(struct auth *auth, const json_t *request, char why[MANAGE_WHY_BYTES],
    json_t **answer_r)
{
	struct buf text;
	enum rc rc;

	buf_init(&text, ANSWER_MAX_BYTES);
	rc = auth_admin(auth, request, &text, why);
	if (rc == RC_OK && text.n > 0) {
		*answer_r = json_loadb(text.p, text.n, 0, NULL);
		must(*answer_r != NULL);
	}
	input_wipe(&text);
	return (rc);
}

/* As auth_open(), which knows nothing of our options. */
static enum rc
keys_open(
    struct auth_options *o, char why[MANAGE_WHY_BYTES], struct auth **auth_r)
{
	enum rc rc = auth_open(o, why, auth_r);
	size_t n;

	/* Nobody has said yet whose it is: as registryd does by itself. */
	if (rc == RC_MISSING) {
		o->account_id = DEFAULT_ACCOUNT;
		rc = auth_open(o, why, auth_r);
	}
	n = strlen(why);
	if (rc == RC_NOTFOUND)
		(void)snprintf(why + n, MANAGE_WHY_BYTES - n,
		    ".  If it is elsewhere, name it with --master-key-file "
		    "FILE or REGISTRYD_MASTER_KEY_FILE");
	return (rc);
}

static enum rc
store_do(struct store *store, const char *data, const struct manage_folder *f,
    const json_t *request, char why[MANAGE_WHY_BYTES], json_t **answer_r)
{
	struct auth_options o = {
		.meta = store_meta(store),
		.account_id =
		    choice(f->account_id, "REGISTRYD_ACCOUNT_ID", NULL),
	};
	struct folder_key key;
	struct auth *auth = NULL;
	enum rc rc = RC_OK;

	folder_key_of(data, f->master_key_file, &key);
	o.master_key_file = key.file;
	o.master_key_text = key.text;
	if (o.account_id != NULL && !account_ok(o.account_id)) {
		(void)snprintf(why, MANAGE_WHY_BYTES,
		    "--account-id: \"%.100s\" must be an account id of 12 "
		    "digits",
		    o.account_id);
		rc = RC_INVALID;
	}
	if (rc == RC_OK)
		rc = keys_open(&o, why, &auth);
	if (rc == RC_OK)
		rc = auth_do(auth, request, why, answer_r);
	auth_close(&auth);
	folder_key_end(&key);
	return (rc);
}

enum rc
manage_do(const char *data, const struct manage_folder *f,
    const json_t *request, char why[MANAGE_WHY_BYTES], json_t **answer_r)
{
	struct client *client;
	struct store *store;
	enum rc rc;

	*answer_r = NULL;
	rc = client_open(data, why, &client);
	if (rc == RC_OK) {
		rc = client_call(
		    client, "POST", IAM_PATH, request, why, answer_r);
		client_close(&client);
		return (rc);
	}
	if (rc != RC_NOTFOUND)
		return (rc);
	if ((rc = folder_open(data, false, why, &store)) != RC_OK)
		return (rc);
	rc = store_do(store, data, f, request, why, answer_r);
	store_close(&store);
	return (rc);
}

/* --- what is shown ------------------------------------------------------- */

void
manage_done(const char *text, const json_t *request, struct buf *out)
{
	const char *open, *close, *value;
	char *key;

	while ((open = strchr(text, '{')) != NULL) {
		close = strchr(open, '}');
		must(close != NULL);
		buf_add(out, text, (size_t)(open - text));
		key = xstrndup(open + 1, (size_t)(close - open) - 1);
		value = json_string_value(json_object_get(request, key));
		buf_str(out, value != NULL ? value : "");
		free(key);
		text = close + 1;
	}
	buf_str(out, text);
}

static void
done_show(const struct manage_call *call)
{
	const struct manage_action *a = call->action;
	struct buf text;
	char *line;

	buf_init(&text, SIZE_MAX);
	manage_done(call->remove ? a->removed : a->done, call->request, &text);
	line = buf_take(&text, NULL);
	print_text(line);
	(void)putchar('\n');
	free(line);
}

static enum ctl_exit
answer_show(
    const struct ctl *ctl, const struct manage_call *call, const json_t *answer)
{
	const struct manage_action *a = call->action;
	json_t *member, *empty;
	enum ctl_exit code;

	if (a->show != NULL && (ctl->output == CTL_TEXT || a->shows_json))
		return (a->show(ctl, call, answer));
	if (ctl->output == CTL_JSON) {
		empty = json_object();
		code = print_json(answer != NULL ? answer : empty);
		json_decref(empty);
		return (code);
	}
	member = a->member != NULL ? json_object_get(answer, a->member) : NULL;
	if (json_is_array(member))
		print_table(member, a->columns, a->n_columns);
	else if (member != NULL)
		print_fields(member, a->columns, a->n_columns);
	else
		done_show(call);
	return (print_done(CTL_OK));
}

enum ctl_exit
manage_run(
    struct ctl *ctl, int argc, char **argv, const struct manage_family *family)
{
	char why[MANAGE_WHY_BYTES] = "";
	enum ctl_exit code = CTL_FAILED;
	struct manage_call call;
	json_t *answer = NULL;
	enum rc rc;

	manage_arguments(ctl, argc, argv, family, &call);
	ctl_needs_data(ctl);
	rc = manage_inputs(&call, why);
	if (rc == RC_OK)
		rc = manage_do(
		    ctl->data, &call.folder, call.request, why, &answer);
	if (rc == RC_OK)
		code = answer_show(ctl, &call, answer);
	else
		ctl_say("%s", why[0] != '\0' ? why : rc_text(rc));
	json_decref(answer);
	manage_call_end(&call);
	return (code);
}
