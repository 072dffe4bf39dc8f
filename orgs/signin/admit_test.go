package signin_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/signin"
	"github.com/orgkit/orgkit/store"
)

// TestASignInForSomethingElseThanASession is about tokens that a login of another system gives.
func TestASignInForSomethingElseThanASession(t *testing.T) { // F410
	each(t, func(t *testing.T, w *world) {
		done := false
		admit := func(email, password string, fail error) error {
			_, err := w.Admit(w.from("192.0.2.1"), signin.Credentials{Email: email, Password: password}, func(ctx context.Context, tx *store.Tx, u orgs.User) error {
				by, _ := audit.ActorFrom(ctx)
				require.Equal(t, []any{audit.User, u.ID, w.user.Email}, []any{by.Type, by.ID, u.Email})
				done = fail == nil
				return fail
			})
			return err
		}
		require.NoError(t, admit(w.user.Email, password, nil))
		require.True(t, done)
		logins := func() (n int) {
			for _, typ := range w.types(w.org.ID) {
				if typ == signin.LoginType {
					n++
				}
			}
			return n
		}
		require.Equal(t, 1, logins())
		wrong(t, admit(w.user.Email, "not the password of Ann", nil))
		wrong(t, admit("nobody@acme.example", password, nil))
		broken := errors.New("the token could not be made")
		require.ErrorIs(t, admit(w.user.Email, password, broken), broken)
		require.Equal(t, []any{false, 1}, []any{done, logins()}, "and nobody was signed in")

		w.enrol()
		refused(t, admit(w.user.Email, password, nil), "mfa_required")
		require.False(t, done)
	})
}
