/* Multiples of the generator, eight at once, each of a number of its own: a comb of windows of seven bits.
 *
 * For the files of a kernel only. Points are Jacobian: (X / Z², Y / Z³). Nothing branches, or looks anything
 * up, by a number: the whole row of a table is read, and what is wanted is picked out inside the registers.
 */
#ifndef KEYSERVER_LANES_EC_POINT_H
#define KEYSERVER_LANES_EC_POINT_H

#include "keyserver/lanes/ec_batch.h"

#define WINDOW_BITS 7
#define ROW_POINTS  64
#define COORDINATES (2 * EC_DIGITS) /* digits of x, then of y */

struct point {
    struct number x, y, z;
};

/* Row i has the odd multiples of 2^(7i) G, from 1 to 127, affine, below p. */
static struct {
    _Alignas(64) uint64_t row[EC_ROWS][COORDINATES][ROW_POINTS];
} comb;

/* P becomes -(P + (X2, Y2)), or where MINUS -(P - (X2, Y2)); x2 and y2 are below p. With H the other way
 * round, all but the sign of the usual formulas (Cohen, Miyaji, Ono 1998) stays, and one negation is saved;
 * who adds again turns the sign round. P must not be ± (X2, Y2), nor either of them zero.
 *
 * Bounds, as multiples of p. P-256, where R is 16 p: from X ≤ 1.01, Y ≤ 2.2, Z ≤ 1.6 follow ZZ 1.16, U 1.08,
 * H 3.01, ZZZ 1.12, S 1.07, r 5.07, HH 1.57, HHH 1.3, V 1.1; X 6.9 before it is folded, W 3.1; and again Y
 * (5.07 3.1 + 2.2 1.3) / 16 + 1 ≤ 2.2, Z 1.31. P-384, where R is 2^32 p: products are below 1.01, X 5.1,
 * H 7.1, r 5.1 and W 9.1. */
FIELD_INLINE void point_add(vec x[static EC_DIGITS], vec y[static EC_DIGITS], vec z[static EC_DIGITS],
                            const vec x2[static EC_DIGITS], const vec y2[static EC_DIGITS], vec_mask minus)
{
    vec zz[EC_DIGITS], h[EC_DIGITS], r[EC_DIGITS], hh[EC_DIGITS], v[EC_DIGITS];
    struct sums sums;
    field_square(zz, z);
    field_multiply_raw(h, x2, zz);
    EACH_DIGIT(i) h[i] = vec_add(vec_subtract(x[i], h[i]), vec_all(2 * field_p[i]));
    number_carry(h, h);
    field_multiply(zz, zz, z);
    field_multiply_raw(r, y2, zz);
    EACH_DIGIT(i)
    {
        vec base = vec_subtract(vec_all(4 * field_p[i]), y[i]);
        r[i] = vec_select(minus, vec_subtract(base, r[i]), vec_add(base, r[i]));
    }
    number_carry(r, r);
    field_multiply(z, z, h);
    field_square(hh, h);
    field_multiply(h, h, hh); /* HHH from here on */
    field_multiply_raw(v, x, hh);
    field_square_raw(x, r);
    EACH_DIGIT(i)
    {
        vec more = vec_add(h[i], vec_all(3 * field_p[i]));
        x[i] = vec_subtract(vec_add(x[i], more), vec_add(v[i], v[i]));
    }
    field_fold(x);
    number_carry(x, x);
    EACH_DIGIT(i) v[i] = vec_add(vec_subtract(v[i], x[i]), vec_all(FIELD_FOLDED * field_p[i]));
    number_carry(v, v); /* W = V - X */
    sums_clear(&sums);
    sums_add_product(&sums, r, v);
    sums_add_product(&sums, y, h);
    field_reduce(y, &sums);
    number_carry(y, y);
}

/* ---- the table ---- */

/* A raw sum becomes normal, and below 1.5: that it is multiplied by one takes time, which does not matter
 * here. */
static void field_settle(vec a[static EC_DIGITS])
{
    vec one[EC_DIGITS];
    number_carry(a, a);
    number_all(one, field_one);
    batch_field_multiply(a, a, one);
}

static void field_add(vec out[static EC_DIGITS], const vec a[static EC_DIGITS], const vec b[static EC_DIGITS])
{
    EACH_DIGIT(i) out[i] = vec_add(a[i], b[i]);
    field_settle(out);
}

/* B is below 2. */
static void field_subtract(vec out[static EC_DIGITS], const vec a[static EC_DIGITS],
                           const vec b[static EC_DIGITS])
{
    EACH_DIGIT(i) out[i] = vec_add(vec_subtract(a[i], b[i]), vec_all(2 * field_p[i]));
    field_settle(out);
}

