/* The receiver of the benchmarks: SMTP with PIPELINING and an ESP's HTTP API (Postmark's shape), counting and forgetting.
 *
 * sink DELAY_MS  prints "SMTP_PORT HTTP_PORT STATE_PORT"; each answer leaves DELAY_MS after what it answers, as if it were that far
 * away. Who connects to STATE_PORT is told "LETTERS BYTES CONNECTIONS". One process, one thread, epoll; ends with its parent.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SMTP, HTTP, STATE, LISTENERS };
#define ROOM 262144

struct conn {
    int fd, kind, in_data, matched; /* matched: how much of CRLF.CRLF was seen */
    char *in;                       /* what was read and not yet dealt with */
    size_t in_used, in_room;
    char *out;
    size_t out_used, out_room, out_sent;
    int64_t due; /* when `out` may leave, in microseconds; 0: nothing waits */
    struct conn *next;
};

static struct conn *waiting; /* connections whose answers are not due yet, oldest first */
static struct conn *waiting_last;
static int64_t delay_us;
static unsigned long letters, bytes, connections;
static int poller;

static int64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void *grown(void *old, size_t room) {
    void *found = realloc(old, room);
    if (!found) abort();
    return found;
}

static void say(struct conn *c, const char *text, size_t n) {
    if (c->out_used + n > c->out_room) {
        c->out_room = (c->out_used + n) * 2;
        c->out = grown(c->out, c->out_room);
    }
    memcpy(c->out + c->out_used, text, n);
    c->out_used += n;
}
#define SAY(c, s) say(c, s, sizeof(s) - 1)

static void end(struct conn *c) {
    if (c->due) { /* it still stands in the line of those who wait: the socket goes, the rest when its turn comes */
        close(c->fd);
        c->fd = -1;
        connections--;
        return;
    }
    if (c->fd >= 0) {
        close(c->fd);
        connections--;
    }
    free(c->in);
    free(c->out);
    free(c);
}

static int flush(struct conn *c) {
    while (c->out_sent < c->out_used) {
        ssize_t n = send(c->fd, c->out + c->out_sent, c->out_used - c->out_sent, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            struct epoll_event e = {EPOLLIN | EPOLLOUT, {.ptr = c}};
            epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &e);
            return 0;
        }
        if (n < 0) return -1;
        c->out_sent += n;
    }
    c->out_sent = c->out_used = 0;
    struct epoll_event e = {EPOLLIN, {.ptr = c}};
    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &e);
    return 0;
}

static int leave(struct conn *c) {
    if (!c->out_used || c->due) return 0;
    if (!delay_us) return flush(c);
    c->due = now_us() + delay_us;
    c->next = NULL;
    if (waiting_last) waiting_last->next = c; else waiting = c;
    waiting_last = c;
    return 0;
}

/* The body, up to CRLF.CRLF; returns how much of it was in `at`. */
static size_t body(struct conn *c, const char *at, size_t n) {
    static const char dot[] = "\r\n.\r\n";
    for (size_t i = 0; i < n; i++) {
        if (!c->matched) {
            const char *cr = memchr(at + i, '\r', n - i);
            if (!cr) return n;
            i = cr - at;
        }
        if (at[i] == dot[c->matched]) {
            if (++c->matched == 5) {
                c->matched = c->in_data = 0;
                letters++;
                SAY(c, "250 2.0.0 Ok: queued\r\n");
                return i + 1;
            }
        } else {
            c->matched = at[i] == '\r' ? 1 : 0;
        }
    }
    return n;
}

static int smtp_line(struct conn *c, const char *line) {
    if (!strncasecmp(line, "MAIL", 4)) SAY(c, "250 2.1.0 Ok\r\n");
    else if (!strncasecmp(line, "RCPT", 4)) SAY(c, "250 2.1.5 Ok\r\n");
    else if (!strncasecmp(line, "DATA", 4)) {
        SAY(c, "354 End data with <CR><LF>.<CR><LF>\r\n");
        c->in_data = 1;
        c->matched = 2; /* the line end of DATA itself counts */
    } else if (!strncasecmp(line, "EHLO", 4)) SAY(c, "250-sink.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 20000000\r\n");
    else if (!strncasecmp(line, "QUIT", 4)) { SAY(c, "221 2.0.0 Bye\r\n"); return 1; }
    else SAY(c, "250 2.0.0 Ok\r\n");
    return 0;
}

static int smtp(struct conn *c) {
    size_t at = 0;
    int over = 0;
    while (at < c->in_used && !over) {
        if (c->in_data) {
            at += body(c, c->in + at, c->in_used - at);
            continue;
        }
        char *nl = memchr(c->in + at, '\n', c->in_used - at);
        if (!nl) break;
        over = smtp_line(c, c->in + at);
        at = nl - c->in + 1;
    }
    memmove(c->in, c->in + at, c->in_used - at);
    c->in_used -= at;
    return over;
}

/* The JSON string that begins at the first quote from `p` on, quotes included; its length. */
static size_t quoted(const char **p, const char *end) {
    const char *from = memchr(*p, '"', end - *p), *at;
    if (!from) return 0;
    for (at = from + 1; at < end && *at != '"'; at++) if (*at == '\\') at++;
    *p = from;
    return at < end ? at - from + 1 : 0;
}

