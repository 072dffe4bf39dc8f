package orgs_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

func TestAnAttemptIsAnsweredForADay(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		w := orgstest.New(t, s, nil)
		made := 0
		attempt := func(at orgs.Attempt) (orgs.Answer, bool, error) {
			return w.Once(w.Platform(), at, func(ctx context.Context, _ *store.Tx) (orgs.Answer, error) {
				made++
				o, err := w.CreateOrganization(ctx, orgs.NewOrganization{Name: "Acme"})
				return orgs.Answer{Status: 201, Header: map[string]string{"Location": o.ID}, Body: []byte(`{}`)}, err
			})
		}
		at := orgs.Attempt{Route: "POST /v1/organizations", Key: "k", Print: "p"}
		_, found, err := w.Answered(w.Platform(), at)
		require.NoError(t, err)
		require.False(t, found)
		first, later, err := attempt(at)
		require.NoError(t, err)
		require.False(t, later)
		once := made // on a store that runs each unit twice it is two
		again, later, err := attempt(at)
		require.NoError(t, err)
		require.True(t, later)
		require.Equal(t, first, again)
		again, found, err = w.Answered(w.Platform(), at)
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, first, again)
		require.Equal(t, once, made)

		clock.Advance(orgs.AnswersKept - time.Microsecond)
		swept, err := w.Sweep(w.Platform())
		require.NoError(t, err)
		require.Zero(t, swept.Answers)
		clock.Advance(time.Microsecond)
		_, found, err = w.Answered(w.Platform(), at)
		require.NoError(t, err)
		require.False(t, found)
		swept, err = w.Sweep(w.Platform())
		require.NoError(t, err)
		require.Equal(t, 1, swept.Answers)

		// What fails keeps nothing, and its error is what is heard.
		failure := errors.New("failed")
		_, _, err = w.Once(w.Platform(), at, func(context.Context, *store.Tx) (orgs.Answer, error) { return orgs.Answer{}, failure })
		require.ErrorIs(t, err, failure)
		_, later, err = attempt(at)
		require.NoError(t, err)
		require.False(t, later)
		other := at
		other.Print = "q"
		_, _, err = attempt(other)
		inTheWay(t, err, "idempotency_mismatch")
		other.Part = "1"
		_, later, err = attempt(other)
		require.NoError(t, err)
		require.False(t, later, "another part has its own answer")

		_, _, err = w.Once(t.Context(), at, nil)
		require.ErrorIs(t, err, rbac.ErrNoActor)
		for _, key := range []string{"", "a b", "ü", string(make([]byte, 300))} {
			other.Key = key
			_, _, err = attempt(other)
			require.ErrorIs(t, err, store.ErrInvalid)
		}
	})
}
