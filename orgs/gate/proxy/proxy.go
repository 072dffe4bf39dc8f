// Package proxy puts the gate in front of a handler that speaks the APIs of AI vendors.
//
// It reads what a request asks for, has it admitted, and passes it on to the next handler, which forwards it in whatever way
// the host likes, such as with an httputil.ReverseProxy. It reads in the answer what was used, streamed or not, and settles
// it:
//
//	front, err := proxy.New(gate.New(manager), forward, nil)
//	mux.Handle("/v1/", front)
//
// # What is served
//
// Below the prefix ([Options.Prefix]), and nothing else, so that nothing reaches the upstream unmetered:
//
//	POST chat/completions       OpenAI's Chat Completions
//	POST embeddings             feature embeddings
//	POST images/generations
//	POST fine_tuning/jobs       feature fine_tuning
//	POST messages               Anthropic's Messages
//	GET  models, models/{id}    what the key may use, by the decision that calls are admitted by
//
// X-Tags has tags of the call, as project=alpha, environment=prod, and X-Approval-Reason the reason for an approval that the call
// needs: a call that has one opens the request for it.
//
// Tools or functions are the feature function_calling, parts that are images are vision, and tools, plugins or options of
// web search are web_search.
//
// Which tools, vector stores, MCP servers and skills a call names is told to the gate as its objects.
//
// # What the upstream is told
//
// The model by its id, how long an answer is paid for, and, of a stream, to say at its end what it has used; a chunk that the
// client has not asked for is taken out again. A body that says all that as it came is passed on byte for byte. The credentials
// of the client are not passed on, nor is what the vendor says of the account of the host.
//
// # What is charged
//
// What the answer says that was used. One that says nothing costs what was held. An answer of an error, and none at all, cost
// nothing. Of a stream that ends before it has said what it used, because the client went away or the connection broke, what
// came is charged, a token for each four bytes and no fewer than there were chunks, and its input likewise, unless the vendor
// has told that. A call that is not streamed goes on when its client is gone, so that what it uses is known.
//
// A model that is paid for by the image has prices of 0 for tokens: what has no price at all is not known, and hard budgets refuse
// it.
//
// A fine-tuning job is charged nothing here: what it trains is known when it has ended, and is reported as usage then.
package proxy

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/orgkit/orgkit/orgs/httpapi"
)

// Options of [New]; nil, and the zero value, work.
type Options struct {
	httpapi.Options

	// Prefix is what stands before the paths of the vendors; "" is /v1.
	Prefix string
	// MaxWait is how long a call may wait for a slot where too many run.
	MaxWait time.Duration
	// Timeout is how long a call may take that is not streamed, how long a stream may say nothing, and how long a client may
	// take to read what is sent; 0 is ten minutes.
	Timeout time.Duration
	// MaxBody is how large the body of a request may be, and MaxAnswer how large an answer that is not streamed for its usage
	// to be read; 0 are 32 MiB.
	MaxBody, MaxAnswer int64
	// ImageTokens is what an image in a request is taken for, at most, where its bytes are fewer; 0 is 4,096.
	ImageTokens int64

	// Fit are the dialects of keys whose calls are made to fit what is left of their budgets: see gate.Call.
	Fit []string
	// Refusals write what is refused for the keys of other dialects, by their names (orgs.APIKey.Dialect): their clients
	// understand nothing else. What is refused without a key that is known is written as OpenAI or Anthropic do, as what is
	// refused for keys of the native dialect.
	Refusals map[string]Refusal
	// Costs are the dialects in whose answers the usage says what the call has cost, as usage.cost in USD with six places; the
	// streams of their keys tell their usage also where nobody has asked for it. It is OpenAI's calls that say so.
	Costs []string
	// ErrorDialect has everything that is refused written as this one of the Refusals does, or as "native" is, whatever
	// key a request has; "" goes by the key.
	ErrorDialect string
}

// Refusal writes why a request is refused, in the form of one dialect. The problem is what the native one would say. The
// denial is that of the gate, nil where it is not the gate that refuses: a body that does not fit, or an upstream that does not
// answer.
type Refusal = func(http.ResponseWriter, *http.Request, httpapi.Problem, *gate.Denied)

// Call is what the next handler is asked for.
type Call struct {
	Admission *gate.Admission
	Endpoint  string // below the prefix, such as chat/completions
	Stream    bool
}

type callKey struct{}

// From returns the call that a request was admitted as, nil for none.
func From(ctx context.Context) *Call {
	c, _ := ctx.Value(callKey{}).(*Call)
	return c
}

// Paths are those below the prefix that are served, as patterns of net/http have them.
func Paths() []string {
	return append(slices.Sorted(maps.Keys(endpoints)), "models", "models/{id...}")
}

type handler struct {
	gate *gate.Gate
	next http.Handler
	opt  Options
}

