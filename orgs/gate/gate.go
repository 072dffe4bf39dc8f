// Package gate stands in front of AI requests.
//
// [Gate.Admit] answers, before a request goes upstream, who it is, whether they may use this model
// now, and whether there is money left; it holds what the request may cost at most.
// [Admission.Settle] afterwards charges what it did cost:
//
//	adm, err := g.Admit(ctx, gate.Call{Secret: bearer, Model: "gpt-4-turbo-preview", InputTokens: 900, MaxOutputTokens: 400, IP: addr})
//	if err != nil {
//		return err // *gate.Denied says what would make it pass
//	}
//	defer adm.Release(ctx) // does nothing after Settle
//	...
//	return adm.Settle(ctx, billing.Usage{InputTokens: 900, OutputTokens: 212})
//
// # Order
//
// The key; the state of organization, team and person; the clients of the key; the model; tags that
// organization and team require; the models and features of the key; the decision with its policies, features, approvals and cost limits; rate limits
// and slots; money. The first refusal wins, and nothing of a refused call is charged, or counted as a request.
//
// A call for which no slot is free may wait for one ([Call.MaxWait]), the teams with a priority queue before
// others; see billing.Limiter. What was decided before it waited counts.
//
// # What is logged
//
// How a call of a known key ended is told to the audit log, by the id of its decision, as far as the organization wants
// it there (audit.Decisions); that a key was tried which may not be used, always. It is written in the background and
// no call waits for it. A call that is malformed, or names a model that is not served, is refused before anything is
// decided and leaves nothing.
//
// # Memory and freshness
//
// A call of a key that was used before is answered from memory, without an allocation where the [Admission] stays in the
// function that asked for it, and in a fraction of a microsecond and the time of one SHA-256; who keeps the [Key] saves that
// too. Only refusals cost more, and calls that depend on a cost limit.
//
// In this process an admission rests on every change that has returned: a key that was revoked, a role that was taken or a
// limit that was lowered counts for the very next call. Changes by other processes on the same database count as soon as
// they are told of, or found by comparing: see rbac.MemoryOptions, which also says for how long calls are admitted while
// the database cannot be reached. After each change of an organization its keys are read again when they are used next, and
// each key once a minute anyway. Budgets are never overspent, however late a process hears of anything: see billing.
//
// # OpenTelemetry
//
// Where store.Options.Telemetry says so each admission is a span orgkit.gate.admit within that of the context, and counts in
// the histogram orgkit.gate.admit.duration (seconds), by orgkit.code: admitted, or the code of the [Denied]. The span names the
// model, the decision, the organization, team and key by their ids, and never a secret.
//
// # In front of a proxy
//
// Package orgs/gate/proxy does all of this for an HTTP handler that forwards requests to an AI vendor: it reads what is asked
// for, has it admitted, and settles what the answer has used, streams included. Its example is the whole of it.
package gate

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// Gate admits calls. It is safe for concurrent use. One is enough, and what it knows dies with it.
type Gate struct {
	m    *orgs.Manager
	keys keys
	ways map[string]*way

	useKey, use rbac.Action

	work *store.Work // admissions, as OpenTelemetry hears of them; nil: it does not
}

const useModels = "models.use"

// New returns a gate over the manager's organizations and model catalogue.
func New(m *orgs.Manager) *Gate {
	return &Gate{m: m, ways: waysOf(m.Catalogue()), useKey: m.Action("api_keys.use"), use: m.Action(useModels),
		work: m.Store().Telemetry().Work("orgkit.gate.admit", "How long it took to admit or refuse a call")}
}

// Call is an AI request before it is made.
type Call struct {
	Secret   string   // the API key
	Key      *Key     // instead of a secret, where it was looked up before
	Action   string   // "" is models.use
	Model    string   // id or alias, as the client named it
	Features []string // what the request makes use of: vision, function_calling, web_search, ...
	Objects  []string // what it uses beside a model, such as vector_store:vs_1 or tool:weather; see orgs.ObjectSettings
	Tags     map[string]string

	// The upper bound of the cost, in USD: MaxCost when it is given, else by the catalogue's price
	// from the tokens; see billing.Catalogue.EstimateUpperBound. MaxOutputTokens of 0 is the model's own
	// maximum. Without any price the cost is unknown, which hard budgets and cost limits refuse.
	MaxCost         *decimal.Decimal
	InputTokens     int64
	MaxOutputTokens int64 // of one answer; NoOutput where there is none, as of embeddings
	Answers         int64 // how many are asked for, each of them as long as that; 0 is one
	Images          int64

	// Fit are the dialects of keys (orgs.APIKey.Dialect) whose calls are made to fit what is left of their budgets, where the upper
	// bound of their cost is more: their answers may be as long as that pays for, and Admission.MaxOutputTokens says how long.
	// Calls of other keys are refused then, as is a call of which nothing but the input is more than what is left.
	Fit []string

	MaxWait  time.Duration // for a slot where too many calls run; 0 does not wait
	Priority *int          // among those that wait, higher first; nil is that of the team or the person, whichever is higher

	IP             netip.Addr
	Origin         string    // the headers of these names, for keys that are for some clients only
	Referrer       string    // Referer
	UserAgent      string    //
	Now            time.Time // zero is now; keys, rate limits and budgets go by the clock of the store
	ApprovalReason string    // for the request that an unapproved call opens
	RequestID      string
}

// NoOutput is the MaxOutputTokens of a call that is answered without any.
const NoOutput = -1

// Admit decides on a call. A refusal is a *[Denied]; any other error is one of the store, or of ctx, and the call
// must not be made. It must not be called inside a unit of the store.
func (g *Gate) Admit(ctx context.Context, c Call) (*Admission, error) {
	return g.admit(ctx, &c, new(Admission)) // short enough for the compiler to put the admission into the frame of the caller
}

