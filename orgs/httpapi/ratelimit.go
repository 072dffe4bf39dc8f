package httpapi

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/orgkit/orgkit/billing"
)

// RateHeaders says in the headers of an answer of the data plane where a rate limit stands: of an admission or refusal of
// the gate, that which has the least left. They are those of AI vendors, X-RateLimit-*, and RateLimit and RateLimit-Policy
// of draft-ietf-httpapi-ratelimit-headers-10. What runs at once has no window, and no headers.
func RateHeaders(h http.Header, r billing.Rate) {
	if r.Window == 0 {
		return
	}
	bucket, after, window := r.LimitID+"."+string(r.Measure), Seconds(r.Reset), Seconds(r.Window)
	h.Set("X-RateLimit-Limit", strconv.FormatInt(r.Limit, 10))
	h.Set("X-RateLimit-Remaining", strconv.FormatInt(r.Remaining, 10))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(r.ResetAt.Unix(), 10))
	h.Set("X-RateLimit-Reset-After", strconv.FormatInt(after, 10))
	h.Set("X-RateLimit-Bucket", bucket)
	h.Set("X-RateLimit-Policy", fmt.Sprintf("%d;w=%d", r.Limit, window))
	h.Set("RateLimit-Policy", fmt.Sprintf("%q;q=%d;w=%d", bucket, r.Limit, window))
	h.Set("RateLimit", fmt.Sprintf("%q;r=%d;t=%d", bucket, r.Remaining, after))
}

// Seconds are whole seconds, rounded up, as Retry-After has them (RFC 9110, 10.2.3).
func Seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// overRate is the problem of a call that a rate limit refuses.
func overRate(l *billing.Limited) Problem {
	code := "rate_limit_exceeded"
	if l.Parallel() {
		code = "concurrency_limit"
	}
	p := NewProblem(http.StatusTooManyRequests, code, l.Error())
	p.LimitID, p.Scope, p.RetryAfter = l.LimitID, string(l.Scope), Seconds(l.RetryAfter)
	if !l.ResetAt.IsZero() {
		p.ResetAt = l.ResetAt.UTC().Format(time.RFC3339)
	}
	return p
}
