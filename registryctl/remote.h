#ifndef REGISTRYCTL_REMOTE_H
#define REGISTRYCTL_REMOTE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/rc.h"
#include "base/span.h"
#include "mirror/place.h"
#include "mirror/reference.h"
#include "registryctl/command.h"
#include "registryctl/login.h"

/*
 * The places that commands copy images from and to: repositories of this
 * registry, and of others.
 *
 * This registry is the one that --endpoint names; else the one whose server
 * serves the folder, by DIR/control.sock; else the folder itself; and if there
 * is no registry in it, the one that the environment names (login.h).  At an
 * endpoint one logs in as the AWS CLI does.
 *
 * Credentials for others are those of docker and podman (docker_config.h),
 * unless the options say which.
 */
#define REMOTE_WHY_BYTES 1280

enum remote_side { REMOTE_SOURCE, REMOTE_DESTINATION };

/* Of a registry that is not this one; nothing is copied. */
struct remote_side_options {
	const char *username, *password; /* NULL: of docker's configuration */
	const char *ca_file;		 /* NULL: .login.ca_file */
};

struct remote_options {
	struct login_options login; /* .ids is not used */
	struct remote_side_options side[2];
	const char *master_key_file; /* of a folder that is opened, or NULL */
	const atomic_bool *cancel;   /* or NULL; lives as long as the remote */
};

struct remote;

/** remote_open(ctl, options, r_r): nothing is contacted yet.  Both live as long
 * as the remote. */
struct remote *remote_open(const struct ctl *, const struct remote_options *);

/** remote_close(r): after the places were freed.  Takes NULL. */
void remote_close(struct remote **);

/**
 * remote_here(r, repository, sparse, p_r, why):
 * A repository of this registry; created when something is put there, as by a
 * push.  ${sparse}: where the folder itself is opened, indexes may lack images
 * (a server goes by its settings).  The caller frees the place.  RC_NOTFOUND:
 * there is no registry; RC_INVALID: no name of a repository; RC_BUSY,
 * RC_DENIED, ...
 */
RC_MUST_USE enum rc remote_here(struct remote *, struct span repository,
    bool sparse, struct place **p_r, char why[REMOTE_WHY_BYTES]);

/** remote_place(r, side, reference, sparse, p_r, why): of the registry that is
 * named, or, where none is, of this one. */
RC_MUST_USE enum rc
remote_place(struct remote *, enum remote_side, const struct image_reference *,
    bool sparse, struct place **p_r, char why[REMOTE_WHY_BYTES]);

#endif
