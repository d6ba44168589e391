/* verify_form.h - what the files of verify.h share. Internal to repo/. */
#ifndef PGBR_REPO_VERIFY_VERIFY_FORM_H
#define PGBR_REPO_VERIFY_VERIFY_FORM_H

#include <pthread.h>

#include "repo/verify/verify.h"

/* Packs of a set as they are listed: asked for once, for however many backups need the set. */
struct listed_set {
    char label[LABEL_SIZE + 1];
    struct pack_info *packs; /* ascending; without chunks */
    size_t n;
};
struct check {
    const struct verify_request *q;
    struct verify_made *made;
    struct queue *keys;
    pthread_mutex_t lock; /* of made */
    struct listed_set *sets;
    size_t n_sets;
};

/* Any thread. */
void check_damaged(struct check *c, const char *object, const char *why);
/* A failure that means damage becomes a finding: 0. What is not found is none here. -1:
 * verification cannot go on. */
int check_judge(struct check *c, const char *key, struct err *err) MUST_CHECK;
/* Whether all that the backups need is there. One thread. */
int check_backups(struct check *c, struct err *err) MUST_CHECK;
void check_sets_free(struct check *c);

#endif
