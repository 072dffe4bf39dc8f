package rbac

import (
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/model"
)

// casbinModel is the whole of what Casbin is told: a line of policy is a place in a ruleset and an effect,
// and which of them match is our function's answer. Allow and deny combine as deny-override.
const casbinModel = `
[request_definition]
r = sink

[policy_definition]
p = place, eft

[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))

[matchers]
m = collect(r.sink, p.place)
`

// shape is an enforcer for rulesets of so many denies and allows. Since a line names a place and not a rule,
// all rulesets of one shape, whosever they are, share it: none costs the memory of a model, and the first
// question of a new one does not wait for it to be built. An enforcer is never changed once it was built: a
// changed one races (C1), and cached ones answer with what was revoked (C8).
type shape struct {
	denies, allows int
	enforcer       *casbin.Enforcer // nil: no rules. Casbin would ask the matcher about an empty one (C11).
}

// shapes keeps the shapes of this process.
var shapes = shapeCache{made: map[[2]int]*shape{}}

type shapeCache struct {
	mu   sync.Mutex
	made map[[2]int]*shape
}

// maxShapes bounds what is kept. Beyond it rulesets make shapes of their own.
const maxShapes = 512

// get returns the shape for a ruleset. Above 16 rules shapes come in steps, so that there are few: places
// that no rule has match nothing.
func (c *shapeCache) get(denies, allows int) (*shape, error) {
	if denies+allows == 0 {
		return &shape{}, nil
	}
	step := func(n int) int {
		if n <= 16 {
			return n
		}
		return (n + 15) / 16 * 16
	}
	key := [2]int{step(denies), step(allows)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.made[key]; s != nil {
		return s, nil
	}
	s, err := newShape(key[0], key[1])
	if err == nil && len(c.made) < maxShapes {
		c.made[key] = s
	}
	return s, err
}

func newShape(denies, allows int) (*shape, error) {
	m, err := model.NewModelFromString(casbinModel)
	if err != nil {
		return nil, err
	}
	for i := range denies + allows {
		effect := EffectDeny
		if i >= denies {
			effect = EffectAllow
		}
		if err := m.AddPolicy("p", "p", []string{strconv.Itoa(i), string(effect)}); err != nil {
			return nil, err
		}
	}
	s := &shape{denies: denies, allows: allows}
	if s.enforcer, err = casbin.NewEnforcer(m); err != nil {
		return nil, err
	}
	s.enforcer.AddFunction("collect", collect)
	return s, nil
}

// sink belongs to one question while it is asked.
type sink struct {
	rules    *Ruleset
	question question
	hits     []alternative // the rules that name it, in Casbin's order
	all      []alternative // room for those that count
}

var sinks = sync.Pool{New: func() any { return new(sink) }}

func (s *sink) free() {
	*s = sink{hits: s.hits[:0], all: s.all[:0]}
	sinks.Put(s)
}

var errSink = errors.New("collect was called with something else than a sink and a place")

// collect is the matcher. An unconditional rule that names the question matches; a conditional one
// is noted and does not, so that Casbin's answer is the decision without conditions.
func collect(args ...any) (any, error) {
	if len(args) != 2 {
		return false, errSink
	}
	s, ok := args[0].(*sink)
	text, ok2 := args[1].(string)
	place, err := strconv.Atoi(text)
	if !ok || !ok2 || err != nil || s.rules == nil {
		return false, errSink
	}
	rs, shape := s.rules, s.rules.shape
	switch { // places beyond the rules are there to fill the shape
	case place >= shape.denies:
		if place = place - shape.denies + rs.denies; place >= len(rs.rules) {
			return false, nil
		}
	case place >= rs.denies:
		return false, nil
	}
	r := rs.rules[place]
	if !r.names(&s.question) {
		return false, nil
	}
	a := alternative{r, r.scoped.has(s.question.action)}
	s.hits = append(s.hits, a)
	return !a.live(), nil
}

// ask fills the sink, or says why Casbin could not. An error is a refusal: nothing that Casbin fails
// on is allowed, and a panic in it is an error.
func (s *sink) ask(rs *Ruleset, q *question) (err error) {
	s.rules, s.question, s.hits = rs, *q, s.hits[:0]
	if rs.shape.enforcer == nil {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("casbin: %v", p)
		}
	}()
	allowed, err := rs.shape.enforcer.Enforce(s)
	if err != nil {
		return fmt.Errorf("casbin: %w", err)
	}
	allow, deny := false, false
	for _, h := range s.hits {
		if !h.live() {
			allow = allow || !h.rule.deny
			deny = deny || h.rule.deny
		}
	}
	if allowed != (allow && !deny) {
		return errors.New("casbin: its answer is not what it collected")
	}
	return nil
}
