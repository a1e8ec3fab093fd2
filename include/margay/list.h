/* SPDX-License-Identifier: BSD-2-Clause */
/* Doubly linked circular lists. A list head is a separate node. */
#pragma once

#include <margay/atomic.h>
#include <margay/lib.h>

struct list {
	struct list *next, *prev;
};

#define LIST_INIT(name) { &(name), &(name) }

static inline void list_init(struct list *l) { l->next = l->prev = l; }

/* Safe without a lock, as a first check. */
static inline bool list_empty(const struct list *l) { return READ_ONCE(l->next) == l; }


static inline void list_add_before(struct list *n, struct list *at)
{
	n->prev = at->prev;
	n->next = at;
	at->prev->next = n;
	at->prev = n;
}

static inline void list_add_tail(struct list *n, struct list *head) { list_add_before(n, head); }

static inline void list_add(struct list *n, struct list *head) { list_add_before(n, head->next); }

/* Leaves n empty, so that a second list_del() is harmless. */
static inline void list_del(struct list *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	list_init(n);
}

#define list_entry(p, type, member) container_of(p, type, member)
#define list_first(head, type, member) list_entry((head)->next, type, member)
#define list_for_each(p, head, member)                                                        \
	for ((p) = list_first((head), __typeof__(*(p)), member); &(p)->member != (head);      \
	     (p) = list_first(&(p)->member, __typeof__(*(p)), member))
/* Sets p to the first element for which cond, an expression of p, is true; NULL: there is none. */
#define list_find(p, head, member, cond)                                                      \
	({                                                                                    \
		list_for_each(p, head, member)                                                \
			if (cond)                                                             \
				break;                                                        \
		(p) = &(p)->member == (head) ? NULL : (p);                                    \
	})
/* The same for a chain that ends with NULL, whose elements have a member next. */
#define chain_find(p, first, cond)                                                            \
	({                                                                                    \
		for ((p) = (first); (p) && !(cond);)                                          \
			(p) = (p)->next;                                                      \
		(p);                                                                          \
	})
