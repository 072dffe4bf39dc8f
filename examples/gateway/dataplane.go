package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/orgkit/orgkit/orgs/httpapi"
)

// upstream is where AI requests go, and what they cost there.
type upstream struct {
	url, prices string
	wait        time.Duration
}

func upstreamFlags() *upstream {
	u := &upstream{}
	flag.StringVar(&u.url, "upstream", "", "URL of an OpenAI-compatible service, as https://host/v1; POST /v1/chat/completions is served where it is given. Its key is in ORGKIT_UPSTREAM_KEY")
	flag.StringVar(&u.prices, "prices", "", "file of the models that are served and their prices; see billing.ParsePrices")
	flag.DurationVar(&u.wait, "max-wait", 0, "how long a call may wait for a slot where too many run")
	return u
}

// catalogue is the models of the file of prices, nil without one.
func (u *upstream) catalogue() (*billing.Catalogue, error) {
	if u == nil || u.prices == "" {
		return nil, nil
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

// dataPlane serves chat completions: it asks the gate, passes the request on, and settles what was used.
type dataPlane struct {
	gate    *gate.Gate
	to      string
	key     string
	wait    time.Duration
	client  *http.Client
	options *httpapi.Options
}

func newDataPlane(g *gate.Gate, u *upstream, o *httpapi.Options) (*dataPlane, error) {
	to, err := url.Parse(u.url)
	if err != nil || to.Scheme != "http" && to.Scheme != "https" || to.Host == "" {
		return nil, errors.New("-upstream must be an http or https URL")
	}
	return &dataPlane{gate: g, to: to.JoinPath("chat/completions").String(), key: os.Getenv("ORGKIT_UPSTREAM_KEY"), wait: u.wait,
		client: &http.Client{Timeout: 50 * time.Second}, options: o}, nil
}

// maxChat and maxAnswer bound the bodies of a request and of what comes back.
const (
	maxChat   = 1 << 20
	maxAnswer = 16 << 20
)

// chat is what the gate has to know of a request.
type chat struct {
	Model               string `json:"model"`
	MaxTokens           int64  `json:"max_tokens"`
	MaxCompletionTokens int64  `json:"max_completion_tokens"`
	N                   int64  `json:"n"`
	Stream              bool   `json:"stream"`
}

func (p *dataPlane) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxChat))
	if err != nil {
		httpapi.WriteError(w, r, err, p.options)
		return
	}
	var in chat
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &in) != nil || json.Unmarshal(body, &fields) != nil || in.Stream || in.N > 1 {
		httpapi.Write(w, r, httpapi.NewProblem(http.StatusBadRequest, "invalid_request", "the body must be a chat completion with one answer that is not streamed"))
		return
	}
	_, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	adm, err := p.gate.Admit(r.Context(), gate.Call{Secret: strings.TrimSpace(secret), Model: in.Model, Tags: tags(r.Header.Get("X-Tags")), MaxWait: p.wait,
		InputTokens: int64(len(body)), // no token is shorter than a byte
		// Either field may say how long the answer may be; the upstream is told what was admitted.
		MaxOutputTokens: max(in.MaxTokens, in.MaxCompletionTokens),
		IP:              httpapi.ClientIP(r, p.options.TrustedProxies), RequestID: httpapi.RequestID(r.Context())})
	if err != nil {
		p.refuse(w, r, err)
		return
	}
	defer adm.Release(r.Context())
	if rate, some := adm.Rate(); some {
		httpapi.RateHeaders(w.Header(), rate)
	}
	fields["model"], _ = json.Marshal(adm.Model.ID)
	if delete(fields, "max_tokens"); adm.MaxOutputTokens > 0 {
		fields["max_completion_tokens"], _ = json.Marshal(adm.MaxOutputTokens)
	}
	p.forward(w, r, adm, fields)
}

// refuse writes why a call was not admitted.
func (p *dataPlane) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var d *gate.Denied
	if !errors.As(err, &d) {
		httpapi.WriteError(w, r, err, p.options)
		return
	}
	problem := httpapi.Classify(d)
	if problem.Internal() { // the gate's own, which no floor below knows of
		status := http.StatusBadRequest
		if d.Code == "ip_denied" {
			status = http.StatusForbidden
		}
		problem = httpapi.NewProblem(status, d.Code, d.Message)
		if d.Code == "missing_tags" {
			for _, tag := range d.Missing {
				problem.Errors = append(problem.Errors, httpapi.Fault{Location: "tags." + tag, Code: "required", Message: "is required"})
			}
		}
	}
	problem.DecisionID, problem.Remedy = d.DecisionID, d.Remedy
	if d.Rate != nil {
		httpapi.RateHeaders(w.Header(), *d.Rate)
	}
	httpapi.Write(w, r, problem)
}

// answered is what of an answer has to be paid.
type answered struct {
	Usage *struct {
		Prompt     int64 `json:"prompt_tokens"`
		Completion int64 `json:"completion_tokens"`
		Details    struct {
			Cached int64 `json:"cached_tokens"`
		} `json:"prompt_tokens_details"`
	} `json:"usage"`
}

// forward asks the upstream, settles what it says that was used, and passes its answer on. An error of the upstream costs nothing.
func (p *dataPlane) forward(w http.ResponseWriter, r *http.Request, adm *gate.Admission, fields map[string]json.RawMessage) {
	unavailable := httpapi.NewProblem(http.StatusServiceUnavailable, "service_unavailable", "the upstream does not answer")
	body, err := json.Marshal(fields)
	if err != nil {
		httpapi.WriteError(w, r, err, p.options)
		return
	}
	ask, err := http.NewRequestWithContext(r.Context(), http.MethodPost, p.to, bytes.NewReader(body))
	if err != nil {
		httpapi.WriteError(w, r, err, p.options)
		return
	}
	ask.Header.Set("Content-Type", "application/json")
	if p.key != "" {
		ask.Header.Set("Authorization", "Bearer "+p.key)
	}
	began := time.Now()
	res, err := p.client.Do(ask)
	if err != nil {
		httpapi.Write(w, r, unavailable)
		return
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		httpapi.Write(w, r, unavailable)
		return
	}
	if res.StatusCode < 300 {
		u := used(answer, adm)
		u.Endpoint, u.Method, u.Status, u.Latency = r.URL.Path, r.Method, res.StatusCode, time.Since(began)
		if err := adm.Settle(r.Context(), u); err != nil {
			httpapi.WriteError(w, r, err, p.options)
			return
		}
	}
	w.Header().Set("Content-Type", res.Header.Get("Content-Type"))
	w.WriteHeader(res.StatusCode)
	_, _ = w.Write(answer) // a client that is gone hears nothing
}

// used is what an answer says that was used; one that says nothing costs what was held.
func used(answer []byte, adm *gate.Admission) billing.Usage {
	var a answered
	if json.Unmarshal(answer, &a) != nil || a.Usage == nil {
		return billing.Usage{Cost: adm.Cost()}
	}
	return billing.Usage{InputTokens: a.Usage.Prompt, OutputTokens: a.Usage.Completion, CachedTokens: a.Usage.Details.Cached}
}

// tags reads the header X-Tags: project=alpha, environment=prod.
func tags(header string) map[string]string {
	tags := map[string]string{}
	for part := range strings.SplitSeq(header, ",") {
		if name, value, is := strings.Cut(part, "="); is {
			tags[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	return tags
}