func (g *Gate) admit(ctx context.Context, c *Call, a *Admission) (*Admission, error) {
	if g.work != nil {
		return g.admitTold(ctx, c, a)
	}
	return g.answer(ctx, c, a)
}

func (g *Gate) answer(ctx context.Context, c *Call, a *Admission) (*Admission, error) {
	if err := ctx.Err(); err != nil { // nobody waits for the answer
		return nil, err
	}
	at, elapsed := g.m.Store().Clock()
	n, err := g.known(ctx, c, at)
	if err == nil {
		err = n.admits(c)
	}
	if err != nil {
		return nil, g.unasked(n, c, err)
	}
	if c.Now.IsZero() {
		c.Now = at
	}
	if c.Action == "" {
		c.Action = useModels
	}
	ln, err := n.lane(g, c.Model)
	if err == nil {
		err = n.refuses(ln.model.ID)
	}
	if err == nil {
		err = n.tagged(c)
	}
	if err == nil {
		if err := g.restricts(n, ln, c); err != nil {
			return nil, err
		}
		err = g.estimate(&a.estimate, ln.place, c)
	}
	if err != nil {
		return nil, g.unasked(n, c, err)
	}
	id := ""
	if ok, err := g.permits(ctx, n, ln, c); !ok {
		if id, err = g.reasons(ctx, n, ln, &a.estimate, c, err); err != nil {
			return nil, err
		}
	}
	limits, err := ln.ready(ctx, g, n)
	if err != nil {
		return nil, err
	}
	a.gate, a.known, a.lane = g, n, ln
	if err = a.take(ctx, at, elapsed, limits, c); err != nil {
		err = a.fit(ctx, at, elapsed, limits, c, err)
	}
	if err != nil {
		return nil, g.exhausted(n, ln, limits, id, c, err)
	}
	if l := a.rates.Limits(); l != limits {
		ln.limits.CompareAndSwap(limits, l)
	}
	a.Model, a.Caller, a.Providers, a.Pool = ln.model, n.caller, n.rules.providers, n.rules.pool
	a.MaxOutputTokens = a.estimate.Usage.OutputTokens / max(c.Answers, 1)
	a.now, a.ip, a.requestID, a.action, a.features, a.tags = c.Now, c.IP, c.RequestID, c.Action, c.Features, c.Tags
	if id != "" {
		a.id = id
		a.named.Store(named)
	}
	if g.m.Audit().WantsAllowed(n.org.Value()) {
		g.tell(n, ln, c, a.DecisionID())
	}
	n.note(ctx, g.m, c)
	return a, nil
}

// estimate is the upper bound of the call, by the price of the moment in which it is made.
func (g *Gate) estimate(e *billing.Estimate, place int, c *Call) error {
	most := &e.Usage
	most.InputTokens, most.OutputTokens, most.Images, most.Cost = c.InputTokens, c.MaxOutputTokens, c.Images, c.MaxCost
	if c.MaxOutputTokens == NoOutput {
		most.OutputTokens = 1 // 0 is as many as there can be
	}
	err := g.m.Catalogue().Bound(e, place, c.Now)
	switch {
	case err != nil:
	case c.Answers < 0 || c.Answers > MaxAnswers:
		err = store.Invalid("answers", "range", "must be from 0 to %d", MaxAnswers)
	case c.MaxOutputTokens == NoOutput:
		most.OutputTokens = 0
	case c.Answers > 1:
		most.OutputTokens *= c.Answers
		err = most.Validate()
	}
	if err != nil {
		return invalid(err)
	}
	return nil
}

// MaxObjects is how many of them one call may use.
const MaxObjects = 1024

// MaxAnswers is the most that one call may ask for.
const MaxAnswers = 128

// tagged tests the tags of a call, without making them: that costs nothing where none are sent.
func (n *known) tagged(c *Call) error {
	if len(c.Objects) > MaxObjects {
		return &Denied{Code: "invalid_request", Message: fmt.Sprintf("at most %d tools, vector stores and the like", MaxObjects)}
	}
	if len(c.Tags) > orgs.MaxCallTags {
		return &Denied{Code: "invalid_request", Message: fmt.Sprintf("at most %d tags", orgs.MaxCallTags)}
	}
	for k, v := range c.Tags {
		if k == "" || len(k) > orgs.MaxTagName || len(v) > orgs.MaxTagValue {
			return &Denied{Code: "invalid_request", Message: fmt.Sprintf("tag names have 1 to %d characters, values at most %d", orgs.MaxTagName, orgs.MaxTagValue)}
		}
	}
	if missing := n.missing(c.Tags); missing != nil {
		return &Denied{Code: "missing_tags", Message: "these tags are required: " + strings.Join(missing, ", "), Missing: missing}
	}
	return nil
}

// missing are the tags that the organization requires (F228 to F231), and the team (F089), and a call has not got that sent
// those tags: neither by itself nor by its key.
func (n *known) missing(sent map[string]string) (list []string) {
	for _, tag := range n.rules.required {
		has := ""
		switch tag {
		case "team":
			if n.caller.Team != nil {
				has = n.caller.Team.Slug
			}
		case "project":
			has = n.project(sent)
		default:
			if value, is := sent[tag]; is {
				has = value
			} else {
				has = n.caller.Key.DefaultTags[tag]
			}
		}
		if has == "" {
			list = append(list, tag)
		}
	}
	return list
}

// project is the tag of that name which a call has that sent those tags: that of the key's project, always (F334).
func (n *known) project(sent map[string]string) string {
	if n.caller.Project != nil {
		return n.caller.Project.Slug
	}
	if tag, is := sent["project"]; is {
		return tag
	}
	return n.caller.Key.DefaultTags["project"]
}
