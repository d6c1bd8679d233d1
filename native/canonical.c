/* A record differs from its canonical form in three things only: the order of the fields, the order of the keys in an
   object, and integral numbers with a fraction of zero, which lose it. So nothing gets longer.

   Sources: RFC 8785, and the deviations that `canonical.py` names; bytes of UTF-8 sort as the code points do (RFC 3629). */

#include "canonical.h"

#include <string.h>

#include "record.h"
#include "words.h"

enum {
    DIGITS_MAX = 15, /* of a number with a fraction */
    DEPTH_MAX = 16,
    MEMBERS_MAX = 64,
};

typedef struct {
    Span key, whole; /* the key and its value together, from quote to end */
    const char *value;
    bool is_simple; /* written as it stands */
} Member;

typedef struct {
    Member members[MEMBERS_MAX];
    int count;
} Object;

#define PUT(literal) put(lines, literal, sizeof(literal) - 1)

static const char *put_value(const char *at, const char *end, int depth, Bytes *lines);

/* Appends where there is room, as there is for every record; else there is none for anything from then on. */
static inline void put(Bytes *lines, const char *data, size_t size)
{
    if (lines->room - lines->size < size) {
        lines->room = lines->size;
        return;
    }
    memcpy(lines->data + lines->size, data, size);
    lines->size += size;
}

static inline void put_span(Span span, Bytes *lines)
{
    put(lines, span.at, span.size);
}

/* Looks for a quote or a backslash; `end` if there is none. */
static inline const char *mark(const char *at, const char *end)
{
    for (; end - at >= 8; at += 8) {
        uint64_t word = word_at(at), found = bytes_equal(word, '"') | bytes_equal(word, '\\');
        if (found) {
            at += bytes_before(found);
            break;
        }
    }
    while (at < end && *at != '"' && *at != '\\')
        at++;
    return at;
}

/* Looks for the quote that closes the string whose first character is at `at`. */
static inline const char *closing(const char *at, const char *end, bool *has_escapes)
{
    for (;;) {
        at = mark(at, end);
        if (at < end && *at == '"')
            return at;
        if (end - at < 2)
            return NULL;
        *has_escapes = true;
        at += 2;
    }
}

/* The text whose first character is at `at`, up to its quote. */
static const char *text(const char *at, const char *end, Span *found)
{
    bool ignored;

    found->at = at;
    if ((at = closing(at, end, &ignored)) != NULL)
        found->size = (size_t)(at - found->at);
    return at;
}

/* A number or a literal, without the zero fraction of an integral number; NULL for a number that is too rare. */
static const char *scalar(const char *at, const char *end, Span *found)
{
    const char *point = NULL;

    found->at = at;
    for (; at < end && *at != ',' && *at != '}' && *at != ']'; at++) {
        if (*at == '.')
            point = at;
        else if (*at == 'e' && at > found->at && at[-1] >= '0' && at[-1] <= '9')
            return NULL;
    }
    found->size = (size_t)(at - found->at);
    if (point == NULL || at - point != 2 || point[1] != '0')
        return at;
    if (found->size > DIGITS_MAX || memcmp(found->at, "-0", 2) == 0)
        return NULL;
    found->size -= 2;
    return at;
}

/* Looks for the end of a value. */
static const char *value_end(const char *at, const char *end)
{
    bool ignored;
    int depth = 0;

    for (; at < end; at++) {
        if (*at == '"') {
            if ((at = closing(at + 1, end, &ignored)) == NULL)
                return NULL;
        } else if (*at == '{' || *at == '[') {
            depth++;
        } else if (*at == '}' || *at == ']') {
            if (depth-- == 0)
                return at;
        } else if (*at == ',' && depth == 0)
            return at;
    }
    return NULL;
}

static int compared(Span one, Span other)
{
    int found = memcmp(one.at, other.at, one.size < other.size ? one.size : other.size);

    return found ? found : (one.size > other.size) - (one.size < other.size);
}

/* By insertion: there are few, and often in order. */
static void sort_members(Member *members, int count)
{
    for (int number = 1; number < count; number++) {
        Member moved = members[number];
        int place = number;
        for (; place > 0 && compared(moved.key, members[place - 1].key) < 0; place--)
            members[place] = members[place - 1];
        members[place] = moved;
    }
}

