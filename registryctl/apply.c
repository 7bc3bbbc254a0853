#include "registryctl/apply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/obj.h"
#include "registryctl/print.h"

/*
 * registryctl apply: a registry as a CloudFormation template says.
 */
static const char help[] =
    "Usage: registryctl [--data DIR | --endpoint URL] [--output text|json]\n"
    "       apply FILE [--stack NAME] [--parameter NAME=VALUE]... [--prune]\n"
    "       [--dry-run] [--yes]\n"
    "Make the registry as a CloudFormation template says (YAML or JSON, as\n"
    "people have them for ECR; \"-\" is standard input). Shows what would be\n"
    "created and changed, and asks before it does it. Applying it again finds\n"
    "nothing to do.\n"
    "  AWS::ECR::Repository, RegistryPolicy, ReplicationConfiguration,\n"
    "  PullThroughCacheRule, RepositoryCreationTemplate,\n"
    "  RegistryScanningConfiguration, PullTimeUpdateExclusion,\n"
    "  SigningConfiguration; all other types are named and skipped.\n"
    "\n"
    "  --stack NAME       under which the registry remembers what this\n"
    "                     template names (the file's name without its ending)\n"
    "  --parameter NAME=VALUE\n"
    "                     a value for one of the template's Parameters\n"
    "  --prune            delete what the stack named before and the template\n"
    "                     does not any more, as its DeletionPolicy allows;\n"
    "                     a repository with images only if it was applied "
    "with\n"
    "                     EmptyOnDelete true\n"
    "  --dry-run          show what would be done, and do nothing: exit\n"
    "                     status 3 if there is something, else 0\n"
    "  --yes              do not ask\n"
    "\n"
    "Through the server of the folder DIR (--data) it acts as the operator;\n"
    "with --endpoint as the user of the AWS credentials, who needs the\n"
    "permissions of what is done and registryd:GetStack, PutStack, ListStacks\n"
    "and DeleteStack.\n" LOGIN_OPTIONS_HELP;

enum own_code {
	OPT_STACK = LOGIN_OWN,
	OPT_PARAMETER,
	OPT_PRUNE,
	OPT_DRY_RUN,
	OPT_YES,
};

static const struct option own[] = {
	{ "stack", required_argument, NULL, OPT_STACK },
	{ "parameter", required_argument, NULL, OPT_PARAMETER },
	{ "prune", no_argument, NULL, OPT_PRUNE },
	{ "dry-run", no_argument, NULL, OPT_DRY_RUN },
	{ "yes", no_argument, NULL, OPT_YES },
	LOGIN_OPTIONS,
	{ NULL, 0, NULL, 0 },
};

#define STACK_NAME_MAX_BYTES 128

/* --- the command line ---------------------------------------------------- */

static void
parameter_take(const struct ctl *ctl, struct apply_options *o)
{
	if (strchr(optarg, '=') == NULL || optarg[0] == '=')
		ctl_usage(
		    ctl, "--parameter needs NAME=VALUE, not \"%s\"", optarg);
	if (o->n_parameters == APPLY_PARAMETERS_MAX)
		ctl_usage(ctl, "a template has at most %d parameters",
		    APPLY_PARAMETERS_MAX);
	o->parameters[o->n_parameters++] = optarg;
}

static void
option_take(const struct ctl *ctl, struct apply_options *o, int code)
{
	if (code == OPT_STACK)
		o->stack = optarg;
	else if (code == OPT_PARAMETER)
		parameter_take(ctl, o);
	else if (code == OPT_PRUNE)
		o->prune = true;
	else if (code == OPT_DRY_RUN)
		o->dry_run = true;
	else if (code == OPT_YES)
		o->yes = true;
	else
		login_option(&o->login, code);
}

static void
options_take(struct ctl *ctl, int argc, char **argv, struct apply_options *o)
{
	const char *word = NULL;
	int code;

	while ((code = ctl_next(ctl, argc, argv, own, &word)) != -1) {
		if (code != 0)
			option_take(ctl, o, code);
		else if (o->file == NULL)
			o->file = word;
		else
			ctl_usage(ctl, "unexpected argument \"%s\"", word);
	}
	if (o->file == NULL)
		ctl_usage(ctl, "say which template: apply FILE");
}

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

