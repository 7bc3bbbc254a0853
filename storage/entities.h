#ifndef STORAGE_ENTITIES_H
#define STORAGE_ENTITIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/rc.h"
#include "base/span.h"

/*
 * A part of the seam of meta.h: entities of identity and of configuration.
 * They are few, small, owned by rooms above that write their records (JSON
 * objects), and changed together: a change of several is one transaction.
 * Each change moves the generation on, by which holders of a copy see that it
 * is old; notes, and what is changed apart, nobody has a copy of.
 */
struct meta;

enum entity_kind { /* stored: never renumber */
	ENTITY_USER = 1,
	ENTITY_GROUP = 2,
	ENTITY_POLICY = 3,
	ENTITY_ACCESS_KEY = 4,
	ENTITY_SEAL_KEY = 5, /* wrapped; base/keyring.h */
	ENTITY_REGISTRY =
	    6,		 /* what there is one of: "policy", "scanning", ... */
	ENTITY_NOTE = 7, /* last use of an access key; moves no generation */
	ENTITY_CREATION_TEMPLATE = 8, /* by prefix */
	ENTITY_CACHE_RULE = 9,	      /* by prefix */
	ENTITY_PULL_EXCLUSION = 10,   /* by the principal's ARN */
	ENTITY_UPSTREAM_SECRET = 11, /* credentials of other registries, sealed;
					by registry or name */
	ENTITY_MIRROR = 12,	     /* by name, as registryctl made it */
	ENTITY_MIRROR_STATE = 13,    /* by name: its last runs */
	ENTITY_BACKFILL = 14,	     /* of replication, by id */
	ENTITY_KEY_DOMAIN = 15,	  /* wrapped; by number, 8 hexadecimal digits:
				   storage/keys.h */
	ENTITY_ADVISORY_SET = 16, /* what was imported: storage/advisories.h */
	ENTITY_STACK = 17,	  /* by name: what a template has made */
};

#define ENTITY_NAME_MAX_BYTES 256
#define ENTITY_RECORD_MAX_BYTES ((size_t)1 << 20)

struct entity {
	enum entity_kind kind;
	struct span name;
	struct span record;
};

/** meta_entity_generation(m, generation_r): 0 of an empty registry. */
RC_MUST_USE enum rc
meta_entity_generation(struct meta *, uint64_t *generation_r);

/** meta_entity_get(m, kind, name, arena, e_r): RC_NOTFOUND. */
RC_MUST_USE enum rc meta_entity_get(struct meta *, enum entity_kind,
    struct span name, struct arena *, struct entity *e_r);

struct entity_page {
	struct entity *rows; /* by name */
	size_t n;
	bool more;
	uint64_t generation; /* of the view that the page is from */
};

/** meta_entity_page(m, kind, after, n, arena, page_r): names after ${after}
 * (empty: from the first). */
RC_MUST_USE enum rc meta_entity_page(struct meta *, enum entity_kind,
    struct span after, size_t n, struct arena *, struct entity_page *page_r);

struct entity_change {
	struct entity entity; /* .record.p NULL: delete it */
	bool must_be_new;     /* RC_EXISTS if there is one of that name */
	bool must_exist;      /* RC_NOTFOUND if not */
	bool apart;	    /* the generation is neither looked at nor moved */
	struct span was;    /* RC_BUSY if its record is another by now; .p
				 NULL: whatever it is */
	size_t max_of_kind; /* with must_be_new: RC_LIMIT if there are so
				 many of its kind; 0: any number */
};

/**
 * meta_entities_change(m, expected, changes, n, generation_r):
 * All or none.  RC_BUSY: the generation is not ${expected} any more (somebody
 * changed entities meanwhile): read again.  RC_EXISTS, RC_NOTFOUND; RC_TOOBIG:
 * a name or record is too long; RC_INVALID: one is empty.  Notes and changes
 * apart only: ${expected} is not looked at.  *${generation_r}: that from now
 * on.
 */
RC_MUST_USE enum rc meta_entities_change(struct meta *, uint64_t expected,
    const struct entity_change *, size_t n, uint64_t *generation_r);

#endif
