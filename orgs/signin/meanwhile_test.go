package signin_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs/signin"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// interrupted is a driver in which something happens before a unit that writes begins.
type interrupted struct {
	store.Driver
	units   int // that write, until then
	happens func()
}

func (d *interrupted) Begin(ctx context.Context, writable bool) (store.DriverTx, error) {
	if writable && d.happens != nil {
		if d.units--; d.units == 0 {
			happens := d.happens
			d.happens = nil
			happens()
		}
	}
	return d.Driver.Begin(ctx, writable)
}

// TestWhatIsUsedMeanwhileIsUsed: after it was looked at, and before it is taken.
func TestWhatIsUsedMeanwhileIsUsed(t *testing.T) {
	clock, driver := storetest.NewClock(), &interrupted{}
	s := storetest.Open(t, "memory", store.Options{Now: clock.Now, Wrap: func(d store.Driver) store.Driver { driver.Driver = d; return driver }})
	w := newWorld(t, s, clock, nil)
	key, codes, ctx := w.enrol()
	_, pending := w.signIn()
	other := w.in(pending.Token, home)
	for _, proof := range []signin.Proof{{Code: w.code(key)}, {Recovery: codes[0]}} {
		// The first unit counts the try, the second one takes it back, the third one uses the factor.
		driver.units, driver.happens = 3, func() { require.NoError(t, third(w.Service.VerifyMFA(ctx, proof))) }
		wrong(t, third(w.Service.VerifyMFA(other, proof)))
		require.Nil(t, driver.happens)
		refused(t, second(w.Authenticate(t.Context(), pending.Token)), "mfa_required")
	}

	link, err := w.NewReset(w.Platform(), w.user.ID)
	require.NoError(t, err)
	driver.units, driver.happens = 1, func() { require.NoError(t, w.ResetPassword(w.from(home), link, another)) }
	conflict(t, w.ResetPassword(w.from(home), link, "yet another good one"), "link_expired")

	driver.units, driver.happens = 3, func() { require.NoError(t, w.SetPassword(w.Platform(), w.user.ID, password)) }
	wrong(t, second(w.SignIn(w.from(home), signin.Credentials{Email: w.user.Email, Password: another})))
	require.Nil(t, driver.happens, "a password that is another one by now is wrong")
}
