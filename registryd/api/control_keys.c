#include <jansson.h>
#include <stdlib.h>

#include "auth/master_key.h"
#include "base/obj.h"
#include "registryd/api/control_int.h"
#include "registryd/encryption.h"

/* The keys of encrypted repositories, and a new master key. */

static enum rc
json_answer(struct call *c, json_t *o)
{
	char *text = json_dumps(o, JSON_COMPACT);
	struct buf out;

	must(text != NULL);
	buf_init(&out, CONTROL_ANSWER_BYTES);
	buf_str(&out, text);
	buf_char(&out, '\n');
	free(text);
	return (call_json_take(c, 200, CONTROL_JSON, &out));
}

enum rc
control_keys(struct call *c)
{
	json_t *list;
	enum rc rc;

	if ((rc = master_key_list(c->store, &list)) != RC_OK)
		return (rc);
	rc = json_answer(c, list);
	json_decref(list);
	return (rc);
}

enum rc
control_keys_rotate(struct call *c)
{
	char why[SERVICE_WHY_BYTES];
	json_t *o;
	size_t n;
	enum rc rc;

	rc = service_keys_rotate(c->service, &n, why);
	if (rc != RC_OK)
		return (call_fail(c, OCI_CONFLICT, NULL, "%s", why));
	o = json_pack("{s:I}", "wrapped", (json_int_t)n);
	rc = json_answer(c, o);
	json_decref(o);
	return (rc);
}
