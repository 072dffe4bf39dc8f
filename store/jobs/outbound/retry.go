package outbound

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Verdict says what becomes of a delivery.
type Verdict int

// The verdicts.
const (
	Retry  Verdict = iota // the network, a call that was canceled, 408, 425, 429 and 5xx: it may pass
	Done                  // 2xx: it was taken
	GiveUp                // blocked, too large, redirects, 4xx: it passes only once somebody changes something
	Gone                  // 410: the receiver asks never to be called again
)

// MaxRetryAfter is the longest wait that a receiver can ask for.
const MaxRetryAfter = time.Hour

// Outcome is a verdict with its reason.
type Outcome struct {
	Verdict Verdict
	After   time.Duration // how long the receiver asks to wait, at most MaxRetryAfter; 0 when it does not say
	Reason  string        // the Reason of an *Error, or "status 503"; can be shown to the tenant
}

// Judge says what to do about what [Client.Do] answered. now is for receivers that ask for a point in time.
func Judge(res *http.Response, err error, now time.Time) Outcome {
	if err != nil {
		out := Outcome{Verdict: Retry, Reason: failure("", err).Reason}
		if out.Reason == "blocked" || out.Reason == "too_large" {
			out.Verdict = GiveUp
		}
		return out
	}
	out := Outcome{Verdict: GiveUp, Reason: "status " + strconv.Itoa(res.StatusCode)}
	switch code := res.StatusCode; {
	case code >= 200 && code < 300:
		out.Verdict = Done
	case code == http.StatusGone:
		out.Verdict = Gone
	case code == http.StatusRequestTimeout, code == http.StatusTooEarly, code == http.StatusTooManyRequests, code >= 500:
		out.Verdict, out.After = Retry, retryAfter(res.Header.Get("Retry-After"), now)
	}
	return out
}

// retryAfter reads seconds or an HTTP date (RFC 9110 §10.2.3); what is neither, or past, is 0.
func retryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if value == "" {
		return 0
	}
	if strings.Trim(value, "0123456789") == "" {
		seconds, err := strconv.ParseInt(value, 10, 64)
		if err != nil || seconds > int64(MaxRetryAfter/time.Second) { // an error is a number too large
			return MaxRetryAfter
		}
		return time.Duration(seconds) * time.Second
	}
	date, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(date.Sub(now), 0), MaxRetryAfter)
}
