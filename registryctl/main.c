#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/obj.h"
#include "registryctl/command.h"

/*
 * registryctl: look after a registry from the command line.  Called by the
 * name that docker gives its credential helpers it is one.
 */
#define HELPER_NAME "docker-credential-registryd"

static const struct command *const commands[] = {
	&command_user,
	&command_group,
	&command_access_key,
	&command_policy,
	&command_token,
	&command_key,
	&command_get_login,
	&command_get_login_password,
	&command_get_authorization_token,
	&command_docker_credential,
	&command_ecr,
	&command_tls,
	&command_stats,
	&command_lifecycle,
	&command_gc,
	&command_mirror,
	&command_cache,
	&command_secret,
	&command_apply,
	&command_export_template,
	&command_scan,
	&command_advisories,
	&command_copy,
	&command_export,
	&command_import,
	&command_undelete,
	&command_fsck,
	&command_backup,
	&command_restore,
};

static const char help_head[] =
    "Usage: registryctl [--endpoint URL] [--data DIR] [--output text|json] "
    "COMMAND ...\n"
    "Look after a registry.\n"
    "\n"
    "  --data DIR          the registry's folder (REGISTRYD_DATA, ./data).\n"
    "                      Commands talk to the server that serves it, and\n"
    "                      open it themselves where none runs\n"
    "  --endpoint URL      the address of a registry, here or elsewhere, for\n"
    "                      the commands that get tokens of it or apply\n"
    "                      templates to it, with AWS credentials\n"
    "                      (REGISTRYD_ENDPOINT); all others need the folder\n"
    "  --output text|json  for people or for programs (text)\n"
    "  --version           show the version and exit\n"
    "  --help              show this and exit\n"
    "\n"
    "Commands ('registryctl COMMAND --help' tells more):\n";

static const char help_tail[] =
    "\n"
    "Exit status: 0 done, 1 failed, 2 wrong usage, 3 a check found "
    "problems,\n"
    "or there is something to do (apply --dry-run).\n";

static enum ctl_exit
main_help(struct ctl *ctl, int argc, char **argv)
{
	size_t i;

	(void)ctl;
	(void)argc;
	(void)argv;
	(void)fputs(help_head, stdout);
	for (i = 0; i < ARRAY_LEN(commands); i++)
		(void)printf(
		    "  %-23s  %s\n", commands[i]->title, commands[i]->summary);
	(void)fputs(help_tail, stdout);
	return (fflush(stdout) == 0 ? CTL_OK : CTL_FAILED);
}

static enum ctl_exit
main_version(struct ctl *ctl, int argc, char **argv)
{
	(void)ctl;
	(void)argc;
	(void)argv;
	(void)puts("registryctl " REGISTRYD_VERSION);
	return (fflush(stdout) == 0 ? CTL_OK : CTL_FAILED);
}

enum own_code { OPT_VERSION = 256, OPT_MAIN_HELP };

static const struct option own[] = {
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, OPT_MAIN_HELP },
	{ NULL, 0, NULL, 0 },
};

/* Options before the command; the function that is to run without one. */
static enum ctl_exit (*options_take(struct ctl *ctl, int argc, char **argv))(
    struct ctl *, int, char **)
{
	switch (ctl_option(ctl, argc, argv, own)) {
	case OPT_VERSION:
		return (main_version);
	case OPT_MAIN_HELP:
		return (main_help);
	default:
		return (NULL);
	}
}

static const struct command *
command_find(const struct ctl *ctl, const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(commands); i++)
		if (strcmp(name, commands[i]->name) == 0)
			return (commands[i]);
	ctl_usage(ctl, "there is no command \"%s\"", name);
}

static bool
called_as_helper(const char *path)
{
	const char *slash = strrchr(path, '/');

	return (strcmp(slash != NULL ? slash + 1 : path, HELPER_NAME) == 0);
}

int
main(int argc, char **argv)
{
	const char *data = getenv("REGISTRYD_DATA");
	struct ctl ctl = { .data = data != NULL ? data : "./data" };
	enum ctl_exit (*alone)(struct ctl *, int, char **);
	int first;

	log_set_level(LOG_LVL_WARN);
	if (argc > 0 && called_as_helper(argv[0])) {
		ctl.command = &command_docker_credential;
		return (ctl.command->run(&ctl, argc, argv));
	}
	alone = options_take(&ctl, argc, argv);
	if (alone != NULL)
		return (alone(&ctl, argc, argv));
	if (optind == argc)
		ctl_usage(&ctl, "no command given");
	first = optind;
	ctl.command = command_find(&ctl, argv[first]);
	optind = 0; /* getopt begins anew */
	ctl.words_only = false;
	return (ctl.command->run(&ctl, argc - first, argv + first));
}
