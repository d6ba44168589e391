/* notify_send.c - what command and webhook share. */
#include "scheduler/notify/notify_send.h"

#include "base/clock.h"

void notify_answer_free(struct notify_answer *a)
{
    buf_free(&a->output);
}

void notify_keep(struct buf *output, const char *data, size_t len)
{
    size_t room = output->len < NOTIFY_OUTPUT_MAX ? NOTIFY_OUTPUT_MAX - output->len : 0;

    for (size_t i = 0; i < MIN_OF(len, room); i++)
        buf_addc(output, (unsigned char)data[i] < ' ' || data[i] == 0x7f ? ' ' : data[i]);
    buf_text(output);
}

int notify_send(const struct notify_receiver *r, const struct notify_message *m,
                const struct stop *stop, struct notify_answer *a, struct err *err)
{
    int64_t begun = clock_monotonic_us();
    int rc;

    *a = (struct notify_answer){.status = -1};
    rc = (r->type == NOTIFY_COMMAND ? notify_command : notify_webhook)(r, m, stop, a, err);
    a->took_us = clock_monotonic_us() - begun;
    return rc;
}
