package rbac

import (
	"fmt"
	"slices"
	"strings"
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
type Ruleset struct {
	rules  []*rule
	byID   map[string]*rule
	zone   *time.Location
	casbin *evaluator
}

// rule is a Rule whose patterns are parsed.
type rule struct {
	Rule
	actions []Permission
	except  []Permission
	globs   []ResourcePattern // aliases and the models behind them
	not     []ResourcePattern
}

// RulesetOptions say what statements leave open.
type RulesetOptions struct {
	Zone    *time.Location                    // of business hours without a zone; nil is UTC
	Resolve func(model string) (string, bool) // model names to ids; nil: all are ids
}

// NewRuleset compiles rules. What was checked when it was written always compiles.
func NewRuleset(rules []Rule, o *RulesetOptions) (*Ruleset, error) {
	if o == nil {
		o = &RulesetOptions{}
	}
	rs := &Ruleset{byID: make(map[string]*rule, len(rules)), zone: o.Zone}
	for _, r := range rules {
		c, err := compile(r, o)
		if err != nil {
			return nil, fmt.Errorf("rule %s: %w", r.ID, err)
		}
		if r.ID == "" || rs.byID[r.ID] != nil {
			return nil, fmt.Errorf("rule id %q is empty or not unique", r.ID)
		}
		rs.rules = append(rs.rules, c)
		rs.byID[r.ID] = c
	}
	// An unconditional deny that comes first ends Casbin's scan.
	slices.SortStableFunc(rs.rules, func(a, b *rule) int { return strings.Compare(string(b.Statement.Effect), string(a.Statement.Effect)) })
	var err error
	rs.casbin, err = newEvaluator(rs)
	return rs, err
}

func compile(r Rule, o *RulesetOptions) (*rule, error) {
	c := &rule{Rule: r}
	st := r.Statement
	if st.Effect != EffectAllow && st.Effect != EffectDeny {
		return nil, fmt.Errorf("effect %q", st.Effect)
	}
	for _, s := range st.Actions {
		p, err := ParsePermission(s)
		if err != nil {
			return nil, err
		}
		c.actions = append(c.actions, p)
	}
	for _, s := range r.Except {
		p, err := ParsePermission(s)
		if err != nil {
			return nil, err
		}
		c.except = append(c.except, p)
	}
	for _, list := range []struct {
		from []string
		to   *[]ResourcePattern
	}{{st.Resources, &c.globs}, {st.NotResources, &c.not}} {
		for _, s := range list.from {
			p, err := ParseResource(s)
			if err != nil {
				return nil, err
			}
			*list.to = append(*list.to, p)
			// An entry that is an alias stands for the model behind it too (F328).
			if name, ok := strings.CutPrefix(s, "model:"); ok && o.Resolve != nil && !strings.Contains(name, "*") {
				if id, known := o.Resolve(name); known && id != name {
					*list.to = append(*list.to, ResourcePattern{ModelPattern(id)})
				}
			}
		}
	}
	return c, nil
}

// names says whether the rule speaks of the question, conditions aside.
func (r *rule) names(q Question) bool {
	if !slices.ContainsFunc(r.actions, func(p Permission) bool { return p.Covers(q.Action) }) ||
		slices.ContainsFunc(r.except, func(p Permission) bool { return p.Covers(q.Action) }) {
		return false
	}
	hit := matchAny(r.globs, q.Resource)
	if !hit && r.Statement.Effect == EffectDeny && len(r.not) == 0 && q.Asked != "" {
		hit = matchAny(r.globs, q.Asked) // no alias gets round a block
	}
	return hit && !matchAny(r.not, q.Resource)
}

func matchAny(globs []ResourcePattern, resource string) bool {
	return slices.ContainsFunc(globs, func(p ResourcePattern) bool { return p.Match(resource) })
}

// scoped says whether only grants that end in :own give the action: an unscoped one beside them
// gives it for everything.
func (r *rule) scoped(q Question) bool {
	return !slices.ContainsFunc(r.actions, func(p Permission) bool { return p.Covers(q.Action) && !p.own })
}

// live says whether the rule's truth depends on the call.
func (r *rule) live(q Question) bool {
	return r.Statement.Conditions != (Conditions{}) || r.scoped(q)
}

// test is the truth of the rule for a question that it names.
func (r *rule) test(q Question, in Inputs, zone *time.Location) (Truth, []part) {
	if r.Zone != nil {
		zone = r.Zone
	}
	t, parts := r.Statement.Conditions.test(in, zone)
	if r.scoped(q) {
		parts = append(parts, part{"own", in.Own, "permission_denied", "ask for what is your own"})
		t = t.and(in.Own)
	}
	return t, parts
}
