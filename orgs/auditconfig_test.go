package orgs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs"
	"github.com/orgkit/orgkit/store/jobs/outbound"
	"github.com/orgkit/orgkit/store/seal"
	"github.com/orgkit/orgkit/store/storetest"
)

// equipped are options of a host that seals secrets and calls URLs.
func equipped(t *testing.T) *orgs.Options {
	t.Helper()
	key, err := seal.ParseKey(seal.GenerateKey())
	require.NoError(t, err)
	o := inOrder()
	o.Seal, err = seal.New(key)
	require.NoError(t, err)
	o.Audit.Seal = o.Seal
	o.URLs, err = outbound.New(nil)
	require.NoError(t, err)
	return o
}

func sink(endpoint string, secrets map[string]*seal.Secret) orgs.NewDestination {
	return orgs.NewDestination{Destination: audit.Destination{Type: audit.SIEM, Endpoint: endpoint}, Secrets: secrets}
}

func bucket(name string, secrets map[string]*seal.Secret) orgs.NewDestination {
	return orgs.NewDestination{Destination: audit.Destination{Type: audit.S3, Bucket: name}, Secrets: secrets}
}

func secret(text string) *seal.Secret { return ptr(seal.NewSecret(text)) }

// configure sets a configuration with those destinations.
func configure(t *testing.T, w *orgstest.World, org string, list ...orgs.NewDestination) orgs.AuditSettings {
	t.Helper()
	c, _, err := w.SetAuditConfig(w.Platform(), org, orgs.NewAuditConfig{Destinations: list})
	require.NoError(t, err)
	return c
}

func TestANewOrganizationHasItsAuditConfiguration(t *testing.T) { // F016
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		org, owner := w.Org("acme")
		c, err := w.AuditConfig(w.As(owner), org.ID)
		require.NoError(t, err)
		want := audit.DefaultConfig(org.ID)
		want.CreatedAt, want.UpdatedAt = org.CreatedAt, org.CreatedAt
		require.Equal(t, want, c.Config)
		c, _, err = w.SetAuditConfig(w.As(owner), org.ID, orgs.NewAuditConfig{})
		require.NoError(t, err)
		require.EqualValues(t, 1, c.Version)
		kept, err := w.AuditConfig(w.As(owner), org.ID)
		require.NoError(t, err)
		require.Equal(t, []any{c.Enabled, c.RetentionDays, c.EventsToLog}, []any{kept.Enabled, kept.RetentionDays, kept.EventsToLog})
	})
}

// loggedTypes are the types in the log of the organization, oldest first, without those of the first n.
func loggedTypes(t *testing.T, w *orgstest.World, org string, n int) (list []string) {
	t.Helper()
	page, err := w.Audit().List(t.Context(), org, audit.Filter{Ascending: true, Limit: audit.MaxPage})
	require.NoError(t, err)
	for _, e := range page.Items[n:] {
		list = append(list, e.Type)
	}
	return list
}

// place is where something happens that is logged.
type place struct {
	*orgstest.World
	org   orgs.Organization
	team  orgs.Team
	owner orgs.User
	user  orgs.User
}

// key makes a key of the team and uses it after something was done to it.
func (p place) key(then func(orgs.APIKey) error) error {
	k, secret, err := p.CreateAPIKey(p.Platform(), orgs.NewAPIKey{Name: "k", Team: p.team.ID})
	if err != nil {
		return err
	}
	if err := then(k); err != nil {
		return err
	}
	_, _ = p.Authenticate(p.Platform(), secret)
	return nil
}

