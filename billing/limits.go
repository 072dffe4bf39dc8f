package billing

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// stripe is a lock that meters and slots share. Those of one tree of organizations have the same, so that a call takes one.
type stripe struct {
	mu    sync.Mutex
	place int
}

// Ask is what a call wants of the limits on its path.
type Ask struct {
	Tokens   int64         // upper bound; negative is none
	Input    int64         // those of the input among them, likewise
	MaxWait  time.Duration // for a slot; 0 does not wait
	Priority int           // who waits with more is served first
	// At is the time by [Limiter.Elapsed], from who has just read it for something else; 0 reads it.
	At time.Duration
}

// Limits are the limits on one path, looked up once for many calls: see [Limiter.Limits]. What becomes of each of them they
// see as soon as anybody looks it up again; of one that is new, or gone, they do not know. Their methods are safe for
// concurrent use.
type Limits struct {
	l        *Limiter
	placed   []placed
	stripes  []*stripe // in the order in which they are locked
	requests []*meter
	tokens   []*meter
	slots    []*slots
	shared   bool // all paths with these limits have it, as long as its counters are there
}

// placed is a limit with what it needs to know of its organization.
type placed struct {
	RateLimit
	zone *time.Location
	root string // of the tree of organizations
}

// Limits looks up the limits on a path. With dedicated capacity a call takes no slot that an organization shares among
// its calls.
//
// Others are limits that are no records of their own, such as those of a role that the person holds: each counts for the one
// person or key that it names, whatever organization that calls in. Their days are those of UTC.
func (l *Limiter) Limits(ctx context.Context, tx *store.Tx, p Path, dedicated bool, others ...RateLimit) (*Limits, error) {
	chain, err := rbac.Lineage(ctx, tx, p.OrgID)
	if errors.Is(err, store.ErrNotFound) { // limits of their own, without organizations
		chain, err = []rbac.Scope{{Meta: store.Meta{ID: p.OrgID}}}, nil
	}
	if err != nil {
		return nil, err
	}
	orgs, zones, root := []string{}, map[string]*time.Location{"": time.UTC}, chain[len(chain)-1].ID
	for _, s := range chain {
		orgs = append(orgs, s.ID)
		if zones[s.ID], err = time.LoadLocation(s.Zone); err != nil {
			return nil, err
		}
	}
	q := store.Query{Where: []store.Cond{store.In("org_id", append(orgs[:len(orgs):len(orgs)], "")),
		store.In("scope_id", append(orgs[:len(orgs):len(orgs)], p.TeamID, p.ProjectID, p.UserID, p.KeyID))}}
	var path []placed
	for r, err := range rateLimits.All(ctx, tx, q) {
		if err != nil {
			return nil, err
		}
		if !r.covers(p, orgs, l.opt.Resolve) {
			continue
		}
		if dedicated && r.Scope == ScopeOrg {
			r.MaxParallelRequests = nil
		}
		at := placed{r, zones[r.OrgID], root}
		if r.OrgID == "" {
			at.root = r.ScopeID
		}
		path = append(path, at)
	}
	for _, r := range others {
		meta := r.Meta
		r.normal()
		meta.ID = r.ID
		r.Meta = meta
		path = append(path, placed{r, time.UTC, r.ScopeID})
	}
	if !tx.Clean() { // what is not committed is nobody's limit
		return l.gather(path), nil
	}
	limits := l.compile(path)
	limits.refresh()
	return limits, nil
}

// compile is gather for limits that are committed. Paths with the same ones, as those of the keys of one team are, share
// what is found.
func (l *Limiter) compile(path []placed) *Limits {
	key := pathKey(path)
	l.mu.Lock()
	defer l.mu.Unlock()
	if same := l.compiled[key]; same != nil && !same.dropped() {
		return same
	}
	p := l.gatherLocked(path)
	p.shared = true
	if len(l.compiled) >= l.grownTo {
		clear(l.compiled) // who has some of them keeps them
	}
	l.compiled[key] = p
	return p
}

// pathKey says all of what these limits are, and how they are placed: one that was deleted and made again has its id, and
// maybe its version.
func pathKey(path []placed) string {
	var b strings.Builder
	for i := range path {
		r := &path[i]
		text, _ := json.Marshal(r.RateLimit)
		fmt.Fprintf(&b, "%s %s %s\n", text, r.root, r.zone)
	}
	return b.String()
}

// gather finds the counters of limits.
func (l *Limiter) gather(path []placed) *Limits {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.gatherLocked(path)
}

func (l *Limiter) gatherLocked(path []placed) *Limits {
	p := &Limits{l: l, placed: path}
	for i := range path {
		r := &path[i]
		for by := range measures {
			if limit := measures[by].limit(&r.RateLimit); limit != nil {
				m := l.meter(r, by)
				if measures[by].of != requests {
					p.tokens = append(p.tokens, m)
				} else {
					p.requests = append(p.requests, m)
				}
				p.stripes = append(p.stripes, m.stripe)
			}
		}
		if r.MaxParallelRequests != nil {
			s := l.slotsOf(r)
			p.slots, p.stripes = append(p.slots, s), append(p.stripes, s.stripe)
		}
	}
	slices.SortFunc(p.stripes, func(a, b *stripe) int { return cmp.Compare(a.place, b.place) })
	p.stripes = slices.Compact(p.stripes)
	return p
}

