package signin_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/signin"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

func TestASecondFactorIsEnrolledAndAskedFor(t *testing.T) { // F027, F148, F276
	each(t, func(t *testing.T, w *world) {
		ctx, first := w.signIn()
		_, other := w.signIn()
		_, err := w.ConfirmMFA(ctx, "123456")
		conflict(t, err, "conflict")
		_, _, err = w.Service.VerifyMFA(ctx, signin.Proof{Code: "123456"})
		conflict(t, err, "conflict")

		e, err := w.Enrol(ctx)
		require.NoError(t, err)
		key, err := otp.NewKeyFromURL(e.URL) // as an authenticator reads it
		require.NoError(t, err)
		require.Equal(t, []any{e.Secret, "Example AI", w.user.Email, uint64(30), otp.DigitsSix, otp.AlgorithmSHA1},
			[]any{key.Secret(), key.Issuer(), key.AccountName(), key.Period(), key.Digits(), key.Algorithm()})
		out, err := w.SignIn(w.from(home), signin.Credentials{Email: w.user.Email, Password: password})
		require.NoError(t, err)
		require.False(t, out.Session.Pending, "what is only offered is not asked for")

		code, err := totp.GenerateCode(key.Secret(), w.clock.Now())
		require.NoError(t, err)
		_, err = w.ConfirmMFA(ctx, flip(code))
		wrong(t, err)
		codes, err := w.ConfirmMFA(ctx, code)
		require.NoError(t, err)
		require.Len(t, codes, 10)
		a, err := w.Authenticate(t.Context(), first.Token)
		require.NoError(t, err)
		require.True(t, a.MFAAt.Equal(w.clock.Now()), "it was proved")
		require.ErrorIs(t, second(w.Authenticate(t.Context(), other.Token)), orgs.ErrUnauthenticated, "other sessions have ended")

		out, err = w.SignIn(w.from(home), signin.Credentials{Email: w.user.Email, Password: password})
		require.NoError(t, err)
		require.True(t, out.Session.Pending && out.MFARequired)
		require.Empty(t, out.Device)
		refused(t, second(w.Authenticate(t.Context(), out.Token)), "mfa_required")
		pending := w.in(out.Token, home)
		refused(t, second(w.Enrol(pending)), "mfa_required")
		refused(t, w.RemoveMFA(pending, "me"), "mfa_required")
		refused(t, w.ChangePassword(pending, password, another), "mfa_required")
		refused(t, second(w.NewRecoveryCodes(pending)), "mfa_required")

		s, device, err := w.Service.VerifyMFA(pending, signin.Proof{Code: w.code(key.Secret())})
		require.NoError(t, err)
		require.NotEmpty(t, device)
		require.Equal(t, []any{[]string{"pwd", "otp"}, false, w.clock.Now().Add(24 * time.Hour)}, []any{s.Methods, s.Pending, s.ExpiresAt})
		a, err = w.Authenticate(t.Context(), out.Token)
		require.NoError(t, err)
		require.True(t, a.MFAAt.Equal(w.clock.Now()))
		m, err := w.MFA(w.Platform(), w.user.ID)
		require.NoError(t, err)
		require.Equal(t, 10, m.RecoveryCodes)
		require.NotNil(t, m.EnrolledAt)
		require.ErrorIs(t, second(w.MFA(w.As(w.owner), w.user.ID)), store.ErrNotFound)
		for _, org := range []string{w.org.ID, ""} {
			require.Equal(t, []string{signin.EnrolledType, signin.LoginType, signin.MFAType}, last(w.types(org), 3))
		}
	})
}

func last(list []string, n int) []string { return list[len(list)-n:] }

// flip is a code that is wrong.
func flip(code string) string {
	if code[0] == '0' {
		return "1" + code[1:]
	}
	return "0" + code[1:]
}

func TestACodeWorksOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		key, _, _ := w.enrol()
		_, out := w.signIn()
		ctx := w.in(out.Token, home)
		used := signin.TOTPCode(key, w.clock.Now())
		wrong(t, third(w.Service.VerifyMFA(ctx, signin.Proof{Code: used})))
		w.clock.Advance(30 * time.Second)
		wrong(t, third(w.Service.VerifyMFA(ctx, signin.Proof{Code: used})), "nor is it taken for one that came late")
		code := signin.TOTPCode(key, w.clock.Now())
		w.clock.Advance(30 * time.Second)
		require.NoError(t, third(w.Service.VerifyMFA(ctx, signin.Proof{Code: code[:3] + " " + code[3:]})), "a clock is late")
		wrong(t, third(w.Service.VerifyMFA(ctx, signin.Proof{Code: code})))
		ahead := signin.TOTPCode(key, w.clock.Now().Add(30*time.Second))
		require.NoError(t, third(w.Service.VerifyMFA(ctx, signin.Proof{Code: ahead})), "a clock is fast")
		wrong(t, third(w.Service.VerifyMFA(ctx, signin.Proof{Code: signin.TOTPCode(key, w.clock.Now())})), "a step before the last")
		far := signin.TOTPCode(key, w.clock.Now().Add(90*time.Second))
		wrong(t, third(w.Service.VerifyMFA(ctx, signin.Proof{Code: far})))
	})
}

func third[A, B any](_ A, _ B, err error) error { return err }

func TestOneOfManyAtOnceUsesACode(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		key, codes, _ := w.enrol()
		for _, proof := range []signin.Proof{{Code: w.code(key)}, {Recovery: codes[0]}} {
			errs := make(chan error)
			for range 4 {
				_, out := w.signIn()
				ctx := w.in(out.Token, home)
				go func() { errs <- third(w.Service.VerifyMFA(ctx, proof)) }()
			}
			right := 0
			for range 4 {
				if err := <-errs; err == nil {
					right++
				} else {
					wrong(t, err)
				}
			}
			require.Equal(t, 1, right)
		}
	})
}

func TestARecoveryCodeWorksOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, codes, ctx := w.enrol()
		_, out := w.signIn()
		pending := w.in(out.Token, home)
		written := strings.ToUpper(strings.ReplaceAll(codes[3], "-", " "))
		s, _, err := w.Service.VerifyMFA(pending, signin.Proof{Recovery: written})
		require.NoError(t, err)
		require.Equal(t, []string{"pwd", "recovery"}, s.Methods)
		wrong(t, third(w.Service.VerifyMFA(pending, signin.Proof{Recovery: codes[3]})))
		invalid(t, third(w.Service.VerifyMFA(pending, signin.Proof{})), "code", "required")
		invalid(t, third(w.Service.VerifyMFA(pending, signin.Proof{Code: "1", Recovery: "2"})), "code", "required")
		m, err := w.MFA(ctx, "me")
		require.NoError(t, err)
		require.Equal(t, 9, m.RecoveryCodes)

		fresh, err := w.NewRecoveryCodes(ctx)
		require.NoError(t, err)
		wrong(t, third(w.Service.VerifyMFA(ctx, signin.Proof{Recovery: codes[4]})))
		require.NoError(t, third(w.Service.VerifyMFA(ctx, signin.Proof{Recovery: fresh[0]})))
	})
}

