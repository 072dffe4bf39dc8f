package orgs_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"path"
	"slices"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
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
	orgs     []orgs.Organization     // from the root down, at first
	parts    map[string][]orgs.Place // teams and projects, by organization
	lost     []orgs.Place            // teams that were deleted
	users    []orgs.User
	crowd    []orgs.User // who come and go together
	chief    orgs.User   // who owns the root, and so may mostly approve
	keys     []orgs.APIKey
	given    []rbac.Approval
	policies []rbac.Policy
	kept     map[[3]string]*rbac.Principal
	done     map[string]int // how often changes have succeeded
}

func choose[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

var realmRoles = []string{"team_lead", "developer", "viewer", "finance", "heir"}

func newRealm(t *testing.T, s *store.Store, r *rand.Rand) *realm {
	w := orgstest.New(t, s, withScores())
	m := &realm{World: w, Rand: r, parts: map[string][]orgs.Place{}, kept: map[[3]string]*rbac.Principal{}, done: map[string]int{}}
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
			team := w.Team(o, fmt.Sprintf("%s-%d", name, i), orgs.TeamSettings{})
			m.parts[o.ID] = append(m.parts[o.ID], orgs.Place{OrgID: o.ID, TeamID: team.ID})
		}
		project, err := w.CreateProject(w.Platform(), o.ID, orgs.NewProject{Name: name})
		require.NoError(t, err)
		m.parts[o.ID] = append(m.parts[o.ID], orgs.Place{OrgID: o.ID, TeamID: project.ID})
	}
	for i := range 6 {
		m.users = append(m.users, w.User(fmt.Sprintf("user%d@realm.example", i)))
	}
	for i := range 24 {
		m.crowd = append(m.crowd, w.User(fmt.Sprintf("crowd%d@realm.example", i)))
	}
	m.chief = w.User("chief@realm.example")
	w.Add(orgs.Place{OrgID: m.orgs[0].ID}, m.chief, rbac.OwnerRole)
	for _, u := range m.users {
		for _, o := range m.orgs {
			w.Add(orgs.Place{OrgID: o.ID}, u, choose(r, realmRoles))
		}
	}
	for range 40 {
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

// spot is where a random change happens, and to whom.
type spot struct {
	org  orgs.Organization
	team orgs.Place // or project
	at   orgs.Place // the team or the organization
	user orgs.User
	role string
}

func (m *realm) spot() spot {
	o := choose(m.Rand, m.orgs)
	s := spot{o, choose(m.Rand, m.parts[o.ID]), orgs.Place{OrgID: o.ID}, choose(m.Rand, m.users), choose(m.Rand, realmRoles)}
	if m.IntN(3) > 0 {
		s.at = s.team
	}
	return s
}

// change does one random thing, which may be refused.
func (m *realm) change(t *testing.T) {
	name := choose(m.Rand, append(slices.Sorted(maps.Keys(changes)), "join", "join team", "join team", "member", "member", "key", "key", "new policy", "approval"))
	err := changes[name](m, m.Platform(), m.spot())
	var field *store.FieldError
	var conflict *store.ConflictError
	switch {
	case err == nil:
		m.done[name]++
	case errors.Is(err, store.ErrNotFound), errors.Is(err, rbac.ErrDenied), errors.As(err, &field), errors.As(err, &conflict), errors.Is(err, store.ErrExists):
	default:
		require.NoError(t, err, name)
	}
}

// changes are all kinds of change that decisions can depend on.
var changes = map[string]func(m *realm, ctx context.Context, s spot) error{
	"join": func(m *realm, ctx context.Context, s spot) error {
		role := choose(m.Rand, append(realmRoles, rbac.MemberRole, rbac.OwnerRole))
		return second(m.AddMember(ctx, orgs.Place{OrgID: s.org.ID}, orgs.NewMember{User: s.user.ID, Role: role}))
	},
	"join team": func(m *realm, ctx context.Context, s spot) error {
		return second(m.AddMember(ctx, s.team, orgs.NewMember{User: s.user.ID, Role: s.role, Permissions: orgs.Grants{Remove: m.some("models.use", "*.read")}}))
	},
	"leave": func(m *realm, ctx context.Context, s spot) error {
		return second(m.RemoveMember(ctx, s.at, s.user.ID, orgs.MemberRemoval{Later: m.oneIn(2)}))
	},
	"leave to an heir": func(m *realm, ctx context.Context, s spot) error {
		return second(m.RemoveMember(ctx, s.at, s.user.ID, orgs.MemberRemoval{ReassignTo: choose(m.Rand, m.users).ID}))
	},
	"member": func(m *realm, ctx context.Context, s spot) error {
		grants := orgs.Grants{Add: m.some("billing.read", "models.use:own"), Remove: m.some("usage.read", "models.use", "*.read")}
		in := orgs.MemberUpdate{Permissions: &grants}
		if m.oneIn(2) {
			in.Role = &s.role
		}
		return second(m.UpdateMember(ctx, s.at, s.user.ID, in))
	},
	"suspend or resume member": func(m *realm, ctx context.Context, s spot) error { // as SCIM will
		place := m.Int() // drawn once: what follows may be run twice
		return m.Change(ctx, rbac.Op{Action: "members.update", OrgID: s.org.ID}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
			held, err := rbac.Held(ctx, tx, s.org.ID, s.user.ID)
			if err != nil || len(held) == 0 {
				return audit.Change{}, cmp.Or(err, store.ErrNotFound)
			}
			a := held[place%len(held)]
			if a.State == rbac.Active {
				a.State = rbac.Suspended
			} else {
				a.State = rbac.Active
			}
			return audit.Change{Type: "member.role_changed", Resource: audit.Resource{Type: "user", ID: s.user.ID}}, rbac.Assignments.Update(ctx, tx, &a)
		})
	},
	"delete user": func(m *realm, ctx context.Context, s spot) error {
		if !m.oneIn(3) {
			return store.ErrNotFound
		}
		if _, err := m.DeleteUser(ctx, s.user.ID, ""); err != nil {
			return err
		}
		i := slices.Index(m.users, s.user)
		m.users[i] = m.User(fmt.Sprintf("user%d@realm.example", m.Int()))
		for _, o := range m.orgs {
			_, _ = m.AddMember(ctx, orgs.Place{OrgID: o.ID}, orgs.NewMember{User: m.users[i].ID, Role: s.role})
		}
		return nil
	},
	"crowd": func(m *realm, ctx context.Context, s spot) error { // more in one unit than a trail names
		at := orgs.Place{OrgID: s.org.ID}
		_, err := m.Member(ctx, at, m.crowd[0].ID)
		join := errors.Is(err, store.ErrNotFound)
		return m.Together(ctx, func(ctx context.Context) error {
			for _, u := range m.crowd {
				var err error
				if join {
					_, err = m.AddMember(ctx, at, orgs.NewMember{User: u.ID, Role: s.role})
				} else {
					_, err = m.RemoveMember(ctx, at, u.ID, orgs.MemberRemoval{})
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
	},

	"role": func(m *realm, ctx context.Context, s spot) error {
		permissions := m.some("models.*", "*.read", "usage.read:own", "api_keys.use", "billing.*")
		inherited := m.oneIn(2)
		return second(m.UpdateRole(ctx, s.org.ID, s.role, rbac.RoleUpdate{Permissions: &permissions, Inherited: &inherited}))
	},
	"replace role": func(m *realm, ctx context.Context, s spot) error { // and make it anew, for nobody
		if _, err := m.DeleteRole(ctx, s.org.ID, s.role, choose(m.Rand, realmRoles)); err != nil {
			return err
		}
		return second(m.CreateRole(ctx, s.org.ID, rbac.NewRole{Name: s.role, Slug: s.role, Permissions: m.some("models.*", "*.read", "members.approve_requests")}))
	},
	"override": func(m *realm, ctx context.Context, s spot) error {
		return third(m.SetOverride(ctx, s.org.ID, s.team.TeamID, s.role, m.some("billing.read", "models.use"), m.some("models.*", "*.read")))
	},
	"no override": func(m *realm, ctx context.Context, s spot) error {
		return second(m.DeleteOverride(ctx, s.org.ID, s.team.TeamID, s.role))
	},
	"new policy": func(m *realm, ctx context.Context, s spot) error {
		p, _, err := m.CreatePolicy(ctx, s.org.ID, s.at.TeamID, m.policy())
		if err == nil {
			m.policies = append(m.policies, p)
		}
		return err
	},
	"policy": func(m *realm, ctx context.Context, s spot) error {
		if len(m.policies) == 0 {
			return store.ErrNotFound
		}
		p := choose(m.Rand, m.policies)
		return third(m.UpdatePolicy(ctx, p.OrgID, p.TeamID, p.ID, m.policy()))
	},
	"no policy": func(m *realm, ctx context.Context, s spot) error {
		if len(m.policies) == 0 {
			return store.ErrNotFound
		}
		p := choose(m.Rand, m.policies)
		return second(m.DeletePolicy(ctx, p.OrgID, p.TeamID, p.ID))
	},
	"several": func(m *realm, ctx context.Context, s spot) error {
		policy, remove, other, inherited := m.policy(), m.some("models.*"), choose(m.Rand, m.orgs), m.oneIn(2)
		return m.Together(ctx, func(ctx context.Context) error { // which may be run twice
			if err := third(m.CreatePolicy(ctx, s.org.ID, s.at.TeamID, policy)); err != nil {
				return err
			}
			if err := third(m.SetOverride(ctx, s.org.ID, s.team.TeamID, s.role, nil, remove)); err != nil {
				return err
			}
			return second(m.UpdateRole(ctx, other.ID, s.role, rbac.RoleUpdate{Inherited: &inherited}))
		})
	},
	"approval": func(m *realm, ctx context.Context, s spot) error {
		r := rbac.Request{OrgID: s.org.ID, TeamID: s.team.TeamID, Action: "models.use", Person: s.user.ID, Call: rbac.Call{Resource: choose(m.Rand, []string{"model:o3", "model:claude-3"})}}
		if !s.team.IsProject() && m.oneIn(2) { // mostly it is needed
			settings := orgs.TeamSettings{Models: &orgs.ModelSettings{RequireApproval: []string{"o3", "claude-3"}}}
			if _, err := m.UpdateTeam(ctx, s.team.TeamID, orgs.TeamUpdate{Settings: &settings}); err != nil {
				return err
			}
		}
		a, _, err := m.RequestApproval(ctx, r, "")
		if err != nil {
			return err
		}
		d := rbac.ApprovalDecision{Approve: !m.oneIn(6)}
		if m.oneIn(2) {
			d.MaxAmount = ptr(decimal.NewFromInt(2))
		}
		if m.oneIn(2) {
			d.Lasts = time.Hour
		}
		if a, err = m.DecideApproval(m.As(m.chief), s.org.ID, a.ID, d); err == nil {
			m.given = append(m.given, a)
		}
		return err
	},

	"key": func(m *realm, ctx context.Context, s spot) error {
		in := orgs.NewAPIKey{Name: "k", Organization: s.org.ID, User: ptr(""), InheritTeam: m.oneIn(2), Permissions: m.some("models.*", "billing.read", "teams.read")}
		if s.at.IsProject() {
			in.Project = s.at.TeamID
		} else if s.at.TeamID != "" {
			in.Team = s.at.TeamID
		}
		if m.oneIn(2) {
			in.User = &s.user.ID
		}
		k, _, err := m.CreateAPIKey(m.As(choose(m.Rand, m.users)), in)
		if err != nil {
			k, _, err = m.CreateAPIKey(ctx, in)
		}
		if err == nil {
			m.keys = append(m.keys, k)
		}
		return err
	},
	"change key": func(m *realm, ctx context.Context, s spot) error {
		return m.keyed(func(id string) error {
			return second(m.UpdateAPIKey(ctx, id, orgs.KeyUpdate{User: &s.user.ID, Permissions: ptr(m.some("models.*", "usage.read")), InheritTeam: ptr(m.oneIn(2))}))
		})
	},
	"disable key": func(m *realm, ctx context.Context, s spot) error {
		return m.keyed(func(id string) error { return second(m.DisableAPIKey(ctx, id, "")) })
	},
	"enable key": func(m *realm, ctx context.Context, s spot) error {
		return m.keyed(func(id string) error { return second(m.EnableAPIKey(ctx, id, "")) })
	},
	"rotate key": func(m *realm, ctx context.Context, s spot) error {
		return m.keyed(func(id string) error { return third(m.RotateAPIKey(ctx, id, time.Hour)) })
	},
	"revoke key": func(m *realm, ctx context.Context, s spot) error {
		return m.keyed(func(id string) error { return second(m.RevokeAPIKey(ctx, id, "")) })
	},

	"settings": func(m *realm, ctx context.Context, s spot) error {
		zone := choose(m.Rand, []string{"UTC", "Asia/Tokyo", "America/New_York"})
		settings := orgs.OrgSettings{Models: &orgs.ModelSettings{Blocked: m.some("claude-*")}, Defaults: &orgs.DefaultSettings{Timezone: zone}}
		return second(m.UpdateOrganization(ctx, s.org.ID, orgs.OrganizationUpdate{Settings: &settings}))
	},
	"team settings": func(m *realm, ctx context.Context, s spot) error {
		settings := orgs.TeamSettings{Models: &orgs.ModelSettings{Blocked: m.some("gpt-4*"), RequireApproval: m.some("o3", "claude-*")}, Features: &orgs.FeatureSettings{Vision: ptr(m.oneIn(2))}}
		if m.oneIn(3) {
			settings.Models.Allowed = m.some("claude-*", "gpt-4o")
		}
		return second(m.UpdateTeam(ctx, s.team.TeamID, orgs.TeamUpdate{Settings: &settings}))
	},
	"archive": func(m *realm, ctx context.Context, s spot) error { return second(m.ArchiveTeam(ctx, s.team.TeamID)) },
	"unarchive": func(m *realm, ctx context.Context, s spot) error {
		return second(m.UnarchiveTeam(ctx, s.team.TeamID))
	},
	"replace team": func(m *realm, ctx context.Context, s spot) error {
		if s.team.IsProject() {
			return store.ErrNotFound
		}
		if _, err := m.DeleteTeam(ctx, s.team.TeamID, true); err != nil {
			return err
		}
		fresh, err := m.CreateTeam(ctx, s.org.ID, orgs.NewTeam{Name: fmt.Sprint("team ", m.Int())})
		if err == nil {
			i := slices.Index(m.parts[s.org.ID], s.team)
			m.parts[s.org.ID][i], m.lost = orgs.Place{OrgID: s.org.ID, TeamID: fresh.ID}, append(m.lost, s.team)
		}
		return err
	},
	"suspend": func(m *realm, ctx context.Context, s spot) error {
		return second(m.SuspendOrganization(ctx, s.org.ID, ""))
	},
	"resume": func(m *realm, ctx context.Context, s spot) error {
		return second(m.ResumeOrganization(ctx, s.org.ID, ""))
	},
	"move": func(m *realm, ctx context.Context, s spot) error {
		parent := ""
		if !m.oneIn(3) {
			parent = choose(m.Rand, m.orgs).ID
		}
		return second(m.MoveOrganization(ctx, s.org.ID, parent))
	},
	"delete": func(m *realm, ctx context.Context, s spot) error {
		if !m.oneIn(3) {
			return store.ErrNotFound
		}
		return second(m.DeleteOrganization(ctx, s.org.ID, true, ""))
	},
	"restore": func(m *realm, ctx context.Context, s spot) error {
		return second(m.RestoreOrganization(ctx, s.org.ID, ""))
	},
	"restore all": func(m *realm, ctx context.Context, s spot) error {
		for _, o := range m.orgs {
			_, _ = m.RestoreOrganization(ctx, o.ID, "")
		}
		return nil
	},
}

func (m *realm) oneIn(n int) bool { return m.IntN(n) == 0 }

// keyed does something to one of the last keys: more and more of them are revoked.
func (m *realm) keyed(fn func(id string) error) error {
	if len(m.keys) == 0 {
		return store.ErrNotFound
	}
	return fn(choose(m.Rand, m.keys[max(0, len(m.keys)-5):]).ID)
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
		Call: rbac.Call{Resource: choose(m.Rand, []string{"model:o3", "model:gpt-4o", "model:claude-3", "team:" + m.parts[o.ID][0].TeamID, "project:" + m.parts[o.ID][2].TeamID, "feature:vision"}), At: now}}
	gone := false
	switch m.IntN(6) {
	case 0, 1, 2, 3:
		r.TeamID = choose(m.Rand, m.parts[o.ID]).TeamID
	case 4:
		if len(m.lost) > 0 {
			lost := choose(m.Rand, m.lost)
			r.OrgID, r.TeamID, gone = lost.OrgID, lost.TeamID, true
		}
	}
	subject := choose(m.Rand, m.users).ID
	if m.oneIn(12) {
		subject = choose(m.Rand, m.crowd).ID
	}
	if len(m.given) > 0 && m.oneIn(4) { // one of the last
		a := m.given[max(0, len(m.given)-1-m.IntN(5))]
		subject, r.OrgID, r.TeamID, r.Action, r.Resource = a.Requester, a.OrgID, a.TeamID, a.Action, a.Resource
		gone = slices.Contains(m.lost, orgs.Place{OrgID: r.OrgID, TeamID: r.TeamID})
	} else if len(m.keys) > 0 && m.IntN(3) == 0 {
		k := choose(m.Rand, m.keys)
		if subject = k.ID; !gone && m.IntN(3) > 0 {
			r.OrgID, r.TeamID = k.OrgID, k.Context()
			gone = slices.Contains(m.lost, orgs.Place{OrgID: r.OrgID, TeamID: r.TeamID})
		}
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
	if missing == nil && m.oneIn(8) {
		r.Least = want.Revision
	}
	if gone || m.gone(t, r.OrgID) { // to units, which have asked before, that is no matter
		want, missing = rbac.Decision{}, store.ErrNotFound
	}
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

	if missing == nil { // as long as it says, nothing but time makes it another
		later := r
		later.At = now.Add(min(fast.Lasts, 40*24*time.Hour) - 1)
		still, err := m.Allows(t.Context(), subject, &later)
		require.NoError(t, err, about)
		require.Equal(t, fast.Allowed, still.Allowed, "%s, up to %s", about, later.At)
	}

	key := [3]string{r.OrgID, r.TeamID, subject}
	p := m.kept[key]
	if p == nil {
		if p, err = m.Principal(t.Context(), r.OrgID, r.TeamID, subject); err == nil {
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
		why, err := p.Decide(t.Context(), m.Action(r.Action), &r.Call)
		require.Equal(t, missing == nil, err == nil, about)
		if r.Action != "no.such" { // which a principal is not told the name of
			why.ID = ""
			require.Equal(t, want, why, about)
		}
	}
	return missing == nil
}

// gone says whether the organization or one above it is deleted.
func (m *realm) gone(t *testing.T, orgID string) (gone bool) {
	require.NoError(t, m.View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		chain, err := rbac.Lineage(ctx, tx, orgID)
		gone = rbac.Effective(chain) == rbac.Gone
		return err
	}))
	return gone
}

func TestMemoryAndUnitsDecideAlike(t *testing.T) {
	rounds := map[string]int{"memory": 600, "twice": 80, "sqlite": 40, "postgres": 30}
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		m := newRealm(t, s, rand.New(rand.NewPCG(seed, 1)))
		defer m.Close()
		answered := 0
		name := path.Base(t.Name())
		for n := 0; n < rounds[name]/fewer || name == "memory" && n < 10*rounds[name] && len(m.done) < len(changes); n++ {
			if m.oneIn(4) {
				clock.Advance(time.Duration(m.Int64N(int64(20 * time.Hour))))
			}
			m.change(t)
			fresh, err := orgs.New(s, withScores())
			require.NoError(t, err)
			for range 12 {
				if m.ask(t, fresh, clock.Now()) {
					answered++
				}
			}
		}
		t.Logf("%d answers, by %v", answered, m.done)
		if name == "memory" { // of a few rounds all may be about what is gone
			require.NotZero(t, answered)
			require.Len(t, m.done, len(changes), "kinds of change that have succeeded")
		}
	})
}
