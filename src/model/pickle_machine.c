/* pickle_machine.c - runs the opcodes of a pickle; see pickle.h. Opcodes: Python's pickletools.py, protocols
 * 2 to 4. Every opcode makes at most one value, and only what lies on the stack is moved into containers. */
#include "model/pickle_impl.h"

#include <stdlib.h>

enum { MAX_BYTES = 1 << 24 }; /* the largest published one has 150 KB */

struct machine {
    struct pn_reader in;
    size_t start, op_pos;
    struct pn_pickle *p;
    const struct pn_pickle_global *globals;
    size_t n_globals;
    uint32_t *stack, n_stack, cap_stack;
    uint32_t *memo, n_memo, cap_memo; /* 0: not set */
    struct pn_err *err;
    bool stopped;
};

static int bad(struct machine *m, const char *what)
{
    return pn_fail(m->err, PN_EFORMAT, "the pickle is damaged at byte %zu: %s", m->op_pos, what);
}

static int push(struct machine *m, uint32_t value)
{
    int r = pn_pickle_grow((void **)&m->stack, &m->cap_stack, m->n_stack + 1, sizeof(*m->stack), m->err);
    if (r == 0)
        m->stack[m->n_stack++] = value;
    return r;
}

static int pop(struct machine *m, uint32_t *ret)
{
    if (m->n_stack == 0 || m->stack[m->n_stack - 1] == 0)
        return bad(m, "a value is missing");
    *ret = m->stack[--m->n_stack];
    return 0;
}

static struct pn_pickle_value *value_of(struct machine *m, uint32_t i)
{
    return &m->p->values[i];
}

static int make(struct machine *m, struct pn_pickle_value v, uint32_t *ret)
{
    v.pos = m->op_pos;
    return pn_pickle_make(m->p, v, ret, m->err);
}

static int push_new(struct machine *m, struct pn_pickle_value v)
{
    uint32_t i;
    int r = make(m, v, &i);
    return r < 0 ? r : push(m, i);
}

static int push_int(struct machine *m, enum pn_pickle_kind kind, int64_t i)
{
    return push_new(m, (struct pn_pickle_value){ .kind = kind, .u.i = i });
}

static int append(struct machine *m, uint32_t container, uint32_t item)
{
    return pn_pickle_append(m->p, container, item, m->err);
}

/* Moves what lies on the stack from `first` on into a container, in order. */
static int append_top(struct machine *m, uint32_t container, uint32_t first)
{
    int r = 0;
    for (uint32_t i = first; i < m->n_stack && r == 0; i++)
        r = m->stack[i] ? append(m, container, m->stack[i]) : bad(m, "a mark is left over");
    m->n_stack = first;
    return r;
}

static int push_tuple(struct machine *m, uint32_t first)
{
    uint32_t tuple = 0;
    int r = make(m, (struct pn_pickle_value){ .kind = PN_PICKLE_TUPLE }, &tuple);
    if (r == 0)
        r = append_top(m, tuple, first);
    return r < 0 ? r : push(m, tuple);
}

static int push_tuple_of(struct machine *m, uint32_t n)
{
    return m->n_stack < n ? bad(m, "a value is missing") : push_tuple(m, m->n_stack - n);
}

/* The index behind the topmost mark, which is taken off with everything above it later. */
static int find_mark(struct machine *m, uint32_t *ret)
{
    for (uint32_t i = m->n_stack; i > 0; i--)
        if (m->stack[i - 1] == 0) {
            *ret = i;
            return 0;
        }
    return bad(m, "a mark is missing");
}

static int op_tuple(struct machine *m)
{
    uint32_t first = 0;
    int r = find_mark(m, &first);
    if (r < 0)
        return r;
    uint32_t tuple = 0;
    r = make(m, (struct pn_pickle_value){ .kind = PN_PICKLE_TUPLE }, &tuple);
    if (r == 0)
        r = append_top(m, tuple, first);
    if (r < 0)
        return r;
    m->stack[m->n_stack - 1] = tuple; /* takes the mark's place */
    return 0;
}

