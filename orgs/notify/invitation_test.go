package notify_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/notify"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

var acceptLink = regexp.MustCompile(`https://ai\.example/console/invitations/accept#token=(ok_inv_[0-9a-z]+)`)

// invite mails an invitation and returns it with the token of its mail.
func invite(t *testing.T, w *world, box *outbox, email string) (orgs.Invitation, string) {
	t.Helper()
	inv, shown, err := w.Invite(w.As(w.owner), orgs.Place{OrgID: w.org.ID}, orgs.NewInvitation{Email: email, Role: "member", Message: "Welcome", SendEmail: true})
	require.NoError(t, err)
	require.Empty(t, shown, "the token is in the mail only (F466)")
	require.True(t, inv.EmailSent)
	require.NoError(t, w.run(t))
	all := box.take()
	require.Len(t, all, 1)
	require.Equal(t, email, all[0].To)
	links := acceptLink.FindStringSubmatch(all[0].Text)
	require.NotNil(t, links, all[0].Text)
	require.Equal(t, 2, strings.Count(all[0].HTML, links[0]))
	return inv, links[1]
}

// TestInvitationsAreAcceptedByTheLinkOfTheirMail (F117, F466).
func TestInvitationsAreAcceptedByTheLinkOfTheirMail(t *testing.T) {
	box := &outbox{}
	each(t, box, func(t *testing.T, w *world) {
		u := w.User("new@acme.example")
		inv, token := invite(t, w, box, u.Email)
		_, ms, err := w.AnswerInvitation(w.As(u), token, true)
		require.NoError(t, err)
		require.Equal(t, inv.OrgID, w.org.ID)
		require.Equal(t, u.ID, ms.User.ID)
	})
}

// TestInvitationsThatAreOverAreNotMailed: revoked, replaced or expired while the mail waited.
func TestInvitationsThatAreOverAreNotMailed(t *testing.T) {
	box := &outbox{}
	each(t, box, func(t *testing.T, w *world) {
		at := orgs.Place{OrgID: w.org.ID}
		make := func(email string) orgs.Invitation {
			inv, _, err := w.Invite(w.Platform(), at, orgs.NewInvitation{Email: email, Role: "member", ExpiresInDays: 1, SendEmail: true})
			require.NoError(t, err)
			return inv
		}
		_, err := w.RevokeInvitation(w.Platform(), at, make("revoked@acme.example").ID)
		require.NoError(t, err)
		_, shown, err := w.ResendInvitation(w.Platform(), at, make("resent@acme.example").ID)
		require.NoError(t, err)
		require.Empty(t, shown)
		require.NoError(t, w.run(t))
		all := box.take()
		require.Len(t, all, 1, "the second one of the invitation that was resent")
		require.Equal(t, "resent@acme.example", all[0].To)
		require.NotNil(t, acceptLink.FindStringSubmatch(all[0].Text))

		make("late@acme.example")
		w.clock.Advance(25 * time.Hour)
		require.NoError(t, w.run(t))
		require.Empty(t, box.take())
		require.Empty(t, w.dead(t))
	})
}

// TestAHostThatDoesNotMailShowsTheToken (F466).
func TestAHostThatDoesNotMailShowsTheToken(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		w := newWorld(t, s, clock, options(t, nil))
		inv, shown, err := w.Invite(w.As(w.owner), orgs.Place{OrgID: w.org.ID}, orgs.NewInvitation{Email: "a@acme.example", Role: "member", SendEmail: true})
		require.NoError(t, err)
		require.NotEmpty(t, shown)
		require.False(t, inv.EmailSent)
	})
}

