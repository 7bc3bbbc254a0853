#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/obj.h"
#include "registryctl/certs.h"
#include "registryctl/command.h"
#include "registryctl/print.h"

/*
 * registryctl tls init: certificates for a registry that has none.
 */
static const char help[] =
    "Usage: registryctl tls init [--out DIR] [--host NAME]... [--days N] "
    "[--force]\n"
    "Make a certificate authority and a certificate for the server (ECDSA\n"
    "P-256), as ca.pem, ca-key.pem, server.pem and server-key.pem. An\n"
    "authority that is there signs again, so that clients which trust it need\n"
    "nothing new.\n"
    "\n"
    "  --out DIR    where the files go (./tls)\n"
    "  --host NAME  a name or IP address by which clients reach the server;\n"
    "               may be repeated (localhost, 127.0.0.1, ::1 and the name\n"
    "               of this machine)\n"
    "  --days N     how long the server certificate is valid (825)\n"
    "  --force      replace a server certificate that is there\n";

#define DAYS 825
#define DAYS_MAX 36500

static void
host_add(struct certs_options *o, const char *host)
{
	o->hosts = xrealloc(o->hosts, (o->n_hosts + 1) * sizeof(*o->hosts));
	o->hosts[o->n_hosts++] = host;
}

static void
hosts_default(struct certs_options *o, char machine[HOST_NAME_MAX + 1])
{
	host_add(o, "localhost");
	host_add(o, "127.0.0.1");
	host_add(o, "::1");
	if (gethostname(machine, HOST_NAME_MAX) == 0 &&
	    strcmp(machine, "localhost") != 0 && certs_host_ok(machine))
		host_add(o, machine);
}

static void
text_show(const struct certs_options *o, bool ca_made)
{
	size_t i;

	(void)printf("%s %s/" CERTS_CA "\n",
	    ca_made ? "made the authority" : "signed with the authority",
	    o->dir);
	(void)printf("made %s/" CERTS_SERVER " and %s/" CERTS_SERVER_KEY
		     ", valid for %u days, for",
	    o->dir, o->dir, o->days);
	for (i = 0; i < o->n_hosts; i++)
		(void)printf(" %s", o->hosts[i]);
	(void)printf("\n\nServe with it:\n"
		     "  registryd --tls-cert %s/" CERTS_SERVER
		     " --tls-key %s/" CERTS_SERVER_KEY "\n"
		     "Tell clients to trust it (HOST:PORT as they write it):\n"
		     "  docker          cp %s/" CERTS_CA
		     " /etc/docker/certs.d/HOST:PORT/ca.crt\n"
		     "  podman, skopeo  cp %s/" CERTS_CA
		     " /etc/containers/certs.d/HOST:PORT/ca.crt\n"
		     "Keep " CERTS_CA_KEY " to yourself: whoever has it can be "
		     "any server to those clients.\n",
	    o->dir, o->dir, o->dir, o->dir);
}

static enum ctl_exit
json_show(const struct certs_options *o, bool ca_made)
{
	json_t *doc, *hosts = json_array();
	enum ctl_exit code;
	size_t i;

	for (i = 0; i < o->n_hosts; i++)
		(void)json_array_append_new(hosts, json_string(o->hosts[i]));
	doc = json_pack("{s:s+, s:s+, s:s+, s:b, s:i, s:o}", "ca", o->dir,
	    "/" CERTS_CA, "cert", o->dir, "/" CERTS_SERVER, "key", o->dir,
	    "/" CERTS_SERVER_KEY, "authority_made", ca_made, "days",
	    (int)o->days, "hosts", hosts);
	must(doc != NULL);
	code = print_json(doc);
	json_decref(doc);
	return (code);
}

static enum ctl_exit
init_run(struct ctl *ctl, const struct certs_options *o)
{
	char why[CERTS_WHY_BYTES];
	bool ca_made;

	if (certs_make(o, &ca_made, why) != RC_OK) {
		ctl_say("%s", why);
		return (CTL_FAILED);
	}
	if (ctl->output == CTL_JSON)
		return (json_show(o, ca_made));
	text_show(o, ca_made);
	return (print_done(CTL_OK));
}

/* --- the command --------------------------------------------------------- */

enum own_code { OPT_OUT = 256, OPT_HOST, OPT_DAYS, OPT_FORCE };

static const struct option own[] = {
	{ "out", required_argument, NULL, OPT_OUT },
	{ "host", required_argument, NULL, OPT_HOST },
	{ "days", required_argument, NULL, OPT_DAYS },
	{ "force", no_argument, NULL, OPT_FORCE },
	{ NULL, 0, NULL, 0 },
};

static void
days_take(struct ctl *ctl, struct certs_options *o)
{
	uint64_t days;

	if (num_u64(span_of(optarg), DAYS_MAX, &days) != RC_OK || days == 0)
		ctl_usage(ctl, "--days: \"%s\" must be a number from 1 to %d",
		    optarg, DAYS_MAX);
	o->days = (unsigned)days;
}

static void
option_take(struct ctl *ctl, struct certs_options *o, int code)
{
	if (code == OPT_OUT)
		o->dir = optarg;
	else if (code == OPT_DAYS)
		days_take(ctl, o);
	else if (code == OPT_FORCE)
		o->force = true;
	else if (certs_host_ok(optarg))
		host_add(o, optarg);
	else
		ctl_usage(ctl,
		    "--host: \"%s\" is neither a host name nor an IP address",
		    optarg);
}

/* "init", and options on both sides of it. */
static enum ctl_exit
tls_run(struct ctl *ctl, int argc, char **argv)
{
	struct certs_options o = { .dir = "./tls", .days = DAYS };
	char machine[HOST_NAME_MAX + 1] = "";
	enum ctl_exit code;
	bool init = false;
	int opt;

	for (;;) {
		while ((opt = ctl_option(ctl, argc, argv, own)) != -1)
			option_take(ctl, &o, opt);
		if (optind == argc)
			break;
		if (init || strcmp(argv[optind], "init") != 0)
			ctl_usage(
			    ctl, "unexpected argument \"%s\"", argv[optind]);
		init = true;
		optind++;
	}
	if (!init)
		ctl_usage(ctl, "say what: tls init");
	if (o.n_hosts == 0)
		hosts_default(&o, machine);
	code = init_run(ctl, &o);
	free(o.hosts);
	return (code);
}

const struct command command_tls = {
	.name = "tls",
	.title = "tls init",
	.summary = "make a certificate authority and a server certificate",
	.help = help,
	.run = tls_run,
};