// refresh tells the counters what the records say.
func (p *Limits) refresh() {
	p.lock()
	defer p.unlock()
	for i := range p.placed {
		r := &p.placed[i]
		for _, list := range [][]*meter{p.requests, p.tokens} {
			for _, m := range list {
				if m.of.ID == r.ID && !r.olderThan(m.of) {
					m.of = &r.RateLimit
					m.set(p.l, *measures[m.by].limit(&r.RateLimit), r.zone)
				}
			}
		}
		for _, s := range p.slots {
			if s.of.ID == r.ID && !r.olderThan(s.of) {
				s.of = &r.RateLimit
				s.set(p.l, *r.MaxParallelRequests)
			}
		}
	}
}

func (p *Limits) lock() {
	for _, s := range p.stripes {
		s.mu.Lock()
	}
}

func (p *Limits) unlock() {
	for _, s := range p.stripes {
		s.mu.Unlock()
	}
}

// Permit is what a call that was admitted has of its limits. It is ended once, by Settle, Release or Cancel; what comes after
// that does nothing. Its methods are safe for concurrent use; it is not copied once one of them was called.
type Permit struct {
	limits *Limits
	at     time.Duration
	tokens int64
	input  int64
	ended  bool // guarded by the stripes
}

func (p *Limits) permit(at time.Duration, ask Ask) Permit {
	return Permit{limits: p, at: at, tokens: ask.Tokens, input: ask.Input}
}

// tokens is what the meter counts of so many.
func (m *meter) tokens(all, input int64) int64 {
	if measures[m.by].of == inputTokens {
		return input
	}
	return all
}

// Take takes one request, the tokens and a slot of every limit, or of none. A limit that has not so much left is a
// *[Limited]; with a slot as the only thing that is missing, the call waits for one in the queue of its slots, at most
// Ask.MaxWait. Any other error is one of the database, where a limit would have to be claimed and does not fail open, or of ctx.
func (p *Limits) Take(ctx context.Context, ask Ask) (Permit, error) {
	ask.Tokens, ask.Input = max(0, ask.Tokens), max(0, ask.Input)
	if at, ok := p.try(ask); ok {
		return p.permit(at, ask), nil
	}
	return p.slow(ctx, ask)
}

// try takes everything or nothing, for who has not waited.
func (p *Limits) try(ask Ask) (at time.Duration, ok bool) {
	if len(p.stripes) == 0 {
		return 0, true
	}
	if at = ask.At; at == 0 {
		at = p.l.clock.elapsed()
	}
	p.lock()
	ok = p.tryLocked(at, ask, nil)
	p.unlock()
	return at, ok
}

// tryLocked takes everything or nothing, for who has waited for some slots or for who has not.
func (p *Limits) tryLocked(at time.Duration, ask Ask, waited *slots) bool {
	for _, m := range p.requests {
		if at >= m.ends {
			m.window(p.l, at)
		}
		if m.used+1 > m.share || m.dead {
			return false
		}
	}
	for _, m := range p.tokens {
		if at >= m.ends {
			m.window(p.l, at)
		}
		if n := m.tokens(ask.Tokens, ask.Input); m.used+n > m.share && n > 0 || m.dead {
			return false
		}
	}
	for _, s := range p.slots {
		if s.dead || !s.free(waited) {
			return false
		}
	}
	p.take(ask)
	return true
}

// take takes it all, whatever there is.
func (p *Limits) take(ask Ask) {
	for _, m := range p.requests {
		m.take(p.l, 1)
	}
	for _, m := range p.tokens {
		m.take(p.l, m.tokens(ask.Tokens, ask.Input))
	}
	for _, s := range p.slots {
		s.take()
	}
}

// Limits are those that it was taken of. They are not those that were asked where counters had been dropped since those
// were looked up, because nobody had used them for long: who keeps limits keeps these.
func (h *Permit) Limits() *Limits { return h.limits }

// Tokens are the upper bound that was taken, and that of the input among them.
func (h *Permit) Tokens() (all, input int64) { return h.tokens, h.input }

// Settle replaces the upper bound of tokens by what was used, in the windows in which it was taken, and frees the slot.
// More than was taken counts as well, and is missing for those who come after.
func (h *Permit) Settle(tokens int64) { h.SettleInput(tokens, min(tokens, h.input)) }

// SettleInput is Settle by who knows how much of it was input.
func (h *Permit) SettleInput(tokens, input int64) { h.end(max(0, tokens), max(0, input), false) }

// Release is Settle without tokens: the request was made, and counts.
func (h *Permit) Release() { h.end(0, 0, false) }

// Cancel gives everything back: the request was not made.
func (h *Permit) Cancel() { h.end(0, 0, true) }

func (h *Permit) end(tokens, input int64, undo bool) {
	p := h.limits
	if p == nil || len(p.stripes) == 0 {
		return
	}
	p.lock()
	if h.ended {
		p.unlock()
		return
	}
	h.ended = true
	for _, m := range p.tokens {
		if m.since <= h.at { // else the window in which it was taken is over
			m.used += m.tokens(tokens, input) - m.tokens(h.tokens, h.input)
		}
	}
	if undo {
		for _, m := range p.requests {
			if m.since <= h.at {
				m.used--
			}
		}
	}
	waited := 0
	for _, s := range p.slots {
		s.running--
		waited += s.waiting
	}
	p.unlock()
	if waited > 0 {
		for _, s := range p.slots {
			p.l.serve(s)
		}
	}
}
