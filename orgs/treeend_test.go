package orgs_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// eachRecordedFamily is eachFamily with a recorder.
func eachRecordedFamily(t *testing.T, fn func(t *testing.T, f family, rec *recorder, clock *storetest.Clock)) {
	for _, name := range []string{"memory", "twice", "sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) {
			s, rec, clock := recorded(t, name)
			fn(t, newFamily(t, s), rec, clock)
		})
	}
}

func TestWhatIsNotEmptyIsNotDeleted(t *testing.T) {
	fillings := map[string]func(w *orgstest.World, o orgs.Organization) (empty func() error){
		"a team": func(w *orgstest.World, o orgs.Organization) func() error {
			team := w.Team(o, "lab", orgs.TeamSettings{})
			return func() error { _, err := w.DeleteTeam(w.Platform(), team.ID, false); return err }
		},
		"a project": func(w *orgstest.World, o orgs.Organization) func() error {
			p, err := w.CreateProject(w.Platform(), o.ID, orgs.NewProject{Name: "moon"})
			return func() error {
				if err == nil {
					_, err = w.DeleteProject(w.Platform(), o.ID, p.ID, false)
				}
				return err
			}
		},
		"a key that works": func(w *orgstest.World, o orgs.Organization) func() error {
			k, _, err := w.CreateAPIKey(w.Platform(), orgs.NewAPIKey{Name: "k", Organization: o.ID})
			return func() error {
				if err == nil {
					_, err = w.RevokeAPIKey(w.Platform(), k.ID, "")
				}
				return err
			}
		},
		"an organization below": func(w *orgstest.World, o orgs.Organization) func() error {
			below, err := w.CreateOrganization(w.Platform(), orgs.NewOrganization{Name: "below", Parent: o.ID})
			return func() error {
				if err == nil {
					_, err = w.DeleteOrganization(w.Platform(), below.ID, false, "")
				}
				return err
			}
		},
	}
	eachRecorded(t, func(t *testing.T, w *orgstest.World, rec *recorder, _ *storetest.Clock) {
		for name, fill := range fillings {
			org, owner := w.Org("o" + strings.ReplaceAll(name, " ", "-"))
			empty := fill(w, org)
			remove := func() error { _, err := w.DeleteOrganization(w.As(owner), org.ID, false, ""); return err }
			inTheWay(t, rec.leavesNothing(t, remove), "not_empty")
			require.NoError(t, empty())
			require.NoError(t, remove(), name)
		}
	})
}

func TestASubtreeEndsInOneUnitAndIsGoneToAllButThePlatform(t *testing.T) {
	eachRecordedFamily(t, func(t *testing.T, f family, rec *recorder, _ *storetest.Clock) {
		at := orgs.Place{OrgID: f.grand.ID}
		invitee := f.World.User("invitee@new.example")
		_, token, err := f.Invite(f.As(f.head), at, orgs.NewInvitation{Email: invitee.Email, Role: "member"})
		require.NoError(t, err)
		_, management, err := f.CreateAPIKey(f.As(f.head), orgs.NewAPIKey{Name: "k", Organization: f.grand.ID, Permissions: []string{"*"}})
		require.NoError(t, err)
		keyActor, err := f.Authenticate(t.Context(), management)
		require.NoError(t, err)
		require.Empty(t, f.uses("small"))

		rec.take()
		_, err = f.DeleteOrganization(f.As(f.boss), f.child.ID, true, "sold")
		require.NoError(t, err)
		units := rec.take()
		require.Len(t, units, 1)
		for _, w := range units[0] {
			require.NotEqual(t, f.grand.ID, w.id, "what lies below is not written")
		}
		require.Equal(t, "sold", lastEvent(t, f.World, f.child.ID).Reason)
		require.Equal(t, "invalid_api_key", f.uses("small"))

		gone := []orgs.Organization{f.child, f.grand}
		for _, u := range []orgs.User{f.boss, f.chief, f.head, f.user} {
			for _, o := range gone {
				for _, err := range f.touches(f.As(u), o) {
					require.ErrorIs(t, err, store.ErrNotFound)
				}
			}
			page, err := f.Organizations(f.As(u), orgs.OrganizationFilter{Status: rbac.Gone})
			require.NoError(t, err)
			require.Empty(t, page.Items)
		}
		for _, err := range f.touches(audit.WithActor(t.Context(), keyActor), f.grand) {
			require.ErrorIs(t, err, store.ErrNotFound)
		}
		_, _, err = f.AnswerInvitation(f.As(invitee), token, true)
		require.ErrorIs(t, err, store.ErrNotFound) // S6.5

		for _, o := range gone {
			for _, err := range f.touches(f.Platform(), o)[:3] {
				require.NoError(t, err, "the platform reads it")
			}
			for _, err := range f.touches(f.Platform(), o)[3:] {
				require.ErrorIs(t, err, store.ErrNotFound, "and changes nothing in it")
			}
		}
		_, err = f.Organization(f.As(f.other), f.sibling.ID)
		require.NoError(t, err)
	})
}

