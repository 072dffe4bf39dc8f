package orgs_test

import (
	"context"
	"errors"
	"fmt"
	"path"
	"sync"
	"sync/atomic"
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

// steps is how many actions a dial can show. More than the changes that can be under way between two looks:
// what is shown tells how old it is.
const steps = 16

func shown(n int64) string { return fmt.Sprintf("dial.step_%d", n%steps) }

// withDials are options under which the actions of dials exist.
func withDials() *orgs.Options {
	o := &orgs.Options{}
	for n := range int64(steps) {
		o.Actions = append(o.Actions, shown(n))
	}
	return o
}

// dial is a rule of an organization that allows its subject one of the actions. Each change turns it on by one.
type dial struct {
	name    string
	orgID   string
	teamID  string
	subject string
	turn    func(ctx context.Context, m *orgs.Manager, n int64) error
}

// look asks, in one unit, which step the dial shows, the first of those between two; -1 for none.
func (d dial) look(ctx context.Context, m *orgs.Manager, from, to int64) (n int64, rev rbac.Revision, err error) {
	err = m.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		n, rev = -1, nil
		for step := from; step <= to; step++ {
			answer, err := m.Check(ctx, tx, d.subject, rbac.Request{OrgID: d.orgID, TeamID: d.teamID, Action: shown(step),
				Call: rbac.Call{Resource: "organization:" + d.orgID, At: tx.Now()}})
			switch {
			case err != nil:
				return err
			case rev != nil && rev.String() != answer.Revision.String():
				return fmt.Errorf("dial %s: one unit sees %s and %s", d.name, rev, answer.Revision)
			}
			if rev = answer.Revision; answer.Allowed {
				n = step
				return nil
			}
		}
		return nil
	})
	return n, rev, err
}

// must is an error unless the dial shows the step, and not the one before.
func (d dial) must(ctx context.Context, m *orgs.Manager, n int64) (rbac.Revision, error) {
	is, rev, err := d.look(ctx, m, max(0, n-1), n+1)
	if err == nil && is != n {
		err = fmt.Errorf("dial %s shows %d instead of %d", d.name, is, n)
	}
	return rev, err
}

// recall asks memory, step by step from one on that the dial does not lie behind: a dial only goes up, so
// that one which does not show a step has passed it. It answers -1 for none.
func (d dial) recall(from int64, allows func(action string) (bool, error)) (int64, error) {
	for n := from; n < from+steps-1; n++ {
		if is, err := allows(shown(n)); err != nil || is {
			return n, err
		}
	}
	return -1, nil
}

// memory is who answers for the dial: by ids, or a principal that was resolved once.
func (d dial) memory(ctx context.Context, m *orgs.Manager) (byID, kept func(action string) (bool, error), err error) {
	p, err := m.Principal(ctx, d.orgID, d.teamID, d.subject)
	call := rbac.Call{Resource: "organization:" + d.orgID}
	byID = func(action string) (bool, error) {
		a, err := m.Allows(ctx, d.subject, &rbac.Request{OrgID: d.orgID, TeamID: d.teamID, Action: action, Call: call})
		return a.Allowed, err
	}
	kept = func(action string) (bool, error) {
		a, err := p.Allows(ctx, m.Action(action), &call)
		return a.Allowed, err
	}
	return byID, kept, err
}

