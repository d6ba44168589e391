/* job_words.c - see job_words.h. */
#include "cli/job_words.h"

#include <string.h>

#include "base/mem.h"
#include "cli/app.h"

static int any_option(void *ctx, int code, const char *value, struct err *err)
{
    (void)ctx;
    (void)code;
    (void)value;
    (void)err;
    return 0;
}

/* As the runner will call it. */
static int read_words(const struct job_config *job, struct err *err)
{
    static const struct command *const commands[] = {
        &command_backup, &command_check, &command_drill, &command_expire, &command_verify};
    AUTO(mem_free) char **argv = xcalloc(job->n_words + 2, sizeof *argv);
    struct arguments args;
    size_t n = 0;

    argv[n++] = job->words[0];
    argv[n++] = job->cluster;
    for (size_t i = 1; i < job->n_words; i++)
        argv[n++] = job->words[i];
    for (size_t i = 0; i < LENGTH(commands); i++)
        if (strcmp(commands[i]->name, job->words[0]) == 0)
            return arguments_read(commands[i], (int)n, argv, &args, any_option, NULL, err);
    return 0;
}

int job_words_check_one(const struct config *c, const struct job_config *job, struct err *err)
{
    if (read_words(job, err) == 0)
        return 0;
    err->code = ERR_CONFIG;
    return err_context(err, "\"%s\" line %u, column %u: job \"%s\": \"run\"", c->path,
                       job->place.line, job->place.column, job->name);
}

int job_words_check(const struct config *c, struct err *err)
{
    for (size_t i = 0; i < c->n_jobs; i++)
        TRY(job_words_check_one(c, &c->jobs[i], err));
    return 0;
}
