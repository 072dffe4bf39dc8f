package orgs_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"path"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// realm is a tree of two organizations below one, with a bit of everything in it.
type realm struct {
	*orgstest.World
	*rand.Rand
	orgs     []orgs.Organization // from the root down
	teams    map[string][]orgs.Team
	users    []orgs.User
	chief    orgs.User // who owns the root, and so may approve everywhere
	keys     []orgs.APIKey
	policies map[string][]rbac.Policy // by organization
	kept     map[[3]string]*rbac.Principal
}

func choose[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

var realmRoles = []string{"team_lead", "developer", "viewer", "finance", "heir"}

func newRealm(t *testing.T, s *store.Store, r *rand.Rand) *realm {
	w := orgstest.New(t, s, withScores())
	m := &realm{World: w, Rand: r, teams: map[string][]orgs.Team{}, policies: map[string][]rbac.Policy{}, kept: map[[3]string]*rbac.Principal{}}
	parent := ""
	for _, name := range []string{"root", "middle", "leaf"} {
		o, err := w.CreateOrganization(w.Platform(), orgs.NewOrganization{Name: name, Parent: parent})
		require.NoError(t, err)
		parent = o.ID
		m.orgs = append(m.orgs, o)
		w.Roles(o)
		_, err = w.CreateRole(w.Platform(), o.ID, rbac.NewRole{Name: "heir", Permissions: []string{"models.*", "usage.read:own", "members.approve_requests"}, Inherited: true})
		require.NoError(t, err)
		for i := range 2 {
			m.teams[o.ID] = append(m.teams[o.ID], w.Team(o, fmt.Sprintf("%s-%d", name, i), orgs.TeamSettings{}))
		}
	}
	for i := range 6 {
		m.users = append(m.users, w.User(fmt.Sprintf("user%d@realm.example", i)))
	}
	m.chief = w.User("chief@realm.example")
	w.Add(orgs.Place{OrgID: m.orgs[0].ID}, m.chief, rbac.OwnerRole)
	for range 25 {
		m.change(t)
	}
	return m
}

func withScores() *orgs.Options {
	return &orgs.Options{Options: rbac.Options{Anomaly: func(_ context.Context, _, person string) (float64, error) {
		if person == "" {
			return 0, errors.New("nobody to judge")
		}
		return 0.5, nil
	}}}
}

// change does one random thing, which may be refused.
func (m *realm) change(t *testing.T) {
	ctx, o := m.Platform(), choose(m.Rand, m.orgs)
	team, u, role := choose(m.Rand, m.teams[o.ID]), choose(m.Rand, m.users), choose(m.Rand, realmRoles)
	at := orgs.Place{OrgID: o.ID}
	if m.IntN(3) > 0 {
		at.TeamID = team.ID
	}
	var err error
	switch m.IntN(19) {
	case 0, 1, 2:
		_, err = m.AddMember(ctx, orgs.Place{OrgID: o.ID}, orgs.NewMember{User: u.ID, Role: choose(m.Rand, append(realmRoles, rbac.MemberRole, rbac.OwnerRole))})
		if at.TeamID != "" {
			_, err = m.AddMember(ctx, at, orgs.NewMember{User: u.ID, Role: role, Permissions: orgs.Grants{Remove: m.some("models.use", "*.read")}})
		}
	case 3:
		_, err = m.RemoveMember(ctx, at, u.ID, orgs.MemberRemoval{})
	case 4:
		_, err = m.UpdateMember(ctx, at, u.ID, orgs.MemberUpdate{Role: &role, Permissions: &orgs.Grants{Add: m.some("billing.read", "models.use:own"), Remove: m.some("usage.read")}})
	case 5:
		_, err = m.UpdateOrganization(ctx, o.ID, orgs.OrganizationUpdate{Settings: &orgs.OrgSettings{Models: &orgs.ModelSettings{Blocked: m.some("claude-*")}}})
	case 6:
		permissions := m.some("models.*", "*.read", "usage.read:own", "api_keys.use", "billing.*")
		inherited := m.IntN(2) == 0
		_, err = m.UpdateRole(ctx, o.ID, role, rbac.RoleUpdate{Permissions: &permissions, Inherited: &inherited})
	case 7:
		_, _, err = m.SetOverride(ctx, o.ID, team.ID, role, m.some("billing.read", "models.use"), m.some("models.*", "*.read"))
	case 8:
		_, err = m.DeleteOverride(ctx, o.ID, team.ID, role)
	case 9, 10:
		var p rbac.Policy
		if p, _, err = m.CreatePolicy(ctx, o.ID, at.TeamID, m.policy()); err == nil {
			m.policies[o.ID] = append(m.policies[o.ID], p)
		}
	case 11:
		if list := m.policies[o.ID]; len(list) > 0 {
			p := choose(m.Rand, list)
			if m.IntN(3) == 0 {
				_, err = m.DeletePolicy(ctx, o.ID, p.TeamID, p.ID)
			} else {
				_, _, err = m.UpdatePolicy(ctx, o.ID, p.TeamID, p.ID, m.policy())
			}
		}
	case 12:
		settings := orgs.TeamSettings{Models: &orgs.ModelSettings{Blocked: m.some("gpt-4*"), RequireApproval: m.some("o3", "claude-*")}, Features: &orgs.FeatureSettings{Vision: ptr(m.IntN(2) == 0)}}
		if m.IntN(3) == 0 {
			settings.Models.Allowed = m.some("claude-*", "gpt-4o")
		}
		_, err = m.UpdateTeam(ctx, team.ID, orgs.TeamUpdate{Settings: &settings})
	case 13:
		var k orgs.APIKey
		in := orgs.NewAPIKey{Name: "k", Team: team.ID, User: ptr(""), InheritTeam: m.IntN(2) == 0, Permissions: m.some("models.*", "billing.read", "teams.read")}
		if m.IntN(2) == 0 {
			in.User = &u.ID
		}
		if k, _, err = m.CreateAPIKey(m.As(choose(m.Rand, m.users)), in); err != nil {
			k, _, err = m.CreateAPIKey(ctx, in)
		}
		if err == nil {
			m.keys = append(m.keys, k)
		}
	case 14:
		if len(m.keys) > 0 {
			k := choose(m.Rand, m.keys)
			switch m.IntN(4) {
			case 0:
				_, err = m.DisableAPIKey(ctx, k.ID, "for a test")
			case 1:
				_, err = m.EnableAPIKey(ctx, k.ID, "for a test")
			case 2:
				_, err = m.RevokeAPIKey(ctx, k.ID, "for a test")
			case 3:
				_, err = m.UpdateAPIKey(ctx, k.ID, orgs.KeyUpdate{User: &u.ID, Permissions: ptr(m.some("models.*", "usage.read"))})
			}
		}
	case 15, 17, 18:
		var a rbac.Approval
		a, err = m.RequestApproval(ctx, rbac.Request{OrgID: o.ID, TeamID: team.ID, Action: "models.use", Person: u.ID, Call: rbac.Call{Resource: choose(m.Rand, []string{"model:o3", "model:claude-3"})}}, nil, "")
		if err == nil {
			d := rbac.ApprovalDecision{Approve: true}
			if m.IntN(2) == 0 {
				d.MaxAmount = ptr(decimal.NewFromInt(2))
			}
			_, err = m.DecideApproval(m.As(m.chief), o.ID, a.ID, d)
		}
	case 16:
		switch m.IntN(4) {
		case 0:
			_, err = m.SuspendOrganization(ctx, o.ID, "for a test")
		case 1:
			_, err = m.ResumeOrganization(ctx, o.ID, "")
		case 2:
			_, err = m.MoveOrganization(ctx, m.orgs[2].ID, choose(m.Rand, []string{m.orgs[0].ID, m.orgs[1].ID}))
		case 3:
			_, err = m.ArchiveTeam(ctx, team.ID)
		}
	}
	var field *store.FieldError
	var conflict *store.ConflictError
	switch {
	case err == nil, errors.Is(err, store.ErrNotFound), errors.Is(err, rbac.ErrDenied), errors.As(err, &field), errors.As(err, &conflict), errors.Is(err, store.ErrExists):
	default:
		require.NoError(t, err)
	}
}

func (m *realm) some(of ...string) []string {
	list := []string{}
	for _, s := range of {
		if m.IntN(2) == 0 {
			list = append(list, s)
		}
	}
	return list
}

func (m *realm) policy() rbac.NewPolicy {
	p := rbac.NewPolicy{Name: fmt.Sprint("p", m.Int()), Disabled: m.IntN(5) == 0}
	for range 1 + m.IntN(2) {
		st := rbac.Statement{Effect: choose(m.Rand, []rbac.Effect{rbac.EffectAllow, rbac.EffectAllow, rbac.EffectDeny}),
			Actions: []string{choose(m.Rand, []string{"models:use", "*.read", "billing.*", "policies.*"})}, Resources: []string{choose(m.Rand, []string{"*", "model:claude-*", "model:gpt-4o"})}}
		switch m.IntN(7) {
		case 0:
			st.Conditions.IPAddress = &rbac.IPCondition{Type: rbac.IPInRange, Value: rbac.IPRanges{Ranges: []string{"10.0.0.0/8"}}}
		case 1:
			st.Conditions.CostLimit = &rbac.CostCondition{Type: rbac.PerRequest, MaxAmount: decimal.NewFromInt(1)}
		case 2:
			st.Conditions.MFA = &rbac.MFACondition{Type: rbac.Required, MaxAgeMinutes: ptr(60)}
		case 3:
			st.Conditions.Time = &rbac.TimeCondition{Type: rbac.BusinessHours, Hours: &rbac.Hours{Start: "09:00", End: "18:00"}}
		case 4:
			st.Conditions.AnomalyScore = &rbac.ScoreCondition{Type: rbac.GreaterThan, Value: choose(m.Rand, []float64{0.4, 0.6})}
		case 5:
			st.Conditions.Approval = &rbac.ApprovalCondition{Type: rbac.Required, Approvers: []string{"heir", rbac.OwnerRole}}
		}
		p.Statements = append(p.Statements, st)
	}
	return p
}

// ask asks one random question of somebody who has read everything just now, of a unit, of memory, and of a
// principal that is kept for ever.
func (m *realm) ask(t *testing.T, fresh *orgs.Manager, now time.Time) (known bool) {
	o := choose(m.Rand, m.orgs)
	r := rbac.Request{OrgID: o.ID, Action: choose(m.Rand, []string{"models.use", "models.read", "billing.read", "teams.read", "usage.read", "policies.update", "no.such"}),
		Call: rbac.Call{Resource: choose(m.Rand, []string{"model:o3", "model:gpt-4o", "model:claude-3", "team:" + m.teams[o.ID][0].ID, "feature:vision"}), At: now}}
	if m.IntN(3) > 0 {
		r.TeamID = choose(m.Rand, m.teams[o.ID]).ID
	}
	subject := choose(m.Rand, m.users).ID
	if len(m.keys) > 0 && m.IntN(3) == 0 {
		subject = choose(m.Rand, m.keys).ID
	}
	if m.IntN(2) == 0 {
		r.IP, r.MFAAt, r.Cost = netip.MustParseAddr("10.1.2.3"), ptr(now.Add(-time.Minute)), ptr(decimal.NewFromInt(int64(m.IntN(4))))
	}
	if m.IntN(4) == 0 {
		r.Owner = subject
	}
	if m.IntN(8) == 0 {
		r.Asked = "model:gpt-4-alias"
	}
	check := func(by *orgs.Manager) (d rbac.Decision, missing error) {
		require.NoError(t, by.View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			d, missing = by.Check(ctx, tx, subject, r)
			if errors.Is(missing, store.ErrNotFound) {
				return nil
			}
			return missing
		}))
		d.ID = ""
		return d, missing
	}
	want, missing := check(fresh)
	about := fmt.Sprintf("%s asks %+v: %+v", subject, r, want)
	unit, unitMissing := check(m.Manager)
	require.Equal(t, want, unit, about)
	require.Equal(t, missing, unitMissing, about)
	got, err := m.Decide(t.Context(), subject, &r)
	fast, fastErr := m.Allows(t.Context(), subject, &r)
	if missing != nil {
		require.ErrorIs(t, err, store.ErrNotFound, about)
		require.ErrorIs(t, fastErr, store.ErrNotFound, about)
	} else {
		require.NoError(t, err, about)
		require.NoError(t, fastErr, about)
	}
	got.ID = ""
	require.Equal(t, want, got, about)
	require.Equal(t, want.Allowed, fast.Allowed, about)

	key := [3]string{o.ID, r.TeamID, subject}
	p := m.kept[key]
	if p == nil {
		if p, err = m.Principal(t.Context(), o.ID, r.TeamID, subject); err == nil {
			m.kept[key] = p
		}
	}
	if p != nil {
		by, err := p.Allows(t.Context(), m.Action(r.Action), &r.Call)
		if missing != nil {
			require.ErrorIs(t, err, store.ErrNotFound, about)
		} else {
			require.NoError(t, err)
		}
		require.Equal(t, want.Allowed, by.Allowed, about)
	}
	return missing == nil
}

func TestMemoryAndUnitsDecideAlike(t *testing.T) {
	rounds := map[string]int{"memory": 600, "twice": 100, "sqlite": 150, "postgres": 60}
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		m := newRealm(t, s, rand.New(rand.NewPCG(seed, 1)))
		defer m.Close()
		answered := 0
		for range rounds[path.Base(t.Name())] {
			m.change(t)
			fresh, err := orgs.New(s, withScores())
			require.NoError(t, err)
			for range 12 {
				if m.ask(t, fresh, clock.Now()) {
					answered++
				}
			}
		}
		require.NotZero(t, answered)
	})
}