// newDials makes one of each kind of rule: a role, a member's own grants, an override of a team, a policy, an
// inherited role from above, and the grants of the person that a key is bound to.
func newDials(t *testing.T, w *orgstest.World) (dials []dial, org orgs.Organization, owner orgs.User) {
	org, owner = w.Org("dials")
	at := orgs.Place{OrgID: org.ID}
	for _, slug := range []string{"turned", "overridden", "inherited"} {
		_, err := w.CreateRole(w.Platform(), org.ID, rbac.NewRole{Name: slug, Permissions: []string{}, Inherited: slug == "inherited"})
		require.NoError(t, err)
	}
	users := map[string]orgs.User{}
	for name, role := range map[string]string{"role": "turned", "member": rbac.MemberRole, "inherited": "inherited", "key": rbac.MemberRole} {
		users[name] = w.User(name + "@dials.example")
		w.Add(at, users[name], role)
	}
	below, err := w.CreateOrganization(w.As(owner), orgs.NewOrganization{Name: "Below", Parent: org.ID})
	require.NoError(t, err)
	key, _, err := w.CreateAPIKey(w.Platform(), orgs.NewAPIKey{Name: "key", Organization: org.ID, User: ptr(users["key"].ID), Permissions: []string{"dial.*"}})
	require.NoError(t, err)
	crew, ruled := w.Team(org, "crew", orgs.TeamSettings{}), w.Team(org, "ruled", orgs.TeamSettings{})
	users["override"] = w.Join(crew, "override@dials.example", "overridden")
	users["policy"] = w.Join(ruled, "policy@dials.example", rbac.MemberRole)
	says := func(n int64) rbac.NewPolicy {
		return rbac.NewPolicy{Name: "dial", Statements: []rbac.Statement{{Effect: rbac.EffectAllow, Actions: []string{shown(n)}, Resources: []string{"*"}}}}
	}
	policy, _, err := w.CreatePolicy(w.Platform(), org.ID, ruled.ID, says(0))
	require.NoError(t, err)
	add := func(name, team string, turn func(ctx context.Context, m *orgs.Manager, n int64) error) {
		dials = append(dials, dial{name, org.ID, team, users[name].ID, turn})
	}
	add("role", "", func(ctx context.Context, m *orgs.Manager, n int64) error {
		_, err := m.UpdateRole(ctx, org.ID, "turned", rbac.RoleUpdate{Permissions: &[]string{shown(n)}})
		return err
	})
	add("member", "", func(ctx context.Context, m *orgs.Manager, n int64) error {
		_, err := m.UpdateMember(ctx, at, users["member"].ID, orgs.MemberUpdate{Permissions: &orgs.Grants{Add: []string{shown(n)}}})
		return err
	})
	add("override", crew.ID, func(ctx context.Context, m *orgs.Manager, n int64) error {
		_, _, err := m.SetOverride(ctx, org.ID, crew.ID, "overridden", []string{shown(n)}, nil)
		return err
	})
	add("policy", ruled.ID, func(ctx context.Context, m *orgs.Manager, n int64) error {
		_, _, err := m.UpdatePolicy(ctx, org.ID, ruled.ID, policy.ID, says(n))
		return err
	})
	add("inherited", "", func(ctx context.Context, m *orgs.Manager, n int64) error {
		_, err := m.UpdateRole(ctx, org.ID, "inherited", rbac.RoleUpdate{Permissions: &[]string{shown(n)}})
		return err
	})
	dials[4].orgID = below.ID
	add("key", "", func(ctx context.Context, m *orgs.Manager, n int64) error {
		_, err := m.UpdateMember(ctx, at, users["key"].ID, orgs.MemberUpdate{Permissions: &orgs.Grants{Add: []string{shown(n)}}})
		return err
	})
	dials[5].subject = key.ID
	return dials, org, owner
}

// TestNoCheckIsOlderThanACommittedChange lets six writers turn six dials of one organization, each with
// the next snapshot of it. Whoever has seen a change sees it ever after: the writer when it is answered, and
// all others who heard of it.
func TestNoCheckIsOlderThanACommittedChange(t *testing.T) {
	rounds := map[string]int64{"memory": 120, "twice": 30, "sqlite": 30, "postgres": 12} // of each writer
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		w := orgstest.New(t, s, withDials())
		dials, org, owner := newDials(t, w)
		last := rounds[path.Base(t.Name())]
		if testing.Short() {
			last /= 5
		}
		race := &race{Manager: w.Manager, org: org.ID, ctx: w.As(owner), dials: make([]turning, len(dials)), moves: make(chan *turning, 8)}
		var writers, readers sync.WaitGroup
		failed := make(chan error, 10_000)
		for i, d := range dials {
			race.dials[i].dial = d
			require.NoError(t, d.turn(race.ctx, w.Manager, 0))
			byID, kept, err := d.memory(race.ctx, w.Manager)
			require.NoError(t, err)
			race.dials[i].memory = []func(string) (bool, error){byID, kept}
			writers.Go(func() {
				for n := range last {
					if err := race.write(&race.dials[i], n+1); err != nil {
						failed <- fmt.Errorf("writer of %s, round %d: %w", d.name, n+1, err)
						return
					}
				}
			})
		}
		for range 2 {
			readers.Go(func() {
				var seen int64
				for d := range race.moves {
					if err := race.read(d, &seen); err != nil {
						failed <- fmt.Errorf("reader: %w", err)
					}
				}
			})
		}
		writers.Wait()
		close(race.moves)
		readers.Wait()
		close(failed)
		for err := range failed {
			t.Error(err)
		}
		require.NotZero(t, race.reads.Load())
		t.Logf("%d changes, %d reads beside them", last*int64(len(dials)), race.reads.Load())
	})
}

type race struct {
	*orgs.Manager
	org   string
	ctx   context.Context // the owner's: what is asked inside of its changes loads rules too
	dials []turning
	moves chan *turning // what readers have to look at
	reads atomic.Int64
}

