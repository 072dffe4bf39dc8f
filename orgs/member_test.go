package orgs_test

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// each runs a test in a new world on every store.
func each(t *testing.T, fn func(t *testing.T, w *orgstest.World, clock *storetest.Clock)) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		fn(t, orgstest.New(t, s, nil), clock)
	})
}

func refused(t *testing.T, err error, code string) *rbac.Denied {
	t.Helper()
	var d *rbac.Denied
	require.ErrorAs(t, err, &d)
	require.ErrorIs(t, err, rbac.ErrDenied)
	require.Equal(t, code, d.Code)
	return d
}

func inTheWay(t *testing.T, err error, code string) {
	t.Helper()
	var c *store.ConflictError
	require.ErrorAs(t, err, &c)
	require.Equal(t, code, c.Code)
}

func wrongField(t *testing.T, err error, field string) {
	t.Helper()
	var f *store.FieldError
	require.ErrorAs(t, err, &f)
	require.Equal(t, field, f.Field)
}

func ptr[T any](v T) *T { return &v }

func TestTheLastOwnerStays(t *testing.T) { // S5
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		org, owner := w.Org("acme")
		at := orgs.Place{OrgID: org.ID}
		_, err := w.RemoveMember(w.As(owner), at, owner.ID, orgs.MemberRemoval{})
		inTheWay(t, err, "last_owner")
		_, err = w.UpdateMember(w.As(owner), at, owner.ID, orgs.MemberUpdate{Role: ptr("member")})
		inTheWay(t, err, "last_owner")
		_, err = w.RemoveMember(w.Platform(), at, owner.ID, orgs.MemberRemoval{})
		inTheWay(t, err, "last_owner")

		second := w.User("second@acme.example")
		w.Add(at, second, "org_admin")
		_, err = w.RemoveMember(w.As(owner), at, "me", orgs.MemberRemoval{Reason: "leaving"})
		require.NoError(t, err)
		_, err = w.Organization(w.As(owner), org.ID)
		require.ErrorIs(t, err, store.ErrNotFound, "who has left is a stranger")
	})
}

func TestAnOwnerWithoutConfirmedAddressDoesNotCount(t *testing.T) { // S5.7
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		unconfirmed, err := w.CreateUser(w.Platform(), orgs.NewUser{Email: "ghost@acme.example"})
		require.NoError(t, err)
		org, err := w.CreateOrganization(w.Platform(), orgs.NewOrganization{Name: "Acme", Owner: unconfirmed.ID})
		require.NoError(t, err)
		real := w.User("real@acme.example")
		w.Add(orgs.Place{OrgID: org.ID}, real, "org_admin")
		_, err = w.RemoveMember(w.As(real), orgs.Place{OrgID: org.ID}, real.ID, orgs.MemberRemoval{})
		inTheWay(t, err, "last_owner")
	})
}

func TestOfTwoOwnersWhoDemoteEachOtherOneStays(t *testing.T) { // S5.8
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		org, first := w.Org("acme")
		at := orgs.Place{OrgID: org.ID}
		second := w.User("second@acme.example")
		w.Add(at, second, "org_admin")
		errs := make(chan error, 2)
		var wg sync.WaitGroup
		for _, pair := range [][2]orgs.User{{first, second}, {second, first}} {
			wg.Go(func() {
				_, err := w.UpdateMember(w.As(pair[0]), at, pair[1].ID, orgs.MemberUpdate{Role: ptr("member")})
				errs <- err
			})
		}
		wg.Wait()
		failed := 0
		for range 2 {
			if <-errs != nil {
				failed++
			}
		}
		require.Equal(t, 1, failed)
	})
}