/* P = 2 P (Cohen, Miyaji, Ono 1998, with a = -3). */
static void point_double(struct point *p)
{
    vec x[EC_DIGITS], y[EC_DIGITS], z[EC_DIGITS], zz[EC_DIGITS], yy[EC_DIGITS], a[EC_DIGITS], b[EC_DIGITS];
    number_load(x, &p->x);
    number_load(y, &p->y);
    number_load(z, &p->z);
    batch_field_multiply(zz, z, z);
    batch_field_multiply(yy, y, y);
    batch_field_multiply(b, x, yy);
    field_add(b, b, b);
    field_add(b, b, b); /* 4 X Y² */
    field_subtract(a, x, zz);
    field_add(zz, x, zz);
    batch_field_multiply(a, a, zz);
    field_add(zz, a, a);
    field_add(a, a, zz); /* 3 (X - Z²) (X + Z²) */
    batch_field_multiply(z, y, z);
    field_add(z, z, z);
    batch_field_multiply(x, a, a);
    field_subtract(x, x, b);
    field_subtract(x, x, b);
    batch_field_multiply(yy, yy, yy);
    for (unsigned i = 0; i < 3; i++)
        field_add(yy, yy, yy);
    field_subtract(b, b, x);
    batch_field_multiply(y, a, b);
    field_subtract(y, y, yy);
    number_store(&p->x, x);
    number_store(&p->y, y);
    number_store(&p->z, z);
}

/* X and Y = P, affine and below p; -P when NEGATE. */
static void point_affine(struct number *x_out, struct number *y_out, const struct point *p, bool negate)
{
    vec x[EC_DIGITS], y[EC_DIGITS], z[EC_DIGITS], zz[EC_DIGITS];
    number_load(x, &p->x);
    number_load(y, &p->y);
    number_load(z, &p->z);
    batch_invert_lanes(z, &field_ring);
    batch_field_multiply(zz, z, z);
    batch_field_multiply(x, x, zz);
    batch_field_multiply(zz, zz, z);
    batch_field_multiply(y, y, zz);
    number_reduce(x, x, field_p);
    number_reduce(y, y, field_p);
    if (negate) {
        EACH_DIGIT(i) y[i] = vec_subtract(vec_all(field_p[i]), y[i]);
        number_carry(y, y);
    }
    number_store(x_out, x);
    number_store(y_out, y);
}

/* Lane i gets 2^(7 (FIRST + i)) G; P has that of the first in all lanes, and gets that of the eighth after
 * it. */
static void comb_bases(struct point *bases, struct point *p)
{
    for (unsigned lane = 0; lane < VEC_LANES; lane++) {
        for (unsigned i = 0; i < EC_DIGITS; i++) {
            bases->x.digit[i][lane] = p->x.digit[i][lane];
            bases->y.digit[i][lane] = p->y.digit[i][lane];
            bases->z.digit[i][lane] = p->z.digit[i][lane];
        }
        for (unsigned i = 0; i < WINDOW_BITS; i++)
            point_double(p);
    }
}

/* Puts the points of eight lanes at PLACE into eight rows from FIRST on. */
static void comb_put(unsigned first, unsigned place, const struct number *x, const struct number *y)
{
    for (unsigned lane = 0; lane < VEC_LANES && first + lane < EC_ROWS; lane++) {
        for (unsigned i = 0; i < EC_DIGITS; i++) {
            comb.row[first + lane][i][place] = x->digit[i][lane];
            comb.row[first + lane][EC_DIGITS + i][place] = y->digit[i][lane];
        }
    }
}

/* P becomes -(P ± (X2, Y2)) in memory. */
static void point_add_stored(struct point *p, const struct number *x2_in, const struct number *y2_in,
                             bool minus)
{
    vec x[EC_DIGITS], y[EC_DIGITS], z[EC_DIGITS], x2[EC_DIGITS], y2[EC_DIGITS];
    number_load(x, &p->x);
    number_load(y, &p->y);
    number_load(z, &p->z);
    number_load(x2, x2_in);
    number_load(y2, y2_in);
    point_add(x, y, z, x2, y2, vec_equal(vec_all(minus), vec_all(1)));
    number_store(&p->x, x);
    number_store(&p->y, y);
    number_store(&p->z, z);
}

static void number_put_all(struct number *out, const uint64_t digits[static EC_DIGITS])
{
    vec a[EC_DIGITS];
    number_all(a, digits);
    number_store(out, a);
}

static void comb_prepare(void)
{
    struct point next, sum, twice;
    struct number x, y, x2, y2;
    number_put_all(&next.x, generator_x);
    number_put_all(&next.y, generator_y);
    number_put_all(&next.z, field_one);
    for (unsigned first = 0; first < EC_ROWS; first += VEC_LANES) {
        comb_bases(&sum, &next);
        twice = sum;
        point_double(&twice);
        point_affine(&x2, &y2, &twice, false);
        point_affine(&sum.x, &sum.y, &sum, false);
        number_put_all(&sum.z, field_one);
        for (unsigned place = 0; place < ROW_POINTS; place++) {
            bool negative = place % 2 == 1;
            point_affine(&x, &y, &sum, negative);
            comb_put(first, place, &x, &y);
            point_add_stored(&sum, &x2, &y2, negative);
        }
    }
}

