package orgs_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// rounds is how often a race is run: more often where there is more than one writer.
func rounds(t *testing.T) int {
	if strings.HasSuffix(t.Name(), "/postgres") {
		return 2
	}
	return 1
}

func TestOfTwoOwnersWhoPartAtOnceOneStays(t *testing.T) { // S5.8
	all := append(partings, handsOver(true), handsOver(false))
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		n := 0
		for i, a := range all {
			for _, b := range all[i:] {
				for range rounds(t) {
					n++
					o := newOwned(t, w, n)
					errs := atOnce(func() error { return a.do(o, o.first, o.second) }, func() error { return b.do(o, o.second, o.first) })
					require.NotEmpty(t, o.owners(t), "the one %s, the other %s: %v", a.name, b.name, errs)
					for _, err := range errs {
						require.True(t, err == nil || lost(err), "the one %s, the other %s: %v", a.name, b.name, errs)
					}
				}
			}
		}
	})
}

// lost says whether the error is that of who came second: the last owner, or one who is none any more.
func lost(err error) bool {
	return isConflict(err, "last_owner") || errors.Is(err, store.ErrNotFound) || errors.Is(err, rbac.ErrDenied)
}

func isConflict(err error, code string) bool {
	var c *store.ConflictError
	return errors.As(err, &c) && c.Code == code
}

// atOnce runs functions at the same time and returns their errors.
func atOnce(fns ...func() error) []error {
	errs := make([]error, len(fns))
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i, fn := range fns {
		wg.Go(func() {
			<-start
			errs[i] = fn()
		})
	}
	close(start)
	wg.Wait()
	return errs
}

func TestNobodyIsGivenWhatTheyCannotKeep(t *testing.T) {
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		n := 0
		for _, p := range partings {
			for _, leave := range []bool{true, false} {
				for range rounds(t) {
					n++
					o := newOwned(t, w, n)
					_, err := w.RemoveMember(w.Platform(), o.at, o.second.ID, orgs.MemberRemoval{})
					require.NoError(t, err)
					errs := atOnce(func() error { return handsOver(leave).do(o, o.first, o.second) },
						func() error { return p.do(o, o.heir, o.first) })
					require.NotEmpty(t, o.owners(t), "one hands over to another who %s: %v", p.name, errs)
				}
			}
		}
	})
}

func TestNobodyIsAMemberWhoWasDeleted(t *testing.T) {
	joins := map[string]func(w *orgstest.World, o owned, u orgs.User, token string) error{
		"as the owner of a new organization": func(w *orgstest.World, _ owned, u orgs.User, _ string) error {
			_, err := w.CreateOrganization(w.Platform(), orgs.NewOrganization{Name: "new", Owner: u.ID})
			return err
		},
		"by the platform": func(w *orgstest.World, o owned, u orgs.User, _ string) error {
			_, err := w.AddMember(w.Platform(), o.at, orgs.NewMember{User: u.ID, Role: rbac.OwnerRole})
			return err
		},
		"by an invitation": func(w *orgstest.World, _ owned, u orgs.User, token string) error {
			_, _, err := w.AnswerInvitation(w.As(u), token, true)
			return err
		},
	}
	eachRecorded(t, func(t *testing.T, w *orgstest.World, rec *recorder, _ *storetest.Clock) {
		o := newOwned(t, w, 0)
		for how, join := range joins {
			for range 2 * rounds(t) {
				u := w.User(fmt.Sprintf("u%d@new.example", len(rec.state(t).rows)))
				_, token, err := w.Invite(w.Platform(), o.at, orgs.NewInvitation{Email: u.Email, Role: rbac.OwnerRole})
				require.NoError(t, err)
				errs := atOnce(func() error { return join(w, o, u, token) },
					func() error { _, err := w.DeleteUser(w.Platform(), u.ID, ""); return err })
				rows := rec.state(t).rows
				for row, text := range rows {
					if strings.HasPrefix(row, "assignments ") && strings.Contains(text, `"subject":"`+u.ID+`"`) {
						require.NotEmpty(t, rows["users "+u.ID], "who joins %s was deleted: %v", how, errs)
					}
				}
			}
		}
	})
}

// TestWhoIsSuspendedMayHaveBecomeTheOwnerMeanwhile is a race of above, held at the moment that matters. Other
// stores have one writer, so that nothing can come in between.
func TestWhoIsSuspendedMayHaveBecomeTheOwnerMeanwhile(t *testing.T) {
	s, rec, _ := recorded(t, "postgres")
	w := orgstest.New(t, s, inOrder())
	for i, p := range partings[4:7] {
		o := newOwned(t, w, i)
		_, err := w.RemoveMember(w.Platform(), o.at, o.second.ID, orgs.MemberRemoval{})
		require.NoError(t, err)
		rec.beforeLock("scopes", func() { require.NoError(t, handsOver(true).do(o, o.first, o.second)) })
		inTheWay(t, p.do(o, o.heir, o.first), "last_owner")
		require.Equal(t, []string{o.heir.ID}, o.owners(t), p.name)
	}
}
