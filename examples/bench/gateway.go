package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/examples/internal/fakemodel"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/orgkit/orgkit/orgs/gate/proxy"
	"github.com/orgkit/orgkit/store"
)

var gatewayBars = []bar{
	{name: "gateway.share_p50_us", what: "the library's share of a proxied request, p50, 256 connections, half of the load that fits", limit: 15},
	{name: "gateway.share_p99_us", what: "the same, p99", limit: 100},
	{name: "gateway.rps", what: "requests a second through it, client, gateway and upstream on this machine", least: true},
	{name: "gateway.vs_plain_proxy", what: "of those of the same proxy without the library, same run", limit: 0.85, least: true},
	{name: "gateway.memory_growth_pct", what: "heap after five minutes over that after half of one, %", limit: 10, full: true},
}

const (
	gatewayConnections = 256
	gatewayRequest     = `{"model": "gpt-4o", "max_tokens": 200, "messages": [{"role": "system", "content": "You are helpful, and brief."}, ` +
		`{"role": "user", "content": "What does it take to have a budget in decimals that many processes spend from and that cannot be overspent?"}]}`
)

// shares are the times that requests spend in the library, and not in what it forwards to.
type shares struct {
	mu   sync.Mutex
	list sample
	on   atomic.Bool
}

// forwarded is what is not the library's of a request: what it is forwarded to, but for what the library does with each piece of
// the answer, and what the answer takes to the client. A proxy without the library has both too.
type forwarded struct{ next, metered, sent time.Duration }

func (f *forwarded) all() time.Duration { return f.next - f.metered + f.sent }

type forwardedKey struct{}

// timed adds up how long the calls of a writer take.
type timed struct {
	http.ResponseWriter
	took *time.Duration
}

func (t timed) Unwrap() http.ResponseWriter { return t.ResponseWriter }

func (t timed) WriteHeader(status int) {
	defer t.since(time.Now())
	t.ResponseWriter.WriteHeader(status)
}

func (t timed) Write(b []byte) (int, error) {
	defer t.since(time.Now())
	return t.ResponseWriter.Write(b)
}

func (t timed) FlushError() error {
	defer t.since(time.Now())
	return http.NewResponseController(t.ResponseWriter).Flush()
}

func (t timed) since(begin time.Time) { *t.took += time.Since(begin) }

// around measures a handler, and within what it forwards to.
func (s *shares) around(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.on.Load() {
			h.ServeHTTP(w, r)
			return
		}
		f := &forwarded{}
		w, r = timed{w, &f.sent}, r.WithContext(context.WithValue(r.Context(), forwardedKey{}, f))
		begin := time.Now()
		h.ServeHTTP(w, r)
		took := time.Since(begin) - f.all()
		s.mu.Lock()
		s.list.add(took, 1)
		s.mu.Unlock()
	})
}

func within(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begin := time.Now()
		f, is := r.Context().Value(forwardedKey{}).(*forwarded)
		if !is {
			h.ServeHTTP(w, r)
			return
		}
		h.ServeHTTP(timed{w, &f.metered}, r)
		f.next = time.Since(begin)
	})
}

