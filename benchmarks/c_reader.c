/* The yardstick for the client's CPU: a program that only reads the sockets and takes a stamp a read.
 *
 * It opens N connections, sends the same streaming request on each, reads, stamps CLOCK_MONOTONIC before each read and
 * keeps the stamps, and asks again when an answer has ended, until the time is up. No parsing: an answer ends where the
 * bytes read so far end with the last chunk of a chunked body. Result: one line of JSON on stdout.
 *
 *   cc -O2 -o c_reader c_reader.c
 *   ./c_reader --port 8000 --connections 1000 --seconds 10 --ramp 1 --output-tokens 128 --cpu 0
 *
 * CPU and counts are taken over the last --seconds, after the ramp and one --warmup; only `answers` counts from the
 * start. Tokens are bytes over bytes per token, as all answers are alike: null until one answer has ended.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TAIL 7
static const char END[TAIL + 1] = "\r\n0\r\n\r\n";

struct connection {
    int fd;
    int tail_length;
    char tail[TAIL];
    uint64_t answer_bytes;
};

struct totals {
    uint64_t reads, bytes, answers, answer_bytes;
};

static char buffer[1 << 18];
static char request[4096];
static size_t request_length;
static uint64_t *stamps;
static size_t stamps_held, stamps_room;

static void die(const char *what) {
    fprintf(stderr, "c_reader: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static double cpu_part_s(struct timeval t) { return (double)t.tv_sec + 1e-6 * (double)t.tv_usec; }

static void keep(uint64_t stamp_ns) {
    if (stamps_held == stamps_room) {
        stamps_room = stamps_room ? 2 * stamps_room : 1 << 20;
        stamps = realloc(stamps, stamps_room * sizeof *stamps);
        if (!stamps) die("no memory for the stamps");
    }
    stamps[stamps_held++] = stamp_ns;
}

static void ask(struct connection *c) {
    ssize_t sent = send(c->fd, request, request_length, MSG_NOSIGNAL);
    if (sent != (ssize_t)request_length) die("the request could not be sent at once");
    c->tail_length = 0;
    c->answer_bytes = 0;
}

static void open_connection(struct connection *c, int epoll, const struct sockaddr_in *to) {
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0) die("no socket (is ulimit -n high enough?)");
    if (connect(c->fd, (const struct sockaddr *)to, sizeof *to)) die("no connection");
    int one = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event)) die("epoll_ctl");
    ask(c);
}

/* Keep the last TAIL bytes; true when they are the end of a chunked body. */
static int ended(struct connection *c, const char *data, size_t length) {
    if (length >= TAIL) {
        memcpy(c->tail, data + length - TAIL, TAIL);
        c->tail_length = TAIL;
    } else {
        int kept = c->tail_length + (int)length > TAIL ? TAIL - (int)length : c->tail_length;
        memmove(c->tail, c->tail + c->tail_length - kept, (size_t)kept);
        memcpy(c->tail + kept, data, length);
        c->tail_length = kept + (int)length;
    }
    return c->tail_length == TAIL && memcmp(c->tail, END, TAIL) == 0;
}

static void readable(struct connection *c, struct totals *t) {
    keep(now_ns());
    ssize_t got = recv(c->fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) die("the server closed a connection");
    t->reads++;
    t->bytes += (uint64_t)got;
    c->answer_bytes += (uint64_t)got;
    if (ended(c, buffer, (size_t)got)) {
        t->answers++;
        t->answer_bytes += c->answer_bytes;
        ask(c);
    }
}

static const char *option(int argc, char **argv, const char *name, const char *otherwise) {
    for (int i = 1; i + 1 < argc; i += 2)
        if (strcmp(argv[i], name) == 0) return argv[i + 1];
    return otherwise;
}

