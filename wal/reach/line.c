/* line.c - which stored segments lie on the way to a timeline. See map_form.h. */
#include "postgres/lsn.h"
#include "wal/reach/map_form.h"

uint32_t map_file_tli(const struct wal_map *m, const struct history *line, uint64_t segno)
{
    return history_segment_tli(line, segno, m->segment_size);
}

/* The last segment whose file on the way is this timeline's. */
static uint64_t last_of(const struct wal_map *m, const struct history *line, uint32_t timeline)
{
    const struct history_entry *e = history_find(line, timeline);

    if (e == NULL || e->end == UINT64_MAX)
        return UINT64_MAX / m->segment_size;
    return lsn_segno(e->end, m->segment_size) - 1;
}

static const struct wal_stretch *stretch_at(const struct wal_map *m, uint32_t timeline,
                                            uint64_t segno)
{
    for (size_t i = 0; i < m->n_stretches; i++)
        if (m->stretches[i].timeline == timeline && m->stretches[i].first_segno <= segno &&
            m->stretches[i].last_segno >= segno)
            return &m->stretches[i];
    return NULL;
}

uint64_t map_unbroken(const struct wal_map *m, const struct history *line, uint64_t segno)
{
    for (;;) {
        uint32_t tli = map_file_tli(m, line, segno);
        const struct wal_stretch *s = stretch_at(m, tli, segno);

        if (s == NULL)
            return segno - 1;
        segno = MIN_OF(s->last_segno, last_of(m, line, tli)) + 1;
    }
}

/* The first segment of the stretch that is on the way and behind segno. Each timeline's files are
 * one range of segments: the part of the stretch in it is what counts. */
static uint64_t first_behind(const struct wal_map *m, const struct history *line,
                             const struct wal_stretch *s, uint64_t segno)
{
    const struct history_entry *e = history_find(line, s->timeline);
    uint64_t first, last;

    if (e == NULL || e->begin >= e->end)
        return UINT64_MAX;
    first = MAX_OF(MAX_OF(s->first_segno, segno + 1), lsn_segno(e->begin, m->segment_size));
    last = MIN_OF(s->last_segno, last_of(m, line, s->timeline));
    return first <= last && map_file_tli(m, line, first) == s->timeline ? first : UINT64_MAX;
}

uint64_t map_later(const struct wal_map *m, const struct history *line, uint64_t segno)
{
    uint64_t later = UINT64_MAX;

    for (size_t i = 0; i < m->n_stretches; i++) {
        uint64_t first = first_behind(m, line, &m->stretches[i], segno);
        later = MIN_OF(later, first);
    }
    return later;
}

bool map_backup_fits(const struct history *line, const struct pubinfo *backup)
{
    for (uint32_t i = 0; i < backup->n_spans; i++)
        if (!history_reaches(line, backup->spans[i].timeline, backup->spans[i].start) ||
            !history_reaches(line, backup->spans[i].timeline, backup->spans[i].stop))
            return false;
    if (backup->n_spans == 0 && !history_reaches(line, backup->timeline, backup->start_lsn))
        return false;
    return history_reaches(line, backup->timeline, backup->stop_lsn);
}