func benchGateway(ctx context.Context, b *bench) (err error) {
	b.begin("gateway: proxied requests")
	s, err := b.openSQLite(ctx, filepath.Join(b.dir, "gateway.db"), store.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	m, secret, err := gatewayOrg(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()

	upstream := httptest.NewServer(fakemodel.New(nil))
	defer upstream.Close()
	to, err := url.Parse(upstream.URL)
	if err != nil {
		return err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost, transport.DisableCompression = 0, gatewayConnections, true
	defer transport.CloseIdleConnections()
	forward := &httputil.ReverseProxy{Transport: transport, FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0), Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	front, err := proxy.New(gate.New(m), within(forward), nil)
	if err != nil {
		return err
	}
	plain, whole := httptest.NewServer(forward), httptest.NewServer(front)
	defer plain.Close()
	defer whole.Close()

	load := newGatewayLoad(secret)
	defer load.client.CloseIdleConnections()
	const rounds, took = 24, time.Second / 2 // many short ones: what else the machine does comes and goes within seconds
	var rates, ratios sample
	for round := range rounds + 1 {
		var rate [2]float64
		for n := range rate { // without a clock in either, and by turns first
			i := (n + round) % 2
			if rate[i], err = load.run(ctx, []string{plain.URL, whole.URL}[i], took, 0); err != nil {
				return err
			}
		}
		if round > 0 {
			rates, ratios = append(rates, rate[1]), append(ratios, rate[1]/rate[0])
		}
	}
	var atMost, atHalf shares // at the load that fits, where whoever gives up a core waits for all others, and at half of it
	whole.Config.Handler = atMost.around(atHalf.around(front))
	for round := range rounds/2 + 1 {
		for _, at := range []struct {
			*shares
			wanted float64
		}{{&atMost, 0}, {&atHalf, rates.median() / 2}} {
			at.on.Store(round > 0)
			if _, err = load.run(ctx, whole.URL, took, at.wanted); err != nil {
				return err
			}
			at.on.Store(false)
		}
	}
	b.values["gateway.share_p50_us"] = exactly(micros(atHalf.list.median()))
	b.values["gateway.share_p99_us"] = exactly(micros(atHalf.list.p99()))
	b.note("gateway: the library's share at the load that fits, where who waits for a core waits for all others: p50 %.0f us, p99 %.0f us",
		micros(atMost.list.median()), micros(atMost.list.p99()))
	b.values["gateway.rps"] = exactly(rates.median())
	b.values["gateway.vs_plain_proxy"] = exactly(ratios.median())
	state := m.Metering().State()
	b.note("gateway: %d usage events written, %d dropped, %d wait", state.Written, state.Dropped, state.Waiting)
	if !b.full {
		return nil
	}
	var before, after runtime.MemStats
	if _, err := load.run(ctx, whole.URL, 30*time.Second, 0); err != nil {
		return err
	}
	runtime.GC()
	runtime.ReadMemStats(&before)
	if _, err := load.run(ctx, whole.URL, 5*time.Minute, 0); err != nil {
		return err
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.values["gateway.memory_growth_pct"] = exactly(100 * (float64(after.HeapAlloc)/float64(before.HeapAlloc) - 1))
	return nil
}

// gatewayOrg is an organization whose calls meet limits and budgets, and a key of it.
func gatewayOrg(ctx context.Context, s *store.Store) (*orgs.Manager, string, error) {
	models, err := billing.NewCatalogue(billing.Model{ID: "gpt-4o", MaxOutputTokens: 4096,
		Price: &billing.Price{InputPerMillion: decimal.RequireFromString("2.5"), OutputPerMillion: decimal.RequireFromString("10")}})
	if err != nil {
		return nil, "", err
	}
	m, err := orgs.New(s, &orgs.Options{Catalogue: models})
	if err != nil {
		return nil, "", err
	}
	as := audit.WithActor(ctx, audit.PlatformAdmin())
	u, err := m.CreateUser(as, orgs.NewUser{Email: "dev@acme.example", EmailVerified: true})
	if err != nil {
		return nil, "", err
	}
	org, err := m.CreateOrganization(as, orgs.NewOrganization{Name: "Acme", Owner: u.ID})
	if err != nil {
		return nil, "", err
	}
	team, err := m.CreateTeam(as, org.ID, orgs.NewTeam{Name: "Lab"})
	if err != nil {
		return nil, "", err
	}
	key, secret, err := m.CreateAPIKey(as, orgs.NewAPIKey{Name: "bench", Team: team.ID, InheritTeam: true})
	if err != nil {
		return nil, "", err
	}
	plenty := int64(1) << 40
	for _, r := range []billing.RateLimit{{Scope: billing.ScopeKey, ScopeID: key.ID, RequestsPerMinute: &plenty}, {Scope: billing.ScopeTeam, ScopeID: team.ID, TokensPerMinute: &plenty}} {
		r.OrgID = org.ID
		if _, err := m.SetRateLimit(as, r); err != nil {
			return nil, "", err
		}
	}
	for _, on := range []billing.Budget{{Scope: billing.ScopeKey, ScopeID: key.ID}, {Scope: billing.ScopeTeam, ScopeID: team.ID}, {Scope: billing.ScopeOrg, ScopeID: org.ID}} {
		on.OrgID, on.Limit, on.Hard, on.Window = org.ID, decimal.New(1, 9), true, billing.CalendarMonth
		if _, err := m.SetBudget(as, on); err != nil {
			return nil, "", err
		}
	}
	return m, secret, nil
}

// gatewayLoad asks over and over.
type gatewayLoad struct {
	client *http.Client
	secret string
}

func newGatewayLoad(secret string) *gatewayLoad {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns, t.MaxIdleConnsPerHost, t.DisableCompression = 0, gatewayConnections, true
	return &gatewayLoad{&http.Client{Transport: t}, secret}
}

// run asks for so long, over all connections, and says how many requests a second were answered. Not all at once ask, where so
// many a second are wanted; 0 is as many as there can be.
func (l *gatewayLoad) run(ctx context.Context, server string, took time.Duration, wanted float64) (rate float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, took+time.Minute)
	defer cancel()
	var answered atomic.Int64
	errs := make([]error, gatewayConnections)
	begin := time.Now()
	var every time.Duration // that one connection asks
	if wanted > 0 {
		every = time.Duration(gatewayConnections / wanted * float64(time.Second))
	}
	var wg sync.WaitGroup
	for c := range gatewayConnections {
		wg.Go(func() {
			next := every * time.Duration(c) / gatewayConnections
			for errs[c] == nil && time.Since(begin) < took {
				time.Sleep(next - time.Since(begin))
				next += every
				errs[c] = l.ask(ctx, server)
				answered.Add(1)
			}
		})
	}
	wg.Wait()
	return float64(answered.Load()) / time.Since(begin).Seconds(), errors.Join(errs...)
}

func (l *gatewayLoad) ask(ctx context.Context, server string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, server+"/v1/chat/completions", bytes.NewReader([]byte(gatewayRequest)))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+l.secret)
	r.Header.Set("Content-Type", "application/json")
	res, err := l.client.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %s", res.StatusCode, text)
	}
	return err
}
