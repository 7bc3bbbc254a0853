#ifndef REGISTRYD_REGISTRY_CONFIG_H
#define REGISTRYD_REGISTRY_CONFIG_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/rc.h"
#include "base/span.h"
#include "storage/entities.h"

/*
 * What clients of the API configure of the registry as a whole: account
 * settings, scanning, replication, signing, creation templates, rules of the
 * pull through cache, exclusions from the time of the last pull.  Each is a
 * JSON object, kept as an entity (storage/entities.h); what there is one of is
 * of kind ENTITY_REGISTRY under one of the names below, apart from "policy",
 * which is the auth room's.
 *
 * Reads are point reads of small values: loop or worker.  Changes: workers.
 * They leave the generation of the entities alone: nobody may keep a copy.
 */
struct meta;

#define CONFIG_ACCOUNT_SETTINGS SPAN("account-settings")
#define CONFIG_SCANNING SPAN("scanning")
#define CONFIG_REPLICATION SPAN("replication")
#define CONFIG_SIGNING SPAN("signing")

/** registry_config_get(m, kind, name, o_r): the caller's.  RC_NOTFOUND;
 * RC_CORRUPT: logged. */
RC_MUST_USE enum rc registry_config_get(
    struct meta *, enum entity_kind, struct span name, json_t **o_r);

enum config_put { CONFIG_PUT, CONFIG_ADD, CONFIG_REPLACE };

/**
 * registry_config_put(m, kind, name, o, how, max):
 * CONFIG_ADD: RC_EXISTS if it is there, RC_LIMIT if there are ${max} of the
 * kind already (0: any number).  CONFIG_REPLACE: RC_NOTFOUND if it is not.
 */
RC_MUST_USE enum rc registry_config_put(struct meta *, enum entity_kind,
    struct span name, const json_t *o, enum config_put, size_t max);

/**
 * registry_config_update(m, kind, name, change, arg):
 * Read it, have ${change} alter it and put it back, with nobody's change lost
 * in between: begun again when others changed it meanwhile, so ${change} may be
 * called several times.  It is given {} for what is not
 * there or is damaged (logged); another code than RC_OK of its own ends the
 * update, and nothing has changed.  RC_BUSY.
 */
typedef enum rc config_change_fn(json_t *o, void *arg);
RC_MUST_USE enum rc registry_config_update(struct meta *, enum entity_kind,
    struct span name, config_change_fn *change, void *arg);

/** registry_config_delete(m, kind, name, o_r): what it was, the caller's; {}
 * of what is damaged (logged).  ${o_r} may be NULL.  RC_NOTFOUND, RC_BUSY. */
RC_MUST_USE enum rc registry_config_delete(
    struct meta *, enum entity_kind, struct span name, json_t **o_r);

/**
 * registry_config_page(m, kind, after, n, list_r, more_r):
 * By name, those behind ${after}: a JSON array of arrays [name, object], the
 * caller's.  RC_CORRUPT: logged.
 */
RC_MUST_USE enum rc registry_config_page(struct meta *, enum entity_kind,
    struct span after, size_t n, json_t **list_r, bool *more_r);

/* Account settings. */

/** registry_setting(m, name): of the account settings; its default when it was
 * never set; NULL: there is no setting of that name.  A static string.  Loop or
 * worker. */
const char *registry_setting(struct meta *, const char *name);

/** registry_setting_name(i): their names; NULL behind the last. */
const char *registry_setting_name(size_t i);

/** registry_setting_values(i): what that one may be, the default first; NULL
 * behind the last. */
const char *const *registry_setting_values(size_t i);

#endif
