/* decoder_start.c - finds the program pinna-decode and starts a pool as the configuration says. */
#include "audio/decoder.h"

#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROGRAM "pinna-decode"

/* The folder of the running program; false if the kernel does not say. */
static bool own_folder(char *ret, size_t cap)
{
    ssize_t n = readlink("/proc/self/exe", ret, cap - 1);
    if (n <= 0)
        return false;
    ret[n] = 0;
    char *slash = strrchr(ret, '/');
    if (slash)
        *slash = 0;
    return slash != NULL;
}

static bool try(char *ret_path, size_t cap, struct pn_str folder, const char *below)
{
    char path[4096];
    int n = snprintf(path, sizeof(path), "%.*s/%s" PROGRAM, (int)folder.len, folder.ptr, below);
    if (n < 0 || (size_t)n >= sizeof(path) || access(path, X_OK) != 0)
        return false;
    return pn_str_copy(ret_path, cap, pn_str(path)) == 0;
}

static bool try_path(char *ret_path, size_t cap)
{
    struct pn_str rest = pn_str(getenv("PATH"));
    while (rest.len > 0) {
        const char *colon = memchr(rest.ptr, ':', rest.len);
        size_t n = colon ? (size_t)(colon - rest.ptr) : rest.len;
        if (n > 0 && try(ret_path, cap, (struct pn_str){ rest.ptr, n }, ""))
            return true;
        n += colon != NULL;
        rest = (struct pn_str){ rest.ptr + n, rest.len - n };
    }
    return false;
}

static int find(const char *configured, char *ret_path, size_t cap, struct pn_err *err)
{
    char folder[4096];
    if (*configured) {
        if (access(configured, X_OK) != 0)
            return pn_fail_errno(err, "PINNA_DECODER %s", configured);
        return pn_str_copy(ret_path, cap, pn_str(configured));
    }
    if (own_folder(folder, sizeof(folder)) &&
        (try(ret_path, cap, pn_str(folder), "") || try(ret_path, cap, pn_str(folder), "../libexec/pinna/")))
        return 0;
    if (try_path(ret_path, cap))
        return 0;
    return pn_fail(err, PN_ENOTFOUND,
                   "the program " PROGRAM " is not beside pinna, not in ../libexec/pinna and not in "
                   "PATH; set PINNA_DECODER");
}

int pn_decoder_pool_start(const struct pn_config *c, struct pn_decoder_pool **ret, struct pn_err *err)
{
    char program[4096];
    int r = find(c->decoder, program, sizeof(program), err);
    if (r < 0)
        return r;
    struct pn_decoder_options opt = { .program = program,
                                      .max_samples = c->max_audio_s * PN_SAMPLE_RATE,
                                      .memory_mb = c->decode_memory_mb,
                                      .cpu_s = c->decode_cpu_s,
                                      .stall_s = c->decode_stall_s };
    return pn_decoder_pool_new(&opt, ret, err);
}
