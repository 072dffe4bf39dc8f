package main

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/orgkit/orgkit/rbac"
)

// workload is what every engine of group rbac is loaded with and asked, as plain data. It depends on its
// scale alone.
type workload struct {
	actions  []string         // the closed vocabulary, sorted
	roles    []loadRole       // each organization has these
	policies []rbac.Statement // attached to each organization as a whole
	orgs     []loadOrg
	queries  []loadQuery
}

// loadScale is how large a workload is.
type loadScale struct {
	orgs    int
	users   int // of each organization
	queries int // of all organizations
}

type loadRole struct {
	slug        string
	permissions []string
}

type loadOrg struct {
	id    string
	teams []loadTeam
	users []loadUser
}

// loadTeam changes every role of its members by two permissions.
type loadTeam struct{ id, add, remove string }

// loadUser has one role, in one team. Both are indexes.
type loadUser struct {
	id         string
	role, team int
}

// loadQuery is a question with its answer.
type loadQuery struct {
	org, user int // indexes
	act       int // the index of action
	action    string
	resource  string
	in        loadInputs

	conditional bool // other inputs would change the answer
	want        bool
}

// loadInputs are what conditions are tested with. All are known.
type loadInputs struct {
	now     time.Time
	ip      netip.Addr
	anomaly float64 // 0 to 1, in hundredths
	own     bool    // the resource is the user's own
}

// loadNow is the time of every query.
var loadNow = time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)

// loadActions are those of the library and, as a host has, some more.
var loadActions = []string{
	"analytics.read", "api_keys.create", "api_keys.delete", "api_keys.read", "api_keys.update", "api_keys.use",
	"audit.export", "audit.read", "audit.update", "billing.export", "billing.read", "billing.update", "budget.modify", "budget.read",
	"budgets.create", "budgets.delete", "budgets.read", "budgets.update", "compliance.create", "compliance.export",
	"compliance.read", "datasets.create", "datasets.delete", "datasets.read", "deployments.manage", "deployments.read",
	"invoices.download", "invoices.export", "invoices.read", "members.approve_requests", "members.invite", "members.read",
	"members.remove", "members.update", "models.read", "models.use", "organizations.create", "organizations.delete",
	"organizations.read", "organizations.suspend", "organizations.update", "payment_methods.read", "payment_methods.update",
	"policies.create", "policies.delete", "policies.read", "policies.update", "projects.create", "projects.delete", "projects.read",
	"projects.update", "prompts.create", "prompts.read", "reports.create", "reports.delete", "reports.export", "reports.read",
	"reports.update", "roles.create", "roles.delete", "roles.read", "roles.update", "sso.read", "sso.update", "teams.create",
	"teams.delete", "teams.read", "teams.update", "usage.export", "usage.read", "usage.write", "webhooks.manage", "webhooks.read",
	"webhooks.test",
}

var loadRoles = []loadRole{
	{"admin", []string{"*"}},
	{"team_lead", []string{"teams.read", "teams.update", "members.read", "members.invite", "members.remove",
		"api_keys.create", "api_keys.read", "api_keys.update", "usage.read", "billing.read"}},
	{"developer", []string{"api_keys.use", "models.read", "models.use", "teams.read", "usage.read:own"}},
	{"finance", []string{"billing.*", "invoices.*", "budgets.*", "usage.read", "*.export"}},
	{"viewer", []string{"*.read"}},
}

var loadPolicies = []rbac.Statement{
	{Effect: rbac.EffectAllow, Actions: []string{"models.use"}, Resources: []string{"model:claude-3-*"},
		Conditions: rbac.Conditions{
			IPAddress: &rbac.IPCondition{Type: rbac.IPInRange, Value: rbac.IPRanges{Ranges: []string{"10.0.0.0/8"}}}}},
	{Effect: rbac.EffectDeny, Actions: []string{"models.use"}, Resources: []string{"model:*"},
		Conditions: rbac.Conditions{AnomalyScore: &rbac.ScoreCondition{Type: rbac.GreaterThan, Value: 0.8}}},
	{Effect: rbac.EffectAllow, Actions: []string{"models.use"}, Resources: []string{"model:gpt-4o-mini"}},
}

var loadModels = []string{"claude-3-opus", "claude-3-haiku", "claude-3-5-sonnet", "claude-3-7-sonnet", "gpt-4o-mini", "gpt-4o",
	"gpt-4-turbo", "o3", "mistral-large", "anthropic/claude-3-opus", "openai/gpt-4o-mini", "dall-e-3"}

