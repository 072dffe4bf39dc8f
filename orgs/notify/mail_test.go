package notify_test

import (
	"context"
	"flag"
	"net/mail"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/notify"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func usd(s string) billing.Amount { return billing.NewAmount(decimal.RequireFromString(s)) }

var (
	march = time.Date(2024, 2, 29, 23, 0, 0, 0, time.UTC) // midnight in Berlin
	april = time.Date(2024, 3, 31, 22, 0, 0, 0, time.UTC)
)

// speak sets the habits of the organization.
func (w *world) speak(t testing.TB, language, dates, zone string) {
	t.Helper()
	settings := orgs.OrgSettings{Defaults: &orgs.DefaultSettings{Language: language, DateFormat: dates, Timezone: zone},
		Billing: &orgs.BillingSettings{BillingEmail: "billing@acme.example", InvoiceSettings: &orgs.InvoiceSettings{SendTo: []string{"ap@acme.example", "Billing@acme.example"}}}}
	_, err := w.UpdateOrganization(w.Platform(), w.org.ID, orgs.OrganizationUpdate{Settings: &settings})
	require.NoError(t, err)
}

// one of each kind of mail, as the engines tell of them.
func specimens(w *world, team orgs.Team, dev, lead orgs.User) map[string]orgs.Notification {
	step := func(kind string, status rbac.ApprovalStatus, votes ...rbac.Vote) orgs.Notification {
		cap := decimal.RequireFromString("2.5")
		a := rbac.Approval{Meta: store.Meta{ID: "apr_1"}, OrgID: w.org.ID, TeamID: team.ID, Requester: dev.ID, Action: "models.use", Resource: "model:o3",
			Reason: "Long contracts,\nas <b>discussed</b>.", Status: status, Decisions: votes, EndsAt: april}
		if status == rbac.ApprovalApproved {
			a.MaxAmount = &cap
		}
		return orgs.Notification{Kind: kind, TeamID: team.ID, To: []string{"x@acme.example"}, About: orgs.ApprovalStep{Approval: a}}
	}
	raise := func(n orgs.Notification) orgs.Notification {
		about, asked := n.About.(orgs.ApprovalStep), decimal.NewFromInt(500)
		about.Action, about.Resource, about.Amount = billing.RaiseAction, "budget:bud_1", &asked
		n.About = about
		return n
	}
	vote := rbac.Vote{By: lead.ID, Approve: true, Reason: "Fine & good."}
	alert := func(kind orgs.BillingAlertType, suspended bool) orgs.Notification {
		return orgs.Notification{Kind: orgs.KindBillingAlert, To: []string{"x@acme.example"}, About: orgs.BillingAlert{AlertID: "alr_1", Type: kind,
			Spent: usd("5012.3456"), Reference: usd("5000"), Suspended: suspended, PeriodStart: march, PeriodEnd: april}}
	}
	due, amount := april, usd("750000")
	return map[string]orgs.Notification{
		"approval.requested":            step("approval.requested", rbac.ApprovalPending),
		"approval.partly_approved":      step("approval.partly_approved", rbac.ApprovalPending, vote),
		"approval.approved":             step("approval.approved", rbac.ApprovalApproved, vote),
		"approval.requested.raise":      raise(step("approval.requested", rbac.ApprovalPending)),
		"approval.approved.raise":       raise(step("approval.approved", rbac.ApprovalApproved, vote)),
		"approval.denied":               step("approval.denied", rbac.ApprovalDenied, rbac.Vote{By: lead.ID}),
		"approval.expired":              step("approval.expired", rbac.ApprovalExpired),
		"approval.withdrawn":            step("approval.withdrawn", rbac.ApprovalWithdrawn, vote),
		"billing.alert.threshold":       alert(orgs.AlertThreshold, false),
		"billing.alert.anomaly":         alert(orgs.AlertAnomaly, false),
		"billing.alert.budget_exceeded": alert(orgs.AlertBudgetExceeded, true),
		"budget.alert": {Kind: orgs.KindBudgetAlert, TeamID: team.ID, About: orgs.BudgetAlert{BudgetID: "bud_1", Scope: billing.ScopeTeam, ScopeID: team.ID,
			Spent: usd("812345.5"), Limit: usd("1000000"), Threshold: usd("0.805"), PeriodStart: march, PeriodEnd: april}},
		"budget.alert.amount": {Kind: orgs.KindBudgetAlert, TeamID: team.ID, About: orgs.BudgetAlert{BudgetID: "bud_1", Scope: billing.ScopeTeam, ScopeID: team.ID,
			Spent: usd("812345.5"), Limit: usd("1000000"), Threshold: usd("0.75"), Amount: &amount, PeriodStart: march, PeriodEnd: april}},
		"invoice.finalized":        {Kind: orgs.KindInvoice, About: orgs.InvoiceFinalized{InvoiceID: "inv_1", Number: "2024-0042", Total: usd("99"), PeriodStart: march, PeriodEnd: april, DueAt: &due}},
		"sso.certificate_expiring": {Kind: orgs.KindCertificate, About: orgs.CertificateExpiring{Provider: "okta", NotAfter: april, Days: 7}},
		"security.break_glass":     {Kind: orgs.KindBreakGlass, About: orgs.BreakGlass{User: lead.ID, Reason: "The identity provider is down.", At: march, IP: "198.51.100.7"}},
	}
}

// TestEveryKindHasItsMailInEveryLanguage compares all of them with their golden files (F033, F034, F083, F105, F114, F117,
// F225).
func TestEveryKindHasItsMailInEveryLanguage(t *testing.T) {
	for language, dates := range map[string]string{"en": "MM/DD/YYYY", "de": "D.M.YYYY"} {
		t.Run(language, func(t *testing.T) {
			clock, box := storetest.NewClock(), &outbox{}
			w := newWorld(t, storetest.Open(t, "memory", store.Options{Now: clock.Now, NewID: storetest.IDs()}), clock, options(t, box))
			w.Roles(w.org)
			team := w.Team(w.org, "crew", orgs.TeamSettings{Notifications: &orgs.NotificationSettings{UsageAlerts: []string{"x@acme.example"}}})
			dev, lead := w.Join(team, "dev@acme.example", "developer"), w.Join(team, "lead@acme.example", "team_lead")
			name := "Lea O'Lead"
			_, err := w.UpdateUser(w.Platform(), lead.ID, orgs.UserUpdate{Name: &name})
			require.NoError(t, err)
			w.speak(t, language, dates, "Europe/Berlin")

			kinds := map[string]bool{orgs.KindInvitationResent: true} // by the mail of the first one
			for name, n := range specimens(w, team, dev, lead) {
				kinds[n.Kind] = true
				w.tell(t, n)
				require.NoError(t, w.run(t))
				golden(t, language, name, box.take()[0])
			}
			for name, by := range map[string]context.Context{"member.invited": w.As(w.owner), "member.invited.platform": w.Platform()} {
				kinds[orgs.KindInvited] = true
				inv, _, err := w.Invite(by, orgs.Place{OrgID: w.org.ID, TeamID: team.ID}, orgs.NewInvitation{Email: "new@acme.example", Role: "developer",
					Message: "Welcome!\r\n<script>alert('x')</script>", SendEmail: true})
				require.NoError(t, err)
				require.NoError(t, w.run(t))
				golden(t, language, name, box.take()[0])
				_, err = w.RevokeInvitation(w.Platform(), orgs.Place{OrgID: w.org.ID, TeamID: team.ID}, inv.ID)
				require.NoError(t, err)
			}
			for _, kind := range orgs.NotificationKinds() {
				require.True(t, kinds[kind], "%s has no mail here", kind)
			}
		})
	}
}

var anyToken = regexp.MustCompile(`ok_inv_[0-9a-z]+`)

func golden(t *testing.T, language, name string, m notify.Message) {
	t.Helper()
	require.Equal(t, language, m.Language)
	text := anyToken.ReplaceAllString("Subject: "+m.Subject+"\n\n"+m.Text+"\n"+m.HTML, "TOKEN")
	path := filepath.Join("testdata", language, name+".txt")
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), text)
}