/* APPENDS, SETITEMS: container, mark, items. */
static int op_extend(struct machine *m, enum pn_pickle_kind kind)
{
    uint32_t first = 0;
    int r = find_mark(m, &first);
    if (r < 0)
        return r;
    uint32_t container = first >= 2 ? m->stack[first - 2] : 0;
    if (container == 0 || value_of(m, container)->kind != kind)
        return bad(m, "items for something that is not their container");
    if (kind == PN_PICKLE_DICT && (m->n_stack - first) % 2)
        return bad(m, "a key without a value");
    r = append_top(m, container, first);
    m->n_stack = first - 1;
    return r;
}

/* APPEND, SETITEM: container, `n` items. */
static int op_add(struct machine *m, enum pn_pickle_kind kind, uint32_t n)
{
    uint32_t container = m->n_stack > n ? m->stack[m->n_stack - n - 1] : 0;
    if (container == 0 || value_of(m, container)->kind != kind)
        return bad(m, "items for something that is not their container");
    return append_top(m, container, m->n_stack - n);
}

static int push_global(struct machine *m, struct pn_str module, struct pn_str name)
{
    for (size_t i = 0; i < m->n_globals; i++)
        if (pn_str_is(module, m->globals[i].module) && pn_str_is(name, m->globals[i].name))
            return push_new(m, (struct pn_pickle_value){ .kind = PN_PICKLE_GLOBAL, .u.global = i });
    char text[2][64];
    struct pn_str parts[2] = { module, name };
    for (int i = 0; i < 2; i++) { /* they go into a message: printable, short */
        size_t n = PN_MIN(parts[i].len, sizeof(text[i]) - 1);
        for (size_t j = 0; j < n; j++)
            text[i][j] = parts[i].ptr[j] > ' ' && parts[i].ptr[j] < 127 ? parts[i].ptr[j] : '?';
        text[i][n] = 0;
    }
    return pn_fail(m->err, PN_EFORMAT, "%s.%s at byte %zu is not allowed in a checkpoint", text[0], text[1],
                   m->op_pos);
}

static bool read_line(struct machine *m, struct pn_str *ret)
{
    const char *from = (const char *)m->in.base + m->in.pos;
    const char *stop = memchr(from, '\n', m->in.end - m->in.pos);
    if (!stop)
        return false;
    *ret = (struct pn_str){ from, (size_t)(stop - from) };
    m->in.pos += ret->len + 1;
    return true;
}

static int op_global(struct machine *m)
{
    struct pn_str module, name;
    if (!read_line(m, &module) || !read_line(m, &name))
        return bad(m, "it is cut off");
    return push_global(m, module, name);
}

static int op_stack_global(struct machine *m)
{
    uint32_t module = 0, name = 0;
    int r = pop(m, &name);
    if (r < 0 || (r = pop(m, &module)) < 0)
        return r;
    const struct pn_pickle_value *a = value_of(m, module), *b = value_of(m, name);
    if (a->kind != PN_PICKLE_STR || b->kind != PN_PICKLE_STR)
        return bad(m, "a global without a name");
    return push_global(m, a->u.s, b->u.s);
}

/* OrderedDict() or OrderedDict([(key, value), ...]). */
static int fill_dict(struct machine *m, uint32_t dict, uint32_t args)
{
    struct pn_pickle *p = m->p;
    const struct pn_pickle_value *a = value_of(m, args);
    if (a->count == 0)
        return 0;
    const struct pn_pickle_value *pairs = value_of(m, p->cells[a->head].value);
    if (a->count != 1 || (pairs->kind != PN_PICKLE_LIST && pairs->kind != PN_PICKLE_TUPLE))
        return bad(m, "a dict of something that is not a list of pairs");
    int r = 0;
    for (uint32_t c = pairs->head; c && r == 0; c = p->cells[c].next) {
        const struct pn_pickle_value *pair = value_of(m, p->cells[c].value);
        if (pair->count != 2 || (pair->kind != PN_PICKLE_TUPLE && pair->kind != PN_PICKLE_LIST))
            return bad(m, "a dict of something that is not a list of pairs");
        uint32_t key = p->cells[pair->head].value, value = p->cells[pair->tail].value;
        r = append(m, dict, key);
        if (r == 0)
            r = append(m, dict, value);
    }
    return r;
}

