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
 * registryctl tls: certificates for a registry that has none, and for those
 * of its users who prove themselves with one.
 */
static const char help[] =
    "Usage: registryctl tls init [--out DIR] [--host NAME]... [--days N] "
    "[--force]\n"
    "       registryctl tls client USER [--out DIR] [--days N] [--force]\n"
    "Make certificates (ECDSA P-256).\n"
    "\n"
    "  init         a certificate authority and a certificate for the\n"
    "               server: ca.pem, ca-key.pem, server.pem, server-key.pem.\n"
    "               An authority that is there signs again, so that clients\n"
    "               which trust it need nothing new. Prints where they want\n"
    "               it\n"
    "  client USER  a certificate with which USER gets in at mtls://\n"
    "               listeners, signed by that authority: client-USER.cert\n"
    "               and client-USER.key\n"
    "\n"
    "  --out DIR    where the files go (./tls)\n"
    "  --host NAME  a name or IP address by which clients reach the server;\n"
    "               may be repeated (localhost, 127.0.0.1, ::1 and the name\n"
    "               of this machine)\n"
    "  --days N     how long the certificate is valid (825)\n"
    "  --force      replace a certificate that is there\n";

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

/* Of the authority, for those who run elsewhere; the caller's. */
static char *
ca_path(const char *dir)
{
	char *path = xasprintf("%s/" CERTS_CA, dir);
	char *whole = realpath(path, NULL);

	if (whole == NULL)
		return (path);
	free(path);
	return (whole);
}

/* Each client has a place of its own for what it trusts. */
static void
clients_show(const char *ca)
{
	(void)printf(
	    "Tell clients to trust it (HOST:PORT as they write it):\n"
	    "  docker          install -D -m 644 %s \\\n"
	    "                      /etc/docker/certs.d/HOST:PORT/ca.crt\n"
	    "  podman, skopeo  install -D -m 644 %s \\\n"
	    "                      /etc/containers/certs.d/HOST:PORT/ca.crt\n"
	    "  containerd      in /etc/containerd/certs.d/HOST:PORT/"
	    "hosts.toml:\n"
	    "                      server = \"https://HOST:PORT\"\n"
	    "                      [host.\"https://HOST:PORT\"]\n"
	    "                        ca = \"%s\"\n"
	    "                  (ctr: --hosts-dir /etc/containerd/certs.d)\n"
	    "  AWS CLI, boto3  export AWS_CA_BUNDLE=%s\n"
	    "  curl            --cacert %s\n",
	    ca, ca, ca, ca, ca);
}

static void
text_show(const struct certs_options *o, bool ca_made)
{
	char *ca = ca_path(o->dir);
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
		     " --tls-key %s/" CERTS_SERVER_KEY "\n",
	    o->dir, o->dir);
	clients_show(ca);
	(void)printf("Keep " CERTS_CA_KEY " to yourself: whoever has it can be "
		     "any server to those clients,\nand any user at mtls:// "
		     "listeners.\n");
	free(ca);
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

/* --- clients ------------------------------------------------------------- */

static void
client_show(const struct certs_client *c)
{
	(void)printf(
	    "made %s/client-%s.cert and %s/client-%s.key, valid for "
	    "%u days\n\n"
	    "Let those in who show one: tls.client-ca %s/" CERTS_CA
	    " and a listener mtls://ADDRESS:PORT\n"
	    "Show it:\n"
	    "  docker, podman  put both files into certs.d/HOST:PORT/, "
	    "as client.cert and client.key\n"
	    "  skopeo          --cert-dir with both files\n"
	    "  curl            --cert %s/client-%s.cert --key "
	    "%s/client-%s.key\n",
	    c->dir, c->name, c->dir, c->name, c->days, c->dir, c->dir, c->name,
	    c->dir, c->name);
}

static enum ctl_exit
client_run(struct ctl *ctl, const struct certs_client *c)
{
	char why[CERTS_WHY_BYTES];
	enum ctl_exit code;
	json_t *doc;

	if (certs_client_make(c, why) != RC_OK) {
		ctl_say("%s", why);
		return (CTL_FAILED);
	}
	if (ctl->output == CTL_TEXT) {
		client_show(c);
		return (print_done(CTL_OK));
	}
	doc = json_pack("{s:s, s:s+++, s:s+++, s:i}", "user", c->name, "cert",
	    c->dir, "/client-", c->name, ".cert", "key", c->dir, "/client-",
	    c->name, ".key", "days", (int)c->days);
	must(doc != NULL);
	code = print_json(doc);
	json_decref(doc);
	return (code);
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

struct tls_words {
	const char *words[2];
	size_t n;
};

/* Options may stand on both sides of the words. */
static void
tls_arguments(struct ctl *ctl, int argc, char **argv, struct certs_options *o,
    struct tls_words *w)
{
	const char *word = NULL;
	int code;

	while ((code = ctl_next(ctl, argc, argv, own, &word)) != -1) {
		if (code != 0)
			option_take(ctl, o, code);
		else if (w->n == ARRAY_LEN(w->words))
			ctl_usage(ctl, "unexpected argument \"%s\"", word);
		else
			w->words[w->n++] = word;
	}
}

static enum ctl_exit
client_command(
    struct ctl *ctl, const struct certs_options *o, const struct tls_words *w)
{
	struct certs_client c = {
		.dir = o->dir,
		.name = w->words[1],
		.days = o->days,
		.force = o->force,
	};

	if (w->n < 2)
		ctl_usage(ctl, "whose? tls client USER");
	if (o->n_hosts > 0)
		ctl_usage(ctl, "tls client takes no --host");
	if (!certs_user_ok(c.name))
		ctl_usage(ctl, "\"%s\" is not the name of a user", c.name);
	return (client_run(ctl, &c));
}

static enum ctl_exit
tls_run(struct ctl *ctl, int argc, char **argv)
{
	struct certs_options o = { .dir = "./tls", .days = DAYS };
	char machine[HOST_NAME_MAX + 1] = "";
	struct tls_words w = { .n = 0 };
	enum ctl_exit code;

	tls_arguments(ctl, argc, argv, &o, &w);
	if (w.n == 0)
		ctl_usage(ctl, "say what: tls init, or tls client USER");
	if (strcmp(w.words[0], "client") == 0) {
		code = client_command(ctl, &o, &w);
		free(o.hosts);
		return (code);
	}
	if (strcmp(w.words[0], "init") != 0 || w.n > 1)
		ctl_usage(ctl, "unexpected argument \"%s\"", w.words[w.n - 1]);
	if (o.n_hosts == 0)
		hosts_default(&o, machine);
	code = init_run(ctl, &o);
	free(o.hosts);
	return (code);
}

const struct command command_tls = {
	.name = "tls",
	.title = "tls",
	.summary = "make an authority, server and client certificates",
	.help = help,
	.run = tls_run,
};
