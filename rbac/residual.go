package rbac

import (
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
// resources. It never changes; what it remembers are classes.
type cell struct {
	settled bool // the answer is the same whatever the call
	allows  bool // it is yes, if it is settled
	free    bool // an allow has no conditions

	denies int32         // how many of the alternatives are denies, which come first
	all    []alternative // what depends on the call, and the allows that count: of policies, if one speaks, else of grants
	deny   *rule         // the deny that settled it

	classes *classes // not nil: look there
	failed  error    // Casbin could not be asked: refused
}

// alternative is a rule that names the question.
type alternative struct {
	rule *rule
	own  bool // it speaks only of what is one's own
}

func (a alternative) live() bool { return a.own || a.rule.tests != nil }

func (c *cell) pool() []alternative { return c.all[c.denies:] }

func (c *cell) equal(d *cell) bool {
	return c.classes == nil && d.classes == nil && c.deny == d.deny && c.denies == d.denies && slices.Equal(c.all, d.all)
}

// classes are the residuals of one action by which targets match the resource. Resources that the same targets
// match are of one class: no rule tells them apart.
type classes struct {
	targets []*target
	slots   []atomic.Pointer[class] // a power of two of them; classes that meet in one take turns
}

// class is one of them, a bit for each target.
type class struct {
	bits uint64
	rest *[]uint64 // of targets beyond the first 64
	cell *cell
}

const (
	maxTargets = 1024 // beyond that nothing is kept and Casbin is asked each time
	maxClasses = 64
)

// refusal is the answer where nothing is known.
var refusal = &cell{settled: true}

// A code says which cell an action has. It is a number of 16 bits, two in a word; 0 is that of an action that
// was not asked for yet. Of cells that are settled it says the answer as well, so that most questions look at
// nothing else.
const (
	codeSettled = 1 << 15
	codeAllows  = 1 << 14
	codeCell    = codeAllows - 1 // the place of the cell, from 1
)

func codeIn(codes []atomic.Uint32, a Action) uint32 {
	if i := a.place / 2; i < uint32(len(codes)) {
		return codes[i].Load() >> (a.place % 2 * 16) & 0xffff
	}
	return 0
}

// find returns the residual of a question.
func (rs *Ruleset) find(q *question) *cell {
	code := codeIn(rs.codes, q.action) & codeCell
	if code == 0 {
		return rs.findFirst(q)
	}
	c := (*rs.cells.Load())[code-1]
	if c.classes == nil {
		return c
	}
	return rs.findClass(c.classes, q)
}

// findFirst makes the cell of the question's action.
func (rs *Ruleset) findFirst(q *question) *cell {
	if a := int(q.action.place); a == 0 || a > len(rs.vocabulary.actions) {
		return refusal
	}
	var targets []*target
	for _, r := range rs.rules {
		if r.where != nil && r.named.has(q.action) && !slices.Contains(targets, r.where) {
			targets = append(targets, r.where)
		}
	}
	if targets == nil {
		c, err := rs.ask(q)
		if err == nil {
			rs.keep(q.action, c)
		}
		return c
	}
	slots := min(maxClasses, 1<<min(len(targets), 10))
	c := rs.keep(q.action, &cell{classes: &classes{slices.Clip(targets), make([]atomic.Pointer[class], slots)}})
	return rs.findClass(c.classes, q)
}

// keep gives an action its cell, unless it has one by now.
func (rs *Ruleset) keep(a Action, c *cell) *cell {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	cells := *rs.cells.Load()
	if code := codeIn(rs.codes, a) & codeCell; code != 0 {
		return cells[code-1]
	}
	place := slices.Index(cells, c)
	if place < 0 {
		if place = len(cells); place >= codeCell {
			return c
		}
		rs.put(c)
	}
	code := uint32(place + 1)
	if c.settled {
		code |= codeSettled
		if c.allows {
			code |= codeAllows
		}
	}
	rs.codes[a.place/2].Or(code << (a.place % 2 * 16))
	return c
}

// put appends to the cells.
func (rs *Ruleset) put(c *cell) {
	cells := *rs.cells.Load()
	more := make([]*cell, len(cells), len(cells)+1)
	copy(more, cells)
	more = append(more, c)
	rs.cells.Store(&more)
}

func (rs *Ruleset) findClass(c *classes, q *question) *cell {
	if len(c.targets) > 64 {
		return rs.findWide(c, q)
	}
	bits := uint64(0)
	for i, t := range c.targets {
		if t.match(q.resource, q.asked) {
			bits |= 1 << i
		}
	}
	slot := &c.slots[bits*0x9e3779b97f4a7c15>>32&uint64(len(c.slots)-1)]
	if have := slot.Load(); have != nil && have.bits == bits {
		return have.cell
	}
	answer, err := rs.ask(q)
	if err == nil {
		slot.Store(&class{bits, nil, answer})
	}
	return answer
}

// findWide is findClass for more targets than a word has bits.
func (rs *Ruleset) findWide(c *classes, q *question) *cell {
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
	slot := &c.slots[hash>>32&uint64(len(c.slots)-1)]
	if have := slot.Load(); have != nil && have.bits == words[0] && slices.Equal(*have.rest, words[1:]) {
		return have.cell
	}
	answer, err := rs.ask(q)
	if err == nil {
		rest := slices.Clone(words[1:])
		slot.Store(&class{words[0], &rest, answer})
	}
	return answer
}

// maxShared is among how many cells of a ruleset an equal one is looked for.
const maxShared = 64

// ask has Casbin say which rules name the question, and makes the residual of them. An error is a refusal
// that is not kept, and an alarm.
func (rs *Ruleset) ask(q *question) (*cell, error) {
	s := sinks.Get().(*sink)
	defer s.free()
	if err := s.ask(rs, q); err != nil {
		if rs.alarm != nil {
			rs.alarm(err)
		}
		return &cell{settled: true, failed: err}, err
	}
	c := s.residual()
	if c == refusal { // of everybody
		return c, nil
	}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	cells := *rs.cells.Load()
	share := len(cells) < maxShared
	if share {
		if i := slices.IndexFunc(cells, c.equal); i >= 0 {
			return cells[i], nil
		}
	}
	c.all = slices.Clone(c.all) // the sink has room for others
	if share {
		rs.put(c)
	}
	return c, nil
}

// residual makes the residual of what was collected. Its alternatives are those of the sink.
func (s *sink) residual() *cell {
	c := &cell{}
	speaks := false
	s.all = s.all[:0]
	for _, a := range s.hits {
		switch {
		case a.rule.deny && !a.live():
			return &cell{settled: true, deny: a.rule}
		case a.rule.deny:
			s.all = append(s.all, a)
		default:
			speaks = speaks || a.rule.Pool == PoolPolicy
		}
	}
	c.denies = int32(len(s.all))
	for _, a := range s.hits {
		if !a.rule.deny && (a.rule.Pool == PoolPolicy) == speaks { // where a policy speaks, it decides
			s.all = append(s.all, a)
			c.free = c.free || !a.live()
		}
	}
	if len(s.all) == int(c.denies) {
		return refusal
	}
	c.all = s.all
	c.settled = c.free && c.denies == 0
	c.allows = c.settled
	return c
}

// holds decides for one call.
func (c *cell) holds(e *evaluation) bool {
	if c.settled {
		return c.allows
	}
	for _, d := range c.all[:c.denies] {
		if e.truth(d) != False { // an unknown condition of a deny holds
			return false
		}
	}
	if c.free {
		return true
	}
	for _, a := range c.pool() {
		if e.truth(a) == True {
			return true
		}
	}
	return false
}
