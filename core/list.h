// SPDX-License-Identifier: GPL-2.0-or-later
// Intrusive circular doubly linked list. A node is embedded in its owner and removed by its owner
// before the owner dies. No locking.
#pragma once

#include <stdbool.h>

#include "core/cc.h"

VV_BEGIN_DECLS

struct list {
	struct list *prev, *next; /* a head and a node alike */
};

static inline void list_init(struct list *l)
{
	l->prev = l;
	l->next = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_add_tail(struct list *head, struct list *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

static inline void list_add_head(struct list *head, struct list *node)
{
	list_add_tail(head->next, node);
}

/* Leaves the node initialised, so that a second removal does nothing. */
static inline void list_del(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

/* `pos` is a pointer to the embedding struct; the safe forms allow removal of `pos`. */
#define list_for_each(pos, head, type, member)                                                     \
	for (pos = container_of((head)->next, type, member); &pos->member != (head);               \
	     pos = container_of(pos->member.next, type, member))
#define list_for_each_reverse(pos, head, type, member)                                             \
	for (pos = container_of((head)->prev, type, member); &pos->member != (head);               \
	     pos = container_of(pos->member.prev, type, member))
#define list_for_each_safe(pos, tmp, head, type, member)                                           \
	for (pos = container_of((head)->next, type, member),                                       \
	    tmp = container_of(pos->member.next, type, member);                                    \
	     &pos->member != (head);                                                               \
	     pos = tmp, tmp = container_of(pos->member.next, type, member))
#define list_first(head, type, member)                                                             \
	(list_empty(head) ? NULL : container_of((head)->next, type, member))

VV_END_DECLS
