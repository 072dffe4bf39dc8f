package orgs_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// rename gives an organization another slug.
func rename(ctx context.Context, w *orgstest.World, ref, slug string) error {
	_, err := w.UpdateOrganization(ctx, ref, orgs.OrganizationUpdate{Slug: &slug})
	return err
}

// found is the id to which a slug leads.
func found(t *testing.T, ctx context.Context, w *orgstest.World, slug string) string {
	t.Helper()
	o, err := w.Organization(ctx, slug)
	require.NoError(t, err)
	return o.ID
}

const days90 = 90 * 24 * time.Hour

func TestASlugThatWasGivenUpLeadsHomeFor90Days(t *testing.T) { // S8.4
	each(t, func(t *testing.T, w *orgstest.World, clock *storetest.Clock) {
		org, owner := w.Org("first")
		_, stranger := w.Org("rival")
		require.NoError(t, rename(w.As(owner), w, "first", "second"))
		clock.Advance(time.Hour)
		require.NoError(t, rename(w.As(owner), w, "first", "third"), "by a slug that it had")
		for _, slug := range []string{"first", "second", "third", "FIRST", "Second"} {
			require.Equal(t, org.ID, found(t, w.As(owner), w, slug))
		}
		_, err := w.Organization(w.As(stranger), "first")
		require.ErrorIs(t, err, store.ErrNotFound)
		o, err := w.Organization(w.As(owner), "first")
		require.NoError(t, err)
		require.Equal(t, "third", o.Slug)
		list, err := w.Organizations(w.Platform(), orgs.OrganizationFilter{Slug: "third"})
		require.NoError(t, err)
		require.Len(t, list.Items, 1)

		clock.Advance(days90 - time.Hour - time.Microsecond)
		require.Equal(t, org.ID, found(t, w.As(owner), w, "first"))
		clock.Advance(time.Microsecond)
		_, err = w.Organization(w.As(owner), "first")
		require.ErrorIs(t, err, store.ErrNotFound)
		require.Equal(t, org.ID, found(t, w.As(owner), w, "second"), "an hour more")
	})
}

func TestNobodyElseTakesASlugWithin90Days(t *testing.T) {
	eachRecorded(t, func(t *testing.T, w *orgstest.World, rec *recorder, clock *storetest.Clock) {
		_, owner := w.Org("first")
		rival, other := w.Org("rival")
		require.NoError(t, rename(w.As(owner), w, "first", "second"))
		create := func(slug string) error {
			_, err := w.CreateOrganization(w.Platform(), orgs.NewOrganization{Name: "x", Slug: slug})
			return err
		}
		for _, slug := range []string{"first", "second"} {
			inTheWay(t, rec.leavesNothing(t, func() error { return create(slug) }), "slug_taken")
			inTheWay(t, rec.leavesNothing(t, func() error { return rename(w.As(other), w, "rival", slug) }), "slug_taken")
		}
		named, err := w.CreateOrganization(w.Platform(), orgs.NewOrganization{Name: "First"})
		require.NoError(t, err)
		require.Equal(t, "first-2", named.Slug, "a slug out of a name goes round it")

		clock.Advance(days90 - time.Microsecond)
		inTheWay(t, rename(w.As(other), w, "rival", "first"), "slug_taken")
		clock.Advance(time.Microsecond)
		require.NoError(t, rename(w.As(other), w, "rival", "first"))
		require.Equal(t, rival.ID, found(t, w.As(other), w, "first"))
		inTheWay(t, rename(w.As(owner), w, "second", "first"), "slug_taken")
	})
}

func TestASlugReturnsToItsOrganization(t *testing.T) {
	each(t, func(t *testing.T, w *orgstest.World, clock *storetest.Clock) {
		org, owner := w.Org("first")
		for range 3 {
			require.NoError(t, rename(w.As(owner), w, "first", "second"))
			require.NoError(t, rename(w.As(owner), w, "second", "first"))
		}
		clock.Advance(days90)
		require.Equal(t, org.ID, found(t, w.As(owner), w, "first"))
		_, err := w.Organization(w.As(owner), "second")
		require.ErrorIs(t, err, store.ErrNotFound)
	})
}

func TestAnOrganizationHoldsTwentySlugsBesideItsOwn(t *testing.T) {
	each(t, func(t *testing.T, w *orgstest.World, clock *storetest.Clock) {
		org, owner := w.Org("s0")
		for i := range 20 {
			require.NoError(t, rename(w.As(owner), w, org.ID, fmt.Sprint("s", i+1)))
		}
		inTheWay(t, rename(w.As(owner), w, org.ID, "s21"), "conflict")
		require.Equal(t, org.ID, found(t, w.As(owner), w, "s0"))
		clock.Advance(days90)
		require.NoError(t, rename(w.As(owner), w, org.ID, "s21"))
	})
}

func TestOfTwoWhoTakeASlugAtOnceOneDoes(t *testing.T) { // S8.5
	each(t, func(t *testing.T, w *orgstest.World, clock *storetest.Clock) {
		n := 0
		for _, freed := range []bool{false, true} {
			for range rounds(t) {
				n++
				slug := fmt.Sprint("wanted", n)
				if freed { // it belonged to somebody, whose time is over
					o, _ := w.Org(slug)
					require.NoError(t, rename(w.Platform(), w, o.ID, fmt.Sprint("left", n)))
					clock.Advance(days90)
				}
				a, _ := w.Org(fmt.Sprint("a", n))
				errs := atOnce(func() error { return rename(w.Platform(), w, a.ID, slug) },
					func() error {
						_, err := w.CreateOrganization(w.Platform(), orgs.NewOrganization{Name: "b", Slug: slug})
						return err
					})
				lost := slices.DeleteFunc(errs, func(err error) bool { return err == nil })
				require.Len(t, lost, 1)
				inTheWay(t, lost[0], "slug_taken")
			}
		}
	})
}

func TestWordsOfPathsAreNoSlugs(t *testing.T) { // S8.1
	eachRecorded(t, func(t *testing.T, w *orgstest.World, rec *recorder, _ *storetest.Clock) {
		org, owner := w.Org("acme")
		for _, word := range []string{"me", "new", "admin", "api", "v1", "v2", "scim", "sso", "orgs", "org", "organizations", "teams",
			"users", "keys", "login", "logout", "health", "metrics", "static", "ui", "www", "ADMIN", "Api"} {
			wrongField(t, rec.leavesNothing(t, func() error {
				_, err := w.CreateOrganization(w.Platform(), orgs.NewOrganization{Name: "x", Slug: word})
				return err
			}), "slug")
			wrongField(t, rec.leavesNothing(t, func() error { return rename(w.As(owner), w, org.ID, word) }), "slug")
		}
		named, err := w.CreateOrganization(w.Platform(), orgs.NewOrganization{Name: "Admin"})
		require.NoError(t, err)
		require.Equal(t, "admin-2", named.Slug)
		for _, malformed := range []string{"a--b", "-a", "a b", "ä", "a.b", "a/b", string(make([]byte, store.MaxSlug+1))} {
			wrongField(t, rename(w.As(owner), w, org.ID, malformed), "slug")
		}
		wrongField(t, rename(w.As(owner), w, org.ID, ""), "slug")
	})
}