// touches tries to read, and then to change, an organization and what is in it.
func (f family) touches(ctx context.Context, o orgs.Organization) []error {
	_, reads := f.Organization(ctx, o.Slug)
	_, lists := f.Members(ctx, orgs.Place{OrgID: o.ID}, orgs.MemberFilter{})
	_, team := f.Manager.Team(ctx, f.team.ID)
	_, renames := f.UpdateOrganization(ctx, o.ID, orgs.OrganizationUpdate{Name: ptr("x")})
	_, creates := f.CreateTeam(ctx, o.ID, orgs.NewTeam{Name: "x"})
	_, below := f.CreateOrganization(ctx, orgs.NewOrganization{Name: "x", Parent: o.ID})
	_, archives := f.ArchiveTeam(ctx, f.team.ID)
	_, again := f.DeleteOrganization(ctx, o.ID, true, "")
	return []error{reads, lists, team, renames, creates, below, archives, again}
}

// records are all records but events, without what every change of them changes.
func (s state) records(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for key, text := range s.rows {
		if besideEvents(key) {
			continue
		}
		var columns map[string]any
		require.NoError(t, json.Unmarshal([]byte(text), &columns))
		for _, column := range []string{"version", "updated_at", "revision", "trail"} {
			delete(columns, column)
		}
		b, err := json.Marshal(columns)
		require.NoError(t, err)
		out[key] = string(b)
	}
	return out
}

func TestWhatIsRestoredIsAsItWas(t *testing.T) { // S13.2
	eachRecordedFamily(t, func(t *testing.T, f family, rec *recorder, clock *storetest.Clock) {
		_, err := f.UpdateOrganization(f.Platform(), f.child.ID, orgs.OrganizationUpdate{Slug: ptr("renamed")})
		require.NoError(t, err)
		_, err = f.SuspendOrganization(f.As(f.head), f.grand.ID, "")
		require.NoError(t, err)
		for _, suspend := range []bool{false, true} { // what is deleted, before
			if suspend {
				_, err := f.SuspendOrganization(f.Platform(), f.child.ID, "")
				require.NoError(t, err)
			}
			before := rec.state(t).records(t)
			_, err = f.DeleteOrganization(f.As(f.boss), f.child.ID, true, "")
			require.NoError(t, err)
			clock.Advance(orgs.Restorable - time.Microsecond)
			_, err = f.RestoreOrganization(f.As(f.boss), f.child.ID, "")
			require.ErrorIs(t, err, store.ErrNotFound)
			o, err := f.RestoreOrganization(f.Platform(), "renamed", "a mistake")
			require.NoError(t, err)
			require.Nil(t, o.DeletedAt)
			require.Equal(t, before, rec.state(t).records(t))
		}
		require.Equal(t, "org_suspended", f.uses("small"))
		_, err = f.ResumeOrganization(f.As(f.boss), f.child.ID, "")
		refused(t, err, "permission_denied") // the platform's suspension has come back with it
	})
}

func TestAfter30DaysNothingIsRestoredAndTheSlugsAreFree(t *testing.T) {
	eachFamily(t, func(t *testing.T, f family, clock *storetest.Clock) {
		_, err := f.DeleteOrganization(f.Platform(), f.child.ID, true, "")
		require.NoError(t, err)
		take := func(slug string) error {
			_, err := f.CreateOrganization(f.Platform(), orgs.NewOrganization{Name: "heir", Slug: slug})
			return err
		}
		clock.Advance(orgs.Restorable - time.Microsecond)
		inTheWay(t, take("child"), "slug_taken")
		inTheWay(t, take("grand"), "slug_taken")
		clock.Advance(time.Microsecond)
		_, err = f.RestoreOrganization(f.Platform(), f.child.ID, "")
		inTheWay(t, err, "conflict")
		_, err = f.RestoreOrganization(f.Platform(), "child", "")
		require.ErrorIs(t, err, store.ErrNotFound, "the slug leads to it no more")
		require.NoError(t, take("child"))
		require.NoError(t, take("grand"))
		inTheWay(t, take("sibling"), "slug_taken")
		heir, err := f.Organization(f.Platform(), "child")
		require.NoError(t, err)
		require.NotEqual(t, f.child.ID, heir.ID)
	})
}

func TestWhatWasDeletedBeforeStaysDeleted(t *testing.T) {
	eachFamily(t, func(t *testing.T, f family, _ *storetest.Clock) {
		remove := func(o orgs.Organization) error {
			_, err := f.DeleteOrganization(f.Platform(), o.ID, true, "")
			return err
		}
		restore := func(o orgs.Organization) error {
			_, err := f.RestoreOrganization(f.Platform(), o.ID, "")
			return err
		}
		require.NoError(t, remove(f.grand))
		require.NoError(t, remove(f.child))
		inTheWay(t, restore(f.grand), "conflict") // what is above it is gone
		inTheWay(t, restore(f.root), "conflict")  // it is there
		require.NoError(t, restore(f.child))
		_, err := f.Organization(f.As(f.chief), f.child.ID)
		require.NoError(t, err)
		_, err = f.Organization(f.As(f.head), f.grand.ID)
		require.ErrorIs(t, err, store.ErrNotFound)
		require.NoError(t, restore(f.grand))
		require.Empty(t, f.uses("small"))
	})
}

