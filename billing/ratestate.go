package billing

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// ErrLimited: a rate limit has nothing left. The detail is a *[Limited].
var ErrLimited = errors.New("rate limit exceeded")

// Rate is where one measure of a limit stands.
type Rate struct {
	LimitID   string
	Scope     ScopeKind
	ScopeID   string
	Model     string // glob
	Measure   Measure
	Limit     int64
	Remaining int64         // never negative
	Window    time.Duration // of minutes and hours as they are, of a day 24 hours; 0 of what runs at once
	ResetAt   time.Time     // when the window ends; zero of what runs at once
	Reset     time.Duration // until then
	Waiting   int           // calls of this process that wait for a slot
}

// Limited names the limit that refused a call.
type Limited struct {
	Rate
	// RetryAfter is when a call like this may pass: when the last of the windows ends that have not so much left. Of slots nobody
	// can know; it is a second.
	RetryAfter time.Duration
}

// Parallel says whether it was a slot that was missing.
func (e *Limited) Parallel() bool { return e.Measure == ParallelRequests }

func (e *Limited) Error() string {
	if e.Parallel() {
		return fmt.Sprintf("%d calls of the %s run already, which is the limit", e.Limit, e.Scope)
	}
	return fmt.Sprintf("the %s limit %s has %d of %d left until %s", e.Scope, e.Measure, e.Remaining, e.Limit, e.ResetAt.Format(time.RFC3339))
}

// Unwrap makes every Limited an [ErrLimited].
func (e *Limited) Unwrap() error { return ErrLimited }

// rate is where the meter stands, as far as this process knows.
func (m *meter) rate(at time.Duration) Rate {
	length := map[string]time.Duration{"m": time.Minute, "h": time.Hour}[measures[m.by].window.unit]
	if length == 0 {
		length = 24 * time.Hour
	}
	return Rate{LimitID: m.of.ID, Scope: m.of.Scope, ScopeID: m.of.ScopeID, Model: m.of.Model, Measure: measures[m.by].name, Limit: m.limit,
		Remaining: max(0, m.limit-m.others()-m.used), Window: length, ResetAt: m.end, Reset: max(0, m.ends-at)}
}

func (m *meter) refusal(at time.Duration) *Limited {
	r := m.rate(at)
	return &Limited{r, r.Reset}
}

func (s *slots) rate() Rate {
	return Rate{LimitID: s.of.ID, Scope: s.of.Scope, ScopeID: s.of.ScopeID, Model: s.of.Model, Measure: ParallelRequests, Limit: s.limit,
		Remaining: max(0, s.limit-s.others()-s.running), Waiting: s.waiting}
}

// refusal is what a call hears that finds no slot; the stripe is locked.
func (s *slots) refusal() *Limited { return &Limited{s.rate(), time.Second} }

// refused is refusal, of slots that are not locked.
func (s *slots) refused() *Limited {
	s.stripe.mu.Lock()
	defer s.stripe.mu.Unlock()
	return s.refusal()
}

// Nearest is the window on the path of which the least part is left, for the headers of an answer. ok says whether there
// is any.
func (p *Limits) Nearest() (nearest Rate, ok bool) {
	at := p.l.clock.elapsed()
	p.lock()
	defer p.unlock()
	for _, list := range [][]*meter{p.requests, p.tokens} {
		for _, m := range list {
			if at >= m.ends {
				m.window(p.l, at)
			}
			r := m.rate(at)
			if !ok || float64(r.Remaining)*float64(nearest.Limit) < float64(nearest.Remaining)*float64(r.Limit) {
				nearest, ok = r, true
			}
		}
	}
	return nearest, ok
}

// Least is the lowest limit of a measure on the path, nil where nothing limits it. That of slots is not asked for here.
func (p *Limits) Least(of Measure) (least *int64) {
	p.lock()
	defer p.unlock()
	for _, list := range [][]*meter{p.requests, p.tokens} {
		for _, m := range list {
			if measures[m.by].name == of && (least == nil || m.limit < *least) {
				limit := m.limit
				least = &limit
			}
		}
	}
	return least
}

// RateLimitState is a limit and where each of its measures stands.
type RateLimitState struct {
	RateLimit
	Rates []Rate
}

// states says where limits stand: by what is claimed in the database, and what this process has used of its claims. What other
// processes have claimed counts as used.
func (l *Limiter) states(ctx context.Context, tx *store.Tx, orgID string, limits []RateLimit) ([]RateLimitState, error) {
	zone := time.UTC
	scope, err := rbac.Scopes.Get(ctx, tx, orgID)
	if err == nil {
		zone, err = time.LoadLocation(scope.Zone)
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	states := make([]RateLimitState, len(limits))
	for i := range limits {
		states[i].RateLimit = limits[i]
		if states[i].Rates, err = l.ratesOf(ctx, tx, &limits[i], zone); err != nil {
			return nil, err
		}
	}
	return states, nil
}

func (l *Limiter) ratesOf(ctx context.Context, tx *store.Tx, r *RateLimit, zone *time.Location) (rates []Rate, err error) {
	at := l.clock.elapsed()
	for by := range measures {
		limit := measures[by].limit(r)
		if limit == nil {
			continue
		}
		// What the process has in memory, without a change of it: the record may not be committed.
		m := meter{of: r, by: by, limit: *limit, id: meterID(r, by)}
		m.span = l.clock.after(span{}, measures[by].window, zone, at)
		l.mu.Lock()
		if live := l.meters[m.id]; live != nil {
			live.stripe.mu.Lock()
			if at < live.ends {
				m.span, m.used, m.booked, m.total = live.span, live.used, live.booked, live.total
			}
			live.stripe.mu.Unlock()
		}
		l.mu.Unlock()
		rows, err := windows.Scan(ctx, tx, store.Range{Equal: []any{m.end, m.id}, Limit: 1})
		if err != nil {
			return nil, err
		}
		if len(rows) > 0 {
			m.total = max(m.booked, rows[0].Claimed)
		}
		rates = append(rates, m.rate(at))
	}
	if r.MaxParallelRequests == nil {
		return rates, nil
	}
	s := slots{of: r, limit: *r.MaxParallelRequests}
	l.mu.Lock()
	if live := l.allOf[r.ID]; live != nil {
		live.stripe.mu.Lock()
		s.running, s.booked, s.total, s.waiting = live.running, live.booked, live.total, live.waiting
		live.stripe.mu.Unlock()
	}
	l.mu.Unlock()
	rows, err := slotRows.Scan(ctx, tx, store.Range{Equal: []any{r.ID, ""}, Limit: 1})
	if len(rows) > 0 {
		s.total = max(s.booked, rows[0].Claimed)
	}
	return append(rates, s.rate()), err
}
