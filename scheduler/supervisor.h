/*
 * supervisor.h - telling systemd how the daemon is (sd_notify(3), without its library): nothing
 * where no systemd asked for it by NOTIFY_SOCKET.
 */
#ifndef PGBR_SCHEDULER_SUPERVISOR_H
#define PGBR_SCHEDULER_SUPERVISOR_H

struct supervisor {
    char *socket; /* NULL: nobody listens */
};
/* Takes the address out of the environment, so that no child speaks for this process. */
void supervisor_open(struct supervisor *s);
void supervisor_close(struct supervisor *s);
/* "READY=1", "STOPPING=1", "STATUS=...". What cannot be sent is not. */
void supervisor_tell(const struct supervisor *s, const char *text);

#endif
