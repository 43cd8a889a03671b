/* Multiples of the base point of edwards25519, eight at once, each of a number of its own: a comb of windows
 * of six bits.
 *
 * For the files of a kernel only. Points are extended (Hisil, Wong, Carter, Dawson 2008): (X / Z, Y / Z),
 * with T = X Y / Z. Their addition has no exceptions on this curve. Nothing branches, or looks anything up,
 * by a number: the whole row of a table is read, and what is wanted is picked out inside the registers. */
#ifndef KEYSERVER_LANES_ED_POINT_H
#define KEYSERVER_LANES_ED_POINT_H

#ifndef EC_DIGITS
#include "keyserver/lanes/ed_25519.h"
#endif

#include "keyserver/lanes/ec_batch.h"

#define WINDOW_BITS 6
#define ROW_POINTS  32
#define COORDINATES (3 * EC_DIGITS) /* digits of the three numbers of an entry */

/* Its first three numbers are raw, of the fourth the digits are normal; all below 1.01. */
struct point {
    struct number x, y, z, t;
};

/* An affine point as addition wants it: y + x, y - x, 2 d x y, below p. */
struct entry {
    struct number sum, difference, product;
};

/* Row i has the odd multiples of 2^(6i) B, from 1 to 63, as entries. */
static struct {
    _Alignas(64) uint64_t row[EC_ROWS][COORDINATES][ROW_POINTS];
} comb;

/* In registers. */
struct vec_point {
    vec x[EC_DIGITS], y[EC_DIGITS], z[EC_DIGITS], t[EC_DIGITS];
};
struct vec_entry {
    vec sum[EC_DIGITS], difference[EC_DIGITS], product[EC_DIGITS];
};

FIELD_INLINE void point_load(struct vec_point *p, const struct point *from)
{
    number_load(p->x, &from->x);
    number_load(p->y, &from->y);
    number_load(p->z, &from->z);
    number_load(p->t, &from->t);
}

FIELD_INLINE void point_store(struct point *to, const struct vec_point *p)
{
    number_store(&to->x, p->x);
    number_store(&to->y, p->y);
    number_store(&to->z, p->z);
    number_store(&to->t, p->t);
}

/* OUT = A - B, normal and below 3.01; B is below 2. */
FIELD_INLINE void field_difference(vec out[static EC_DIGITS], const vec a[static EC_DIGITS],
                                   const vec b[static EC_DIGITS])
{
    EACH_DIGIT(i) out[i] = vec_add(vec_subtract(a[i], b[i]), vec_all(2 * field_p[i]));
    number_carry(out, out);
}

FIELD_INLINE void field_sum(vec out[static EC_DIGITS], const vec a[static EC_DIGITS],
                            const vec b[static EC_DIGITS])
{
    EACH_DIGIT(i) out[i] = vec_add(a[i], b[i]);
    number_carry(out, out);
}

/* P = P + E, or where MINUS P - E (Hisil and others 2008, 3.1, for a = -1). With numbers below 4.1 that are
 * multiplied, products stay far below what field_fold_product() allows for. */
FIELD_INLINE void point_add(struct vec_point *p, const struct vec_entry *e, vec_mask minus)
{
    vec a[EC_DIGITS], b[EC_DIGITS], c[EC_DIGITS], f[EC_DIGITS], g[EC_DIGITS], of[EC_DIGITS];
    field_difference(a, p->y, p->x);
    number_select(of, minus, e->sum, e->difference);
    field_multiply_raw(a, a, of);
    field_sum(b, p->y, p->x);
    number_select(of, minus, e->difference, e->sum);
    field_multiply_raw(b, b, of);
    field_multiply_raw(c, p->t, e->product);
    EACH_DIGIT(i)
    {
        vec twice = vec_add(p->z[i], p->z[i]);
        f[i] = vec_select(minus, vec_add(twice, c[i]), vec_subtract(twice, c[i]));
        g[i] = vec_select(minus, vec_subtract(twice, c[i]), vec_add(twice, c[i]));
        f[i] = vec_add(f[i], vec_all(2 * field_p[i]));
        g[i] = vec_add(g[i], vec_all(2 * field_p[i]));
    }
    number_carry(f, f);
    number_carry(g, g);
    field_difference(c, b, a); /* E */
    field_sum(b, b, a);        /* H */
    field_multiply_raw(p->x, c, f);
    field_multiply_raw(p->y, g, b);
    field_multiply_raw(p->z, f, g);
    field_multiply(p->t, c, b);
}

