/* fixtures.c - see fixtures.h. */
#include "fixtures.h"

#include "base/file.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum { MAX_FILE = 512 << 20 };

static bool join_path(const char *dir, const char *name, char path[PN_FIXTURE_PATH])
{
    int n = snprintf(path, PN_FIXTURE_PATH, "%s/%s", dir, name);
    return n > 0 && n < PN_FIXTURE_PATH;
}

bool pn_fixture_shared(const char *name, char path[PN_FIXTURE_PATH])
{
    const char *shared = getenv("PINNA_SHARED");
    char dir[PN_FIXTURE_PATH];
    return join_path(shared && *shared ? shared : PN_SOURCE_DIR "/../shared", "fixtures", dir) &&
           join_path(dir, name, path) && access(path, R_OK) == 0;
}

bool pn_fixture_data(const char *name, char path[PN_FIXTURE_PATH])
{
    return join_path(PN_SOURCE_DIR "/tests/data", name, path) && access(path, R_OK) == 0;
}

bool pn_fixture_read(const char *path, struct pn_buf *out)
{
    struct pn_err err = { 0 };
    pn_buf_init(out, MAX_FILE);
    if (pn_file_read(path, out, &err) == 0)
        return true;
    fprintf(stderr, "%s: %s\n", path, err.text);
    pn_buf_done(out);
    return false;
}

static bool copy_out(gzFile in, FILE *out)
{
    char block[1 << 16];
    size_t total = 0;
    int n;
    while ((n = gzread(in, block, sizeof(block))) > 0) {
        total += (size_t)n;
        if (total > MAX_FILE || fwrite(block, 1, (size_t)n, out) != (size_t)n)
            return false;
    }
    return n == 0;
}

bool pn_fixture_gunzip(const char *gz_path, const char *path)
{
    gzFile in = gzopen(gz_path, "rb");
    FILE *out = in ? fopen(path, "wb") : NULL;
    bool ok = out && copy_out(in, out);
    if (out && fclose(out) != 0)
        ok = false;
    if (in && gzclose(in) != Z_OK)
        ok = false;
    if (!ok)
        fprintf(stderr, "%s: cannot be unpacked to %s\n", gz_path, path);
    return ok;
}

bool pn_fixture_temp_dir(char path[PN_FIXTURE_PATH])
{
    const char *tmp = getenv("TMPDIR");
    if (join_path(tmp && *tmp ? tmp : "/tmp", "pinna-test-XXXXXX", path) && mkdtemp(path))
        return true;
    perror("mkdtemp");
    return false;
}

void pn_fixture_remove_dir(const char *path)
{
    DIR *d = opendir(path);
    char file[PN_FIXTURE_PATH];
    for (struct dirent *e; d && (e = readdir(d));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && join_path(path, e->d_name, file))
            unlink(file);
    if (d)
        closedir(d);
    rmdir(path);
}

/* The tuple after "'shape': (". */
static bool read_shape(const char *text, struct pn_npy *a)
{
    const char *at = strstr(text, "'shape': (");
    a->n = 1;
    if (!at)
        return false;
    for (at += strlen("'shape': ("); *at != ')';) {
        char *end;
        unsigned long v = strtoul(at, &end, 10);
        if (end == at || a->n_dims == PN_ARRAY_LEN(a->dim) || v > MAX_FILE ||
            __builtin_mul_overflow(a->n, v, &a->n))
            return false;
        a->dim[a->n_dims++] = v;
        at = end + strspn(end, ", ");
    }
    return true;
}

static bool read_npy(struct pn_str file, struct pn_npy *a)
{
    char text[512];
    if (file.len < 10 || memcmp(file.ptr, "\x93NUMPY\x01", 7) != 0)
        return false;
    size_t header = (unsigned char)file.ptr[8] | (size_t)(unsigned char)file.ptr[9] << 8;
    struct pn_str rest = { file.ptr + 10, file.len - 10 };
    if (header > rest.len || pn_str_copy(text, sizeof(text), (struct pn_str){ rest.ptr, header }) < 0)
        return false;
    bool f32 = strstr(text, "'<f4'") != NULL, s16 = strstr(text, "'<i2'") != NULL;
    size_t size = f32 ? sizeof(float) : sizeof(int16_t), bytes;
    if (f32 == s16 || !strstr(text, "'fortran_order': False") || !read_shape(text, a) ||
        __builtin_mul_overflow(a->n, size, &bytes) || bytes != rest.len - header)
        return false;
    void *values = malloc(bytes + 1);
    if (!values)
        return false;
    memcpy(values, rest.ptr + header, bytes);
    a->f32 = f32 ? values : NULL;
    a->s16 = s16 ? values : NULL;
    return true;
}

bool pn_npy_load(const char *path, struct pn_npy *ret)
{
    struct pn_buf b;
    struct pn_npy a = { 0 };
    if (!pn_fixture_read(path, &b))
        return false;
    bool ok = read_npy((struct pn_str){ b.ptr, b.len }, &a);
    pn_buf_done(&b);
    if (ok)
        *ret = a;
    else
        fprintf(stderr, "%s: not an array that can be read here\n", path);
    return ok;
}

void pn_npy_done(struct pn_npy *a)
{
    free(a->f32);
    free(a->s16);
    *a = (struct pn_npy){ 0 };
}

static uint32_t u32_at(const char *p)
{
    const unsigned char *u = (const unsigned char *)p;
    return u[0] | (uint32_t)u[1] << 8 | (uint32_t)u[2] << 16 | (uint32_t)u[3] << 24;
}

/* The bytes of chunk `id`; false when there is none. */
static bool find_chunk(struct pn_str file, const char *id, struct pn_str *ret)
{
    for (size_t at = 12; at + 8 <= file.len;) {
        size_t len = u32_at(file.ptr + at + 4), room = file.len - at - 8;
        if (memcmp(file.ptr + at, id, 4) == 0) {
            *ret = (struct pn_str){ file.ptr + at + 8, PN_MIN(len, room) };
            return true;
        }
        at += 8 + PN_MIN(len + len % 2, room);
    }
    return false;
}

/* Format tag 1 and one channel; 16000 Hz; 16 bits. */
static bool is_plain(struct pn_str fmt)
{
    return fmt.len >= 16 && u32_at(fmt.ptr) == 0x10001 && u32_at(fmt.ptr + 4) == 16000 &&
           u32_at(fmt.ptr + 12) >> 16 == 16;
}

bool pn_fixture_wav(const char *path, float **ret, size_t *ret_n)
{
    struct pn_buf b;
    if (!pn_fixture_read(path, &b))
        return false;
    struct pn_str file = { b.ptr, b.len }, fmt, data;
    bool ok =
        file.len >= 12 && find_chunk(file, "fmt ", &fmt) && is_plain(fmt) && find_chunk(file, "data", &data);
    float *pcm = ok ? malloc((data.len / 2 + 1) * sizeof(*pcm)) : NULL;
    for (size_t i = 0; pcm && i < data.len / 2; i++) {
        unsigned lo = (unsigned char)data.ptr[2 * i], hi = (unsigned char)data.ptr[2 * i + 1];
        pcm[i] = (float)(int16_t)(uint16_t)(lo | hi << 8) / 32768.0F;
    }
    if (pcm) {
        *ret = pcm;
        *ret_n = data.len / 2;
    } else {
        fprintf(stderr, "%s: not 16 kHz mono 16-bit WAV\n", path);
    }
    pn_buf_done(&b);
    return pcm != NULL;
}
