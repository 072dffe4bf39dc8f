package orgs_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/memory"
	"github.com/orgkit/orgkit/store/storetest"
)

// verdicts are the answers of an organization by subject, context, action and resource; what is not there is a
// refusal.
type verdicts map[[4]string]rbac.Verdict

// verdicts asks for everything, by the code that a what-if does not use.
func (m *realm) verdicts(t *testing.T, orgID string, resources []string) verdicts {
	all := verdicts{}
	subjects := []string{m.chief.ID}
	for _, u := range slices.Concat(m.users, m.crowd[:3]) {
		subjects = append(subjects, u.ID)
	}
	for _, k := range m.keys[max(0, len(m.keys)-4):] {
		subjects = append(subjects, k.ID)
	}
	contexts := []string{""}
	for _, at := range m.parts[orgID] {
		contexts = append(contexts, at.TeamID)
	}
	for _, subject := range subjects {
		for _, team := range contexts {
			itself := "organization:" + orgID
			if at := (orgs.Place{OrgID: orgID, TeamID: team}); team != "" {
				itself = map[bool]string{true: "project:", false: "team:"}[at.IsProject()] + team
			}
			for _, resource := range append([]string{itself}, resources...) {
				list, err := m.WhatCan(m.Platform(), subject, rbac.AccessQuery{OrgID: orgID, TeamID: team, Resource: resource})
				if errors.Is(err, store.ErrNotFound) {
					continue
				}
				require.NoError(t, err)
				for _, p := range list {
					switch model := strings.HasPrefix(p.Action, "models."); {
					case model && resource != itself:
						all[[4]string{subject, team, p.Action, resource}] = p.Verdict
					case !model && !ofPlaces(p.Action) && resource == itself:
						all[[4]string{subject, team, p.Action, "*"}] = p.Verdict
					}
				}
			}
		}
	}
	return all
}

// to lists what becomes another verdict.
func (v verdicts) to(after verdicts) map[[4]string][2]rbac.Verdict {
	list := map[[4]string][2]rbac.Verdict{}
	for k := range v {
		list[k] = [2]rbac.Verdict{v[k], rbac.VerdictDeny}
	}
	for k, is := range after {
		was := v[k]
		if was == "" {
			was = rbac.VerdictDeny
		}
		list[k] = [2]rbac.Verdict{was, is}
	}
	maps.DeleteFunc(list, func(_ [4]string, c [2]rbac.Verdict) bool { return c[0] == c[1] })
	return list
}

