/* tls_context.c - see tls_context.h. */
#include "server/tls_context.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* For TLS 1.2; those of 1.3 are all sound. */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL"

/* OpenSSL's words for what went wrong last, without its numbers. */
static const char *last_words(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return reason ? reason : "unknown error";
}

/* There is nobody to ask. */
static int no_passphrase(char *buf, int size, int rwflag, void *ctx)
{
    (void)buf;
    (void)size;
    (void)rwflag;
    (void)ctx;
    return -1;
}

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *in, unsigned in_len, void *ctx)
{
    static const unsigned char ours[] = "\x08http/1.1";
    (void)ssl;
    (void)ctx;
    unsigned char *chosen;
    if (SSL_select_next_proto(&chosen, out_len, ours, sizeof(ours) - 1, in, in_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301 3.2 */
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static int set_rules(SSL_CTX *ctx)
{
    static const unsigned char name[] = "pinna";
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                 SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_ENABLE_PARTIAL_WRITE);
    SSL_CTX_set_read_ahead(ctx, 1); /* a record's head and body in one system call */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ctx, 1);
    SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
    SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
    return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(ctx, CIPHERS) == 1 &&
           SSL_CTX_set_session_id_context(ctx, name, sizeof(name) - 1) == 1;
}

static int check_readable(const char *setting, const char *file, struct pn_err *err)
{
    FILE *f = fopen(file, "re");
    if (!f)
        return pn_fail_errno(err, "%s: %s", setting, file);
    fclose(f);
    return 0;
}

static int load_certificate(SSL_CTX *ctx, const char *file, struct pn_err *err)
{
    int r = check_readable("TLS_CERT", file, err);
    if (r == 0 && SSL_CTX_use_certificate_chain_file(ctx, file) != 1)
        r = pn_fail(err, PN_EFORMAT, "TLS_CERT: %s: no certificate in PEM that can be used (%s)", file,
                    last_words());
    return r;
}

static int load_key(SSL_CTX *ctx, const char *setting, const char *file, struct pn_err *err)
{
    int r = check_readable(setting, file, err);
    if (r < 0 || SSL_CTX_use_PrivateKey_file(ctx, file, SSL_FILETYPE_PEM) == 1)
        return r;
    unsigned long e = ERR_peek_last_error();
    if (ERR_GET_LIB(e) == ERR_LIB_X509 && ERR_GET_REASON(e) == X509_R_KEY_VALUES_MISMATCH) {
        ERR_clear_error();
        return pn_fail(err, PN_EINVAL, "%s: %s: the key does not fit the certificate", setting, file);
    }
    return pn_fail(err, PN_EFORMAT, "%s: %s: no private key in PEM without a passphrase (%s)", setting, file,
                   last_words());
}

int pn_tls_context_new(const char *cert, const char *key, SSL_CTX **ret, struct pn_err *err)
{
    ERR_clear_error();
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    int r = ctx && set_rules(ctx) ? 0 : pn_fail(err, PN_ENOMEM, "OpenSSL gives no context: %s", last_words());
    if (r == 0)
        r = load_certificate(ctx, cert, err);
    if (r == 0)
        r = load_key(ctx, key[0] ? "TLS_KEY" : "TLS_CERT", key[0] ? key : cert, err);
    if (r == 0 && SSL_CTX_check_private_key(ctx) != 1)
        r = pn_fail(err, PN_EINVAL, "TLS_KEY: %s: the key does not fit the certificate", key[0] ? key : cert);
    if (r < 0)
        SSL_CTX_free(ctx);
    else
        *ret = ctx;
    return r;
}

enum pn_tls_age pn_tls_context_age(const SSL_CTX *ctx, char until[32])
{
    const X509 *x = SSL_CTX_get0_certificate(ctx);
    const ASN1_TIME *end = X509_get0_notAfter(x);
    struct tm t = { 0 };
    ASN1_TIME_to_tm(end, &t);
    strftime(until, 32, "%Y-%m-%d %H:%M:%SZ", &t);
    if (X509_cmp_current_time(end) < 0)
        return PN_TLS_EXPIRED;
    return X509_cmp_current_time(X509_get0_notBefore(x)) > 0 ? PN_TLS_EARLY : PN_TLS_VALID;
}