// emitted are the families with what leaves events of them: of billing, invoices, payments and alerts come with issues 6
// and 7, of data_access, reports.
var emitted = map[string]map[string]func(p place) error{
	"authentication": { // F276; package orgs/signin has the others
		orgs.LogoutType: func(p place) error {
			return second(p.EndSessions(p.As(p.user), "me", false))
		},
	},
	"authorization": {
		audit.AllowedType: func(p place) error {
			in := orgs.NewAuditConfig{Decisions: audit.Decisions{Record: audit.RecordFull}}
			c, err := p.AuditConfig(p.Platform(), p.org.ID)
			if err != nil {
				return err
			}
			in.EventsToLog = c.EventsToLog
			if err := third(p.SetAuditConfig(p.Platform(), p.org.ID, in)); err != nil {
				return err
			}
			return second(p.Manager.Team(p.As(p.owner), p.team.ID))
		},
		"authorization.denied": func(p place) error {
			_, err := p.CreateTeam(p.As(p.user), p.org.ID, orgs.NewTeam{Name: "x"})
			if !errors.Is(err, rbac.ErrDenied) {
				return errors.New("it was not refused")
			}
			return nil
		},
	},
	"api_key": {
		orgs.KeyUsedType: func(p place) error { return p.key(func(orgs.APIKey) error { return nil }) },
		orgs.KeyDeniedType: func(p place) error {
			return p.key(func(k orgs.APIKey) error { return second(p.RevokeAPIKey(p.Platform(), k.ID, "")) })
		},
		"api_key.updated": func(p place) error {
			return p.key(func(k orgs.APIKey) error {
				return second(p.UpdateAPIKey(p.Platform(), k.ID, orgs.KeyUpdate{Name: ptr("l")}))
			})
		},
		"api_key.rotated": func(p place) error {
			return p.key(func(k orgs.APIKey) error { return third(p.RotateAPIKey(p.Platform(), k.ID, 0)) })
		},
		"api_key.revoked": func(p place) error {
			return p.key(func(k orgs.APIKey) error { return second(p.RevokeAPIKey(p.Platform(), k.ID, "")) })
		},
		"api_key.created": func(p place) error {
			_, _, err := p.CreateAPIKey(p.Platform(), orgs.NewAPIKey{Name: "k", Team: p.team.ID})
			return err
		},
	},
	"team": {
		"team.created": func(p place) error { return second(p.CreateTeam(p.Platform(), p.org.ID, orgs.NewTeam{Name: "new"})) },
		"team.updated": func(p place) error {
			return second(p.UpdateTeam(p.Platform(), p.team.ID, orgs.TeamUpdate{Name: ptr("another")}))
		},
		"project.created": func(p place) error {
			return second(p.CreateProject(p.Platform(), p.org.ID, orgs.NewProject{Name: "new"}))
		},
		"team.deleted": func(p place) error { return second(p.DeleteTeam(p.Platform(), p.team.ID, true)) },
	},
	"member": {
		"member.invited": func(p place) error {
			return third(p.Invite(p.Platform(), orgs.Place{OrgID: p.org.ID}, orgs.NewInvitation{Email: "x@y.example", Role: "member"}))
		},
		"member.joined": func(p place) error {
			return second(p.AddMember(p.Platform(), orgs.Place{OrgID: p.org.ID, TeamID: p.team.ID}, orgs.NewMember{User: p.user.ID, Role: "member"}))
		},
		"member.role_changed": func(p place) error {
			return second(p.UpdateMember(p.Platform(), orgs.Place{OrgID: p.org.ID}, p.user.ID, orgs.MemberUpdate{Role: ptr("org_admin")}))
		},
		"member.removed": func(p place) error {
			return second(p.RemoveMember(p.Platform(), orgs.Place{OrgID: p.org.ID}, p.user.ID, orgs.MemberRemoval{}))
		},
	},
	"billing": {
		"budget.updated": func(p place) error {
			return second(p.SetBudget(p.Platform(), billing.Budget{OrgID: p.org.ID, Scope: billing.ScopeOrg, ScopeID: p.org.ID, Window: "1d", Limit: decimal.NewFromInt(1)}))
		},
	},
	"settings": {
		"organization.updated": func(p place) error {
			return second(p.UpdateOrganization(p.Platform(), p.org.ID, orgs.OrganizationUpdate{Name: ptr("another")}))
		},
		"organization.moved": func(p place) error {
			o, err := p.CreateOrganization(p.Platform(), orgs.NewOrganization{Name: "above"})
			if err != nil {
				return err
			}
			return second(p.MoveOrganization(p.Platform(), p.org.ID, o.ID))
		},
		"role.created": func(p place) error {
			return second(p.CreateRole(p.Platform(), p.org.ID, rbac.NewRole{Name: "new", Permissions: []string{"teams.read"}}))
		},
	},
	"data_access": {
		"audit.read":            func(p place) error { return second(p.AuditLog(p.As(p.owner), p.org.ID, audit.Filter{})) },
		"audit.read/access log": func(p place) error { return second(p.AccessLog(p.As(p.owner), p.org.ID, audit.Filter{})) },
		"audit.read/counts":     func(p place) error { return second(p.AuditCounts(p.As(p.owner), p.org.ID, audit.CountQuery{})) },
	},
	"security": {
		"security.ip_denied": func(p place) error {
			settings := orgs.OrgSettings{Security: &orgs.SecuritySettings{IPAllowlist: []string{"192.0.2.0/24"}}}
			if _, err := p.UpdateOrganization(p.Platform(), p.org.ID, orgs.OrganizationUpdate{Settings: &settings}); err != nil {
				return err
			}
			_, err := p.Organization(p.From(p.owner, "198.51.100.1"), p.org.ID)
			if err == nil {
				return errors.New("it was not refused")
			}
			return nil
		},
		orgs.SuspendedType: func(p place) error {
			return p.key(func(orgs.APIKey) error { return second(p.SuspendOrganization(p.Platform(), p.org.ID, "")) })
		},
		"organization.suspended": func(p place) error { return second(p.SuspendOrganization(p.Platform(), p.org.ID, "")) },
	},
}

