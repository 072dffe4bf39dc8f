//go:build !race

package orgs_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store/memory"
)

func TestChecksFromMemoryAllocateNothing(t *testing.T) {
	c := newAsked(t, memory.New(nil), nil)
	defer c.Close()
	_, _, err := c.CreatePolicy(c.Platform(), c.org.ID, "", rbac.NewPolicy{Name: "p", Statements: []rbac.Statement{
		{Effect: rbac.EffectAllow, Actions: []string{"models:use"}, Resources: []string{"model:claude-*"},
			Conditions: rbac.Conditions{IPAddress: &rbac.IPCondition{Type: rbac.IPInRange, Value: rbac.IPRanges{Ranges: []string{"10.0.0.0/8"}}},
				Time: &rbac.TimeCondition{Type: rbac.BusinessHours, Hours: &rbac.Hours{Start: "00:00", End: "23:59"}}}}}})
	require.NoError(t, err)
	p := c.principal(t)
	for _, q := range [][2]string{{"models.use", "model:m"}, {"models.use", "model:claude-3"}, {"billing.update", "organization:x"}, {"teams.read", "team:" + c.team.ID}, {"no.such", "x"}} {
		r, a := c.request(q[0], q[1]), c.Action(q[0])
		require.Zero(t, testing.AllocsPerRun(100, func() { _, err = p.Allows(t.Context(), a, &r.Call) }), q)
		require.NoError(t, err)
		require.Zero(t, testing.AllocsPerRun(100, func() { _, err = c.Allows(t.Context(), c.dev.ID, r) }), q)
		require.NoError(t, err)
	}
}
