package scim_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/memory"
	"github.com/orgkit/orgkit/store/postgres"
	"github.com/orgkit/orgkit/store/seal"
	"github.com/orgkit/orgkit/store/sqlite"
	"github.com/orgkit/orgkit/store/storetest"
)

// TestDeprovisionedKeyIsRefusedInOtherProcesses: no later than a second after the answer, at the gate of another process that
// has the key in memory.
func TestDeprovisionedKeyIsRefusedInOtherProcesses(t *testing.T) { // rule 125, P10, P11, PG8
	shared := memory.New(nil)
	file := filepath.Join(t.TempDir(), "two.db")
	for name, open := range map[string]func(t *testing.T) *store.Store{
		"memory": func(*testing.T) *store.Store { return shared }, // one process: two managers
		"sqlite": func(t *testing.T) *store.Store {
			s, err := sqlite.Open(t.Context(), file, nil)
			require.NoError(t, err)
			t.Cleanup(func() { s.Close() })
			return s
		},
		"postgres": func() func(t *testing.T) *store.Store {
			dsn := ""
			return func(t *testing.T) *store.Store {
				if dsn == "" {
					dsn = storetest.Postgres(t)
				}
				s, err := postgres.Open(t.Context(), dsn, nil)
				require.NoError(t, err)
				t.Cleanup(func() { s.Close() })
				return s
			}
		}(),
	} {
		t.Run(name, func(t *testing.T) {
			models, err := billing.NewCatalogue(billing.Model{ID: "gpt-4o"})
			require.NoError(t, err)
			p := join(t, orgstest.New(t, open(t), &orgs.Options{Catalogue: models}), "acme", nil, everything)
			id := p.user("anna")
			p.group("Staff", id)
			_, secret := p.key(p.team("staff"), p.account("anna@acme.example"), "k")

			there, err := orgs.New(open(t), &orgs.Options{Catalogue: models})
			require.NoError(t, err)
			defer there.Close()
			g := gate.New(there)
			admit := func() error {
				adm, err := g.Admit(t.Context(), gate.Call{Secret: secret, Model: "gpt-4o", InputTokens: 1})
				if err == nil {
					adm.Release(t.Context())
				}
				return err
			}
			require.NoError(t, admit())
			require.NoError(t, admit())
			require.Equal(t, 200, p.patch("/Users/"+id, `[{"op":"replace","path":"active","value":false}]`).Code)
			end := time.Now().Add(time.Second)
			for err = admit(); err == nil && time.Now().Before(end); err = admit() {
			}
			require.Error(t, err)
			var denied *gate.Denied
			require.True(t, errors.As(err, &denied), "%v", err)
		})
	}
}

func TestChosenTokens(t *testing.T) { // F187, P17
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		const chosen = "correct-horse-battery"
		unsealed := join(t, orgstest.New(t, s, nil), "acme", nil, everything)
		_, _, err := unsealed.CreateSCIMToken(unsealed.As(unsealed.owner), unsealed.org.ID, orgs.NewSCIMToken{Name: "chosen", Secret: seal.NewSecret(chosen)})
		require.ErrorIs(t, err, store.ErrInvalid, "a host without a key keeps no secret that others have chosen")

		key, err := seal.ParseKey(seal.GenerateKey())
		require.NoError(t, err)
		sealer, err := seal.New(key)
		require.NoError(t, err)
		w := orgstest.New(t, s, &orgs.Options{Seal: sealer})
		p, rival := join(t, w, "chooser", nil, everything), join(t, w, "rival", nil, everything)
		create := func(p *provider, secret string) error {
			_, shown, err := p.CreateSCIMToken(p.As(p.owner), p.org.ID, orgs.NewSCIMToken{Name: "chosen", Secret: seal.NewSecret(secret)})
			require.Empty(t, shown)
			return err
		}
		require.ErrorIs(t, create(p, "too short"), store.ErrInvalid)
		require.ErrorIs(t, create(p, "has spaces, which no header takes"), store.ErrInvalid)
		require.NoError(t, create(p, chosen))
		err = create(rival, chosen)
		require.ErrorIs(t, err, store.ErrInvalid)
		require.NotContains(t, err.Error(), chosen)
		p.secret = chosen
		p.must(200, "GET", "/Users", "")
		for _, e := range p.events("scim.token_created") {
			require.NotContains(t, string(e.After), chosen)
		}
		_, err = w.AuthenticateSCIM(t.Context(), chosen+"x")
		require.ErrorIs(t, err, orgs.ErrUnauthenticated)
		_, err = unsealed.AuthenticateSCIM(t.Context(), chosen)
		require.ErrorIs(t, err, orgs.ErrUnauthenticated)
		a, err := w.AuthenticateSCIM(t.Context(), chosen)
		require.NoError(t, err)
		require.Equal(t, audit.SCIM, a.Type)
	})
}

// TestTokenOfTheConfigurationIsChangedWithoutABreak: the one before works until the provider has the new one.
func TestTokenOfTheConfigurationIsChangedWithoutABreak(t *testing.T) { // rule 15, F187, F336, P16
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		key, err := seal.ParseKey(seal.GenerateKey())
		require.NoError(t, err)
		sealer, err := seal.New(key)
		require.NoError(t, err)
		p := join(t, orgstest.New(t, s, &orgs.Options{Seal: sealer}), "acme", nil, everything)
		set := func(token *seal.Secret) {
			t.Helper()
			_, _, err := p.SetSSO(p.As(p.owner), p.org.ID, orgs.NewSSO{Provider: "okta", Provisioning: &everything, Secrets: map[string]*seal.Secret{"scim_bearer_token": token}})
			require.NoError(t, err)
		}
		token := func(text string) *seal.Secret { return ptr(seal.NewSecret(text)) }
		work := func(want string) {
			t.Helper()
			got := ""
			for _, secret := range []string{"the-first-of-them", "the-second-of-them", "the-third-of-them"} {
				p.secret = secret
				if p.do("GET", "/Users", "").Code == 200 {
					got += secret[len(secret)-len("_of-them")-3:len(secret)-len("_of-them")] + " "
				}
			}
			require.Equal(t, want, got)
		}
		page, err := p.SCIMTokens(p.As(p.owner), p.org.ID, 10, "")
		require.NoError(t, err)
		_, err = p.RevokeSCIMToken(p.As(p.owner), p.org.ID, page.Items[0].ID)
		require.NoError(t, err)
		set(token("the-first-of-them"))
		work("rst ")
		set(token("the-first-of-them"))
		work("rst ")
		set(token("the-second-of-them"))
		work("rst ond ")
		set(token("the-third-of-them"))
		work("ond ird ")
		set(token("the-second-of-them"))
		work("ond ird ")
		set(nil)
		work("")

		// Beside a token that was made for something else there is no room for a second one.
		_, _, err = p.CreateSCIMToken(p.As(p.owner), p.org.ID, orgs.NewSCIMToken{Name: "other"})
		require.NoError(t, err)
		set(token("the-first-of-them"))
		set(token("the-second-of-them"))
		work("ond ")
	})
}
