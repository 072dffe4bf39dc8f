package orgs

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// MaxVerifiedDomains is how many domains one organization may have.
const MaxVerifiedDomains = 100

// publicDomains are of mail services that give an address to anybody: no organization owns them. Services of one country
// have their names below several top level domains, so that what counts is what stands before the first dot.
var publicDomains = []string{"aol.com", "duck.com", "fastmail.com", "freenet.de", "googlemail.com", "gmail.com", "hey.com", "hushmail.com", "icloud.com",
	"laposte.net", "mac.com", "mail.com", "mail.ru", "mailbox.org", "me.com", "msn.com", "naver.com", "orange.fr", "pm.me", "posteo.de", "proton.me",
	"protonmail.com", "qq.com", "rediffmail.com", "rocketmail.com", "t-online.de", "tutanota.com", "web.de", "wp.pl", "ymail.com", "126.com", "139.com", "163.com"}

var publicNames = []string{"gmail", "gmx", "hotmail", "live", "outlook", "yahoo", "yandex", "zoho"}

// isPublic says whether anybody may have an address of the domain.
func isPublic(domain string) bool {
	name, rest, _ := strings.Cut(domain, ".")
	country := strings.TrimPrefix(strings.TrimPrefix(rest, "com."), "co.")
	return slices.Contains(publicDomains, domain) || slices.Contains(publicNames, name) && len(country) <= len("com")
}

// SetVerifiedDomains says which domains of e-mail addresses the organization has proved to be its own: its identity provider
// speaks for their addresses, and nobody signs in by it whose address is of another one. Only the platform can: whoever owns
// a domain may be given the accounts with its addresses. A domain where anybody gets an address is refused.
func (m *Manager) SetVerifiedDomains(ctx context.Context, org string, domains ...string) (s ProvisioningSettings, err error) {
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return s, err
	}
	op := rbac.Op{Action: "sso.update", OrgID: orgID, Platform: true}
	err = m.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		p, err := provisioningOf(ctx, tx, orgID)
		if err != nil {
			return audit.Change{}, err
		}
		before := p
		if p.Domains, err = checkDomains(domains); err != nil {
			return audit.Change{}, err
		}
		change := audit.Updated(before, &p).As("scim.updated")
		if err := p.keep(ctx, tx); err != nil {
			return audit.Change{}, err
		}
		s, err = p.settings(ctx, tx)
		return change, err
	})
	return s, err
}

// keep stores a provisioning whose roles are those that it has, or the plain ones where it is the first of the organization.
func (p *Provisioning) keep(ctx context.Context, tx *store.Tx) error {
	if p.Version > 0 {
		return provisionings.Update(ctx, tx, p)
	}
	plain, err := rbac.FindRole(ctx, tx, p.ID, rbac.MemberRole)
	if err != nil {
		return err
	}
	p.DefaultRole, p.AutoDeprovision = plain.ID, true
	return provisionings.Insert(ctx, tx, p)
}

// checkDomains returns the domains as they are compared, each once.
func checkDomains(domains []string) (checked []string, err error) {
	if len(domains) > MaxVerifiedDomains {
		return nil, store.Invalid("verified_domains", "range", "must have at most %d entries", MaxVerifiedDomains)
	}
	for i, d := range domains {
		field := fmt.Sprintf("verified_domains[%d]", i)
		d = strings.ToLower(d)
		if _, err := checkEmail(field, "x@"+d); err != nil {
			return nil, store.Invalid(field, "domain", "must be a domain")
		}
		if isPublic(d) {
			return nil, store.Invalid(field, "public_domain", "gives an address to anybody, and is no organization's")
		}
		if !slices.Contains(checked, d) {
			checked = append(checked, d)
		}
	}
	return checked, nil
}

// owns says whether the address is of a domain that is the organization's.
func (p *Provisioning) owns(email string) bool {
	_, domain, _ := strings.Cut(emailKey(email), "@")
	return slices.Contains(p.Domains, domain)
}
