#include <stdio.h>

#include "base/obj.h"
#include "registryctl/manage.h"

/*
 * registryctl key: the master key, under which all secrets are kept.
 */
static const char help[] =
    "Usage: registryctl [--data DIR] [--output text|json] key rotate-master\n"
    "Replace the master key in its file by a new one and wrap the keys that\n"
    "seal secrets and tokens anew. No access key, password or token changes,\n"
    "and nothing is interrupted. Copies of the old file open old copies of "
    "the\n"
    "folder only.\n"
    "\n"
    "A master key in the environment cannot be replaced from here: start the\n"
    "server once with REGISTRYD_MASTER_KEY=NEW,OLD, then with NEW.\n"
    "\n"
    "Where no server runs:\n"
    "  --master-key-file FILE  the master key (REGISTRYD_MASTER_KEY_FILE,\n"
    "                     DIR/master.key)\n"
    "  --account-id ID    the registry's account (REGISTRYD_ACCOUNT_ID; the\n"
    "                     one that DIR is of)\n";

static enum ctl_exit
rotated_show(
    const struct ctl *ctl, const struct manage_call *call, const json_t *answer)
{
	(void)ctl;
	(void)call;
	(void)printf("wrapped %llu keys under the new master key\n",
	    (unsigned long long)print_u64(answer, "wrapped"));
	return (print_done(CTL_OK));
}

static const struct manage_action actions[] = {
	{
	    .name = "rotate-master",
	    .op = "key-rotate-master",
	    .show = rotated_show,
	},
};

const struct manage_family manage_key = { actions, ARRAY_LEN(actions) };

static enum ctl_exit
key_run(struct ctl *ctl, int argc, char **argv)
{
	return (manage_run(ctl, argc, argv, &manage_key));
}

const struct command command_key = {
	.name = "key",
	.title = "key",
	.summary = "replace the master key",
	.help = help,
	.run = key_run,
};