func TestLanguagesHaveTheSameTexts(t *testing.T) {
	names := regexp.MustCompile(`define "([^"]+)"`)
	english, err := os.ReadFile("words/en.tmpl")
	require.NoError(t, err)
	entries, err := os.ReadDir("words")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(entries), 2)
	for _, e := range entries {
		other, err := os.ReadFile(filepath.Join("words", e.Name()))
		require.NoError(t, err)
		require.Equal(t, names.FindAllString(string(english), -1), names.FindAllString(string(other), -1), e.Name())
	}
}

func TestMailsAreInTheLanguageOfTheOrganization(t *testing.T) { // F033, F034
	box := &outbox{}
	each(t, box, func(t *testing.T, w *world) {
		due := time.Date(2024, 12, 31, 23, 30, 0, 0, time.UTC)
		for _, c := range []struct{ language, dates, zone, subject, day string }{
			{"", "", "", "Invoice 7 of acme", "2024-12-31"},
			{"en", "MM/DD/YYYY", "", "Invoice 7 of acme", "12/31/2024"},
			{"de", "DD.MM.YY", "Europe/Berlin", "Rechnung 7 von acme", "01.01.25"}, // it is next year there already
			{"de-AT", "D. M. YYYY", "Europe/Vienna", "Rechnung 7 von acme", "1. 1. 2025"},
			{"DE", "YYYY/M/D", "America/New_York", "Rechnung 7 von acme", "2024/12/31"},
			{"tlh", "YYYY-MM-DD", "", "Invoice 7 of acme", "2024-12-31"},
		} {
			w.speak(t, c.language, c.dates, c.zone)
			w.tell(t, orgs.Notification{Kind: orgs.KindInvoice, About: orgs.InvoiceFinalized{Number: "7", PeriodStart: march, PeriodEnd: april, DueAt: &due}})
			require.NoError(t, w.run(t))
			all := box.take()
			require.Len(t, all, 2, "each address once (F023, F026)")
			require.ElementsMatch(t, []string{"ap@acme.example", "Billing@acme.example"}, []string{all[0].To, all[1].To})
			require.Equal(t, c.subject, all[0].Subject)
			require.Contains(t, all[0].Text, ": "+c.day+"\n")
			require.NotEqual(t, all[0].ID, all[1].ID)
		}
	})
}

