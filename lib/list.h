/*
 * Intrusive doubly linked circular lists. A list is a node that is no element's; an empty one links to itself.
 * No locking of their own; nothing is allocated.
 */
#pragma once

#include "lib/compiler.h"

struct list_node {
	struct list_node *next, *prev;
};

#define LIST_INIT(list)          \
	{                        \
		&(list), &(list) \
	}

static inline void list_init(struct list_node *list)
{
	list->next = list->prev = list;
}

static inline bool list_empty(const struct list_node *list)
{
	return list->next == list;
}

static inline void list_insert_between(struct list_node *node, struct list_node *prev, struct list_node *next)
{
	node->prev = prev;
	node->next = next;
	prev->next = node;
	next->prev = node;
}

/* At the front: the next to be taken by list_first(). */
static inline void list_add(struct list_node *list, struct list_node *node)
{
	list_insert_between(node, list, list->next);
}

static inline void list_add_tail(struct list_node *list, struct list_node *node)
{
	list_insert_between(node, list->prev, list);
}

/* Afterwards @node is an empty list of its own, so deleting it again is harmless. */
static inline void list_del(struct list_node *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

/* Moves all of @from to the tail of @list; @from is then empty. */
static inline void list_splice_tail(struct list_node *list, struct list_node *from)
{
	if (list_empty(from))
		return;
	from->next->prev = list->prev;
	list->prev->next = from->next;
	from->prev->next = list;
	list->prev = from->prev;
	list_init(from);
}

#define list_entry(node, type, member)	     container_of(node, type, member)
#define list_first_entry(list, type, member) list_entry((list)->next, type, member)
#define list_last_entry(list, type, member)  list_entry((list)->prev, type, member)

#define list_for_each(node, list) for ((node) = (list)->next; (node) != (list); (node) = (node)->next)

#define list_for_each_entry(at, list, member)                                                     \
	for ((at) = list_entry((list)->next, __typeof__(*(at)), member); &(at)->member != (list); \
	     (at) = list_entry((at)->member.next, __typeof__(*(at)), member))

/* The body may delete @at. */
#define list_for_each_entry_safe(at, after, list, member)                       \
	for ((at) = list_entry((list)->next, __typeof__(*(at)), member),        \
	    (after) = list_entry((at)->member.next, __typeof__(*(at)), member); \
	     &(at)->member != (list);                                           \
	     (at) = (after), (after) = list_entry((at)->member.next, __typeof__(*(at)), member))
