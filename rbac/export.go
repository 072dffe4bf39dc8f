package rbac

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/orgkit/orgkit/store"
)

// CasbinExport is the rules of an organization in the forms of Casbin: the text of a model.conf and of a
// policy.csv.
type CasbinExport struct{ Model, Policy string }

// exportModel uses nothing but what every Casbin has. Where conditions are left out, the three sentences are
// deny-override over one pool: where a policy speaks, it could always allow.
const exportModel = `# sub: a user; dom: the id of the organization, or of the team or project in whose context it happens
[request_definition]
r = sub, dom, act, obj

[policy_definition]
p = sub, act, obj, except, eft

[role_definition]
g = _, _, _

[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))

[matchers]
m = g(r.sub, p.sub, r.dom) && regexMatch(r.act, p.act) && regexMatch(r.obj, p.obj) && !regexMatch(r.obj, p.except)
`

// CasbinExport returns the rules of an organization as stock Casbin loads them. Asked whether a user may do an
// action on a resource, with the model under its resolved id, in the context of the organization or of a team
// or project in which the user is, it answers as [Guard.Decide] does for a call that meets every condition of
// an allow and none of a deny, and asks for what is its own.
//
// API keys are left out: their rights rest on those of others. It needs policies.read.
func (g *Guard) CasbinExport(ctx context.Context, orgID string) (out CasbinExport, err error) {
	err = g.Read(ctx, Op{Action: "policies.read", OrgID: orgID}, func(context.Context, *store.Tx) error { return nil })
	if err != nil {
		return out, err
	}
	v, err := g.viewOf(ctx, orgID, nil)
	if err != nil {
		return out, err
	}
	var policy strings.Builder
	e := exporter{guard: g, view: v, out: bufio.NewWriter(&policy), profiles: map[[2]*Ruleset]string{}}
	if err := e.write(ctx); err != nil {
		return out, err
	}
	return CasbinExport{exportModel, policy.String()}, nil
}

type exporter struct {
	guard    *Guard
	view     *view
	out      *bufio.Writer
	profiles map[[2]*Ruleset]string // by the rulesets of a bound
}

func (e *exporter) write(ctx context.Context) error {
	for _, subject := range e.view.subjects() {
		st, err := e.view.stand(ctx, subject)
		if err != nil {
			return err
		}
		if _, key := st.key(); key {
			continue
		}
		for _, team := range st.contexts() {
			b, err := e.view.bound(ctx, subject, team)
			if err != nil {
				return err
			}
			dom := team
			if dom == "" {
				dom = e.view.snap.orgID()
			}
			profile, err := e.profile(b)
			if err != nil {
				return err
			}
			if err := e.line("g", subject, profile, dom); err != nil {
				return err
			}
		}
	}
	return e.out.Flush()
}

// subjects are all who hold something in the organization, or may by an inherited role from above.
func (v *view) subjects() []string {
	all := map[string]bool{}
	for i, st := range v.states {
		for subject, stake := range st.members.subjects.all {
			if i == 0 || slices.ContainsFunc(stake.held, func(s seat) bool { return s.flowsDown() && v.snap.role(s.roleID).Inherited }) {
				all[subject] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// contexts are that of the organization and those in which the subject is active.
func (st standing) contexts() []string {
	contexts := []string{""}
	for _, s := range st.held {
		if s.active && s.teamID != "" && s.level == 0 {
			contexts = append(contexts, s.teamID)
		}
	}
	return contexts
}

// profile writes what a bound decides by, once, and returns its name.
func (e *exporter) profile(b *bound) (string, error) {
	key := [2]*Ruleset{b.rules, b.editing}
	if name, known := e.profiles[key]; known {
		return name, nil
	}
	name := fmt.Sprintf("profile_%d", len(e.profiles)+1)
	e.profiles[key] = name
	if b.editing == nil {
		return name, e.rules(name, b.rules, func(Action) bool { return true })
	}
	if err := e.rules(name, b.editing, e.guard.editing.has); err != nil {
		return "", err
	}
	return name, e.rules(name, b.rules, func(a Action) bool { return !e.guard.editing.has(a) })
}

func (e *exporter) rules(profile string, rs *Ruleset, meant func(Action) bool) error {
	for _, r := range rs.rules {
		if r.deny && r.tests != nil {
			continue // a call that meets it is refused; this is about one that does not
		}
		var actions []string
		for i, name := range rs.vocabulary.actions {
			if a := (Action{uint32(i + 1)}); r.named.has(a) && meant(a) {
				actions = append(actions, quoted(name))
			}
		}
		if len(actions) == 0 {
			continue
		}
		effect, on, except := EffectAllow, ".*", "[^\\s\\S]"
		if r.deny {
			effect = EffectDeny
		}
		if r.where != nil {
			on = r.where.on.regexp()
			if not := r.where.not.regexp(); not != "" {
				except = not
			}
		}
		if err := e.line("p", profile, whole(strings.Join(actions, "|")), whole(on), whole(except), string(effect)); err != nil {
			return err
		}
	}
	return nil
}

// regexp is an expression for what the patterns match, "" for nothing.
func (g *globs) regexp() string {
	if g.any {
		return ".*"
	}
	var all []string
	for _, name := range slices.Concat(g.names, slices.Sorted(maps.Keys(g.many))) {
		all = append(all, quoted(name))
	}
	for _, start := range g.starts {
		all = append(all, quoted(start)+".*")
	}
	for _, p := range g.others {
		parts := strings.Split(p.glob, "*")
		for i := range parts {
			parts[i] = quoted(parts[i])
		}
		all = append(all, strings.Join(parts, ".*"))
	}
	return strings.Join(all, "|")
}

func whole(expression string) string { return "(?s)^(?:" + expression + ")$" }

// quoted is a text as a regular expression, in which nothing has a meaning to a file of comma-separated
// values.
func quoted(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == ':' || c == '-' || c == '/' || c >= 0x80 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, `\x%02x`, c)
		}
	}
	return b.String()
}

// plainField is a text that stands in a line as it is.
var plainField = regexp.MustCompile(`^[^\s,"#][^,"\n\r]*$`)

func (e *exporter) line(fields ...string) error {
	for _, f := range fields {
		if !plainField.MatchString(f) || strings.TrimSpace(f) != f {
			return fmt.Errorf("rbac: %q cannot be written for Casbin", f)
		}
	}
	_, err := io.WriteString(e.out, strings.Join(fields, ", ")+"\n")
	return err
}
