package outbound_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store/jobs/outbound"
)

var quiet = log.New(io.Discard, "", 0)

func TestJudgeByStatus(t *testing.T) {
	for code, want := range map[int]outbound.Verdict{
		200: outbound.Done, 202: outbound.Done, 204: outbound.Done, 299: outbound.Done,
		101: outbound.GiveUp, 301: outbound.GiveUp, 302: outbound.GiveUp, 304: outbound.GiveUp, 307: outbound.GiveUp,
		400: outbound.GiveUp, 401: outbound.GiveUp, 403: outbound.GiveUp, 404: outbound.GiveUp, 409: outbound.GiveUp, 422: outbound.GiveUp,
		408: outbound.Retry, 425: outbound.Retry, 429: outbound.Retry, 500: outbound.Retry, 502: outbound.Retry, 503: outbound.Retry, 599: outbound.Retry,
		410: outbound.Gone,
	} {
		out := outbound.Judge(&http.Response{StatusCode: code}, nil, time.Time{})
		require.Equal(t, want, out.Verdict, code)
		require.Contains(t, out.Reason, "status ")
	}
}

func TestJudgeByError(t *testing.T) {
	for _, c := range []struct {
		err  error
		want outbound.Outcome
	}{
		{&outbound.Error{Reason: "blocked"}, outbound.Outcome{Verdict: outbound.GiveUp, Reason: "blocked"}},
		{&outbound.Blocked{Rule: "address"}, outbound.Outcome{Verdict: outbound.GiveUp, Reason: "blocked"}},
		{outbound.ErrTooLarge, outbound.Outcome{Verdict: outbound.GiveUp, Reason: "too_large"}},
		{&outbound.Error{Reason: "dns"}, outbound.Outcome{Verdict: outbound.Retry, Reason: "dns"}},
		{context.DeadlineExceeded, outbound.Outcome{Verdict: outbound.Retry, Reason: "timeout"}},
		{context.Canceled, outbound.Outcome{Verdict: outbound.Retry, Reason: "canceled"}},
		{io.ErrUnexpectedEOF, outbound.Outcome{Verdict: outbound.Retry, Reason: "network"}},
		{errors.New("x"), outbound.Outcome{Verdict: outbound.Retry, Reason: "network"}},
	} {
		require.Equal(t, c.want, outbound.Judge(nil, c.err, time.Time{}))
	}
}

func TestJudgeHonoursRetryAfterUpToAnHour(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"":                               0,
		"0":                              0,
		"7":                              7 * time.Second,
		" 120 ":                          2 * time.Minute,
		"3600":                           time.Hour,
		"3601":                           time.Hour,
		"99999999999999999999999":        time.Hour,
		"9223372036854775807":            time.Hour,
		"-5":                             0,
		"1.5":                            0,
		"soon":                           0,
		"Sun, 01 Mar 2026 12:00:30 GMT":  30 * time.Second,
		"Sun, 01 Mar 2026 11:00:00 GMT":  0,
		"Sun, 01 Mar 2099 12:00:00 GMT":  time.Hour,
		"Sunday, 01-Mar-26 12:01:00 GMT": time.Minute,
	} {
		res := &http.Response{StatusCode: 503, Header: http.Header{"Retry-After": {value}}}
		require.Equal(t, want, outbound.Judge(res, nil, now).After, value)
	}
	res := &http.Response{StatusCode: 404, Header: http.Header{"Retry-After": {"7"}}}
	require.Zero(t, outbound.Judge(res, nil, now).After)
}