func TestNobodyHandsOutWhatTheyDoNotHold(t *testing.T) { // S4
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		org, owner := w.Org("acme")
		w.Roles(org)
		team := w.Team(org, "engineering", orgs.TeamSettings{})
		at := orgs.Place{OrgID: org.ID, TeamID: team.ID}
		lead := w.Join(team, "lead@acme.example", "team_lead")
		as := w.As(lead)

		_, _, err := w.Invite(as, at, orgs.NewInvitation{Email: "x@acme.example", Role: "org_admin"})
		require.Equal(t, "role", refused(t, err, "grant_ceiling").Field)
		_, _, err = w.Invite(as, at, orgs.NewInvitation{Email: "x@acme.example", Role: "member", Permissions: orgs.Grants{Add: []string{"billing.*"}}})
		refused(t, err, "grant_ceiling")
		_, _, err = w.CreateAPIKey(as, orgs.NewAPIKey{Name: "k", Team: team.ID, Permissions: []string{"teams.delete"}})
		refused(t, err, "grant_ceiling")
		_, err = w.UpdateMember(as, at, lead.ID, orgs.MemberUpdate{Role: ptr("org_admin")})
		refused(t, err, "permission_denied")
		_, err = w.CreateRole(as, org.ID, rbac.NewRole{Name: "R", Permissions: []string{"*"}})
		refused(t, err, "permission_denied")

		// Whoever may make roles makes none above themselves.
		_, err = w.CreateRole(w.As(owner), org.ID, rbac.NewRole{Name: "Role maker", Permissions: []string{"roles.create", "roles.update", "teams.read"}})
		require.NoError(t, err)
		maker := w.User("maker@acme.example")
		w.Add(orgs.Place{OrgID: org.ID}, maker, "role-maker")
		_, err = w.CreateRole(w.As(maker), org.ID, rbac.NewRole{Name: "Above", Permissions: []string{"teams.*"}})
		require.Equal(t, "permissions", refused(t, err, "grant_ceiling").Field)
		_, err = w.CreateRole(w.As(maker), org.ID, rbac.NewRole{Name: "Below", Permissions: []string{"teams.read:own"}})
		require.NoError(t, err)
		_, _, err = w.SetOverride(w.As(maker), org.ID, team.ID, "developer", []string{"billing.read"}, nil)
		refused(t, err, "grant_ceiling")
		_, err = w.CreateRole(w.As(maker), org.ID, rbac.NewRole{Name: "System", Permissions: []string{"teams.read"}, IsSystem: true})
		refused(t, err, "system_role_forbidden") // F324
	})
}

func TestWhatIsRemovedCannotBeHandedOut(t *testing.T) { // F469
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		org, _ := w.Org("acme")
		w.Roles(org)
		team := w.Team(org, "engineering", orgs.TeamSettings{})
		lead := w.Join(team, "lead@acme.example", "team_lead")
		_, _, err := w.SetOverride(w.Platform(), org.ID, team.ID, "team_lead", []string{"deployments.manage"}, []string{"api_keys.create"})
		require.NoError(t, err)
		_, _, err = w.CreateAPIKey(w.As(lead), orgs.NewAPIKey{Name: "k", Team: team.ID})
		refused(t, err, "permission_denied")
		m, err := w.Member(w.Platform(), orgs.Place{OrgID: org.ID, TeamID: team.ID}, lead.ID)
		require.NoError(t, err)
		require.Contains(t, m.Effective, "deployments.manage")
		require.NotContains(t, m.Effective, "api_keys.create")
	})
}

func TestRevokedRoleIsRefusedOnTheNextCheck(t *testing.T) { // C8, F043
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		org, _ := w.Org("acme")
		w.Roles(org)
		team := w.Team(org, "engineering", orgs.TeamSettings{})
		at := orgs.Place{OrgID: org.ID, TeamID: team.ID}
		dev := w.Join(team, "dev@acme.example", "developer")
		there, err := orgs.New(w.Store(), nil) // as another process: it shares the store alone
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, there.Close()) })
		both := func(allowed bool) {
			t.Helper()
			for range 2 { // again, from what the first one remembers
				for _, m := range []*orgs.Manager{w.Manager, there} {
					_, err := m.Team(w.As(dev), team.ID) // teams.read:own
					if allowed {
						require.NoError(t, err)
					} else {
						require.Error(t, err)
					}
				}
			}
		}
		for range 5 {
			both(true)
			_, err = w.UpdateMember(w.Platform(), at, dev.ID, orgs.MemberUpdate{Permissions: &orgs.Grants{Remove: []string{"teams.read"}}})
			require.NoError(t, err)
			_, err = w.Manager.Team(w.As(dev), team.ID)
			refused(t, err, "permission_denied")
			both(false)
			_, err = w.UpdateMember(w.Platform(), at, dev.ID, orgs.MemberUpdate{Permissions: &orgs.Grants{}})
			require.NoError(t, err)
		}
		both(true)
		_, err = w.RemoveMember(w.Platform(), at, dev.ID, orgs.MemberRemoval{})
		require.NoError(t, err)
		both(false)
		w.Add(at, dev, "developer")
		both(true)
	})
}

