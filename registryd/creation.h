#ifndef REGISTRYD_CREATION_H
#define REGISTRYD_CREATION_H

#include "registryd/call.h"
#include "storage/repositories.h"

/*
 * Repositories that come to be by the way: by a push, by a pull through the
 * cache or by replication.  A creation template says what they are made as; the
 * one with the longest prefix counts, "ROOT" after all others.
 *
 * A push is replication when it says so (Registryd-Replication: REGION/ACCOUNT
 * of where it comes from) and who pushes may do ecr:ReplicateImage: then it
 * makes repositories also where others' pushes do not.  So does one that comes
 * by the server's own socket (ROLE_CONTROL).
 */
enum creation_cause {
	CREATION_PUSH,	      /* CREATE_ON_PUSH */
	CREATION_CACHE,	      /* PULL_THROUGH_CACHE */
	CREATION_REPLICATION, /* REPLICATION */
};

/**
 * creation_preset(c, name, cause, preset_r):
 * What a repository of that name would be made as, in the arena: by the
 * template that applies, else as by default.  RC_OK: a template applies;
 * RC_NOTFOUND: none does, *${preset_r} is the default.  With the quota of
 * repositories.  RC_CORRUPT: a template cannot be read, which was logged;
 * RC_FAILED: it is to be encrypted, and cannot be.  Loop or worker
 * (RC_WOULDBLOCK: on a worker).
 */
RC_MUST_USE enum rc creation_preset(struct call *, struct span name,
    enum creation_cause, struct repository_preset *preset_r);

/**
 * creation_on_push(c, preset_r):
 * May a push make c->repository, were it not there?  By the configuration or
 * by a template, and by the policies of who asks (ecr:CreateRepository, with
 * tags ecr:TagResource).  *${preset_r} NULL: it may not.  Loop or worker.
 */
RC_MUST_USE enum rc
creation_on_push(struct call *, const struct repository_preset **preset_r);

/**
 * creation_refuse(c):
 * c->repository is not there, and a push did not make it.  RC_FAILED with what
 * the policies say to it, where it is they that forbid it; RC_OK, and nothing
 * recorded, where nothing would make it.  Loop or worker.
 */
RC_MUST_USE enum rc creation_refuse(struct call *);

/**
 * creation_on_cache(c, preset_r):
 * What a pull through the cache makes c->repository as, which is not there: by
 * a template, else as by default.  RC_FAILED with what the policies say, if who
 * asks may not make it.  Loop or worker.
 */
RC_MUST_USE enum rc
creation_on_cache(struct call *, const struct repository_preset **preset_r);

/** creation_template_prefix(name, i, prefix_r): the i-th prefix of a template
 * that would apply to ${name}, the longest first, "ROOT" last: "a/b", "a",
 * "ROOT" for "a/b/c", since a '/' is implied behind a prefix.  False: there is
 * none any more. */
bool
creation_template_prefix(struct span name, size_t i, struct span *prefix_r);

#endif