/* Reads a member, up to behind its value. */
static const char *read_member(const char *at, const char *end, Member *member)
{
    bool has_escapes = false;
    Span number;

    member->whole.at = at++;
    member->key.at = at;
    if ((at = closing(at, end, &has_escapes)) == NULL || has_escapes)
        return NULL;
    member->key.size = (size_t)(at - member->key.at);
    if (!EXPECT("\":") || at == end)
        return NULL;
    member->value = at;
    if (*at == '"') {
        member->is_simple = (at = closing(at + 1, end, &has_escapes)) != NULL;
        at = at == NULL ? NULL : at + 1;
    } else if (*at == '{' || *at == '[') {
        member->is_simple = false;
        at = value_end(at, end);
    } else {
        at = scalar(at, end, &number);
        member->is_simple = at != NULL && number.at + number.size == at;
    }
    if (at != NULL)
        member->whole.size = (size_t)(at - member->whole.at);
    return at;
}

/* Reads the object that begins at `at`, up to behind its end. */
static const char *read_object(const char *at, const char *end, Object *object)
{
    object->count = 0;
    for (at++; at < end && *at == '"'; at++) {
        if (object->count == MEMBERS_MAX)
            return NULL;
        if ((at = read_member(at, end, &object->members[object->count++])) == NULL)
            return NULL;
        if (at == end || *at != ',')
            break;
    }
    return at < end && *at == '}' ? at + 1 : NULL;
}

static bool put_object(Object *object, const char *end, int depth, Bytes *lines)
{
    sort_members(object->members, object->count);
    PUT("{");
    for (int number = 0; number < object->count; number++) {
        const Member *member = &object->members[number];
        if (number)
            PUT(",");
        if (member->is_simple) {
            put_span(member->whole, lines);
            continue;
        }
        put(lines, member->whole.at, (size_t)(member->value - member->whole.at));
        if (put_value(member->value, end, depth + 1, lines) != member->whole.at + member->whole.size)
            return false;
    }
    PUT("}");
    return true;
}

static const char *put_array(const char *at, const char *end, int depth, Bytes *lines)
{
    PUT("[");
    for (at++; at < end && *at != ']';) {
        if ((at = put_value(at, end, depth + 1, lines)) == NULL)
            return NULL;
        if (at < end && *at == ',') {
            PUT(",");
            at++;
        }
    }
    PUT("]");
    return at < end ? at + 1 : NULL;
}

static const char *put_value(const char *at, const char *end, int depth, Bytes *lines)
{
    Span span = {at, 0};
    bool ignored;

    if (depth > DEPTH_MAX || at >= end)
        return NULL;
    if (*at == '{') {
        Object object;
        at = read_object(at, end, &object);
        return at != NULL && put_object(&object, end, depth, lines) ? at : NULL;
    }
    if (*at == '[')
        return put_array(at, end, depth, lines);
    if (*at == '"') {
        if ((at = closing(at + 1, end, &ignored)) == NULL)
            return NULL;
        span.size = (size_t)(++at - span.at);
    } else if ((at = scalar(at, end, &span)) == NULL || span.size == 0)
        return NULL;
    put_span(span, lines);
    return at;
}

bool canonical_record(const char **record, const char *end, Bytes *lines)
{
    const char *at = *record;
    Object payload;
    Span tenant_id, entity_type, entity_id, event_type, actor_id, seq, ts;

    if (!EXPECT("{\"tenant_id\":\"") || !(at = text(at, end, &tenant_id)))
        return false;
    if (!EXPECT("\",\"entity_type\":\"") || !(at = text(at, end, &entity_type)))
        return false;
    if (!EXPECT("\",\"entity_id\":\"") || !(at = text(at, end, &entity_id)))
        return false;
    if (!EXPECT("\",\"seq\":") || !(at = scalar(at, end, &seq)))
        return false;
    if (!EXPECT(",\"event_type\":\"") || !(at = text(at, end, &event_type)))
        return false;
    if (!EXPECT("\",\"payload\":") || at == end || *at != '{' || !(at = read_object(at, end, &payload)))
        return false;
    if (!EXPECT(",\"ts\":") || !(at = scalar(at, end, &ts)))
        return false;
    if (!EXPECT(",\"actor_id\":\"") || !(at = text(at, end, &actor_id)))
        return false;
    if (!EXPECT("\"}") || (at < end && *at != '\n'))
        return false;
    *record = at < end ? at + 1 : end;

    PUT("{\"actor_id\":\"");
    put_span(actor_id, lines);
    PUT("\",\"entity_id\":\"");
    put_span(entity_id, lines);
    PUT("\",\"entity_type\":\"");
    put_span(entity_type, lines);
    PUT("\",\"event_type\":\"");
    put_span(event_type, lines);
    PUT("\",\"payload\":");
    if (!put_object(&payload, end, 0, lines))
        return false;
    PUT(",\"seq\":");
    put_span(seq, lines);
    PUT(",\"tenant_id\":\"");
    put_span(tenant_id, lines);
    PUT("\",\"ts\":");
    put_span(ts, lines);
    PUT("}\n");
    return lines->room > lines->size;
}
