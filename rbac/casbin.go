package rbac

import (
	"errors"
	"fmt"
	"sync"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/model"
)

// casbinModel is the whole of what Casbin is told: a rule is an id and an effect, and which rules
// match is our function's answer. Allow and deny combine as deny-override.
const casbinModel = `
[request_definition]
r = sink

[policy_definition]
p = id, eft

[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))

[matchers]
m = collect(r.sink, p.id)
`

// evaluator asks Casbin which rules of a ruleset name a question. The enforcer is built once and
// never changed: a changed one races (C1), and cached ones answer with what was revoked (C8).
type evaluator struct {
	enforcer *casbin.Enforcer // nil: no rules. Casbin would ask the matcher about an empty one (C11).
	sinks    sync.Pool
}

// sink belongs to one question while it is asked.
type sink struct {
	rules    *Ruleset
	question Question
	deny     *rule   // the unconditional deny that matched
	allow    []*rule // unconditional allows
	live     []*rule // rules whose conditions remain to be tested
}

var errSink = errors.New("collect was called with something else than a sink and a known id")

func newEvaluator(rs *Ruleset) (*evaluator, error) {
	e := &evaluator{}
	e.sinks.New = func() any { return new(sink) }
	if len(rs.rules) == 0 {
		return e, nil
	}
	m, err := model.NewModelFromString(casbinModel)
	if err != nil {
		return nil, err
	}
	for _, r := range rs.rules {
		if err := m.AddPolicy("p", "p", []string{r.ID, string(r.Statement.Effect)}); err != nil {
			return nil, err
		}
	}
	if e.enforcer, err = casbin.NewEnforcer(m); err != nil {
		return nil, err
	}
	e.enforcer.AddFunction("collect", collect)
	return e, nil
}

// collect is the matcher. An unconditional rule that names the question matches; a conditional one
// is noted and does not, so that Casbin's answer is the decision without conditions.
func collect(args ...any) (any, error) {
	if len(args) != 2 {
		return false, errSink
	}
	s, ok := args[0].(*sink)
	id, ok2 := args[1].(string)
	if !ok || !ok2 || id == "" {
		return false, errSink
	}
	r := s.rules.byID[id]
	if r == nil {
		return false, errSink
	}
	switch {
	case !r.names(s.question):
		return false, nil
	case r.live(s.question):
		s.live = append(s.live, r)
		return false, nil
	case r.Statement.Effect == EffectDeny:
		s.deny = r
	default:
		s.allow = append(s.allow, r)
	}
	return true, nil
}

// ask fills a sink, or says why Casbin could not. An error is a refusal: nothing that Casbin fails
// on is allowed, and a panic in it is an error.
func (e *evaluator) ask(rs *Ruleset, q Question) (s *sink, err error) {
	s = e.sinks.Get().(*sink)
	*s = sink{rules: rs, question: q, allow: s.allow[:0], live: s.live[:0]}
	if e.enforcer == nil {
		return s, nil
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("casbin: %v", p)
		}
	}()
	allowed, err := e.enforcer.Enforce(s)
	if err != nil {
		return s, fmt.Errorf("casbin: %w", err)
	}
	if want := s.deny == nil && len(s.allow) > 0; allowed != want {
		return s, errors.New("casbin: its answer is not what it collected")
	}
	return s, nil
}

func (e *evaluator) done(s *sink) {
	*s = sink{allow: s.allow[:0], live: s.live[:0]}
	e.sinks.Put(s)
}
