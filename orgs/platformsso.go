package orgs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// PlatformSSO says what people get who sign in by the identity provider of the host itself, which is nobody's organization. Which
// provider that is the host knows; the dialect that serves the sign-in reads the rules.
type PlatformSSO struct {
	store.Meta
	Rules    []PlatformSSORule `json:"rules"`
	LastRule int64             `json:"-"` // the last id that one was given
}

// PlatformSSORule is one of its rules, whose types the dialect has.
type PlatformSSORule struct {
	ID        int64     `json:"id"` // among the rules; it does not come again when the rule is gone
	Type      string    `json:"type"`
	Value     string    `json:"value"`     // what the provider has to say; "" is the default
	TargetID  string    `json:"target_id"` // of the organization or role, "" for none
	CreatedAt time.Time `json:"created_at"`
}

var platformSSOs = store.Define[PlatformSSO]("platform_sso", "psso")

// thePlatformSSO is the id of the only one.
const thePlatformSSO = "psso_rules"

// AuditResource is how the log names it.
func (p PlatformSSO) AuditResource() audit.Resource { return audit.Resource{Type: "sso", ID: p.ID} }

// PlatformSSO returns the rules; without any there are none. It is the platform's.
func (m *Manager) PlatformSSO(ctx context.Context) (p PlatformSSO, err error) {
	err = m.Read(ctx, rbac.Op{Action: "sso.read"}, func(ctx context.Context, tx *store.Tx) error {
		p, err = platformSSOOf(ctx, tx)
		return err
	})
	return p, err
}

func platformSSOOf(ctx context.Context, tx *store.Tx) (PlatformSSO, error) {
	p, err := platformSSOs.Get(ctx, tx, thePlatformSSO)
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return p, err
}

// maxPlatformRules is how many rules there are at most.
const maxPlatformRules = 1000

// SetPlatformSSO has these rules take the place of all there are. One that stays as it is keeps its id and time. Only the platform
// can.
func (m *Manager) SetPlatformSSO(ctx context.Context, rules []PlatformSSORule) (p PlatformSSO, err error) {
	err = m.Change(ctx, rbac.Op{Action: "sso.update"}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if len(rules) > maxPlatformRules {
			return audit.Change{}, store.Invalid("rules", "range", "must have at most %d entries", maxPlatformRules)
		}
		for i, r := range rules {
			if err := errors.Join(rbac.CheckText(fmt.Sprintf("rules[%d].type", i), r.Type, 1, rbac.MaxName), rbac.CheckText(fmt.Sprintf("rules[%d].value", i), r.Value, 0, rbac.MaxName)); err != nil {
				return audit.Change{}, err
			}
		}
		if _, err := platformSSOs.InsertNew(ctx, tx, &PlatformSSO{Meta: store.Meta{ID: thePlatformSSO}}); err != nil {
			return audit.Change{}, err
		}
		before, err := platformSSOs.Lock(ctx, tx, thePlatformSSO)
		if err != nil {
			return audit.Change{}, err
		}
		p = before
		p.Rules = nil
		for _, r := range rules {
			r.ID, r.CreatedAt = 0, tx.Now()
			for _, had := range before.Rules {
				if had.Type == r.Type && had.Value == r.Value && had.TargetID == r.TargetID {
					r.ID, r.CreatedAt = had.ID, had.CreatedAt
				}
			}
			if r.ID == 0 {
				p.LastRule++
				r.ID = p.LastRule
			}
			p.Rules = append(p.Rules, r)
		}
		return audit.Updated(before, &p), platformSSOs.Update(ctx, tx, &p)
	})
	return p, err
}

