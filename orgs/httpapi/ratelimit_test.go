package httpapi_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs/httpapi"
)

func TestRateHeadersAreThoseOfVendorsAndOfTheIETF(t *testing.T) { // F015
	h := http.Header{}
	rate := billing.Rate{LimitID: "lim_1", Measure: "requests_per_minute", Limit: 100, Remaining: 7, Window: time.Minute,
		ResetAt: time.Unix(1_709_640_060, 0), Reset: 12*time.Second + time.Nanosecond}
	httpapi.RateHeaders(h, rate)
	require.Equal(t, http.Header{
		"X-Ratelimit-Limit": {"100"}, "X-Ratelimit-Remaining": {"7"}, "X-Ratelimit-Reset": {"1709640060"}, "X-Ratelimit-Reset-After": {"13"},
		"X-Ratelimit-Bucket": {"lim_1.requests_per_minute"}, "X-Ratelimit-Policy": {"100;w=60"},
		"Ratelimit-Policy": {`"lim_1.requests_per_minute";q=100;w=60`}, "Ratelimit": {`"lim_1.requests_per_minute";r=7;t=13`},
	}, h)
	rate.Window = 0
	h = http.Header{}
	httpapi.RateHeaders(h, rate)
	require.Empty(t, h)
}

func TestWhatIsOverARateSaysWhenToTryAgain(t *testing.T) { // F015
	limited := &billing.Limited{Rate: billing.Rate{LimitID: "lim_1", Scope: billing.ScopeTeam, Measure: "requests_per_day", Limit: 100,
		ResetAt: time.Date(2024, 3, 6, 5, 0, 0, 0, time.UTC)}, RetryAfter: 1500 * time.Millisecond}
	p := httpapi.Classify(limited)
	require.Equal(t, []any{429, "rate_limit_exceeded", "rate_limit_error", "lim_1", "team", int64(2), "2024-03-06T05:00:00Z"},
		[]any{p.Status, p.Code, p.Vendor.Type, p.LimitID, p.Scope, p.RetryAfter, p.ResetAt})
	w := httptest.NewRecorder()
	httpapi.Write(w, httptest.NewRequest("POST", "/", nil), p)
	require.Equal(t, "2", w.Header().Get("Retry-After"))

	p = httpapi.Classify(&billing.Limited{Rate: billing.Rate{Measure: billing.ParallelRequests, Limit: 50}, RetryAfter: time.Second})
	require.Equal(t, []any{429, "concurrency_limit", int64(1), ""}, []any{p.Status, p.Code, p.RetryAfter, p.ResetAt})
}
