/* transcription_impl.h - the parts of a transcription: the loop over the recording, and slots, each of which
 * takes one window from features to segments. Sequential mode has one slot, batch mode several. */
#ifndef PN_ASR_WHISPER_TRANSCRIPTION_IMPL_H
#define PN_ASR_WHISPER_TRANSCRIPTION_IMPL_H

#include "asr/whisper/clips.h"
#include "asr/whisper/fallback.h"
#include "asr/whisper/segments.h"
#include "asr/whisper/settings.h"
#include "asr/whisper/transcription.h"
#include "asr/whisper/words_pass.h"

enum { PN_MAX_SLOTS = 8 };

enum pn_slot_state {
    PN_SLOT_IDLE,
    PN_SLOT_ENCODE,   /* wants an encoder run */
    PN_SLOT_ENCODING, /* the run is out */
    PN_SLOT_LANGUAGE, /* wants the row of sot */
    PN_SLOT_DECODE,
    PN_SLOT_WORDS,
    PN_SLOT_READY, /* slices and quality wait for the loop */
};

struct pn_slot {
    enum pn_slot_state state;
    bool detect; /* the language is found on the way */
    bool apart;  /* ... in an encoder run of its own, over the silence-padded start of the recording */
    struct pn_span span;
    int n_ctx;                  /* encoder positions of the run */
    struct pn_encoder_run *run; /* who has it is the caller; only compared */
    struct pn_cross *cross;
    struct pn_window *window; /* kept from window to window, as the arena */
    struct pn_words_pass *words;
    struct pn_arena *arena;
    int n_given; /* rows of the last rows() call */
    int attempt; /* index of the temperature */
    struct pn_quality quality;
    bool skipped; /* no speech */
    struct pn_slices slices;
};

enum pn_mode { PN_SEQUENTIAL, PN_BATCH, PN_SINGLE };

struct pn_transcription {
    struct pn_whisper_engine *engine;
    const struct pn_whisper *model;
    const struct pn_features *features;
    struct pn_arena *arena; /* settings, committed segments */
    struct pn_settings set;
    enum pn_mode mode;
    int window_frames;      /* 3000 */
    int64_t content_frames; /* of the recording without padding */
    int status;
    struct pn_err err;

    /* loop.c */
    struct pn_clip *clips; /* malloc'd; in batch mode one for each window */
    int n_clips, clip;     /* the clip that seek is in; in batch mode the next one to be given to a slot */
    int64_t seek;
    int32_t *all; /* tokens of initial prompt and segments: malloc'd */
    int n_all, cap_all;
    int prompt_reset;
    double last_speech;
    struct pn_segment *segments; /* malloc'd; what they point to is the arena's */
    size_t n_segments, cap_segments;
    int committed; /* batch mode: windows whose segments are in */

    int32_t language; /* token; -1 until it is known, and for .en models */
    bool detected;
    float *language_probs;

    struct pn_slot slot[PN_MAX_SLOTS];
    int n_slots;
};

/* The first failure ends the transcription. */
void pn_transcription_fail(struct pn_transcription *t, int r, const char *what);
bool pn_transcription_knows_language(const struct pn_transcription *t);
/* [sot] or [sot, language, task] into ids[3]. */
int pn_transcription_sot(const struct pn_transcription *t, int32_t *ids);

/* slot.c: one window. */
void pn_slot_open(struct pn_transcription *t, struct pn_slot *s, struct pn_span span);
PN_MUST_CHECK int pn_slot_begin(struct pn_transcription *t, struct pn_slot *s, struct pn_encoder_run **ret);
void pn_slot_encoded(struct pn_transcription *t, struct pn_slot *s, struct pn_encoder_run *run);
int pn_slot_n_rows(const struct pn_slot *s);
int pn_slot_rows(struct pn_transcription *t, struct pn_slot *s, struct pn_decoder_row *rows, int cap);
void pn_slot_decoded(struct pn_transcription *t, struct pn_slot *s);
void pn_slot_close(struct pn_slot *s); /* idle; the window's keys and values are given back */
void pn_slot_done(struct pn_slot *s);  /* frees everything */

/* loop.c: which window is next, and what becomes of its segments. */
PN_MUST_CHECK int pn_loop_init(struct pn_transcription *t); /* -PN_ENOMEM */
/* Takes what slots have ready and gives them new windows. */
void pn_loop_advance(struct pn_transcription *t);
/* The tokens of the next window before sot, at most `cap` of them. */
int pn_loop_prompt(const struct pn_transcription *t, int32_t *ids, int cap);

#endif
