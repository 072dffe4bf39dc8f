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

// warnDays are at how many days before its end a certificate is warned of, each once.
var warnDays = []int{1, 7, 30}

// due says at how many days before the end of the last certificate somebody has to be warned now, 0 for not yet or again.
func (s SSO) due(now time.Time) (days int, notAfter time.Time) {
	for _, c := range s.certificates() {
		if c.NotAfter.After(notAfter) {
			notAfter = c.NotAfter
		}
	}
	if notAfter.IsZero() || !s.Enabled {
		return 0, notAfter
	}
	for _, d := range warnDays {
		if left := notAfter.Sub(now); left <= time.Duration(d)*24*time.Hour {
			if s.Warned == 0 || d < s.Warned {
				return d, notAfter
			}
			return 0, notAfter
		}
	}
	return 0, notAfter
}

// WarnOfCertificates tells the log and the owners of organizations whose identity provider has no certificate that lasts 30,
// 7 or 1 more days, once each, and says of how many. It is the platform's, to be called every day; see [Manager.Maintain].
func (m *Manager) WarnOfCertificates(ctx context.Context) (n int, err error) {
	var ids []string
	err = m.Read(ctx, rbac.Op{Action: "sso.update"}, func(ctx context.Context, tx *store.Tx) error {
		ids = nil
		for s, err := range ssoConfigs.All(ctx, tx, store.Query{}) {
			if err != nil {
				return err
			}
			if days, _ := s.due(tx.Now()); days > 0 {
				ids = append(ids, s.ID)
			}
		}
		return nil
	})
	failed := []error{err}
	for _, id := range ids {
		switch err := m.warnOfCertificate(ctx, id); {
		case err == nil:
			n++
		case !errors.Is(err, errSettled) && !errors.Is(err, store.ErrNotFound):
			failed = append(failed, fmt.Errorf("organization %s: %w", id, err))
		}
	}
	return n, errors.Join(failed...)
}

func (m *Manager) warnOfCertificate(ctx context.Context, orgID string) error {
	op := rbac.Op{Action: "sso.update", OrgID: orgID, Platform: true}
	return m.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		s, err := ssoConfigs.Lock(ctx, tx, orgID)
		if err != nil {
			return audit.Change{}, err
		}
		days, notAfter := s.due(tx.Now())
		if days == 0 { // another process was faster
			return audit.Change{}, errSettled
		}
		before := s
		s.Warned = days
		about := CertificateExpiring{Provider: s.Provider, NotAfter: notAfter.UTC(), Days: days}
		if err := m.Tell(ctx, tx, Notification{Kind: KindCertificate, OrgID: orgID, About: about}); err != nil {
			return audit.Change{}, err
		}
		c := audit.Updated(before, &s).As(KindCertificate)
		c.Data = about
		return c, ssoConfigs.Update(ctx, tx, &s)
	})
}