/* ---- the comb ---- */

/* Of the point of eight lanes in ROW the one that WINDOW, seven bits, names: the window's value 64 … 127
 * stands for the multiples 1 … 127, 63 … 0 for -1 … -127. The sign is returned. */
FIELD_INLINE vec_mask comb_find(vec x[static EC_DIGITS], vec y[static EC_DIGITS],
                                const uint64_t row[static COORDINATES][ROW_POINTS], vec window)
{
    vec_mask minus = vec_not(vec_any(window, vec_all(64)));
    vec place = vec_select(minus, vec_xor(window, vec_all(63)), window);
    vec_mask second = vec_any(place, vec_all(16)), third = vec_any(place, vec_all(32));
    UNROLL for (unsigned i = 0; i < COORDINATES; i++)
    {
        const uint64_t *all = row[i];
        vec a = vec_pick(vec_load(all), vec_load(all + 8), place);
        vec b = vec_pick(vec_load(all + 16), vec_load(all + 24), place);
        vec c = vec_pick(vec_load(all + 32), vec_load(all + 40), place);
        vec d = vec_pick(vec_load(all + 48), vec_load(all + 56), place);
        vec found = vec_select(third, vec_select(second, d, c), vec_select(second, b, a));
        *(i < EC_DIGITS ? &x[i] : &y[i - EC_DIGITS]) = found;
    }
    return minus;
}

/* How an odd k below n is written: k = Σ d_i 2^(7i), every d_i odd and between -127 and 127 (Joye, Tunstall
 * 2009). With w_i the seven bits of k from bit 7i + 1 on, d_i = 2 w_i - 127; a bit that is set above k makes
 * the highest d_i positive, 2 w_i + 1 for what k has of w_i. */
#define COMB_TOP_BIT (WINDOW_BITS * EC_ROWS)

FIELD_INLINE vec comb_window(const struct number *k, unsigned row)
{
    unsigned bit = WINDOW_BITS * row + 1, digit = bit / DIGIT_BITS, shift = bit % DIGIT_BITS;
    vec window = vec_right_by(vec_load(k->digit[digit]), shift);
    if (shift + WINDOW_BITS > DIGIT_BITS)
        window = vec_or(window, vec_left_by(vec_load(k->digit[digit + 1]), DIGIT_BITS - shift));
    return vec_and(window, vec_all(127));
}

/* POINTS, COUNT times eight of them, = ± K G. All K are odd and below n, with bit COMB_TOP_BIT set.
 *
 * From the top down no addition meets an exception of point_add(). The sum S before d 2^(7i) is added is an
 * odd multiple of 2^(7(i+1)), and as the digits below i + 1 come to less than that, 0 < S < 2n. (1) S is not
 * zero modulo n: n is odd, S even. (2) S ± d 2^(7i) are not zero modulo n: as whole numbers they are positive
 * since |d| < 2^7, and below 2n; for i > 0 they are even and n is not; for i = 0 the one with + is k, and
 * that with - is n only if k = n + 2d, hence d < 0 and, as d = (k mod 256) - 128, -d = (n - 128) mod 256,
 * which is 209 for P-256 and 243 for P-384, but -d is at most 127.
 */
static void comb_multiply(struct point *points, const struct number *k, size_t count)
{
    vec x[EC_DIGITS], y[EC_DIGITS], z[EC_DIGITS], x2[EC_DIGITS], y2[EC_DIGITS];
    number_all(z, field_one);
    for (size_t i = 0; i < count; i++) {
        comb_find(x, y, comb.row[EC_ROWS - 1], comb_window(&k[i], EC_ROWS - 1));
        number_store(&points[i].x, x);
        number_store(&points[i].y, y);
        number_store(&points[i].z, z);
    }
    vec_mask turned = vec_any(vec_all(0), vec_all(0));
    for (unsigned row = EC_ROWS - 1; row-- > 0; turned = vec_not(turned)) {
        for (size_t i = 0; i < count; i++) {
            number_load(x, &points[i].x);
            number_load(y, &points[i].y);
            number_load(z, &points[i].z);
            vec_mask minus = comb_find(x2, y2, comb.row[row], comb_window(&k[i], row));
            point_add(x, y, z, x2, y2, vec_differ(minus, turned));
            number_store(&points[i].x, x);
            number_store(&points[i].y, y);
            number_store(&points[i].z, z);
        }
    }
}

#endif
