package peer;

import java.time.LocalDateTime;

/** Reads times such as "2026-11-21T12:00:00.123+02:00". By hand: a DateTimeFormatter takes several times as long. */
final class Times {
    private Times() {}

    /** Return the moment in UTC; refuses what is no real time of the years 1970 to 9998. */
    static LocalDateTime inUtc(String text) {
        int length = text.length();
        if (length < 19 || text.charAt(4) != '-' || text.charAt(7) != '-' || text.charAt(13) != ':'
                || text.charAt(16) != ':' || (text.charAt(10) != 'T' && text.charAt(10) != ' ')) {
            throw wrong(text);
        }
        int nanos = 0;
        int at = 19;
        if (at < length && text.charAt(at) == '.') {
            int begin = ++at;
            int unit = 100_000_000;
            while (at < length && text.charAt(at) >= '0' && text.charAt(at) <= '9') {
                nanos += (text.charAt(at++) - '0') * unit;
                unit /= 10;
            }
            if (at == begin || at - begin > 6) {
                throw wrong(text);
            }
        }
        LocalDateTime time = LocalDateTime.of(
                number(text, 0, 4), number(text, 5, 7), number(text, 8, 10),
                number(text, 11, 13), number(text, 14, 16), number(text, 17, 19), nanos);
        int written = time.getYear();
        if (at < length && !(text.charAt(at) == 'Z' && at + 1 == length)) {
            time = time.minusMinutes(offset(text, at));
        }
        if (outside(written) || outside(time.getYear())) {
            throw wrong(text);
        }
        return time;
    }

    private static int offset(String text, int at) {
        char sign = text.charAt(at);
        if ((sign != '+' && sign != '-') || text.length() != at + 6 || text.charAt(at + 3) != ':') {
            throw wrong(text);
        }
        int hours = number(text, at + 1, at + 3);
        int minutes = number(text, at + 4, at + 6);
        if (hours > 23 || minutes > 59) {
            throw wrong(text);
        }
        return (hours * 60 + minutes) * (sign == '-' ? -1 : 1);
    }

    private static int number(String text, int begin, int end) {
        int value = 0;
        for (int at = begin; at < end; at++) {
            char c = text.charAt(at);
            if (c < '0' || c > '9') {
                throw wrong(text);
            }
            value = value * 10 + (c - '0');
        }
        return value;
    }

    private static boolean outside(int year) {
        return year < 1970 || year > 9998;
    }

    private static IllegalArgumentException wrong(String text) {
        return new IllegalArgumentException("timestamp: must be a time of the years 1970 to 9998, got " + text);
    }
}