// What is foretold of a change is what comes of it: for whatever change, and everybody.
func TestWhatIfForetellsWhatComes(t *testing.T) {
	rounds := map[string]int{"memory": 200, "twice": 20, "sqlite": 10, "postgres": 6}
	// What is left out acts as somebody else than the context says, and would not join the unit, or fails in part of it.
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(changes)), func(name string) bool {
		return slices.Contains([]string{"approval", "key", "delete user", "restore all"}, name)
	})
	models := []string{"model:o3", "model:gpt-4o", "model:claude-3", "feature:vision"}
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		m := newRealm(t, s, rand.New(rand.NewPCG(seed, 1)))
		defer m.Close()
		for range 30 {
			m.change(t)
		}
		changed, made := 0, 0
		kind := path.Base(t.Name())
		// Chance may have it that a few rounds change nothing: there are more then, where they are cheap.
		for n := 0; n < rounds[kind]/fewer || kind == "memory" && changed == 0 && n < 10*rounds[kind]; n++ {
			m.change(t)
			name, o := choose(m.Rand, names), choose(m.Rand, m.orgs)
			apply := func(ctx context.Context) error {
				m.Rand = rand.New(rand.NewPCG(seed, uint64(n)+2))
				return changes[name](m, ctx, m.spot())
			}
			kept := *m
			kept.parts = maps.Clone(m.parts)
			for org, parts := range kept.parts {
				kept.parts[org] = slices.Clone(parts)
			}
			before := m.verdicts(t, o.ID, models)
			foretold, err := m.WhatIf(m.Platform(), rbac.WhatIfQuery{OrgID: o.ID, Resources: models}, apply)
			m.parts, m.lost, m.policies, m.keys, m.crowd = kept.parts, kept.lost, kept.policies, kept.keys, kept.crowd
			require.Equal(t, before, m.verdicts(t, o.ID, models), "nothing is changed")
			if errors.Is(err, store.ErrNotFound) && m.gone(t, o.ID) {
				continue
			}
			parts := slices.Clone(m.parts[o.ID])
			failed := apply(m.Platform())
			require.Equal(t, failed == nil, err == nil, "%s: %v, foretold %v", name, failed, err)
			if failed != nil {
				continue
			}
			made++
			m.parts[o.ID], parts = parts, m.parts[o.ID] // those that there were
			comes := before.to(m.verdicts(t, o.ID, models))
			m.parts[o.ID], parts = parts, m.parts[o.ID]
			is := map[[4]string][2]rbac.Verdict{}
			for _, c := range foretold.Changes {
				require.Equal(t, c.Widens, c.Widens && foretold.Widens)
				if rank(c.After) > rank(c.Before) {
					require.True(t, c.Widens)
				}
				if rank(c.After) < rank(c.Before) {
					require.False(t, c.Widens)
				}
				if c.OrgID != o.ID { // one below it
					continue
				}
				for _, subject := range c.Subjects {
					for _, team := range c.Contexts {
						is[[4]string{subject, team, c.Action, c.Resource}] = [2]rbac.Verdict{c.Before.Verdict, c.After.Verdict}
					}
				}
			}
			for k, want := range comes {
				require.Equal(t, want, is[k], "%s: %v in %s", name, k, o.Name)
				changed++
			}
			for k, c := range is { // and nothing else
				asked := k[3] == "*" && !strings.HasPrefix(k[2], "models.") && !ofPlaces(k[2])
				asked = asked || strings.HasPrefix(k[2], "models.") && slices.Contains(models, k[3])
				there := k[1] == "" || slices.Contains(parts, orgs.Place{OrgID: o.ID, TeamID: k[1]})
				if c[0] != c[1] && asked && there && before.knows(k[0]) {
					require.Equal(t, comes[k], c, "%s: %v in %s", name, k, o.Name)
				}
			}
		}
		if kind == "memory" {
			require.NotZero(t, changed)
		}
		t.Logf("%d changes, %d answers", made, changed)
	})
}

// ofPlaces says whether what is one's own is known where a place is asked about itself: a what-if says so, and
// who asks what somebody may do hears that it depends.
func ofPlaces(action string) bool {
	return strings.HasPrefix(action, "teams.") || strings.HasPrefix(action, "projects.")
}

// knows says whether the subject was asked about.
func (v verdicts) knows(subject string) bool {
	for k := range v {
		if k[0] == subject {
			return true
		}
	}
	return false
}

func rank(t rbac.Terms) int {
	return map[rbac.Verdict]int{rbac.VerdictDeny: 0, rbac.VerdictConditional: 1, rbac.VerdictAllow: 2}[t.Verdict]
}

// office is a statement on a model that holds at some addresses only.
func office(resource, ranges string) rbac.NewPolicy {
	return rbac.NewPolicy{Name: "office", Statements: []rbac.Statement{{Effect: rbac.EffectAllow, Actions: []string{"models:use"}, Resources: []string{resource},
		Conditions: rbac.Conditions{IPAddress: &rbac.IPCondition{Type: rbac.IPInRange, Value: rbac.IPRanges{Ranges: []string{ranges}}}}}}}
}