// TestHowOneSignsInIsChangedByWhoHasJustProvedThemselves.
func TestHowOneSignsInIsChangedByWhoHasJustProvedThemselves(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		refused(t, second(w.Enrol(w.As(w.user))), "permission_denied")
		require.ErrorIs(t, second(w.Enrol(t.Context())), rbac.ErrNoActor)
		ctx, _ := w.signIn()
		w.clock.Advance(signin.FreshFor)
		refused(t, second(w.Enrol(ctx)), "permission_denied")

		key, codes, ctx := w.enrol()
		w.clock.Advance(signin.FreshFor)
		for _, err := range []error{second(w.Enrol(ctx)), w.RemoveMFA(ctx, "me"), second(w.NewRecoveryCodes(ctx))} {
			refused(t, err, "mfa_required")
		}
		require.NoError(t, third(w.Service.VerifyMFA(ctx, signin.Proof{Code: w.code(key)})))
		e, err := w.Enrol(ctx)
		require.NoError(t, err, "another device")
		require.NoError(t, third(w.Service.VerifyMFA(ctx, signin.Proof{Code: w.code(key)})), "until it is confirmed the old one counts")
		w.clock.Advance(30 * time.Second)
		fresh, err := w.ConfirmMFA(ctx, signin.TOTPCode(e.Secret, w.clock.Now()))
		require.NoError(t, err)
		wrong(t, third(w.Service.VerifyMFA(ctx, signin.Proof{Code: w.code(key)})))
		wrong(t, third(w.Service.VerifyMFA(ctx, signin.Proof{Recovery: codes[0]})))
		require.NoError(t, third(w.Service.VerifyMFA(ctx, signin.Proof{Recovery: fresh[0]})))

		require.NoError(t, w.RemoveMFA(ctx, "me"))
		conflict(t, w.RemoveMFA(w.Platform(), w.user.ID), "conflict")
		_, out := w.signIn()
		require.False(t, out.Session.Pending)
		require.Equal(t, []string{signin.MFARemovedType, signin.LoginType}, last(w.types(w.org.ID), 2))
	})
}

// TestThePlatformHelpsWhoHasLostEverything.
func TestThePlatformHelpsWhoHasLostEverything(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, _, ctx := w.enrol()
		require.ErrorIs(t, w.RemoveMFA(w.As(w.owner), w.user.ID), store.ErrNotFound)
		require.NoError(t, w.RemoveMFA(w.Platform(), w.user.ID))
		_, out := w.signIn()
		require.False(t, out.Session.Pending)
		by, _ := audit.ActorFrom(ctx)
		s, err := w.Session(w.Platform(), w.user.ID, by.SessionID)
		require.NoError(t, err)
		require.Nil(t, s.MFAVerifiedAt, "what was proved by it counts no more")
	})
}

// TestAnOrganizationThatAsksForAFactorLetsOneEnrol (F027).
func TestAnOrganizationThatAsksForAFactorLetsOneEnrol(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		settings := orgs.OrgSettings{Security: &orgs.SecuritySettings{Require2FA: true}}
		require.NoError(t, second(w.UpdateOrganization(w.Platform(), w.org.ID, orgs.OrganizationUpdate{Settings: &settings})))
		ctx, out := w.signIn()
		require.True(t, out.MFARequired)
		require.False(t, out.Session.Pending)
		refused(t, second(w.Organization(ctx, w.org.ID)), "mfa_required")
		require.NoError(t, second(w.Organization(w.As(w.user), w.org.ID)), "a token is no session (F455)")
		e, err := w.Enrol(ctx)
		require.NoError(t, err)
		require.NoError(t, second(w.ConfirmMFA(ctx, signin.TOTPCode(e.Secret, w.clock.Now()))))
		require.NoError(t, second(w.Organization(w.in(out.Token, home), w.org.ID)))
	})
}

