/* page_parts.h - the parts of the page; internal to page*.c. */
#ifndef PGBR_SCHEDULER_PAGE_PAGE_PARTS_H
#define PGBR_SCHEDULER_PAGE_PAGE_PARTS_H

#include "scheduler/page/html.h"

extern const char page_style[]; /* all of its CSS */

/* A shape that tells a state without colour: check, exclamation mark, cross, question mark. */
void page_state_icon(struct page *p, enum status_word word);

/* ---- of a cluster ---- */

void page_problems(struct page *p, const struct status_cluster *c);
void page_runs(struct page *p, const struct status_cluster *c);
void page_drills(struct page *p, const struct status_cluster *c);
void page_events(struct page *p, const struct status_cluster *c);
/* How old all of this is. */
void page_ages(struct page *p, const struct status_cluster *c);

/* ---- of a repository ---- */

void page_repo(struct page *p, const struct status_cluster *c, const struct status_repo *r);
/* Backups, WAL and windows on an axis of time. */
void page_timeline(struct page *p, const struct status_repo *r);
/* What the marks in it mean. */
void page_legend(struct page *p, const struct status_repo *r);

const char *page_type_word(enum backup_type type); /* "full", "differential", "incremental" */

#endif