func TestWhatIfSaysWhoIsConcernedAndHow(t *testing.T) {
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		org, owner := w.Org("acme")
		w.Roles(org)
		team := w.Team(org, "crew", orgs.TeamSettings{})
		dev, other := w.Join(team, "dev@acme.example", "developer"), w.Join(team, "other@acme.example", "developer")
		viewer := w.Join(team, "viewer@acme.example", "viewer")
		people := []string{dev.ID, other.ID}
		slices.Sort(people)
		q := rbac.WhatIfQuery{OrgID: org.ID, Resources: []string{"model:claude-3", "model:gpt-4o"}}
		ip := func(ranges string) rbac.Conditions { return office("", ranges).Statements[0].Conditions }

		// A policy confines those who had it always, and gives it to the viewer, who had it never.
		d, err := w.WhatIf(w.As(owner), q, func(ctx context.Context) error {
			return third(w.CreatePolicy(ctx, org.ID, team.ID, office("model:claude-*", "10.0.0.0/8")))
		})
		require.NoError(t, err)
		require.True(t, d.Widens)
		confined := rbac.Terms{Verdict: rbac.VerdictConditional, When: []rbac.Term{{Conditions: ip("10.0.0.0/8")}}}
		all := append(slices.Clone(people), owner.ID)
		slices.Sort(all)
		row := func(resource string, subjects []string, before rbac.Terms, widens bool) rbac.AccessChange {
			return rbac.AccessChange{OrgID: org.ID, Subjects: subjects, Contexts: []string{team.ID}, Action: "models.use", Resource: resource, Before: before, After: confined, Widens: widens}
		}
		never, always := rbac.Terms{Verdict: rbac.VerdictDeny}, rbac.Terms{Verdict: rbac.VerdictAllow}
		for _, c := range d.Changes {
			slices.Sort(c.Subjects)
		}
		require.ElementsMatch(t, []rbac.AccessChange{
			row("model:claude-*", all, always, false), row("model:claude-3", all, always, false),
			row("model:claude-*", []string{viewer.ID}, never, true), row("model:claude-3", []string{viewer.ID}, never, true),
		}, d.Changes)
		policies, err := w.Policies(w.As(owner), org.ID, team.ID, 0, "")
		require.NoError(t, err)
		require.Empty(t, policies.Items)

		// The same statement for other addresses is another answer, and may be more: nothing looks into ranges.
		p, _, err := w.CreatePolicy(w.As(owner), org.ID, team.ID, office("model:claude-*", "10.0.0.0/8"))
		require.NoError(t, err)
		d, err = w.WhatIf(w.As(owner), q, func(ctx context.Context) error {
			return third(w.UpdatePolicy(ctx, org.ID, team.ID, p.ID, office("model:claude-*", "10.0.0.0/9")))
		})
		require.NoError(t, err)
		require.Len(t, d.Changes, 2)
		for _, c := range d.Changes {
			require.Equal(t, []rbac.Term{{Conditions: ip("10.0.0.0/8")}}, c.Before.When)
			require.Equal(t, []rbac.Term{{Conditions: ip("10.0.0.0/9")}}, c.After.When)
			require.True(t, c.Widens)
		}
		// A name, or a statement that says the same in other words, is none.
		d, err = w.WhatIf(w.As(owner), q, func(ctx context.Context) error {
			in := office("model:claude-*", "10.0.0.0/8")
			in.Name, in.Statements[0].Actions = "another", []string{"models.use"}
			return third(w.UpdatePolicy(ctx, org.ID, team.ID, p.ID, in))
		})
		require.NoError(t, err)
		require.Empty(t, d.Changes)
		require.False(t, d.Widens)

		// A member, by another role: in the team, not elsewhere.
		d, err = w.WhatIf(w.As(owner), q, func(ctx context.Context) error {
			return second(w.UpdateMember(ctx, orgs.Place{OrgID: org.ID, TeamID: team.ID}, dev.ID, orgs.MemberUpdate{Role: ptr("viewer")}))
		})
		require.NoError(t, err)
		require.True(t, d.Widens, "a viewer reads more")
		for _, c := range d.Changes {
			require.Equal(t, [][]string{{dev.ID}, {team.ID}}, [][]string{c.Subjects, c.Contexts})
			require.Equal(t, c.After.Verdict == rbac.VerdictAllow || c.Before.Verdict == rbac.VerdictDeny, c.Widens, "%+v", c)
		}
		require.Contains(t, d.Changes, rbac.AccessChange{OrgID: org.ID, Subjects: []string{dev.ID}, Contexts: []string{team.ID}, Action: "billing.read", Resource: "*",
			Before: never, After: always, Widens: true})
	})
}

