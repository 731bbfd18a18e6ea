package ratelimit

import (
	"strconv"
	"time"
)

// PolicyHeader returns the value of RateLimit-Policy for limit, such as "orders";q=5;w=60
// (draft-ietf-httpapi-ratelimit-headers-11).
func PolicyHeader(l Limit) string {
	b := strconv.AppendQuote(make([]byte, 0, 48), l.Name)
	b = append(b, ";q="...)
	b = strconv.AppendInt(b, int64(l.Quota), 10)
	b = append(b, ";w="...)
	return string(strconv.AppendInt(b, seconds(l.Window), 10))
}

// StateHeader returns the value of RateLimit, such as "orders";r=0;t=30: t is never later than Retry-After.
func StateHeader(l Limit, d Decision) string {
	b := strconv.AppendQuote(make([]byte, 0, 48), l.Name)
	b = append(b, ";r="...)
	b = strconv.AppendInt(b, int64(max(d.Remaining, 0)), 10)
	b = append(b, ";t="...)
	return string(strconv.AppendInt(b, seconds(d.Reset), 10))
}

// RetryAfter returns the value of Retry-After: whole seconds, rounded up, at least 1.
func RetryAfter(d Decision) string { return strconv.FormatInt(max(seconds(d.Retry), 1), 10) }

// seconds rounds up: who comes back when told is let in.
func seconds(d time.Duration) int64 { return int64((max(d, 0) + time.Second - 1) / time.Second) }