static bool
stack_name_ok(const char *name)
{
	size_t n = strlen(name);

	return (n > 0 && n <= STACK_NAME_MAX_BYTES &&
		strchr(LETTERS, name[0]) != NULL &&
		strspn(name, LETTERS "-_.") == n);
}

/* "infra/repositories.yml" is "repositories". */
static char *
stack_name(const struct ctl *ctl, const struct apply_options *o)
{
	const char *slash = strrchr(o->file, '/'), *base, *dot;
	char *name;

	base = slash != NULL ? slash + 1 : o->file;
	dot = strrchr(base, '.');
	if (o->stack != NULL)
		name = xstrdup(o->stack);
	else
		name = xstrndup(base, dot != NULL && dot > base
					  ? (size_t)(dot - base)
					  : strlen(base));
	if (!stack_name_ok(name))
		ctl_usage(ctl,
		    "\"%s\" is no name of a stack (letters, digits, '-', '_' "
		    "and '.', up to %d): give one with --stack NAME",
		    name, STACK_NAME_MAX_BYTES);
	return (name);
}

/* --- asking -------------------------------------------------------------- */

static bool
agreed(void)
{
	char line[16] = "";

	(void)fputs("Make these changes? [y/N] ", stderr);
	(void)fflush(stderr);
	if (fgets(line, sizeof(line), stdin) == NULL) {
		line[0] = '\0';
		(void)fputc('\n', stderr);
	}
	line[strcspn(line, "\r\n")] = '\0';
	return (strcmp(line, "y") == 0 || strcmp(line, "Y") == 0 ||
		strcmp(line, "yes") == 0);
}

/* CTL_OK: go on. */
static enum ctl_exit
consent_get(const struct apply *a)
{
	if (a->options->yes)
		return (CTL_OK);
	if (a->ctl->output == CTL_JSON || isatty(STDIN_FILENO) == 0) {
		ctl_say("there is nobody to ask%s: --yes makes these changes, "
			"--dry-run shows them",
		    a->ctl->output == CTL_JSON ? " with --output json" : "");
		return (CTL_USAGE);
	}
	if (agreed())
		return (CTL_OK);
	ctl_say("nothing was changed");
	return (CTL_FAILED);
}

/* --- all of it ----------------------------------------------------------- */

static enum ctl_exit
show(const struct apply *a, enum ctl_exit code)
{
	enum ctl_exit shown = CTL_OK;

	if (a->ctl->output == CTL_JSON)
		shown =
		    apply_show_json(a, code == CTL_OK && !a->options->dry_run);
	else if (code == CTL_OK && !a->options->dry_run)
		apply_show_outputs(a);
	return (print_done(code != CTL_OK ? code : shown));
}

static enum ctl_exit
plan_carry_out(struct apply *a)
{
	enum ctl_exit code = CTL_OK;

	if (plan_refusals(&a->plan) > 0) {
		ctl_say("nothing was changed: see what is refused");
		return (CTL_FAILED);
	}
	if (a->options->dry_run)
		return (plan_changes(&a->plan) > 0 ? CTL_PROBLEMS : CTL_OK);
	if (plan_changes(&a->plan) > 0)
		code = consent_get(a);
	if (code != CTL_OK)
		return (code);
	return (apply_do(a) ? CTL_OK : CTL_FAILED);
}

static enum ctl_exit
apply_run(struct ctl *ctl, int argc, char **argv)
{
	struct apply_options o = { 0 };
	struct apply a = { .ctl = ctl, .options = &o };
	enum ctl_exit code = CTL_FAILED;

	options_take(ctl, argc, argv, &o);
	a.stack = stack_name(ctl, &o);
	if (apply_prepare(&a)) {
		if (ctl->output == CTL_TEXT)
			apply_show_plan(&a);
		code = show(&a, plan_carry_out(&a));
	}
	apply_end(&a);
	return (code);
}

const struct command command_apply = {
	.name = "apply",
	.title = "apply",
	.summary = "make the registry as a CloudFormation template says",
	.help = help,
	.run = apply_run,
};
