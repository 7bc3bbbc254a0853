#include "registryd/audit_images.h"

#include "registryd/service.h"

/* An image can have any number of tags. */
#define IMAGE_BYTES ((size_t)64 << 20)

/* One that is gone by now, or has more tags than there is memory for, is told
 * without them. */
static void
audit_image(struct call *c, struct audit_event *event)
{
	const struct reference ref = { .is_digest = true,
		.digest = *event->digest };
	struct image_row row;
	struct arena own;

	arena_init(&own, IMAGE_BYTES);
	if (meta_image_get(c->meta, c->repository, &ref, &own, &row) == RC_OK) {
		event->tags_known = true;
		event->tags = row.tags;
		event->n_tags = row.n_tags;
		event->bytes = row.image_bytes;
	}
	audit_write(c->service->audit, event);
	arena_reset(&own);
}

void
audit_images(struct call *c, enum audit_kind kind,
    const struct image_list *list, const struct digest *with)
{
	struct audit_event event;
	size_t i;

	for (i = 0; i < list->n; i++) {
		event = (struct audit_event){
			.kind = kind,
			.by = c->principal,
			.repository = c->repository,
			.digest = &list->rows[i],
		};
		if (!digest_eq(&list->rows[i], with))
			event.with = with;
		audit_image(c, &event);
	}
}