// generator draws a workload.
type generator struct {
	*workload
	rand *rand.Rand
	seen map[loadQuery]bool // without their inputs
}

// newWorkload returns the workload of a scale: of its queries 70 % are allowed and 20 % denied whatever the
// inputs, 10 % depend on them. No two ask for the same action of the same user on the same resource.
func newWorkload(s loadScale) *workload {
	g := generator{
		workload: &workload{actions: loadActions, roles: loadRoles, policies: loadPolicies},
		rand:     rand.New(rand.NewPCG(uint64(s.orgs), uint64(s.users))),
		seen:     make(map[loadQuery]bool, s.queries),
	}
	for i := range s.orgs {
		g.orgs = append(g.orgs, g.org(i, s.users))
	}
	for i := range s.queries {
		g.queries = append(g.queries, g.query(i%10 == 9, i%10 < 7))
	}
	g.rand.Shuffle(len(g.queries), func(i, j int) { g.queries[i], g.queries[j] = g.queries[j], g.queries[i] })
	return g.workload
}

func (g generator) org(i, users int) loadOrg {
	o := loadOrg{id: fmt.Sprintf("org_%04d", i), users: make([]loadUser, users)}
	for t := range 4 {
		team := loadTeam{id: fmt.Sprintf("team_%04d_%d", i, t)}
		// Only what some role names can be missed. Casbin and Cedar know a removal as a deny, which would beat
		// the policies on models too.
		for team.remove == "" || team.remove == "models.use" || strings.ContainsAny(team.remove, "*:") {
			permissions := g.roles[g.rand.IntN(len(g.roles))].permissions
			team.remove = permissions[g.rand.IntN(len(permissions))]
		}
		for team.add == "" || team.add == team.remove {
			team.add = g.actions[g.rand.IntN(len(g.actions))]
		}
		o.teams = append(o.teams, team)
	}
	for u := range o.users {
		o.users[u] = loadUser{fmt.Sprintf("user_%04d_%04d", i, u), u % len(g.roles), u / len(g.roles) % len(o.teams)}
	}
	return o
}

// query draws until the answer is as asked for and both ways of combining allows agree on it.
func (g generator) query(conditional, want bool) loadQuery {
	for {
		q := loadQuery{org: g.rand.IntN(len(g.orgs))}
		q.user = g.rand.IntN(len(g.orgs[q.org].users))
		for range 4 * len(g.actions) { // else the user has no such question left
			q.act = g.rand.IntN(len(g.actions))
			if conditional {
				q.act = slices.Index(g.actions, "models.use") // no condition is about anything else
			}
			q.action = g.actions[q.act]
			q.in = loadInputs{}
			q.resource, q.in.own = g.resource(q)
			key := q
			q.in.now, q.in.ip, q.in.anomaly = loadNow, g.ip(), float64(g.rand.IntN(101))/100
			q.conditional, q.want = g.depends(q), g.allowed(q)
			if q.conditional == conditional && (conditional || q.want == want) && q.want == g.pooled(q) && !g.seen[key] {
				g.seen[key] = true
				return q
			}
			q.conditional, q.want = false, false
		}
	}
}

// resource draws what the action of a query is done to, and says whether it is the user's own.
func (g generator) resource(q loadQuery) (resource string, own bool) {
	o := g.orgs[q.org]
	switch noun, _, _ := strings.Cut(q.action, "."); noun {
	case "models":
		return "model:" + loadModels[g.rand.IntN(len(loadModels))], false
	case "usage":
		return "user:" + o.users[q.user].id, true
	case "teams":
		return "team:" + o.teams[g.rand.IntN(len(o.teams))].id, false
	case "api_keys", "datasets", "deployments", "invoices", "members", "projects", "prompts", "reports", "webhooks":
		return fmt.Sprintf("%s:%04d", strings.TrimSuffix(noun, "s"), g.rand.IntN(1000)), false
	}
	return "organization:" + o.id, false
}

// ip draws a client's address, half of them inside of 10.0.0.0/8.
func (g generator) ip() netip.Addr {
	x := g.rand.Uint32()
	first := [...]byte{10, 10, 10, 192, 203, 11}[g.rand.IntN(6)]
	return netip.AddrFrom4([4]byte{first, byte(x >> 16), byte(x >> 8), byte(x)})
}