// TestARoleFromAboveIsRefusedOnTheNextCheck takes an inherited role away in an organization that the read one rests on.
func TestARoleFromAboveIsRefusedOnTheNextCheck(t *testing.T) {
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		above, _ := w.Org("holding")
		org, err := w.CreateOrganization(w.Platform(), orgs.NewOrganization{Name: "acme", Parent: above.ID})
		require.NoError(t, err)
		team := w.Team(org, "engineering", orgs.TeamSettings{})
		_, err = w.CreateRole(w.Platform(), above.ID, rbac.NewRole{Name: "Auditor", Permissions: []string{"teams.read"}, Inherited: true})
		require.NoError(t, err)
		dev := w.User("dev@acme.example")
		there, err := orgs.New(w.Store(), nil)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, there.Close()) })
		for range 3 {
			w.Add(orgs.Place{OrgID: above.ID}, dev, "auditor")
			for _, m := range []*orgs.Manager{w.Manager, there, w.Manager, there} {
				_, err := m.Team(w.As(dev), team.ID)
				require.NoError(t, err)
			}
			_, err := w.RemoveMember(w.Platform(), orgs.Place{OrgID: above.ID}, dev.ID, orgs.MemberRemoval{})
			require.NoError(t, err)
			for _, m := range []*orgs.Manager{w.Manager, there} {
				_, err := m.Team(w.As(dev), team.ID)
				require.ErrorIs(t, err, store.ErrNotFound)
			}
		}
	})
}

func TestListsShowOnlyOnesOwn(t *testing.T) { // F049
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		org, owner := w.Org("acme")
		w.Roles(org)
		mine := w.Team(org, "mine", orgs.TeamSettings{})
		other := w.Team(org, "other", orgs.TeamSettings{})
		dev := w.Join(mine, "dev@acme.example", "developer")
		page, err := w.Teams(w.As(dev), org.ID, orgs.PartFilter{})
		require.NoError(t, err)
		require.Len(t, page.Items, 1)
		require.Equal(t, mine.ID, page.Items[0].ID)
		_, err = w.Manager.Team(w.As(dev), other.ID)
		require.ErrorIs(t, err, store.ErrNotFound, "somebody else's does not exist")
		page, err = w.Teams(w.As(owner), org.Slug, orgs.PartFilter{})
		require.NoError(t, err)
		require.Len(t, page.Items, 2)
	})
}

func TestRefusalLeavesOneEventAndNothingElse(t *testing.T) {
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		org, _ := w.Org("acme")
		w.Roles(org)
		team := w.Team(org, "engineering", orgs.TeamSettings{})
		dev := w.Join(team, "dev@acme.example", "developer")
		events := func(types ...string) int {
			page, err := w.AuditLog(w.Platform(), org.ID, audit.Filter{Types: types, Limit: 200})
			require.NoError(t, err)
			return len(page.Items)
		}
		before := events("authorization.*")
		_, err := w.CreateTeam(w.As(dev), org.ID, orgs.NewTeam{Name: "Mine"})
		d := refused(t, err, "permission_denied")
		require.Equal(t, "teams.create", d.Decision.MissingPermission)
		require.NotEmpty(t, d.Decision.ID)
		require.Equal(t, before+1, events("authorization.*"))
		require.Equal(t, 1, events("team.created"))

		_, err = w.CreateTeam(w.Platform(), org.ID, orgs.NewTeam{Name: "Engineering"})
		inTheWay(t, err, "slug_taken")
		require.Equal(t, 1, events("team.created"))
		require.Equal(t, before+1, events("authorization.*"))
	})
}

