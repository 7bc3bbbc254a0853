#ifndef API_SERVICE_H
#define API_SERVICE_H

#include "registryd/call.h"

/*
 * Handlers that are not the distribution API: is the server well, what are
 * its figures, and what registryctl asks of it over DIR/control.sock.
 */

/** health_live(c): GET /healthz: 200 "ok" while the process answers. */
RC_MUST_USE enum rc health_live(struct call *);

/**
 * health_ready(c): GET /readyz:
 * 200 "ok" when requests can be served; 503 while stopping, and after a
 * failed sync of the store.  Short of space is ready (pulls work): 200, and
 * the body says so.
 */
RC_MUST_USE enum rc health_ready(struct call *);

/**
 * metrics_show(c): GET /metrics:
 * Prometheus text.  404 on a public listener when metrics.listen names
 * another place or says "off".
 */
RC_MUST_USE enum rc metrics_show(struct call *);

/** metrics_init(): register the figures of metrics_show; before threads
 * start, once. */
void metrics_init(void);

/*
 * The control listener only (ROLE_CONTROL).  Times are as clock_iso() writes
 * them, null where there is none.  What is wrong with a request is told with
 * 400; 404 and 409 come with a message.
 *
 *	GET    /control/stats
 *	POST   /control/fsck?repair=BOOL&content=BOOL
 *	POST   /control/gc?dry-run=BOOL
 *	POST   /control/iam
 *	POST   /control/lifecycle/run?repository=NAME
 *	POST   /control/lifecycle/preview?repository=NAME
 *	GET    /control/lifecycle/status?repository=NAME&after=NAME&n=N
 *	GET    /control/deleted?repository=NAME&after=DIGEST
 *	GET    /control/deleted/repositories?after=ID
 *	POST   /control/undelete?repository=NAME&reference=TAG|DIGEST
 *	GET    /control/mirrors
 *	POST   /control/mirrors
 *	DELETE /control/mirrors?name=NAME
 *	POST   /control/mirrors/run?name=NAME
 *	GET    /control/mirrors/history?name=NAME
 *	GET    /control/replication
 *	GET    /control/secrets
 *	POST   /control/secrets
 *	DELETE /control/secrets?name=NAME
 *	GET    /control/cache
 *	POST   /control/cache/rules
 *	DELETE /control/cache/rules?prefix=PREFIX
 *	POST   /control/cache/validate?prefix=PREFIX
 *	POST   /control/cache/evict
 *	GET    /control/advisories
 *	POST   /control/advisories?source=NAME
 *	DELETE /control/advisories?source=NAME
 *	POST   /control/backup
 *	GET    /control/jobs/{id}?since=N
 *	DELETE /control/jobs/{id}
 */

/**
 * control_stats(c): {"store","server","gc","lifecycle"}:
 * "gc" {"running","collections","failed","links","blobs","bytes","last"}:
 * since the start; "lifecycle" {"running" (a repository or null),"runs",
 * "failed","stopped","expired","archived","last"}.
 */
RC_MUST_USE enum rc control_stats(struct call *);

/**
 * control_fsck(c):
 * Start a check, or join the one that runs: 202 and the job as control_job
 * shows it, with "joined" true for a running one.  409 when the running one
 * was asked for with other options.
 */
RC_MUST_USE enum rc control_fsck(struct call *);

/**
 * control_gc(c):
 * Start a collection, or join the one that runs, which then goes through all
 * once more: 202 and the job (gc_job_json()), with "joined".  With dry-run=true
 * it changes nothing.
 */
RC_MUST_USE enum rc control_gc(struct call *);

/**
 * control_lifecycle_run(c):
 * Carry out the lifecycle policy of a repository, or without a name those of
 * all: 202 and the job (run_job_json()), with "joined" true for one that was
 * asked for and has not begun.  404: no such repository, or it has no policy;
 * 409: too many wait.
 */
RC_MUST_USE enum rc control_lifecycle_run(struct call *);

