package notify_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
)

// receiver is a program that takes webhooks.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	calls  []call
	answer func(w http.ResponseWriter, r *http.Request)
}

type call struct {
	path   string
	header http.Header
	body   []byte
}

func newReceiver(t testing.TB) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	r.calls = append(r.calls, call{req.Method + " " + req.URL.Path, req.Header, body})
	answer := r.answer
	r.mu.Unlock()
	if answer != nil {
		answer(w, req)
	}
}

func (r *receiver) answers(fn func(w http.ResponseWriter, r *http.Request)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = fn
}

func (r *receiver) take() []call {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.calls
	r.calls = nil
	return all
}

// one is the only call since the last time.
func (r *receiver) one(t testing.TB) call {
	t.Helper()
	all := r.take()
	require.Len(t, all, 1)
	return all[0]
}

func status(code int, headers ...string) func(w http.ResponseWriter, r *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
	}
}

// verified says whether an independent receiver takes the call for one of who knows the secret. The clock of the test is
// not its own, so it looks at the signature alone.
func (c call) verified(t testing.TB, secret string) bool {
	t.Helper()
	wh, err := standardwebhooks.NewWebhook(secret)
	require.NoError(t, err)
	return wh.VerifyIgnoringTimestamp(c.body, c.header) == nil
}

func (c call) object(t testing.TB) (o struct {
	Type      string
	Timestamp string
	Data      struct {
		OrganizationID string `json:"organization_id"`
		TeamID         string `json:"team_id"`
		Object         map[string]any
	}
}) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(c.body))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&o))
	return o
}

// hook makes a webhook of the organization that calls the receiver.
func (w *world) hook(t testing.TB, r *receiver, events ...string) (orgs.Webhook, string) {
	t.Helper()
	h, secret, err := w.CreateWebhook(w.As(w.owner), w.org.ID, orgs.NewWebhook{URL: r.URL + "/in", Events: events})
	require.NoError(t, err)
	return h, secret
}

func (w *world) now(t testing.TB, h orgs.Webhook) orgs.Webhook {
	t.Helper()
	h, err := w.Webhook(w.As(w.owner), w.org.ID, h.ID)
	require.NoError(t, err)
	return h
}
