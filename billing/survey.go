package billing

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// open finds out which budgets lie on the path of a purse now and makes a fund of their tills, which is empty.
func (e *engine) open(ctx context.Context, p *Purse) (*fund, error) {
	p.opening.Lock()
	defer p.opening.Unlock()
	for {
		if f := p.fund.Load(); f != nil { // somebody was faster
			return f, nil
		}
		e.mu.Lock()
		if e.closed {
			e.mu.Unlock()
			return nil, store.ErrClosed
		}
		before := e.changes
		e.begin() // it hears of changes from now on
		e.mu.Unlock()
		f := &fund{purse: p, engine: e}
		var tills []till
		var missing []Budget
		err := e.store.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
			tills, missing, err = e.survey(ctx, tx, f)
			return err
		})
		if err == nil && len(missing) > 0 {
			err = e.store.Update(ctx, func(ctx context.Context, tx *store.Tx) error { return e.ledger.settleIn(ctx, tx, p.path) })
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		if len(missing) == 0 && e.install(f, tills, before) {
			return f, nil
		}
	}
}

// survey reads the path of the fund.
func (e *engine) survey(ctx context.Context, tx *store.Tx, f *fund) (tills []till, missing []Budget, err error) {
	path, missing, orgs, err := f.purse.path.resolve(ctx, tx)
	if err != nil || len(missing) > 0 {
		return nil, missing, err
	}
	f.ground = &ground{orgs: append(orgs, usersMark)}
	if f.ground.marks, err = marksOf(ctx, tx, f.ground.orgs); err != nil {
		return nil, nil, err
	}
	tills = make([]till, len(path))
	for i, b := range path {
		t := &tills[i]
		t.budget, t.hard = b, b.Hard
		if t.start, t.end, err = b.running(ctx, tx); err != nil {
			return nil, nil, err
		}
		t.account = accountID(b, t.start)
		f.hard = f.hard || b.Hard
		if !t.end.IsZero() && (t.end.Before(f.end) || f.end.IsZero()) {
			f.end = t.end
		}
	}
	least, err := CeilPico(minimum(path))
	if err != nil || least > MaxHold {
		least = MaxHold
	}
	f.leastUnpriced = least
	return tills, nil, f.endWithRaises(ctx, tx, tills)
}

// install makes the fund that of its purse, unless something was heard meanwhile.
func (e *engine) install(f *fund, tills []till, before int64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.changes != before || e.closed {
		return false
	}
	for i := range tills {
		t := e.tills[tills[i].key()]
		if t == nil {
			t = &tills[i]
			e.journal.till(t)
		}
		t.budget, t.end = tills[i].budget, tills[i].end
		f.tills = append(f.tills, t)
		if f.rejects == nil && t.budget.rejectsUnknown() {
			f.rejects = t
		}
		if f.stopped == nil && t.budget.Stopped(e.store.Now()) {
			f.stopped = t
		}
	}
	f.seats = make([]int, len(f.tills))
	e.journal.cell(f)
	e.on(f)
	e.lasts(f)
	e.enliven(f)
	f.purse.fund.Store(f)
	return true
}

// hear closes the funds of which a change is told.
func (e *engine) hear(n store.Notice) {
	id, ok := readMarkWord(n.Word)
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case n.Gap:
		e.checked = time.Time{} // whatever was missed is found by comparing
	case ok:
		e.changes++
		e.closeThose(func(f *fund) bool { return slices.Contains(f.ground.orgs, id) })
	}
}

func (e *engine) closeThose(which func(*fund) bool) {
	for f := range e.opened {
		if which(f) {
			e.closeFund(f)
		}
	}
}

// closeFund closes a fund. The next look sees whether it can go: a call for nothing may have taken one that sleeps a
// moment ago, and has cost something.
func (e *engine) closeFund(f *fund) {
	e.enliven(f)
	f.close()
	f.put(f.drain())
	for _, t := range f.tills {
		t.refusal = refusal{} // a raise wakes those who were refused (billing edge 37)
	}
}

// check compares what funds stand on with what is in the database: what was not heard of is found.
func (e *engine) check(ctx context.Context) error {
	e.mu.Lock()
	grounds := slices.Collect(maps.Values(e.grounds))
	e.mu.Unlock()
	if len(grounds) == 0 {
		return nil
	}
	var ids []string
	for _, g := range grounds {
		ids = append(ids, g.orgs...)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	var marks map[string]int64
	above := map[string]string{}
	err := e.store.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		if marks, err = marksOf(ctx, tx, ids); err != nil {
			return err
		}
		for s, err := range rbac.Scopes.All(ctx, tx, store.Query{Where: []store.Cond{store.In("id", ids)}}) {
			if err != nil {
				return err
			}
			above[s.ID] = s.ParentID
		}
		return nil
	})
	if err != nil {
		return err
	}
	stale := map[*ground]bool{}
	for _, g := range grounds {
		if !g.stands(marks, above) {
			stale[g] = true
		}
	}
	if len(stale) == 0 {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.changes++
	e.closeThose(func(f *fund) bool { return stale[f.ground] })
	return nil
}

// stands says whether the ground has the marks that there are now, and its organizations stand one above the other yet. Two
// of the same organization may have other marks: one may be older.
func (g *ground) stands(marks map[string]int64, above map[string]string) bool {
	for i, id := range g.orgs {
		if marks[id] != g.marks[id] {
			return false
		}
		next := ""
		if i+1 < len(g.orgs)-1 { // the last one is no organization
			next = g.orgs[i+1]
		}
		if is, known := above[id]; known && is != next {
			return false
		}
	}
	return true
}