// move tells a reader, if one has time.
func (r *race) move(d *turning) {
	select {
	case r.moves <- d:
	default:
	}
}

// turning is a dial that is turned: to what at most, to what at least, and what its last change answered.
type turning struct {
	dial
	begun, done atomic.Int64
	token       atomic.Value
	memory      []func(action string) (bool, error)
}

// remembers is an error unless memory shows the step, and not the one before.
func (d *turning) remembers(n int64) error {
	for i, allows := range d.memory {
		is, err := d.recall(max(0, n-1), allows)
		if err != nil || is != n {
			return fmt.Errorf("memory %d of dial %s shows %d instead of %d: %w", i, d.name, is, n, err)
		}
	}
	return nil
}

var errUndone = errors.New("undone")

func (r *race) write(d *turning, n int64) error {
	if n%8 == 0 { // what is undone is seen by nobody but its own unit
		err := r.Together(r.ctx, func(ctx context.Context) error {
			if err := d.turn(ctx, r.Manager, n); err != nil {
				return err
			}
			if _, err := d.must(ctx, r.Manager, n); err != nil {
				return fmt.Errorf("its own unit: %w", err)
			}
			return errUndone
		})
		if !errors.Is(err, errUndone) {
			return err
		}
		if _, err := d.must(r.ctx, r.Manager, n-1); err != nil {
			return fmt.Errorf("after it was undone: %w", err)
		}
		if err := d.remembers(n - 1); err != nil {
			return fmt.Errorf("after it was undone: %w", err)
		}
	}
	d.begun.Store(n)
	r.move(d)
	ctx, receipt := rbac.WithReceipt(r.ctx)
	if err := d.turn(ctx, r.Manager, n); err != nil {
		return err
	}
	token := receipt.Revision()
	if err := d.remembers(n); err != nil { // before a unit looks, which brings memory forward
		return err
	}
	rev, err := d.must(r.ctx, r.Manager, n)
	if err != nil {
		return err
	}
	if rev[r.org] < token[r.org] {
		return fmt.Errorf("is answered %s and decides by %s", token, rev)
	}
	d.token.Store(token)
	d.done.Store(n)
	r.move(d)
	return nil
}

// read sees no less than what was answered before it began, no more than what was begun, and never less
// than before.
func (r *race) read(d *turning, seen *int64) error {
	least, ctx := d.done.Load(), r.ctx
	token, _ := d.token.Load().(rbac.Revision)
	if token != nil {
		ctx = rbac.WithRevision(ctx, token)
	}
	for i, allows := range d.memory { // what is committed is there when the change returns
		n, err := d.recall(least, allows)
		if most := d.begun.Load(); err != nil || n < least || n > most {
			return fmt.Errorf("memory %d of %s shows %d where %d was seen and %d begun: %w", i, d.name, n, least, most, err)
		}
		least = n
	}
	is, rev, err := d.look(ctx, r.Manager, least, least+steps-1)
	if err != nil {
		return err
	}
	if most := d.begun.Load(); is < least || is > most {
		return fmt.Errorf("%s shows %d where %d was answered and %d begun", d.name, is, least, most)
	}
	if rev[r.org] < max(*seen, token[r.org]) {
		return fmt.Errorf("decides by %s after %d and with %s", rev, *seen, token)
	}
	*seen = rev[r.org]
	r.reads.Add(1)
	return nil
}

// Records may be ahead of the revision inside of a unit, which raises it last.
func TestAUnitDecidesByWhatItHasWritten(t *testing.T) {
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		org, _ := w.Org("acme")
		team := w.Team(org, "crew", orgs.TeamSettings{})
		u := w.Join(team, "u@acme.example", rbac.OwnerRole)
		may := func(ctx context.Context) (allowed bool) {
			require.NoError(t, w.View(ctx, func(ctx context.Context, tx *store.Tx) error {
				d, err := w.Check(ctx, tx, u.ID, rbac.Request{OrgID: org.ID, TeamID: team.ID, Action: "models.use", Call: rbac.Call{Resource: "model:m", At: tx.Now()}})
				allowed = d.Allowed
				return err
			}))
			return allowed
		}
		require.True(t, may(w.Platform()))
		err := w.Change(w.Platform(), rbac.Op{Action: "teams.update", OrgID: org.ID, TeamID: team.ID}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
			r, err := rbac.Restrictions.Lock(ctx, tx, team.ID)
			require.NoError(t, err)
			r.Blocked = []string{"m"}
			require.NoError(t, rbac.Restrictions.Update(ctx, tx, &r))
			require.False(t, may(ctx))
			return audit.Change{}, errUndone
		})
		require.ErrorIs(t, err, errUndone)
		require.True(t, may(w.Platform()), "what was undone is in no snapshot")
	})
}

