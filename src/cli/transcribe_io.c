/* transcribe_io.c - opening and spooling inputs, writing transcripts; see transcribe_io.h. */
#include "cli/transcribe_io.h"

#include "base/file.h"
#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COPY_BYTES = 65536 };
#define OUTPUT_MAX ((size_t)1 << 30)

/* ---- input ---- */

/* 1: there is something to read (or the end); -PN_ECANCELLED. */
static int wait_for_input(int fd, int stop_fd, struct pn_err *err)
{
    struct pollfd fds[] = { { .fd = stop_fd, .events = POLLIN }, { .fd = fd, .events = POLLIN } };
    while (poll(fds, PN_ARRAY_LEN(fds), -1) < 0)
        if (errno != EINTR)
            return pn_fail_errno(err, "poll");
    return fds[0].revents ? pn_fail(err, PN_ECANCELLED, "interrupted") : 1;
}

static int copy_all(int from, int to, int stop_fd, struct pn_err *err)
{
    char buf[COPY_BYTES];
    for (;;) {
        int r = wait_for_input(from, stop_fd, err);
        if (r < 0)
            return r;
        ssize_t n = read(from, buf, sizeof(buf));
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n < 0)
            return pn_fail_errno(err, "cannot read");
        if (n == 0)
            return 0;
        if (pn_write_all(to, (struct pn_str){ buf, (size_t)n }) < 0)
            return pn_fail_errno(err, "cannot write");
    }
}

/* Consumes `fd`. */
static int spool(int fd, const char *spool_dir, int stop_fd, int *ret_fd, struct pn_err *err)
{
    int to = pn_file_spool(spool_dir, err);
    int r = to < 0 ? to : copy_all(fd, to, stop_fd, err);
    close(fd);
    if (r == 0)
        *ret_fd = to;
    else if (to >= 0)
        close(to);
    return r;
}

int pn_input_open(const char *name, const char *spool_dir, int stop_fd, int *ret_fd, struct pn_err *err)
{
    bool is_stdin = strcmp(name, "-") == 0;
    int fd = is_stdin ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0) {
        int r = pn_fail_errno(err, "cannot open");
        if (fd >= 0)
            close(fd);
        return r;
    }
    if (S_ISDIR(st.st_mode)) {
        close(fd);
        return pn_fail(err, PN_EINVAL, "is a folder");
    }
    if (!S_ISREG(st.st_mode))
        return spool(fd, spool_dir, stop_fd, ret_fd, err);
    *ret_fd = fd;
    return 0;
}

/* ---- output ---- */

int pn_output_make_dir(const char *dir, struct pn_err *err)
{
    char path[512];
    int r = pn_str_copy(path, sizeof(path), pn_str(dir));
    if (r < 0)
        return pn_fail(err, PN_EINVAL, "--output-dir: the name is too long");
    for (char *slash = path; (slash = strchr(slash + 1, '/'));) {
        *slash = '\0';
        mkdir(path, 0777); /* what stands in the way is found by the last one */
        *slash = '/';
    }
    if (mkdir(path, 0777) < 0 && errno != EEXIST)
        return pn_fail_errno(err, "--output-dir: %.150s", dir);
    struct stat st;
    if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
        return pn_fail(err, PN_EINVAL, "--output-dir: %.150s is not a folder", dir);
    return 0;
}

