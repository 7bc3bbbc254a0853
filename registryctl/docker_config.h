#ifndef REGISTRYCTL_DOCKER_CONFIG_H
#define REGISTRYCTL_DOCKER_CONFIG_H

#include "base/rc.h"
#include "base/span.h"

/*
 * Credentials for registries where docker and podman keep them:
 *
 *	$REGISTRY_AUTH_FILE
 *	$XDG_RUNTIME_DIR/containers/auth.json
 *	$DOCKER_CONFIG/config.json, else ~/.docker/config.json
 *
 * The first that is set is the only one; of the others the first that knows the
 * registry.  In a file: "credHelpers" (docker-credential-X get), "auths" for
 * the repository and the names above it as podman has it, "auths" for the host,
 * "credsStore".
 */
#define DOCKER_CONFIG_WHY_BYTES 512

struct docker_login {
	char *username, *password; /* "<token>": a refresh token */
};

/** docker_config_find(host, repository, login_r, why): of "HOST[:PORT]"; Docker
 * Hub by any of its names.  The caller ends it with docker_login_wipe().
 * RC_NOTFOUND: nobody knows it; RC_INVALID: a file cannot be understood;
 * RC_FAILED: a helper failed; RC_DENIED, RC_IO. */
RC_MUST_USE enum rc docker_config_find(const char *host, struct span repository,
    struct docker_login *login_r, char why[DOCKER_CONFIG_WHY_BYTES]);
void docker_login_wipe(struct docker_login *);

#endif