// AdmitAsserted signs somebody in whom the identity provider of the host itself has named, for something else than a session: fn
// makes it, in the unit of the sign-in, and is told whether the account was made by it. Who was there before by the same verified
// address is the same person, unless an organization manages them, or another subject of the provider has the account. Organizations
// that demand their own provider, or a second factor that was not proved, refuse by a *rbac.Denied; all else is a *[SSORefused].
func (m *Manager) AdmitAsserted(ctx context.Context, in Asserted, fn func(ctx context.Context, tx *store.Tx, u User, made bool) error) (u User, err error) {
	in.OrgID = ""
	if err = in.check(); err == nil {
		err = m.store.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
			a := &arrival{Asserted: in, m: m, tx: tx}
			if err := a.once(ctx); err != nil {
				return err
			}
			if err := a.ofPlatform(audit.WithActor(ctx, audit.System("single sign-on").From(ctx))); err != nil {
				return err
			}
			u = a.out.User
			by := audit.WithActor(ctx, audit.Actor{Type: audit.User, ID: u.ID, Label: u.Email, MFAAt: in.MFAVerifiedAt}.From(ctx))
			return m.Change(by, rbac.Op{Action: "sessions.create", Open: true}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
				c := audit.Change{Type: LoginType, Resource: u.AuditResource(), Data: map[string]any{"issuer": in.Issuer}}
				if err := m.AppendPersonal(ctx, tx, u.ID, "sessions.create", c); err != nil {
					return c, err
				}
				return c, fn(ctx, tx, u, a.made)
			})
		})
	}
	if errors.Is(err, store.ErrExists) { // made at the same time
		err = refuse("at_the_same_time")
	}
	if refused := (*SSORefused)(nil); errors.As(err, &refused) {
		m.SSOFailed(ctx, "", refused.Code)
	}
	if err != nil {
		return User{}, err
	}
	return u, nil
}

// ofPlatform finds or makes the account, and its link to the provider of the host.
func (a *arrival) ofPlatform(ctx context.Context) error {
	u := &a.out.User
	link, err := ssoLinks.Find(ctx, a.tx, store.Eq("org_id", ""), store.Eq("issuer", a.Issuer), store.Eq("subject", a.Subject))
	switch {
	case err == nil:
		a.known, a.made = true, false
		if *u, err = users.Get(ctx, a.tx, link.UserID); err != nil {
			return err
		}
	case !errors.Is(err, store.ErrNotFound):
		return err
	case !a.EmailVerified:
		return refuse("email_unverified")
	default:
		if a.Email, err = checkEmail("email", a.Email); err != nil {
			return refuse("bad_email")
		}
		if *u, err = users.Find(ctx, a.tx, store.Eq("email_key", emailKey(a.Email))); errors.Is(err, store.ErrNotFound) {
			a.made = true
			err = a.m.Change(ctx, rbac.Op{Action: "users.create"}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
				*u, err = makeUser(ctx, tx, NewUser{Email: a.Email, Name: a.Name, EmailVerified: true})
				return audit.Created(u), err
			})
		} else if err == nil {
			a.settled.Link = LinkVerified
			err = a.mayLink(ctx)
		}
		if err != nil {
			return err
		}
	}
	switch {
	case u.State != rbac.Active:
		return refuse("user_suspended")
	case u.Expired(a.tx.Now()):
		return refuse("user_expired")
	}
	if !a.known {
		if err := ssoLinks.Insert(ctx, a.tx, &ssoLink{Issuer: a.Issuer, Subject: a.Subject, UserID: u.ID, Made: a.made}); err != nil {
			return err
		}
	}
	return a.heldByOrganizations(ctx)
}

// heldByOrganizations refuses who has to sign in by the provider of an organization, or to prove a second factor.
func (a *arrival) heldByOrganizations(ctx context.Context) error {
	u := a.out.User
	denied := func(code, resource, remedy string) error {
		return &rbac.Denied{Code: code, Action: "sessions.create", Resource: resource, Decision: rbac.Decision{Remedy: []string{remedy}}}
	}
	r, err := a.m.PasswordRuleOf(ctx, a.tx, u.ID)
	if err != nil {
		return err
	}
	if r.RefusedBy != "" {
		return denied("sso_required", "organization:"+r.RefusedBy, "sign in by the identity provider of the organization")
	}
	needs, err := NeedsMFA(ctx, a.tx, u.ID)
	if err == nil && needs && a.MFAVerifiedAt == nil {
		err = denied("mfa_required", "user:"+u.ID, "prove a second factor to the identity provider")
	}
	return err
}

// IssuerOf is how an identity provider knows a person: that of the host, or else that of an organization; "" for none. It asks no
// permission: it serves the floors above.
func IssuerOf(ctx context.Context, tx *store.Tx, userID string) (issuer, subject string, err error) {
	for l, err := range ssoLinks.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("user_id", userID)}}) {
		if err != nil {
			return "", "", err
		}
		if issuer == "" || l.OrgID == "" {
			issuer, subject = l.Issuer, l.Subject
		}
	}
	return issuer, subject, nil
}