static int op_reduce(struct machine *m)
{
    uint32_t args = 0, callable = 0, made = 0;
    int r = pop(m, &args);
    if (r < 0 || (r = pop(m, &callable)) < 0)
        return r;
    const struct pn_pickle_value *f = value_of(m, callable), *a = value_of(m, args);
    if (f->kind != PN_PICKLE_GLOBAL || a->kind != PN_PICKLE_TUPLE ||
        m->globals[f->u.global].use == PN_PICKLE_NAME_ONLY)
        return bad(m, "a call that no checkpoint needs");
    struct pn_pickle_value v = *a; /* shares the arguments' chain, which is never extended */
    v.kind = PN_PICKLE_CALL;
    v.u.global = f->u.global;
    bool dict = m->globals[f->u.global].use == PN_PICKLE_MAKES_DICT;
    if (dict)
        v = (struct pn_pickle_value){ .kind = PN_PICKLE_DICT };
    r = make(m, v, &made);
    if (r == 0 && dict)
        r = fill_dict(m, made, args);
    return r < 0 ? r : push(m, made);
}

static int op_persistent(struct machine *m)
{
    uint32_t id = 0, made = 0;
    int r = pop(m, &id);
    if (r < 0 || (r = make(m, (struct pn_pickle_value){ .kind = PN_PICKLE_PERSISTENT }, &made)) < 0 ||
        (r = append(m, made, id)) < 0)
        return r;
    return push(m, made);
}

/* Attributes (torch's `_metadata`) are dropped. */
static int op_build(struct machine *m)
{
    uint32_t state = 0;
    int r = pop(m, &state);
    if (r == 0 && (m->n_stack == 0 || m->stack[m->n_stack - 1] == 0))
        r = bad(m, "attributes of nothing");
    return r;
}

static int put(struct machine *m, uint32_t index)
{
    if (m->n_stack == 0 || m->stack[m->n_stack - 1] == 0)
        return bad(m, "nothing to remember");
    if (index >= m->in.pos - m->start) /* writers count from 0, and every entry takes bytes */
        return bad(m, "a memo index that is too large");
    int r = pn_pickle_grow((void **)&m->memo, &m->cap_memo, index + 1, sizeof(*m->memo), m->err);
    if (r < 0)
        return r;
    m->memo[index] = m->stack[m->n_stack - 1];
    m->n_memo = PN_MAX(m->n_memo, index + 1);
    return 0;
}

static int get(struct machine *m, uint32_t index)
{
    if (index >= m->n_memo || m->memo[index] == 0)
        return bad(m, "a memo entry that was never made");
    return push(m, m->memo[index]);
}

/* A little-endian number of `n` bytes behind the opcode. */
static int argument(struct machine *m, size_t n, uint32_t *ret)
{
    uint32_t v = 0;
    if (!pn_read_into(&m->in, &v, n))
        return bad(m, "it is cut off");
    *ret = v;
    return 0;
}

/* LONG1: two's complement of as many bytes as the first one says. */
static int op_long(struct machine *m)
{
    uint32_t n = 0;
    int r = argument(m, 1, &n);
    if (r < 0)
        return r;
    uint64_t v = 0;
    if (n > sizeof(v))
        return bad(m, "a number of more than 64 bits");
    if (!pn_read_into(&m->in, &v, n))
        return bad(m, "it is cut off");
    if (n > 0 && n < sizeof(v) && v >> (8 * n - 1))
        v |= UINT64_MAX << (8 * n);
    return push_int(m, PN_PICKLE_INT, (int64_t)v);
}

static int op_float(struct machine *m)
{
    uint64_t bits;
    double f;
    if (!pn_read_u64(&m->in, &bits))
        return bad(m, "it is cut off");
    bits = __builtin_bswap64(bits); /* the one big-endian number of the format */
    memcpy(&f, &bits, sizeof(f));
    return push_new(m, (struct pn_pickle_value){ .kind = PN_PICKLE_FLOAT, .u.f = f });
}

static int op_str(struct machine *m, size_t length_bytes)
{
    uint32_t len = 0;
    struct pn_str s;
    int r = argument(m, length_bytes, &len);
    if (r < 0)
        return r;
    if (!pn_read_bytes(&m->in, len, &s))
        return bad(m, "a text that is longer than the file");
    return push_new(m, (struct pn_pickle_value){ .kind = PN_PICKLE_STR, .u.s = s });
}

