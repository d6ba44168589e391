/* supervisor.c - see supervisor.h. */
#include "scheduler/supervisor.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"

void supervisor_open(struct supervisor *s)
{
    s->socket = xstrdup(getenv("NOTIFY_SOCKET"));
    unsetenv("NOTIFY_SOCKET");
}

void supervisor_close(struct supervisor *s)
{
    mem_free(&s->socket);
}

void supervisor_tell(const struct supervisor *s, const char *text)
{
    AUTO(fd_close) int fd = -1;
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t len = s->socket != NULL ? strlen(s->socket) : 0;
    socklen_t size;

    if (len == 0 || len >= sizeof to.sun_path || (s->socket[0] != '/' && s->socket[0] != '@'))
        return;
    memcpy(to.sun_path, s->socket, len);
    if (to.sun_path[0] == '@')
        to.sun_path[0] = '\0'; /* the abstract namespace */
    size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 ||
        sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&to, size) < 0)
        log_debug("systemd could not be told \"%s\"", text);
}