// TestMailsSayWhatIsTrueWhenTheyGoOut: they wait for a mail server perhaps.
func TestMailsSayWhatIsTrueWhenTheyGoOut(t *testing.T) {
	box := &outbox{}
	each(t, box, func(t *testing.T, w *world) {
		w.speak(t, "en", "", "")
		w.tell(t, orgs.Notification{Kind: orgs.KindInvoice, About: orgs.InvoiceFinalized{Number: "7", PeriodStart: march, PeriodEnd: april}})
		name := "Acme & Sons"
		_, err := w.UpdateOrganization(w.Platform(), w.org.ID, orgs.OrganizationUpdate{Name: &name})
		require.NoError(t, err)
		require.NoError(t, w.run(t))
		m := box.take()[0]
		require.Equal(t, "Invoice 7 of Acme & Sons", m.Subject)
		require.Contains(t, m.HTML, "Acme &amp; Sons")
	})
}

func TestRecipientsAreWhoSettingsName(t *testing.T) { // F083, F225, F226
	box := &outbox{}
	each(t, box, func(t *testing.T, w *world) {
		w.Roles(w.org)
		w.speak(t, "en", "", "")
		team := w.Team(w.org, "crew", orgs.TeamSettings{Notifications: &orgs.NotificationSettings{UsageAlerts: []string{"cfo@acme.example", "team_leads"}}})
		lead, gone := w.Join(team, "lead@acme.example", "team_lead"), w.Join(team, "gone@acme.example", "team_lead")
		suspended := rbac.Suspended
		_, err := w.UpdateUser(w.Platform(), gone.ID, orgs.UserUpdate{Status: &suspended})
		require.NoError(t, err)
		box.take()
		for _, c := range []struct {
			n    orgs.Notification
			want []string
		}{
			{orgs.Notification{Kind: orgs.KindBudgetAlert, TeamID: team.ID, About: orgs.BudgetAlert{PeriodStart: march, PeriodEnd: april}}, []string{"cfo@acme.example", lead.Email}},
			{orgs.Notification{Kind: orgs.KindBudgetAlert, About: orgs.BudgetAlert{PeriodStart: march, PeriodEnd: april}}, []string{"billing@acme.example"}},
			{orgs.Notification{Kind: orgs.KindBillingAlert, TeamID: team.ID, To: []string{"team_leads", "a@acme.example", "A@acme.example"}, About: orgs.BillingAlert{Type: orgs.AlertAnomaly}}, []string{"A@acme.example", lead.Email}},
			{orgs.Notification{Kind: orgs.KindBreakGlass, About: orgs.BreakGlass{User: lead.ID, At: march}}, []string{w.owner.Email}},
			{orgs.Notification{Kind: orgs.KindBreakGlass, To: []string{"no_such_role"}, About: orgs.BreakGlass{At: march}}, []string{w.owner.Email}},
		} {
			w.tell(t, c.n)
			require.NoError(t, w.run(t))
			var to []string
			for _, m := range box.take() {
				to = append(to, m.To)
			}
			require.ElementsMatch(t, c.want, to, c.n.Kind)
		}
	})
}

