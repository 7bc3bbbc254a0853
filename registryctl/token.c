#include "base/obj.h"
#include "registryctl/manage.h"

/*
 * registryctl token: the registry keeps no tokens, but may stop to take them.
 */
static const char help[] =
    "Usage: registryctl [--data DIR] [--output text|json] token revoke-all "
    "USER\n"
    "Refuse from now on every token that was given to the user so far: docker\n"
    "logins, bearer and refresh tokens, temporary credentials. Access keys "
    "and\n"
    "the password stay good for new ones: see \"access-key deactivate\" and\n"
    "\"user passwd\".\n"
    "\n"
    "  --account ID       the account of the user (12 digits); or write\n"
    "                     ID/USER\n"
    "Where no server runs:\n"
    "  --master-key-file FILE  the master key (REGISTRYD_MASTER_KEY_FILE,\n"
    "                     DIR/master.key; REGISTRYD_MASTER_KEY holds the key\n"
    "                     itself)\n"
    "  --account-id ID    the registry's account (REGISTRYD_ACCOUNT_ID; the\n"
    "                     one that DIR is of)\n";

static const struct manage_action actions[] = {
	{
	    .name = "revoke-all",
	    .op = "token-revoke-all",
	    .words = { "user" },
	    .takes = MANAGE_BIT(MANAGE_ACCOUNT),
	    .done = "revoked all tokens of {user}",
	},
};

const struct manage_family manage_token = { actions, ARRAY_LEN(actions) };

static enum ctl_exit
token_run(struct ctl *ctl, int argc, char **argv)
{
	return (manage_run(ctl, argc, argv, &manage_token));
}

const struct command command_token = {
	.name = "token",
	.title = "token",
	.summary = "revoke all tokens of a user",
	.help = help,
	.run = token_run,
};