func TestEveryChangeAnswersARevisionThatAReadMayDemand(t *testing.T) {
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		org, owner := w.Org("acme")
		team := w.Team(org, "crew", orgs.TeamSettings{})
		at := orgs.Place{OrgID: org.ID, TeamID: team.ID}
		u, heir := w.Join(team, "u@acme.example", rbac.MemberRole), w.Join(team, "heir@acme.example", rbac.MemberRole)
		var key orgs.APIKey
		changes := []func(ctx context.Context) error{
			func(ctx context.Context) error {
				return second(w.UpdateOrganization(ctx, org.ID, orgs.OrganizationUpdate{Name: ptr("Acme")}))
			},
			func(ctx context.Context) error {
				return second(w.CreateOrganization(ctx, orgs.NewOrganization{Name: "Below", Parent: org.ID}))
			},
			func(ctx context.Context) error {
				return second(w.CreateRole(ctx, org.ID, rbac.NewRole{Name: "some", Permissions: []string{"teams.read"}}))
			},
			func(ctx context.Context) error {
				return third(w.SetOverride(ctx, org.ID, team.ID, "some", nil, []string{"teams.read"}))
			},
			func(ctx context.Context) error { return second(w.ArchiveTeam(ctx, team.ID)) },
			func(ctx context.Context) error {
				return second(w.CreateProject(ctx, org.ID, orgs.NewProject{Name: "Some"}))
			},
			func(ctx context.Context) error {
				return third(w.Invite(ctx, at, orgs.NewInvitation{Email: "x@acme.example", Role: "some"}))
			},
			func(ctx context.Context) (err error) {
				key, _, err = w.CreateAPIKey(ctx, orgs.NewAPIKey{Name: "key", Team: team.ID, User: &u.ID, InheritTeam: true})
				return err
			},
			func(ctx context.Context) error { return third(w.RotateAPIKey(ctx, key.ID, time.Hour)) },
			func(ctx context.Context) error {
				return second(w.UpdateMember(ctx, at, u.ID, orgs.MemberUpdate{Role: ptr("some")}))
			},
			func(ctx context.Context) error {
				return second(w.RemoveMember(ctx, at, u.ID, orgs.MemberRemoval{ReassignTo: heir.ID}))
			},
			func(ctx context.Context) error {
				return second(w.TransferOwnership(by(ctx, owner.ID), org.ID, orgs.Transfer{To: heir.ID}))
			},
			func(ctx context.Context) error { return second(w.DeleteUser(ctx, u.ID, "")) },
			func(ctx context.Context) error { return second(w.DeleteTeam(ctx, team.ID, true)) },
		}
		scope := func(ctx context.Context) (s rbac.Scope, err error) {
			err = w.View(ctx, func(ctx context.Context, tx *store.Tx) error {
				s, err = rbac.Scopes.Get(ctx, tx, org.ID)
				return err
			})
			return s, err
		}
		for i, change := range changes {
			before, err := scope(w.Platform())
			require.NoError(t, err)
			ctx, receipt := rbac.WithReceipt(w.Platform())
			require.NoError(t, change(ctx), "change %d", i)
			token, err := rbac.ParseRevision("revision", receipt.Revision().String())
			require.NoError(t, err)
			require.Equal(t, rbac.Revision{org.ID: before.Revision + 1}, token, "change %d", i)
			after, err := scope(rbac.WithRevision(w.Platform(), token))
			require.NoError(t, err)
			require.Equal(t, token[org.ID], after.Revision, "change %d", i)
		}
		now, err := scope(w.Platform())
		require.NoError(t, err)

		ctx, receipt := rbac.WithReceipt(w.Platform())
		err = w.Together(ctx, func(ctx context.Context) error {
			return errors.Join(second(w.CreateTeam(ctx, org.ID, orgs.NewTeam{Name: "Undone"})), errUndone)
		})
		require.ErrorIs(t, err, errUndone)
		require.Empty(t, receipt.Revision(), "what is undone answers nothing")
		_, err = scope(rbac.WithRevision(w.Platform(), rbac.Revision{org.ID: now.Revision + 1}))
		require.ErrorIs(t, err, store.ErrTransient, "what is not there yet is not answered by less")
	})
}

func second[T any](_ T, err error) error { return err }

func third[T, U any](_ T, _ U, err error) error { return err }
