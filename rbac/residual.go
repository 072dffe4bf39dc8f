package rbac

import (
	"encoding/binary"
	"slices"
	"sync/atomic"
)

// question is what a ruleset is asked, the action looked up.
type question struct {
	action   Action
	resource string
	asked    string // the resource as the client named it, where an alias was resolved
}

// cell is the answer to the questions of one action: a residual, which is what is left when everything but
// the call is known; or, where it matters which patterns match the resource, one residual for each class of
// resources. Resources that the same patterns match are of one class: no rule tells them apart.
type cell struct {
	verdict Verdict
	deny    *rule         // the unconditional deny that matched
	pool    []alternative // the allows that count: of policies, if one speaks, else of grants
	free    bool          // one of them has no conditions
	denies  []alternative // denies whose conditions remain to be tested
	failed  error         // Casbin could not be asked: refused

	targets []*target // not nil: look into the classes
	classes []atomic.Pointer[class]
}

// alternative is a rule that names the question.
type alternative struct {
	rule *rule
	own  bool // it speaks only of what is one's own
}

func (a alternative) live() bool { return a.own || a.rule.tests.some }

// class is the residual for the resources that are matched by the same targets of the cell, a bit for each.
type class struct {
	bits uint64
	rest []uint64 // of targets beyond the first 64
	cell *cell
}

const (
	maxTargets = 1024 // beyond that nothing is kept and Casbin is asked each time
	maxClasses = 64   // slots of a cell; classes that meet in one take turns
)

// refusal is the answer where nothing is known or nothing can be found out.
var refusal = &cell{verdict: VerdictDeny}

// find returns the residual of a question.
func (rs *Ruleset) find(q *question) *cell {
	if int(q.action.place) >= len(rs.cells) || q.action.place == 0 {
		return refusal
	}
	c := rs.cells[q.action.place].Load()
	if c != nil && c.targets == nil {
		return c
	}
	return rs.findClass(c, q)
}

func (rs *Ruleset) findClass(c *cell, q *question) *cell {
	if c == nil {
		if c = rs.cellOf(q); c.targets == nil {
			return c
		}
	}
	if len(c.targets) > 64 {
		return rs.findWide(c, q)
	}
	bits := uint64(0)
	for i, t := range c.targets {
		if t.match(q.resource, q.asked) {
			bits |= 1 << i
		}
	}
	slot := &c.classes[bits*0x9e3779b97f4a7c15>>32&uint64(len(c.classes)-1)]
	if have := slot.Load(); have != nil && have.bits == bits {
		return have.cell
	}
	answer, err := rs.ask(q)
	if err == nil {
		slot.Store(&class{bits: bits, cell: answer})
	}
	return answer
}

// findWide is findClass for more targets than a word has bits.
func (rs *Ruleset) findWide(c *cell, q *question) *cell {
	if len(c.targets) > maxTargets {
		answer, _ := rs.ask(q)
		return answer
	}
	var bits [maxTargets / 64]uint64
	hash := uint64(0)
	for i, t := range c.targets {
		if t.match(q.resource, q.asked) {
			bits[i/64] |= 1 << (i % 64)
			hash = (hash ^ uint64(i+1)) * 0x9e3779b97f4a7c15
		}
	}
	words := bits[:(len(c.targets)+63)/64]
	slot := &c.classes[hash>>32&uint64(len(c.classes)-1)]
	if have := slot.Load(); have != nil && have.bits == words[0] && slices.Equal(have.rest, words[1:]) {
		return have.cell
	}
	answer, err := rs.ask(q)
	if err == nil {
		slot.Store(&class{bits: words[0], rest: slices.Clone(words[1:]), cell: answer})
	}
	return answer
}

// cellOf makes the cell of the question's action.
func (rs *Ruleset) cellOf(q *question) *cell {
	var targets []*target
	for _, r := range rs.rules {
		if r.where != nil && r.named.has(q.action) && !slices.Contains(targets, r.where) {
			targets = append(targets, r.where)
		}
	}
	if targets == nil {
		c, err := rs.ask(q)
		if err == nil {
			rs.cells[q.action.place].Store(c)
		}
		return c
	}
	c := &cell{targets: targets, classes: make([]atomic.Pointer[class], min(maxClasses, 1<<min(len(targets), 10)))}
	if !rs.cells[q.action.place].CompareAndSwap(nil, c) {
		c = rs.cells[q.action.place].Load()
	}
	return c
}

// ask has Casbin say which rules name the question, and makes the residual of them. An error is a refusal
// that is not kept, and an alarm.
func (rs *Ruleset) ask(q *question) (*cell, error) {
	s := sinks.Get().(*sink)
	defer s.free()
	if err := s.ask(rs, q); err != nil {
		if rs.alarm != nil {
			rs.alarm(err)
		}
		return &cell{verdict: VerdictDeny, failed: err}, err
	}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	s.key = s.key[:0]
	for _, h := range s.hits {
		s.key = binary.AppendUvarint(s.key, uint64(h.place)<<1|uint64(number(h.own)))
	}
	if c := rs.kept[string(s.key)]; c != nil {
		return c, nil
	}
	c := residualOf(s)
	if rs.kept == nil {
		rs.kept = map[string]*cell{}
	}
	if len(rs.kept) < maxKept {
		rs.kept[string(s.key)] = c
	}
	return c, nil
}

// maxKept is how many residuals a ruleset shares; further ones are kept by their cells alone.
const maxKept = 256

func residualOf(s *sink) *cell {
	c := &cell{}
	var granted []alternative
	for _, h := range s.hits {
		switch a := h.alternative; {
		case a.rule.Statement.Effect == EffectDeny && !a.live():
			return &cell{verdict: VerdictDeny, deny: a.rule}
		case a.rule.Statement.Effect == EffectDeny:
			c.denies = append(c.denies, a)
		case a.rule.Pool == PoolPolicy:
			c.pool = append(c.pool, a)
		default:
			granted = append(granted, a)
		}
	}
	if len(c.pool) == 0 { // no policy speaks
		c.pool = granted
	}
	c.pool, c.denies = slices.Clip(c.pool), slices.Clip(c.denies)
	c.free = slices.ContainsFunc(c.pool, func(a alternative) bool { return !a.live() })
	switch {
	case len(c.pool) == 0:
		return refusal
	case c.free && len(c.denies) == 0:
		c.verdict = VerdictAllow
	default:
		c.verdict = VerdictConditional
	}
	return c
}

// holds decides for one call.
func (c *cell) holds(e *evaluation) bool {
	switch c.verdict {
	case VerdictAllow:
		return true
	case VerdictDeny:
		return false
	}
	for _, d := range c.denies {
		if e.truth(d) != False { // an unknown condition of a deny holds
			return false
		}
	}
	if c.free {
		return true
	}
	for _, a := range c.pool {
		if e.truth(a) == True {
			return true
		}
	}
	return false
}
