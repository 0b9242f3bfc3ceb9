/* tls_context.h - certificate, key and the rules of TLS in an OpenSSL context: TLS 1.2 and 1.3, forward
 * secrecy and authenticated ciphers only, our preference, session tickets, no renegotiation, ALPN http/1.1.
 */
#ifndef PN_SERVER_TLS_CONTEXT_H
#define PN_SERVER_TLS_CONTEXT_H

#include "base/error.h"

#include <openssl/types.h>

/* `cert`: a PEM file with the server's certificate and those that lead to its root; `key`: a PEM file with
 * its private key, without a passphrase; "" means that it lies in the other one. The error names file and
 * setting: -PN_EIO, -PN_EFORMAT (no PEM, or it cannot be used), -PN_EINVAL (the key is another
 * certificate's). The caller frees the context with SSL_CTX_free(). */
PN_MUST_CHECK int pn_tls_context_new(const char *cert, const char *key, SSL_CTX **ret, struct pn_err *err);
/* When the certificate ends, "2027-01-31 12:00:00 GMT"-like; and whether that is past, or its time has not
 * come yet. */
enum pn_tls_age { PN_TLS_VALID, PN_TLS_EXPIRED, PN_TLS_EARLY };
enum pn_tls_age pn_tls_context_age(const SSL_CTX *ctx, char until[32]);

#endif