// TestFamiliesAreEmitted: what each family says is written when it is logged, and is not when it is not.
func TestFamiliesAreEmitted(t *testing.T) { // F275 to F284
	for _, family := range audit.Families() {
		require.NotNil(t, emitted[family], "%s is emitted", family)
	}
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		n := 0
		for family, steps := range emitted {
			for name, step := range steps {
				typ, _, _ := strings.Cut(name, "/")
				require.Equal(t, family, audit.Category(typ))
				for _, only := range []bool{true, false} { // this family, or all others
					n++
					p := place{World: w}
					p.org, p.owner = w.Org(fmt.Sprint("acme-", n))
					p.team = w.Team(p.org, "crew", orgs.TeamSettings{})
					p.user = w.User(fmt.Sprintf("user@%d.example", n))
					w.Add(orgs.Place{OrgID: p.org.ID}, p.user, "member")
					globs := []string{}
					for _, glob := range audit.DefaultConfig("").EventsToLog {
						if (glob == family+".*") == only {
							globs = append(globs, glob)
						}
					}
					_, _, err := w.SetAuditConfig(w.Platform(), p.org.ID, orgs.NewAuditConfig{EventsToLog: globs})
					require.NoError(t, err)
					before := loggedTypes(t, w, p.org.ID, 0)
					require.NoError(t, step(p), typ)
					now := loggedTypes(t, w, p.org.ID, len(before))
					if only || audit.Mandatory(typ) {
						require.Contains(t, now, typ)
					} else {
						require.NotContains(t, now, typ)
					}
				}
			}
		}
	})
}

func TestWhatIsOffIsOffFromTheNextEventOn(t *testing.T) { // F272, F273
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		org, owner := w.Org("acme")
		at := orgs.Place{OrgID: org.ID}
		n := len(loggedTypes(t, w, org.ID, 0))
		set := func(enabled bool) {
			_, _, err := w.SetAuditConfig(w.As(owner), org.ID, orgs.NewAuditConfig{Enabled: &enabled})
			require.NoError(t, err)
		}
		w.Team(org, "before", orgs.TeamSettings{})
		set(false)
		team := w.Team(org, "unseen", orgs.TeamSettings{})
		user := w.Join(team, "user@acme.example", "member")
		_, err := w.CreateTeam(w.As(user), org.ID, orgs.NewTeam{Name: "x"})
		refused(t, err, "permission_denied")
		_, err = w.AuditLog(w.As(owner), org.ID, audit.Filter{})
		require.NoError(t, err)
		key, _, err := w.CreateAPIKey(w.Platform(), orgs.NewAPIKey{Name: "k", Team: team.ID})
		require.NoError(t, err)
		require.NoError(t, third(w.RotateAPIKey(w.Platform(), key.ID, 0)))
		require.NoError(t, second(w.RevokeAPIKey(w.Platform(), key.ID, "")))
		role, err := w.CreateRole(w.Platform(), org.ID, rbac.NewRole{Name: "new", Permissions: []string{"teams.read"}})
		require.NoError(t, err)
		require.NoError(t, third(w.SetOverride(w.Platform(), org.ID, team.ID, "member", []string{"usage.read"}, nil)))
		require.NoError(t, second(w.UpdateMember(w.Platform(), orgs.Place{OrgID: org.ID, TeamID: team.ID}, user.ID, orgs.MemberUpdate{Role: ptr(role.ID)})))
		require.NoError(t, third(w.CreatePolicy(w.Platform(), org.ID, "", somePolicy)))
		settings := orgs.OrgSettings{Security: &orgs.SecuritySettings{Require2FA: true}} // how one signs in
		require.NoError(t, second(w.UpdateOrganization(w.Platform(), org.ID, orgs.OrganizationUpdate{Settings: &settings})))
		require.NoError(t, second(w.DeleteTeam(w.Platform(), team.ID, true)))
		set(true)
		require.NoError(t, second(w.AddMember(w.Platform(), at, orgs.NewMember{User: w.User("last@acme.example").ID, Role: "member"})))
		require.Equal(t, []string{"team.created", audit.ConfigChangedType, "api_key.created", "api_key.rotated", "api_key.revoked", "role.created", "team.role_override", "member.role_changed",
			"policy.created", "organization.updated", "team.deleted", audit.ConfigChangedType, "member.joined"}, loggedTypes(t, w, org.ID, n))
		page, err := w.Audit().List(t.Context(), org.ID, audit.Filter{Types: []string{"settings.*"}, Actors: []string{"user:" + owner.ID}, Ascending: true})
		require.NoError(t, err)
		require.Len(t, page.Items, 2)
		require.Equal(t, audit.ConfigChangedType, page.Items[0].Type)
		require.JSONEq(t, `{"enabled": true}`, string(page.Items[0].Before))
		require.JSONEq(t, `{"enabled": false}`, string(page.Items[0].After))
	})
}