// Narrowing makes what grants nothing new, and nothing else.
func TestNarrowingStoresNothingThatWidens(t *testing.T) {
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		org, owner := w.Org("acme")
		w.Roles(org)
		team := w.Team(org, "crew", orgs.TeamSettings{})
		w.Join(team, "dev@acme.example", "developer")
		q := rbac.WhatIfQuery{OrgID: org.ID}
		set := func(permissions ...string) func(context.Context) error {
			return func(ctx context.Context) error {
				return second(w.UpdateRole(ctx, org.ID, "developer", rbac.RoleUpdate{Permissions: &permissions}))
			}
		}
		d, err := w.Narrowing(w.As(owner), q, set("models.*", "billing.read"))
		require.ErrorIs(t, err, store.ErrConflict)
		require.True(t, d.Widens)
		role, err := w.Role(w.As(owner), org.ID, "developer")
		require.NoError(t, err)
		require.NotContains(t, role.Permissions, "billing.read")

		d, err = w.Narrowing(w.As(owner), q, set("models.read"))
		require.NoError(t, err)
		require.False(t, d.Widens)
		require.NotEmpty(t, d.Changes)
		role, err = w.Role(w.As(owner), org.ID, "developer")
		require.NoError(t, err)
		require.Equal(t, []string{"models.read"}, role.Permissions)
	})
}

func TestARehearsalLeavesNothing(t *testing.T) {
	each(t, func(t *testing.T, plain *orgstest.World, _ *storetest.Clock) {
		told := &orgstest.Notifications{}
		w := orgstest.New(t, plain.Store(), &orgs.Options{Notifier: told})
		defer w.Close()
		org, owner := plain.Org("acme")
		team := w.Team(org, "crew", orgs.TeamSettings{})
		q := rbac.WhatIfQuery{OrgID: org.ID}
		events := func() int {
			page, err := w.AuditLog(w.Platform(), org.ID, audit.Filter{Types: []string{"settings.*", "member.*", "authorization.*"}, Limit: 200})
			require.NoError(t, err)
			return len(page.Items)
		}
		seen := 0
		stop := w.Watch(nil, func(rbac.Changed) { seen++ })
		defer stop()
		before := events()
		_, err := w.WhatIf(w.As(owner), q, func(ctx context.Context) error {

			if err := third(w.Invite(ctx, orgs.Place{OrgID: org.ID}, orgs.NewInvitation{Email: "new@acme.example", Role: rbac.MemberRole, SendEmail: true})); err != nil {
				return err
			}
			return second(w.CreateRole(ctx, org.ID, rbac.NewRole{Name: "new", Permissions: []string{"models.use"}}))
		})
		require.NoError(t, err)
		require.Equal(t, []int{before, 0}, []int{events(), seen})
		require.Empty(t, told.Take())

		// What may not be made cannot be looked at, which is a refusal like any other.
		member := w.User("member@acme.example")
		w.Add(orgs.Place{OrgID: org.ID}, member, rbac.MemberRole)
		_, err = w.WhatIf(w.As(member), q, func(ctx context.Context) error { panic("who sees nobody is not shown anybody") })
		require.ErrorIs(t, err, store.ErrNotFound)
		_, err = w.UpdateMember(w.Platform(), orgs.Place{OrgID: org.ID}, member.ID, orgs.MemberUpdate{Permissions: &orgs.Grants{Add: []string{"members.read"}}})
		require.NoError(t, err)
		before = events()
		_, err = w.WhatIf(w.As(member), q, func(ctx context.Context) error {
			return second(w.UpdateTeam(ctx, team.ID, orgs.TeamUpdate{Name: ptr("x")}))
		})
		require.ErrorIs(t, err, rbac.ErrDenied)
		require.Equal(t, before+1, events())
		errBroken := errors.New("broken")
		_, err = w.WhatIf(w.As(owner), q, func(ctx context.Context) error {
			require.NoError(t, second(w.CreateRole(ctx, org.ID, rbac.NewRole{Name: "half", Permissions: []string{}})))
			return errBroken
		})
		require.ErrorIs(t, err, errBroken)
		_, err = w.WhatIf(w.As(owner), rbac.WhatIfQuery{OrgID: "org_missing"}, func(context.Context) error { return nil })
		require.ErrorIs(t, err, store.ErrNotFound)
		_, err = w.WhatIf(w.As(owner), rbac.WhatIfQuery{OrgID: org.ID, Resources: []string{"model:*"}}, func(context.Context) error { return nil })
		require.ErrorIs(t, err, store.ErrInvalid)
		require.Error(t, w.Together(w.As(owner), func(ctx context.Context) error {
			_, err := w.WhatIf(ctx, q, func(context.Context) error { return nil })
			return err
		}))
	})
}