/* X and Y = P, affine and below p, with Z_INVERSE = 1 / Z. */
static void point_affine(vec x[static EC_DIGITS], vec y[static EC_DIGITS], const struct point *p,
                         const vec z_inverse[static EC_DIGITS])
{
    number_load(x, &p->x);
    number_load(y, &p->y);
    number_carry(x, x);
    number_carry(y, y);
    batch_field_multiply(x, x, z_inverse);
    batch_field_multiply(y, y, z_inverse);
    number_reduce(x, x, field_p);
    number_reduce(y, y, field_p);
}

/* ---- the table ---- */

static void number_put_all(struct number *out, const uint64_t digits[static EC_DIGITS])
{
    vec a[EC_DIGITS];
    number_all(a, digits);
    number_store(out, a);
}

/* A number below 4 p gets below p. */
static void number_settle(vec a[static EC_DIGITS])
{
    for (unsigned i = 0; i < 3; i++)
        number_reduce(a, a, field_p);
}

/* E = P */
static void entry_of(struct entry *e, const struct point *p)
{
    vec x[EC_DIGITS], y[EC_DIGITS], a[EC_DIGITS];
    number_load(a, &p->z);
    number_carry(a, a);
    batch_invert_lanes(a, &field_ring);
    point_affine(x, y, p, a);
    field_sum(a, y, x);
    number_settle(a);
    number_store(&e->sum, a);
    field_difference(a, y, x);
    number_settle(a);
    number_store(&e->difference, a);
    number_all(a, curve_2d);
    batch_field_multiply(x, x, y);
    batch_field_multiply(a, a, x);
    number_settle(a);
    number_store(&e->product, a);
}

/* P = P + E in memory. */
static void point_add_stored(struct point *p, const struct entry *e)
{
    struct vec_point point;
    struct vec_entry entry;
    point_load(&point, p);
    number_load(entry.sum, &e->sum);
    number_load(entry.difference, &e->difference);
    number_load(entry.product, &e->product);
    point_add(&point, &entry, vec_any(vec_all(0), vec_all(0)));
    point_store(p, &point);
}

static void number_put_lane(struct number *to, const struct number *from, unsigned lane)
{
    for (unsigned i = 0; i < EC_DIGITS; i++)
        to->digit[i][lane] = from->digit[i][lane];
}

/* Lane i gets 2^(6 (FIRST + i)) B; P has that of the first in all lanes, and gets that of the eighth after
 * it. */
static void comb_bases(struct point *bases, struct point *p)
{
    struct entry same;
    for (unsigned lane = 0; lane < VEC_LANES; lane++) {
        number_put_lane(&bases->x, &p->x, lane);
        number_put_lane(&bases->y, &p->y, lane);
        number_put_lane(&bases->z, &p->z, lane);
        number_put_lane(&bases->t, &p->t, lane);
        for (unsigned i = 0; i < WINDOW_BITS; i++) {
            entry_of(&same, p);
            point_add_stored(p, &same);
        }
    }
}

/* Puts the points of eight lanes at PLACE into eight rows from FIRST on. */
static void comb_put(unsigned first, unsigned place, const struct entry *e)
{
    for (unsigned lane = 0; lane < VEC_LANES && first + lane < EC_ROWS; lane++) {
        for (unsigned i = 0; i < EC_DIGITS; i++) {
            comb.row[first + lane][i][place] = e->sum.digit[i][lane];
            comb.row[first + lane][EC_DIGITS + i][place] = e->difference.digit[i][lane];
            comb.row[first + lane][2 * EC_DIGITS + i][place] = e->product.digit[i][lane];
        }
    }
}