/**
 * control_lifecycle_preview(c):
 * The body is {"policy":TEXT,"against":TEXT,"extensions":BOOL}: without
 * "policy" that of the repository; with "against" the difference to that
 * policy, or, "", to that of the repository; "extensions": of the grammar, as
 * the settings say if it is absent.  202 and the job (look_job_json()).  400:
 * what is wrong with which policy; 404 as above; 409: too many run.
 */
RC_MUST_USE enum rc control_lifecycle_preview(struct call *);

/**
 * control_lifecycle_status(c):
 * {"interval_ms","jitter_ms","window","extensions","undelete_window_ms",
 * "running" (a repository or null),"policies" [{"repository","has_policy",
 * "revision","set","evaluated","next","last"}],"more","last"}: those that have
 * a policy, or had one and a run, behind the name ${after}, at most ${n} (100);
 * "more" true: ask again with ${after} the member "last" of the answer, even if
 * it has no policies.  Of a policy "last" is its last run or null: {"started",
 * "ended","outcome","revision","images","expired","archived","held","changed",
 * "why"}.  With a repository that one alone.  404: no such repository.
 */
RC_MUST_USE enum rc control_lifecycle_status(struct call *);

/**
 * control_deleted(c):
 * {"images" [{"digest","tags","deleted","until","pushed","bytes","why"
 * ("request","lifecycle"),"rule"}],"more"}: those of a repository that can be
 * restored, by digest, behind ${after}.  404: no such repository.
 */
RC_MUST_USE enum rc control_deleted(struct call *);

/** control_deleted_repositories(c): {"repositories" [{"name","id","deleted",
 * "until","images"}],"more"}: behind the id ${after}. */
RC_MUST_USE enum rc control_deleted_repositories(struct call *);

/**
 * control_undelete(c):
 * Restore an image, or without a reference a repository: {"repository",
 * "digest" (null of a repository),"tags","taken" (tags that are another image's
 * by now),"children"}.  404: it is not among what can be restored; 409: an
 * index needs what is gone, or there is a repository of that name.
 */
RC_MUST_USE enum rc control_undelete(struct call *);

/** control_body_max(c): of a body to the control listener. */
uint64_t control_body_max(const struct call *);

/**
 * control_iam(c):
 * Users, keys, policies: the body is a request of auth_admin(), so is the
 * answer.  409 when the server runs without authentication.
 */
RC_MUST_USE enum rc control_iam(struct call *);

/** control_mirrors(c): {"mirrors"}: as mirrors_json(). */
RC_MUST_USE enum rc control_mirrors(struct call *);

/** control_mirror_add(c): the body is a mirror (mirror_spec_read()): 201 and
 * {"name"}.  409: there is one of that name, perhaps in the configuration. */
RC_MUST_USE enum rc control_mirror_add(struct call *);

/** control_mirror_remove(c): 200.  404; 409: it stands in the
 * configuration. */
RC_MUST_USE enum rc control_mirror_remove(struct call *);

/** control_mirror_run(c): 202 and the job (mirror_job_json()), with "joined"
 * true for one that was asked for and has not begun.  404; 409: too many
 * wait. */
RC_MUST_USE enum rc control_mirror_run(struct call *);

/** control_mirror_history(c): {"name","runs"}: mirrors_history_json().  404. */
RC_MUST_USE enum rc control_mirror_history(struct call *);

/** control_replication(c): {"waiting" (tasks),"sent","failed" (since the
 * start),"next" (when the first task is due),"destinations" [{"name","url"}]
 * (as configured)}. */
RC_MUST_USE enum rc control_replication(struct call *);

/**
 * Of the image that the parameters "repository" and "reference" name; 404; 400:
 * an index, or nothing that can be scanned.
 *
 * control_scan(c): {"repository","digest","tags","status" ("none", "in
 * progress", "complete", "failed", "unsupported"),"why","started","ended"}, and
 * of one that is complete "severities", "advisories" (when those that were
 * looked at were imported last) and "findings", as the ECR API has them.
 * control_scan_start(c): 202, and the same; no quota counts.
 * control_scan_packages(c): the same without findings, and "system", "unread"
 * and "packages" [{"type","name","version","arch","source","license","path",
 * "layer","purl"}].  409: its layers have not been read, or cannot be.
 * control_scan_sbom(c): {"media_type","subject" (a descriptor),"created",
 * "document"} by the parameter "format" ("cyclonedx", "spdx").  409.
 */