// What lets more through, though no answer shows it, is named.
func TestWhatOpensBesideTheRulesIsNamed(t *testing.T) {
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		above, _ := w.Org("above")
		org, err := w.CreateOrganization(w.Platform(), orgs.NewOrganization{Name: "acme", Parent: above.ID, Settings: orgs.OrgSettings{Security: &orgs.SecuritySettings{Require2FA: true}}})
		require.NoError(t, err)
		team := w.Team(org, "crew", orgs.TeamSettings{})
		_, err = w.ArchiveTeam(w.Platform(), team.ID)
		require.NoError(t, err)
		for name, change := range map[string]func(context.Context) error{
			"require_2fa": func(ctx context.Context) error {
				return second(w.UpdateOrganization(ctx, org.ID, orgs.OrganizationUpdate{Settings: &orgs.OrgSettings{}}))
			},
			"status": func(ctx context.Context) error { return second(w.UnarchiveTeam(ctx, team.ID)) },
			"parent": func(ctx context.Context) error { return second(w.MoveOrganization(ctx, org.ID, "")) },
		} {
			d, err := w.WhatIf(w.Platform(), rbac.WhatIfQuery{OrgID: org.ID}, change)
			require.NoError(t, err, name)
			require.Equal(t, []string{name}, d.Opens)
			require.True(t, d.Widens, name)
		}
		d, err := w.WhatIf(w.Platform(), rbac.WhatIfQuery{OrgID: org.ID}, func(ctx context.Context) error {
			return second(w.UpdateTeam(ctx, team.ID, orgs.TeamUpdate{Name: ptr("other")}))
		})
		require.NoError(t, err)
		require.Empty(t, d.Opens)
		require.False(t, d.Widens)
	})
}

// What is too much to be looked at is counted, and is not called narrower.
func TestWhatIsNotLookedAtMayWiden(t *testing.T) {
	w := orgstest.New(t, memory.New(nil), nil)
	defer w.Close()
	org, owner := w.Org("acme")
	for i := range 102 {
		_, err := w.CreateOrganization(w.Platform(), orgs.NewOrganization{Name: fmt.Sprint("below ", i), Parent: org.ID})
		require.NoError(t, err)
	}
	_, err := w.CreateRole(w.Platform(), org.ID, rbac.NewRole{Name: "heir", Permissions: []string{"models.*"}, Inherited: true})
	require.NoError(t, err)
	d, err := w.Narrowing(w.As(owner), rbac.WhatIfQuery{OrgID: org.ID}, func(ctx context.Context) error {
		return second(w.UpdateRole(ctx, org.ID, "heir", rbac.RoleUpdate{Permissions: &[]string{"models.use"}}))
	})
	require.ErrorIs(t, err, store.ErrConflict)
	require.Equal(t, 2, d.Unlooked)
	require.Empty(t, d.Changes, "nobody holds it")
}