static void comb_prepare(void)
{
    struct point next, sum;
    struct entry entry, twice;
    vec x[EC_DIGITS], y[EC_DIGITS];
    number_all(x, generator_x);
    number_all(y, generator_y);
    batch_field_multiply(x, x, y);
    number_store(&next.t, x);
    number_put_all(&next.x, generator_x);
    number_put_all(&next.y, generator_y);
    number_put_all(&next.z, field_one);
    for (unsigned first = 0; first < EC_ROWS; first += VEC_LANES) {
        comb_bases(&sum, &next);
        entry_of(&entry, &sum);
        struct point base = sum;
        point_add_stored(&base, &entry);
        entry_of(&twice, &base);
        for (unsigned place = 0; place < ROW_POINTS; place++) {
            entry_of(&entry, &sum);
            comb_put(first, place, &entry);
            point_add_stored(&sum, &twice);
        }
    }
}

/* ---- the comb ---- */

/* Of the points of ROW the one that WINDOW, six bits, names: the window's value 32 … 63 stands for the
 * multiples 1 … 63, 31 … 0 for -1 … -63. The sign is returned. */
FIELD_INLINE vec_mask comb_find(struct vec_entry *e, const uint64_t row[static COORDINATES][ROW_POINTS],
                                vec window)
{
    vec_mask minus = vec_not(vec_any(window, vec_all(32)));
    vec place = vec_select(minus, vec_xor(window, vec_all(31)), window);
    vec_mask second = vec_any(place, vec_all(16));
    vec *const to[3] = {e->sum, e->difference, e->product};
    UNROLL for (unsigned i = 0; i < COORDINATES; i++)
    {
        const uint64_t *all = row[i];
        vec a = vec_pick(vec_load(all), vec_load(all + 8), place);
        vec b = vec_pick(vec_load(all + 16), vec_load(all + 24), place);
        to[i / EC_DIGITS][i % EC_DIGITS] = vec_select(second, b, a);
    }
    return minus;
}

/* How an odd k below 2 L is written: k = Σ d_i 2^(6i), every d_i odd and between -63 and 63 (Joye, Tunstall
 * 2009). With w_i the six bits of k from bit 6i + 1 on, d_i = 2 w_i - 63; a bit that is set above k makes the
 * highest d_i positive, 2 w_i + 1 for what k has of w_i. */
#define COMB_TOP_BIT (WINDOW_BITS * EC_ROWS)

FIELD_INLINE vec comb_window(const struct number *k, unsigned row)
{
    unsigned bit = WINDOW_BITS * row + 1, digit = bit / DIGIT_BITS, shift = bit % DIGIT_BITS;
    vec window = vec_right_by(vec_load(k->digit[digit]), shift);
    if (shift + WINDOW_BITS > DIGIT_BITS)
        window = vec_or(window, vec_left_by(vec_load(k->digit[digit + 1]), DIGIT_BITS - shift));
    return vec_and(window, vec_all(63));
}

/* POINTS, COUNT times eight of them, = K B. All K are odd and below 2 L, with bit COMB_TOP_BIT set. */
static void comb_multiply(struct point *points, const struct number *k, size_t count)
{
    struct vec_point p;
    struct vec_entry e;
    number_all(p.x, field_zero);
    number_all(p.y, field_one);
    number_all(p.z, field_one);
    number_all(p.t, field_zero);
    for (size_t i = 0; i < count; i++)
        point_store(&points[i], &p);
    for (unsigned row = 0; row < EC_ROWS; row++) {
        for (size_t i = 0; i < count; i++) {
            point_load(&p, &points[i]);
            vec_mask minus = comb_find(&e, comb.row[row], comb_window(&k[i], row));
            point_add(&p, &e, minus);
            point_store(&points[i], &p);
        }
    }
}

#endif
