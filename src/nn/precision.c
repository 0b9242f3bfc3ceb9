/* precision.c - names of the precisions. */
#include "nn/precision.h"

int pn_precision_parse(struct pn_str name, enum pn_precision *ret)
{
    if (pn_str_is(name, "int8"))
        *ret = PN_INT8;
    else if (pn_str_is(name, "f32"))
        *ret = PN_F32;
    else
        return -PN_EINVAL;
    return 0;
}

const char *pn_precision_name(enum pn_precision p)
{
    return p == PN_INT8 ? "int8" : "f32";
}