static void answer(struct conn *c, const char *request, size_t n) {
    static const char result[] = "{\"ErrorCode\":0,\"Message\":\"OK\",\"SubmittedAt\":\"2026-01-01T00:00:00Z\",\"MessageID\":\"id-%010lu\",\"To\":";
    const char *body = memmem(request, n, "\r\n\r\n", 4) + 4, *end = request + n;
    int batch = !!memmem(request, body - request, "/batch", 6);
    size_t mark = c->out_used, entries = 0;
    char one[256];
    /* The head's length has room for nine digits, which are known when the body is. */
    SAY(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 000000000\r\n\r\n");
    size_t start = c->out_used;
    if (batch) SAY(c, "[");
    for (const char *p = body; (p = memmem(p, end - p, "\"To\":", 5));) {
        p += 5;
        size_t width = quoted(&p, end);
        if (!width) break;
        if (entries++) SAY(c, ",");
        say(c, one, snprintf(one, sizeof one, result, letters++));
        say(c, p, width);
        SAY(c, "}");
        p += width;
    }
    if (batch) SAY(c, "]");
    snprintf(one, sizeof one, "%09zu", c->out_used - start);
    memcpy((char *)memmem(c->out + mark, start - mark, "000000000", 9), one, 9);
}

static int http(struct conn *c) {
    for (;;) {
        char *end_of_head = memmem(c->in, c->in_used, "\r\n\r\n", 4);
        if (!end_of_head) return 0;
        char *length = strcasestr(c->in, "content-length:");
        size_t whole = (end_of_head - c->in) + 4 + (length && length < end_of_head ? strtoul(length + 15, NULL, 10) : 0);
        if (c->in_used < whole) return 0;
        answer(c, c->in, whole);
        memmove(c->in, c->in + whole, c->in_used - whole);
        c->in_used -= whole;
    }
}

static int readable(struct conn *c) {
    for (;;) {
        if (c->in_room - c->in_used < ROOM) {
            c->in_room = c->in_used + 2 * ROOM;
            c->in = grown(c->in, c->in_room + 1);
        }
        ssize_t n = recv(c->fd, c->in + c->in_used, c->in_room - c->in_used, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) break;
        if (n <= 0) return -1;
        c->in_used += n;
        c->in[c->in_used] = 0;
        bytes += n;
        if (c->kind == SMTP ? smtp(c) : http(c)) {
            flush(c);
            return -1;
        }
        if ((size_t)n < ROOM) break;
    }
    return leave(c);
}

static void accepted(int listener, int kind) {
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (kind == STATE) {
            char text[100];
            int n = snprintf(text, sizeof text, "%lu %lu %lu\n", letters, bytes, connections);
            send(fd, text, n, MSG_NOSIGNAL);
            close(fd);
            continue;
        }
        struct conn *c = calloc(1, sizeof *c);
        if (!c) abort();
        c->fd = fd;
        c->kind = kind;
        connections++;
        struct epoll_event e = {EPOLLIN, {.ptr = c}};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e);
        if (kind == SMTP) {
            SAY(c, "220 sink.example ESMTP\r\n");
            if (leave(c) < 0) end(c);
        }
    }
}

static int listening(int *port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&at, size) || listen(fd, 512)) exit(2);
    getsockname(fd, (struct sockaddr *)&at, &size);
    *port = ntohs(at.sin_port);
    return fd;
}

static int due_now(void) {
    int64_t now = delay_us ? now_us() : 0;
    while (waiting && waiting->due <= now) {
        struct conn *c = waiting;
        waiting = c->next;
        if (!waiting) waiting_last = NULL;
        c->due = 0;
        if (c->fd < 0) { free(c->in); free(c->out); free(c); }
        else if (flush(c) < 0) end(c);
    }
    if (!waiting) return -1;
    int64_t left = (waiting->due - now + 999) / 1000;
    return left < 1 ? 1 : (int)left;
}

int main(int argc, char **argv) {
    int listeners[LISTENERS], ports[LISTENERS];
    struct epoll_event got[256];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    delay_us = argc > 1 ? atol(argv[1]) * 1000 : 0;
    poller = epoll_create1(0);
    for (int i = 0; i < LISTENERS; i++) {
        listeners[i] = listening(&ports[i]);
        struct epoll_event e = {EPOLLIN, {.ptr = &listeners[i]}};
        epoll_ctl(poller, EPOLL_CTL_ADD, listeners[i], &e);
    }
    printf("%d %d %d\n", ports[0], ports[1], ports[2]);
    fflush(stdout);
    for (;;) {
        int n = epoll_wait(poller, got, 256, due_now());
        for (int i = 0; i < n; i++) {
            void *who = got[i].data.ptr;
            if (who >= (void *)listeners && who < (void *)(listeners + LISTENERS)) {
                accepted(*(int *)who, (int)((int *)who - listeners));
                continue;
            }
            struct conn *c = who;
            int bad = (got[i].events & EPOLLOUT) && !c->due ? flush(c) : 0;
            if (!bad && (got[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))) bad = readable(c);
            if (bad) end(c);
        }
    }
}