// TestThePolicyAsksForTheAgeOfTheProof (F148, F149).
func TestThePolicyAsksForTheAgeOfTheProof(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		age := 10
		_, _, err := w.CreatePolicy(w.Platform(), w.org.ID, "", rbac.NewPolicy{Name: "careful", Statements: []rbac.Statement{{Effect: rbac.EffectAllow,
			Actions: []string{"organizations.read"}, Resources: []string{"*"}, Conditions: rbac.Conditions{MFA: &rbac.MFACondition{Type: rbac.Required, MaxAgeMinutes: &age}}}}})
		require.NoError(t, err)
		ctx, out := w.signIn()
		refused(t, second(w.Organization(ctx, w.org.ID)), "mfa_required")
		e, err := w.Enrol(ctx)
		require.NoError(t, err)
		require.NoError(t, second(w.ConfirmMFA(ctx, signin.TOTPCode(e.Secret, w.clock.Now()))))
		require.NoError(t, second(w.Organization(w.in(out.Token, home), w.org.ID)))
		w.clock.Advance(11 * time.Minute)
		refused(t, second(w.Organization(w.in(out.Token, home), w.org.ID)), "mfa_required")
		require.NoError(t, third(w.Service.VerifyMFA(w.in(out.Token, home), signin.Proof{Code: w.code(e.Secret)})))
		require.NoError(t, second(w.Organization(w.in(out.Token, home), w.org.ID)))
	})
}

// TestCodesAreSlowedAndRecoveryIsNot: who has the password guesses codes in vain, and keeps nobody out.
func TestCodesAreSlowedAndRecoveryIsNot(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		key, codes, _ := w.enrol()
		good := signin.TOTPCode(key, w.clock.Now().Add(30*time.Second))
		tries := 0
		for range 10 { // each in a session of its own
			_, out := w.signIn()
			ctx := w.in(out.Token, home)
			for {
				err := third(w.Service.VerifyMFA(ctx, signin.Proof{Code: flip(good)}))
				var wait *orgs.TooManyTries
				if errors.As(err, &wait) {
					break
				}
				wrong(t, err)
				tries++
			}
		}
		require.Equal(t, 21, tries, "for all sessions together")
		_, out := w.signIn()
		ctx := w.in(out.Token, home)
		braked(t, third(w.Service.VerifyMFA(ctx, signin.Proof{Code: good})))
		require.NoError(t, third(w.Service.VerifyMFA(ctx, signin.Proof{Recovery: codes[0]})))
	})
}

// TestCodesAreThoseOfAnotherLibrary: for any key and time.
func TestCodesAreThoseOfAnotherLibrary(t *testing.T) {
	w := onMemory(t, nil)
	ctx, _ := w.signIn()
	rapid.Check(t, func(r *rapid.T) {
		e, err := w.Enrol(ctx)
		require.NoError(r, err)
		at := time.Unix(rapid.Int64Range(1_000_000, 1<<33).Draw(r, "time"), 0)
		code, err := totp.GenerateCode(e.Secret, at)
		require.NoError(r, err)
		require.Equal(r, code, signin.TOTPCode(e.Secret, at))
		u, err := url.Parse(e.URL)
		require.NoError(r, err)
		require.Equal(r, "/Example AI:"+w.user.Email, u.Path)

		off := time.Duration(rapid.IntRange(-120, 120).Draw(r, "off")) * time.Second
		is, err := totp.ValidateCustom(code, e.Secret, at.Add(off), totp.ValidateOpts{Period: 30, Skew: 1, Digits: otp.DigitsSix})
		require.NoError(r, err)
		_, fresh := signin.TOTPMatch(e.Secret, code, at.Add(off), 0)
		require.Equal(r, is, fresh, "%v", off)
	})
}

// TestTheCodesOfTheStandard: RFC 6238, appendix B, the last six of its eight digits.
func TestTheCodesOfTheStandard(t *testing.T) {
	for at, code := range map[int64]string{59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130"} {
		require.Equal(t, code, signin.TOTPCode("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", time.Unix(at, 0)))
	}
}

func FuzzCode(f *testing.F) {
	f.Add("287 082")
	f.Add("  287082")
	f.Add("ok")
	f.Fuzz(func(t *testing.T, code string) {
		_, is := signin.TOTPMatch("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", code, time.Unix(59, 0), 0)
		plain := strings.ReplaceAll(code, " ", "")
		require.Equal(t, len(code) <= 12 && (plain == "287082" || plain == signin.TOTPCode("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", time.Unix(89, 0))), is)
	})
}
