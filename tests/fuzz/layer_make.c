#include "layer_make.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define NAME_BYTES 100
#define BLOCK_BYTES 512

static void
field(char *to, struct span s)
{
	if (s.n > 0)
		memcpy(to, s.p, s.n < NAME_BYTES ? s.n : NAME_BYTES);
}

void
tar_entry(struct buf *out, char type, struct span name, struct span content)
{
	bool link = type == '1' || type == '2';
	char head[BLOCK_BYTES] = { 0 };
	unsigned sum = 0;
	size_t i;

	field(head, name);
	(void)snprintf(head + 100, 8, "%07o", 0644);
	(void)snprintf(head + 124, 12, "%011zo", link ? 0 : content.n);
	memset(head + 148, ' ', 8);
	head[156] = type;
	if (link)
		field(head + 157, content);
	memcpy(head + 257, "ustar\00000", 8);
	for (i = 0; i < sizeof(head); i++)
		sum += (uint8_t)head[i];
	(void)snprintf(head + 148, 8, "%06o", sum);
	buf_add(out, head, sizeof(head));
	if (link)
		return;
	buf_span(out, content);
	while (out->n % BLOCK_BYTES != 0)
		buf_char(out, '\0');
}
