package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"time"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs"
	"github.com/orgkit/orgkit/store/seal"
)

// mailJob is the kind of the jobs that send one mail to one address.
const mailJob = "notify.mail"

// Sender sends a mail. *[SMTP] is one; a host may have another, over the API of a provider for example.
//
// An error is a failure, after which the same mail is sent again later; jobs.RetryAfter chooses when, and
// jobs.Permanent says that no further attempt would mend it. Its text is kept, so it repeats no address, no credential and
// nothing of the mail. Send is called by several goroutines at a time and heeds its context.
type Sender interface {
	Send(ctx context.Context, m Message) error
}

// Message is a mail. It is the same in every attempt.
type Message struct {
	ID       string // Message-ID, without angle brackets
	Date     time.Time
	From     mail.Address
	ReplyTo  string // "" for none
	To       string
	Subject  string // one line
	Text     string
	HTML     string
	Language string            // BCP 47
	Headers  map[string]string // besides: Auto-Submitted, and those of the host
}

// ownHeaders are those that no option overrides, in lower case.
var ownHeaders = []string{"from", "to", "cc", "bcc", "sender", "reply-to", "subject", "date", "message-id", "mime-version", "content-type",
	"content-transfer-encoding", "content-language", "auto-submitted", "x-auto-response-suppress", "return-path"}

// letterJob is the payload of a mail.
type letterJob struct {
	Kind   string          `json:"kind"`
	TeamID string          `json:"team_id,omitempty"`
	To     string          `json:"to"`
	About  json.RawMessage `json:"about"`
	Token  string          `json:"token,omitempty"` // sealed: of an invitation, or of a link that sets a password
}

func (n *Notifier) enqueueMails(ctx context.Context, tx *store.Tx, of orgs.Notification) error {
	if _, known := abouts[of.Kind]; !known {
		return fmt.Errorf("notify: there is no mail for %q", of.Kind)
	}
	about, err := json.Marshal(trimmed(of.About))
	if err != nil {
		return err
	}
	in := letterJob{Kind: of.Kind, TeamID: of.TeamID, About: about}
	if token, place := tokenOf(of.OrgID, of.About); place.Field != "" {
		sealed, err := n.opt.Sealer.Seal(token, place)
		if err != nil {
			return err
		}
		in.Token = string(sealed)
	}
	for _, to := range of.To {
		in.To = to
		if _, _, err := jobs.Enqueue(ctx, tx, jobs.NewJob{Kind: mailJob, OrgID: of.OrgID, Payload: in}); err != nil {
			return err
		}
	}
	return nil
}

// trimmed is what a mail says of it, without lists that could be too long for a job.
func trimmed(about orgs.About) orgs.About {
	switch a := about.(type) {
	case orgs.InvitationOffer:
		a.Permissions = orgs.Grants{}
		return a
	case orgs.ApprovalStep:
		a.Requirements = nil
		a.Decisions = a.Decisions[max(len(a.Decisions)-1, 0):]
		return a
	}
	return about
}

// tokenOf is the token that a mail carries, and where it is sealed for: nowhere, if it carries none.
func tokenOf(orgID string, about orgs.About) (seal.Secret, seal.Place) {
	switch a := about.(type) {
	case orgs.InvitationOffer:
		return a.Token, seal.Place{OrgID: orgID, Record: a.ID, Field: "invitation.token"}
	case orgs.PasswordReset: // of a person, who belongs to no organization
		return a.Token, seal.Place{OrgID: a.UserID, Field: "password.reset"}
	}
	return seal.Secret{}, seal.Place{}
}