// TestSecretsOfDestinationsComeBackNowhere looks for them in everything that is stored, in events and errors (F291, F336).
func TestSecretsOfDestinationsComeBackNowhere(t *testing.T) {
	for _, name := range []string{"memory", "sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) {
			s, rec, clock := recorded(t, name)
			o := equipped(t)
			w := orgstest.New(t, s, o)
			org, owner := w.Org("acme")
			n := 0
			canary := func() *seal.Secret { n++; return secret(fmt.Sprintf("canary-%d", n)) }
			shows := func(v ...any) {
				text, err := json.Marshal(v)
				require.NoError(t, err)
				require.NotContains(t, string(text)+fmt.Sprintf("%v %+v", v, v), "canary")
			}
			keys := map[string]*seal.Secret{"access_key_id": canary(), "secret_access_key": canary()}
			in := orgs.NewAuditConfig{Destinations: []orgs.NewDestination{sink("https://siem.acme.com/logs", map[string]*seal.Secret{"api_key": canary()}), bucket("acme-logs", keys)}}
			shows(in)
			c, warnings, err := w.SetAuditConfig(w.As(owner), org.ID, in)
			require.NoError(t, err)
			shows(c, warnings)
			first := c.Destinations[0]
			opened := func(c orgs.AuditSettings, i int, field string) string {
				d := c.Destinations[i]
				s, err := o.Seal.Open(seal.Sealed(c.Sealed[d.SecretKey(field)]), d.SecretPlace(org.ID, field))
				require.NoError(t, err)
				return s.Reveal()
			}
			require.Equal(t, []string{"canary-3", "canary-1", "canary-2"}, []string{opened(c, 0, "api_key"), opened(c, 1, "access_key_id"), opened(c, 1, "secret_access_key")})

			clock.Advance(time.Hour)
			for i := range in.Destinations {
				in.Destinations[i].Secrets = nil
			}
			c, _, err = w.SetAuditConfig(w.As(owner), org.ID, in) // absent: kept
			require.NoError(t, err)
			require.Equal(t, "canary-3", opened(c, 0, "api_key"))
			require.Equal(t, first.SecretsAt, c.Destinations[0].SecretsAt)

			in.Destinations[0].Secrets = map[string]*seal.Secret{"api_key": secret("canary-3")} // the same
			c, _, err = w.SetAuditConfig(w.As(owner), org.ID, in)
			require.NoError(t, err)
			require.Equal(t, first.SecretsAt, c.Destinations[0].SecretsAt)

			in.Destinations[0].Secrets = map[string]*seal.Secret{"api_key": canary()} // a string: replaced
			c, _, err = w.SetAuditConfig(w.As(owner), org.ID, in)
			require.NoError(t, err)
			require.Equal(t, "canary-4", opened(c, 0, "api_key"))
			require.Equal(t, clock.Now(), c.Destinations[0].SecretsAt["api_key"])

			for field, secrets := range map[string]map[string]*seal.Secret{
				"export_destinations[0].api_key":       {"api_key": secret("canary with\r\nspaces")},
				"export_destinations[0].token":         {"token": canary()},
				"export_destinations[0].access_key_id": {"access_key_id": canary()},
			} {
				faulty := in
				faulty.Destinations = []orgs.NewDestination{sink("https://siem.acme.com/logs", secrets)}
				_, _, err = w.SetAuditConfig(w.As(owner), org.ID, faulty)
				wrongField(t, err, field)
				shows(err.Error())
			}
			require.NoError(t, third(w.SetAuditConfig(w.As(owner), org.ID, orgs.NewAuditConfig{Destinations: []orgs.NewDestination{
				sink("https://siem.acme.com/logs", map[string]*seal.Secret{"api_key": nil})}}))) // nil: removed
			for _, row := range rec.state(t).rows {
				require.NotContains(t, row, "canary")
			}
			c, err = w.AuditConfig(w.As(owner), org.ID)
			require.NoError(t, err)
			require.Empty(t, c.Sealed)
			require.Empty(t, c.Destinations[0].SecretsAt)
			page, err := w.AuditLog(w.As(owner), org.ID, audit.Filter{Types: []string{audit.ConfigChangedType}})
			require.NoError(t, err)
			require.Len(t, page.Items, 5)
			shows(page)
			for _, e := range page.Items {
				require.NotContains(t, string(e.Before)+string(e.After)+string(e.Data), "seal1.")
			}
		})
	}
}