RC_MUST_USE enum rc control_scan(struct call *);
RC_MUST_USE enum rc control_scan_start(struct call *);
RC_MUST_USE enum rc control_scan_packages(struct call *);
RC_MUST_USE enum rc control_scan_sbom(struct call *);

/** control_advisories(c): {"revision","sources" [advisory_set_json()]}. */
RC_MUST_USE enum rc control_advisories(struct call *);
/**
 * control_advisories_import(c), ..._begin(c), ..._finish(c):
 * The body is a file of advisories (scan/advisory.h), of any length, read as it
 * arrives: 200 and advisory_imported_json().  Without a source it is as the file
 * suggests.  400: why the file cannot be read; 409: others are being imported.
 * Whatever fails, what there was before stays.
 */
RC_MUST_USE enum rc control_advisories_import(struct call *);
RC_MUST_USE enum rc control_advisories_begin(struct call *);
RC_MUST_USE enum rc control_advisories_finish(struct call *);
bool control_advisories_streams(const struct call *);
uint64_t control_advisories_max(const struct call *);
/** control_advisories_remove(c): 200.  404. */
RC_MUST_USE enum rc control_advisories_remove(struct call *);

/** control_keys(c): master_key_list(). */
RC_MUST_USE enum rc control_keys(struct call *);
/** control_keys_rotate(c): {"wrapped"}: how many keys there are. */
RC_MUST_USE enum rc control_keys_rotate(struct call *);

/** control_secrets(c): {"secrets"}: secrets_list(). */
RC_MUST_USE enum rc control_secrets(struct call *);

/** control_secret_put(c): the body is {"name","username","password"}, or
 * {"name","access_key_id","secret_access_key","region","api_url"}: 201 and
 * {"name"}, which for a registry is its URL.  409: the master key cannot be
 * made. */
RC_MUST_USE enum rc control_secret_put(struct call *);

/** control_secret_delete(c): 200.  404. */
RC_MUST_USE enum rc control_secret_delete(struct call *);

/** control_cache(c): {"rules" [{"prefix","upstream","url","upstream_prefix",
 * "credential"}],"upstreams" [{"url","requests","failures","retries","tokens",
 * "bytes_in","bytes_out","limit","remaining","not_before","failed","failure"}],
 * "settings" {"mode","freshness_ms","max_bytes","children"},"stats" (struct
 * cache_stats)}. */
RC_MUST_USE enum rc control_cache(struct call *);

/** control_cache_rule_add(c): the body is {"prefix","upstream",
 * "upstream_prefix","credential"}: 201 and what CreatePullThroughCacheRule
 * answers; 400 with what it refuses. */
RC_MUST_USE enum rc control_cache_rule_add(struct call *);

/** control_cache_rule_remove(c), control_cache_validate(c): as
 * DeletePullThroughCacheRule and ValidatePullThroughCacheRule answer. */
RC_MUST_USE enum rc control_cache_rule_remove(struct call *);
RC_MUST_USE enum rc control_cache_validate(struct call *);

/** control_cache_evict(c): {"images","bytes" (there were),"evicted",
 * "evicted_bytes","max_bytes"}.  409: no limit is set. */
RC_MUST_USE enum rc control_cache_evict(struct call *);

/** control_backup(c): 202 and the job (backup_job_json()).  409: there is
 * one. */
RC_MUST_USE enum rc control_backup(struct call *);

/** control_job(c): the job as registryd/jobs.h tells; what it has lists of
 * from number ${since} on.  404: no such job. */
RC_MUST_USE enum rc control_job(struct call *);

/** control_job_cancel(c): 202; the job ends soon as "cancelled". */
RC_MUST_USE enum rc control_job_cancel(struct call *);

#endif