func TestWhatTenantsWroteCannotForgeAMail(t *testing.T) {
	box := &outbox{}
	each(t, box, func(t *testing.T, w *world) {
		evil := "Acme\r\nBcc: victim@evil.example\r\n\r\n<script>\u202egnp.exe\u2066\u200e\x1b[31m\u2028" + strings.Repeat("x", 300)
		if len([]rune(evil)) > rbac.MaxName {
			evil = string([]rune(evil)[:rbac.MaxName])
		}
		name := evil
		_, err := w.UpdateOrganization(w.Platform(), w.org.ID, orgs.OrganizationUpdate{Name: &name})
		require.NoError(t, err)
		_, err = w.UpdateUser(w.Platform(), w.owner.ID, orgs.UserUpdate{Name: &name})
		require.NoError(t, err)
		_, _, err = w.Invite(w.As(w.owner), orgs.Place{OrgID: w.org.ID}, orgs.NewInvitation{Email: "new@acme.example", Role: "member", SendEmail: true,
			Message: "Hi\r\n\r\nhttps://evil.example\r\n-- \r\n</blockquote><a href=\"https://evil.example\">Accept</a>\u202e"})
		require.NoError(t, err)
		require.NoError(t, w.run(t))
		m := box.take()[0]
		require.NotContains(t, m.Subject, "\n")
		require.LessOrEqual(t, len([]rune(m.Subject)), 100)
		for _, part := range []string{m.Subject, m.Text, m.HTML} {
			require.False(t, strings.ContainsAny(part, "\r\u202e\u2066\u200e\x1b\u2028"), "%q", part)
		}
		require.NotContains(t, m.HTML, "<script>")
		require.NotContains(t, m.HTML, `href="https://evil.example"`)
		require.Equal(t, 1, strings.Count(m.HTML, "<a "))
		require.Contains(t, m.Text, "\n> https://evil.example\n> -- \n", "what somebody wrote is quoted")
		require.NotContains(t, m.Text, "\nhttps://evil.example")
		raw := deliver(t, m)
		got, err := mail.ReadMessage(strings.NewReader(raw))
		require.NoError(t, err)
		require.Empty(t, got.Header["Bcc"])
		require.Equal(t, []string{"<new@acme.example>"}, got.Header["To"])
	})
}

func FuzzTexts(f *testing.F) {
	for _, s := range []string{"", "a\r\nb", "\u202eabc", "\xff\xfe", "👩‍👩‍👧", strings.Repeat("ü", 5000), "a\u2028b\u0085c\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		one, many := notify.Line(s), notify.Prose(s)
		require.Equal(t, one, notify.Line(one))
		require.Equal(t, many, notify.Prose(many))
		require.LessOrEqual(t, len([]rune(one)), 100)
		require.LessOrEqual(t, len([]rune(many)), 4000)
		require.NotContains(t, one, "\n")
		for _, text := range []string{one, many} {
			for _, r := range text {
				require.False(t, r != '\n' && (r < ' ' || 0x7f <= r && r < 0xa0), "%q", r)
				require.NotContains(t, "\u061c\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2028\u2029\u2066\u2067\u2068\u2069\ufeff", string(r))
			}
		}
	})
}