static int op_int(struct machine *m, size_t bytes)
{
    uint32_t v = 0;
    int r = argument(m, bytes, &v);
    return r < 0 ? r : push_int(m, PN_PICKLE_INT, bytes == 4 ? (int32_t)v : (int64_t)v);
}

static int op_memo(struct machine *m, size_t bytes, int (*use)(struct machine *, uint32_t))
{
    uint32_t index = 0;
    int r = argument(m, bytes, &index);
    return r < 0 ? r : use(m, index);
}

static int op_frame(struct machine *m)
{
    uint64_t size;
    return pn_read_u64(&m->in, &size) ? 0 : bad(m, "it is cut off");
}

static int op_proto(struct machine *m)
{
    uint32_t version = 0;
    int r = argument(m, 1, &version);
    if (r == 0 && (version < 2 || version > 5))
        r = bad(m, "an unknown protocol");
    return r;
}

static int op_stop(struct machine *m)
{
    m->stopped = true;
    return pop(m, &m->p->root);
}

static int step(struct machine *m, uint8_t op)
{
    switch (op) {
    case 0x80:
        return op_proto(m);
    case 0x95:
        return op_frame(m);
    case '.':
        return op_stop(m);
    case '(':
        return push(m, 0);
    case 'N':
        return push_int(m, PN_PICKLE_NONE, 0);
    case 0x88:
    case 0x89:
        return push_int(m, PN_PICKLE_BOOL, op == 0x88);
    case 'K':
        return op_int(m, 1);
    case 'M':
        return op_int(m, 2);
    case 'J':
        return op_int(m, 4);
    case 0x8a:
        return op_long(m);
    case 'G':
        return op_float(m);
    case 'X':
        return op_str(m, 4);
    case 0x8c:
        return op_str(m, 1);
    case ')':
        return push_new(m, (struct pn_pickle_value){ .kind = PN_PICKLE_TUPLE });
    case ']':
        return push_new(m, (struct pn_pickle_value){ .kind = PN_PICKLE_LIST });
    case '}':
        return push_new(m, (struct pn_pickle_value){ .kind = PN_PICKLE_DICT });
    case 0x85:
    case 0x86:
    case 0x87:
        return push_tuple_of(m, op - 0x84u);
    case 't':
        return op_tuple(m);
    case 'a':
        return op_add(m, PN_PICKLE_LIST, 1);
    case 's':
        return op_add(m, PN_PICKLE_DICT, 2);
    case 'e':
        return op_extend(m, PN_PICKLE_LIST);
    case 'u':
        return op_extend(m, PN_PICKLE_DICT);
    case 'c':
        return op_global(m);
    case 0x93:
        return op_stack_global(m);
    case 'R':
        return op_reduce(m);
    case 'Q':
        return op_persistent(m);
    case 'b':
        return op_build(m);
    case 'q':
        return op_memo(m, 1, put);
    case 'r':
        return op_memo(m, 4, put);
    case 0x94:
        return put(m, m->n_memo);
    case 'h':
        return op_memo(m, 1, get);
    case 'j':
        return op_memo(m, 4, get);
    }
    return pn_fail(m->err, PN_EUNSUPPORTED, "opcode 0x%02x at byte %zu is not allowed in a checkpoint", op,
                   m->op_pos);
}

static int run(struct machine *m)
{
    int r = 0;
    while (r == 0 && !m->stopped) {
        uint8_t op = 0;
        m->op_pos = m->in.pos;
        r = pn_read_u8(&m->in, &op) ? step(m, op) : bad(m, "it is cut off");
    }
    return r;
}

int pn_pickle_read(struct pn_reader in, const struct pn_pickle_global *globals, size_t n_globals,
                   struct pn_pickle **ret, struct pn_err *err)
{
    if (in.end - in.pos > MAX_BYTES)
        return pn_fail(err, PN_ELIMIT, "the pickle at byte %zu is larger than %d MB", in.pos,
                       MAX_BYTES >> 20);
    struct machine m = { .in = in, .start = in.pos, .globals = globals, .n_globals = n_globals, .err = err };
    int r = pn_pickle_new(&m.p, err);
    if (r == 0)
        r = run(&m);
    free(m.stack);
    free(m.memo);
    if (r < 0)
        m.p = pn_pickle_free(m.p);
    else
        *ret = m.p;
    return r;
}