// New returns a handler that has calls admitted and passes them on to next. The request that next gets has a body, which is
// to be forwarded as it is, no credentials, and the [Call] in its context.
func New(g *gate.Gate, next http.Handler, o *Options) (http.Handler, error) {
	h := &handler{gate: g, next: next}
	if o != nil {
		h.opt = *o
	}
	if h.opt.Prefix == "" {
		h.opt.Prefix = "/v1"
	}
	if h.opt.Timeout == 0 {
		h.opt.Timeout = 10 * time.Minute
	}
	if h.opt.MaxBody == 0 {
		h.opt.MaxBody = 32 << 20
	}
	if h.opt.MaxAnswer == 0 {
		h.opt.MaxAnswer = 32 << 20
	}
	if h.opt.ImageTokens == 0 {
		h.opt.ImageTokens = 4096
	}
	if !strings.HasPrefix(h.opt.Prefix, "/") || strings.HasSuffix(h.opt.Prefix, "/") {
		return nil, errors.New("proxy: the prefix must begin with a slash and end without one")
	}
	if h.opt.Timeout < 0 || h.opt.MaxBody < 0 || h.opt.MaxAnswer < 0 || h.opt.ImageTokens < 0 || h.opt.MaxWait < 0 {
		return nil, errors.New("proxy: an option is negative")
	}
	if d := h.opt.ErrorDialect; d != "" && d != native && h.opt.Refusals[d] == nil {
		return nil, errors.New("proxy: the error dialect is none of the refusals")
	}
	return h, nil
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx := httpapi.Identified(w, r)
	name, below := strings.CutPrefix(r.URL.Path, h.opt.Prefix+"/")
	e := endpoints[name]
	model, one := strings.CutPrefix(name, "models/")
	if !one {
		model = ""
	}
	if below && e != nil && r.Method == http.MethodPost {
		h.serve(ctx, w, r, name, e)
		return
	}
	r = r.WithContext(ctx)
	switch {
	case !below:
		h.refuse(w, r, nil, errNotServed)
	case name == "models", model != "":
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			h.refuse(w, r, nil, errMethod)
			return
		}
		h.models(w, r, model)
	case e == nil:
		h.refuse(w, r, nil, errNotServed)
	default:
		w.Header().Set("Allow", http.MethodPost)
		h.refuse(w, r, e, errMethod)
	}
}

// serve has a call admitted, passes it on and settles it. The request is copied once, with all that its context is to have: that
// of the call is beside it until then.
func (h *handler) serve(ctx context.Context, w http.ResponseWriter, r *http.Request, name string, e *endpoint) {
	q, err := h.read(e, w, r)
	if err != nil {
		h.refuse(w, r.WithContext(ctx), e, err)
		return
	}
	h.calling(ctx, &q.call, r)
	q.call.Tags, q.call.MaxWait, q.call.Fit, q.call.ApprovalReason = tags(valueOf(r.Header, "X-Tags")), h.opt.MaxWait, h.opt.Fit, valueOf(r.Header, "X-Approval-Reason")
	adm, err := h.gate.Admit(ctx, q.call)
	if err != nil {
		h.refuse(w, r.WithContext(ctx), e, err)
		return
	}
	m := &meter{h: h, to: w, ctx: ctx, r: r, e: e, adm: adm, call: Call{adm, name, q.stream}, began: time.Now(), costs: e.costs && slices.Contains(h.opt.Costs, adm.Caller.Key.Dialect),
		about: q.about, input: q.call.InputTokens, answers: q.call.Answers}
	defer func() { // whatever becomes of the next handler
		p, sent := recover(), m.mode != whole
		m.finish()
		if p != nil && (sent || p != http.ErrAbortHandler) { // else the client has a whole answer
			panic(p)
		}
	}()
	// A call of which all is known in the end goes on without its client.
	var cancel context.CancelFunc
	if q.stream {
		ctx, cancel = context.WithCancel(ctx)
		m.watch = time.AfterFunc(h.opt.Timeout, cancel)
	} else {
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), h.opt.Timeout)
	}
	defer cancel()
	passed, asked := q.forward(context.WithValue(ctx, callKey{}, &m.call), r, adm, &m.room)
	m.asked = asked
	h.next.ServeHTTP(m, passed)
	m.ended = true
}

// keyHeaders are where clients of the vendors, and of gateways to them, send a credential.
var keyHeaders = []string{"X-Api-Key", "Authorization", "X-Litellm-Api-Key", "Api-Key", "X-Goog-Api-Key", "Ocp-Apim-Subscription-Key"}

// secret is the credential of the client. Where there are several, the first that is a key which is good is meant: what some
// other system has put beside it hides none.
func (h *handler) secret(r *http.Request) string {
	first, more := "", false
	for _, name := range keyHeaders {
		s := credential(r, name)
		more = more || s != "" && first != "" && s != first
		if first == "" {
			first = s
		}
	}
	if !more {
		return first
	}
	for _, name := range keyHeaders {
		if s := credential(r, name); s != "" {
			if _, err := h.gate.Key(r.Context(), s); err == nil {
				return s
			}
		}
	}
	return first
}

// credential is what a header of a canonical name has, with or without the word before it; in Authorization it has to be there.
func credential(r *http.Request, header string) string {
	value := strings.TrimSpace(valueOf(r.Header, header))
	if scheme, rest, two := strings.Cut(value, " "); two && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(rest)
	}
	if header == "Authorization" {
		return ""
	}
	return value
}

// valueOf is the first value of a header, as http.Header.Get has it of a name that is canonical already.
func valueOf(h http.Header, name string) string {
	if values := h[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// tags reads the header X-Tags: project=alpha, environment=prod.
func tags(header string) map[string]string {
	if header == "" {
		return nil
	}
	tags := map[string]string{}
	for part := range strings.SplitSeq(header, ",") {
		if name, value, is := strings.Cut(part, "="); is {
			tags[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	return tags
}

// calling says who makes a call, and from where.
func (h *handler) calling(ctx context.Context, c *gate.Call, r *http.Request) {
	c.Secret, c.IP, c.RequestID = h.secret(r), httpapi.ClientIP(r, h.opt.TrustedProxies), httpapi.RequestID(ctx)
	c.Origin, c.Referrer, c.UserAgent = valueOf(r.Header, "Origin"), valueOf(r.Header, "Referer"), valueOf(r.Header, "User-Agent")
}
