#include "common/date.h"

#include <ctype.h>
#include <string.h>
#include <time.h>

#define DAY         86400
#define LAST_SECOND INT64_C(253402300799) /* of the year 9999 */

/* Takes WIDTH digits that make a number from LEAST to MOST; false when they are not there. */
static bool take_number(const char **at, int width, int least, int most, int *out)
{
    *out = 0;
    for (int i = 0; i < width; i++) {
        if (!isdigit((unsigned char)**at))
            return false;
        *out = *out * 10 + *(*at)++ - '0';
    }
    return *out >= least && *out <= most;
}

static bool take_char(const char **at, char c)
{
    if (**at != c)
        return false;
    (*at)++;
    return true;
}

/* "T12:00:00" */
static bool take_time(const char **at, struct tm *out)
{
    return take_char(at, 'T') && take_number(at, 2, 0, 23, &out->tm_hour) && take_char(at, ':') &&
           take_number(at, 2, 0, 59, &out->tm_min) && take_char(at, ':') &&
           take_number(at, 2, 0, 59, &out->tm_sec);
}

/* "Z", "+02:00": how many seconds the written time is ahead of UTC. */
static bool take_offset(const char **at, int *ahead)
{
    int hours, minutes, sign = **at == '-' ? -1 : 1;
    *ahead = 0;
    if (take_char(at, 'Z'))
        return true;
    if ((!take_char(at, '+') && !take_char(at, '-')) || !take_number(at, 2, 0, 23, &hours) ||
        !take_char(at, ':') || !take_number(at, 2, 0, 59, &minutes))
        return false;
    *ahead = sign * (hours * 60 + minutes) * 60;
    return true;
}

int date_parse(int64_t *unix_s, const char *text)
{
    struct tm parts = {.tm_sec = 0}, again;
    int year, ahead = 0;
    if (!take_number(&text, 4, 1970, 9999, &year) || !take_char(&text, '-') ||
        !take_number(&text, 2, 1, 12, &parts.tm_mon) || !take_char(&text, '-') ||
        !take_number(&text, 2, 1, 31, &parts.tm_mday))
        return ERR_FORMAT;
    if (*text != 0 && (!take_time(&text, &parts) || !take_offset(&text, &ahead) || *text != 0))
        return ERR_FORMAT;
    parts.tm_year = year - 1900;
    parts.tm_mon--;
    again = parts;
    time_t local = timegm(&again); /* makes March of February 30 */
    if (again.tm_mday != parts.tm_mday || local - ahead < 0)
        return ERR_FORMAT;
    *unix_s = local - ahead;
    return 0;
}

static int days_of_year(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 366 : 365;
}

static int days_of_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 1 ? days[1] + days_of_year(year) - 365 : days[month];
}

static void put_digits(char *at, int count, int number)
{
    for (; count > 0; number /= 10)
        at[--count] = (char)('0' + number % 10);
}

/* Not gmtime_r(): it takes the C library's lock of the time zone, and who asks may be a signal handler. */
char *date_text(char out[static DATE_TEXT_SIZE], int64_t unix_s)
{
    if (unix_s < 0 || unix_s > LAST_SECOND) {
        memset(out, 0, DATE_TEXT_SIZE);
        return out;
    }
    int year = 1970, month = 0, day = (int)(unix_s / DAY), second = (int)(unix_s % DAY);
    for (; day >= days_of_year(year); year++)
        day -= days_of_year(year);
    for (; day >= days_of_month(year, month); month++)
        day -= days_of_month(year, month);
    memcpy(out, "YYYY-MM-DDThh:mm:ssZ", DATE_TEXT_SIZE);
    put_digits(out, 4, year);
    put_digits(out + 5, 2, month + 1);
    put_digits(out + 8, 2, day + 1);
    put_digits(out + 11, 2, second / 3600);
    put_digits(out + 14, 2, second / 60 % 60);
    put_digits(out + 17, 2, second % 60);
    return out;
}

bool date_span_has(const struct date_span *span, int64_t unix_s)
{
    return unix_s >= span->first && unix_s <= span->last;
}
