#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/obj.h"
#include "registryctl/input.h"
#include "registryctl/login.h"
#include "registryctl/print.h"

/*
 * registryctl ecr: any operation of the ECR API, for machines without an AWS
 * CLI.
 */
static const char help[] =
    "Usage: registryctl [--endpoint URL] [--data DIR] ecr OPERATION [JSON]\n"
    "Call an operation of the ECR API (CreateRepository, ListImages...) and\n"
    "print its answer. Its input is JSON as the API has it:\n"
    "  registryctl ecr CreateRepository '{\"repositoryName\":\"team/app\"}'\n"
    "\"-\" reads it from standard input; without it, it is {}.\n"
    "\n" LOGIN_OPTIONS_HELP;

#define INPUT_MAX_BYTES ((size_t)64 << 20)
#define OPERATION_MAX_BYTES 64

static bool
operation_ok(const char *name)
{
	size_t n = strlen(name), i;

	for (i = 0; i < n; i++)
		if (!isalnum((unsigned char)name[i]))
			return (false);
	return (n > 0 && n <= OPERATION_MAX_BYTES &&
		isupper((unsigned char)name[0]));
}

/* The input is long where it carries a layer's part. */
static enum rc
input_read(const char *text, json_t **input_r, char why[LOGIN_WHY_BYTES])
{
	char wrong[JSON_ERROR_BYTES];
	struct buf input;
	enum rc rc;

	if (strcmp(text, "-") != 0) {
		rc = json_read(span_of(text), wrong, input_r);
	} else {
		rc = input_file("-", INPUT_MAX_BYTES, &input, why);
		if (rc != RC_OK)
			return (rc);
		rc = json_read(buf_as_span(&input), wrong, input_r);
		buf_free(&input);
	}
	if (rc != RC_OK)
		(void)snprintf(
		    why, LOGIN_WHY_BYTES, "the input is not JSON: %s", wrong);
	return (rc);
}

static enum ctl_exit
operation_run(const struct ctl *ctl, const struct login_options *o,
    const char *operation, const char *text)
{
	json_t *input = NULL, *answer = NULL;
	char why[LOGIN_WHY_BYTES];
	enum ctl_exit code = CTL_FAILED;
	enum rc rc;

	rc = input_read(text, &input, why);
	if (rc == RC_OK)
		rc = login_operation(ctl, o, operation, input, &answer, why);
	if (rc == RC_OK)
		code = print_json(answer);
	else
		ctl_say("%s", why);
	json_decref(answer);
	json_decref(input);
	return (code);
}

static enum ctl_exit
ecr_run(struct ctl *ctl, int argc, char **argv)
{
	static const struct option own[] = {
		LOGIN_OPTIONS,
		{ NULL, 0, NULL, 0 },
	};
	const char *word = NULL, *operation = NULL, *text = NULL;
	struct login_options o = { 0 };
	int code;

	while ((code = ctl_next(ctl, argc, argv, own, &word)) != -1) {
		if (code != 0)
			login_option(&o, code);
		else if (operation == NULL)
			operation = word;
		else if (text == NULL)
			text = word;
		else
			ctl_usage(ctl, "unexpected argument \"%s\"", word);
	}
	if (operation == NULL)
		ctl_usage(ctl, "say what: ecr DescribeRepositories");
	if (!operation_ok(operation))
		ctl_usage(ctl,
		    "\"%s\" is no operation: DescribeRepositories is one",
		    operation);
	return (operation_run(ctl, &o, operation, text != NULL ? text : "{}"));
}

const struct command command_ecr = {
	.name = "ecr",
	.title = "ecr",
	.summary = "call any operation of the ECR API",
	.help = help,
	.run = ecr_run,
};
