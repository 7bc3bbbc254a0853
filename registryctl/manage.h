#ifndef REGISTRYCTL_MANAGE_H
#define REGISTRYCTL_MANAGE_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/rc.h"
#include "registryctl/command.h"
#include "registryctl/print.h"

/*
 * The commands about users, groups, access keys and policies.  Each of them
 * makes one JSON request ({"op":"user-create","name":"build"}) of its command
 * line, has it carried out by the server that serves the folder or, where none
 * runs, by the auth room here, and shows the answer.  So a command is a row of
 * a table.
 */

/* All options that such commands have; a row says which it takes. */
enum manage_option {
	MANAGE_ACCOUNT,
	MANAGE_PASSWORD_STDIN,
	MANAGE_REMOVE,
	MANAGE_TAG,
	MANAGE_FORCE,
	MANAGE_USER,
	MANAGE_GROUP,
	MANAGE_FILE,
	MANAGE_PRINCIPAL,
	MANAGE_ACTION,
	MANAGE_RESOURCE,
	MANAGE_SOURCE_IP,
	MANAGE_TLS,
	MANAGE_USER_AGENT,
	MANAGE_TIME,
	MANAGE_MASTER_KEY_FILE, /* this and the next: every row takes them */
	MANAGE_ACCOUNT_ID,
	MANAGE_OPTIONS,
};

#define MANAGE_BIT(option) (1u << (option))
#define MANAGE_WORDS_MAX 2

struct manage_call;

struct manage_action {
	const char *name; /* "create" */
	const char *op;	  /* "user-create" */
	/* Members of the request that the words become, in this order. */
	const char *words[MANAGE_WORDS_MAX];
	bool last_word_optional;
	bool subject; /* the first word falls away with --user or --group */
	unsigned takes, needs; /* MANAGE_BIT()s */
	/* Asks for the password when there is no --password-stdin. */
	bool asks_password;
	/* What --remove sends instead: "password": null or "tags": {}. */
	const char *removes;
	const char *removed; /* instead of .done then */
	/* What to say when it is done, {member}s of the request in it; or ... */
	const char *done;
	/* ... the member of the answer with a list, or an object, and what to
	 * show of it; or ... */
	const char *member;
	const struct print_column *columns;
	size_t n_columns;
	/* ... a function, which may be for --output json too. */
	enum ctl_exit (*show)(const struct ctl *, const struct manage_call *,
	    const json_t *answer);
	bool shows_json;
};

#define MANAGE_COLUMNS(table) .columns = (table), .n_columns = ARRAY_LEN(table)

struct manage_family {
	const struct manage_action *actions;
	size_t n;
};

extern const struct manage_family manage_user, manage_group, manage_access_key,
    manage_policy, manage_token;

/** manage_run(ctl, argc, argv, family): the whole of such a command. */
enum ctl_exit
manage_run(struct ctl *, int argc, char **argv, const struct manage_family *);

/* Where and how to carry it out when no server runs. */
struct manage_folder {
	const char *master_key_file; /* NULL: of the environment, DIR's */
	const char *account_id;	     /* NULL: of the environment, DIR's */
};

/* A command line, understood. */
struct manage_call {
	const struct manage_action *action;
	json_t *request; /* all but what manage_inputs() reads */
	const char *file;
	bool password_stdin, remove;
	struct manage_folder folder;
};

/**
 * manage_arguments(ctl, argc, argv, family, call_r):
 * Exits when the command line is wrong.  The caller ends it with
 * manage_call_end().
 */
void manage_arguments(struct ctl *, int argc, char **argv,
    const struct manage_family *, struct manage_call *call_r);

#define MANAGE_WHY_BYTES 1024

/** manage_inputs(call, why): read the file and the password that the action
 * wants into the request.  As input_file() and input_password(); RC_INVALID:
 * not UTF-8. */
RC_MUST_USE enum rc
manage_inputs(struct manage_call *, char why[MANAGE_WHY_BYTES]);

/**
 * manage_do(data, folder, request, why, answer_r):
 * By the server of the folder ${data}, or here.  The caller owns the answer.
 * Any code; ${why} is for people.
 */
RC_MUST_USE enum rc manage_do(const char *data, const struct manage_folder *,
    const json_t *request, char why[MANAGE_WHY_BYTES], json_t **answer_r);

/** manage_done(text, request, out): ${text} with {member}s filled in. */
void manage_done(const char *text, const json_t *request, struct buf *out);

void manage_call_end(struct manage_call *);

#endif
