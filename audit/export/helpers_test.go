package export_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/audit/export"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs"
	"github.com/orgkit/orgkit/store/jobs/outbound"
	"github.com/orgkit/orgkit/store/seal"
	"github.com/orgkit/orgkit/store/sqlite"
	"github.com/orgkit/orgkit/store/storetest"
)

// rig is an organization with an exporter, and a worker that does its jobs.
type rig struct {
	*orgstest.World
	t      testing.TB
	s      *store.Store
	clock  *storetest.Clock
	x      *export.Exporter
	worker *jobs.Worker
	org    orgs.Organization
	sealer *seal.Sealer
	public string // key of checkpoints
}

func newRig(t testing.TB, s *store.Store, clock *storetest.Clock, o *export.Options) *rig {
	t.Helper()
	return newRigBehind(t, s, clock, o, &outbound.Options{Allow: []string{"127.0.0.1"}})
}

func newRigBehind(t testing.TB, s *store.Store, clock *storetest.Clock, o *export.Options, g *outbound.Options) *rig {
	t.Helper()
	guard, err := outbound.New(g)
	require.NoError(t, err)
	raw := make([]byte, seal.KeySize)
	rand.Read(raw)
	key, err := seal.ParseKey(base64.StdEncoding.EncodeToString(raw))
	require.NoError(t, err)
	sealer, err := seal.New(key)
	require.NoError(t, err)
	signer, public, err := audit.NewKey("gateway.example")
	require.NoError(t, err)
	n, err := note.NewSigner(signer)
	require.NoError(t, err)
	r := &rig{t: t, s: s, clock: clock, sealer: sealer, public: public}
	r.x = export.New(s, guard, sealer, o)
	opt := &orgs.Options{Seal: sealer, URLs: guard, Exports: r.x}
	opt.Audit = audit.Options{Signers: []note.Signer{n}, Verifiers: []string{public}, NoBackground: true}
	r.World = orgstest.New(t, s, opt)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	r.worker = jobs.NewWorker(s, nil)
	r.x.Register(r.worker, r.Audit())
	r.org, _ = r.Org("acme")
	return r
}

// configure sets the destinations of the organization.
func (r *rig) configure(list ...orgs.NewDestination) orgs.AuditSettings {
	r.t.Helper()
	c, _, err := r.SetAuditConfig(r.Platform(), r.org.ID, orgs.NewAuditConfig{Destinations: list})
	require.NoError(r.t, err)
	return c
}

// write writes events that stand alone.
func (r *rig) write(n int) {
	r.t.Helper()
	require.NoError(r.t, r.s.Update(audit.WithActor(r.t.Context(), audit.System("test")), func(ctx context.Context, tx *store.Tx) error {
		for i := range n {
			if _, err := r.Audit().Append(ctx, tx, r.org.ID, "teams.update", audit.Change{Type: "team.updated", Reason: fmt.Sprint("change ", i)}); err != nil {
				return err
			}
		}
		return nil
	}))
}

// round is what Run and the worker do until there is nothing to do.
func (r *rig) round() {
	r.t.Helper()
	require.NoError(r.t, r.x.Sweep(r.t.Context()))
	_, err := r.worker.RunDue(r.t.Context())
	require.NoError(r.t, err)
}

func (r *rig) delivery(id string) (d audit.Delivery) {
	r.t.Helper()
	require.NoError(r.t, r.s.View(r.t.Context(), func(ctx context.Context, tx *store.Tx) (err error) {
		d, err = audit.Deliveries.Get(ctx, tx, id)
		return err
	}))
	return d
}

// size is how many events the log has.
func (r *rig) size() int64 {
	r.t.Helper()
	page, err := r.Audit().List(r.t.Context(), r.org.ID, audit.Filter{Limit: 1})
	require.NoError(r.t, err)
	return page.Items[0].Seq + 1
}

// types are those of the events from one on.
func (r *rig) types(from int64, families ...string) (list []string) {
	r.t.Helper()
	page, err := r.Audit().List(r.t.Context(), r.org.ID, audit.Filter{Types: families, Ascending: true, Limit: 200})
	require.NoError(r.t, err)
	for _, e := range page.Items {
		if e.Seq >= from {
			list = append(list, e.Type)
		}
	}
	return list
}

func secret(text string) *seal.Secret {
	s := seal.NewSecret(text)
	return &s
}

func siem(url string) orgs.NewDestination {
	return orgs.NewDestination{Destination: audit.Destination{Type: audit.SIEM, Endpoint: url}, Secrets: map[string]*seal.Secret{"api_key": secret(apiKey)}}
}

// apiKey is that of every receiver.
const apiKey = "canary-key-of-the-sink"

// receiver is a log sink. answer says what it does about a request of which the records were read; nil is 204.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	requests []request
	answer   func(w http.ResponseWriter, q request)
}

type request struct {
	http.Header
	records []map[string]any
	body    string
}

func (q request) seqs() (list []int64) {
	for _, r := range q.records {
		list = append(list, int64(r["sequence"].(float64)))
	}
	return list
}

func newReceiver(t testing.TB) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	q := request{Header: req.Header, body: string(body)}
	if err != nil || json.Unmarshal(body, &q.records) != nil || req.Method != http.MethodPost {
		w.WriteHeader(http.StatusTeapot)
		return
	}
	r.mu.Lock()
	r.requests = append(r.requests, q)
	answer := r.answer
	r.mu.Unlock()
	if answer == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	answer(w, q)
}

func (r *receiver) answers(fn func(w http.ResponseWriter, q request)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = fn
}

func (r *receiver) status(code int) {
	r.answers(func(w http.ResponseWriter, _ request) { w.WriteHeader(code) })
}

// take returns the requests since the last time, without those of probes unless all.
func (r *receiver) take(all bool) (list []request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, q := range r.requests {
		if all || len(q.records) == 0 || q.records[0]["type"] != "audit.probe" {
			list = append(list, q)
		}
	}
	r.requests = nil
	return list
}

func (r *receiver) seqs() (list []int64) {
	for _, q := range r.take(false) {
		list = append(list, q.seqs()...)
	}
	return list
}

// span is the numbers from one up to but without another.
func span(from, below int64) (list []int64) {
	for ; from < below; from++ {
		list = append(list, from)
	}
	return list
}

func openSQLite(t testing.TB, path string) *store.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path, nil)
	require.NoError(t, err)
	return s
}

// quick is without wait, by a clock that stands still.
func quick() *export.Options { return &export.Options{Age: time.Nanosecond} }