// TestASecretGoesNowhereElse: whoever may set an endpoint would have it sent to themselves.
func TestASecretGoesNowhereElse(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		w := orgstest.New(t, s, equipped(t))
		org, _ := w.Org("acme")
		c := configure(t, w, org.ID, sink("https://siem.acme.com/logs", map[string]*seal.Secret{"api_key": secret("s3cret")}))
		moved := sink("https://evil.acme.com/logs", nil)
		moved.ID = c.Destinations[0].ID
		set := func(d ...orgs.NewDestination) error {
			_, _, err := w.SetAuditConfig(w.Platform(), org.ID, orgs.NewAuditConfig{Destinations: d})
			return err
		}
		wrongField(t, set(moved), "export_destinations[0].api_key")
		moved.Secrets = map[string]*seal.Secret{"api_key": secret("another")}
		require.NoError(t, set(moved))
		c, err := w.AuditConfig(w.Platform(), org.ID)
		require.NoError(t, err)
		require.Equal(t, moved.ID, c.Destinations[0].ID)

		fresh := configure(t, w, org.ID, sink("https://siem.acme.com/logs", nil)) // another one, without a secret
		require.NotEqual(t, moved.ID, fresh.Destinations[0].ID)
		require.Empty(t, fresh.Sealed)
	})
}

func TestDestinationsKeepTheirIDs(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		w := orgstest.New(t, s, equipped(t))
		org, _ := w.Org("acme")
		a, b := sink("https://a.acme.com/logs", nil), bucket("acme-logs", nil)
		c := configure(t, w, org.ID, a, b)
		require.NotEqual(t, c.Destinations[0].ID, c.Destinations[1].ID)
		turned := configure(t, w, org.ID, b, a)
		require.Equal(t, []string{c.Destinations[1].ID, c.Destinations[0].ID}, []string{turned.Destinations[0].ID, turned.Destinations[1].ID})

		moved := a // goes by its id where the other one, which is new, took its place
		moved.ID, moved.Endpoint = c.Destinations[0].ID, "https://b.acme.com/logs"
		both := configure(t, w, org.ID, a, moved)
		require.NotEqual(t, c.Destinations[0].ID, both.Destinations[0].ID)
		require.Equal(t, c.Destinations[0].ID, both.Destinations[1].ID)

		for _, list := range [][]orgs.NewDestination{{moved, moved}, {{Destination: audit.Destination{ID: "dst_none", Type: audit.S3, Bucket: "bucket"}}},
			{{Destination: audit.Destination{ID: moved.ID, Type: audit.S3, Bucket: "bucket"}}}} {
			_, _, err := w.SetAuditConfig(w.Platform(), org.ID, orgs.NewAuditConfig{Destinations: list})
			wrongField(t, err, fmt.Sprintf("export_destinations[%d].id", len(list)-1))
		}
		rival, _ := w.Org("rival")
		_, _, err := w.SetAuditConfig(w.Platform(), rival.ID, orgs.NewAuditConfig{Destinations: []orgs.NewDestination{moved}})
		wrongField(t, err, "export_destinations[0].id")
		half := bucket("acme-logs", map[string]*seal.Secret{"access_key_id": secret("AKIA")})
		_, _, err = w.SetAuditConfig(w.Platform(), org.ID, orgs.NewAuditConfig{Destinations: []orgs.NewDestination{half}})
		wrongField(t, err, "export_destinations[0].secret_access_key")
	})
}

