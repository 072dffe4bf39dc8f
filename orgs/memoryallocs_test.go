//go:build !race

package orgs_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store/memory"
)

// Whatever the answer depends on, and wherever the subject holds what it rests on.
func TestChecksFromMemoryAllocateNothing(t *testing.T) {
	c := newAsked(t, memory.New(nil), nil)
	defer c.Close()
	_, _, err := c.CreatePolicy(c.Platform(), c.org.ID, "", rbac.NewPolicy{Name: "p", Statements: []rbac.Statement{
		{Effect: rbac.EffectAllow, Actions: []string{"models:use"}, Resources: []string{"model:claude-*"},
			Conditions: rbac.Conditions{IPAddress: &rbac.IPCondition{Type: rbac.IPInRange, Value: rbac.IPRanges{Ranges: []string{"10.0.0.0/8"}}},
				Time:      &rbac.TimeCondition{Type: rbac.BusinessHours, Hours: &rbac.Hours{Start: "09:00", End: "18:00"}},
				CostLimit: &rbac.CostCondition{Type: rbac.PerRequest, MaxAmount: decimal.NewFromInt(1)}}}}})
	require.NoError(t, err)
	_, err = c.UpdateTeam(c.Platform(), c.team.ID, orgs.TeamUpdate{Settings: &orgs.TeamSettings{Models: &orgs.ModelSettings{RequireApproval: []string{"o3"}}}})
	require.NoError(t, err)
	tuesday := time.Date(2024, 3, 5, 12, 0, 0, 0, time.UTC)
	for about, q := range map[string]struct {
		action, resource string
		ip               string
		allowed          bool
	}{
		"by a role":                {"models.use", "model:m", "10.1.2.3", true},
		"by nothing":               {"billing.update", "organization:x", "10.1.2.3", false},
		"no action":                {"no.such", "x", "10.1.2.3", false},
		"of one's own":             {"teams.read", "team:" + c.team.ID, "10.1.2.3", true},
		"of somebody else's":       {"teams.read", "team:team_other", "10.1.2.3", false},
		"by conditions":            {"models.use", "model:claude-3", "10.1.2.3", true},
		"from elsewhere":           {"models.use", "model:claude-3", "192.0.2.1", false},
		"without an approval":      {"models.use", "model:o3", "10.1.2.3", false},
		"another name of the same": {"models.use", "model:claude-4", "10.1.2.3", true},
	} {
		r := c.request(q.action, q.resource)
		r.At, r.IP, r.Cost = tuesday, netip.MustParseAddr(q.ip), ptr(decimal.RequireFromString("0.25"))
		allocateNothing(t, about, c.World, c.dev.ID, r, q.allowed)
	}
}

// allocateNothing asks by ids and by a principal.
func allocateNothing(t *testing.T, about string, w *orgstest.World, subject string, r *rbac.Request, allowed bool) {
	t.Helper()
	p, err := w.Principal(t.Context(), r.OrgID, r.TeamID, subject)
	require.NoError(t, err)
	action := w.Action(r.Action)
	for door, ask := range map[string]func() (rbac.Answer, error){
		"ids":         func() (rbac.Answer, error) { return w.Allows(t.Context(), subject, r) },
		"a principal": func() (rbac.Answer, error) { return p.Allows(t.Context(), action, &r.Call) },
	} {
		a, err := ask()
		require.NoError(t, err, about)
		require.Equal(t, allowed, a.Allowed, about)
		require.Zero(t, testing.AllocsPerRun(100, func() { _, _ = ask() }), "%s, by %s", about, door)
	}
}

func TestChecksOfAnInheritedRoleAllocateNothing(t *testing.T) {
	w := orgstest.New(t, memory.New(nil), nil)
	defer w.Close()
	above, chief := w.Org("above")
	o, err := w.CreateOrganization(w.As(chief), orgs.NewOrganization{Name: "Below", Parent: above.ID})
	require.NoError(t, err)
	r := &rbac.Request{OrgID: o.ID, Action: "teams.create", Call: rbac.Call{Resource: "organization:" + o.ID}}
	allocateNothing(t, "below", w, chief.ID, r, true)
}

// By ids they are put together anew each time, since what a key may do depends on others as well.
func TestChecksOfAPrincipalThatIsAKeyAllocateNothing(t *testing.T) {
	c := newAsked(t, memory.New(nil), nil)
	defer c.Close()
	for about, in := range map[string]orgs.NewAPIKey{
		"acts as its team":   {User: ptr(""), InheritTeam: true},
		"with what it holds": {User: &c.dev.ID, Permissions: []string{"models.*"}},
	} {
		in.Name, in.Team = "key", c.team.ID
		k, _, err := c.CreateAPIKey(c.Platform(), in)
		require.NoError(t, err)
		p, err := c.Principal(t.Context(), c.org.ID, c.team.ID, k.ID)
		require.NoError(t, err)
		r, use := c.request("models.use", "model:m"), c.Action("models.use")
		a, err := p.Allows(t.Context(), use, &r.Call)
		require.NoError(t, err)
		require.True(t, a.Allowed, about)
		require.Zero(t, testing.AllocsPerRun(100, func() { _, _ = p.Allows(t.Context(), use, &r.Call) }), about)
	}
}
