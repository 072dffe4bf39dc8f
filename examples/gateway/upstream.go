package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/orgkit/orgkit/orgs/gate/proxy"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/orgs/httpapi/litellm"
	"github.com/orgkit/orgkit/orgs/httpapi/opengatellm"
)

// upstreams are where AI requests go, and what they cost there.
type upstreams struct {
	list      []*provider
	prices    string
	models    *billing.Catalogue // instead of a file of prices
	wait      time.Duration
	timeout   time.Duration
	transport http.RoundTripper
}

// provider is one of them.
type provider struct {
	name string
	url  *url.URL
	key  string

	mu   sync.Mutex
	down time.Time // until then others are tried first
}

func upstreamFlags() *upstreams {
	u := &upstreams{}
	flag.Func("upstream", "`[NAME=]URL` of a service that speaks OpenAI's or Anthropic's API, as https://host/v1; may be given several times, and AI requests are served where it is. "+
		"Its key is in ORGKIT_UPSTREAM_KEY, that of one with a name in ORGKIT_UPSTREAM_KEY_NAME", u.add)
	flag.StringVar(&u.prices, "prices", "", "file of the models that are served and their prices; see billing.ParsePrices")
	flag.DurationVar(&u.wait, "max-wait", 0, "how long a call may wait for a slot where too many run")
	flag.DurationVar(&u.timeout, "timeout", 0, "how long a call may take, and a stream say nothing; 0 is ten minutes")
	return u
}

// add adds an upstream.
func (u *upstreams) add(text string) error {
	name, to, named := strings.Cut(text, "=")
	env := "ORGKIT_UPSTREAM_KEY"
	if !named || strings.Contains(name, "/") {
		name, to = "", text
	} else {
		env += "_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
	}
	at, err := url.Parse(to)
	if err != nil || at.Scheme != "http" && at.Scheme != "https" || at.Host == "" {
		return errors.New("must be an http or https URL")
	}
	u.list = append(u.list, &provider{name: name, url: at, key: os.Getenv(env)})
	return nil
}

// catalogue is the models of the file of prices, nil without one.
func (u *upstreams) catalogue() (*billing.Catalogue, error) {
	if u.models != nil || u.prices == "" {
		return u.models, nil
	}
	f, err := os.Open(u.prices)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	book, err := billing.ParsePrices(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", u.prices, err)
	}
	var models []billing.Model
	for _, id := range book.Models() {
		models = append(models, billing.Model{ID: id})
	}
	c, err := billing.NewCatalogue(models...)
	if err != nil {
		return nil, err
	}
	return c, c.SetPrices(book)
}

// dataPlane has calls admitted and passes them on.
func (u *upstreams) dataPlane(g *gate.Gate, edge httpapi.Options, refusals map[string]proxy.Refusal, log *slog.Logger) (http.Handler, error) {
	if u.transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxIdleConnsPerHost, t.DisableCompression = 256, true
		u.transport = t
	}
	const prefix = "/v1"
	forward := &httputil.ReverseProxy{Transport: u, FlushInterval: -1, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Path = strings.TrimPrefix(r.In.URL.Path, prefix) }}
	return proxy.New(g, forward, &proxy.Options{Options: edge, Prefix: prefix, MaxWait: u.wait, Timeout: u.timeout, Refusals: refusals,
		Costs: []string{opengatellm.Dialect}, Fit: []string{litellm.Dialect, opengatellm.Dialect}}) // whose clients rely on it
}

// RoundTrip asks the providers one after another, those that the team prefers first, until one answers: what a provider has
// answered is the answer, unless it is that it cannot answer now.
func (u *upstreams) RoundTrip(r *http.Request) (res *http.Response, err error) {
	list := u.order(proxy.From(r.Context()).Admission)
	for i, p := range list {
		out := r.Clone(r.Context())
		if out.Body, err = r.GetBody(); err != nil {
			return nil, err
		}
		path := out.URL.Path
		out.URL = p.url.JoinPath(path)
		out.URL.RawQuery, out.Host = r.URL.RawQuery, ""
		if p.key != "" && strings.HasSuffix(path, "/messages") {
			out.Header.Set("X-Api-Key", p.key)
			if out.Header.Get("Anthropic-Version") == "" {
				out.Header.Set("Anthropic-Version", "2023-06-01")
			}
		} else if p.key != "" {
			out.Header.Set("Authorization", "Bearer "+p.key)
		}
		res, err = u.transport.RoundTrip(out)
		last := i == len(list)-1
		switch {
		case err != nil && r.Context().Err() != nil: // nobody waits any more, or for too long
			return nil, err
		case err != nil, res.StatusCode == http.StatusBadGateway, res.StatusCode == http.StatusServiceUnavailable:
			p.rest()
			if !last && err == nil {
				res.Body.Close()
			}
		default:
			return res, nil
		}
	}
	return res, err
}

// restFor is how long others are tried before a provider that has not answered.
const restFor = 10 * time.Second

func (p *provider) rest() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = time.Now().Add(restFor)
}

func (p *provider) rests(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return now.Before(p.down)
}

// order is the providers that serve the model: those that answer before those that lately did not, and among them those that
// the team prefers in its order, and then the others in theirs.
func (u *upstreams) order(adm *gate.Admission) []*provider {
	var list []*provider
	for _, p := range u.list {
		if p.name == "" || adm.Model.Provider == "" || adm.Model.Provider == p.name {
			list = append(list, p)
		}
	}
	if len(list) == 0 { // nobody has the name of the model's provider
		list = slices.Clone(u.list)
	}
	if len(list) == 1 {
		return list
	}
	now := time.Now()
	rank := func(p *provider) int {
		n := len(adm.Providers)
		if i := slices.Index(adm.Providers, p.name); i >= 0 {
			n = i
		}
		if p.rests(now) {
			n += 1000
		}
		return n
	}
	slices.SortStableFunc(list, func(a, b *provider) int { return rank(a) - rank(b) })
	return list
}

// inFlight counts requests, so that the end of the process waits for them to be settled.
func inFlight(wg *sync.WaitGroup, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wg.Add(1)
		defer wg.Done()
		next.ServeHTTP(w, r)
	})
}

// drain ends a server: it takes no new requests, gives those that run some time, and then ends them. Afterwards all have
// ended, and what they have used is settled.
func drain(ctx context.Context, server *http.Server, running *sync.WaitGroup) error {
	err := server.Shutdown(ctx)
	if err != nil { // streams that do not end: they are cut, and paid for as far as they came
		err = server.Close()
	}
	running.Wait()
	return err
}
