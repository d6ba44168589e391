/* zstd.c - see zstd.h. */
#include "base/zstd.h"

#include <stdlib.h>
#include <zstd.h>

#include "base/buf.h"
#include "base/mem.h"

enum { WINDOW_LOG_MAX = 24 }; /* 16 MiB: what a reader must be ready to hold, and accepts */

struct squeezer {
    int level;
    ZSTD_CCtx *c;
    ZSTD_DCtx *d;
};

struct squeezer *squeezer_new(int level)
{
    struct squeezer *z = xcalloc(1, sizeof *z);

    z->level = level;
    return z;
}

void squeezer_free(struct squeezer **z)
{
    if (*z == NULL)
        return;
    ZSTD_freeCCtx((*z)->c);
    ZSTD_freeDCtx((*z)->d);
    free(*z);
    *z = NULL;
}

size_t squeezer_bound(size_t len)
{
    return ZSTD_compressBound(len);
}

static int make_compressor(struct squeezer *z, struct err *err)
{
    size_t result;

    if ((z->c = ZSTD_createCCtx()) == NULL)
        return err_set(err, ERR_FAILED, "zstd: no memory for a compressor");
    result = ZSTD_CCtx_setParameter(z->c, ZSTD_c_compressionLevel, z->level);
    /* Levels from 20 up would choose a window that no reader accepts. */
    if (!ZSTD_isError(result) && z->level >= 20)
        result = ZSTD_CCtx_setParameter(z->c, ZSTD_c_windowLog, WINDOW_LOG_MAX);
    if (ZSTD_isError(result))
        return err_set(err, ERR_FAILED, "zstd level %d: %s", z->level, ZSTD_getErrorName(result));
    return 0;
}

int squeezer_pack(struct squeezer *z, const void *data, size_t len, void *out, size_t cap,
                  size_t *out_len, struct err *err)
{
    size_t result;

    if (z->c == NULL)
        TRY(make_compressor(z, err));
    result = ZSTD_compress2(z->c, out, cap, data, len);
    if (ZSTD_isError(result))
        return err_set(err, ERR_FAILED, "zstd cannot compress %zu bytes into %zu: %s", len, cap,
                       ZSTD_getErrorName(result));
    *out_len = result;
    return 0;
}

/*
 * The window that the header of a frame asks for (RFC 8878, section 3.1.1.1). Decompressing in one
 * go needs no memory for it, but later readers may stream; so the limit holds for all.
 */
static int check_window(const uint8_t *frame, size_t len, size_t raw_len, struct err *err)
{
    uint64_t window = raw_len;

    if (len < 6 || get_u32(frame) != ZSTD_MAGICNUMBER)
        return err_set(err, ERR_CORRUPT, "not a zstd frame (%zu bytes)", len);
    if ((frame[4] & 0x20) == 0) { /* not a single segment: the window has a byte of its own */
        uint64_t base = UINT64_C(1) << (10 + (frame[5] >> 3));
        window = base + base / 8 * (frame[5] & 7);
    }
    if (window > UINT64_C(1) << WINDOW_LOG_MAX)
        return err_set(err, ERR_CORRUPT,
                       "zstd frame with a window of %llu bytes, at most %llu are accepted",
                       (unsigned long long)window, 1ULL << WINDOW_LOG_MAX);
    return 0;
}

static int check_frame(const void *data, size_t len, size_t raw_len, struct err *err)
{
    unsigned long long content;
    size_t frame_len;

    TRY(check_window(data, len, raw_len, err));
    content = ZSTD_getFrameContentSize(data, len);
    if (content == ZSTD_CONTENTSIZE_UNKNOWN || content == ZSTD_CONTENTSIZE_ERROR)
        return err_set(err, ERR_CORRUPT, "zstd frame without its content size");
    if (content != raw_len)
        return err_set(err, ERR_CORRUPT, "zstd frame of %llu bytes of content, expected %zu",
                       content, raw_len);
    frame_len = ZSTD_findFrameCompressedSize(data, len);
    if (ZSTD_isError(frame_len))
        return err_set(err, ERR_CORRUPT, "zstd frame: %s", ZSTD_getErrorName(frame_len));
    if (frame_len != len)
        return err_set(err, ERR_CORRUPT, "zstd frame of %zu bytes in %zu", frame_len, len);
    return 0;
}

int squeezer_unpack(struct squeezer *z, const void *data, size_t len, void *out, size_t raw_len,
                    struct err *err)
{
    size_t result;

    TRY(check_frame(data, len, raw_len, err));
    if (z->d == NULL && (z->d = ZSTD_createDCtx()) == NULL)
        return err_set(err, ERR_FAILED, "zstd: no memory for a decompressor");
    result = ZSTD_decompressDCtx(z->d, out, raw_len, data, len);
    if (ZSTD_isError(result))
        return err_set(err, ERR_CORRUPT, "zstd frame: %s", ZSTD_getErrorName(result));
    if (result != raw_len)
        return err_set(err, ERR_CORRUPT, "zstd frame gave %zu bytes, expected %zu", result,
                       raw_len);
    return 0;
}