func TestWithoutAnActorNothingHappens(t *testing.T) {
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		org, _ := w.Org("acme")
		ctx := t.Context()
		for name, call := range map[string]func(context.Context) error{
			"create org": func(ctx context.Context) error {
				_, err := w.CreateOrganization(ctx, orgs.NewOrganization{Name: "x"})
				return err
			},
			"read org": func(ctx context.Context) error { _, err := w.Organization(ctx, org.ID); return err },
			"create team": func(ctx context.Context) error {
				_, err := w.CreateTeam(ctx, org.ID, orgs.NewTeam{Name: "x"})
				return err
			},
			"create user": func(ctx context.Context) error {
				_, err := w.CreateUser(ctx, orgs.NewUser{Email: "a@b.example"})
				return err
			},
			"read user": func(ctx context.Context) error { _, err := w.Manager.User(ctx, "me"); return err },
			"create role": func(ctx context.Context) error {
				_, err := w.CreateRole(ctx, org.ID, rbac.NewRole{Name: "x", Permissions: []string{}})
				return err
			},
			"accept": func(ctx context.Context) error { _, _, err := w.AnswerInvitation(ctx, "x", true); return err },
			"log":    func(ctx context.Context) error { _, err := w.AuditLog(ctx, org.ID, audit.Filter{}); return err },
		} {
			require.ErrorIs(t, call(ctx), rbac.ErrNoActor, name)
		}
	})
}

func TestOnesOwnIsReadByTheRulesOfTheOrganization(t *testing.T) { // F030
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		org, err := w.CreateOrganization(w.Platform(), orgs.NewOrganization{Name: "Acme", Settings: orgs.OrgSettings{
			Security: &orgs.SecuritySettings{IPAllowlist: []string{"203.0.113.0/24"}, Require2FA: true}}})
		require.NoError(t, err)
		at := orgs.Place{OrgID: org.ID}
		u := w.User("u@acme.example")
		w.Add(at, u, "member")
		_, err = w.Member(w.From(u, "203.0.113.1"), at, "me")
		require.NoError(t, err)
		_, err = w.Member(w.From(u, "198.51.100.1"), at, "me")
		refused(t, err, "ip_denied")

		session := audit.Actor{Type: audit.User, ID: u.ID, Label: u.Email, Session: true, IP: netip.MustParseAddr("203.0.113.1")}
		_, err = w.Member(audit.WithActor(t.Context(), session), at, "me")
		refused(t, err, "mfa_required") // F027: sessions are bound by it, tokens are not
		now := w.Store().Now()
		session.MFAAt = &now
		_, err = w.Member(audit.WithActor(t.Context(), session), at, "me")
		require.NoError(t, err)
	})
}