func TestWithoutAKeyNoSecretIsTaken(t *testing.T) { // F295
	o := equipped(t)
	o.Seal = nil
	w := orgstest.New(t, storetest.Open(t, "memory", store.Options{}), o)
	org, owner := w.Org("acme")
	for field, in := range map[string]orgs.NewAuditConfig{
		"compliance.encryption_at_rest":  {Compliance: audit.Compliance{EncryptionAtRest: true}},
		"export_destinations[0].api_key": {Destinations: []orgs.NewDestination{sink("https://siem.acme.com", map[string]*seal.Secret{"api_key": secret("canary")})}},
	} {
		_, _, err := w.SetAuditConfig(w.As(owner), org.ID, in)
		wrongField(t, err, field)
		var f *store.FieldError
		require.ErrorAs(t, err, &f)
		require.Equal(t, "no_sealing_key", f.Code)
		require.NotContains(t, err.Error(), "canary")
	}
	configure(t, w, org.ID, sink("https://siem.acme.com", nil))

	o = equipped(t)
	o.Audit.Seal = nil // there is one for secrets, and none for events
	w = orgstest.New(t, storetest.Open(t, "memory", store.Options{}), o)
	org, owner = w.Org("acme")
	_, _, err := w.SetAuditConfig(w.As(owner), org.ID, orgs.NewAuditConfig{Compliance: audit.Compliance{EncryptionAtRest: true}})
	wrongField(t, err, "compliance.encryption_at_rest")
}

func TestWhatMustNotBeCalledIsRefused(t *testing.T) { // F290, F337
	w := orgstest.New(t, storetest.Open(t, "memory", store.Options{}), equipped(t))
	org, owner := w.Org("acme")
	for _, url := range []string{"http://siem.acme.com", "https://10.0.0.1/x", "https://169.254.169.254/latest", "https://localhost", "https://[::1]/", "https://u:p@siem.acme.com",
		"https://2130706433/", "https://siem.acme.com:22/", "ftp://siem.acme.com", "file:///etc/passwd", "https://metadata.internal/"} {
		_, _, err := w.SetAuditConfig(w.As(owner), org.ID, orgs.NewAuditConfig{Destinations: []orgs.NewDestination{sink(url, nil)}})
		wrongField(t, err, "export_destinations[0].endpoint")
		s3 := bucket("bucket", nil)
		s3.Endpoint = url
		_, _, err = w.SetAuditConfig(w.As(owner), org.ID, orgs.NewAuditConfig{Destinations: []orgs.NewDestination{s3}})
		wrongField(t, err, "export_destinations[0].endpoint")
	}
}