func TestWhoseAboveIsDeletedCanBeMovedOut(t *testing.T) {
	eachFamily(t, func(t *testing.T, f family, _ *storetest.Clock) {
		for _, o := range []orgs.Organization{f.grand, f.child} {
			_, err := f.DeleteOrganization(f.Platform(), o.ID, true, "")
			require.NoError(t, err)
		}
		_, err := f.MoveOrganization(f.Platform(), f.grand.ID, f.child.ID)
		require.Error(t, err, "nothing is moved to what is deleted")
		_, err = f.MoveOrganization(f.Platform(), f.grand.ID, f.root.ID) // as the error of RestoreOrganization advises
		require.NoError(t, err)
		_, err = f.RestoreOrganization(f.Platform(), f.grand.ID, "")
		require.NoError(t, err)
		require.Empty(t, f.uses("small"))
	})
}

func TestSuspensionFlowsDownAndEndsAsItBegan(t *testing.T) {
	eachFamily(t, func(t *testing.T, f family, _ *storetest.Clock) {
		suspend := func(ctx context.Context, o orgs.Organization) error {
			_, err := f.SuspendOrganization(ctx, o.ID, "unpaid")
			return err
		}
		resume := func(ctx context.Context, o orgs.Organization) error {
			_, err := f.ResumeOrganization(ctx, o.ID, "")
			return err
		}
		require.ErrorIs(t, suspend(f.As(f.head), f.root), store.ErrNotFound)
		require.NoError(t, suspend(f.As(f.boss), f.root))
		require.Equal(t, "org_suspended", f.uses("small"))
		figures, err := f.OrganizationFigures(f.As(f.head), f.grand.ID)
		require.NoError(t, err)
		require.Equal(t, rbac.Suspended, figures.State)
		o, err := f.Organization(f.As(f.head), f.grand.ID)
		require.NoError(t, err, "people manage what is suspended")
		require.Equal(t, rbac.Active, o.State, "its own")

		inTheWay(t, resume(f.As(f.head), f.grand), "conflict") // it is not the one
		require.NoError(t, suspend(f.As(f.head), f.grand))
		inTheWay(t, suspend(f.As(f.head), f.grand), "conflict")
		require.NoError(t, resume(f.As(f.boss), f.root))
		require.Equal(t, "org_suspended", f.uses("small"), "its own suspension has stayed")
		require.NoError(t, suspend(f.Platform(), f.grand), "the platform takes it over")
		refused(t, resume(f.As(f.head), f.grand), "permission_denied")
		require.NoError(t, resume(f.Platform(), f.grand))
		require.Empty(t, f.uses("small"))
	})
}

func TestKeysOfWhatIsStoppedDoNothing(t *testing.T) { // S13.1
	eachFamily(t, func(t *testing.T, f family, _ *storetest.Clock) {
		_, secret, err := f.CreateAPIKey(f.Platform(), orgs.NewAPIKey{Name: "k", Team: f.team.ID, User: ptr(""), Permissions: []string{"*"}})
		require.NoError(t, err)
		n := 0
		invites := func() error {
			key, err := f.Authenticate(t.Context(), secret)
			if err == nil {
				n++
				_, _, err = f.Invite(audit.WithActor(t.Context(), key), orgs.Place{OrgID: f.grand.ID, TeamID: f.team.ID},
					orgs.NewInvitation{Email: fmt.Sprintf("n%d@grand.example", n), Role: rbac.OwnerRole})
			}
			return err
		}
		require.NoError(t, invites())
		for what, stop := range map[string][2]func() error{
			"an organization above is suspended": {
				func() error { _, err := f.SuspendOrganization(f.Platform(), f.root.ID, "fraud"); return err },
				func() error { _, err := f.ResumeOrganization(f.Platform(), f.root.ID, ""); return err }},
			"an organization above is deleted": {
				func() error { _, err := f.DeleteOrganization(f.Platform(), f.child.ID, true, ""); return err },
				func() error { _, err := f.RestoreOrganization(f.Platform(), f.child.ID, ""); return err }},
			"the team is archived": {
				func() error { _, err := f.ArchiveTeam(f.Platform(), f.team.ID); return err },
				func() error { _, err := f.UnarchiveTeam(f.Platform(), f.team.ID); return err }},
		} {
			require.NoError(t, stop[0]())
			assert.Error(t, invites(), what)
			require.NoError(t, stop[1]())
			require.NoError(t, invites())
		}
	})
}