func TestStrangersLeaveNoTrace(t *testing.T) { // C10: unknown subjects are refused before the engine
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		org, _ := w.Org("acme")
		team := w.Team(org, "engineering", orgs.TeamSettings{})
		before := heap()
		for i := range 3000 {
			stranger := audit.Actor{Type: audit.User, ID: fmt.Sprint("usr_", i), Label: "x"}
			_, err := w.Manager.Team(audit.WithActor(t.Context(), stranger), team.ID)
			require.ErrorIs(t, err, store.ErrNotFound)
		}
		require.Less(t, heap(), before+8<<20, "Casbin would have kept 4 kB of each")
	})
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestKeysOfARemovedMemberEndOrChangeHands(t *testing.T) { // F129, F131
	each(t, func(t *testing.T, w *orgstest.World, clock *storetest.Clock) {
		org, _ := w.Org("acme")
		w.Roles(org)
		team := w.Team(org, "engineering", orgs.TeamSettings{})
		at := orgs.Place{OrgID: org.ID, TeamID: team.ID}
		heir := w.Join(team, "heir@acme.example", "developer")
		for i, c := range []struct {
			removal orgs.MemberRemoval
			works   bool
			later   bool
		}{{orgs.MemberRemoval{}, false, false}, {orgs.MemberRemoval{ReassignTo: heir.Email}, true, true}, {orgs.MemberRemoval{Later: true}, true, false}} {
			leaver := w.Join(team, string(rune('a'+i))+"@acme.example", "developer")
			secret := w.Key(team, leaver)
			_, err := w.RemoveMember(w.Platform(), at, leaver.ID, c.removal)
			require.NoError(t, err)
			_, err = w.Authenticate(t.Context(), secret)
			require.Equal(t, c.works, err == nil, i)
			clock.Advance(24 * time.Hour)
			_, err = w.Authenticate(t.Context(), secret)
			require.Equal(t, c.later, err == nil, i)
		}
		leaver := w.Join(team, "z@acme.example", "developer")
		_, err := w.RemoveMember(w.Platform(), at, leaver.ID, orgs.MemberRemoval{ReassignTo: "nobody@acme.example"})
		wrongField(t, err, "reassign_resources_to")
	})
}

// TestKeysThatAreKeptOnlyCallModels and rest on the rights of whoever keeps them.
func TestKeysThatAreKeptOnlyCallModels(t *testing.T) {
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		org, owner := w.Org("acme")
		w.Roles(org)
		_, err := w.CreateRole(w.Platform(), org.ID, rbac.NewRole{Name: "Maker", Slug: "maker", Permissions: []string{"models.*", "api_keys.*", "teams.read"}})
		require.NoError(t, err)
		team := w.Team(org, "engineering", orgs.TeamSettings{})
		at, all := orgs.Place{OrgID: org.ID, TeamID: team.ID}, orgs.Place{OrgID: org.ID}
		key := func(by, of orgs.User, permissions ...string) orgs.APIKey {
			t.Helper()
			k, _, err := w.CreateAPIKey(w.As(by), orgs.NewAPIKey{Name: "key", Team: team.ID, User: &of.ID, Permissions: permissions})
			require.NoError(t, err)
			return k
		}
		holds := func(k orgs.APIKey) (is orgs.APIKey, may []string) {
			t.Helper()
			is, err := w.APIKey(w.Platform(), k.ID)
			require.NoError(t, err)
			require.NoError(t, w.Store().View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
				may, err = w.Holds(ctx, tx, org.ID, team.ID, k.ID)
				return err
			}))
			return is, may
		}
		dev, second := w.Join(team, "dev@acme.example", "maker"), w.Join(team, "second@acme.example", "developer")
		devs, seconds, reading := key(owner, dev, "*"), key(dev, dev, "models.*"), key(owner, dev, "teams.read")
		r, err := w.RemoveMember(w.As(owner), all, dev.ID, orgs.MemberRemoval{KeepKeys: true})
		require.NoError(t, err)
		require.Equal(t, []int{2, 1}, []int{r.Kept, r.Disabled})
		for _, k := range []orgs.APIKey{devs, seconds} {
			is, may := holds(k)
			require.Equal(t, []any{orgs.KeyActive, "", owner.ID}, []any{is.StatusAt(w.Store().Now()), is.UserID, is.CreatedBy})
			require.Subset(t, []string{"models.use", "models.read", "api_keys.use"}, may)
			require.Contains(t, may, "models.use")
		}
		is, _ := holds(reading)
		require.Equal(t, orgs.KeyDisabled, is.StatusAt(w.Store().Now()), "it called no models")

		own := key(owner, second, "models.use")
		_, err = w.RemoveMember(w.As(second), at, "me", orgs.MemberRemoval{KeepKeys: true})
		require.NoError(t, err)
		is, _ = holds(own)
		require.Equal(t, orgs.KeyDisabled, is.StatusAt(w.Store().Now()), "they left by themselves")
	})
}