/* "talk.srt" of "a/talk.mp3"; "stdin.srt" of "-". */
static int output_name(const struct pn_output *o, const char *input, char *out, size_t cap,
                       struct pn_err *err)
{
    const char *slash = strrchr(input, '/');
    const char *base = strcmp(input, "-") == 0 ? "stdin" : slash ? slash + 1 : input;
    const char *dot = strrchr(base, '.');
    int len = dot && dot != base ? (int)(dot - base) : (int)strlen(base);
    if (snprintf(out, cap, "%.*s.%s", len, base, pn_format_extension(o->format)) >= (int)cap)
        return pn_fail(err, PN_EINVAL, "the name is too long");
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int pn_output_check_names(const struct pn_output *o, char *const *inputs, struct pn_err *err)
{
    char **names = calloc(o->n_files, sizeof(char *));
    int r = names ? 0 : pn_fail(err, PN_ENOMEM, "no memory for %zu names", o->n_files);
    for (size_t i = 0; r == 0 && i < o->n_files; i++) {
        char name[256] = "";
        r = output_name(o, inputs[i], name, sizeof(name), err);
        if (r == 0 && !(names[i] = strdup(name)))
            r = pn_fail(err, PN_ENOMEM, "no memory for a name");
    }
    if (r == 0)
        qsort(names, o->n_files, sizeof(*names), by_name);
    for (size_t i = 1; r == 0 && i < o->n_files; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            r = pn_fail(err, PN_EINVAL, "two files would both become %.150s in --output-dir", names[i]);
    for (size_t i = 0; names && i < o->n_files; i++)
        free(names[i]);
    free(names);
    return r;
}

/* As tail does: a line that names the file, if there are several; JSON objects stand alone. */
static void format_header(const struct pn_output *o, const char *input, struct pn_buf *out)
{
    if (o->n_files == 1 || o->format == PN_FORMAT_JSON || o->format == PN_FORMAT_VERBOSE_JSON)
        return;
    pn_buf_puts(out, o->n_written ? "\n==> " : "==> ");
    pn_json_escape(out, strcmp(input, "-") == 0 ? PN_STR("standard input") : pn_str(input));
    pn_buf_puts(out, " <==\n");
}

static bool print_all(const struct pn_buf *b)
{
    return !b->failed && (b->len == 0 || fwrite(b->ptr, 1, b->len, stdout) == b->len);
}

static int write_stdout(struct pn_output *o, const char *input, const struct pn_buf *text, struct pn_err *err)
{
    struct pn_buf header;
    pn_buf_init(&header, (size_t)1 << 16);
    format_header(o, input, &header);
    errno = 0;
    if (!print_all(&header) || !print_all(text) || fflush(stdout) != 0)
        pn_fail_errno(err, "standard output");
    pn_buf_done(&header);
    return -err->code;
}

/* Under another name first, so that nobody sees half a file. */
static int write_file(const struct pn_output *o, const char *input, const struct pn_buf *text,
                      struct pn_err *err)
{
    char name[256] = "", path[1024], partial[1024];
    int r = output_name(o, input, name, sizeof(name), err);
    if (r < 0)
        return r;
    snprintf(path, sizeof(path), "%s/%s", o->dir, name);
    snprintf(partial, sizeof(partial), "%s/.%s.%ld", o->dir, name, (long)getpid());
    int fd = open(partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return pn_fail_errno(err, "cannot write to %.120s", o->dir);
    r = 0;
    if (pn_write_all(fd, (struct pn_str){ text->ptr, text->len }) < 0)
        r = pn_fail_errno(err, "cannot write");
    if (close(fd) < 0 && r == 0)
        r = pn_fail_errno(err, "cannot write");
    if (r == 0 && rename(partial, path) < 0)
        r = pn_fail_errno(err, "cannot write %.150s", path);
    if (r < 0)
        unlink(partial);
    return r;
}

int pn_output_write(struct pn_output *o, const char *input, const struct pn_transcript *t, struct pn_err *err)
{
    struct pn_buf text;
    pn_buf_init(&text, OUTPUT_MAX);
    pn_format_write(o->format, t, &text);
    if (o->format == PN_FORMAT_JSON || o->format == PN_FORMAT_VERBOSE_JSON)
        pn_buf_putc(&text, '\n');
    int r;
    if (text.failed)
        r = pn_fail(err, PN_ENOMEM, "no memory for the text");
    else
        r = o->dir[0] ? write_file(o, input, &text, err) : write_stdout(o, input, &text, err);
    pn_buf_done(&text);
    o->n_written += r == 0;
    return r;
}
