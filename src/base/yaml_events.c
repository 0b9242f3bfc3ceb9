/* yaml_events.c - see yaml_events.h. Every event is freed before the next one is read. */
#include "base/yaml_events.h"

#include <string.h>
#include <yaml.h>

struct pump {
    yaml_parser_t parser;
    const char *path;
    pn_yaml_event_fn fn;
    void *ctx;
    struct pn_err *err;
    bool document; /* one was begun */
};

static int line_of(const yaml_mark_t *mark)
{
    return (int)PN_MIN(mark->line, (size_t)INT32_MAX - 1) + 1;
}

static int refuse(struct pump *p, const yaml_event_t *e, const char *what)
{
    return pn_fail(p->err, PN_EFORMAT, "%s:%d: %s", p->path, line_of(&e->start_mark), what);
}

static int send(struct pump *p, const yaml_event_t *e, struct pn_yaml_event out)
{
    out.line = line_of(&e->start_mark);
    int r = p->fn(p->ctx, &out, p->err);
    return PN_MIN(r, 0);
}

/* A scalar, a mapping or a list; all may carry an anchor and a tag. */
static int send_node(struct pump *p, const yaml_event_t *e, const void *anchor, const void *tag,
                     struct pn_yaml_event out)
{
    if (anchor)
        return refuse(p, e, "anchors are not allowed here");
    if (tag)
        return refuse(p, e, "tags are not allowed here");
    return send(p, e, out);
}

static int on_scalar(struct pump *p, const yaml_event_t *e)
{
    const struct pn_yaml_event out = { .kind = PN_YAML_SCALAR,
                                       .text = { (const char *)e->data.scalar.value, e->data.scalar.length },
                                       .plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE };
    return send_node(p, e, e->data.scalar.anchor, e->data.scalar.tag, out);
}

static int on_document(struct pump *p, const yaml_event_t *e)
{
    if (p->document)
        return refuse(p, e, "only one document is allowed");
    if (e->data.document_start.tag_directives.start != e->data.document_start.tag_directives.end)
        return refuse(p, e, "tags are not allowed here");
    p->document = true;
    return 0;
}

static int on_event(struct pump *p, const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        return on_document(p, e);
    case YAML_SCALAR_EVENT:
        return on_scalar(p, e);
    case YAML_MAPPING_START_EVENT:
        return send_node(p, e, e->data.mapping_start.anchor, e->data.mapping_start.tag,
                         (struct pn_yaml_event){ .kind = PN_YAML_MAP });
    case YAML_SEQUENCE_START_EVENT:
        return send_node(p, e, e->data.sequence_start.anchor, e->data.sequence_start.tag,
                         (struct pn_yaml_event){ .kind = PN_YAML_LIST });
    case YAML_MAPPING_END_EVENT:
        return send(p, e, (struct pn_yaml_event){ .kind = PN_YAML_MAP_END });
    case YAML_SEQUENCE_END_EVENT:
        return send(p, e, (struct pn_yaml_event){ .kind = PN_YAML_LIST_END });
    case YAML_ALIAS_EVENT:
        return refuse(p, e, "aliases are not allowed here");
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return 0;
    }
    PN_UNREACHABLE();
}

/* Errors of the byte layer carry an offset instead of a mark. */
static int problem_line(const yaml_parser_t *p, struct pn_str text)
{
    if (p->error != YAML_READER_ERROR)
        return line_of(&p->problem_mark);
    int line = 1;
    for (size_t i = 0; i < text.len && i < p->problem_offset; i++)
        line += text.ptr[i] == '\n';
    return line;
}

static int syntax_error(struct pump *p, struct pn_str text)
{
    if (p->parser.error == YAML_MEMORY_ERROR)
        return pn_fail(p->err, PN_ENOMEM, "no memory to read %s", p->path);
    return pn_fail(p->err, PN_EFORMAT, "%s:%d: %s", p->path, problem_line(&p->parser, text),
                   p->parser.problem ? p->parser.problem : "not readable as YAML");
}

static int read_events(struct pump *p, struct pn_str text)
{
    for (bool end = false; !end;) {
        yaml_event_t e;
        if (!yaml_parser_parse(&p->parser, &e))
            return syntax_error(p, text);
        int r = on_event(p, &e);
        end = e.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&e);
        if (r < 0)
            return r;
    }
    return 0;
}

int pn_yaml_events(struct pn_str text, const char *path, pn_yaml_event_fn fn, void *ctx, struct pn_err *err)
{
    struct pump p = { .path = path, .fn = fn, .ctx = ctx, .err = err };
    if (!yaml_parser_initialize(&p.parser))
        return pn_fail(err, PN_ENOMEM, "no memory to read %s", path);
    if (text.len >= 3 && memcmp(text.ptr, "\xef\xbb\xbf", 3) == 0) /* a byte order mark */
        text = (struct pn_str){ text.ptr + 3, text.len - 3 };
    yaml_parser_set_encoding(&p.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&p.parser, (const unsigned char *)(text.len > 0 ? text.ptr : ""), text.len);
    int r = read_events(&p, text);
    yaml_parser_delete(&p.parser);
    return r;
}

bool pn_yaml_is_null(const struct pn_yaml_event *e)
{
    return e->kind == PN_YAML_SCALAR && e->plain &&
           (e->text.len == 0 || pn_str_is(e->text, "~") || pn_str_ieq(e->text, PN_STR("null")));
}