// TestEventsArePrunedWhenTheirTimeIsOver: and the rest of the log can still be proved, unless they are held (F274).
func TestEventsArePrunedWhenTheirTimeIsOver(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		o := inOrder()
		w := orgstest.New(t, s, o)
		verifiers, err := audit.Verifiers(o.Audit.Verifiers...)
		require.NoError(t, err)
		intact := func(org string) audit.Report {
			_, err := w.Audit().Checkpoint(t.Context(), org)
			require.NoError(t, err)
			r, err := w.Audit().Verify(t.Context(), org, verifiers)
			require.NoError(t, err)
			require.Equal(t, audit.Intact, r.Verdict, r)
			return r
		}
		prune := func() int64 {
			t.Helper()
			n, err := w.EnforceAuditRetention(w.Platform())
			require.NoError(t, err)
			return n
		}
		org, owner := w.Org("acme")
		held, _ := w.Org("held")
		long, _ := w.Org("long")
		gone, _ := w.Org("gone")
		all := []orgs.Organization{org, held, long, gone}
		_, _, err = w.SetAuditConfig(w.Platform(), held.ID, orgs.NewAuditConfig{HoldFrom: ptr(clock.Now().Add(time.Minute))})
		require.NoError(t, err)
		_, _, err = w.SetAuditConfig(w.Platform(), long.ID, orgs.NewAuditConfig{RetentionDays: ptr(3650)})
		require.NoError(t, err)
		clock.Advance(time.Hour)
		for i := range 5 {
			for _, o := range all {
				w.Team(o, fmt.Sprint("old-", i), orgs.TeamSettings{})
			}
		}
		require.NoError(t, second(w.DeleteOrganization(w.Platform(), gone.ID, true, "")))
		intact(org.ID)
		require.Zero(t, prune(), "nothing is old yet")
		_, err = w.EnforceAuditRetention(w.As(owner))
		refused(t, err, "permission_denied")
		clock.Advance(364 * 24 * time.Hour)
		for _, o := range all[:3] {
			w.Team(o, "young", orgs.TeamSettings{})
		}
		clock.Advance(36 * 24 * time.Hour)
		was := map[string]int{}
		for _, o := range all {
			was[o.ID] = len(loggedTypes(t, w, o.ID, 0))
		}
		n := prune()
		require.Equal(t, []string{"team.created", audit.PrunedType}, loggedTypes(t, w, org.ID, 0))
		require.Len(t, loggedTypes(t, w, long.ID, 0), was[long.ID])
		require.Equal(t, append(strings.Split(strings.Repeat("team.created,", 6), ",")[:6], audit.PrunedType), loggedTypes(t, w, held.ID, 0), "what came before the hold is gone")
		require.Equal(t, []string{"organization.deleted", audit.PrunedType}, loggedTypes(t, w, gone.ID, 0), "of a deleted one too, but the newest")
		require.EqualValues(t, was[org.ID]-1+was[held.ID]-6+was[gone.ID]-1, n)
		for _, o := range all {
			r := intact(o.ID)
			require.EqualValues(t, len(loggedTypes(t, w, o.ID, 0)), r.Checked)
		}
		p, err := w.AuditProof(w.As(owner), org.ID, intact(org.ID).First)
		require.NoError(t, err)
		_, err = p.Verify("orgkit/"+org.ID, verifiers)
		require.NoError(t, err)
		page, err := w.Audit().List(t.Context(), org.ID, audit.Filter{Types: []string{audit.PrunedType}})
		require.NoError(t, err)
		require.Equal(t, "system:retention", string(page.Items[0].ActorType)+":"+page.Items[0].ActorID)
		require.LessOrEqual(t, prune(), int64(1), "once")
		require.Zero(t, prune())

		// The hold stays when the rest is set anew, and is lifted by name.
		c, _, err := w.SetAuditConfig(w.Platform(), held.ID, orgs.NewAuditConfig{RetentionDays: ptr(1)})
		require.NoError(t, err)
		require.NotNil(t, c.HoldFrom)
		require.Zero(t, prune())
		_, _, err = w.SetAuditConfig(w.Platform(), held.ID, orgs.NewAuditConfig{RetentionDays: ptr(1), LiftHold: true})
		require.NoError(t, err)
		require.EqualValues(t, 6, prune())
		intact(held.ID)
	})
}

// trial stands in for package audit/export.
type trial map[string]string // by endpoint: why it does not take what is sent

func (p trial) Probe(_ context.Context, _ audit.Config, d audit.Destination) string {
	return p[d.Endpoint]
}

// waitingJobs are those for the destinations of an organization.
func waitingJobs(t *testing.T, w *orgstest.World, kind string) (list []string) {
	t.Helper()
	worker := jobs.NewWorker(w.Store(), nil)
	worker.Handle(kind, func(_ context.Context, j jobs.Job) error {
		var d audit.DeliveryJob
		if err := j.Decode(&d); err != nil {
			return err
		}
		list = append(list, d.Destination)
		return nil
	}, nil)
	require.NoError(t, second(worker.RunDue(t.Context())))
	return list
}

func TestDestinationsAreTried(t *testing.T) { // F286, F460
	each(t, func(t *testing.T, w *orgstest.World, clock *storetest.Clock) {
		org, owner := w.Org("acme")
		in := orgs.NewAuditConfig{Verify: true, Destinations: []orgs.NewDestination{sink("https://siem.acme.com/logs", nil)}}
		_, _, err := w.SetAuditConfig(w.As(owner), org.ID, in)
		wrongField(t, err, "verify")

		works := trial{"https://gone.acme.com/logs": "it answers 404"}
		w = orgstest.New(t, w.Store(), func() *orgs.Options { o := inOrder(); o.URLs, o.Exports = anyURL{}, works; return o }())
		in.Destinations = append(in.Destinations, sink("https://gone.acme.com/logs", nil))
		_, _, err = w.SetAuditConfig(w.As(owner), org.ID, in)
		wrongField(t, err, "export_destinations[1]")
		require.ErrorContains(t, err, "it answers 404")
		require.Empty(t, waitingJobs(t, w, audit.ProbeJob))
		c, err := w.AuditConfig(w.As(owner), org.ID)
		require.NoError(t, err)
		require.Empty(t, c.Destinations, "nothing was stored")

		in.Verify = false // then a job tries them
		c, _, err = w.SetAuditConfig(w.As(owner), org.ID, in)
		require.NoError(t, err)
		one, other := c.Destinations[0].ID, c.Destinations[1].ID
		require.Equal(t, audit.Unverified, c.Deliveries[one].Status)
		require.ElementsMatch(t, []string{one, other}, waitingJobs(t, w, audit.ProbeJob))

		in.Verify = true // what did not change is not tried again
		c, _, err = w.SetAuditConfig(w.As(owner), org.ID, in)
		require.NoError(t, err)
		require.Equal(t, audit.Unverified, c.Deliveries[other].Status)
		delete(works, "https://gone.acme.com/logs")
		in.Destinations[1].Format = "ocsf"
		c, _, err = w.SetAuditConfig(w.As(owner), org.ID, in)
		require.NoError(t, err)
		require.Equal(t, audit.Working, c.Deliveries[other].Status)
		require.Equal(t, clock.Now(), *c.Deliveries[other].CheckedAt)
		require.Equal(t, other, c.Destinations[1].ID)
		require.Empty(t, waitingJobs(t, w, audit.ProbeJob))

		in.Destinations = in.Destinations[:1]
		_, _, err = w.SetAuditConfig(w.As(owner), org.ID, in)
		require.NoError(t, err)
		c, err = w.AuditConfig(w.As(owner), org.ID)
		require.NoError(t, err)
		require.Len(t, c.Deliveries, 1, "that of a destination that is gone goes")
	})
}