// mailing sends the mail of a job.
func (n *Notifier) mailing(m *orgs.Manager) jobs.Handler {
	return func(ctx context.Context, j jobs.Job) error {
		l, err := n.letter(ctx, m.Store(), j)
		if errors.Is(err, store.ErrNotFound) { // what it tells of is not so any more
			return nil
		} else if err != nil {
			return err
		}
		msg, err := l.message()
		if err != nil {
			return jobs.Permanent(err)
		}
		_, domain, _ := strings.Cut(n.opt.From.Address, "@")
		msg.ID, msg.Date, msg.From, msg.ReplyTo = j.ID+"@"+domain, j.EnqueuedAt, n.opt.From, n.opt.ReplyTo
		// RFC 3834 §5, and what Exchange wants so that nobody's absence is answered.
		msg.Headers = map[string]string{"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All"}
		for name, value := range n.opt.Headers {
			msg.Headers[name] = value
		}
		return n.opt.Sender.Send(ctx, msg)
	}
}

// letter reads what a job tells of and whom it belongs to. store.ErrNotFound: there is nothing to send any more.
func (n *Notifier) letter(ctx context.Context, s *store.Store, j jobs.Job) (l letter, err error) {
	var in letterJob
	if err := j.Decode(&in); err != nil {
		return l, jobs.Permanent(errors.New("the payload is none of a mail"))
	}
	decode, known := abouts[in.Kind]
	if !known {
		return l, jobs.Permanent(errors.New("there is no mail of this kind"))
	}
	about, err := decode(in.About)
	if err != nil {
		return l, jobs.Permanent(errors.New("the payload is none of a mail"))
	}
	l = letter{kind: in.Kind, to: in.To, about: about, baseURL: n.opt.BaseURL, sender: n.opt.From.Name}
	if l.sender == "" {
		_, l.sender, _ = strings.Cut(n.opt.From.Address, "@")
	}
	if in.Token != "" {
		_, place := tokenOf(j.OrgID, about)
		if l.token, err = n.opt.Sealer.Open(seal.Sealed(in.Token), place); err != nil {
			return l, fmt.Errorf("the token of the mail: %w", err) // a key that is missing may be brought back
		}
	}
	err = s.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		switch a := about.(type) {
		case orgs.InvitationOffer:
			if _, err := orgs.OpenInvitation(ctx, tx, j.OrgID, a.ID, l.token); err != nil {
				return err
			}
		case orgs.PasswordReset:
			if _, err := orgs.OpenReset(ctx, tx, orgs.HashSecret(l.token.Reveal())); err != nil {
				return err
			}
			l.head, err = orgs.PersonalLetterhead(ctx, tx, a.UserID)
			return err
		}
		l.head, err = orgs.LetterheadOf(ctx, tx, orgs.Place{OrgID: j.OrgID, TeamID: in.TeamID}, people(about)...)
		return err
	})
	return l, err
}

// abouts read what a notification of a kind that is mailed is about.
var abouts = map[string]func(json.RawMessage) (orgs.About, error){
	orgs.KindInvited:           decoded[orgs.InvitationOffer],
	orgs.KindInvitationResent:  decoded[orgs.InvitationOffer],
	"approval.requested":       decoded[orgs.ApprovalStep],
	"approval.partly_approved": decoded[orgs.ApprovalStep],
	"approval.approved":        decoded[orgs.ApprovalStep],
	"approval.denied":          decoded[orgs.ApprovalStep],
	"approval.expired":         decoded[orgs.ApprovalStep],
	"approval.withdrawn":       decoded[orgs.ApprovalStep],
	orgs.KindBudgetAlert:       decoded[orgs.BudgetAlert],
	orgs.KindBillingAlert:      decoded[orgs.BillingAlert],
	orgs.KindInvoice:           decoded[orgs.InvoiceFinalized],
	orgs.KindBreakGlass:        decoded[orgs.BreakGlass],
	orgs.KindCertificate:       decoded[orgs.CertificateExpiring],
	orgs.KindPasswordReset:     decoded[orgs.PasswordReset],
}

func decoded[A orgs.About](data json.RawMessage) (orgs.About, error) {
	var a A
	err := json.Unmarshal(data, &a)
	return a, err
}
