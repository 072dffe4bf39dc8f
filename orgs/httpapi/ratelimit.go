package httpapi

import (
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
	// What the vendors say of it are parts of the two fields of the draft, and all are of one text.
	b := make([]byte, 0, 256)
	number := func(after string, n int64) (at int) {
		b = append(b, after...)
		at = len(b)
		b = strconv.AppendInt(b, n, 10)
		return at
	}
	name := func() { b = append(append(append(append(b, '"'), r.LimitID...), '.'), r.Measure...) } // in which nothing has to be escaped
	name()
	named := len(b)
	limit := number(`";q=`, r.Limit)
	limited := len(b)
	number(";w=", Seconds(r.Window))
	policy := len(b)
	name()
	left := number(`";r=`, r.Remaining)
	counted := len(b)
	after := number(";t=", Seconds(r.Reset))
	state := len(b)
	number("", r.ResetAt.Unix())
	all := string(b)
	values := [...]string{all[limit:limited], all[left:counted], all[state:], all[after:state], all[1:named], all[limit:policy], all[:policy], all[policy:state]}
	for i, name := range rateHeaders {
		h[name] = values[i : i+1 : i+1]
	}
}

// rateHeaders are in the form in which a [http.Header] has them.
var rateHeaders = [...]string{"X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset", "X-Ratelimit-Reset-After", "X-Ratelimit-Bucket", "X-Ratelimit-Policy",
	"Ratelimit-Policy", "Ratelimit"}

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