type anyURL struct{}

func (anyURL) Check(string) error { return nil }

// TestRetentionWaitsForDestinations: nothing goes that one has not got, unless the organization says so, and then the
// log says what it is.
func TestRetentionWaitsForDestinations(t *testing.T) {
	each(t, func(t *testing.T, w *orgstest.World, clock *storetest.Clock) {
		org, _ := w.Org("acme")
		w = orgstest.New(t, w.Store(), func() *orgs.Options { o := inOrder(); o.URLs = anyURL{}; return o }())
		require.NoError(t, w.Audit().Flush(t.Context()))
		in := orgs.NewAuditConfig{RetentionDays: ptr(1), Destinations: []orgs.NewDestination{bucket("acme-logs", nil), sink("https://siem.acme.com/logs", nil)}}
		c, _, err := w.SetAuditConfig(w.Platform(), org.ID, in)
		require.NoError(t, err)
		s3, siem := c.Deliveries[c.Destinations[0].ID], c.Deliveries[c.Destinations[1].ID]
		require.Zero(t, s3.Next, "a bucket gets all")
		require.Positive(t, siem.Next, "a stream what comes")
		w.Team(org, "new", orgs.TeamSettings{})
		clock.Advance(48 * time.Hour)
		w.Team(org, "newer", orgs.TeamSettings{})

		n, err := w.EnforceAuditRetention(w.Platform())
		require.NoError(t, err)
		require.Zero(t, n)
		require.NoError(t, w.Store().Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			for id, next := range map[string]int64{s3.ID: 2, siem.ID: 3} {
				d, err := audit.Deliveries.Lock(ctx, tx, id)
				d.Next = next
				if err = errors.Join(err, audit.Deliveries.Update(ctx, tx, &d)); err != nil {
					return err
				}
			}
			return nil
		}))
		n, err = w.EnforceAuditRetention(w.Platform())
		require.NoError(t, err)
		require.EqualValues(t, 2, n, "what both have")
		require.NotContains(t, string(pruned(t, w, org.ID).Data), "undelivered")

		in.PruneUndelivered = true
		_, _, err = w.SetAuditConfig(w.Platform(), org.ID, in)
		require.NoError(t, err)
		clock.Advance(48 * time.Hour)
		n, err = w.EnforceAuditRetention(w.Platform())
		require.NoError(t, err)
		require.Greater(t, n, int64(1))
		var data struct{ Undelivered []map[string]any }
		require.NoError(t, json.Unmarshal(pruned(t, w, org.ID).Data, &data))
		lost := map[string]any{}
		for _, gap := range data.Undelivered {
			require.EqualValues(t, n+2, gap["below"])
			lost[gap["destination"].(string)] = gap["from"]
		}
		require.Equal(t, map[string]any{s3.ID: 2.0, siem.ID: 3.0}, lost)
	})
}

// pruned is the newest event that says that events went.
func pruned(t *testing.T, w *orgstest.World, org string) audit.Event {
	t.Helper()
	page, err := w.Audit().List(t.Context(), org, audit.Filter{Types: []string{audit.PrunedType}})
	require.NoError(t, err)
	require.NotEmpty(t, page.Items)
	return page.Items[0]
}