static void build_request(const char *model, int output_tokens) {
    char body[2048];
    int length = snprintf(body, sizeof body,
                          "{\"model\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"Say something.\"}],"
                          "\"max_tokens\":%d,\"stream\":true,\"stream_options\":{\"include_usage\":true}}",
                          model, output_tokens);
    request_length = (size_t)snprintf(request, sizeof request,
                                      "POST /v1/chat/completions HTTP/1.1\r\nHost: server\r\n"
                                      "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                                      length, body);
}

static void raise_limit(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static void pin(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (cpu >= 0 && sched_setaffinity(0, sizeof set, &set)) die("--cpu");
}

/* Answers are all alike, so bytes tell how much of the unfinished ones has arrived. */
static double tokens_of(struct totals t, int output_tokens) {
    return t.answers ? (double)t.bytes / ((double)t.answer_bytes / (double)t.answers) * output_tokens : 0.0;
}

static void print_or_null(const char *name, int known, double value, const char *after) {
    if (known)
        printf("\"%s\": %.4f%s", name, value, after);
    else
        printf("\"%s\": null%s", name, after);
}

static void report(struct totals t, struct rusage a, struct rusage b, double window_s, int n, int output_tokens) {
    double user_s = cpu_part_s(b.ru_utime) - cpu_part_s(a.ru_utime);
    double system_s = cpu_part_s(b.ru_stime) - cpu_part_s(a.ru_stime);
    double cpu_s = user_s + system_s, tokens = tokens_of(t, output_tokens);
    printf("{\"connections\": %d, \"window_s\": %.6f, \"reads\": %llu, \"bytes\": %llu, \"stamps\": %zu, ", n, window_s,
           (unsigned long long)t.reads, (unsigned long long)t.bytes, stamps_held);
    printf("\"answers\": %llu, ", (unsigned long long)t.answers);
    print_or_null("tokens", t.answers > 0, tokens, ", ");
    print_or_null("tok_per_s", t.answers > 0, tokens / window_s, ", ");
    printf("\"cpu_s\": %.6f, \"cpu_user_s\": %.6f, \"cpu_system_s\": %.6f, ", cpu_s, user_s, system_s);
    print_or_null("cpu_share", 1, cpu_s / window_s, ", ");
    print_or_null("cpu_us_per_read", t.reads > 0, 1e6 * cpu_s / (double)t.reads, ", ");
    print_or_null("cpu_us_per_token", tokens > 0, 1e6 * cpu_s / tokens, "}\n");
}

int main(int argc, char **argv) {
    int n = atoi(option(argc, argv, "--connections", "100"));
    int output_tokens = atoi(option(argc, argv, "--output-tokens", "128"));
    double seconds = atof(option(argc, argv, "--seconds", "5"));
    double ramp_s = atof(option(argc, argv, "--ramp", "1"));
    double warmup_s = atof(option(argc, argv, "--warmup", "1"));
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(option(argc, argv, "--port", "8000")))};
    inet_pton(AF_INET, option(argc, argv, "--host", "127.0.0.1"), &to.sin_addr);
    pin(atoi(option(argc, argv, "--cpu", "-1")));
    raise_limit();
    build_request(option(argc, argv, "--model", "truth"), output_tokens);

    int epoll = epoll_create1(0), opened = 0, measuring = 0;
    struct connection *all = calloc((size_t)n, sizeof *all);
    struct epoll_event events[1024];
    struct totals totals = {0};
    struct rusage before, after;
    uint64_t start = now_ns(), window = start + (uint64_t)((ramp_s + warmup_s) * 1e9), stop = window + (uint64_t)(seconds * 1e9);
    if (epoll < 0 || !all) die("epoll or memory");
    getrusage(RUSAGE_SELF, &before);

    for (uint64_t now = start; now < stop; now = now_ns()) {
        double ramp_share = ramp_s > 0 ? (double)(now - start) / (ramp_s * 1e9) : 1.0;
        for (int due = ramp_share < 1 ? (int)(ramp_share * n) + 1 : n; opened < due && opened < n; opened++)
            open_connection(&all[opened], epoll, &to);
        if (!measuring && now >= window) {
            measuring = 1;
            window = now;
            totals.reads = totals.bytes = 0;
            stamps_held = 0;
            getrusage(RUSAGE_SELF, &before);
        }
        int ready = epoll_wait(epoll, events, 1024, opened < n ? 1 : 20);
        for (int i = 0; i < ready; i++) readable(events[i].data.ptr, &totals);
    }
    getrusage(RUSAGE_SELF, &after);
    report(totals, before, after, 1e-9 * (double)(now_ns() - window), n, output_tokens);
    return 0;
}