// TestALinkOfAMailDecidesNothing: the addressee of a request is no approver by that (F105, F463).
func TestALinkOfAMailDecidesNothing(t *testing.T) {
	box := &outbox{}
	each(t, box, func(t *testing.T, w *world) {
		w.Roles(w.org)
		team := w.Team(w.org, "crew", orgs.TeamSettings{Models: &orgs.ModelSettings{RequireApproval: []string{"o3"}},
			Notifications: &orgs.NotificationSettings{ApprovalRequests: []string{"cto@acme.example"}}})
		dev, cto := w.Join(team, "dev@acme.example", "developer"), w.User("cto@acme.example")
		a, _, err := w.RequestApproval(w.As(dev), rbac.Request{OrgID: w.org.ID, TeamID: team.ID, Action: "models.use", Call: rbac.Call{Resource: "model:o3", At: w.clock.Now()}}, "long contracts")
		require.NoError(t, err)
		require.NoError(t, w.run(t))
		var to []string
		for _, m := range box.take() {
			to = append(to, m.To)
			require.Contains(t, m.Text, "https://ai.example/console/approvals/"+a.ID+"\n", "and nothing behind it")
			require.Contains(t, m.Text, "> long contracts")
			require.Contains(t, m.Text, "asked to sign in")
		}
		require.ElementsMatch(t, []string{"cto@acme.example", w.owner.Email}, to)
		_, err = w.DecideApproval(w.As(cto), w.org.ID, a.ID, rbac.ApprovalDecision{Approve: true})
		require.ErrorIs(t, err, store.ErrNotFound)
		_, err = w.DecideApproval(w.As(w.owner), w.org.ID, a.ID, rbac.ApprovalDecision{Approve: true, Reason: "fine"})
		require.NoError(t, err)
		require.NoError(t, w.run(t))
		m := box.take()
		require.Len(t, m, 1)
		require.Equal(t, []string{dev.Email, "Approved: model:o3"}, []string{m[0].To, m[0].Subject})

		// What has ended is told when it is swept.
		w.clock.Advance(31 * 24 * time.Hour)
		swept, err := w.Sweep(audit.WithActor(t.Context(), audit.System("test")))
		require.NoError(t, err)
		require.Equal(t, orgs.Swept{Approvals: 1}, swept)
		require.NoError(t, w.run(t))
		m = box.take()
		require.Len(t, m, 1)
		require.Equal(t, []string{dev.Email, "Expired: model:o3"}, []string{m[0].To, m[0].Subject})
	})
}

func TestMailsOfAUnitThatFailedAreNotSent(t *testing.T) {
	box := &outbox{}
	each(t, box, func(t *testing.T, w *world) {
		at := orgs.Place{OrgID: w.org.ID}
		_, err := w.InviteMany(w.Platform(), at, []orgs.NewInvitation{{Email: "a@acme.example", Role: "member", SendEmail: true}, {Email: "b@acme.example", Role: "nobody", SendEmail: true}}, true)
		require.Error(t, err)
		require.NoError(t, w.run(t))
		require.Empty(t, box.take())
	})
}

func TestOptionsThatCannotWork(t *testing.T) {
	for name, change := range map[string]func(o *notify.Options){
		"no base":             func(o *notify.Options) { o.BaseURL = "" },
		"no absolute base":    func(o *notify.Options) { o.BaseURL = "/console" },
		"another scheme":      func(o *notify.Options) { o.BaseURL = "javascript://ai.example" },
		"a fragment":          func(o *notify.Options) { o.BaseURL = "https://ai.example/#x" },
		"a query":             func(o *notify.Options) { o.BaseURL = "https://ai.example/?x" },
		"a password":          func(o *notify.Options) { o.BaseURL = "https://a:canary@ai.example/" },
		"no key":              func(o *notify.Options) { o.Sealer = nil },
		"no sender":           func(o *notify.Options) { o.From.Address = "" },
		"a name as address":   func(o *notify.Options) { o.From.Address = "AI <ai@ai.example>" },
		"no address to reply": func(o *notify.Options) { o.ReplyTo = "help" },
		"a header of ours":    func(o *notify.Options) { o.Headers = map[string]string{"bcc": "a@ai.example"} },
		"a header with lines": func(o *notify.Options) { o.Headers = map[string]string{"List-Id": "x\r\nBcc: a@ai.example"} },
		"a name with lines":   func(o *notify.Options) { o.Headers = map[string]string{"X\r\nBcc": "a@ai.example"} },
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t, &outbox{})
			change(o)
			_, err := notify.New(o)
			require.Error(t, err)
			require.NotContains(t, err.Error(), "canary")
		})
	}
	n, err := notify.New(nil)
	require.NoError(t, err, "webhooks alone")
	require.False(t, n.Mails())
}
