package rbac

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Pool says where a rule comes from, which decides what it counts for.
type Pool string

// The pools. Allows of PoolPolicy decide alone where one names the question; those of the grant
// pools (role, member, key) where none does. PoolSettings holds denies only.
const (
	PoolPolicy   Pool = "policy"
	PoolSettings Pool = "settings"
	PoolRole     Pool = "role"
	PoolMember   Pool = "member"
	PoolKey      Pool = "key"
)

// Rule is one statement with its origin.
type Rule struct {
	ID        string // unique in its ruleset
	Pool      Pool
	Source    string         // for a person: the name of the policy, the slug of the role
	Team      string         // "" for the whole organization
	Code      string         // of a refusal by this deny; "" is policy_denied
	Zone      *time.Location // of business hours without a zone; nil is the ruleset's
	Statement Statement
	Except    []string // permissions that this grant does not give (F469)
}

// Ruleset is everything that speaks in one context for one profile of roles and grants. It never
// changes and is safe for concurrent use.
//
// Casbin is asked once for each action and set of resource patterns that match; what is left of the
// question then, the residual, is kept. Nothing is kept of a resource itself, so that no client can fill the
// memory by asking for ever other ones.
type Ruleset struct {
	vocabulary *Vocabulary
	rules      []*rule // the denies first
	denies     int
	shape      *shape
	alarm      func(error)

	codes []atomic.Uint32 // of all actions, see codeSettled
	cells atomic.Pointer[[]*cell]
	mu    sync.Mutex // of writers
}

// rule is a Rule that was compiled for a vocabulary. It never changes; many rulesets share it.
type rule struct {
	ID         string
	Pool       Pool
	Source     string
	Code       string
	deny       bool
	conditions *Conditions // nil: none

	named  actionSet // the actions of which it speaks
	scoped actionSet // those of them that it gives for one's own only
	where  *target   // nil: every resource
	tests  *tests    // nil: none
}

// RulesetOptions say what statements leave open.
type RulesetOptions struct {
	Vocabulary *Vocabulary                       // of the actions that exist; nil is the library's
	Zone       *time.Location                    // of business hours without a zone; nil is UTC
	Resolve    func(model string) (string, bool) // model names to ids; nil: all are ids
	Alarm      func(error)                       // called when Casbin fails, which refuses; nil: nobody
}

// library is the vocabulary without actions of a host.
var library = sync.OnceValues(func() (*Vocabulary, error) { return NewVocabulary() })

// NewRuleset compiles rules. What was checked when it was written always compiles.
func NewRuleset(rules []Rule, o *RulesetOptions) (*Ruleset, error) {
	if o == nil {
		o = &RulesetOptions{}
	}
	v := o.Vocabulary
	if v == nil {
		var err error
		if v, err = library(); err != nil {
			return nil, err
		}
	}
	c := newCompiler(v, o)
	compiled := make([]*rule, len(rules))
	for i, r := range rules {
		var err error
		if compiled[i], err = c.compile(r); err != nil {
			return nil, fmt.Errorf("rule %s: %w", r.ID, err)
		}
	}
	return c.ruleset(compiled)
}

// compiler turns rules into what is fast to ask. It is not safe for concurrent use; what it makes is.
type compiler struct {
	vocabulary *Vocabulary
	opt        *RulesetOptions
	targets    map[string]*target // equal ones are one
}

func newCompiler(v *Vocabulary, o *RulesetOptions) *compiler {
	return &compiler{v, o, map[string]*target{}}
}

func (c *compiler) ruleset(rules []*rule) (*Ruleset, error) {
	rs := &Ruleset{vocabulary: c.vocabulary, rules: slices.Clone(rules), alarm: c.opt.Alarm, codes: make([]atomic.Uint32, len(c.vocabulary.actions)/2+1)}
	rs.cells.Store(&[]*cell{})
	ids := make(map[string]bool, len(rules))
	for _, r := range rules {
		if r.ID == "" || ids[r.ID] {
			return nil, fmt.Errorf("rule id %q is empty or not unique", r.ID)
		}
		ids[r.ID] = true
		if r.deny {
			rs.denies++
		}
	}
	// An unconditional deny that comes first ends Casbin's scan.
	slices.SortStableFunc(rs.rules, func(a, b *rule) int { return number(b.deny) - number(a.deny) })
	var err error
	rs.shape, err = shapes.get(rs.denies, len(rules)-rs.denies)
	return rs, err
}

func (c *compiler) compile(r Rule) (*rule, error) {
	st := r.Statement
	if st.Effect != EffectAllow && st.Effect != EffectDeny {
		return nil, fmt.Errorf("effect %q", st.Effect)
	}
	actions, err := parsePermissions(st.Actions)
	if err != nil {
		return nil, err
	}
	except, err := parsePermissions(r.Except)
	if err != nil {
		return nil, err
	}
	out := &rule{ID: r.ID, Pool: r.Pool, Source: r.Source, Code: r.Code, deny: st.Effect == EffectDeny}
	each, all := func(Permission) bool { return true }, func(string) bool { return true }
	out.named = c.vocabulary.coveredBy(actions, each).without(c.vocabulary.coveredBy(except, each))
	if slices.ContainsFunc(actions, Permission.Own) {
		// An unscoped grant beside one that ends in :own gives the action for everything.
		out.scoped = c.vocabulary.set(all).without(c.vocabulary.coveredBy(actions, func(p Permission) bool { return !p.own }))
	}
	if out.where, err = c.target(st); err != nil {
		return nil, err
	}
	zone := r.Zone
	if zone == nil {
		zone = c.opt.Zone
	}
	if st.Conditions != (Conditions{}) {
		out.conditions = &st.Conditions
		out.tests, err = st.Conditions.compile(zone)
	}
	return out, err
}

func parsePermissions(in []string) ([]Permission, error) {
	out := make([]Permission, 0, len(in))
	for _, s := range in {
		p, err := ParsePermission(s)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// target reads the resources of a statement; nil is every resource.
func (c *compiler) target(st Statement) (*target, error) {
	t := target{asked: st.Effect == EffectDeny && len(st.NotResources) == 0}
	key := strings.Builder{}
	fmt.Fprintf(&key, "%t", t.asked)
	for _, list := range []struct {
		from []string
		to   *globs
	}{{st.Resources, &t.on}, {st.NotResources, &t.not}} {
		var patterns []ResourcePattern
		for _, s := range list.from {
			p, err := ParseResource(s)
			if err != nil {
				return nil, err
			}
			patterns = append(patterns, p)
			// An entry that is an alias stands for the model behind it too (F328).
			if name, ok := strings.CutPrefix(s, "model:"); ok && c.opt.Resolve != nil && !strings.Contains(name, "*") {
				if id, known := c.opt.Resolve(name); known && id != name {
					patterns = append(patterns, ResourcePattern{ModelPattern(id)})
				}
			}
		}
		for _, p := range patterns {
			fmt.Fprintf(&key, " %q", p.glob)
		}
		key.WriteByte('/')
		*list.to = newGlobs(patterns)
	}
	if t.on.any && len(st.NotResources) == 0 {
		return nil, nil
	}
	if same := c.targets[key.String()]; same != nil {
		return same, nil
	}
	c.targets[key.String()] = &t
	return &t, nil
}

// names says whether the rule speaks of the question, conditions aside.
func (r *rule) names(q *question) bool {
	return r.named.has(q.action) && (r.where == nil || r.where.match(q.resource, q.asked))
}
